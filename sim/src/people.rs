//! The people: they tap, tap again when they heard nothing, count, pause, and decide about dead letters.

use crate::oracle::{Broken, CARD, TALLY_KEYS, TALLY_TOPIC, tally_record, tally_word};
use crate::plan::Trouble;
use crate::sick::{ILLNESSES, Illness};
use crate::weather::Weather;
use crate::world::{At, What, World};
use conch::event::{Emit, EventId};
use conch::outbox::append::{Guard, Put};
use conch::outbox::engine::{EmitFault, Receipt, Ticket};
use conch::outbox::port::StoreFault;
use conch::outbox::transact::Refusal;

impl World {
    /// Somebody uses the device, in whichever page runs.
    pub(crate) fn tap(&mut self, device: usize) -> Result<(), Broken> {
        let Some(tab) = self.awake(device)? else {
            self.happens(self.now + 1_000, device, What::Tap);
            return Ok(());
        };
        let at = self.alive(device, tab)?;
        let key = format!("order-{}", self.chance.up_to(40));
        let amount = 1 + self.chance.up_to(2);
        let scans = device % 3 == 2;
        let (poison, refuse) = (self.strikes(Trouble::Poison, 20), self.strikes(Trouble::Poison, 20));
        if poison || refuse {
            self.met(Weather::Poison);
        }
        let illness = ILLNESSES.get(self.chance.up_to(2) as usize).copied();
        let illness = illness.filter(|_| self.strikes(Trouble::Service, 15));
        // One that lasts keeps its circuit waiting for a quarter of an hour: two of them would for half an hour.
        let illness = illness.filter(|own| {
            scans || *own != Illness::Lasting || !core::mem::replace(&mut self.lasting_load, true)
        });
        let mut taps = vec![match self.chance.up_to(40) {
            _ if poison => free(&key, r#"{"poison":true}"#),
            _ if refuse => alarm(&key),
            0 => free(CARD, "{}"),
            1..=3 => free(&key, &format!(r#"{{"memo":"{CARD}"}}"#)),
            4..=14 => free(&key, "{}"),
            _ if illness.is_some() && scans => report(&key, illness),
            _ if illness.is_some() => load(amount, illness),
            15..=17 => load(amount, None),
            18..=19 => report(&key, None),
            _ if scans => scan(&format!("ticket-{}", self.chance.up_to(30))),
            20..=25 => payment(&key, amount),
            _ => self.paid_online(at, &key, amount)?,
        }];
        // A payment can be refused as well, for this is no till: its key waits for a person then.
        if self.strikes(Trouble::Poison, 20) {
            let doomed = format!("order-{}", self.chance.up_to(40));
            taps.push(if scans { payment(&doomed, 2) } else { scan(&doomed) });
        }
        // Impatient fingers: the same tap twice within one turn, sometimes for another amount.
        if self.one_in(4) {
            taps.extend(taps.first().cloned());
            self.met(Weather::DoubleTap);
        }
        for _ in 0..self.chance.up_to(6) {
            let other = format!("order-{}", self.chance.up_to(40));
            taps.push(free(&other, "{}"));
        }
        for emit in taps {
            self.emit(at, emit)?;
        }
        let counts = self.one_in(3).then(|| format!("tally-{}", self.chance.up_to(TALLY_KEYS)));
        self.once_more(at, counts)
    }

    /// A sale with a card: the till asks online first, and takes cash where it hears no yes.
    fn paid_online(&mut self, at: At, order: &str, amount: u64) -> Result<Emit, Broken> {
        let payload = self.held(at, order, amount)?.map(|reference| {
            format!(r#"{{"amount":{amount},"currency":"TWD","method":"authorized_online","authRef":"{reference}"}}"#)
        });
        let attempt = 1 + self.chance.up_to(2) as u32;
        let cash = payment(order, amount);
        Ok(Emit { payload: payload.unwrap_or(cash.payload), attempt: Some(attempt), ..cash })
    }

    /// Somebody repeats what nobody heard the end of.
    pub(crate) fn tap_again(&mut self, device: usize) -> Result<(), Broken> {
        self.device(device)?.looked_at = false;
        let Some(tab) = self.awake(device)? else { return Ok(()) };
        let at = self.alive(device, tab)?;
        self.once_more(at, None)
    }

    fn once_more(&mut self, at: At, counts: Option<String>) -> Result<(), Broken> {
        for emit in core::mem::take(&mut self.device(at.device)?.again) {
            self.emit(at, emit)?;
        }
        self.tallies(at, counts)?;
        self.drain(at)
    }

    fn emit(&mut self, at: At, emit: Emit) -> Result<(), Broken> {
        let (entropy, now) = (self.entropy(), self.clock(at)?);
        self.device(at.device)?.emits += 1;
        let tab = self.tab(at)?;
        let ticket = tab.ticket();
        tab.taps.insert(ticket, emit.clone());
        if let Some(engine) = &mut tab.engine {
            engine.emit(ticket, &emit, now, entropy);
        }
        Ok(())
    }

    /// The application counts something: a record and an event that belong together.
    fn tallies(&mut self, at: At, counts: Option<String>) -> Result<(), Broken> {
        let device = self.device(at.device)?;
        let mut tallies = core::mem::take(&mut device.tallies_again);
        if let Some(key) = counts {
            let records = &self.device(at.device)?.disk.now.records;
            let held = tally_record(&key).and_then(|name| records.get(&name)?.parse().ok());
            tallies.push((key, held.unwrap_or(0) + 1));
        }
        // Two fingers at once: the same number twice, with the same meaning.
        if self.one_in(3) {
            tallies.extend(tallies.first().cloned());
        }
        for (key, number) in tallies {
            let Some(name) = tally_record(&key) else { continue };
            let expected = (number > 1).then(|| (number - 1).to_string());
            let emit = Emit {
                topic: TALLY_TOPIC.to_owned(),
                kind: "counted".to_owned(),
                intent: Some(tally_word(&key, number)),
                payload: number.to_string(),
                key: key.clone(),
                ..Emit::default()
            };
            let (events, now) = ([(emit, self.entropy())], self.clock(at)?);
            self.device(at.device)?.emits += 1;
            let tab = self.tab(at)?;
            let ticket = tab.ticket();
            tab.tallies.insert(ticket, (key, number));
            let expect = vec![Guard { record: name.clone(), expected }];
            let put = vec![Put { record: name, value: Some(number.to_string()) }];
            if let Some(engine) = &mut tab.engine {
                engine.commit(ticket, &events, expect, put, now);
            }
        }
        Ok(())
    }

    pub(crate) fn committed(
        &mut self,
        at: At,
        ticket: Ticket,
        outcome: &Result<Vec<Receipt>, EmitFault>,
    ) -> Result<(), Broken> {
        let tally = self.tab(at)?.tallies.remove(&ticket);
        let device = self.device(at.device)?;
        match outcome {
            Ok(receipts) => {
                let (memory, disk) = device.known_to(at.tab);
                for receipt in receipts {
                    memory.emitted(&Ok(*receipt), disk)?;
                }
                let name = tally.as_ref().and_then(|(key, _)| tally_record(key));
                let flushed = name.and_then(|name| disk.flushed.records.get(&name)?.parse::<u64>().ok());
                if flushed < tally.map(|(_, number)| number) {
                    return Err("state-with-event: a record was called safe but is not flushed".to_owned());
                }
                Ok(())
            }
            // Somebody counted in between: the page reads again.
            Err(EmitFault::Guard(0)) => Ok(()),
            Err(EmitFault::Store(fault)) if is_of_the_disk(fault) => {
                device.tallies_again.extend(tally);
                self.sees_it_fail(at);
                Ok(())
            }
            Err(fault) => Err(format!("a commit failed for no reason: {fault:?}")),
        }
    }

    pub(crate) fn emitted(
        &mut self,
        at: At,
        ticket: Ticket,
        outcome: &Result<Receipt, EmitFault>,
    ) -> Result<(), Broken> {
        let tab = self.tab(at)?;
        let tap = tab.taps.remove(&ticket);
        tab.decisions.remove(&ticket);
        let device = self.device(at.device)?;
        let (memory, disk) = device.known_to(at.tab);
        memory.emitted(outcome, disk)?;
        if tap.as_ref().is_some_and(|tap| tap.key == CARD) {
            return match outcome {
                Err(EmitFault::Problem(_)) => Ok(()),
                other => Err(format!("no-pii-in-keys: a card number was taken as a key: {other:?}")),
            };
        }
        match outcome {
            Ok(receipt) => {
                self.count(*receipt);
                Ok(())
            }
            Err(EmitFault::Conflict(_) | EmitFault::IntentClosed(_) | EmitFault::NotRedrivable) => Ok(()),
            Err(EmitFault::Store(fault)) if is_of_the_disk(fault) => {
                device.again.extend(tap);
                self.sees_it_fail(at);
                Ok(())
            }
            // A correction that the contract does not take, or of an event that must not change: the letter stays for
            // the next decision.
            Err(EmitFault::Problem(_) | EmitFault::MustNotChange) if tap.is_none() => Ok(()),
            Err(fault) => Err(format!("an emit failed for no reason: {fault:?}")),
        }
    }

    /// A page that cannot be used any more is loaded anew.
    fn sees_it_fail(&mut self, at: At) {
        let wait = 500 + self.chance.up_to(20_000);
        self.schedule(self.now + wait, at, What::Reloads);
    }

    /// Somebody decides about the oldest dead letter.
    pub(crate) fn decide(&mut self, device: usize) -> Result<(), Broken> {
        let (choice, entropy) = (self.chance.up_to(3), self.entropy());
        self.device(device)?.looked_at = false;
        let Some(tab) = self.awake(device)? else { return Ok(()) };
        let at = self.alive(device, tab)?;
        let now = self.clock(at)?;
        let open = self.device(device)?.disk.now.dead.iter().find(|((closed, _), _)| !closed);
        let Some(letter) = open.map(|(_, letter)| letter.clone()) else { return Ok(()) };
        let tab = self.tab(at)?;
        let ticket = tab.ticket();
        tab.decisions.insert(ticket, letter.row.sequence);
        let Some(engine) = &mut tab.engine else { return Ok(()) };
        match choice {
            0 | 1 => {
                let id = conch::event::Stored::read(&letter.body).map(|own| own.id);
                let id = id.unwrap_or(EventId::mint(now.wall, entropy));
                engine.discard(ticket, letter.row.sequence, id, "the buyer left", now);
            }
            2 => engine.redrive(ticket, &letter, Some(corrected(&letter.body)), now, entropy),
            _ => engine.redrive(ticket, &letter, None, now, entropy),
        }
        self.report.decided += 1;
        self.device(device)?.emits += 1;
        self.drain(at)
    }

    pub(crate) fn pause(&mut self, device: usize, paused: bool) -> Result<(), Broken> {
        self.device(device)?.looked_at = false;
        let Some(tab) = self.awake(device)? else { return Ok(()) };
        let at = self.alive(device, tab)?;
        let now = self.clock(at)?;
        let tab = self.tab(at)?;
        let ticket = tab.ticket();
        if let Some(engine) = &mut tab.engine {
            engine.pause(ticket, paused, now);
        }
        self.drain(at)
    }

    pub(crate) fn closed(
        &mut self,
        at: At,
        ticket: Ticket,
        outcome: &Result<(), StoreFault>,
    ) -> Result<(), Broken> {
        let letter = self.tab(at)?.decisions.remove(&ticket);
        let (_, disk) = self.device(at.device)?.known_to(at.tab);
        let flushed = &disk.flushed;
        match (outcome, letter) {
            (Ok(()), Some(sequence)) if !flushed.dead.contains_key(&(true, sequence)) => {
                Err(format!("nothing-vanishes: letter {sequence} was discarded without a record"))
            }
            // It was decided about elsewhere, or the disk failed: it stays for the next decision.
            (Ok(()), _) | (Err(StoreFault::Refused(Refusal::NotFound)), Some(_)) => Ok(()),
            (Err(fault), _) if is_of_the_disk(fault) => {
                self.sees_it_fail(at);
                Ok(())
            }
            (Err(fault), _) => Err(format!("a decision failed for no reason: {fault:?}")),
        }
    }
}

/// Whether nothing is wrong with what was asked, only with the disk or the connection to it.
fn is_of_the_disk(fault: &StoreFault) -> bool {
    matches!(fault, StoreFault::Lost(_) | StoreFault::Quota | StoreFault::Newer | StoreFault::Blocked)
}

/// What a person makes of a refused payload.
fn corrected(body: &str) -> String {
    let payload = match body {
        body if body.contains("pay.txn") => r#"{"amount":3,"currency":"TWD","method":"cash"}"#,
        body if body.contains("gate.auth") => return scan("ticket-0").payload,
        _ => "{}",
    };
    payload.to_owned()
}

fn payment(key: &str, amount: u64) -> Emit {
    Emit {
        topic: "pay.txn.v2".to_owned(),
        kind: "requested".to_owned(),
        key: key.to_owned(),
        payload: format!(r#"{{"amount":{amount},"currency":"TWD","method":"cash"}}"#),
        ..Emit::default()
    }
}

/// A ticket is shown.
fn scan(ticket: &str) -> Emit {
    Emit {
        topic: "gate.auth.v2".to_owned(),
        kind: "scanned".to_owned(),
        payload: format!(r#"{{"gateId":"n1","ticketId":"{ticket}"}}"#),
        ..free(ticket, "")
    }
}

/// What a stall draws.
fn load(amount: u64, illness: Option<Illness>) -> Emit {
    let watts = illness.map_or(amount * 600, Illness::watts);
    Emit {
        topic: "ops.power.v1".to_owned(),
        kind: "load_reported".to_owned(),
        ..free("c1", &format!(r#"{{"watts":{watts}}}"#))
    }
}

/// Something is wrong somewhere.
fn report(key: &str, illness: Option<Illness>) -> Emit {
    let row = illness.map_or("row 3", Illness::place);
    Emit {
        topic: "civic.events.v1".to_owned(),
        kind: "reported".to_owned(),
        ..free(key, &format!(r#"{{"kind":"noise","place":"{row}"}}"#))
    }
}

/// Only the city says this.
fn alarm(key: &str) -> Emit {
    Emit { topic: "ops.alerts.v1".to_owned(), kind: "raised".to_owned(), ..free(key, "{}") }
}

fn free(key: &str, payload: &str) -> Emit {
    Emit {
        topic: "stall.note.v1".to_owned(),
        kind: "written".to_owned(),
        key: key.to_owned(),
        payload: payload.to_owned(),
        ..Emit::default()
    }
}

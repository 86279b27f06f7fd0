//! The event loop of the world: one virtual clock, one queue, one source of chance.

use crate::city::{City, Mood};
use crate::disk::Disk;
use crate::oracle::{Broken, Memory, TALLY_TOPIC, judged_in_order, tables_agree, tally_word};
use conch::event::{Collection, Device, Emit, EventId, Identity, Key, RecordName, UnixMillis};
use conch::outbox::Engine;
use conch::outbox::append::{Guard, Put};
use conch::outbox::engine::{EmitFault, Input, Output, Receipt, Request, Ticket, WhyNotSending};
use conch::outbox::port::{Load, StoreFault};
use conch::outbox::transact::Batch;
use conch::pace::{Jitter, Now};
use conch::wire::classify::Reply;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// Devices.
    pub devices: usize,
    /// Bad weather lasts so long, in ms; then it is good and everything must settle.
    pub weather_ms: u64,
}

/// What a run was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that were called safe.
    pub stored: u64,
    /// Taps that met a stored intent.
    pub replayed: u64,
    /// Requests that left a device.
    pub requests: u64,
    /// Crashes of a page, power cuts among them.
    pub crashes: u64,
    /// Dead letters a person decided about.
    pub decided: u64,
    /// Hash over everything that happened, in order.
    pub trace: u64,
}

/// Epoch of the world's wall clocks, ms since 1970.
const DAWN: u64 = 1_790_000_000_000;
/// More events than this are no longer a run but a machine gone mad.
const EVENTS_MAX: u64 = 1_000_000;
/// The same for what follows from one input.
const OUTPUTS_MAX: u32 = 10_000;
/// Once the weather is good everything settles within this time.
const SETTLES_WITHIN_MS: u64 = 30 * 60_000;

#[derive(Debug)]
enum What {
    StoreRuns { op: u64, work: Work },
    StoreAnswers { input: Box<Input> },
    ReachesCity { request: Box<Request>, answered: bool },
    Replies { number: u64, reply: Reply },
    Wakes,
    Tap,
    Crash,
    Reopen,
    Decide,
}

#[derive(Debug)]
enum Work {
    Apply(Box<Batch>),
    Load(Load),
    Reread,
}

struct Page {
    engine: Option<Engine>,
    /// Rises with every crash, so that answers to a dead page are dropped.
    life: u64,
    disk: Disk,
    disk_free_at: u64,
    /// When its timer rings.
    timer: Option<u64>,
    identity: Identity,
    memory: Memory,
    tickets: u64,
    taps: BTreeMap<Ticket, Emit>,
    /// What a person saw fail and taps again, with the same meaning.
    again: Vec<Emit>,
    /// Whether a person is about to decide about its dead letters.
    looked_at: bool,
    /// Tallies under way: key and number.
    tallies: BTreeMap<Ticket, (String, u64)>,
    /// Tallies to be tried again, for nobody heard how they ended.
    tallies_again: Vec<(String, u64)>,
}

struct World {
    now: u64,
    plan: Plan,
    chance: Jitter,
    queue: BinaryHeap<Reverse<(u64, u64, usize, u64)>>,
    events: BTreeMap<u64, What>,
    next_event: u64,
    pages: Vec<Page>,
    city: City,
    mood: Mood,
    redriven: Vec<EventId>,
    report: Report,
}

/// Runs a plan to its end. An error names the broken promise and the command that replays the run.
pub fn run(plan: Plan) -> Result<Report, Broken> {
    let mut world = World::new(plan);
    world.play().map_err(|broken| {
        format!(
            "{broken}\n  at {} ms; replay: cargo run -p sim -- --seed {} --devices {} --weather-ms {}",
            world.now, plan.seed, plan.devices, plan.weather_ms
        )
    })?;
    Ok(world.report)
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut world = Self {
            now: 0,
            plan,
            chance: Jitter::new(plan.seed),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            pages: Vec::new(),
            city: City::default(),
            mood: Mood::Well,
            redriven: Vec::new(),
            report: Report::default(),
        };
        for index in 0..plan.devices {
            // The name is well formed by construction; a device that had none would simply not exist.
            let Ok(device) = Device::parse(&format!("till-{index}")) else { continue };
            world.pages.push(Page {
                engine: None,
                life: 0,
                disk: Disk::default(),
                disk_free_at: 0,
                timer: None,
                identity: Identity { device, incarnation: "life".to_owned() },
                memory: Memory::default(),
                tickets: 0,
                taps: BTreeMap::new(),
                again: Vec::new(),
                looked_at: false,
                tallies: BTreeMap::new(),
                tallies_again: Vec::new(),
            });
            world.schedule(0, index, What::Reopen);
            for _ in 0..20 {
                let at = world.chance.up_to(plan.weather_ms);
                world.schedule(at, index, What::Tap);
            }
            for _ in 0..4 {
                let at = world.chance.up_to(plan.weather_ms);
                world.schedule(at, index, What::Crash);
                let at = world.chance.up_to(plan.weather_ms);
                world.schedule(at, index, What::Decide);
            }
            world.schedule(plan.weather_ms + 1, index, What::Tap);
            world.schedule(plan.weather_ms + 1, index, What::Decide);
        }
        world
    }

    fn play(&mut self) -> Result<(), Broken> {
        let deadline = self.plan.weather_ms + SETTLES_WITHIN_MS;
        while let Some(Reverse((at, number, index, life))) = self.queue.pop() {
            let Some(what) = self.events.remove(&number) else { continue };
            if at > deadline {
                break;
            }
            self.now = at;
            if self.next_event > EVENTS_MAX {
                return Err("bounded: the run never comes to rest".to_owned());
            }
            self.trace(at ^ number.rotate_left(17) ^ (index as u64).rotate_left(40));
            let alive = self.page(index)?.life == life;
            if !alive
                && !matches!(
                    what,
                    What::Tap | What::Reopen | What::Crash | What::ReachesCity { .. } | What::Decide
                )
            {
                continue;
            }
            self.happen(index, what)?;
            if at > self.plan.weather_ms && self.all_settled() {
                break;
            }
        }
        self.end()
    }

    fn happen(&mut self, index: usize, what: What) -> Result<(), Broken> {
        match what {
            What::StoreRuns { op, work } => self.store_runs(index, op, work),
            What::StoreAnswers { input } => self.tell(index, *input),
            What::ReachesCity { request, answered } => self.reaches_city(index, &request, answered),
            What::Replies { number, reply } => self.tell(index, Input::Replied { request: number, reply }),
            What::Wakes => self.wakes(index),
            What::Tap => self.tap(index),
            What::Crash => self.crash(index),
            What::Reopen => self.reopen(index),
            What::Decide => self.decide(index),
        }
    }

    // The page.

    fn reopen(&mut self, index: usize) -> Result<(), Broken> {
        let seed = self.chance.next_bits();
        let now = self.clock();
        let page = self.page(index)?;
        if page.engine.is_some() {
            return Ok(());
        }
        let mut engine = Engine::new(page.identity.clone(), seed);
        let opened = page.disk.opened();
        engine.handle(Input::Opened(opened), now);
        engine.handle(Input::LeadGained, now);
        page.engine = Some(engine);
        let again = core::mem::take(&mut page.again);
        for emit in again {
            self.emit(index, emit)?;
        }
        self.drain(index)
    }

    fn crash(&mut self, index: usize) -> Result<(), Broken> {
        let power = self.one_in(3);
        let pause = self.chance.up_to(5_000);
        let page = self.page(index)?;
        if page.engine.take().is_none() {
            return Ok(());
        }
        page.life += 1;
        // Whoever was not told that it is safe will tap again: the same sale, the same key.
        let taps = core::mem::take(&mut page.taps);
        page.again.extend(taps.into_values());
        let tallies = core::mem::take(&mut page.tallies);
        page.tallies_again.extend(tallies.into_values());
        if power {
            page.disk.power_cut();
        }
        page.disk_free_at = 0;
        page.timer = None;
        let tables = page.disk.now.clone();
        self.report.crashes += 1;
        tables_agree(&tables, &self.city)?;
        self.schedule(self.now + pause, index, What::Reopen);
        Ok(())
    }

    fn tap(&mut self, index: usize) -> Result<(), Broken> {
        if self.page(index)?.engine.is_none() {
            let at = self.now + 1_000;
            self.schedule(at, index, What::Tap);
            return Ok(());
        }
        let key = format!("order-{}", self.chance.up_to(40));
        let fate = self.chance.up_to(40);
        let amount = 1 + self.chance.up_to(2);
        let mut taps = vec![match fate {
            0 | 1 => free(&key, r#"{"poison":true}"#),
            2 | 3 => free(&key, r#"{"refuse":true}"#),
            4..=25 => free(&key, "{}"),
            _ => payment(&key, amount),
        }];
        // Impatient fingers: the same tap twice within one turn, sometimes for another amount.
        if self.one_in(4) {
            taps.extend(taps.first().cloned());
        }
        for _ in 0..self.chance.up_to(6) {
            let other = format!("order-{}", self.chance.up_to(40));
            taps.push(free(&other, "{}"));
        }
        taps.append(&mut self.page(index)?.again);
        for emit in taps {
            self.emit(index, emit)?;
        }
        self.tallies(index)?;
        self.drain(index)
    }

    /// The application counts something: a record and an event that belong together.
    fn tallies(&mut self, index: usize) -> Result<(), Broken> {
        let mut tallies = core::mem::take(&mut self.page(index)?.tallies_again);
        if self.one_in(3) {
            let key = format!("tally-{}", self.chance.up_to(5));
            let name = tally_record(&key)?;
            let held = self.page(index)?.disk.now.records.get(&name).and_then(|text| text.parse().ok());
            tallies.push((key, held.unwrap_or(0) + 1));
        }
        // Two fingers at once: the same number twice, with the same meaning.
        if self.one_in(3) {
            tallies.extend(tallies.first().cloned());
        }
        for (key, number) in tallies {
            let name = tally_record(&key)?;
            let expected = (number > 1).then(|| (number - 1).to_string());
            let emit = Emit {
                topic: TALLY_TOPIC.to_owned(),
                kind: "counted".to_owned(),
                intent: Some(tally_word(&key, number)),
                payload: number.to_string(),
                key: key.clone(),
                ..Emit::default()
            };
            let events = [(emit, self.entropy())];
            let now = self.clock();
            let page = self.page(index)?;
            page.tickets += 1;
            let ticket = Ticket(page.tickets);
            page.tallies.insert(ticket, (key, number));
            let expect = vec![Guard { record: name.clone(), expected }];
            let put = vec![Put { record: name, value: Some(number.to_string()) }];
            if let Some(engine) = &mut page.engine {
                engine.commit(ticket, &events, expect, put, now);
            }
        }
        Ok(())
    }

    fn committed(
        &mut self,
        index: usize,
        ticket: Ticket,
        outcome: &Result<Vec<Receipt>, EmitFault>,
    ) -> Result<(), Broken> {
        let page = self.page(index)?;
        let tally = page.tallies.remove(&ticket);
        match outcome {
            Ok(receipts) => {
                for receipt in receipts {
                    page.memory.emitted(&Ok(*receipt), &page.disk)?;
                }
                let name = tally.as_ref().map(|(key, _)| tally_record(key)).transpose()?;
                let flushed = name.and_then(|name| page.disk.flushed.records.get(&name)?.parse::<u64>().ok());
                if flushed < tally.map(|(_, number)| number) {
                    return Err("state-with-event: a record was called safe but is not flushed".to_owned());
                }
                Ok(())
            }
            // Somebody counted in between: the page reads again.
            Err(EmitFault::Guard(0)) => Ok(()),
            Err(EmitFault::Store(StoreFault::Lost(_))) => {
                page.tallies_again.extend(tally);
                Ok(())
            }
            Err(fault) => Err(format!("a commit failed for no reason: {fault:?}")),
        }
    }

    fn emit(&mut self, index: usize, emit: Emit) -> Result<(), Broken> {
        let entropy = self.entropy();
        let now = self.clock();
        let page = self.page(index)?;
        page.tickets += 1;
        let ticket = Ticket(page.tickets);
        page.taps.insert(ticket, emit.clone());
        if let Some(engine) = &mut page.engine {
            engine.emit(ticket, &emit, now, entropy);
        }
        Ok(())
    }

    fn decide(&mut self, index: usize) -> Result<(), Broken> {
        let discards = self.one_in(2);
        let entropy = self.entropy();
        let now = self.clock();
        let page = self.page(index)?;
        page.looked_at = false;
        page.tickets += 1;
        let ticket = Ticket(page.tickets);
        let letter =
            page.disk.now.dead.iter().find(|((closed, _), _)| !closed).map(|(_, letter)| letter.clone());
        let (Some(letter), Some(engine)) = (letter, &mut page.engine) else { return Ok(()) };
        if discards {
            let id = EventId::mint(now.wall, entropy);
            engine.discard(ticket, letter.row.sequence, id, "the buyer left", now);
        } else {
            engine.redrive(ticket, &letter, Some("{}".to_owned()), now, entropy);
        }
        self.report.decided += 1;
        self.drain(index)
    }

    fn tell(&mut self, index: usize, input: Input) -> Result<(), Broken> {
        let now = self.clock();
        if let Some(engine) = &mut self.page(index)?.engine {
            engine.handle(input, now);
        }
        self.drain(index)
    }

    fn drain(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.clock();
        let mut outputs = 0;
        while let Some(output) = self.page(index)?.engine.as_mut().and_then(|engine| engine.poll(now)) {
            outputs += 1;
            if outputs > OUTPUTS_MAX {
                return Err(format!("bounded: one input never comes to an end: {output:?}"));
            }
            self.perform(index, output)?;
        }
        self.always_a_wake(index)
    }

    fn perform(&mut self, index: usize, output: Output) -> Result<(), Broken> {
        match output {
            Output::Apply { op, batch } => self.queue_store(index, op, Work::Apply(Box::new(batch))),
            Output::Load { op, load } => self.queue_store(index, op, Work::Load(load)),
            Output::Reread { op } => self.queue_store(index, op, Work::Reread),
            Output::Send(request) => self.send(index, request),
            Output::Emitted(ticket, outcome) => self.emitted(index, ticket, &outcome),
            Output::Effects(_) => Err("one-sender: nobody asked for a feed".to_owned()),
            Output::YieldLead => Err("one-sender: a single page lost its lead".to_owned()),
            Output::StealLead => Err("one-sender: a single page stole its own lead".to_owned()),
            Output::Committed(ticket, outcome) => self.committed(index, ticket, &outcome),
            Output::Beat | Output::Closed(..) | Output::Notice(_) => Ok(()),
        }
    }

    fn emitted(
        &mut self,
        index: usize,
        ticket: Ticket,
        outcome: &Result<Receipt, EmitFault>,
    ) -> Result<(), Broken> {
        let page = self.page(index)?;
        let tap = page.taps.remove(&ticket);
        page.memory.emitted(outcome, &page.disk)?;
        match outcome {
            Ok(receipt) if tap.is_none() => self.redriven.push(receipt.kept.id),
            Ok(receipt) if receipt.replayed => self.report.replayed += 1,
            Ok(_) => self.report.stored += 1,
            Err(EmitFault::Conflict(_) | EmitFault::IntentClosed(_) | EmitFault::NotRedrivable) => {}
            Err(EmitFault::Store(StoreFault::Lost(_))) => page.again.extend(tap),
            // A correction that the contract does not take: the letter stays for the next decision.
            Err(EmitFault::Problem(_)) if tap.is_none() => {}
            Err(fault) => return Err(format!("an emit failed for no reason: {fault:?}")),
        }
        Ok(())
    }

    /// Invariant 8.
    fn always_a_wake(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.clock();
        let page = self.page(index)?;
        let Some(engine) = &page.engine else { return Ok(()) };
        let snapshot = engine.snapshot(now);
        let wake = engine.next_wake();
        let excused = engine.is_busy() || snapshot.why == WhyNotSending::NeedsAttention;
        if snapshot.counter.owed > 0 && wake.is_none() && !excused {
            return Err(format!(
                "always-a-wake: {} owed, {:?}, no wake-up",
                snapshot.counter.owed, snapshot.why
            ));
        }
        // One timer, as in a page: setting it forgets the earlier one.
        let at = wake.map(|at| at.max(now.mono_ms + 1));
        if page.timer != at {
            page.timer = at;
            if let Some(at) = at {
                self.schedule(at, index, What::Wakes);
            }
        }
        Ok(())
    }

    fn wakes(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.now;
        let page = self.page(index)?;
        if page.timer != Some(now) {
            return Ok(());
        }
        page.timer = None;
        self.tell(index, Input::Wake)
    }

    // The disk.

    fn queue_store(&mut self, index: usize, op: u64, work: Work) -> Result<(), Broken> {
        let took = 1 + self.chance.up_to(15);
        let now = self.now;
        let page = self.page(index)?;
        // Transactions that overlap run in the order they were made.
        page.disk_free_at = page.disk_free_at.max(now) + took;
        let at = page.disk_free_at;
        self.schedule(at, index, What::StoreRuns { op, work });
        Ok(())
    }

    fn store_runs(&mut self, index: usize, op: u64, work: Work) -> Result<(), Broken> {
        let later = self.chance.up_to(3);
        let bad = self.now < self.plan.weather_ms;
        // The connection is lost before the write, or after it with the answer swallowed.
        let lost_before = bad && self.one_in(80);
        let lost_after = bad && self.one_in(80);
        let page = self.page(index)?;
        let lost = || StoreFault::Lost("the connection is gone".to_owned());
        let input = match work {
            Work::Apply(_) if lost_before => Input::Applied { op, result: Err(lost()) },
            Work::Apply(batch) => {
                let result = page.disk.apply(&batch);
                Input::Applied { op, result: if lost_after { Err(lost()) } else { result } }
            }
            Work::Reread if lost_before => Input::Reread { op, result: Err(lost()) },
            Work::Reread => Input::Reread { op, result: Ok(page.disk.opened()) },
            Work::Load(_) if lost_before => Input::Loaded { op, result: Err(lost()) },
            Work::Load(load) => Input::Loaded { op, result: Ok(page.disk.load(&load)) },
        };
        let tables = page.disk.now.clone();
        tables_agree(&tables, &self.city)?;
        // Between the write and its answer the page may die.
        self.schedule(self.now + later, index, What::StoreAnswers { input: Box::new(input) });
        Ok(())
    }

    // The network.

    fn send(&mut self, index: usize, request: Request) -> Result<(), Broken> {
        self.report.requests += 1;
        let page = self.page(index)?;
        page.memory.sent(&request, &page.disk)?;
        let number = request.number;
        let bad = self.now < self.plan.weather_ms;
        let delay =
            5 + self.chance.up_to(60) + if bad && self.one_in(10) { self.chance.up_to(30_000) } else { 0 };
        if bad && self.one_in(6) {
            let reply = if self.one_in(2) { Reply::NoAnswer } else { Reply::Timeout };
            self.schedule(self.now + 20_000, index, What::Replies { number, reply });
            // It may still arrive, long after the device gave up.
            if self.one_in(2) {
                self.schedule(
                    self.now + delay + 25_000,
                    index,
                    What::ReachesCity { request: Box::new(request), answered: false },
                );
            }
            return Ok(());
        }
        if bad && self.one_in(12) {
            let portal = Reply::Http {
                status: 200,
                city: None,
                retry_after: None,
                date: None,
                body: "<html>".to_owned(),
            };
            self.schedule(self.now + 40, index, What::Replies { number, reply: portal });
            return Ok(());
        }
        if bad && self.one_in(5) {
            let twin = Box::new(request.clone());
            let at = self.now + delay + self.chance.up_to(10_000);
            self.schedule(at, index, What::ReachesCity { request: twin, answered: false });
        }
        self.schedule(
            self.now + delay,
            index,
            What::ReachesCity { request: Box::new(request), answered: true },
        );
        Ok(())
    }

    fn reaches_city(&mut self, index: usize, request: &Request, answered: bool) -> Result<(), Broken> {
        let bad = self.now < self.plan.weather_ms;
        if bad && self.one_in(15) {
            let moods =
                [Mood::Well, Mood::Overloaded, Mood::Failing, Mood::Distrustful, Mood::Busy, Mood::Forgetful];
            let mood = moods.get(self.chance.up_to(5) as usize).copied().unwrap_or(Mood::Well);
            self.mood = mood;
        }
        let mood = if bad { self.mood } else { Mood::Well };
        let reply = self.city.answer(request, mood);
        if answered {
            let lost = bad && self.one_in(6);
            let reply = if lost { Reply::Timeout } else { reply };
            let at = self.now + 5 + self.chance.up_to(60) + if lost { 20_000 } else { 0 };
            self.schedule(at, index, What::Replies { number: request.number, reply });
        }
        Ok(())
    }

    // The end.

    fn all_settled(&mut self) -> bool {
        for index in 0..self.pages.len() {
            let at = self.now + 500;
            if let Some(page) = self.pages.get_mut(index)
                && page.disk.now.counter.dead > 0
                && !core::mem::replace(&mut page.looked_at, true)
            {
                self.schedule(at, index, What::Decide);
            }
        }
        self.pages.iter().all(|page| {
            let counter = page.disk.now.counter;
            page.engine.is_some()
                && counter.owed == 0
                && counter.dead == 0
                && page.taps.is_empty()
                && page.again.is_empty()
        })
    }

    fn end(&mut self) -> Result<(), Broken> {
        if !self.all_settled() {
            let left: Vec<String> = self
                .pages
                .iter()
                .map(|page| {
                    let why = page.engine.as_ref().map(|engine| engine.why_not_sending(self.clock()));
                    format!("{:?} {why:?}", page.disk.now.counter)
                })
                .collect();
            return Err(format!("liveness: the weather is good, but {}", left.join("; ")));
        }
        if let Some((intent, times)) = self.city.effects.iter().find(|(_, times)| **times != 1) {
            return Err(format!("effect: {intent} had its effect {times} times"));
        }
        judged_in_order(&self.city, &self.redriven)
    }

    // Small things.

    fn clock(&self) -> Now {
        Now { mono_ms: self.now, wall: UnixMillis(DAWN + self.now) }
    }

    fn page(&mut self, index: usize) -> Result<&mut Page, Broken> {
        self.pages.get_mut(index).ok_or_else(|| format!("no page {index}"))
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.chance.up_to(times.saturating_sub(1)) == 0
    }

    fn entropy(&mut self) -> [u8; 10] {
        let (high, low) = (self.chance.next_bits().to_be_bytes(), self.chance.next_bits().to_be_bytes());
        let mut bytes = [0; 10];
        for (to, from) in bytes.iter_mut().zip(high.into_iter().chain(low)) {
            *to = from;
        }
        bytes
    }

    fn schedule(&mut self, at: u64, index: usize, what: What) {
        self.next_event += 1;
        let life = self.pages.get(index).map_or(0, |page| page.life);
        self.events.insert(self.next_event, what);
        self.queue.push(Reverse((at, self.next_event, index, life)));
    }

    fn trace(&mut self, value: u64) {
        self.report.trace = (self.report.trace ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}

fn tally_record(key: &str) -> Result<RecordName, Broken> {
    let named = |problem| format!("a tally has a bad name: {problem:?}");
    let collection = Collection::parse("tallies").map_err(named)?;
    Ok(RecordName { collection, key: Key::parse(key).map_err(named)? })
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

fn free(key: &str, payload: &str) -> Emit {
    Emit {
        topic: "stall.note.v1".to_owned(),
        kind: "written".to_owned(),
        key: key.to_owned(),
        payload: payload.to_owned(),
        ..Emit::default()
    }
}

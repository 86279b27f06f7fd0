//! What the driver of a page does, as `sdk/driver.rs` does it in a browser: hands inputs in, performs outputs, keeps one
//! timer, and speaks to the other contexts.

use crate::bug::Bug;
use crate::oracle::{Broken, heard_record, told};
use crate::plan::Trouble;
use crate::storage::concerns_others;
use crate::weather::Weather;
use crate::world::{At, Claiming, What, Word, Work, World};
use conch::outbox::append::Put;
use conch::outbox::engine::{Input, Notice, Output, Receipt, WhyNotSending};
use conch::outbox::feed::Heard;
use conch::outbox::record::DeadReason;

/// More outputs than this from one input never end.
const OUTPUTS_MAX: u32 = 10_000;

impl World {
    pub(crate) fn tell(&mut self, at: At, input: Input) -> Result<(), Broken> {
        let now = self.clock(at)?;
        if let Input::Applied { result, .. } = &input {
            self.trace(u64::from(result.is_ok()));
        }
        if let Some(engine) = &mut self.tab(at)?.engine {
            engine.handle(input, now);
        }
        self.drain(at)
    }

    pub(crate) fn drain(&mut self, at: At) -> Result<(), Broken> {
        let now = self.clock(at)?;
        let mut outputs = 0;
        while let Some(output) = self.tab(at)?.engine.as_mut().and_then(|engine| engine.poll(now)) {
            outputs += 1;
            if outputs > OUTPUTS_MAX {
                return Err(format!("bounded: one input never comes to an end: {output:?}"));
            }
            self.perform(at, output)?;
        }
        self.notes(at)?;
        self.set_timer(at)
    }

    fn perform(&mut self, at: At, output: Output) -> Result<(), Broken> {
        if matches!(output, Output::Emitted(..) | Output::Committed(..) | Output::Closed(..)) {
            let tab = self.tab(at)?;
            tab.wishes = tab.wishes.saturating_sub(1);
        }
        match output {
            Output::Apply { op, batch } => self.queue_store(at, op, Work::Apply(Box::new(batch)), false),
            Output::Load { op, load } => self.queue_store(at, op, Work::Load(load), false),
            Output::Reread { op } => self.queue_store(at, op, Work::Reread, false),
            Output::Send(request) => self.send(at, request),
            Output::Effects(heard) => self.effects(at, heard),
            Output::YieldLead => self.compete(at, Claiming::InTurn),
            Output::StealLead => self.compete(at, Claiming::Steal),
            Output::Beat => {
                self.tell_others(at, Word::Beat);
                Ok(())
            }
            Output::Emitted(ticket, outcome) => self.emitted(at, ticket, &outcome),
            Output::Committed(ticket, outcome) => self.committed(at, ticket, &outcome),
            Output::Closed(ticket, outcome) => self.closed(at, ticket, &outcome),
            Output::Notice(notice) => self.notice(at, &notice),
        }
    }

    fn effects(&mut self, at: At, mut heard: Vec<Heard>) -> Result<(), Broken> {
        for own in &mut heard {
            let device = self.device(at.device)?;
            device.effects += 1;
            let record = heard_record(own.event.id).ok_or("an event of the feed has no name")?;
            own.put.push(Put { record, value: Some(device.effects.to_string()) });
        }
        self.tell(at, Input::Effects(heard))
    }

    pub(crate) fn notice(&mut self, at: At, notice: &Notice) -> Result<(), Broken> {
        let (_, disk) = self.device(at.device)?.known_to(at.tab);
        match notice {
            Notice::Settled { id, verdict } => told(*id, verdict, disk),
            Notice::DeadLetter { id, sequence, reason, .. } => {
                let dead = &disk.flushed.dead;
                if !dead.contains_key(&(false, *sequence)) && !dead.contains_key(&(true, *sequence)) {
                    return Err(format!("honest-words: {id} was called dead without a letter on disk"));
                }
                self.report.expired += u64::from(*reason == DeadReason::Expired);
                Ok(())
            }
            Notice::Heard(event) => {
                if !disk.now.inbox.contains_key(&(event.cause, event.id)) {
                    return Err(format!("honest-words: {} was told before it was applied", event.id));
                }
                self.report.heard += 1;
                Ok(())
            }
            Notice::Resync => {
                self.report.resyncs += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// always-a-wake: what is owed has a timer, or an operation under way. One timer, as in a page: setting it forgets
    /// the earlier one.
    fn set_timer(&mut self, at: At) -> Result<(), Broken> {
        let now = self.clock(at)?;
        let sleeps = self.plan.bug == Some(Bug::SleepsAfterFailure);
        let tab = self.tab(at)?;
        let Some(engine) = &tab.engine else { return Ok(()) };
        let snapshot = engine.snapshot(now);
        let excused = engine.is_busy() || snapshot.paused || snapshot.why == WhyNotSending::NeedsAttention;
        let wake =
            engine.next_wake().map(|wake| wake.max(now.mono_ms + 1)).filter(|_| !(sleeps && tab.failed));
        let changed = core::mem::replace(&mut tab.timer, wake) != wake;
        if snapshot.counter.owed > 0 && wake.is_none() && !excused {
            return Err(format!(
                "always-a-wake: {} owed, {:?}, no wake-up",
                snapshot.counter.owed, snapshot.why
            ));
        }
        if snapshot.counter.owed > 0 && snapshot.why == WhyNotSending::NothingOwed {
            return Err("always-a-wake: something is owed, and nobody says why it is not sent".to_owned());
        }
        if let Some(wake) = wake.filter(|_| changed) {
            self.schedule(self.now + (wake - now.mono_ms), at, What::Wakes { mono_ms: wake });
        }
        Ok(())
    }

    pub(crate) fn wakes(&mut self, at: At, mono_ms: u64) -> Result<(), Broken> {
        let now = self.clock(at)?;
        let tab = self.tab(at)?;
        if tab.timer != Some(mono_ms) {
            return Ok(());
        }
        if mono_ms > now.mono_ms {
            // Timers stand still with the monotonic clock.
            self.schedule(self.now + (mono_ms - now.mono_ms), at, What::Wakes { mono_ms });
            return Ok(());
        }
        tab.timer = None;
        self.tell(at, Input::Wake)
    }

    pub(crate) fn hears(&mut self, at: At, word: Word) -> Result<(), Broken> {
        self.tell(at, if word == Word::Beat { Input::Beat } else { Input::Changed })
    }

    pub(crate) fn tell_others(&mut self, at: At, word: Word) {
        let others: Vec<At> = match self.devices.get(at.device) {
            Some(device) if device.has_channel => (device.tabs.iter().enumerate())
                .filter(|(tab, own)| *tab != at.tab && own.engine.is_some())
                .map(|(tab, own)| At { device: at.device, tab, life: own.life })
                .collect(),
            _ => return,
        };
        for other in others {
            let wait = 1 + self.chance.up_to(20);
            if !self.strikes(Trouble::Hint, 8) {
                self.schedule(self.now + wait, other, What::Hears(word));
            }
        }
    }

    /// The answer of a store, and with it the word to the other contexts.
    pub(crate) fn stored(&mut self, at: At, input: Input, shared: bool) -> Result<(), Broken> {
        let later = self.chance.up_to(3);
        self.schedule(self.now + later, at, What::StoreAnswers { input: Box::new(input) });
        if shared {
            self.tell_others(at, Word::Changed);
        }
        // Between the write and its answer the page may die.
        if self.strikes(Trouble::Crash, 200) {
            self.met(Weather::KilledMidway);
            self.report.crashes += 1;
            let pause = self.chance.up_to(5_000);
            return self.ends(at, pause);
        }
        Ok(())
    }

    /// Whether others must look again after this work.
    pub(crate) fn is_shared(work: &Work) -> bool {
        matches!(work, Work::Apply(batch) if concerns_others(batch))
    }

    pub(crate) fn count(&mut self, receipt: Receipt) {
        if receipt.replayed {
            self.report.replayed += 1;
        } else {
            self.report.stored += 1;
        }
    }
}

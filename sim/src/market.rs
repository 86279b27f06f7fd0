//! What goes on in the city while nobody asks it anything: the bus turns, the acquirer is asked and answers, its list is
//! read, and the city is killed and started again.

use crate::city::{Blow, Luck, Turned};
use crate::oracle::Broken;
use crate::plan::Trouble;
use crate::weather::Weather;
use crate::world::{At, What, World};
use city_domain::{Answer, Call, limits};
use conch::event::{IntentKey, Key, UnixMillis};
use conch::wire::classify::Reply;
use std::collections::BTreeSet;

/// Nobody in particular: what happens to the city happens to no device.
const NOBODY: At = At { device: 0, tab: 0, life: 0 };
/// A killed city is killed within so many writes.
const BLOW_WITHIN_WRITES: u64 = 16;

impl World {
    /// Whether the city is killed in the next transaction, and at which write.
    pub(crate) fn blow(&mut self, once_in: u64) -> Blow {
        let after = self.chance.up_to(BLOW_WITHIN_WRITES);
        self.strikes(Trouble::Kill, once_in).then_some(after)
    }

    fn luck(&mut self) -> Luck {
        let luck = Luck {
            lose_request: self.strikes(Trouble::Money, 6),
            lose_answer: self.strikes(Trouble::Money, 5),
            decline: self.strikes(Trouble::Money, 8),
            double: self.strikes(Trouble::Money, 2),
        };
        if luck != Luck::default() {
            self.met(Weather::Gateway);
        }
        luck
    }

    /// The city is killed. Whoever waited for it hears nothing more, and it starts again after a while.
    pub(crate) fn city_dies(&mut self) {
        self.report.city_kills += 1;
        self.met(Weather::CityKilled);
        let down_ms = 500 + self.chance.up_to(30_000);
        self.city.kill(UnixMillis(self.city.clock.0 + down_ms));
        for poll in core::mem::take(&mut self.polls) {
            self.schedule(
                self.now + 10,
                poll.at,
                What::Replies { number: poll.number, reply: Reply::NoAnswer },
            );
        }
        self.turn_at = None;
        self.turn_in(down_ms);
    }

    /// A turn of the bus after so many ms, unless one comes earlier.
    pub(crate) fn turn_in(&mut self, ms: u64) {
        let down_ms = self.city.down_until.0.saturating_sub(self.city.clock.0);
        let at = self.now + ms.max(down_ms);
        if self.turn_at.is_none_or(|planned| planned > at) {
            self.turn_at = Some(at);
            self.schedule(at, NOBODY, What::CityTurns);
        }
    }

    pub(crate) fn city_turns(&mut self) -> Result<(), Broken> {
        if self.turn_at != Some(self.now) {
            return Ok(());
        }
        self.turn_at = None;
        let most = 1 + self.chance.up_to(3) as usize;
        if self.strikes(Trouble::Relay, 40) && self.city.publishes_only(most)? {
            self.met(Weather::RelayKilled);
            self.city_dies();
            return Ok(());
        }
        let blow = self.blow(20);
        let Turned { calls, next, killed } = self.city.turn(blow)?;
        if killed || blow.is_some() {
            // What was handed out and not asked is asked again by the next life.
            self.city_dies();
            return Ok(());
        }
        for call in calls {
            let (wait, luck) = (5 + self.chance.up_to(400), self.luck());
            let what = What::AcquirerHears { life: self.city.life, call: Box::new(call), luck };
            self.schedule(self.now + wait, NOBODY, what);
        }
        if let Some(next) = next {
            self.turn_in(next.0.saturating_sub(self.city.clock.0).max(5));
        }
        self.ring_all();
        Ok(())
    }

    pub(crate) fn acquirer_hears(&mut self, life: u64, call: Box<Call>, luck: Luck) -> Result<(), Broken> {
        self.report.calls += 1;
        let answer = Box::new(self.city.acquirer(&call, luck)?);
        let slow =
            if *answer == Answer::Unknown { limits::ACQUIRER_TIMEOUT_MS } else { self.chance.up_to(600) };
        self.schedule(self.now + slow, NOBODY, What::AcquirerAnswers { life, call, answer });
        Ok(())
    }

    pub(crate) fn acquirer_answers(&mut self, life: u64, call: &Call, answer: &Answer) -> Result<(), Broken> {
        // Whoever asked is gone.
        if life != self.city.life {
            return Ok(());
        }
        let blow = self.blow(40);
        if self.city.answered(call, answer, blow)? || blow.is_some() {
            self.city_dies();
            return Ok(());
        }
        self.turn_in(5);
        self.ring_all();
        Ok(())
    }

    /// The acquirer's list is read now and then, for as long as the world lasts.
    pub(crate) fn settles(&mut self) -> Result<(), Broken> {
        self.schedule(self.now + limits::SETTLE_EVERY_MS, NOBODY, What::Settles);
        if !self.city.is_up() {
            return Ok(());
        }
        let blow = self.blow(30);
        if self.city.settle(blow)? || blow.is_some() {
            self.city_dies();
            return Ok(());
        }
        self.turn_in(5);
        self.ring_all();
        Ok(())
    }

    /// A till asks online for an amount to be held. `None` when it is not, or nobody heard of it.
    pub(crate) fn held(&mut self, at: At, order: &str, amount: u64) -> Result<Option<String>, Broken> {
        let (away, luck, blow) = (self.strikes(Trouble::Net, 4), self.luck(), self.blow(30));
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(self.entropy()) {
            *to = from;
        }
        if away || !self.city.is_up() || self.is_cut_off(at.device) {
            return Ok(None);
        }
        let Ok(order) = Key::parse(order) else { return Ok(None) };
        let intent = IntentKey::from_bytes(key);
        let (reference, killed) = self.city.authorize(at.device, (&order, amount), intent, (luck, blow))?;
        if killed || blow.is_some() {
            self.city_dies();
            return Ok(None);
        }
        self.turn_in(5);
        Ok(reference)
    }

    /// Whoever there is news for hears it.
    fn ring_all(&mut self) {
        let news = self.polls.iter().filter(|poll| self.has_news(poll)).map(|poll| poll.at.device);
        for device in news.collect::<BTreeSet<_>>() {
            self.ring(device);
        }
    }
}

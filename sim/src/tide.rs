//! What comes and goes with time on the way to the city: links that trickle, uplinks of areas, credentials that run out.

use crate::city::{Blow, Mood};
use crate::oracle::Broken;
use crate::plan::Trouble;
use crate::weather::Weather;
use crate::world::{At, What, World};
use city_domain::limits::BODY_TIMEOUT_MS;
use conch::outbox::engine::{Hint, Input, Request};
use conch::wire::classify::Reply;

/// The gates are one area; six devices in a row are one each.
const ROW: usize = 6;

/// The uplinks of the market's areas.
#[derive(Clone, Debug)]
pub(crate) struct Uplinks {
    /// When each is there again.
    down_until: Vec<u64>,
}

impl Uplinks {
    /// For a market of so many devices.
    pub(crate) fn of(devices: usize) -> Self {
        Self { down_until: vec![0; 2 + devices / ROW] }
    }

    /// How many areas there are.
    pub(crate) fn areas(&self) -> usize {
        self.down_until.len()
    }

    fn is_down(&self, device: usize, now: u64) -> bool {
        self.down_until.get(area_of(device)).is_some_and(|until| *until > now)
    }
}

/// Where a device stands: gates apart, tills in rows.
fn area_of(device: usize) -> usize {
    if device % 3 == 2 { 0 } else { 1 + device / ROW }
}

impl World {
    /// An area loses its uplink for so long, or the whole market does, at most until the weather is good.
    pub(crate) fn uplink_goes(&mut self, area: Option<usize>, ms: u64) {
        let to_the_end = self.one_in(2);
        let weather_ms = self.plan.weather_ms;
        let until = match area {
            None if to_the_end => weather_ms,
            _ => (self.now + ms).min(weather_ms),
        };
        for (place, down_until) in self.uplinks.down_until.iter_mut().enumerate() {
            if area.is_none_or(|area| area == place) {
                *down_until = until.max(*down_until);
            }
        }
        let nobody = At { device: 0, tab: 0, life: 0 };
        self.schedule(until, nobody, What::UplinksReturn { area });
    }

    /// Whoever was cut off hears of the link at the same moment.
    pub(crate) fn uplinks_return(&mut self, area: Option<usize>) {
        if area.is_none() {
            self.met(Weather::Outage);
        }
        for device in 0..self.devices.len() {
            let there = area.is_none_or(|area| area == area_of(device));
            if !there || self.is_cut_off(device) {
                continue;
            }
            let lives: Vec<u64> = (self.devices.get(device).into_iter())
                .flat_map(|own| own.tabs.iter().map(|tab| tab.life))
                .collect();
            for (tab, life) in lives.into_iter().enumerate() {
                self.schedule(self.now, At { device, tab, life }, What::Online);
            }
        }
    }

    pub(crate) fn online(&mut self, at: At) -> Result<(), Broken> {
        self.tell(at, Input::LinkHint(Hint::Online))
    }

    /// Whether a device's area has no uplink.
    pub(crate) fn is_cut_off(&self, device: usize) -> bool {
        self.uplinks.is_down(device, self.now)
    }

    /// A request leaves a device without an uplink: it fails at once, or nobody answers.
    pub(crate) fn meets_dead_uplink(&mut self, at: At, number: u64) {
        let others = (0..self.devices.len()).any(|other| !self.is_cut_off(other));
        if others {
            self.met(Weather::Partition);
        }
        if self.one_in(2) {
            self.schedule(self.now + 20, at, What::Replies { number, reply: Reply::NoAnswer });
        }
    }

    /// A request of which a byte comes now and then. The city waits for it only so long; or the line dies in the middle,
    /// and the city has a half.
    pub(crate) fn trickles(&mut self, at: At, request: Request) {
        let ms = 1_000 + self.chance.up_to(29_000);
        let (dies, told) = (self.one_in(3), self.one_in(2));
        let number = request.number;
        if dies {
            let request = Box::new(request);
            return self.schedule(self.now + ms / 2, at, What::HalfReaches { request });
        }
        if ms <= BODY_TIMEOUT_MS {
            let request = Box::new(request);
            return self.schedule(self.now + ms, at, What::ReachesCity { request, answered: true });
        }
        self.met(Weather::Loris);
        if told {
            let reply = self.city.gave_up();
            self.schedule(self.now + BODY_TIMEOUT_MS, at, What::Replies { number, reply });
        }
    }

    /// No prefix of a request is taken for a whole one.
    pub(crate) fn half_reaches(&mut self, at: At, mut request: Request) -> Result<(), Broken> {
        let Some(body) = request.body.as_mut().filter(|body| body.len() > 1) else { return Ok(()) };
        let most = body.len() as u64 - 2;
        let mut cut = 1 + self.chance.up_to(most) as usize;
        while !body.is_char_boundary(cut) {
            cut -= 1;
        }
        body.truncate(cut);
        if !self.city.is_up() || self.is_cut_off(at.device) {
            return Ok(());
        }
        self.met(Weather::Half);
        let (before, no_blow): (usize, Blow) = (self.city.order.len(), None);
        let _ = self.city.answer(at.device, &request, Mood::Well, no_blow)?;
        match self.city.order.len() == before {
            true => Ok(()),
            false => Err("effect: the city judged events of which it had a half".to_owned()),
        }
    }

    /// An answer of which a byte comes now and then: how much later its end is there.
    pub(crate) fn drips(&mut self) -> u64 {
        let ms = 1_000 + self.chance.up_to(29_000);
        if !self.strikes(Trouble::Slow, 12) {
            return 0;
        }
        if ms > conch::limits::REQUEST_TIMEOUT_MS {
            self.met(Weather::Loris);
        }
        ms
    }

    /// Whether a device comes with credentials that have run out. Asked for new ones the page may still have the old.
    pub(crate) fn distrusted(&mut self, device: usize, request: &Request) -> Result<bool, Broken> {
        let stale = self.bad() && self.one_in(3);
        let own = self.device(device)?;
        if own.expired && request.fresh_credentials && !stale {
            own.expired = false;
        }
        let expired = own.expired;
        if expired {
            self.met(Weather::Expired);
        }
        Ok(expired)
    }
}

//! Every kind of weather by name, with the trouble that blows it and the place where it does, and how often a run met it.

use crate::plan::Trouble;
use core::fmt;

/// One kind of weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Weather {
    /// A request or its answer is lost.
    Loss,
    /// A request arrives twice.
    Doubling,
    /// A request arrives behind a later one.
    Reordering,
    /// A request needs seconds.
    Tail,
    /// The city has committed, and its answer is lost.
    LostAnswer,
    /// A request or an answer trickles for longer than anybody waits.
    Loris,
    /// The city gets a half of a request.
    Half,
    /// A portal answers in the city's place.
    Portal,
    /// 4xx of the city.
    Refusals,
    /// 5xx of the city.
    Failures,
    /// 429.
    Overload,
    /// 401 until a device asks for new credentials.
    Expired,
    /// A request meets the dead uplink of its area, while others have one.
    Partition,
    /// The whole market is cut off, and all its devices return at one moment.
    Outage,
    /// The city is killed at a write.
    CityKilled,
    /// The relay is killed between publishing and marking.
    RelayKilled,
    /// The acquirer loses, refuses or doubles.
    Gateway,
    /// The wall clock of a device jumps.
    ClockJump,
    /// A device whose wall clock is wrong from the beginning.
    Skew,
    /// A page is killed.
    Killed,
    /// A page is killed between a write and its answer.
    KilledMidway,
    /// A page is frozen, and thawed later.
    Frozen,
    /// A service worker is woken beside the pages.
    Worker,
    /// Another context of a device takes the lead.
    HandOver,
    /// A power cut takes back writes that were not strict.
    DroppedWrites,
    /// The connection was lost behind a write that nobody heard the end of.
    DeadHandle,
    /// The disk is full.
    Quota,
    /// A transaction ended without an effect.
    Aborted,
    /// A database is thrown away with rows in it that were owed.
    Evicted,
    /// A page told that it is gone.
    Alarm,
    /// A database is upgraded with rows in it that are owed.
    Upgraded,
    /// An upgrade waits for a page that does not let go.
    Blocked,
    /// An event that the city refuses or cannot read.
    Poison,
    /// An event on which a service fails for ever.
    DeadAtService,
    /// A tap twice within one turn.
    DoubleTap,
    /// An order for which two devices speak.
    SharedOrder,
}

/// All of it: by which trouble it blows, if not by people alone, and where.
pub const WEATHER: [(Weather, Option<Trouble>, &str); 36] = [
    (Weather::Loss, Some(Trouble::Net), "network: send, goes_back"),
    (Weather::Doubling, Some(Trouble::Net), "network: send"),
    (Weather::Reordering, Some(Trouble::Net), "network: send, seen at reaches_city"),
    (Weather::Tail, Some(Trouble::Net), "network: send"),
    (Weather::LostAnswer, Some(Trouble::Net), "network: goes_back"),
    (Weather::Loris, Some(Trouble::Slow), "tide: trickles, drips"),
    (Weather::Half, Some(Trouble::Slow), "tide: half_reaches"),
    (Weather::Portal, Some(Trouble::Net), "network: send"),
    (Weather::Refusals, Some(Trouble::City), "city: answer"),
    (Weather::Failures, Some(Trouble::City), "city: answer"),
    (Weather::Overload, Some(Trouble::City), "city: answer"),
    (Weather::Expired, Some(Trouble::City), "tide: distrusted"),
    (Weather::Partition, Some(Trouble::Area), "tide: uplink_goes"),
    (Weather::Outage, Some(Trouble::Area), "tide: uplink_goes, uplinks_return"),
    (Weather::CityKilled, Some(Trouble::Kill), "market: blow, city_dies"),
    (Weather::RelayKilled, Some(Trouble::Relay), "market: city_turns"),
    (Weather::Gateway, Some(Trouble::Money), "market: luck"),
    (Weather::ClockJump, Some(Trouble::Clock), "world: stroke"),
    (Weather::Skew, Some(Trouble::Clock), "world: add_device"),
    (Weather::Killed, Some(Trouble::Crash), "world: crash"),
    (Weather::KilledMidway, Some(Trouble::Crash), "hands: stored"),
    (Weather::Frozen, Some(Trouble::Freeze), "world: freezes, thaws"),
    (Weather::Worker, Some(Trouble::Hint), "upgrade: syncs"),
    (Weather::HandOver, None, "world: compete; seen at storage: apply"),
    (Weather::DroppedWrites, Some(Trouble::Power), "world: power_cut"),
    (Weather::DeadHandle, Some(Trouble::Handle), "storage: connection"),
    (Weather::Quota, Some(Trouble::Quota), "storage: apply"),
    (Weather::Aborted, Some(Trouble::Handle), "storage: connection"),
    (Weather::Evicted, Some(Trouble::Evict), "upgrade: evicted"),
    (Weather::Alarm, Some(Trouble::Evict), "upgrade: looks_back"),
    (Weather::Upgraded, Some(Trouble::Upgrade), "upgrade: opens"),
    (Weather::Blocked, Some(Trouble::Upgrade), "upgrade: opens"),
    (Weather::Poison, Some(Trouble::Poison), "people: tap"),
    (Weather::DeadAtService, Some(Trouble::Service), "people: tap, sick: handle"),
    (Weather::DoubleTap, None, "people: tap"),
    (Weather::SharedOrder, None, "people: tap, seen at the end"),
];

/// How often each kind of weather was met.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Met([u64; WEATHER.len()]);

impl Met {
    /// Of one kind.
    pub fn of(&self, weather: Weather) -> u64 {
        self.0.get(weather as usize).copied().unwrap_or(0)
    }

    /// So many times more.
    pub fn add(&mut self, weather: Weather, times: u64) {
        if let Some(own) = self.0.get_mut(weather as usize) {
            *own += times;
        }
    }

    /// Every kind with its number.
    pub fn all(&self) -> impl Iterator<Item = (Weather, u64)> + '_ {
        WEATHER.iter().map(|(weather, ..)| (*weather, self.of(*weather)))
    }
}

impl Default for Met {
    fn default() -> Self {
        Self([0; WEATHER.len()])
    }
}

impl core::ops::AddAssign for Met {
    fn add_assign(&mut self, other: Self) {
        for (weather, times) in other.all() {
            self.add(weather, times);
        }
    }
}

impl fmt::Debug for Met {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.all()).finish()
    }
}

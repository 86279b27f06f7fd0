//! What a run is made of, how hard each kind of trouble blows in it, and what it was like.

use crate::bug::Bug;
use crate::weather::Met;
use core::fmt::Write as _;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Trouble {
    /// Requests and answers are lost, doubled, late, or a portal answers.
    Net,
    /// The city is overloaded, fails, distrusts, forgets.
    City,
    /// A page is killed, or closed in good order.
    Crash,
    /// The power goes out: relaxed writes are lost.
    Power,
    /// A page is frozen for a while, also with a request under way.
    Freeze,
    /// Wall clocks are wrong and jump; devices sleep; a week passes.
    Clock,
    /// The database connection is lost at a call, before or after the write took effect.
    Handle,
    /// The disk is full for a while.
    Quota,
    /// What contexts tell each other is lost.
    Hint,
    /// The city's feed repeats itself and loses its place.
    Feed,
    /// Events that the city refuses or cannot read.
    Poison,
    /// The city is killed in the middle of what it writes.
    Kill,
    /// The acquirer loses requests and answers, declines, and takes money twice.
    Money,
    /// Requests and answers that trickle, and requests of which the city gets only a half.
    Slow,
    /// The uplink of an area is gone for minutes, or that of the whole market; then all of it returns at once.
    Area,
    /// A newer page opens the database while an older one holds it.
    Upgrade,
    /// The browser throws a device's whole database away.
    Evict,
    /// Events on which a service of the city fails, a few times or for ever.
    Service,
    /// The relay is killed between putting events on the log and taking them from what is to go there.
    Relay,
}

/// Every kind of trouble with its name on the command line.
pub const TROUBLES: [(Trouble, &str); 19] = [
    (Trouble::Net, "net"),
    (Trouble::City, "city"),
    (Trouble::Crash, "crash"),
    (Trouble::Power, "power"),
    (Trouble::Freeze, "freeze"),
    (Trouble::Clock, "clock"),
    (Trouble::Handle, "handle"),
    (Trouble::Quota, "quota"),
    (Trouble::Hint, "hint"),
    (Trouble::Feed, "feed"),
    (Trouble::Poison, "poison"),
    (Trouble::Kill, "kill"),
    (Trouble::Money, "money"),
    (Trouble::Slow, "slow"),
    (Trouble::Area, "area"),
    (Trouble::Upgrade, "upgrade"),
    (Trouble::Evict, "evict"),
    (Trouble::Service, "service"),
    (Trouble::Relay, "relay"),
];

/// Full force.
pub const FORCE_MAX: u8 = 10;

/// How hard each kind of trouble blows, from 0 (never) to [`FORCE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Force([u8; TROUBLES.len()]);

impl Force {
    /// All the same.
    pub const fn all(force: u8) -> Self {
        Self([force; TROUBLES.len()])
    }

    /// Of one kind.
    pub fn of(&self, trouble: Trouble) -> u8 {
        self.0.get(trouble as usize).copied().unwrap_or(0)
    }

    /// The same with another force of one kind.
    pub fn with(mut self, trouble: Trouble, force: u8) -> Self {
        if let Some(own) = self.0.get_mut(trouble as usize) {
            *own = force.min(FORCE_MAX);
        }
        self
    }
}

/// What a run is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// Devices.
    pub devices: usize,
    /// Most contexts of one device.
    pub tabs: usize,
    /// How often each device is used in bad weather.
    pub taps: u64,
    /// Bad weather lasts so long, in ms; then it is good and everything must settle.
    pub weather_ms: u64,
    /// How hard the weather is.
    pub force: Force,
    /// A fault planted into the world.
    pub bug: Option<Bug>,
}

impl Plan {
    /// Full force for one seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            devices: 3,
            tabs: 3,
            taps: 20,
            weather_ms: 300_000,
            force: Force::all(FORCE_MAX),
            bug: None,
        }
    }

    /// The command that replays it.
    pub fn command(&self) -> String {
        let Self { seed, devices, tabs, taps, weather_ms, .. } = self;
        let mut command = format!(
            "cargo run -p sim -- --seed {seed} --devices {devices} --tabs {tabs} --taps {taps} --weather-ms {weather_ms}"
        );
        for (trouble, name) in TROUBLES {
            let force = self.force.of(trouble);
            if force != FORCE_MAX {
                // Writing to a string cannot fail.
                let _ = write!(command, " --{name} {force}");
            }
        }
        if let Some(bug) = self.bug {
            let _ = write!(command, " (planted: {bug:?})");
        }
        command
    }

    /// Plans that are a little smaller, the smallest first.
    pub fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        if self.devices > 1 {
            plans.push(Self { devices: 1, ..*self });
        }
        for tabs in 1..self.tabs {
            plans.push(Self { tabs, ..*self });
        }
        for (trouble, _) in TROUBLES {
            let force = self.force.of(trouble);
            for less in [0, force / 2, force.saturating_sub(1)] {
                if less < force {
                    plans.push(Self { force: self.force.with(trouble, less), ..*self });
                }
            }
        }
        for taps in [self.taps / 2, self.taps.saturating_sub(1)] {
            if taps < self.taps {
                plans.push(Self { taps, ..*self });
            }
        }
        for weather_ms in [self.weather_ms / 2, self.weather_ms / 4 * 3] {
            if weather_ms < self.weather_ms {
                plans.push(Self { weather_ms, ..*self });
            }
        }
        plans
    }
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
    /// Pages that were killed.
    pub crashes: u64,
    /// Times the power went out.
    pub power_cuts: u64,
    /// Pages that were frozen.
    pub freezes: u64,
    /// Pages that were frozen while they led, with a request under way.
    pub frozen_leaders: u64,
    /// Locks taken from a silent leader.
    pub steals: u64,
    /// Writes of a leader that no longer led.
    pub stale: u64,
    /// Connections that were lost under a call.
    pub lost: u64,
    /// Events that found the disk full.
    pub full: u64,
    /// Events that became too old.
    pub expired: u64,
    /// Dead letters a person decided about.
    pub decided: u64,
    /// Events of the feed that were applied.
    pub heard: u64,
    /// Times the feed started over.
    pub resyncs: u64,
    /// Times the city was killed.
    pub city_kills: u64,
    /// Calls the acquirer heard.
    pub calls: u64,
    /// Money that moved twice and went back.
    pub refunded: u64,
    /// Tickets that let somebody in.
    pub admitted: u64,
    /// Events that the browser threw away before the city had them.
    pub evicted: u64,
    /// How often each kind of weather was met.
    pub met: Met,
    /// How long it took to settle once the weather was good, in ms.
    pub calm_ms: u64,
    /// Hash over everything that happened, in order.
    pub trace: u64,
}

impl core::ops::AddAssign<&Self> for Report {
    fn add_assign(&mut self, one: &Self) {
        self.stored += one.stored;
        self.replayed += one.replayed;
        self.requests += one.requests;
        self.crashes += one.crashes;
        self.power_cuts += one.power_cuts;
        self.freezes += one.freezes;
        self.frozen_leaders += one.frozen_leaders;
        self.steals += one.steals;
        self.stale += one.stale;
        self.lost += one.lost;
        self.full += one.full;
        self.expired += one.expired;
        self.decided += one.decided;
        self.heard += one.heard;
        self.resyncs += one.resyncs;
        self.city_kills += one.city_kills;
        self.calls += one.calls;
        self.refunded += one.refunded;
        self.admitted += one.admitted;
        self.evicted += one.evicted;
        self.met += one.met;
        self.calm_ms = self.calm_ms.max(one.calm_ms);
        self.trace ^= one.trace;
    }
}

impl Report {
    /// What can be summed up over runs, by name.
    pub fn sums(&self) -> [(&'static str, u64); 20] {
        [
            ("stored", self.stored),
            ("replayed", self.replayed),
            ("requests", self.requests),
            ("crashes", self.crashes),
            ("powerCuts", self.power_cuts),
            ("freezes", self.freezes),
            ("frozenLeaders", self.frozen_leaders),
            ("steals", self.steals),
            ("stale", self.stale),
            ("lost", self.lost),
            ("full", self.full),
            ("expired", self.expired),
            ("decided", self.decided),
            ("heard", self.heard),
            ("resyncs", self.resyncs),
            ("cityKills", self.city_kills),
            ("calls", self.calls),
            ("refunded", self.refunded),
            ("admitted", self.admitted),
            ("evicted", self.evicted),
        ]
    }
}

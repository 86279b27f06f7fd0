//! The event loop of the world: one virtual time, one queue, one source of chance.

use crate::city::{City, Luck, MOODS, Mood, drawn, principal};
use crate::device::{Claim, Device, Frozen, Lock, Tab};
use crate::disk::Disk;
use crate::ledgers;
use crate::oracle::{Broken, Context, Memory, Scope, missing, tables_agree};
use crate::plan::{Plan, Report, Trouble};
use crate::tide::Uplinks;
use crate::upgrade::incarnation;
use crate::weather::Weather;
use city_domain::{Answer, Call, limits};
use conch::event::{Identity, UnixMillis};
use conch::limits::RETRY_AFTER_MAX_MS;
use conch::outbox::engine::{Hint, Input, Request, WhyNotSending};
use conch::outbox::port::{Batch, Load};
use conch::outbox::record::Counter;
use conch::pace::{Jitter, Now, Watched};
use conch::wire::classify::Reply;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Epoch of the world's calendar, ms since 1970.
const DAWN: u64 = 1_790_000_000_000;
/// What a wall clock without a battery shows at first, ms since 1970.
const RESET_CLOCK_MS: i64 = 60 * 86_400_000;
/// More events than this for each device and each hour of weather begun are no longer a run but a machine gone mad.
const EVENTS_MAX: u64 = 70_000;
/// Once the weather is good everything settles within this time, in ms: the longest wait a city can impose, which is
/// also the longest that a wall clock set back can make of a wait, and a quarter of an hour for silent leaders, a hidden
/// page's ladder and a person's decisions.
pub const SETTLES_WITHIN_MS: u64 = RETRY_AFTER_MAX_MS + 15 * 60_000 + ledgers::CITY_SETTLES_MS;
/// Two devices whose pages sleep for a week find everything older than the seven days an event may be owed.
const WEEK_AND_A_DAY_MS: u64 = 8 * 24 * 3_600_000;
/// After so many transactions of all devices the oracle looks at everything.
pub(crate) const LOOK_EVERY: u64 = 16;

/// What happens to a device or to one of its contexts.
#[derive(Clone, Debug)]
pub(crate) enum What {
    // To a context, while it lives; a frozen one hears of it later.
    StoreRuns { op: u64, work: Work, again: bool },
    StoreAnswers { input: Box<Input> },
    Replies { number: u64, reply: Reply },
    Wakes { mono_ms: u64 },
    Hears(Word),
    Online,
    Reloads,
    WorkerEnds,
    LockGained { token: u64 },
    LockLost { token: u64 },
    Watched(Watched),
    Hint(Hint),
    Flush,
    // To the city.
    CityTurns,
    AcquirerHears { life: u64, call: Box<Call>, luck: Luck },
    AcquirerAnswers { life: u64, call: Box<Call>, answer: Box<Answer> },
    Settles,
    ReachesCity { request: Box<Request>, answered: bool },
    HalfReaches { request: Box<Request> },
    PollEnds { number: u64 },
    UplinkGoes { area: Option<usize>, ms: u64 },
    UplinksReturn { area: Option<usize> },
    // To the device and its people.
    Tap,
    TapAgain,
    Decide,
    Resume,
    Pause,
    Reopen,
    Crash,
    Leave,
    PowerCut,
    Freezes { ms: u64 },
    Thaws,
    Sleeps { ms: u64, clock_stops: bool },
    ClockJumps { ms: i64 },
    BatteryDies,
    WeekPasses,
    ConnectionGoes { ms: u64 },
    DiskFills { ms: u64 },
    FeedStartsOver,
    Evicted,
    NewRelease,
    TokenExpires,
    Syncs { ms: u64 },
}

impl What {
    fn needs_the_device_awake(&self) -> bool {
        matches!(
            self,
            Self::Tap
                | Self::TapAgain
                | Self::Decide
                | Self::Pause
                | Self::Resume
                | Self::Reopen
                | Self::Crash
                | Self::Leave
                | Self::PowerCut
                | Self::Freezes { .. }
                | Self::Thaws
                | Self::Sleeps { .. }
                | Self::WeekPasses
                | Self::Watched(_)
                | Self::Hint(_)
                | Self::Flush
                | Self::Online
                | Self::Reloads
                | Self::Syncs { .. }
        )
    }
}

/// What is asked of a store.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Apply(Box<Batch>),
    Load(Load),
    Reread,
}

/// What contexts tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Changed,
    Beat,
}

/// Whom something happens to: a device, one of its tabs, and the life it was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) device: usize,
    pub(crate) tab: usize,
    pub(crate) life: u64,
}

impl At {
    pub(crate) fn context(self) -> Context {
        Context { tab: self.tab, life: self.life }
    }
}

/// A question for the feed that the city keeps waiting.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) at: At,
    pub(crate) number: u64,
    pub(crate) question: String,
}

pub(crate) struct World {
    pub(crate) now: u64,
    /// How far the calendar is ahead of the virtual time.
    calendar_ms: u64,
    pub(crate) plan: Plan,
    pub(crate) chance: Jitter,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, (At, What)>,
    next_event: u64,
    pub(crate) devices: Vec<Device>,
    pub(crate) city: City,
    pub(crate) mood: Mood,
    pub(crate) polls: Vec<Poll>,
    pub(crate) uplinks: Uplinks,
    /// When the city's bus turns next.
    pub(crate) turn_at: Option<u64>,
    /// Whether the service of the circuits fails on something for ever.
    pub(crate) lasting_load: bool,
    /// What the city was last seen to have left.
    city_left: Option<String>,
    /// Transactions that ran.
    pub(crate) transactions: u64,
    pub(crate) report: Report,
}

/// Runs a plan to its end. An error names the broken promise and the command that replays the run.
pub fn run(plan: Plan) -> Result<Report, Broken> {
    let mut world = World::new(plan)?;
    match world.play() {
        Ok(()) => Ok(world.report),
        Err(broken) => Err(format!("{broken}\n  at {} ms; replay: {}", world.now, plan.command())),
    }
}

/// Makes a failing plan smaller for as long as it breaks the same promise; at most so many runs.
pub fn shrink(plan: Plan, runs: u32) -> (Plan, Option<Broken>) {
    let promise = |broken: &str| broken.split(':').next().unwrap_or_default().to_owned();
    let Err(mut broken) = run(plan) else { return (plan, None) };
    let (name, mut smallest, mut left) = (promise(&broken), plan, runs);
    loop {
        let mut found = false;
        for smaller in smallest.smaller() {
            if left == 0 {
                return (smallest, Some(broken));
            }
            left -= 1;
            if let Err(still) = run(smaller)
                && promise(&still) == name
            {
                (smallest, broken, found) = (smaller, still, true);
                break;
            }
        }
        if !found {
            return (smallest, Some(broken));
        }
    }
}

impl World {
    fn new(plan: Plan) -> Result<Self, Broken> {
        let principals = (0..plan.devices).filter_map(principal).collect();
        let mut world = Self {
            now: 0,
            calendar_ms: 0,
            plan,
            chance: Jitter::new(plan.seed),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            devices: Vec::new(),
            city: City::new(principals, plan.seed, plan.bug)?,
            mood: Mood::Well,
            polls: Vec::new(),
            uplinks: Uplinks::of(plan.devices),
            turn_at: None,
            lasting_load: false,
            city_left: None,
            transactions: 0,
            report: Report::default(),
        };
        for index in 0..plan.devices {
            world.add_device(index);
        }
        if world.strikes(Trouble::Clock, 4) {
            let at = world.chance.up_to(plan.weather_ms);
            world.happens(at, 0, What::WeekPasses);
        }
        for area in (0..world.uplinks.areas()).map(Some).chain([None]) {
            let (at, ms) = (world.chance.up_to(plan.weather_ms), 20_000 + world.chance.up_to(160_000));
            if world.strikes(Trouble::Area, if area.is_some() { 1 } else { 3 }) {
                world.happens(at, 0, What::UplinkGoes { area, ms });
            }
        }
        world.happens(limits::SETTLE_EVERY_MS, 0, What::Settles);
        Ok(world)
    }

    fn add_device(&mut self, index: usize) {
        let plan = self.plan;
        // The name is well formed by construction; a device that had none would simply not exist.
        let Some(name) = principal(index).map(|own| own.device) else { return };
        let tabs = 1 + self.chance.up_to((plan.tabs.max(1) - 1) as u64) as usize;
        let (has_locks, has_channel) = (!self.one_in(4), !self.one_in(8));
        let off_ms = self.chance.up_to(2 * 86_400_000).cast_signed() - 86_400_000;
        let skewed = self.strikes(Trouble::Clock, 2);
        if skewed {
            self.met(Weather::Skew);
        }
        self.devices.push(Device {
            identity: Identity { device: name, incarnation: incarnation(0) },
            disk: Disk::with(plan.bug),
            disk_free_at: 0,
            health: Default::default(),
            skew_ms: if skewed { off_ms } else { 0 },
            slept_ms: 0,
            asleep_until: 0,
            lock: has_locks.then(Lock::default),
            has_channel,
            memory: Memory::default(),
            past: Vec::new(),
            marker: None,
            published: 1,
            upgrade_asked: false,
            expired: false,
            arrived: BTreeMap::new(),
            emits: 0,
            ready: BTreeMap::new(),
            tabs: (0..=tabs).map(|tab| Tab { worker: tab == tabs, ..Tab::default() }).collect(),
            again: Vec::new(),
            tallies_again: Vec::new(),
            looked_at: false,
            effects: 0,
        });
        for tab in 0..tabs {
            let at = if tab == 0 { 0 } else { self.chance.up_to(plan.weather_ms / 2) };
            self.schedule(at, At { device: index, tab, life: 0 }, What::Reopen);
        }
        for _ in 0..plan.taps {
            self.sometime(index, What::Tap);
        }
        for _ in 0..4 {
            self.sometime(index, What::Decide);
        }
        self.sometime(index, What::Pause);
        for (trouble, times) in [
            (Trouble::Crash, 4),
            (Trouble::Power, 2),
            (Trouble::Freeze, 3),
            (Trouble::Clock, 3),
            (Trouble::Handle, 2),
            (Trouble::Quota, 2),
            (Trouble::Feed, 1),
            (Trouble::Hint, 5),
            (Trouble::City, 1),
            (Trouble::Upgrade, 1),
        ] {
            for _ in 0..times {
                let what = self.stroke(trouble);
                let at = self.chance.up_to(plan.weather_ms);
                if self.strikes(trouble, 1) {
                    self.happens(at, index, what);
                }
            }
        }
        let at = self.chance.up_to(plan.weather_ms);
        if self.strikes(Trouble::Evict, 3) {
            self.happens(at, index, What::Evicted);
        }
        for what in [What::Tap, What::Decide, What::Resume, What::Watched(Watched::Visible)] {
            self.happens(plan.weather_ms + 1, index, what);
        }
    }

    /// One stroke of a kind of trouble, as large as chance will have it.
    fn stroke(&mut self, trouble: Trouble) -> What {
        let (choice, size) = (self.chance.up_to(7), self.chance.up_to(1_000));
        match (trouble, choice) {
            (Trouble::Crash, 0 | 1) => What::Leave,
            (Trouble::Power, _) => What::PowerCut,
            (Trouble::Freeze, 0) => What::Freezes { ms: size * 400 },
            (Trouble::Freeze, _) => What::Freezes { ms: size * 60 },
            (Trouble::Clock, 0 | 1) => What::Sleeps { ms: size * 100, clock_stops: choice == 0 },
            (Trouble::Clock, 2) => What::BatteryDies,
            (Trouble::Clock, 3) => What::ClockJumps { ms: size.cast_signed() * 86_400 * 10 },
            (Trouble::Clock, 4) => What::ClockJumps { ms: -(size.cast_signed()) * 86_400 * 10 },
            (Trouble::Clock, _) => What::ClockJumps { ms: size.cast_signed() * 4 - 2_000 },
            (Trouble::Handle, _) => What::ConnectionGoes { ms: size * 10 },
            (Trouble::Quota, _) => What::DiskFills { ms: size * 30 },
            (Trouble::Feed, _) => What::FeedStartsOver,
            (Trouble::City, _) => What::TokenExpires,
            (Trouble::Upgrade, _) => What::NewRelease,
            (Trouble::Hint, 5 | 6) => What::Syncs { ms: 5_000 + size * 30 },
            (Trouble::Hint, 0) => What::Watched(Watched::Hidden),
            (Trouble::Hint, 1 | 2) => What::Watched(Watched::Visible),
            (Trouble::Hint, 3) => What::Hint(Hint::Online),
            (Trouble::Hint, 4) => What::Flush,
            (Trouble::Hint, _) => What::Hint(Hint::Person),
            _ => What::Crash,
        }
    }

    fn sometime(&mut self, device: usize, what: What) {
        let at = self.chance.up_to(self.plan.weather_ms);
        self.happens(at, device, what);
    }

    fn play(&mut self) -> Result<(), Broken> {
        let deadline = self.plan.weather_ms + SETTLES_WITHIN_MS;
        let hours = self.plan.weather_ms / 3_600_000 + 1;
        let events_max = EVENTS_MAX * hours * self.plan.devices as u64;
        while let Some(Reverse((time, number))) = self.queue.pop() {
            let Some((at, what)) = self.events.remove(&number) else { continue };
            if time > deadline {
                break;
            }
            self.now = time;
            self.city.clock = self.calendar();
            if self.next_event > events_max {
                return Err("bounded: the run never comes to rest".to_owned());
            }
            let place = (at.device as u64) << 40 ^ (at.tab as u64) << 48 ^ at.life << 52;
            self.trace(time ^ number.rotate_left(17) ^ place);
            self.happen(at, what)?;
            if time > self.plan.weather_ms && self.all_settled()? {
                self.report.calm_ms = time - self.plan.weather_ms;
                return self.end();
            }
        }
        Err(format!("liveness: the weather is good, but {}", self.left()))
    }

    fn happen(&mut self, at: At, what: What) -> Result<(), Broken> {
        // Nothing is done on a device that sleeps, and nobody touches it.
        let asleep_until = self.device(at.device)?.asleep_until;
        if asleep_until > self.now && what.needs_the_device_awake() {
            self.schedule(asleep_until, at, what);
            return Ok(());
        }
        match what {
            What::CityTurns => return self.city_turns(),
            What::AcquirerHears { life, call, luck } => return self.acquirer_hears(life, call, luck),
            What::AcquirerAnswers { life, call, answer } => {
                return self.acquirer_answers(life, &call, &answer);
            }
            What::Settles => return self.settles(),
            What::ReachesCity { request, answered } => return self.reaches_city(at, &request, answered),
            What::PollEnds { number } => return self.poll_ends(at, number),
            What::HalfReaches { request } => return self.half_reaches(at, *request),
            What::UplinkGoes { area, ms } => {
                self.uplink_goes(area, ms);
                return Ok(());
            }
            What::UplinksReturn { area } => {
                self.uplinks_return(area);
                return Ok(());
            }
            What::Evicted => return self.evicted(at.device),
            What::NewRelease => return self.released(at.device),
            What::TokenExpires => {
                self.device(at.device)?.expired = true;
                return Ok(());
            }
            What::Syncs { ms } => return self.syncs(at.device, ms),
            What::WorkerEnds => return self.worker_ends(at),
            What::Reloads => return self.reloads(at),
            What::WeekPasses => return self.week_passes(),
            What::Reopen => return self.reopen(at.device, at.tab),
            What::Crash => return self.crash(at.device, false),
            What::Leave => return self.crash(at.device, true),
            What::PowerCut => return self.power_cut(at.device),
            What::Thaws => return self.thaws(at),
            What::ClockJumps { ms } => {
                let device = self.device(at.device)?;
                device.skew_ms = device.skew_ms.saturating_add(ms);
                self.met(Weather::ClockJump);
                return Ok(());
            }
            // Its wall clock begins anew, at some early time.
            What::BatteryDies => {
                let behind = self.calendar().0.cast_signed() - RESET_CLOCK_MS;
                self.device(at.device)?.skew_ms = -behind;
                return Ok(());
            }
            What::Sleeps { ms, clock_stops } => return self.sleeps(at.device, ms, clock_stops),
            What::ConnectionGoes { ms } => {
                self.device(at.device)?.health.gone_until = self.now + ms;
                return Ok(());
            }
            What::DiskFills { ms } => {
                let (room, brimful) = (self.chance.up_to(3) as usize, self.one_in(2));
                let until = self.now + ms;
                let health = &mut self.device(at.device)?.health;
                (health.full_until, health.room, health.brimful) = (until, room, brimful);
                return Ok(());
            }
            What::FeedStartsOver => {
                let forgotten = self.chance.up_to(4) as usize;
                if let Some(feed) = self.city.feeds.get_mut(at.device) {
                    feed.start_over(forgotten);
                }
                return Ok(());
            }
            What::Tap => return self.tap(at.device),
            What::TapAgain => return self.tap_again(at.device),
            What::Decide => return self.decide(at.device),
            What::Pause => return self.pause(at.device, true),
            What::Resume => return self.pause(at.device, false),
            What::Freezes { ms } => {
                let Some(tab) = self.awake(at.device)? else { return Ok(()) };
                return self.freezes(at.device, tab, ms);
            }
            // In good weather somebody looks at all of them.
            What::Watched(watched) if !self.bad() => {
                return self.everyone(at.device, &Input::Watched(watched));
            }
            What::Watched(watched) => return self.anyone(at.device, Input::Watched(watched)),
            What::Hint(hint) => return self.anyone(at.device, Input::LinkHint(hint)),
            What::Flush => return self.anyone(at.device, Input::Flush),
            _ => {}
        }
        let tab = self.tab(at)?;
        if tab.life != at.life || tab.engine.is_none() {
            return Ok(());
        }
        // A page whose scripts do not run hears of it later; what the browser does for it goes on, or not.
        let runs = matches!(what, What::StoreRuns { .. });
        if let Some(frozen) = tab.frozen.as_mut().filter(|frozen| !runs || frozen.store_too) {
            frozen.waiting.push_back(what);
            return Ok(());
        }
        match what {
            What::StoreRuns { op, work, again } => self.store_runs(at, op, work, again),
            What::StoreAnswers { input } => self.tell(at, *input),
            What::Replies { number, reply } => self.replies(at, number, reply),
            What::Wakes { mono_ms } => self.wakes(at, mono_ms),
            What::Hears(word) => self.hears(at, word),
            What::Online => self.online(at),
            What::LockGained { token } => self.lock_gained(at, token),
            What::LockLost { token } => self.lock_lost(at, token),
            _ => Ok(()),
        }
    }

    // The life of a page.

    /// One page is killed, or closed in good order: then it says that it leaves, but nobody waits for the words.
    fn crash(&mut self, device: usize, in_good_order: bool) -> Result<(), Broken> {
        let index = self.chance.up_to(7) as usize % self.device(device)?.tabs.len().max(1);
        let long = self.one_in(4);
        let pause = self.chance.up_to(if long { 60_000 } else { 5_000 });
        let lingers = self.one_in(2);
        let at = self.alive(device, index)?;
        if in_good_order && self.tab(at)?.frozen.is_none() {
            self.tell(at, Input::Leaving)?;
            if lingers {
                // It is shown again before it is gone.
                return self.freezes(device, index, pause);
            }
        }
        if self.tab(at)?.engine.is_some() {
            self.report.crashes += 1;
            self.met(Weather::Killed);
        }
        self.ends(at, pause)?;
        self.look(device)
    }

    fn power_cut(&mut self, device: usize) -> Result<(), Broken> {
        let dark = self.chance.up_to(20_000);
        for index in 0..self.device(device)?.tabs.len() {
            let (at, wait) = (self.alive(device, index)?, self.chance.up_to(3_000));
            self.ends(at, dark + wait)?;
        }
        let own = self.device(device)?;
        own.disk_free_at = 0;
        let unflushed = own.disk.unflushed() as u64;
        let survive = self.chance.up_to(unflushed) as usize;
        let own = self.device(device)?;
        let dropped = unflushed > survive as u64;
        own.disk.power_cut(survive);
        own.memory.power_cut(&own.disk);
        self.report.power_cuts += 1;
        if dropped {
            self.met(Weather::DroppedWrites);
        }
        self.look(device)
    }

    /// A page ends without a word, and is opened again later.
    pub(crate) fn ends(&mut self, at: At, pause: u64) -> Result<(), Broken> {
        let tab = self.tab(at)?;
        if tab.engine.take().is_none() {
            return Ok(());
        }
        tab.life += 1;
        tab.timer = None;
        tab.frozen = None;
        tab.failed = false;
        tab.holds = false;
        tab.decisions.clear();
        let worker = tab.worker;
        // Whoever was not told that it is safe will tap again: the same sale, the same key.
        let taps = core::mem::take(&mut tab.taps);
        let tallies = core::mem::take(&mut tab.tallies);
        let device = self.device(at.device)?;
        device.again.extend(taps.into_values());
        device.tallies_again.extend(tallies.into_values());
        let next = device.lock.as_mut().and_then(|lock| lock.release(at.context()));
        self.granted(at.device, next);
        // A page that hung may have been in the way of an upgrade.
        self.lets_go_late(at.device)?;
        if !worker {
            self.schedule(self.now + pause, at, What::Reopen);
        }
        Ok(())
    }

    pub(crate) fn freezes(&mut self, device: usize, index: usize, ms: u64) -> Result<(), Broken> {
        let store_too = self.one_in(2);
        let at = self.alive(device, index)?;
        let now = self.clock(at)?;
        let tab = self.tab(at)?;
        let Some(engine) = tab.engine.as_ref().filter(|_| tab.frozen.is_none()) else { return Ok(()) };
        let leads = engine.is_busy() && engine.snapshot(now).leader;
        self.report.met.add(Weather::Frozen, 1);
        let tab = self.tab(at)?;
        tab.frozen = Some(Frozen { store_too, ..Frozen::default() });
        self.report.freezes += 1;
        self.report.frozen_leaders += u64::from(leads);
        self.schedule(self.now + ms, at, What::Thaws);
        Ok(())
    }

    /// Its scripts run again: what waited happens now, and the page is looked at before or after.
    fn thaws(&mut self, at: At) -> Result<(), Broken> {
        let first = self.one_in(2);
        let tab = self.tab(at)?;
        if tab.life != at.life {
            return Ok(());
        }
        let Some(frozen) = tab.frozen.take() else { return Ok(()) };
        self.lets_go_late(at.device)?;
        if first {
            self.perk_up(at, Hint::Person)?;
        }
        for what in frozen.waiting {
            self.schedule(self.now, at, what);
        }
        if first { Ok(()) } else { self.perk_up(at, Hint::Person) }
    }

    fn perk_up(&mut self, at: At, hint: Hint) -> Result<(), Broken> {
        self.tell(at, Input::LinkHint(hint))?;
        self.tell(at, Input::Wake)
    }

    /// The whole device sleeps. Its monotonic clock may stand still meanwhile, as some do.
    fn sleeps(&mut self, device: usize, ms: u64, clock_stops: bool) -> Result<(), Broken> {
        for index in 0..self.device(device)?.tabs.len() {
            self.freezes(device, index, ms)?;
        }
        let until = self.now + ms;
        let own = self.device(device)?;
        own.asleep_until = until;
        own.slept_ms += if clock_stops { ms } else { 0 };
        Ok(())
    }

    /// Every device sleeps for more than a week and wakes at the same virtual time.
    fn week_passes(&mut self) -> Result<(), Broken> {
        self.calendar_ms += WEEK_AND_A_DAY_MS;
        self.city.clock = self.calendar();
        for device in 0..self.devices.len() {
            if self.one_in(2) {
                // This one's monotonic clock stood still.
                self.device(device)?.slept_ms += WEEK_AND_A_DAY_MS;
            }
            for index in 0..self.device(device)?.tabs.len() {
                let at = self.alive(device, index)?;
                if self.tab(at)?.frozen.is_none() {
                    self.perk_up(at, Hint::Person)?;
                }
            }
        }
        Ok(())
    }

    fn anyone(&mut self, device: usize, input: Input) -> Result<(), Broken> {
        let Some(tab) = self.awake(device)? else { return Ok(()) };
        let at = self.alive(device, tab)?;
        self.tell(at, input)
    }

    fn everyone(&mut self, device: usize, input: &Input) -> Result<(), Broken> {
        for index in 0..self.device(device)?.tabs.len() {
            let at = self.alive(device, index)?;
            if self.tab(at)?.worker {
                continue;
            }
            self.tell(at, input.clone())?;
        }
        Ok(())
    }

    // The lock.

    pub(crate) fn compete(&mut self, at: At, how: Claiming) -> Result<(), Broken> {
        let now = self.now;
        let device = self.device(at.device)?;
        let Some(lock) = &mut device.lock else { return self.tell(at, Input::NoLocks) };
        let next = lock.release(at.context());
        let (claim, granted, robbed) = match how {
            Claiming::InTurn => {
                let (claim, granted) = lock.request(at.context());
                (claim, granted, None)
            }
            Claiming::Steal => {
                let (claim, robbed) = lock.steal(at.context());
                (claim, true, robbed)
            }
        };
        // Whoever was given the lock when we let go of it may have been robbed of it again at once.
        let next = next.filter(|next| robbed != Some(*next));
        if let Some(tab) = device.tabs.get_mut(at.tab) {
            tab.token = claim.token;
        }
        if let Some(robbed) = robbed {
            self.report.steals += 1;
            let whom = At { device: at.device, tab: robbed.context.tab, life: robbed.context.life };
            self.schedule(now + 1, whom, What::LockLost { token: robbed.token });
        }
        self.granted(at.device, next);
        self.granted(at.device, granted.then_some(claim));
        Ok(())
    }

    fn granted(&mut self, device: usize, claim: Option<Claim>) {
        let Some(Claim { context, token }) = claim else { return };
        let wait = self.chance.up_to(3);
        let whom = At { device, tab: context.tab, life: context.life };
        self.schedule(self.now + wait, whom, What::LockGained { token });
    }

    fn lock_gained(&mut self, at: At, token: u64) -> Result<(), Broken> {
        if self.tab(at)?.token != token {
            return Ok(());
        }
        self.tell(at, Input::LeadGained)
    }

    fn lock_lost(&mut self, at: At, token: u64) -> Result<(), Broken> {
        if self.tab(at)?.token != token {
            return Ok(());
        }
        self.tell(at, Input::LeadLost)?;
        self.compete(at, Claiming::InTurn)
    }

    // The end.

    fn all_settled(&mut self) -> Result<bool, Broken> {
        let mut settled = true;
        for index in 0..self.devices.len() {
            let now = self.now;
            let device = self.device(index)?;
            // Whoever has asked for something waits a while for the answer.
            let asked = device.tabs.iter().any(|tab| tab.engine.is_some() && tab.wishes > 0);
            let soon = now + if asked { 10_000 } else { 500 };
            let tables = &device.disk.now;
            let (dead, paused) = (tables.counter.dead > 0, tables.paused);
            let untold = !device.again.is_empty() || !device.tallies_again.is_empty();
            if (dead || paused || untold) && !core::mem::replace(&mut device.looked_at, true) {
                let what = if dead {
                    What::Decide
                } else if paused {
                    What::Resume
                } else {
                    What::TapAgain
                };
                self.happens(soon, index, what);
            }
            let device = self.device(index)?;
            let told = device.tabs.iter().all(|tab| tab.taps.is_empty() && tab.tallies.is_empty());
            let heard = self.city.feeds.get(index).is_none_or(|feed| {
                self.devices.get(index).is_some_and(|own| missing(&own.disk.now, feed, usize::MAX).is_none())
            });
            let device = self.device(index)?;
            let lives = device.past.len();
            let is_page = |tab: &Tab| tab.engine.is_some() && !tab.worker && tab.born == lives;
            let idle = device.tabs.iter().any(is_page) && device.disk.now.counter.owed == 0;
            settled &= idle && told && heard && !dead && !paused && !untold;
        }
        // The city's part is looked at last, for it takes longest.
        if settled && let Some(left) = ledgers::left(&mut self.city)? {
            self.city_left = Some(left);
            self.city.look_at_refunds()?;
            settled = false;
        }
        Ok(settled)
    }

    fn left(&self) -> String {
        let left = self.devices.iter().enumerate().map(|(index, device)| {
            let whys: Vec<String> = (device.tabs.iter().enumerate())
                .map(|(tab, own)| {
                    let at = At { device: index, tab, life: own.life };
                    let why = |engine: &conch::outbox::Engine| {
                        let snapshot = engine.snapshot(self.clock(at).unwrap_or_default());
                        format!(
                            "{:?} leads {} owed {} dead {}",
                            snapshot.why, snapshot.leader, snapshot.counter.owed, snapshot.counter.dead
                        )
                    };
                    own.engine.as_ref().map_or("closed".to_owned(), why)
                })
                .collect();
            let unheard =
                self.city.feeds.get(index).and_then(|feed| missing(&device.disk.now, feed, usize::MAX));
            let Counter { owed, dead, .. } = device.disk.now.counter;
            format!(
                "till-{index} owes {owed}, dead {dead}, paused {}, unheard {}, to be tapped again {} [{}]",
                device.disk.now.paused,
                unheard.is_some(),
                device.again.len() + device.tallies_again.len(),
                whys.join(", "),
            )
        });
        let city = self.city_left.iter().map(|left| format!("the city: {left}"));
        left.chain(city).collect::<Vec<_>>().join("; ")
    }

    fn end(&mut self) -> Result<(), Broken> {
        for index in 0..self.devices.len() {
            self.look(index)?;
            let Some(device) = self.devices.get(index) else { continue };
            device.memory.nothing_vanished(&device.disk, &self.city)?;
            device.memory.judged_in_order(&self.city, &device.identity.source())?;
            for past in &device.past {
                self.report.evicted += past.memory.lost_by_the_browser(&past.disk, &self.city)?;
                past.memory.judged_in_order(&self.city, &past.identity.source())?;
                if past.marked && !past.told {
                    return Err(format!("evicted: nobody was told of {}", past.identity.incarnation));
                }
            }
            for (tab, own) in device.tabs.iter().enumerate() {
                let Some(engine) = own.engine.as_ref().filter(|own| !own.is_busy()) else { continue };
                let at = At { device: index, tab, life: own.life };
                let snapshot = engine.snapshot(self.clock(at)?);
                let leads = device.memory.is_led_by(at.context()) && own.frozen.is_none();
                let says_owed = leads && snapshot.leader && snapshot.counter.owed > 0;
                if says_owed || snapshot.why == WhyNotSending::Opening {
                    return Err(format!("honest-words: nothing is owed, but the leader says {snapshot:?}"));
                }
            }
        }
        if let Some(((_, intent), times)) = self.city.effects.iter().find(|(_, times)| **times != 1) {
            return Err(format!("effect: {intent} had its effect {times} times"));
        }
        let held = ledgers::hold(&mut self.city)?;
        (self.report.refunded, self.report.admitted) = (held.refunded, held.admitted);
        self.report.met.add(Weather::DeadAtService, held.dead);
        self.report.met.add(Weather::SharedOrder, held.shared);
        Ok(())
    }

    /// The oracle looks at all of a device's disk.
    pub(crate) fn look(&mut self, index: usize) -> Result<(), Broken> {
        let Some(device) = self.devices.get_mut(index) else { return Ok(()) };
        tables_agree(&device.disk.now, &self.city, Scope::All)?;
        if let Some(feed) = self.city.feeds.get(index) {
            device.memory.applied_once(&device.disk, feed)?;
        }
        self.watch(index)
    }

    // Small things.

    /// That weather was met.
    pub(crate) fn met(&mut self, weather: Weather) {
        self.report.met.add(weather, 1);
    }

    pub(crate) fn bad(&self) -> bool {
        self.now < self.plan.weather_ms
    }

    fn calendar(&self) -> UnixMillis {
        UnixMillis(DAWN + self.calendar_ms + self.now)
    }

    pub(crate) fn mono_of(&self, device: usize) -> Result<u64, Broken> {
        let slept = self.devices.get(device).map_or(0, |own| own.slept_ms);
        // It begins late enough to stand still for a while.
        Ok((1_000_000_000_000 + self.calendar_ms + self.now).saturating_sub(slept))
    }

    /// What a page's clocks show. The monotonic one begins with the page.
    pub(crate) fn clock(&self, at: At) -> Result<Now, Broken> {
        let (device, mono) = (self.devices.get(at.device), self.mono_of(at.device)?);
        let origin = device.and_then(|own| own.tabs.get(at.tab)).map_or(0, |tab| tab.origin_ms);
        let skew = device.map_or(0, |own| own.skew_ms);
        let wall = UnixMillis(self.calendar().0.saturating_add_signed(skew));
        Ok(Now { mono_ms: mono.saturating_sub(origin), wall })
    }

    pub(crate) fn device(&mut self, index: usize) -> Result<&mut Device, Broken> {
        self.devices.get_mut(index).ok_or_else(|| format!("no device {index}"))
    }

    pub(crate) fn tab(&mut self, at: At) -> Result<&mut Tab, Broken> {
        let tab = self.device(at.device)?.tabs.get_mut(at.tab);
        tab.ok_or_else(|| format!("no tab {} on device {}", at.tab, at.device))
    }

    /// A tab in the life it has now.
    pub(crate) fn alive(&mut self, device: usize, tab: usize) -> Result<At, Broken> {
        let life = self.tab(At { device, tab, life: 0 })?.life;
        Ok(At { device, tab, life })
    }

    /// Some tab whose scripts run.
    pub(crate) fn awake(&mut self, device: usize) -> Result<Option<usize>, Broken> {
        let start = self.chance.up_to(5) as usize;
        let tabs = &self.device(device)?.tabs;
        let mut turns = (0..tabs.len()).map(|turn| (start + turn) % tabs.len());
        let runs = |own: &Tab| own.engine.is_some() && own.frozen.is_none() && !own.worker;
        Ok(turns.find(|index| tabs.get(*index).is_some_and(runs)))
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.chance.up_to(times.saturating_sub(1)) == 0
    }

    /// Whether trouble strikes that at full force strikes once in so many times. It takes one draw whatever the
    /// force, so that a run changes little when one force is lowered; and nothing strikes in good weather.
    pub(crate) fn strikes(&mut self, trouble: Trouble, times: u64) -> bool {
        let drawn = self.chance.up_to(times * u64::from(crate::plan::FORCE_MAX) - 1);
        self.bad() && drawn < u64::from(self.plan.force.of(trouble))
    }

    pub(crate) fn change_mood(&mut self) {
        let drawn = self.chance.up_to(MOODS.len() as u64 - 1) as usize;
        if self.strikes(Trouble::City, 15) {
            self.mood = MOODS.get(drawn).copied().unwrap_or(Mood::Well);
        }
    }

    pub(crate) fn entropy(&mut self) -> [u8; 10] {
        drawn(&mut self.chance)
    }

    /// Something happens to a device as a whole.
    pub(crate) fn happens(&mut self, time: u64, device: usize, what: What) {
        self.schedule(time, At { device, tab: 0, life: 0 }, what);
    }

    pub(crate) fn schedule(&mut self, time: u64, at: At, what: What) {
        self.next_event += 1;
        self.events.insert(self.next_event, (at, what));
        self.queue.push(Reverse((time, self.next_event)));
    }

    pub(crate) fn trace(&mut self, value: u64) {
        self.report.trace = (self.report.trace ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}

/// How a context asks for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claiming {
    InTurn,
    Steal,
}

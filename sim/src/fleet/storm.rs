//! The storm: every device has one event and comes back within ten milliseconds.
//!
//! The city serves one request after the other and lets half a second of them wait; whoever comes then is turned away at
//! once, which costs it a share of a request. There is no loss and no time-out.
//!
//! What cannot be done better, with N devices, capacity C, a queue that takes K of them at once and refusals that cost the
//! part ρ of a request:
//!
//! - Each event takes one request, and without a word beforehand all but K devices must be turned away once: requests per
//!   event are at least 2 − K/N. Whoever was turned away must still be served, so all refusals come before the last event
//!   is in: the end is at least 1 + ρ·(requests per event − 1) times N/C.
//! - When the j-th to be turned away is to come back, is decided before anybody knows how many more there are. Say that
//!   every storm of K + j devices ends by S + R·j/C; then the j-th must be back by then, for it may be the last. In a storm of
//!   N the city owes ρ(N − K)/C of refusals right after the first wave, besides its full queue. Until that is paid whoever
//!   comes back is turned away again, and makes it longer: with M such devices it is paid at D = ρ(N − K + M)/C, and M is at
//!   least (D − S)·C/R. So M ≥ (ρ(N − K) − S·C)/(R − ρ), and requests per event are at least 2 − K/N + M/N.
//!
//! A late end of small storms makes M small, and a small M makes an early end possible: both together give the least pair.

use super::backoff::{Backoff, Waits};
use super::edge::{Edge, wall};
use city_domain::Pacer;
use city_domain::limits::{REFUSAL_COST, SLOT_FIRST_MS, SLOT_SHARE};
use conch::event::Device;
use conch::pace::Jitter;
use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// From a device to the city, or back.
const ONE_WAY_US: u64 = 25_000;
/// What waits in the city at most.
const QUEUE_US: u64 = 500_000;
/// The link comes back to all within so long.
const RETURN_US: u64 = 10_000;
/// So long it was gone.
const OUTAGE_US: u64 = 120_000_000;
/// When it comes back: before, the devices heard from the city once and then met the outage.
const START_US: u64 = OUTAGE_US + 10_000_000;
/// A run ends after so many times N/C, whoever is still waiting.
const PATIENCE: u64 = 20;
/// Or after so many requests per event.
const REQUESTS_PER_EVENT_MAX: u64 = 250;

/// What is wanted without a word beforehand.
pub(super) const GOAL_COLD: Bound = Bound { requests_per_event: 2.1, ratio: 1.15 };

/// µs as ms, downwards, as a device's clock shows them.
pub(super) fn ms(us: u64) -> u64 {
    us / 1_000
}

/// A city, how many come, and what it costs to turn one away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storm {
    /// Requests per second.
    pub capacity: u32,
    /// What the city needs for all of them at least, N/C, in s.
    pub span_s: u32,
    /// Cost of a refusal in % of a request.
    pub refusal_percent: u32,
    /// Everything random follows from it.
    pub seed: u64,
}

/// What the devices do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// They are turned away without a word, and wait by themselves.
    Plain(Backoff),
    /// They run Conch, and so does the city.
    Conch(Knows),
}

/// What our devices know when they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// The window, from an answer before the outage, when so many in a hundred had been heard by the city; the browser
    /// tells them that the link is back.
    Window {
        /// Devices that the city knew of.
        heard_percent: u32,
    },
    /// The window too, but nobody tells them: it was the city that was gone, and each finds out by its ladder.
    Silence,
    /// Nothing: never heard of the city, and all with something to tell at once.
    Nothing,
    /// Nothing, and slots count a refusal as the real city's do, with [`REFUSAL_COST`], whatever it costs.
    NothingAsBuilt,
    /// Nothing, and the city does not say when to come back either.
    NothingAndMute,
}

/// What a policy of ours may need at most, or what none can do without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Requests per event.
    pub requests_per_event: f64,
    /// When the last is in, as a multiple of N/C.
    pub ratio: f64,
}

impl Bound {
    /// Whether all was taken once, and within it.
    pub fn holds(&self, outcome: &Outcome) -> bool {
        let once = outcome.taken == outcome.devices;
        let in_time = outcome.ratio().is_some_and(|ratio| ratio <= self.ratio);
        once && in_time && outcome.requests_per_event() <= self.requests_per_event
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Events.
    pub devices: u64,
    /// Requests that reached the city.
    pub requests: u64,
    /// Events that the city took; more than devices would be a double effect.
    pub taken: u64,
    /// When each device had its answer, ascending, in µs from the start.
    pub done_us: Vec<u64>,
    /// Requests in each second.
    pub per_second: Vec<u64>,
    storm: Storm,
}

impl Storm {
    /// Devices that come.
    pub fn devices(&self) -> u64 {
        u64::from(self.capacity) * u64::from(self.span_s)
    }

    /// The part of the devices that must be turned away without a word beforehand: all that do not fit into the queue and
    /// are not served while they come.
    pub(super) fn turned_away(&self) -> f64 {
        let at_once = (QUEUE_US + RETURN_US) as f64 / 1e6 * f64::from(self.capacity) + 1.0;
        1.0 - at_once / self.devices() as f64
    }

    /// Cost of a refusal as a part of a request.
    pub(super) fn refusal_cost(&self) -> f64 {
        f64::from(self.refusal_percent) / 100.0
    }

    /// How long after the storm's begin a device is in at the soonest that was turned away and given the first slot.
    fn first_slot(&self) -> f64 {
        (SLOT_FIRST_MS * 1e3 + 4.0 * ONE_WAY_US as f64) / (f64::from(self.span_s) * 1e6)
    }

    /// What the refusals of the first wave take of N/C beyond the first slot: while that lasts devices are turned away again.
    fn owed_at_first_slot(&self) -> f64 {
        (self.refusal_cost() * self.turned_away() - self.first_slot()).max(0.0)
    }

    /// The least part of N/C after which all can be in, given the requests per event.
    pub fn least_ratio(&self, requests_per_event: f64) -> f64 {
        1.0 + self.refusal_cost() * (requests_per_event - 1.0)
    }

    /// The least requests per event without a word beforehand, for a city in which every smaller storm ends as soon, on the
    /// line from the first slot to this storm's end.
    pub fn least_requests(&self, ratio: f64) -> f64 {
        let (first, again) = (self.turned_away(), self.owed_at_first_slot());
        let spare = ratio - self.first_slot() - self.refusal_cost() * first;
        1.0 + first + if again > 0.0 { first * again / spare.max(f64::MIN_POSITIVE) } else { 0.0 }
    }

    /// The least end without a word beforehand, with the requests that go with it: where [`Self::least_ratio`] and
    /// [`Self::least_requests`] meet.
    pub fn least_cold(&self) -> Bound {
        let (first, again, cost) = (self.turned_away(), self.owed_at_first_slot(), self.refusal_cost());
        // With z for the end less the first slot and the first wave's refusals: z² − (1 − S)z − ρ·first·again = 0.
        let span = 1.0 - self.first_slot();
        let root = f64::midpoint(span, (span * span + 4.0 * cost * first * again).sqrt());
        let ratio = root + self.first_slot() + cost * first;
        Bound { requests_per_event: self.least_requests(ratio), ratio }
    }

    /// How late the end of every storm would have to be for so few requests per event; none if that is too few whatever
    /// the end.
    pub fn end_for(&self, requests_per_event: f64) -> Option<f64> {
        let (first, again) = (self.turned_away(), self.owed_at_first_slot());
        let spare = requests_per_event - 1.0 - first;
        let line = if again > 0.0 {
            first * again / spare + self.first_slot() + self.refusal_cost() * first
        } else {
            0.0
        };
        (spare > 0.0).then(|| line.max(self.least_ratio(requests_per_event)))
    }

    /// What our devices may need at most when they know the window. The window is a fifth longer than N/C, rather than
    /// too short.
    pub fn bound_warm(&self) -> Bound {
        Bound { requests_per_event: 1.05, ratio: 1.25 }
    }

    /// What they may need at most when they know nothing.
    ///
    /// The first slots follow one another at a share of the capacity, until the debt of the first wave, ρ each, outlasts the
    /// first slot. From then on a slot comes when the debt is paid and all who were told before are served: what passes of
    /// them meanwhile, at c from one to the next, lengthens the debt to ρ/(1 − ρ/c) for each, so that c is the greater root
    /// of c = ρ/(1 − ρ/c) + 1/share. Whoever holds a slot that passes is turned away once more. The end comes when after the
    /// debt all are served at that share; those who come at once when it is paid find the queue full, which lasts at most.
    pub fn bound_cold(&self) -> Bound {
        let (first, start, cost) = (self.turned_away(), self.first_slot(), self.refusal_cost());
        let dense = 1.0 / SLOT_SHARE;
        // So many of the devices, at so much from one to the next, where the first come so much sooner.
        let passed = |step: f64, sooner: f64| (cost * first - start + sooner) / (step - cost);
        let again = passed(dense, 0.0).min(passed(self.wide_step(), self.sooner())).max(0.0);
        let span_us = f64::from(self.span_s) * 1e6;
        let debt = cost * (first + again) + (QUEUE_US + 4 * ONE_WAY_US) as f64 / span_us;
        Bound {
            requests_per_event: 1.0 + first + again + 0.02,
            ratio: debt.max(start) + first * dense + 0.005,
        }
    }

    /// From one slot to the next once refusals are in debt for long, as a multiple of 1/C.
    pub(super) fn wide_step(&self) -> f64 {
        let (cost, dense) = (self.refusal_cost(), 1.0 / SLOT_SHARE);
        let both = 2.0 * cost + dense;
        f64::midpoint(both, (both * both - 4.0 * cost * dense).sqrt())
    }

    /// How much sooner slots come than at that step, because the first follow one another at once.
    fn sooner(&self) -> f64 {
        let dense_slots =
            SLOT_FIRST_MS / 1e3 / f64::from(self.span_s) / self.refusal_cost().max(f64::MIN_POSITIVE);
        dense_slots.min(1.0) * (self.wide_step() - 1.0 / SLOT_SHARE)
    }

    /// What is wanted without a word beforehand where turning somebody away is cheap: a tenth of taking an event.
    pub fn goal_cold(&self) -> Option<Bound> {
        (self.refusal_percent <= 10).then_some(GOAL_COLD)
    }

    /// Runs it.
    pub fn run(self, policy: Policy) -> Outcome {
        Run::new(self, policy).finish()
    }
}

impl Outcome {
    /// Requests per event.
    pub fn requests_per_event(&self) -> f64 {
        self.requests as f64 / self.devices as f64
    }

    /// Part of the devices that got their answer.
    pub fn share_done(&self) -> f64 {
        self.done_us.len() as f64 / self.devices as f64
    }

    /// When the last was in, as a multiple of N/C; none if some never were.
    pub fn ratio(&self) -> Option<f64> {
        self.ratio_at(100)
    }

    /// When so many of a hundred were in, likewise.
    pub fn ratio_at(&self, percent: u64) -> Option<f64> {
        let place = (self.devices * percent).div_ceil(100).max(1) - 1;
        let at = self.done_us.get(usize::try_from(place).ok()?)?;
        Some(*at as f64 / (f64::from(self.storm.span_s) * 1e6))
    }

    /// Most requests in one second, as a multiple of what the city takes in one.
    pub fn peak(&self) -> f64 {
        self.per_second.iter().max().map_or(0.0, |most| *most as f64 / f64::from(self.storm.capacity))
    }
}

/// What the city answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) verdict: Verdict,
    pub(super) window_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Taken,
    Refused { slot_ms: Option<u64> },
}

/// The city: its queue modelled, its pacer real.
struct City {
    pacer: Pacer,
    is_mute: bool,
    serve_us: u64,
    refuse_us: u64,
    /// When it will have done all that it took on.
    free_us: u64,
    /// When each request that waits will be done.
    waiting: VecDeque<u64>,
}

impl City {
    /// Takes a request in or turns it away. Returns the answer and when it leaves.
    fn meet(&mut self, device: &Device, now_us: u64) -> (Told, u64) {
        self.pacer.hear(device, wall(now_us));
        while self.waiting.front().is_some_and(|done| *done <= now_us) {
            self.waiting.pop_front();
        }
        let behind_us = self.free_us.saturating_sub(now_us);
        self.free_us = self.free_us.max(now_us);
        let (verdict, leaves_us) = if behind_us <= QUEUE_US {
            self.free_us += self.serve_us;
            self.waiting.push_back(self.free_us);
            (Verdict::Taken, self.free_us)
        } else {
            self.free_us += self.refuse_us;
            let slot = |pacer: &mut Pacer| pacer.slot_ms(Some(device), wall(now_us), self.waiting.len());
            (Verdict::Refused { slot_ms: (!self.is_mute).then(|| slot(&mut self.pacer)) }, now_us)
        };
        (Told { verdict, window_ms: self.pacer.window_ms() }, leaves_us)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The link is back, or the first event is there.
    Begins,
    /// A request reaches the city.
    Reaches { request: u64 },
    /// Its answer reaches the device.
    Answers { request: u64, told: Told },
    /// A timer of the device rings.
    Rings,
}

enum Client {
    Plain { backoff: Backoff, waits: Waits },
    Edge(Box<Edge>),
    Done,
}

struct Run {
    storm: Storm,
    policy: Policy,
    city: City,
    devices: Vec<Device>,
    clients: Vec<Client>,
    /// What happens, by time and then by the order in which it was planned.
    coming: BinaryHeap<Reverse<(u64, u64, usize, What)>>,
    planned: u64,
    luck: Jitter,
    requests: u64,
    taken: u64,
    done_us: Vec<u64>,
    per_second: Vec<u64>,
}

impl Run {
    fn new(storm: Storm, policy: Policy) -> Self {
        let devices: Vec<Device> =
            (0..storm.devices()).filter_map(|n| Device::parse(&format!("till-{n}")).ok()).collect();
        let serve_us = 1_000_000 / u64::from(storm.capacity.max(1));
        let believed = match policy {
            Policy::Conch(Knows::NothingAsBuilt) => REFUSAL_COST,
            _ => storm.refusal_cost(),
        };
        let mut run = Self {
            storm,
            policy,
            city: City {
                pacer: Pacer::new(storm.capacity, believed),
                is_mute: matches!(policy, Policy::Plain(_) | Policy::Conch(Knows::NothingAndMute)),
                serve_us,
                refuse_us: serve_us * u64::from(storm.refusal_percent) / 100,
                free_us: 0,
                waiting: VecDeque::new(),
            },
            clients: Vec::with_capacity(devices.len()),
            devices,
            coming: BinaryHeap::new(),
            planned: 0,
            luck: Jitter::new(storm.seed),
            requests: 0,
            taken: 0,
            done_us: Vec::new(),
            per_second: Vec::new(),
        };
        let window_ms = run.heard_before();
        for device in 0..run.devices.len() {
            let client = run.client(device, window_ms);
            run.clients.push(client);
            let begins = START_US + run.luck.up_to(RETURN_US);
            run.plan(begins, device, What::Begins);
        }
        run
    }

    /// The city hears those who spoke to it before the outage. Returns the window it tells them.
    fn heard_before(&mut self) -> u64 {
        let percent = match self.policy {
            Policy::Conch(Knows::Window { heard_percent }) => heard_percent,
            Policy::Conch(Knows::Silence) => 100,
            _ => 0,
        };
        let heard = self.devices.len() * percent as usize / 100;
        for device in self.devices.iter().take(heard) {
            self.city.pacer.hear(device, wall(START_US - OUTAGE_US));
        }
        self.city.pacer.window_ms()
    }

    fn client(&mut self, device: usize, window_ms: u64) -> Client {
        let seed = self.luck.next_bits();
        let Some(name) = self.devices.get(device).cloned() else { return Client::Done };
        match self.policy {
            Policy::Plain(backoff) => Client::Plain { backoff, waits: Waits::default() },
            Policy::Conch(Knows::Nothing | Knows::NothingAsBuilt | Knows::NothingAndMute) => {
                Client::Edge(Box::new(Edge::open(name, START_US - RETURN_US, seed)))
            }
            Policy::Conch(Knows::Window { .. } | Knows::Silence) => {
                let mut edge = Edge::open(name, 0, seed);
                let told = Told { verdict: Verdict::Taken, window_ms };
                if let Some(request) = edge.emit("before", 0) {
                    edge.answered(request, told, ONE_WAY_US);
                }
                self.lives_through_the_outage(device, &mut edge);
                Client::Edge(Box::new(edge))
            }
        }
    }

    /// It owes an event from the beginning of the outage on and tries in vain.
    fn lives_through_the_outage(&mut self, device: usize, edge: &mut Edge) {
        let mut now = START_US - OUTAGE_US + self.luck.up_to(RETURN_US);
        let mut leaves = edge.emit("owed", now);
        loop {
            while let Some(request) = leaves {
                leaves = edge.in_vain(request, now);
            }
            match edge.new_timer_us() {
                Some(at) if at < START_US => now = at,
                Some(at) => return self.plan(at, device, What::Rings),
                None => return,
            }
            leaves = if edge.rings(now) { edge.wake(now) } else { None };
        }
    }

    fn plan(&mut self, at_us: u64, device: usize, what: What) {
        self.planned += 1;
        self.coming.push(Reverse((at_us, self.planned, device, what)));
    }

    fn finish(mut self) -> Outcome {
        let until = START_US + PATIENCE * u64::from(self.storm.span_s) * 1_000_000;
        let requests_max = REQUESTS_PER_EVENT_MAX * self.storm.devices();
        while let Some(Reverse((now, _, device, what))) = self.coming.pop() {
            let all_done = self.done_us.len() == self.devices.len();
            if all_done || now > until || self.requests >= requests_max {
                break;
            }
            self.happens(now, device, what);
        }
        Outcome {
            devices: self.storm.devices(),
            requests: self.requests,
            taken: self.taken,
            done_us: self.done_us,
            per_second: self.per_second,
            storm: self.storm,
        }
    }

    fn happens(&mut self, now: u64, device: usize, what: What) {
        if let What::Reaches { request } = what {
            return self.reaches_city(now, device, request);
        }
        let policy = self.policy;
        let Some(client) = self.clients.get_mut(device) else { return };
        let (leaves, rings, is_done) = match client {
            Client::Done => return,
            Client::Plain { backoff, waits } => match what {
                What::Answers { told: Told { verdict: Verdict::Taken, .. }, .. } => (None, None, true),
                What::Answers { .. } => (Some((0, waits.next(*backoff, &mut self.luck))), None, false),
                _ => (Some((0, 0)), None, false),
            },
            Client::Edge(edge) => {
                let leaves = match what {
                    What::Begins => begin(edge, policy, now),
                    What::Answers { request, told } => edge.answered(request, told, now),
                    _ if edge.rings(now) => edge.wake(now),
                    _ => None,
                };
                (leaves.map(|request| (request, 0)), edge.new_timer_us(), edge.is_done())
            }
        };
        if is_done {
            *client = Client::Done;
            self.done_us.push(now - START_US);
        }
        if let Some((request, wait)) = leaves {
            self.plan(now + wait + ONE_WAY_US, device, What::Reaches { request });
        }
        if let Some(at) = rings {
            self.plan(at.max(now), device, What::Rings);
        }
    }

    fn reaches_city(&mut self, now: u64, device: usize, request: u64) {
        let Some(name) = self.devices.get(device) else { return };
        self.requests += 1;
        let second = usize::try_from((now - START_US) / 1_000_000).unwrap_or(usize::MAX);
        if self.per_second.len() <= second {
            self.per_second.resize(second + 1, 0);
        }
        if let Some(count) = self.per_second.get_mut(second) {
            *count += 1;
        }
        let (told, leaves_us) = self.city.meet(name, now);
        self.taken += u64::from(told.verdict == Verdict::Taken);
        self.plan(leaves_us + ONE_WAY_US, device, What::Answers { request, told });
    }
}

fn begin(edge: &mut Edge, policy: Policy, now: u64) -> Option<u64> {
    match policy {
        Policy::Conch(Knows::Window { .. }) => edge.online(now),
        Policy::Conch(Knows::Nothing | Knows::NothingAsBuilt | Knows::NothingAndMute) => {
            edge.emit("owed", now)
        }
        // It finds out by its ladder.
        Policy::Conch(Knows::Silence) | Policy::Plain(_) => None,
    }
}

//! Runs the storms of docs/storm.md and writes the page: every figure on it comes from the run.

use super::backoff::Backoff;
use super::contention::{Contention, ORIGINAL, TOLERANCE};
use super::plot::{self, Line};
use super::storm::{Bound, GOAL_COLD, Knows, Outcome, Policy, Storm};
use city_domain::limits::{QUEUE_REQUESTS, REFUSAL_COST, SLOT_SHARE, WINDOW_MARGIN};
use conch::pace::Ladder;
use std::fmt::Write as _;

const SECOND_US: u64 = 1_000_000;
const FLEET: u32 = 10_000;
const SEEDS: [u64; 3] = [1, 2, 3];
/// N/C in s, and what a refusal costs in % of a request.
const SPANS: [u32; 4] = [5, 20, 80, 200];
const COSTS: [u32; 3] = [0, 10, DEAR];
/// Where the plain goals cannot be met.
const DEAR: u32 = 50;
/// Of the table of all policies.
const SPAN: u32 = 20;
/// Runs of each policy among clients that contend.
const CONTENTIONS: u32 = 100;

const WARM: Policy = Policy::Conch(Knows::Window { heard_percent: 100 });
const HALF: Policy = Policy::Conch(Knows::Window { heard_percent: 50 });
const SILENCE: Policy = Policy::Conch(Knows::Silence);
const COLD: Policy = Policy::Conch(Knows::Nothing);
const AS_BUILT: Policy = Policy::Conch(Knows::NothingAsBuilt);
const MUTE: Policy = Policy::Conch(Knows::NothingAndMute);
const FULL: Policy = Policy::Plain(Backoff::Full(Ladder { first: SECOND_US / 5, cap: 20 * SECOND_US }));
const EXPONENTIAL: Policy =
    Policy::Plain(Backoff::Exponential(Ladder { first: SECOND_US / 10, cap: 20 * SECOND_US }));
const DECORRELATED: Policy =
    Policy::Plain(Backoff::Decorrelated { base: SECOND_US / 10, cap: 20 * SECOND_US });
const POLLY: Policy = Policy::Plain(Backoff::Polly { mean: SECOND_US, cap: 20 * SECOND_US });
const TOLD: Policy = Policy::Plain(Backoff::Constant { wait: 10 * SECOND_US, jitter: 10 * SECOND_US });

/// The policies of the first table. Ladders are named by their first ceiling and their cap.
const ROWS: [(&str, Policy); 16] = [
    ("**Conch, the window is known**", WARM),
    ("**Conch, no word beforehand**", COLD),
    ("Conch, a window for half of the fleet", HALF),
    ("Conch, the city itself was gone", SILENCE),
    ("Conch, and the city tells no slots", MUTE),
    ("`Retry-After: 10` and up to 10 s more", TOLD),
    (
        "`Retry-After: 10`, obeyed to the letter",
        Policy::Plain(Backoff::Constant { wait: 10 * SECOND_US, jitter: 0 }),
    ),
    ("Polly v2, mean 1 s, cap 20 s", POLLY),
    (
        "full jitter, 1 s to 20 s",
        Policy::Plain(Backoff::Full(Ladder { first: SECOND_US, cap: 20 * SECOND_US })),
    ),
    (
        "full jitter, 1 s to 60 s",
        Policy::Plain(Backoff::Full(Ladder { first: SECOND_US, cap: 60 * SECOND_US })),
    ),
    ("full jitter, 0.2 s to 20 s", FULL),
    (
        "equal jitter, 0.2 s to 20 s",
        Policy::Plain(Backoff::Equal(Ladder { first: SECOND_US / 5, cap: 20 * SECOND_US })),
    ),
    ("decorrelated jitter, 0.1 s to 20 s", DECORRELATED),
    ("exponential without jitter, 0.1 s to 20 s", EXPONENTIAL),
    ("every second", Policy::Plain(Backoff::Constant { wait: SECOND_US, jitter: 0 })),
    ("at once", Policy::Plain(Backoff::None)),
];

/// What the growth of the storm is shown for, beside the first two rows.
const SIZES: [(&str, Policy); 5] = [
    ("Conch, the city itself was gone", SILENCE),
    ("`Retry-After: 10` and up to 10 s more", TOLD),
    ("Polly v2", POLLY),
    ("full jitter", FULL),
    ("decorrelated jitter", DECORRELATED),
];

/// Storms that are too much for ours: without slots, and for a city with hardly a queue.
const BEYOND: [(Storm, Policy); 2] = [
    (Storm { capacity: 25, span_s: 80, refusal_percent: 50, seed: 1 }, MUTE),
    (Storm { capacity: 12, span_s: 200, refusal_percent: 50, seed: 1 }, WARM),
];

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// docs/storm.md.
    pub page: String,
    /// docs/storm.svg.
    pub plot: String,
    /// The bounds that do not hold, in words.
    pub broken: Vec<String>,
}

/// The worst of some runs.
#[derive(Clone, Copy, Debug)]
struct Worst {
    requests_per_event: f64,
    ratio: Option<f64>,
    ratio_99: Option<f64>,
    peak: f64,
    share_done: f64,
}

fn worst(outcomes: &[Outcome]) -> Worst {
    let most = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).fold(0.0, f64::max);
    let latest = |percent| {
        let never = outcomes.iter().any(|one| one.ratio_at(percent).is_none());
        (!never).then(|| most(&|one| one.ratio_at(percent).unwrap_or_default()))
    };
    Worst {
        requests_per_event: most(&Outcome::requests_per_event),
        ratio: latest(100),
        ratio_99: latest(99),
        peak: most(&Outcome::peak),
        share_done: outcomes.iter().map(Outcome::share_done).fold(1.0, f64::min),
    }
}

impl Worst {
    /// A run that was given up had made so many requests by then.
    fn requests(&self) -> String {
        let at_least = if self.share_done < 1.0 { "> " } else { "" };
        let decimals = if self.requests_per_event < 100.0 { 2 } else { 0 };
        format!("{at_least}{:.decimals$}", self.requests_per_event)
    }

    fn end(&self) -> String {
        match self.ratio {
            Some(ratio) => format!("{ratio:.2}"),
            None => format!("never ({:.0} % in)", 100.0 * self.share_done),
        }
    }

    fn end_99(&self) -> String {
        self.ratio_99.map_or("never".to_owned(), |ratio| format!("{ratio:.2}"))
    }
}

fn storm(span_s: u32, refusal_percent: u32, seed: u64) -> Storm {
    Storm { capacity: FLEET / span_s, span_s, refusal_percent, seed }
}

/// Measures everything. `said` hears what is done as it goes on.
pub fn report(mut said: impl FnMut(&str)) -> Report {
    let mut broken = Vec::new();
    said("all policies");
    let rows: Vec<(&str, [Worst; 2])> = ROWS
        .into_iter()
        .map(|(name, policy)| {
            let mut measure = |cost| {
                let outcomes = SEEDS.map(|seed| storm(SPAN, cost, seed).run(policy));
                let is_ours = matches!(policy, Policy::Conch(_));
                if is_ours && outcomes.iter().any(|one| one.taken != one.devices || one.share_done() < 1.0) {
                    broken
                        .push(format!("{name}, {cost} % a refusal: not every event was taken exactly once"));
                }
                worst(&outcomes)
            };
            (name, [measure(0), measure(10)])
        })
        .collect();
    said("ours in every storm");
    let (mut grid, mut as_built) = (Vec::new(), Vec::new());
    for span_s in SPANS {
        for cost in COSTS {
            let storm = storm(span_s, cost, 1);
            let (warm, cold, built) = (storm.run(WARM), storm.run(COLD), storm.run(AS_BUILT));
            let mut bounds =
                vec![("known window", &warm, storm.bound_warm()), ("no word", &cold, storm.bound_cold())];
            for (what, outcome) in [("no word, as wanted", &cold), ("no word, as built, as wanted", &built)] {
                bounds.extend(storm.goal_cold().map(|goal| (what, outcome, goal)));
            }
            for (what, outcome, bound) in bounds {
                if !bound.holds(outcome) {
                    let own = worst(std::slice::from_ref(outcome));
                    broken.push(format!("{what}, {storm:?}: {own:?}, not within {bound:?}"));
                }
            }
            as_built.push((storm, worst(&[built])));
            grid.push((storm, warm, cold));
        }
    }
    said("by the size of the storm");
    let sizes = SIZES.map(|(name, policy)| (name, SPANS.map(|span_s| storm(span_s, 0, 1).run(policy))));
    said("where it does not hold");
    let beyond = BEYOND.map(|(storm, policy)| (storm, worst(&[storm.run(policy)])));
    said("clients that contend for a row");
    let contentions = ORIGINAL.map(|original| {
        let measured = Contention::measure(original.clients, CONTENTIONS, 1);
        broken.extend(measured.strays_from(&original));
        (measured, original)
    });
    said("the plot");
    let plot = draw(&grid, &sizes);

    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write!(page, "{HEAD}");
    policies(&mut page, &rows);
    storms(&mut page, &grid);
    built(&mut page, &as_built);
    impossible(&mut page);
    growth(&mut page, &grid, &sizes);
    limits(&mut page, &rows, &beyond);
    contended(&mut page, &contentions);
    Report { page, plot, broken }
}

const HEAD: &str = "\
# When a whole market comes back

The link was gone, ten thousand devices owe an event each, and all learn within ten milliseconds that it is back. What does
it cost until the last event is in? This page and its plot are written by `cargo xtask storm`, which measures what is said
here and fails when a bound below does not hold. The seeds are fixed, so the same code writes the same page.
`cargo test -p sim --test fleet` holds smaller fleets against the same bounds with every change; whether this page is of
today is not checked there, because the whole run takes a minute or two.

**What is real:** each of our devices is an `Engine` of this repository with its ladder, its jitter and its way with
windows and `Retry-After`, over the modelled disk of the simulator. The city's window and slots are given by its own
`Pacer`. **What is modelled:** a city that serves C requests a second, one after the other, and lets 0.5 s of them wait; who
comes then is turned away at once, which costs ρ of a request; 50 ms there and back; virtual time. Devices that run another
policy are turned away by the same city without a word. Nothing is lost and nobody gives up.

**What is measured:** *requests* are those per event, 1 is the least. *End* is when the last device had its answer, as a
multiple of N/C, the time the city needs for N events if it never rests: 1 is the least. *99 %* is the same for all but the
last hundredth. *Peak* is the busiest second, as a multiple of C. Every event of ours was taken exactly once.

**What cannot be done better:** without a word beforehand all but the K devices that fit into the queue must be turned away
once: requests ≥ 2 − K/N. Refusals take the city's time: end ≥ 1 + ρ · (requests − 1). Where refusals are dear more is
impossible, as is shown below. Only devices that know when to come before they send can do with one request.
";

fn policies(page: &mut String, rows: &[(&str, [Worst; 2])]) {
    let _ = write!(
        page,
        "
## All policies in the same storm

N = 10,000, C = 500 a second, N/C = 20 s; the worst of three seeds. A run is given up after 20 · N/C or 250 requests per
event.

| policy | requests, ρ = 0 | end | 99 % | peak | requests, ρ = 0.1 | end | 99 % |
|---|---:|---:|---:|---:|---:|---:|---:|
"
    );
    for (name, [free, dear]) in rows {
        let cells = [free.requests(), free.end(), free.end_99(), format!("{:.0}", free.peak.ceil())];
        let more = [dear.requests(), dear.end(), dear.end_99()];
        let _ = writeln!(page, "| {name} | {} | {} |", cells.join(" | "), more.join(" | "));
    }
    let _ = write!(
        page,
        "
![Left: share of events in over time for six policies. Right: requests per event as the storm grows.](storm.svg)

*Known* means: each device had an answer before the outage, and with it the window in which N devices can come one after the
other, and draws its moment from it when the browser says that it is online. *No word beforehand*: it never heard from the
city, sends at once, is told a slot and comes back then. *The city itself was gone*: the devices know the window,
but no browser tells them that the city is back, and each finds out by its ladder of at most 60 s; nobody is turned away, but
a short storm lasts as long as the ladder. *A window for half*: the city had heard only half of those that come. *No slots*:
a city that says 503 and nothing else, so that our own ladder is all there is.
"
    );
}

fn storms(page: &mut String, grid: &[(Storm, Outcome, Outcome)]) {
    let _ = write!(
        page,
        "
## Ours in every storm

Ten thousand devices each; *least* is what cannot be done better, *bound* what the run must stay within to pass. The least
is that of a city that does as well in every smaller storm, without a word as shown below: of ends for any number of requests,
of requests for an end no later than ours.

| N/C | ρ | window known: requests | end | no word: requests | least | bound | end | least | bound |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"
    );
    for (storm, warm, cold) in grid {
        let (warm, own) = (worst(std::slice::from_ref(warm)), worst(std::slice::from_ref(cold)));
        let Bound { requests_per_event, ratio } = storm.bound_cold();
        let least = own.ratio.map_or(f64::NAN, |ratio| storm.least_requests(ratio));
        let _ = writeln!(
            page,
            "| {} s | {} | {} | {} | {} | {least:.2} | {requests_per_event:.2} | {} | {:.2} | {ratio:.2} |",
            storm.span_s,
            f64::from(storm.refusal_percent) / 100.0,
            warm.requests(),
            warm.end(),
            own.requests(),
            own.end(),
            storm.least_cold().ratio,
        );
    }
    let Bound { requests_per_event, ratio } = storm(SPAN, 0, 1).bound_warm();
    let Bound { requests_per_event: goal, ratio: goal_end } = GOAL_COLD;
    let dear = storm(SPAN, DEAR, 1);
    let (cost, wide) = (dear.refusal_cost(), dear.wide_step());
    let [polly, full, own] = [POLLY, FULL, COLD].map(|policy| worst(&[dear.run(policy)]).end());
    let share = 100.0 * SLOT_SHARE;
    let _ = write!(
        page,
        "
With a known window the bounds are {requests_per_event} requests and an end of {ratio}, whatever a refusal costs, for hardly
anybody is refused: the window is {WINDOW_MARGIN} times N/C, because too short costs far more than too long.

Without a word the plain goals, {goal} requests and an end of {goal_end}, hold wherever turning somebody away costs no more than a
tenth of taking an event. A city tells each device it turns away a slot to the millisecond (`retryAfterMs`), a second away at
least, and slots hand out {share} % of the capacity to leave room for what nobody planned.

Where refusals are dear, slots pass while the city still pays for the first wave, and their devices are turned away again. The
pacer is told what a refusal costs. It gives who is new a slot so late that all is paid by then, those included whose slot
passes, and all who were told before can be served; who comes at a slot that has passed gets the first free one after the
debt, between those of the others. So in a long storm slots come at c/C, where c = ρ/(1 − ρ/c) + 1/{SLOT_SHARE}; ρ/(c − ρ) requests an
event are lost on slots that pass; and the storm ends with the wave, not behind it. With ρ = {cost} c is {wide:.2}. While the
debt does not outlast the first slot, for 1/ρ seconds of devices, slots follow at {share} %: without that, storms of N/C = 5 s
would end later than wanted where refusals are cheap. It is why ours is furthest from the least with N/C = 5 s and ρ = {cost}.
With ρ = {cost} and N/C = {SPAN} s, where Polly v2 ends at {polly} and full jitter {full}, ours ends at {own}.

The bound on requests is 2 − K/N, plus those lost on slots that pass, plus 0.02. The bound on the end is the time by which all
refusals are paid, with those, or the first slot's second; plus all that were told a slot at {share} %; plus the queue that
those find who come at once when the debt is paid, and twice the way there and back.
"
    );
}

/// The real city counts refusals with a constant.
fn built(page: &mut String, as_built: &[(Storm, Worst)]) {
    let of = |percent| {
        let own = as_built.iter().filter(|(storm, _)| storm.refusal_percent == percent).map(|(_, own)| own);
        let most = |of: &dyn Fn(&Worst) -> f64| own.clone().map(of).fold(0.0, f64::max);
        [most(&|own| own.requests_per_event), most(&|own| own.ratio.unwrap_or(f64::INFINITY))]
    };
    let ([cheap_requests, cheap_end], [dear_requests, dear_end]) = (of(10), of(DEAR));
    let cost = storm(SPAN, DEAR, 1).refusal_cost();
    let _ = write!(
        page,
        "
The pacer of the real city counts {REFUSAL_COST} for a refusal, as it is built (`REFUSAL_COST`, in `city/domain/src/limits.rs`
with what was measured). So at worst over these N/C it needs {cheap_requests:.2} requests and ends at {cheap_end:.2} with
ρ = 0.1, which is within what is wanted; with ρ = {cost} it needs {dear_requests:.2} and ends at {dear_end:.2}.
"
    );
}

fn impossible(page: &mut String) {
    let dear = storm(SPAN, DEAR, 1);
    let cost = dear.refusal_cost();
    let Bound { requests_per_event: goal, ratio: goal_end } = GOAL_COLD;
    let _ = write!(
        page,
        "
## What is impossible where refusals are dear

Say that every storm of K + j devices is to end by S + R · j/C, where S is the first slot's second with the way there and
back.

1. Nobody knows how many come. When the j-th to be turned away is to come back depends only on what came before it, and it may
   be the last: it must be back by S + R · j/C.
2. In a storm of N the city owes ρ(N − K)/C of refusals right after the first wave, besides its full queue. Until that is paid
   whoever comes back is turned away again, and that has to be paid too: with M such devices until D = ρ(N − K + M)/C. By 1.,
   M ≥ (D − S) · C/R. Together M ≥ (ρ(N − K) − S · C)/(R − ρ).
3. So requests ≥ 2 − K/N + M/N. All refusals come before the last event is in, so end ≥ 1 + ρ · (requests − 1).

More requests make the end late, and only a late end (a large R) makes M small: 2. and 3. meet in the least pair. With
ρ = {cost} that is:

| N/C | least end | requests with it | the end that {goal} requests ask for |
|---:|---:|---:|---:|
"
    );
    for span_s in SPANS {
        let storm = storm(span_s, DEAR, 1);
        let Bound { requests_per_event, ratio } = storm.least_cold();
        let asked = storm.end_for(goal).map_or("none will do".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(page, "| {span_s} s | {ratio:.2} | {requests_per_event:.2} | {asked} |");
    }
    let shortest = storm(SPANS.into_iter().min().unwrap_or(SPAN), DEAR, 1);
    let once = shortest.least_ratio(1.0 + shortest.turned_away());
    let _ = write!(
        page,
        "
An end of {goal_end} is impossible for each of them, even for a city that knows N: turning everybody away once makes it
{once:.2} at N/C = {} s and later in longer storms. No more than {goal} requests are possible for the price in the last column.
",
        shortest.span_s
    );
}

fn growth(page: &mut String, grid: &[(Storm, Outcome, Outcome)], sizes: &[(&str, [Outcome; 4]); 5]) {
    let _ = write!(
        page,
        "
## As the storm grows

Requests per event, ρ = 0. Jitter alone asks again and again while others are served, so its price grows with the storm; a
slot is asked for once.

| policy | N/C = 5 s | 20 s | 80 s | 200 s |
|---|---:|---:|---:|---:|
"
    );
    let free = |of: fn(&(Storm, Outcome, Outcome)) -> &Outcome| {
        grid.iter().filter(|(storm, ..)| storm.refusal_percent == 0).map(of).collect::<Vec<_>>()
    };
    let ours = [
        ("Conch, the window is known", free(|row| &row.1)),
        ("Conch, no word beforehand", free(|row| &row.2)),
    ];
    let others = sizes.iter().map(|(name, outcomes)| (*name, outcomes.iter().collect()));
    for (name, outcomes) in ours.into_iter().chain(others) {
        let cells: Vec<String> =
            outcomes.into_iter().map(|outcome| worst(std::slice::from_ref(outcome)).requests()).collect();
        let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
    }
}

fn limits(page: &mut String, rows: &[(&str, [Worst; 2])], beyond: &[(Storm, Worst); 2]) {
    let of = |wanted: Policy| {
        let names = ROWS.iter().zip(rows).find(|((_, policy), _)| *policy == wanted);
        names.map_or_else(Default::default, |(_, (_, [_, dear]))| (dear.requests(), dear.end()))
    };
    let [cold, polly, full] = [COLD, POLLY, FULL].map(of);
    let [(mute_storm, mute), (small_storm, small)] = beyond;
    let _ = write!(
        page,
        "
## What it says

- One number from the city, told before the storm or in it, does what no ladder on the devices can do. In the first table
  with ρ = 0.1 and no word beforehand ours takes {} requests per event and ends at {}; Polly v2, the best of the ladders,
  takes {} and ends at {}, the usual full jitter {} and {}.
- `Retry-After` with one constant is as bad as no jitter: everybody obeys, and everybody comes at once. With jitter on top it
  asks seldom while the storm is short, but ends late, and its price grows as well.
- A ladder's cap must grow with the storm, or refusals must be nearly free: where the mean wait at the cap is no longer than
  ρ · N/C, refusals take all of the city and nothing is served any more. That is so for our own ladder too. At a city that
  tells no slots, with N/C = {} s and ρ = {}, of {} devices {:.0} % were in when the run was given up.
- A window needs somebody who says that the link is back. Where only the city was gone the ladder alone says when to come.

What the model leaves out: one city with one queue, no other load, no loss, no time-outs. A queue that holds only a handful
can overflow by chance, and where refusals are dear as well that does not end by itself, because slots are handed out on top
of those who still come in the window. At a city of {} requests a second, whose queue holds six, with N/C = {} s and ρ = {} an
event takes {} requests although the window is known. The queue of the real city holds {QUEUE_REQUESTS}.
",
        cold.0,
        cold.1,
        polly.0,
        polly.1,
        full.0,
        full.1,
        mute_storm.span_s,
        f64::from(mute_storm.refusal_percent) / 100.0,
        mute_storm.devices(),
        100.0 * mute.share_done,
        small_storm.capacity,
        small_storm.span_s,
        f64::from(small_storm.refusal_percent) / 100.0,
        small.requests(),
    );
}

fn contended(page: &mut String, contentions: &[(Contention, Contention)]) {
    let _ = write!(
        page,
        "
## The jitter functions by themselves

The model by which jitter became known (AWS, 2015): N clients each write one row once, guarded by its version; a hop takes
|Normal(10, 2)| ms, base 5 ms, cap 2 s; no limit of capacity, which is why trying again at once is fastest there. Built
anew over the functions that our devices (full) and the city's bus (equal) use; mean of {CONTENTIONS} runs. In brackets what
the original program says.

| clients | policy | calls | end in ms |
|---:|---|---:|---:|
"
    );
    for (measured, original) in contentions {
        for ((name, own), (_, other)) in measured.policies().into_iter().zip(original.policies()) {
            let _ = writeln!(
                page,
                "| {} | {name} | {:.0} ({:.0}) | {:.0} ({:.0}) |",
                measured.clients, own.calls, other.calls, own.ended_ms, other.ended_ms
            );
        }
    }
    let _ = write!(
        page,
        "
The relations must be those of the original within {:.0} %:

| relation |",
        100.0 * TOLERANCE
    );
    for (measured, _) in contentions {
        let _ = write!(page, " {} clients |", measured.clients);
    }
    let _ = write!(page, "\n|---|{}\n", "---:|".repeat(contentions.len()));
    let names = contentions.first().map(|(measured, _)| measured.relations()).unwrap_or_default();
    for (place, (name, _)) in names.into_iter().enumerate() {
        let _ = write!(page, "| {name} |");
        for (measured, original) in contentions {
            let of =
                |one: &Contention| one.relations().into_iter().nth(place).map_or(0.0, |(_, ratio)| ratio);
            let _ = write!(page, " {:.2} ({:.2}) |", of(measured), of(original));
        }
        page.push('\n');
    }
}

fn draw(grid: &[(Storm, Outcome, Outcome)], sizes: &[(&str, [Outcome; 4]); 5]) -> String {
    let storm = storm(SPAN, 10, 1);
    let over_time = |policy| {
        let outcome = storm.run(policy);
        let span_us = f64::from(storm.span_s) * 1e6;
        let mut points = vec![(0.0, 0.0)];
        let each = outcome.done_us.len().div_ceil(200).max(1);
        for (place, at) in outcome.done_us.iter().enumerate().filter(|(place, _)| (place + 1) % each == 0) {
            points.push((*at as f64 / span_us, (place + 1) as f64 / outcome.devices as f64));
        }
        points.push((f64::INFINITY, outcome.share_done()));
        points
    };
    let [_, _, polly, full, decorrelated] = sizes;
    let of = |outcomes: &[Outcome; 4]| {
        let requests = outcomes.iter().map(Outcome::requests_per_event);
        SPANS.into_iter().map(f64::from).zip(requests).collect::<Vec<_>>()
    };
    let ours = |of: fn(&(Storm, Outcome, Outcome)) -> &Outcome| {
        let free = grid.iter().filter(|(storm, ..)| storm.refusal_percent == 0);
        free.map(|row| (f64::from(row.0.span_s), of(row).requests_per_event())).collect::<Vec<_>>()
    };
    plot::draw(&[
        Line { name: "Conch, window known", left: over_time(WARM), right: ours(|row| &row.1) },
        Line { name: "Conch, no word beforehand", left: over_time(COLD), right: ours(|row| &row.2) },
        Line { name: "Polly v2", left: over_time(POLLY), right: of(&polly.1) },
        Line { name: "full jitter", left: over_time(FULL), right: of(&full.1) },
        Line { name: "decorrelated jitter", left: over_time(DECORRELATED), right: of(&decorrelated.1) },
        Line { name: "exponential, no jitter", left: over_time(EXPONENTIAL), right: Vec::new() },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ended_is_not_given_a_number() {
        let storm = Storm { capacity: 50, span_s: 5, refusal_percent: 50, seed: 1 };
        let never = worst(&[storm.run(WARM), storm.run(Policy::Plain(Backoff::None))]);
        assert_eq!((never.requests().as_str(), never.end().as_str()), ("> 250", "never (10 % in)"));
        let ended = worst(&[storm.run(WARM)]);
        assert!(ended.requests() == "1.00" && ended.end().starts_with("1.2"), "{ended:?}");
    }
}

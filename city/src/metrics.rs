//! What is counted, for Prometheus. Labels are patterns and words of our own, never a key, a device or a token.

use city_domain::Judged;
use conch::wire::VerdictWord;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Word {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumer {
    consumer: String,
}

/// How long answers take, in s: from a keyed look to a long poll.
const SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Route, Counter>,
    seconds: Histogram,
    events: Family<Word, Counter>,
    repeated: Counter,
    dead: Counter,
    open: Gauge,
    outgoing: Gauge,
    waiting: Family<Consumer, Gauge>,
    queued: Gauge,
    listening: Gauge,
    gaps: Gauge,
}

/// What is only known by looking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    /// Dead letters that wait for a person.
    pub(crate) open: u64,
    /// Events said and not on the log yet.
    pub(crate) outgoing: u64,
    /// Events that wait, by consumer.
    pub(crate) waiting: Vec<(String, u64)>,
    /// Requests that wait for the writer.
    pub(crate) queued: u64,
    /// Long polls that wait.
    pub(crate) listening: u64,
    /// Sequences that never arrived.
    pub(crate) gaps: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let own = Self {
            registry: Registry::with_prefix("city"),
            requests: Family::default(),
            seconds: Histogram::new(SECONDS),
            events: Family::default(),
            repeated: Counter::default(),
            dead: Counter::default(),
            open: Gauge::default(),
            outgoing: Gauge::default(),
            waiting: Family::default(),
            queued: Gauge::default(),
            listening: Gauge::default(),
            gaps: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("city");
        registry.register("requests", "Answered requests", own.requests.clone());
        registry.register_with_unit("request", "How long answers took", Unit::Seconds, own.seconds.clone());
        registry.register("events", "Judged events by verdict", own.events.clone());
        registry.register(
            "events_repeated",
            "Judged events that came again and were not done again",
            own.repeated.clone(),
        );
        registry.register("dead_letters", "Events that became dead letters", own.dead.clone());
        registry.register("dead_letters_open", "Dead letters that wait for a person", own.open.clone());
        registry.register("bus_outgoing", "Events said and not on the log yet", own.outgoing.clone());
        registry.register("bus_waiting", "Events that wait in a consumer", own.waiting.clone());
        registry.register("writer_queued", "Requests that wait for the writer", own.queued.clone());
        registry.register("feed_listening", "Long polls that wait", own.listening.clone());
        registry.register(
            "sequences_missing",
            "Sequences that devices no longer owe and that never came",
            own.gaps.clone(),
        );
        Self { registry, ..own }
    }
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = Route { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// An event was judged; perhaps it, or what was meant by it, was there before.
    pub(crate) fn judged(&self, judged: &Judged) {
        self.events.get_or_create(&Word { verdict: judged.verdict.word.as_str() }).inc();
        if judged.replayed || judged.verdict.word == VerdictWord::Duplicate {
            self.repeated.inc();
        }
    }

    /// How many events came again and were not done again, since the start.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.get()
    }

    /// How many events were refused since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.events.get_or_create(&Word { verdict: VerdictWord::Refused.as_str() }).get()
    }

    /// Events became dead letters.
    pub(crate) fn died(&self, events: usize) {
        self.dead.inc_by(events as u64);
    }

    /// All of it as OpenMetrics text.
    pub(crate) fn text(&self, levels: &Levels) -> Result<String, std::fmt::Error> {
        let set = |gauge: &Gauge, level: u64| {
            gauge.set(i64::try_from(level).unwrap_or(i64::MAX));
        };
        set(&self.open, levels.open);
        set(&self.outgoing, levels.outgoing);
        set(&self.queued, levels.queued);
        set(&self.listening, levels.listening);
        set(&self.gaps, levels.gaps);
        self.waiting.clear();
        for (consumer, waiting) in &levels.waiting {
            set(&self.waiting.get_or_create(&Consumer { consumer: consumer.clone() }), *waiting);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

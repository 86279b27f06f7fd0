//! Services that fail on some events: a few times, for ever, or so that nobody need try again. What they wrote for such an
//! event by then must leave no trace.

use city_domain::Tx;
use city_domain::bus::{Consumer, Failure, Message, Problem, Subscription, Tick, Turn};
use conch::event::EventId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a service fails on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Illness {
    /// Three times, and then it does its part.
    Passing,
    /// As often as it is tried.
    Lasting,
    /// At once and for good.
    Hopeless,
}

/// Every illness.
pub(crate) const ILLNESSES: [Illness; 3] = [Illness::Passing, Illness::Lasting, Illness::Hopeless];
/// So often a passing one fails.
const PASSES_AFTER: u32 = 3;

impl Illness {
    /// The place of a report on which the service fails so.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Passing => "row 12",
            Self::Lasting => "row 13",
            Self::Hopeless => "row 14",
        }
    }

    /// The load on which the service fails so, in watts.
    pub(crate) fn watts(self) -> u64 {
        match self {
            Self::Passing => 1_212,
            Self::Lasting => 1_313,
            Self::Hopeless => 1_414,
        }
    }

    /// How whoever hears this event fails, if so.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        ILLNESSES.into_iter().find(|own| {
            let place = format!(r#""place":"{}""#, own.place());
            let watts = format!(r#""watts":{}}}"#, own.watts());
            message.body.contains(&place) || message.body.contains(&watts)
        })
    }

    /// Whether the event ends as a dead letter.
    pub(crate) fn is_deadly(self) -> bool {
        self != Self::Passing
    }
}

/// How often each service failed on an event. What makes it fail is outside of it, and outlives the city.
pub(crate) type Failed = Arc<Mutex<BTreeMap<(&'static str, EventId), u32>>>;

/// A service with its illness.
pub(crate) struct Sick {
    own: Box<dyn Consumer + Send>,
    failed: Failed,
}

impl Sick {
    pub(crate) fn with(own: Box<dyn Consumer + Send>, failed: &Failed) -> Self {
        Self { own, failed: Arc::clone(failed) }
    }
}

impl Consumer for Sick {
    fn name(&self) -> &'static str {
        self.own.name()
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        self.own.subscriptions()
    }

    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        // It fails at the end, when all is written.
        self.own.handle(tx, message, turn)?;
        let problem = |detail: &str| Problem { code: "sick", detail: detail.to_owned() };
        match Illness::of(message) {
            None => Ok(()),
            Some(Illness::Hopeless) => Err(Failure::Never(problem("it cannot"))),
            Some(Illness::Lasting) => Err(Failure::Later(problem("it cannot yet"))),
            Some(Illness::Passing) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                let times = failed.entry((self.name(), message.id)).or_insert(0);
                *times += 1;
                if *times <= PASSES_AFTER { Err(Failure::Later(problem("not now"))) } else { Ok(()) }
            }
        }
    }

    fn tick(&self, tx: &mut dyn Tx, turn: &mut Turn<'_>) -> Result<Tick, Failure> {
        self.own.tick(tx, turn)
    }
}

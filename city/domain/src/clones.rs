//! A second device with the same identity, noticed by what it says of itself. Nothing is refused for it: an event that
//! came twice is found by its intent, and a person decides which of the two devices is the real one.
//!
//! A database has one life, one epoch at a time and one event at a place. So:
//!
//! | what speaks | and | then |
//! |---|---|---|
//! | a life never heard of | | the device was set up anew |
//! | the youngest life | | nothing |
//! | an older life | within [`CLONE_GRACE_MS`] of the younger one's first word | it was on its way |
//! | an older life | later, but the younger one was heard only within [`CLONE_GRACE_MS`] of the older one's first word | the younger one's word was on its way, and which is the younger is not known |
//! | an older life | later | a clone: two lives |
//! | a higher epoch | | another tab leads |
//! | a lower epoch | within [`CLONE_GRACE_MS`] of the higher one's first word | it was on its way |
//! | a lower epoch | later | noted: a tab that was frozen says one thing before it learns |
//! | a lower epoch | for the third time within [`CLONE_WATCH_MS`], [`CLONE_GRACE_MS`] apart and the higher one having spoken between | a clone: two contexts |
//! | an event | at the place of another accepted one | a clone: two events at one place |
//! | an event | at its own place, once more | it is sent again |
//!
//! A database that was brought back from an older copy gives its places out again, and is told as a clone too: of two
//! pasts of one device only one is true. Told once for each device, until it enrols anew.

use crate::arrival::Owed;
use crate::ingest::City;
use crate::limits::{CLONE_GRACE_MS, CLONE_STALE_MAX, CLONE_WATCH_MS};
use crate::outcome::{Said, device_key};
use crate::tx::{Fault, Tx};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Topic, UnixMillis};

/// Why two devices are believed to be behind one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An older life of the database speaks again.
    TwoLives,
    /// Two contexts move the epoch against each other.
    TwoContexts,
    /// Two events claim one place in the outbox.
    TwoEvents,
}

impl Why {
    /// The word in the database and in the alert.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoLives => "two_lives",
            Self::TwoContexts => "two_contexts",
            Self::TwoEvents => "two_events_at_one_place",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::TwoLives, Self::TwoContexts, Self::TwoEvents].into_iter().find(|why| why.as_str() == word)
    }
}

/// One life of a device's database, by when it spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The incarnation's name.
    pub name: String,
    /// When it first spoke.
    pub first_at: UnixMillis,
    /// When it last spoke with its highest epoch.
    pub spoke_at: UnixMillis,
    /// The highest epoch heard.
    pub epoch: u64,
    /// When that was first heard.
    pub epoch_at: UnixMillis,
    /// When a lower epoch was last noted.
    pub stale_at: Option<UnixMillis>,
    /// How often it was, of late.
    pub stale: u32,
    /// What it owed when it last said so.
    pub owed: Option<Owed>,
}

impl Life {
    fn begun(name: &str, epoch: u64, now: UnixMillis) -> Self {
        Self {
            name: name.to_owned(),
            first_at: now,
            spoke_at: now,
            epoch,
            epoch_at: now,
            stale_at: None,
            stale: 0,
            owed: None,
        }
    }
}

/// The table of the module, for lives and epochs. `younger` are the lives of the device that spoke later for the first
/// time.
fn judge(
    known: Option<Life>,
    name: &str,
    younger: &[Life],
    epoch: Option<u64>,
    now: UnixMillis,
) -> (Life, Option<Why>) {
    let late = |since: UnixMillis| now.0 > since.0 + CLONE_GRACE_MS;
    let Some(mut life) = known else { return (Life::begun(name, epoch.unwrap_or(0), now), None) };
    let outlived = |other: &Life| late(other.first_at) && other.spoke_at.0 > life.first_at.0 + CLONE_GRACE_MS;
    let mut why = younger.iter().any(outlived).then_some(Why::TwoLives);
    match epoch.unwrap_or(life.epoch) {
        epoch if epoch > life.epoch => (life.epoch, life.epoch_at, life.spoke_at) = (epoch, now, now),
        epoch if epoch == life.epoch => life.spoke_at = now,
        _ if !late(life.epoch_at) => {}
        _ => match life.stale_at {
            // The same one once more, before it learned.
            Some(noted) if !late(noted) || life.spoke_at <= noted => {}
            noted => {
                let of_late = noted.is_some_and(|noted| now.0 <= noted.0 + CLONE_WATCH_MS);
                life.stale = if of_late { life.stale + 1 } else { 1 };
                life.stale_at = Some(now);
                if life.stale >= CLONE_STALE_MAX {
                    why = why.or(Some(Why::TwoContexts));
                }
            }
        },
    }
    (life, why)
}

/// What a device said of itself with one request.
#[derive(Clone, Debug)]
pub struct Heard<'a> {
    /// The device.
    pub device: &'a Device,
    /// The life it speaks for.
    pub incarnation: &'a str,
    /// The epoch of the context that speaks.
    pub epoch: Option<u64>,
    /// What it owes.
    pub owed: Option<Owed>,
    /// Its events, by place.
    pub events: &'a [(u64, EventId)],
    /// When, by the city's clock.
    pub now: UnixMillis,
}

/// Notes what a device says of itself, and raises the alarm when another one says the same name. Tells why, the first
/// time.
pub fn watch<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    heard: &Heard<'_>,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Option<Why>, Fault> {
    let Heard { device, incarnation, now, .. } = *heard;
    let known = tx.life(device, incarnation)?;
    let younger = match &known {
        Some(life) => tx.younger_lives(device, life.first_at)?,
        None => Vec::new(),
    };
    let (mut life, mut why) = judge(known, incarnation, &younger, heard.epoch, now);
    life.owed = heard.owed.or(life.owed);
    tx.put_life(device, &life)?;
    let source = format!("conch://device/{device}/{incarnation}");
    for (sequence, id) in heard.events {
        if why.is_none() && tx.place_taken(&source, *sequence, *id)? {
            why = Some(Why::TwoEvents);
        }
    }
    let Some(why) = why else { return Ok(None) };
    if tx.clone_of(device)?.is_some() {
        return Ok(None);
    }
    tx.put_clone(device, why, now)?;
    alarm(tx, (city, device), "raised", why, now, entropy())?;
    Ok(Some(why))
}

/// The device enrolled anew and every other one with its name is shut out: what was known of its lives is forgotten.
pub fn forget<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    device: &Device,
    now: UnixMillis,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<(), Fault> {
    tx.drop_lives(device)?;
    if let Some(why) = tx.clone_of(device)? {
        tx.drop_clone(device)?;
        alarm(tx, (city, device), "cleared", why, now, entropy())?;
    }
    Ok(())
}

fn alarm<T: Tx + ?Sized>(
    tx: &mut T,
    (city, device): (&City, &Device),
    kind: &str,
    why: Why,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<(), Fault> {
    let (Ok(topic), Ok(kind)) = (Topic::parse("ops.alerts.v1"), EventType::parse(kind)) else {
        return Err(Fault("the alert has no name".to_owned()));
    };
    let key = device_key(device)?;
    let text = |name: &str, text: &str| (name.to_owned(), Json::Text(text.to_owned()));
    let data = Json::Object(vec![
        text("alert", "device_cloned"),
        text("device", device.as_str()),
        text("code", why.as_str()),
    ]);
    let id = EventId::mint(now, entropy);
    Said { city, topic: &topic, kind: &kind, key: &key, id, now }.say(tx, None, None, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const NOON: u64 = 1_795_435_200_000;
    const GRACE: u64 = CLONE_GRACE_MS;

    /// One device and what the city makes of its words. Each is a life, an epoch and a moment, in ms from noon.
    #[derive(Default)]
    struct Watched {
        books: Memory,
        drawn: u8,
    }

    impl Watched {
        fn hear(&mut self, life: &str, epoch: u64, at: u64) -> Option<Why> {
            self.hear_events(life, epoch, at, &[])
        }

        fn hear_events(&mut self, life: &str, epoch: u64, at: u64, events: &[(u64, EventId)]) -> Option<Why> {
            let city = City { id: EventId::mint(UnixMillis(NOON), [9; 10]) };
            let device = Device::parse("till-1").unwrap();
            let heard = Heard {
                device: &device,
                incarnation: life,
                epoch: Some(epoch),
                owed: None,
                events,
                now: UnixMillis(NOON + at),
            };
            self.drawn += 1;
            let drawn = self.drawn;
            watch(&mut self.books, &city, &heard, &mut || [drawn; 10]).unwrap()
        }
    }

    #[test]
    fn row_a_device_that_was_set_up_anew_is_no_clone() {
        let mut till = Watched::default();
        for (life, at) in
            [("a", 0), ("a", 10 * GRACE), ("b", 20 * GRACE), ("b", 40 * GRACE), ("c", 60 * GRACE)]
        {
            assert_eq!(till.hear(life, 1, at), None, "{life} {at}");
        }
    }

    #[test]
    fn row_an_older_life_that_was_on_its_way_is_no_clone() {
        let mut till = Watched::default();
        for (life, at) in [("a", 0), ("b", GRACE), ("a", GRACE + 5), ("b", GRACE + 9), ("a", 2 * GRACE)] {
            assert_eq!(till.hear(life, 1, at), None, "{life} {at}");
        }
    }

    #[test]
    fn row_a_first_word_that_was_on_its_way_makes_no_life_the_younger_one() {
        let mut till = Watched::default();
        // The second life spoke first; what the first one had said before came after it.
        for (life, at) in [("second", 0), ("first", GRACE / 2), ("second", 3 * GRACE), ("second", 9 * GRACE)]
        {
            assert_eq!(till.hear(life, 1, at), None, "{life} {at}");
        }
        till.hear("first", 1, 9 * GRACE + 1);
        assert_eq!(till.hear("second", 1, 9 * GRACE + 2), Some(Why::TwoLives), "now both have spoken");
    }

    #[test]
    fn row_an_older_life_that_speaks_again_later_is_a_clone_and_is_told_once() {
        let mut till = Watched::default();
        assert_eq!((till.hear("a", 1, 0), till.hear("b", 1, 2 * GRACE)), (None, None));
        assert_eq!(till.hear("a", 1, 3 * GRACE + 1), Some(Why::TwoLives));
        assert_eq!((till.hear("b", 1, 4 * GRACE), till.hear("a", 1, 5 * GRACE)), (None, None), "once");
    }

    #[test]
    fn row_lives_that_take_turns_quickly_are_a_clone_as_soon_as_the_grace_is_over() {
        let mut till = Watched::default();
        let found: Vec<u64> = (0..200)
            .filter(|turn| till.hear(if turn % 2 == 0 { "a" } else { "b" }, 1, turn * 1_000).is_some())
            .collect();
        assert_eq!(found, [GRACE / 1_000 + 2], "b began at one second");
    }

    #[test]
    fn row_another_tab_that_takes_over_is_no_clone() {
        let mut till = Watched::default();
        for (epoch, at) in [(1, 0), (2, 10), (2, GRACE), (3, 5 * GRACE), (2, 5 * GRACE + 9), (3, 9 * GRACE)] {
            assert_eq!(till.hear("a", epoch, at), None, "{epoch} {at}");
        }
    }

    #[test]
    fn row_a_frozen_tab_that_says_something_before_it_learns_is_no_clone() {
        let mut till = Watched::default();
        for (epoch, at) in [(1, 0), (2, 10), (1, 50 * GRACE), (2, 50 * GRACE + 1), (1, 50 * GRACE + 5_000)] {
            assert_eq!(till.hear("a", epoch, at), None, "{epoch} {at}");
        }
        // One each evening.
        for evening in 2..9 {
            let at = evening * 86_400_000;
            assert_eq!((till.hear("a", 2, at), till.hear("a", 1, at + 9)), (None, None));
        }
    }

    #[test]
    fn row_a_lower_epoch_that_speaks_again_and_again_beside_the_higher_is_a_clone() {
        let mut till = Watched::default();
        for (epoch, at) in [(7, 0), (6, 2), (6, 4), (7, 5), (6, 6), (7, 7), (6, 7)] {
            assert_eq!(till.hear("a", epoch, at * GRACE), None, "{epoch} {at}");
        }
        assert_eq!(till.hear("a", 6, 9 * GRACE), Some(Why::TwoContexts));
    }

    #[test]
    fn row_an_epoch_that_moves_in_two_contexts_is_a_clone() {
        let mut till = Watched::default();
        // Two copies of one database, each of which leads anew whenever the other has overtaken it.
        let found = [(5, 0), (6, 2), (5, 4), (7, 6), (6, 8), (8, 10), (7, 12), (9, 14)]
            .map(|(epoch, minutes)| till.hear("a", epoch, minutes * 60_000));
        assert!(found.contains(&Some(Why::TwoContexts)), "{found:?}");
    }

    #[test]
    fn row_a_batch_sent_again_is_no_clone_and_another_event_at_its_place_is() {
        let mut till = Watched::default();
        let event = |n: u8| EventId::mint(UnixMillis(NOON), [n; 10]);
        till.books.keep_at("conch://device/till-1/a", 4, event(1));
        assert_eq!(till.hear_events("a", 1, 0, &[(4, event(1))]), None);
        assert_eq!(till.hear_events("a", 1, 9 * GRACE, &[(4, event(1)), (5, event(2))]), None);
        assert_eq!(
            till.hear_events("b", 1, 9 * GRACE, &[(4, event(3))]),
            None,
            "another life, another outbox"
        );
        let mut till = Watched::default();
        till.books.keep_at("conch://device/till-1/a", 4, event(1));
        assert_eq!(till.hear_events("a", 1, 0, &[(4, event(3))]), Some(Why::TwoEvents));
    }

    #[test]
    fn a_device_that_enrols_anew_begins_anew() {
        let mut till = Watched::default();
        till.hear("a", 1, 0);
        till.hear("b", 1, 2 * GRACE);
        assert_eq!(till.hear("a", 1, 4 * GRACE), Some(Why::TwoLives));
        let (city, device) =
            (City { id: EventId::mint(UnixMillis(NOON), [9; 10]) }, Device::parse("till-1").unwrap());
        forget(&mut till.books, &city, &device, UnixMillis(NOON), &mut || [99; 10]).unwrap();
        assert_eq!(till.hear("a", 1, 5 * GRACE), None);
        till.hear("b", 1, 7 * GRACE);
        assert_eq!(till.hear("a", 1, 9 * GRACE), Some(Why::TwoLives), "and is told again");
    }

    proptest! {
        /// Whatever one device does, and however late within the grace its requests arrive.
        #[test]
        fn one_device_is_never_taken_for_two(
            steps in vec((0..4 * GRACE, 0..=GRACE, 0..8u8), 1..60)
        ) {
            let (mut sent, mut now, mut life, mut epoch) = (Vec::new(), 0, 1, 1);
            for (pause, delay, what) in steps {
                now += pause;
                match what {
                    0 => (life, epoch) = (life + 1, 1),
                    1 | 2 => epoch += 1,
                    _ => {}
                }
                sent.push((now + delay, life, epoch));
            }
            sent.sort_unstable_by_key(|(arrives, ..)| *arrives);
            let mut till = Watched::default();
            for (arrives, life, epoch) in &sent {
                prop_assert_eq!(till.hear(&format!("life-{life}"), *epoch, *arrives), None, "{:?}", sent);
            }
        }
    }
}

//! What a device still owes, as it says itself, against what arrived: a sequence below the lowest owed that never
//! came is a gap, and a gap is an alarm. It is raised with the first gap of a life of the device's database and cleared
//! when the last one is filled, or when a person gives up what will never come, such as that of a phone at the bottom of
//! the harbour; gaps found meanwhile raise no other one, for the people who run the market look already.
//!
//! Only what lies above the scanned mark is held row by row, so the notes stay as small as the device's backlog.

use crate::ingest::City;
use crate::limits::{REASON_CHARS_MAX, WRITTEN_OFF_MAX};
use crate::outcome::{Said, device_key};
use crate::tx::{Fault, Gap, Incarnation, Tx};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Topic, UnixMillis};
use conch::limits::SAFE_INTEGER_MAX;

/// The `conch-owed` header: the lowest owed and the highest given sequence of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Everything below is settled, dead or given up on the device.
    pub lowest: u64,
    /// The last sequence the device gave out.
    pub highest: u64,
}

impl Owed {
    /// Reads `<lowest>-<highest>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (lowest, highest) = text.trim().split_once('-')?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten().filter(|number| *number <= SAFE_INTEGER_MAX)
        };
        let owed = Self { lowest: number(lowest)?, highest: number(highest)? };
        (owed.lowest >= 1 && owed.lowest <= owed.highest.saturating_add(1)).then_some(owed)
    }
}

/// The sender's context no longer leads: a later one has spoken with this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleEpoch {
    /// The highest epoch heard.
    pub highest: u64,
}

/// Lets a context speak for its outbox, unless a later one has spoken.
pub fn enter<T: Tx + ?Sized>(
    tx: &mut T,
    device: &Device,
    incarnation: &str,
    epoch: u64,
) -> Result<Result<(), StaleEpoch>, Fault> {
    let mut row = tx.incarnation(device, incarnation)?.unwrap_or_default();
    if epoch < row.epoch {
        return Ok(Err(StaleEpoch { highest: row.epoch }));
    }
    if epoch > row.epoch {
        row.epoch = epoch;
        tx.put_incarnation(device, incarnation, row)?;
    }
    Ok(Ok(()))
}

/// What one request says of an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// The device.
    pub device: &'a Device,
    /// The life of its database.
    pub incarnation: &'a str,
    /// The sequences that came or were given up.
    pub here: &'a [u64],
    /// What it still owes.
    pub owed: Owed,
    /// When, by the city's clock.
    pub now: UnixMillis,
}

/// Notes it, and returns how many sequences are newly found missing.
pub fn note<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    noted: &Noted<'_>,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<u64, Fault> {
    let Noted { device, incarnation, here, owed, now } = *noted;
    let row = tx.incarnation(device, incarnation)?.unwrap_or_default();
    let mut filled = None;
    for sequence in here {
        if *sequence > row.scanned {
            tx.put_arrival(device, incarnation, *sequence)?;
        } else if let Some(gap) = tx.gap_at(device, incarnation, *sequence)? {
            fill(tx, device, incarnation, gap, *sequence, now)?;
            filled = Some(gap);
        }
    }
    let (mut found, mut had) = (Vec::new(), filled.is_some());
    if owed.lowest > row.scanned + 1 {
        let arrived = tx.take_arrivals(device, incarnation, owed.lowest)?;
        found = gaps(row.scanned + 1, owed.lowest - 1, &arrived);
        had = had || (!found.is_empty() && tx.has_gaps(device, incarnation)?);
        for gap in &found {
            tx.put_gap(device, incarnation, *gap, now)?;
        }
        tx.put_incarnation(device, incarnation, Incarnation { scanned: owed.lowest - 1, ..row })?;
    }
    match (found.first(), filled) {
        (Some(gap), _) if !had => {
            alarm(tx, city, device, "raised", *gap, EventId::mint(now, entropy()), now)?;
        }
        (None, Some(gap)) if !tx.has_gaps(device, incarnation)? => {
            alarm(tx, city, device, "cleared", gap, EventId::mint(now, entropy()), now)?;
        }
        _ => {}
    }
    Ok(found.iter().map(|gap| gap.last - gap.first + 1).sum())
}

/// Why nothing was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWrittenOff {
    /// Nothing of this device is missing.
    NothingMissing,
    /// A decision needs a reason of 1 to [`REASON_CHARS_MAX`] characters.
    Reason,
}

/// Gives up what never came from a device, and keeps who did so and why. Tells how many sequences it was. One that comes
/// after all is taken as any other event.
pub fn write_off<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    device: &Device,
    (by, reason): (&str, &str),
    now: UnixMillis,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Result<u64, NotWrittenOff>, Fault> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Ok(Err(NotWrittenOff::Reason));
    }
    let gaps = tx.gaps_of(device, WRITTEN_OFF_MAX)?;
    let mut missing: u64 = 0;
    for (name, gap) in &gaps {
        tx.drop_gap(device, name, gap.first)?;
        tx.put_written_off(device, name, *gap, now, (by, reason))?;
        missing = missing.saturating_add(gap.last - gap.first + 1);
        if !tx.has_gaps(device, name)? {
            alarm(tx, city, device, "cleared", *gap, EventId::mint(now, entropy()), now)?;
        }
    }
    Ok(if gaps.is_empty() { Err(NotWrittenOff::NothingMissing) } else { Ok(missing) })
}

fn alarm<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    device: &Device,
    kind: &str,
    gap: Gap,
    id: EventId,
    now: UnixMillis,
) -> Result<(), Fault> {
    let (Ok(topic), Ok(kind)) = (Topic::parse("ops.alerts.v1"), EventType::parse(kind)) else {
        return Err(Fault("the alert has no name".to_owned()));
    };
    let text = |name: &str, text: &str| (name.to_owned(), Json::Text(text.to_owned()));
    let number = |name: &str, number: u64| (name.to_owned(), Json::Number(number.to_string()));
    let data = Json::Object(vec![
        text("alert", "sequence_gap"),
        text("device", device.as_str()),
        number("first", gap.first),
        number("last", gap.last),
    ]);
    let key = device_key(device)?;
    Said { city, topic: &topic, kind: &kind, key: &key, id, now }.say(tx, None, None, data)
}

/// A late arrival splits the gap it lay in.
fn fill<T: Tx + ?Sized>(
    tx: &mut T,
    device: &Device,
    incarnation: &str,
    gap: Gap,
    sequence: u64,
    now: UnixMillis,
) -> Result<(), Fault> {
    tx.drop_gap(device, incarnation, gap.first)?;
    for rest in gaps(gap.first, gap.last, &[sequence]) {
        tx.put_gap(device, incarnation, rest, now)?;
    }
    Ok(())
}

/// The runs from `first` to `last` that hold none of the rising `arrived`.
fn gaps(first: u64, last: u64, arrived: &[u64]) -> Vec<Gap> {
    let mut found = Vec::new();
    let mut next = first;
    for sequence in arrived.iter().copied().filter(|sequence| (first..=last).contains(sequence)) {
        if sequence > next {
            found.push(Gap { first: next, last: sequence - 1 });
        }
        next = sequence + 1;
    }
    if next <= last {
        found.push(Gap { first: next, last });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    const NOW: UnixMillis = UnixMillis(1);

    fn device() -> Device {
        Device::parse("till-1").unwrap()
    }

    fn hear(store: &mut Memory, here: &[u64], owed: &str) -> u64 {
        let city = City { id: EventId::mint(NOW, [9; 10]) };
        let (device, owed) = (device(), Owed::parse(owed).unwrap());
        let noted = Noted { device: &device, incarnation: "life", here, owed, now: NOW };
        let mut drawn = store.alerts().len() as u8;
        note(store, &city, &noted, &mut || {
            drawn += 1;
            [drawn; 10]
        })
        .unwrap()
    }

    #[test]
    fn the_owed_header_is_read_strictly() {
        assert_eq!(Owed::parse("0000000000000003-0000000000000009"), Some(Owed { lowest: 3, highest: 9 }));
        assert_eq!(Owed::parse("10-9"), Some(Owed { lowest: 10, highest: 9 }), "nothing is owed");
        for bad in ["", "3", "0-9", "11-9", "a-b", "-1-2", "+1-2", "1-9007199254740992", "1-2-3"] {
            assert_eq!(Owed::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_gap_is_below_the_lowest_owed_and_nowhere_else() {
        let mut store = Memory::default();
        assert_eq!(hear(&mut store, &[1, 2, 5], "3-9"), 0, "3 and 4 are still owed");
        assert_eq!(hear(&mut store, &[9], "7-9"), 3, "3, 4 and 6 are not owed any more and never came");
        assert_eq!(hear(&mut store, &[], "7-9"), 0, "told once");
        assert_eq!(store.missing(), 3);
        assert_eq!(hear(&mut store, &[], "10-9"), 2, "7 and 8");
    }

    #[test]
    fn a_late_arrival_closes_its_gap() {
        let mut store = Memory::default();
        assert_eq!(hear(&mut store, &[6], "6-6"), 5);
        hear(&mut store, &[3], "7-6");
        assert_eq!(store.missing(), 4);
        hear(&mut store, &[1, 2, 4, 5], "7-6");
        assert_eq!(store.missing(), 0);
    }

    #[test]
    fn a_gap_is_told_once_and_cleared_when_nothing_is_missing() {
        let mut store = Memory::default();
        hear(&mut store, &[1], "2-9");
        assert_eq!(store.alerts(), Vec::<String>::new());
        hear(&mut store, &[4], "4-9");
        hear(&mut store, &[7], "7-9");
        assert_eq!(store.alerts(), ["raised sequence_gap 2-3"], "the second one is not told again");
        hear(&mut store, &[2, 3], "8-9");
        assert_eq!(store.alerts().len(), 1, "5 and 6 are still missing");
        hear(&mut store, &[5, 6], "8-9");
        assert_eq!(store.alerts().get(1).map(String::as_str), Some("cleared sequence_gap 6-6"));
        hear(&mut store, &[], "10-9");
        assert_eq!(store.alerts().get(2).map(String::as_str), Some("raised sequence_gap 8-9"), "anew");
    }

    #[test]
    fn what_a_person_gives_up_is_missing_no_more_and_its_alarm_is_cleared() {
        let mut store = Memory::default();
        let city = City { id: EventId::mint(NOW, [9; 10]) };
        let give_up = |store: &mut Memory, reason: &str| {
            write_off(store, &city, &device(), ("ops-1", reason), NOW, &mut || [77; 10]).unwrap()
        };
        assert_eq!(give_up(&mut store, "lost"), Err(NotWrittenOff::NothingMissing));
        hear(&mut store, &[2, 5], "7-9");
        assert_eq!(give_up(&mut store, "  "), Err(NotWrittenOff::Reason));
        assert_eq!(store.missing(), 4);
        assert_eq!(give_up(&mut store, "it fell into the harbour"), Ok(4));
        assert_eq!(store.missing(), 0);
        assert_eq!(store.alerts(), ["raised sequence_gap 1-1", "cleared sequence_gap 6-6"]);
        assert_eq!(hear(&mut store, &[3], "7-9"), 0, "it came after all");
        assert_eq!(hear(&mut store, &[], "9-9"), 2, "what is missing from now on is told anew");
    }

    #[test]
    fn a_gap_that_closes_as_another_opens_is_one_alarm() {
        let mut store = Memory::default();
        hear(&mut store, &[], "3-9");
        hear(&mut store, &[1, 2], "5-9");
        assert_eq!(store.alerts(), ["raised sequence_gap 1-2"]);
        hear(&mut store, &[3, 4], "5-9");
        assert_eq!(store.alerts().len(), 2, "now nothing is missing");
    }

    #[test]
    fn a_huge_claim_costs_one_row() {
        let mut store = Memory::default();
        assert_eq!(hear(&mut store, &[], "9007199254740991-9007199254740991"), 9_007_199_254_740_990);
    }

    #[test]
    fn a_lower_epoch_does_not_speak() {
        let mut store = Memory::default();
        let mut speak = |epoch| enter(&mut store, &device(), "life", epoch).unwrap();
        assert_eq!(speak(3), Ok(()));
        assert_eq!(speak(3), Ok(()));
        assert_eq!(speak(2), Err(StaleEpoch { highest: 3 }));
        assert_eq!(speak(4), Ok(()));
        assert_eq!(enter(&mut store, &device(), "other life", 1).unwrap(), Ok(()));
    }
}

//! What failed leaves nothing behind, at whichever write it fails.

use super::*;
use crate::books::{Books, RefundState, RefundStep};
use crate::bus::{BusTx, Wait};
use proptest::prelude::*;

fn key(number: u8) -> Key {
    Key::parse(&format!("k-{}", number % 3)).unwrap()
}

fn device(number: u8) -> Device {
    Device::parse(&format!("gate-{}", number % 2)).unwrap()
}

fn id(number: u8) -> EventId {
    EventId::from_bytes([number % 4; 16])
}

fn scan(own: u8) -> Scan {
    let result = [ScanResult::Admitted, ScanResult::Duplicate, ScanResult::Refused];
    Scan {
        ticket: key(own),
        event: id(own / 3),
        device: device(own / 5),
        gate: "A".to_owned(),
        result: result[usize::from(own / 7) % 3],
        flaw: None,
        inside: own.is_multiple_of(2),
        at: UnixMillis(u64::from(own % 11)),
    }
}

fn admission(own: u8) -> Admission {
    let Scan { ticket, event, device, gate, at, .. } = scan(own);
    Admission { ticket, event, device, gate, at }
}

fn wait(own: u8) -> Wait {
    Wait {
        consumer: format!("c{}", own % 2),
        partition: 0,
        offset: u64::from(own % 4),
        key: key(own),
        tries: u32::from(own),
        due: None,
        dead: false,
        body: None,
    }
}

/// One write of each sort of table there is.
fn write(books: &mut Memory, which: u8, own: u8) -> Result<(), Fault> {
    let (at, number, word) = (UnixMillis(u64::from(own)), u64::from(own % 4), format!("c{}", own % 2));
    match which % 30 {
        0 => books.put_scan(&scan(own)),
        1 => books.change_scan(&scan(own)),
        2 => books.put_admission(&admission(own)),
        3 => books.move_admission(&admission(own)),
        4 => books.drop_admission(&key(own)),
        5 => books.put_digest(&key(own), at),
        6 => books.take_digest().map(drop),
        7 => books.put_refusal(&device(own), id(own), "late", at),
        8 => books.put_spot("noise", &word, &key(own)),
        9 => books.put_contact(&key(own), &word, at),
        10 => books.drop_contacts(&key(own)),
        11 => books.put_feed(&FeedEvent {
            device: device(own),
            sequence: number,
            id: id(own),
            body: String::new(),
        }),
        12 => books.put_arrival(&device(own), &word, number),
        13 => books.take_arrivals(&device(own), &word, number).map(drop),
        14 => books.put_gap(&device(own), &word, Gap { first: number, last: number }, at),
        15 => books.drop_gap(&device(own), &word, number),
        16 => books.put_clone(&device(own), Why::TwoLives, at),
        17 => books.drop_clone(&device(own)),
        18 => books.put_incarnation(&device(own), &word, Incarnation { epoch: number, scanned: number }),
        19 => books.put_cursor(&word, 0, number),
        20 => books.put_handled(&word, "conch://a", id(own), at).map(drop),
        21 => books.drop_handled(&word, "conch://a", id(own)),
        22 => books.put_wait(&wait(own)),
        23 => books.drop_wait(&word, 0, number),
        24 => books.retire(&word),
        25 => books.put_lease(&word, "me", at),
        26 => books.put_told(&word).map(drop),
        27 => books.put_settled_up_to(number),
        28 => books.put_refund_step(
            &word,
            &RefundStep { state: RefundState::Found, attempt: 1, detail: String::new(), at },
        ),
        _ => books
            .put_passing(&FeedEvent { device: device(own), sequence: number, id: id(own), body: word }, at),
    }
}

/// Each index says what the rows say.
fn indexes_agree(rows: &Rows) -> bool {
    let at = |own: &Scan| rows.scan_at.get(&(own.device.clone(), own.event)).copied();
    let mut scans = rows.scans.iter().enumerate();
    rows.scans.len() == rows.scan_at.len()
        && rows.scans.len() == rows.scans_of.len()
        && rows.fed == rows.feeds.values().map(|feed| feed.len() as u64).sum::<u64>()
        && scans.all(|(place, own)| {
            at(own) == Some(place) && rows.scans_of.contains_key(&(own.ticket.clone(), place))
        })
}

proptest! {
    /// A piece that fails, also within another that does not, takes back exactly what it wrote; the outer one too
    /// when the storage fails at any of its writes.
    #[test]
    fn what_failed_is_taken_back_to_the_row(
        before in prop::collection::vec((any::<u8>(), any::<u8>()), 0..40),
        first in prop::collection::vec((any::<u8>(), any::<u8>()), 0..20),
        inner in prop::collection::vec((any::<u8>(), any::<u8>()), 0..20),
        last in prop::collection::vec((any::<u8>(), any::<u8>()), 0..20),
        fuse in 0_u64..70,
    ) {
        let mut books = Memory::default();
        for (which, own) in before {
            // A constraint that holds is no failure here.
            let _ = write(&mut books, which, own);
        }
        let before = books.clone();
        books.fail_after(Some(fuse));
        let done: Result<(), Fault> = books.whole(|books| {
            for (which, own) in &first {
                let _ = write(books, *which, *own);
            }
            let between = books.clone();
            let failed: Result<(), ()> = books.whole(|books| {
                for (which, own) in &inner {
                    let _ = write(books, *which, *own);
                }
                Err(())
            });
            assert!(failed.is_err() && *books.rows == *between.rows);
            for (which, own) in &last {
                let _ = write(books, *which, *own);
            }
            assert!(indexes_agree(&books.rows));
            books.write().map(drop)
        });
        books.fail_after(None);
        if done.is_err() {
            prop_assert_eq!(&*books.rows, &*before.rows);
        }
        // Nothing is left to be taken back by whoever comes next.
        let now = books.clone();
        let failed: Result<(), ()> = books.whole(|_| Err(()));
        prop_assert!(failed.is_err() && *books.rows == *now.rows && indexes_agree(&books.rows));
    }
}

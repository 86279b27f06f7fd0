//! state-with-event: the application's records and its events become durable together or not at all.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod desk;

use conch::outbox::engine::EmitFault;
use desk::{Desk, note, pay};

#[test]
fn records_and_events_go_in_together() {
    let mut desk = Desk::open();
    desk.commit(vec![note("t-1"), note("t-2")], &[("t-1", None)], &[("t-1", Some("1")), ("t-2", Some("2"))]);
    desk.drain();
    assert_eq!(desk.appends, 1);
    let receipts = desk.committed[0].as_ref().unwrap();
    assert_eq!(receipts.iter().map(|own| own.kept.row.sequence.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((desk.record("t-1"), desk.record("t-2")), (Some("1"), Some("2")));
    desk.commit(vec![note("t-1")], &[("t-1", Some("1"))], &[("t-1", None)]);
    desk.drain();
    assert!(desk.committed[1].is_ok());
    assert_eq!(desk.record("t-1"), None);
}

#[test]
fn a_failed_guard_rejects_only_its_caller() {
    let mut desk = Desk::open();
    desk.commit(vec![note("a")], &[], &[("a", Some("1"))]);
    desk.commit(vec![note("b")], &[("b", None), ("a", None)], &[("b", Some("1"))]);
    desk.emit_all([note("c")]);
    assert_eq!(desk.appends, 1);
    assert!(desk.committed[0].is_ok() && desk.emitted[0].is_ok());
    assert_eq!(desk.committed[1], Err(EmitFault::Guard(1)), "it is the second guard");
    assert_eq!((desk.record("a"), desk.record("b")), (Some("1"), None));
    assert_eq!(desk.snapshot().counter.owed, 2);
}

/// The commits of one turn see each other in order, as if each had been alone.
#[test]
fn of_two_commits_that_expect_the_same_one_wins() {
    let mut desk = Desk::open();
    for word in ["first", "second"] {
        desk.commit(vec![note(word)], &[("t-1", None)], &[("t-1", Some(word))]);
    }
    desk.drain();
    assert!(desk.committed[0].is_ok());
    assert_eq!(desk.committed[1], Err(EmitFault::Guard(0)));
    assert_eq!(desk.record("t-1"), Some("first"));
}

#[test]
fn a_commit_that_is_tried_again_is_a_replay_and_asks_no_guard() {
    let mut desk = Desk::open();
    for _ in 0..2 {
        desk.commit(vec![pay("o-1", 5)], &[("o-1", None)], &[("o-1", Some("1"))]);
        desk.drain();
    }
    let own = |place: usize| desk.committed[place].as_ref().unwrap()[0];
    assert_eq!((own(0).kept, own(0).replayed, own(1).replayed), (own(1).kept, false, true));
    // Also when it stands among others of its turn, and its record has moved on.
    desk.commit(vec![pay("o-2", 5)], &[("o-1", Some("1"))], &[("o-1", Some("2"))]);
    desk.commit(vec![pay("o-1", 5)], &[("o-1", None)], &[("o-1", Some("1"))]);
    desk.drain();
    let own = |place: usize| desk.committed[place].as_ref().unwrap()[0];
    assert_eq!((own(2).replayed, own(3).replayed), (false, true));
    assert_eq!(desk.record("o-1"), Some("2"));
}

#[test]
fn one_event_that_cannot_be_taken_leaves_nothing_of_its_commit() {
    let mut desk = Desk::open();
    desk.emit_all([pay("o-1", 5)]);
    desk.commit(vec![pay("o-2", 5), pay("o-1", 6)], &[], &[("o-2", Some("1"))]);
    desk.commit(vec![pay("o-3", 5), pay("o-3", 6)], &[], &[("o-3", Some("1"))]);
    desk.emit_all([pay("o-2", 7), pay("o-3", 7)]);
    assert!(matches!(desk.committed[0], Err(EmitFault::Conflict(kept)) if kept.row.sequence.0 == 1));
    assert_eq!(desk.committed[1], Err(EmitFault::Contradiction));
    assert_eq!((desk.record("o-2"), desk.record("o-3")), (None, None));
    assert!(desk.emitted[1].is_ok() && desk.emitted[2].is_ok(), "{:?}", desk.emitted);
    assert_eq!(desk.snapshot().counter.owed, 3);
    desk.commit(vec![note("x")], &[], &[]);
    desk.commit(vec![desk::poisoned("a b")], &[], &[("x", Some("1"))]);
    desk.drain();
    assert!(desk.committed[3].is_ok() && matches!(desk.committed[2], Err(EmitFault::Problem(_))));
    assert_eq!(desk.record("x"), None);
}

/// A full disk takes what fits; a commit that does not fit is refused as a whole.
#[test]
fn a_full_disk_halves_a_turn_between_commits_and_never_within_one() {
    let mut desk = Desk::open();
    desk.room = 2;
    desk.commit(vec![note("a"), note("b")], &[("a", None)], &[("a", Some("1"))]);
    desk.commit(vec![note("c"), note("d"), note("e")], &[], &[("c", Some("1"))]);
    desk.commit(vec![note("f")], &[("a", Some("1"))], &[("f", Some("1"))]);
    desk.emit_all([note("g")]);
    let taken: Vec<bool> = desk.committed.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true]);
    assert!(desk.emitted[0].is_ok());
    assert_eq!((desk.record("a"), desk.record("c"), desk.record("f")), (Some("1"), None, Some("1")));
    assert_eq!(desk.snapshot().counter.owed, 4);
}

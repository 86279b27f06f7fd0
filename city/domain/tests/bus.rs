//! The bus against books in memory: order, one effect, poison, dead letters and what a person decides about them.
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use city_domain::bus::{
    BusTx, Consumer, Decision, Failure, Lease, Message, NotDecided, PARTITIONS, Subscription, Tick, Turn,
    decide, due, hold, relay, take_up, tick,
};
use city_domain::{CaseState, City, Civic, Fault, Memory, Scan, ScanResult, Tx, limits};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Key, Topic, UnixMillis};
use conch::pace::Jitter;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

const START: UnixMillis = UnixMillis(1_790_000_000_000);

/// A consumer whose effect is a scan, and which fails as it is told.
#[derive(Default)]
struct Clerk {
    /// By event: how often it fails before it succeeds; a negative number is for ever and hopeless.
    fails: RefCell<BTreeMap<EventId, i64>>,
    storage_fails: Cell<bool>,
    tries: Cell<u32>,
}

impl Consumer for Clerk {
    fn name(&self) -> &'static str {
        "clerk"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        ["stall.>", "pay.>"].iter().filter_map(|pattern| Subscription::to(pattern, &[])).collect()
    }

    fn handle(&self, tx: &mut dyn Tx, message: &Message, turn: &mut Turn<'_>) -> Result<(), Failure> {
        self.tries.set(self.tries.get() + 1);
        // The effect comes first, so that what a failure leaves behind would show.
        let device = Device::parse("till-1").unwrap();
        tx.put_scan(&Scan {
            ticket: message.key.clone(),
            event: message.id,
            device,
            gate: "N1".to_owned(),
            result: ScanResult::Duplicate,
            flaw: None,
            inside: false,
            at: turn.now,
        })?;
        if self.storage_fails.get() {
            return Err(Failure::Storage(Fault("the disk is full".to_owned())));
        }
        match self.fails.borrow_mut().get_mut(&message.id) {
            None | Some(0) => Ok(()),
            Some(left) if *left < 0 => Err(Failure::never("unreadable", "the payload names no place")),
            Some(left) => {
                *left -= 1;
                Err(Failure::later("busy", "another desk is asked"))
            }
        }
    }
}

struct Office {
    memory: Memory,
    clerk: Clerk,
    city: City,
    now: UnixMillis,
    jitter: Jitter,
    minted: u64,
    died: usize,
}

impl Office {
    fn new() -> Self {
        Self {
            memory: Memory::default(),
            clerk: Clerk::default(),
            city: City { id: EventId::mint(START, [9; 10]) },
            now: START,
            jitter: Jitter::new(7),
            minted: 0,
            died: 0,
        }
    }

    fn say(&mut self, topic: &str, key: &str) -> EventId {
        self.minted += 1;
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&self.minted.to_be_bytes());
        let id = EventId::mint(START, entropy);
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"conch://device/till-1/life","type":"{topic}.said","partitionkey":"{key}","data":{{"phone":"call 0912345678"}},"later":"kept"}}"#
        );
        let message = Message {
            source: "conch://device/till-1/life".to_owned(),
            id,
            topic: Topic::parse(topic).unwrap(),
            kind: EventType::parse("said").unwrap(),
            key: Key::parse(key).unwrap(),
            body,
        };
        self.memory.put_outgoing(&message).unwrap();
        id
    }

    fn note(&mut self, key: &str) -> EventId {
        self.say("stall.note.v1", key)
    }

    /// An event that no try will ever handle.
    fn poison(&mut self, key: &str) -> EventId {
        let id = self.note(key);
        self.clerk.fails.borrow_mut().insert(id, -1);
        id
    }

    /// Works on the books within one turn.
    fn in_turn<T>(&mut self, work: impl FnOnce(&mut Memory, &mut Turn<'_>) -> T) -> T {
        let minted = &mut self.minted;
        let mut entropy = || {
            *minted += 1;
            let mut bytes = [3; 10];
            bytes[2..].copy_from_slice(&minted.to_be_bytes());
            bytes
        };
        let mut turn = Turn::new(&self.city, self.now, &mut entropy, &mut self.jitter);
        let done = work(&mut self.memory, &mut turn);
        self.died += turn.died;
        done
    }

    /// Everything said is relayed, and what is new is taken up by this consumer.
    fn take_up(&mut self, consumer: &dyn Consumer) {
        self.in_turn(|memory, turn| {
            for partition in 0..PARTITIONS {
                relay(memory, partition, 10, turn.now).unwrap();
                take_up(memory, consumer, partition, 10, turn).unwrap();
            }
        });
    }

    /// One turn: everything is relayed, everything new taken up, everything due tried again.
    fn turn(&mut self) -> Result<usize, Fault> {
        let clerk = std::mem::take(&mut self.clerk);
        let moved = self.in_turn(|memory, turn| {
            let mut moved = 0;
            for partition in 0..PARTITIONS {
                moved += relay(memory, partition, 10, turn.now)?;
                moved += take_up(memory, &clerk, partition, 10, turn)?;
            }
            Ok(moved + due(memory, &clerk, 10, turn)?)
        });
        self.clerk = clerk;
        moved
    }

    /// Turns until nothing moves; then time passes to the next due moment, until none is left.
    fn run(&mut self) {
        for _ in 0..100_000 {
            if self.turn().unwrap() > 0 {
                continue;
            }
            match self.memory.next_due("clerk").unwrap() {
                Some(at) => self.now = self.now.max(at),
                None => return,
            }
        }
        panic!("it never comes to rest");
    }

    fn effects(&self) -> Vec<EventId> {
        self.memory.scans().iter().map(|scan| scan.event).collect()
    }

    fn alerts(&self) -> Vec<Json> {
        let alerts = self.memory.log().filter(|message| message.topic.family() == "ops.alerts");
        alerts.map(|message| Json::parse(&message.body).unwrap()).collect()
    }
}

#[test]
fn what_is_said_is_handled_once_and_in_order() {
    let mut office = Office::new();
    let said: Vec<_> = (0..50).map(|_| office.note("one-key")).collect();
    office.run();
    assert_eq!(office.effects(), said);
}

#[test]
fn a_relay_that_ended_between_publish_and_mark_publishes_nothing_twice() {
    let mut office = Office::new();
    let said = [office.note("a"), office.note("a")];
    let partition =
        office.memory.outgoing(0, 0).map(|_| city_domain::bus::partition_of(&Key::parse("a").unwrap()));
    let partition = partition.unwrap();
    for (_, message) in office.memory.outgoing(partition, 10).unwrap() {
        assert!(office.memory.append(&message, START).unwrap());
    }
    // The mark was never written.
    office.run();
    assert_eq!((office.memory.log().count(), office.effects()), (2, said.to_vec()));
}

#[test]
fn a_lease_is_held_by_one_and_goes_on_when_it_ran_out() {
    let mut memory = Memory::default();
    let Lease::Ours(until) = hold(&mut memory, "relay", "one", START).unwrap() else { panic!() };
    assert_eq!(hold(&mut memory, "relay", "two", START).unwrap(), Lease::Theirs(until));
    // An idle city must not write each second.
    assert_eq!(hold(&mut memory, "relay", "one", UnixMillis(START.0 + 1_000)).unwrap(), Lease::Ours(until));
    let Lease::Ours(renewed) = hold(&mut memory, "relay", "one", UnixMillis(until.0 - 1)).unwrap() else {
        panic!()
    };
    assert!(renewed > until);
    assert!(matches!(hold(&mut memory, "relay", "two", UnixMillis(until.0 * 2)).unwrap(), Lease::Ours(_)));
    assert!(matches!(hold(&mut memory, "other", "one", START).unwrap(), Lease::Ours(_)));
}

#[test]
fn a_replay_of_the_whole_log_has_no_second_effect() {
    let mut office = Office::new();
    for round in 0..30 {
        office.note(&format!("k-{}", round % 5));
    }
    office.run();
    let (effects, tries) = (office.effects(), office.clerk.tries.get());
    for partition in 0..PARTITIONS {
        office.memory.put_cursor("clerk", partition, 0).unwrap();
    }
    office.run();
    assert_eq!((office.effects(), office.clerk.tries.get()), (effects, tries));
}

#[test]
fn a_failed_try_leaves_nothing_and_the_key_keeps_its_order() {
    let mut office = Office::new();
    let first = office.note("a");
    let (second, other) = (office.note("a"), office.note("b"));
    office.clerk.fails.borrow_mut().insert(first, 3);
    office.turn().unwrap();
    office.turn().unwrap();
    assert_eq!(office.effects(), [other], "no other key waits, and the failed try left nothing");
    office.run();
    assert_eq!(office.effects(), [other, first, second]);
    assert!(
        office.now.0 - START.0 >= 7_000,
        "three waits, each longer than the last: {}",
        office.now.0 - START.0
    );
    assert_eq!(office.memory.waiting(), 0);
}

#[test]
fn poison_dies_at_once_with_an_alert_and_its_personal_data_masked() {
    let mut office = Office::new();
    let poison = office.note("a");
    let after = office.note("a");
    office.clerk.fails.borrow_mut().insert(poison, -1);
    office.run();
    assert_eq!(office.effects(), [after], "a topic without a contract goes on behind it");
    let letters: Vec<_> = office.memory.dead_letters().cloned().collect();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(
        (letter.message.id, letter.tries, letter.code.as_str(), office.died),
        (poison, 1, "unreadable", 1)
    );
    assert!(letter.message.body.contains("[phone]") && !letter.message.body.contains("0912345678"));
    assert!(letter.message.body.contains(r#""later":"kept""#), "what the future added stays");
    let alerts = office.alerts();
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!(alert.text("type"), Some("ops.alerts.v1.raised"));
    assert_eq!(alert.text("causationid"), Some(poison.to_string().as_str()));
    let data = alert.get("data").unwrap();
    assert_eq!(
        (data.text("fingerprint"), data.whole("deadLetter")),
        (Some(letter.fingerprint.as_str()), Some(1))
    );
}

#[test]
fn what_fails_again_and_again_dies_after_its_last_try() {
    let mut office = Office::new();
    let hopeless = office.note("a");
    office.clerk.fails.borrow_mut().insert(hopeless, i64::MAX);
    office.run();
    assert_eq!(office.clerk.tries.get(), limits::TRIES_MAX);
    assert_eq!((office.died, office.alerts().len(), office.effects().len()), (1, 1, 0));
}

#[test]
fn a_flood_of_one_failure_is_a_few_alerts() {
    let mut office = Office::new();
    for number in 0..120 {
        office.poison(&format!("k-{number}"));
    }
    office.run();
    let open: Vec<_> =
        office.alerts().iter().map(|alert| alert.get("data").unwrap().whole("open").unwrap()).collect();
    assert_eq!((office.memory.dead_letters().count(), open), (120, vec![1, 10, 100]));
}

#[test]
fn failures_of_one_kind_share_a_fingerprint() {
    let mut office = Office::new();
    let dead = [office.note("a"), office.note("b"), office.say("stall.note.v2", "c")];
    for id in dead {
        office.clerk.fails.borrow_mut().insert(id, -1);
    }
    office.run();
    let prints: Vec<_> = office
        .memory
        .dead_letters()
        .map(|letter| (letter.message.topic.to_string(), letter.fingerprint.clone()))
        .collect();
    let of = |topic: &str| {
        prints.iter().filter(|(own, _)| own == topic).map(|(_, print)| print.clone()).collect::<Vec<_>>()
    };
    let (one, two) = (of("stall.note.v1"), of("stall.note.v2"));
    assert!(one.len() == 2 && one[0] == one[1] && two[0] != one[0], "{prints:?}");
    assert!(one[0].len() == 16 && one[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// Whoever carries alerts away is a consumer too.
#[test]
fn a_dead_alert_raises_no_alert_of_its_own() {
    struct Horn;
    impl Consumer for Horn {
        fn name(&self) -> &'static str {
            "horn"
        }
        fn subscriptions(&self) -> Vec<Subscription> {
            Subscription::to("ops.alerts.*", &[]).into_iter().collect()
        }
        fn handle(&self, _: &mut dyn Tx, _: &Message, _: &mut Turn<'_>) -> Result<(), Failure> {
            Err(Failure::never("no_horn", "nobody carries it away"))
        }
    }
    let mut office = Office::new();
    office.poison("a");
    office.run();
    let before = office.died;
    office.take_up(&Horn);
    assert_eq!(office.died, before + 1);
    office.run();
    assert_eq!(office.alerts().len(), 1);
}

#[test]
fn a_contract_that_blocks_keeps_the_key_behind_its_dead_letter_until_a_person_decides() {
    for redriven in [true, false] {
        let mut office = Office::new();
        let poison = say_payment(&mut office, "order-1");
        let (behind, other) = (say_payment(&mut office, "order-1"), say_payment(&mut office, "order-2"));
        office.clerk.fails.borrow_mut().insert(poison, -1);
        office.run();
        assert_eq!(office.effects(), [other]);
        office.clerk.fails.borrow_mut().clear();
        let decision =
            if redriven { Decision::Redrive { payload: None, due: office.now } } else { Decision::Discard };
        let letter = decide(&mut office.memory, 1, &decision, ("ops-1", "the reader was fixed"), office.now);
        let closing = letter.unwrap().unwrap().closed.unwrap();
        assert_eq!((closing.by.as_str(), closing.redriven), ("ops-1", redriven));
        office.run();
        let effects = if redriven { vec![other, poison, behind] } else { vec![other, behind] };
        assert_eq!((office.effects(), office.memory.waiting()), (effects, 0));
    }
}

fn say_payment(office: &mut Office, key: &str) -> EventId {
    let id = office.note(key);
    let topic = Topic::parse("pay.txn.v2").unwrap();
    let partition = city_domain::bus::partition_of(&Key::parse(key).unwrap());
    // The same event under a contract that blocks.
    let before = office.memory.outgoing(partition, 100).unwrap();
    for (place, _) in &before {
        office.memory.drop_outgoing(partition, *place).unwrap();
    }
    for (_, own) in before {
        let own = if own.id == id {
            let body = own.body.replace("stall.note.v1.said", "pay.txn.v2.captured");
            let body = body
                .replace(r#"{"phone":"call 0912345678"}"#, r#"{"txnId":"t-1","amount":5,"currency":"TWD"}"#);
            Message { topic: topic.clone(), kind: EventType::parse("captured").unwrap(), body, ..own }
        } else {
            own
        };
        office.memory.put_outgoing(&own).unwrap();
    }
    id
}

#[test]
fn a_person_fixes_the_payload_and_everything_else_stays() {
    let mut office = Office::new();
    let poison = office.poison("a");
    office.run();
    let fixed = Json::parse(r#"{"place":"N3"}"#).unwrap();
    let again = Decision::Redrive { payload: Some(fixed), due: office.now };
    decide(&mut office.memory, 1, &again, ("ops-1", "place added"), office.now).unwrap().unwrap();
    let wait = office.memory.first_wait("clerk", &Key::parse("a").unwrap()).unwrap().unwrap();
    let body = Json::parse(&wait.body.unwrap()).unwrap();
    assert_eq!(body.get("data").and_then(|data| data.text("place")), Some("N3"));
    assert_eq!((body.text("id"), body.text("later")), (Some(poison.to_string().as_str()), Some("kept")));
    office.clerk.fails.borrow_mut().clear();
    office.run();
    assert_eq!(office.effects(), [poison]);
}

#[test]
fn a_decision_needs_a_reason_and_an_open_letter() {
    let mut office = Office::new();
    office.poison("a");
    office.run();
    let mut take = |number, reason: &str| {
        decide(&mut office.memory, number, &Decision::Discard, ("ops-1", reason), START).unwrap()
    };
    assert_eq!(take(1, " "), Err(NotDecided::Reason));
    assert_eq!(take(1, &"x".repeat(201)), Err(NotDecided::Reason));
    assert_eq!(take(2, "gone"), Err(NotDecided::Missing));
    assert!(take(1, "a test event").is_ok());
    assert!(matches!(take(1, "again"), Err(NotDecided::Closed(closing)) if closing.reason == "a test event"));
}

#[test]
fn a_storage_that_fails_counts_no_try_and_comes_again() {
    let mut office = Office::new();
    let said = office.note("a");
    for partition in 0..PARTITIONS {
        relay(&mut office.memory, partition, 10, START).unwrap();
    }
    office.clerk.storage_fails.set(true);
    let before = office.memory.clone();
    assert!(office.turn().is_err());
    // As the runner's transaction would.
    office.memory = before;
    office.clerk.storage_fails.set(false);
    office.run();
    assert_eq!((office.effects(), office.memory.dead_letters().count()), (vec![said], 0));
}

/// Remembers what it heard.
#[derive(Default)]
struct Old {
    wants: Vec<&'static str>,
    heard: RefCell<Vec<(String, EventId)>>,
}

impl Consumer for Old {
    fn name(&self) -> &'static str {
        "old"
    }
    fn subscriptions(&self) -> Vec<Subscription> {
        self.wants.iter().filter_map(|pattern| Subscription::to(pattern, &[])).collect()
    }
    fn handle(&self, _: &mut dyn Tx, message: &Message, _: &mut Turn<'_>) -> Result<(), Failure> {
        let whole = format!("{}.{}", message.topic, message.kind.as_str());
        self.heard.borrow_mut().push((whole, message.id));
        Ok(())
    }
}

/// A subscriber of version 1 alone still hears what is said in version 2; one of both hears it once, as it is.
#[test]
fn an_old_subscriber_hears_a_newer_version_cast_down() {
    let hears = |wants: &[&'static str]| {
        let mut office = Office::new();
        let id = say_payment(&mut office, "order-1");
        let old = Old { wants: wants.to_vec(), ..Old::default() };
        office.take_up(&old);
        let heard = old.heard.into_inner();
        assert!(heard.iter().all(|(_, own)| *own == id), "the same id: {heard:?}");
        heard.into_iter().map(|(whole, _)| whole).collect::<Vec<_>>()
    };
    assert_eq!(hears(&["pay.txn.v1"]), ["pay.txn.v1.captured"]);
    assert_eq!(hears(&["pay.txn.v2"]), ["pay.txn.v2.captured"]);
    assert_eq!(hears(&["pay.txn.v1", "pay.txn.v2"]), ["pay.txn.v2.captured"]);
    assert_eq!(hears(&["pay.txn.v3"]), Vec::<String>::new(), "never the other way round");
    assert_eq!(hears(&["gate.auth.v1"]), Vec::<String>::new());
}

/// What time alone makes due and what always fails must not stop the others.
#[test]
fn a_service_that_cannot_do_what_is_due_is_told_and_asked_again_later() {
    struct Late;
    impl Consumer for Late {
        fn name(&self) -> &'static str {
            "late"
        }
        fn subscriptions(&self) -> Vec<Subscription> {
            Vec::new()
        }
        fn handle(&self, _: &mut dyn Tx, _: &Message, _: &mut Turn<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn tick(&self, _: &mut dyn Tx, _: &mut Turn<'_>) -> Result<Tick, Failure> {
            Err(Failure::later("late", "the clock has no hands"))
        }
    }
    let mut office = Office::new();
    let ((done, next), troubles) =
        office.in_turn(|memory, turn| (tick(memory, &Late, 10, turn).unwrap(), turn.troubles.clone()));
    assert_eq!((done, next), (0, Some(UnixMillis(START.0 + limits::RETRY_CAP_MS))));
    assert_eq!(troubles, ["late could not do what was due: the clock has no hands"]);
}

fn redrive(office: &mut Office, number: u64, payload: Option<&str>) {
    let payload = payload.map(|text| Json::parse(text).unwrap());
    let decision = Decision::Redrive { payload, due: office.now };
    decide(&mut office.memory, number, &decision, ("ops-1", "looked at"), office.now).unwrap().unwrap();
}

/// A decision about one letter of a key woke the other one, which nobody had decided about; it died a second time, and
/// one of its two letters redriven and the other discarded, the payment was gone.
#[test]
fn a_decision_about_one_dead_letter_decides_nothing_about_another_of_its_key() {
    for redriven in [false, true] {
        let mut office = Office::new();
        let note = office.poison("k");
        office.run();
        let payment = say_payment(&mut office, "k");
        let behind = say_payment(&mut office, "k");
        office.clerk.fails.borrow_mut().insert(payment, -1);
        office.run();
        office.clerk.fails.borrow_mut().remove(&note);
        if redriven {
            redrive(&mut office, 1, None);
        } else {
            decide(&mut office.memory, 1, &Decision::Discard, ("ops-1", "a note"), office.now)
                .unwrap()
                .unwrap();
        }
        office.run();
        let open = office.memory.dead_letters().filter(|letter| letter.closed.is_none()).count();
        assert_eq!((office.memory.dead_letters().count(), open), (2, 1));
        office.clerk.fails.borrow_mut().clear();
        redrive(&mut office, 2, None);
        office.run();
        let expected = if redriven { vec![note, payment, behind] } else { vec![payment, behind] };
        assert_eq!((office.effects(), office.memory.waiting()), (expected, 0));
    }
}

#[test]
fn what_a_person_mended_is_what_goes_again_the_next_time() {
    let mut office = Office::new();
    office.poison("k");
    office.run();
    redrive(&mut office, 1, Some(r#"{"place":"N3"}"#));
    office.run();
    assert!(office.memory.dead(2).unwrap().unwrap().message.body.contains("N3"));
    redrive(&mut office, 2, None);
    let wait = office.memory.first_wait("clerk", &Key::parse("k").unwrap()).unwrap().unwrap();
    assert!(wait.body.unwrap().contains("N3"));
}

#[test]
fn a_payload_beyond_the_limit_is_not_taken() {
    let mut office = Office::new();
    office.poison("k");
    office.run();
    let payload = Some(Json::Text("x".repeat(limits::EVENT_BYTES_MAX)));
    let decision = Decision::Redrive { payload, due: START };
    let taken = decide(&mut office.memory, 1, &decision, ("ops-1", "large"), START).unwrap();
    assert_eq!(taken, Err(NotDecided::TooLarge));
    assert!(office.memory.dead(1).unwrap().unwrap().closed.is_none());
}

/// It heard version 1 of an event of version 2; mended in the form that was shown, the event was taken for one that
/// nobody wants.
#[test]
fn an_event_that_was_cast_down_is_mended_in_the_form_that_was_shown() {
    struct OldGate {
        fails: Cell<bool>,
        heard: RefCell<Vec<String>>,
    }
    impl Consumer for OldGate {
        fn name(&self) -> &'static str {
            "old-gate"
        }
        fn subscriptions(&self) -> Vec<Subscription> {
            Subscription::to("gate.auth.v1", &[]).into_iter().collect()
        }
        fn handle(&self, _: &mut dyn Tx, message: &Message, _: &mut Turn<'_>) -> Result<(), Failure> {
            if self.fails.get() {
                return Err(Failure::never("bad", "unreadable"));
            }
            self.heard.borrow_mut().push(message.body.clone());
            Ok(())
        }
    }
    let mut office = Office::new();
    let id = EventId::mint(START, [4; 10]);
    let body = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"conch://device/g/l","type":"gate.auth.v2.scanned","partitionkey":"t-1","data":{{"gateId":"n1","ticketId":"t-1"}}}}"#
    );
    let message = Message::read(body).unwrap();
    office.memory.append(&message, START).unwrap();
    let gate = OldGate { fails: Cell::new(true), heard: RefCell::default() };
    office.take_up(&gate);
    let decide_so = |memory: &mut Memory, number, payload: &str| {
        let payload = Some(Json::parse(payload).unwrap());
        let decision = Decision::Redrive { payload, due: START };
        decide(memory, number, &decision, ("ops-1", "mended"), START).unwrap().unwrap();
    };
    gate.fails.set(false);
    decide_so(&mut office.memory, 1, r#"{"gate":"n2","code":"t-1","ok":1}"#);
    office.in_turn(|memory, turn| due(memory, &gate, 10, turn).unwrap());
    let heard = gate.heard.borrow().clone();
    assert!(
        heard.len() == 1 && heard[0].contains(r#""gate":"n2""#) && heard[0].contains("gate.auth.v1.verified")
    );
    assert_eq!(office.memory.waiting(), 0);
}

#[test]
fn dead_letters_of_a_key_go_again_in_its_order() {
    let mut office = Office::new();
    let (first, second) = (office.note("k"), office.note("k"));
    for id in [first, second] {
        office.clerk.fails.borrow_mut().insert(id, -1);
    }
    office.run();
    office.clerk.fails.borrow_mut().clear();
    office.clerk.fails.borrow_mut().insert(first, 1);
    redrive(&mut office, 1, None);
    redrive(&mut office, 2, None);
    office.run();
    assert_eq!((office.effects(), office.memory.waiting()), (vec![first, second], 0));
    // And the other way round.
    let mut office = Office::new();
    let (first, second) = (office.note("k"), office.note("k"));
    for id in [first, second] {
        office.clerk.fails.borrow_mut().insert(id, -1);
    }
    office.run();
    office.clerk.fails.borrow_mut().clear();
    redrive(&mut office, 2, None);
    redrive(&mut office, 1, None);
    office.run();
    assert_eq!((office.effects().len(), office.memory.waiting()), (2, 0));
}

/// Sixteen digits of a fingerprint that pass for a card number made a key that no event may have, and each turn failed.
#[test]
fn a_fingerprint_that_looks_like_a_card_number_stops_nobody() {
    let mut office = Office::new();
    let topic = "stall.n95023.v1";
    let id = office.say(topic, "k");
    office.clerk.fails.borrow_mut().insert(id, -1);
    office.run();
    let letter = office.memory.dead_letters().next().unwrap();
    assert!(Key::parse(&letter.fingerprint).is_err(), "the example is one: {}", letter.fingerprint);
    assert_eq!(office.alerts().len(), 1);
}

#[test]
fn a_log_read_again_strands_nothing_that_waits() {
    let mut office = Office::new();
    let waits = office.note("k");
    office.clerk.fails.borrow_mut().insert(waits, 1);
    office.turn().unwrap();
    assert_eq!(office.memory.waiting(), 1);
    for partition in 0..PARTITIONS {
        office.memory.put_cursor("clerk", partition, 0).unwrap();
    }
    office.run();
    assert_eq!(office.effects(), [waits]);
}

/// Says a civic event and lets everything follow that needs no time.
fn civic(office: &mut Office, kind: &str, data: &str) {
    office.minted += 1;
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&office.minted.to_be_bytes());
    let id = EventId::mint(START, entropy);
    let body = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"conch://device/gate-1/l","type":"civic.events.v1.{kind}","partitionkey":"case-1","data":{data}}}"#
    );
    office.memory.put_outgoing(&Message::read(body).unwrap()).unwrap();
    office.take_up(&Civic::default());
}

#[test]
fn a_word_about_a_case_nobody_reported_holds_up_no_report() {
    let mut office = Office::new();
    civic(&mut office, "acknowledged", "{}");
    civic(&mut office, "reported", r#"{"kind":"lost_child","place":"N1"}"#);
    assert_eq!(office.memory.cases().count(), 1);
    assert_eq!(office.memory.dead_letters().next().unwrap().code, "no-case");
}

#[test]
fn a_case_that_was_over_begins_anew_with_the_next_report() {
    let mut office = Office::new();
    civic(&mut office, "reported", r#"{"kind":"noise","place":"N3"}"#);
    civic(&mut office, "resolved", "{}");
    civic(&mut office, "reported", r#"{"kind":"lost_child","place":"N9"}"#);
    let case = office.memory.cases().next().unwrap();
    assert_eq!(
        (case.state, case.kind.as_str(), case.place.as_str(), case.reports),
        (CaseState::Routed, "lost_child", "N9", 2)
    );
    assert_eq!(case.due.0, office.now.0 + 5 * 60_000);
}

proptest! {
    /// Whatever fails how often: every event has its effect once or is dead with its alert, and of each key the effects
    /// come in the order in which they were said.
    #[test]
    fn every_history_ends_with_one_effect_or_one_dead_letter_and_keys_in_order(
        events in prop::collection::vec((0_u8..6, prop_oneof![8 => Just(0_i64), 3 => 1_i64..4, 1 => Just(-1), 1 => Just(99)]), 1..60)
    ) {
        let mut office = Office::new();
        let mut said = Vec::new();
        for (key, fails) in events {
            let id = office.note(&format!("key-{key}"));
            office.clerk.fails.borrow_mut().insert(id, fails);
            said.push((key, id, fails));
            if fails % 2 == 1 {
                office.turn().unwrap();
            }
        }
        office.run();
        let effects = office.effects();
        let dies = |fails: i64| fails < 0 || fails >= i64::from(limits::TRIES_MAX);
        for key in 0..6 {
            let expected: Vec<_> = said.iter().filter(|own| own.0 == key && !dies(own.2)).map(|own| own.1).collect();
            let own: Vec<_> = effects.iter().copied().filter(|id| said.iter().any(|one| one.0 == key && one.1 == *id)).collect();
            prop_assert_eq!(own, expected);
        }
        let dead = said.iter().filter(|own| dies(own.2)).count();
        prop_assert_eq!((office.memory.dead_letters().count(), office.memory.waiting()), (dead, 0));
        prop_assert!(office.alerts().len() <= dead && (dead == 0) == office.alerts().is_empty());
    }
}

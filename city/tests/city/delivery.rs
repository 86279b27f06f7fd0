//! Deliveries: one effect for each intent, and what the idempotency key promises.

use crate::town::{Answer, BATCH, Event, SINGLE, Town, altered, batch, paying, some_id};
use city_domain::Role;
use conch::event::Emit;
use std::sync::mpsc;
use std::thread;

#[test]
fn the_same_event_from_many_threads_has_one_effect_and_one_answer() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let until_judged = || loop {
        let answer = till.send(&sale);
        if answer.status != 409 {
            return answer;
        }
        assert_eq!((answer.problem().as_str(), answer.header("retry-after")), ("in-flight", Some("1")));
    };
    let answers: Vec<Answer> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(until_judged)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
    assert_eq!(town.count("SELECT count(*) FROM captures"), 1);
    assert_eq!(town.count("SELECT count(*) FROM feed"), 1);
    assert_eq!(town.totals()["events"], 1);
}

#[test]
fn the_same_intent_from_many_tills_has_one_effect() {
    let town = Town::open();
    let tills: Vec<_> = (0..8).map(|n| town.enrol(&format!("till-{n}"), Role::Vendor)).collect();
    let words: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = tills
            .iter()
            .map(|till| {
                scope
                    .spawn(|| (0..4).flat_map(|_| till.send(&till.pay("o-1")).verdicts()).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(words.len(), 32);
    assert_eq!(words.iter().filter(|word| *word == "accepted").count(), 1);
    assert_eq!(words.iter().filter(|word| *word == "duplicate").count(), 31);
    assert_eq!(
        (town.count("SELECT count(*) FROM captures"), town.count("SELECT count(*) FROM feed")),
        (1, 32)
    );
    assert_eq!(town.totals()["duplicates"], 31);
}

#[test]
fn a_poisoned_event_among_a_hundred_is_refused_alone() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let mut sales: Vec<Event> = (0..100).map(|n| till.pay(&format!("o-{n}"))).collect();
    sales[41] = altered(&sales[41], "\"amount\":12000", "\"amount\":-3");
    let answer = till.send_all(&sales);
    assert_eq!(answer.status, 200);
    let words = answer.verdicts();
    assert_eq!((words.len(), words[41].as_str()), (100, "refused"));
    assert_eq!(words.iter().filter(|word| *word == "accepted").count(), 99);
    let verdict = &answer.json()["verdicts"][41];
    assert_eq!(verdict["id"], sales[41].id.as_str());
    assert_eq!(verdict["problem"]["type"], "urn:conch:problem:bad-payload");
    let totals = town.totals();
    assert_eq!((&totals["captures"], &totals["refused"]), (&99.into(), &1.into()));
}

#[test]
fn an_event_that_cannot_be_read_is_refused_by_its_id_and_without_one_nothing_is_taken() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let good = till.pay("o-1");
    let poison = altered(&till.pay("o-2"), "\"specversion\":\"1.0\"", "\"specversion\":\"7\"");
    let answer = till.send_all(&[poison.clone(), good.clone()]);
    assert_eq!(answer.verdicts(), ["refused", "accepted"]);
    let nameless = altered(&till.pay("o-3"), "\"id\":", "\"noid\":");
    let answer = till.send_all(&[till.pay("o-4"), nameless]);
    assert_eq!((answer.status, answer.problem().as_str()), (400, "unreadable-event"));
    assert_eq!(town.totals()["captures"], 1);
    let alone = till.send(&poison);
    assert_eq!((alone.status, alone.problem().as_str()), (400, "unreadable-event"));
}

#[test]
fn an_id_has_one_way_to_be_written() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    for other in [sale.id.replace('-', ""), format!("{{{}}}", sale.id), format!("urn:uuid:{}", sale.id)] {
        let answer =
            till.send(&altered(&sale, &format!("\"id\":\"{}\"", sale.id), &format!("\"id\":\"{other}\"")));
        assert_eq!((answer.status, answer.problem().as_str()), (400, "unreadable-event"), "{other}");
    }
}

#[test]
fn an_event_the_storage_chokes_on_waits_alone() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let books = town.meddle();
    books
        .execute_batch(
            "CREATE TRIGGER choke BEFORE INSERT ON captures WHEN NEW.order_key = 'o-1'
             BEGIN SELECT RAISE(ABORT, 'choked'); END",
        )
        .unwrap();
    let sales = [till.pay("o-0"), till.pay("o-1"), till.pay("o-2")];
    let answer = till.send_all(&sales);
    assert_eq!(answer.verdicts(), ["accepted", "retry", "accepted"]);
    assert_eq!(answer.json()["verdicts"][1]["retryAfterMs"], 2_000);
    assert_eq!(town.count("SELECT count(*) FROM orders WHERE key = 'o-1'"), 0, "nothing is half written");
    assert_eq!(town.count("SELECT count(*) FROM feed"), 2);
    books.execute_batch("DROP TRIGGER choke").unwrap();
    assert_eq!(till.send_all(&sales).verdicts(), ["accepted", "accepted", "accepted"]);
    assert_eq!(town.totals()["captures"], 3);
}

#[test]
fn the_idempotency_key_row_by_row() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let with_key = |key: &str, event: &Event| {
        till.ask("POST", "/v1/events", &[SINGLE, ("idempotency-key", key)], &event.body)
    };
    let missing = till.ask("POST", "/v1/events", &[SINGLE], &sale.body);
    assert_eq!((missing.status, missing.problem().as_str()), (400, "idempotency-key-missing"));
    for key in ["", "\"\"", "abc", "\"abc", "\"a\", \"b\""] {
        let malformed = with_key(key, &sale);
        assert_eq!(
            (malformed.status, malformed.problem().as_str()),
            (400, "idempotency-key-malformed"),
            "{key}"
        );
    }
    let twice =
        [SINGLE, ("idempotency-key", sale.intent.as_str()), ("idempotency-key", sale.intent.as_str())];
    assert_eq!(till.ask("POST", "/v1/events", &twice, &sale.body).problem(), "idempotency-key-malformed");
    let other = with_key(&format!("\"{}\"", some_id()), &sale);
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency-key-mismatch"));
    assert_eq!(town.totals()["events"], 0);

    let first = with_key(&sale.intent, &sale);
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, None), "bare keys are read too");
    town.enrol("till-2", Role::Vendor).get("/v1/edge");
    assert_ne!(till.get("/v1/edge").json()["pace"], first.json()["pace"]);
    let replay = till.send(&sale);
    assert_eq!((replay.status, replay.header("idempotency-replayed")), (202, Some("true")));
    assert_eq!(replay.body, first.body, "the same body, though the pace has changed");

    let changed = till.send(&altered(&sale, "12000", "99900"));
    assert_eq!((changed.status, changed.problem().as_str()), (422, "payload-changed"));
    let reused = till.send(&till.event(&paying("o-1", 1, 99_900)));
    assert_eq!((reused.status, reused.problem().as_str()), (422, "intent-conflict"));
    assert_eq!(town.count("SELECT amount FROM orders WHERE key = 'o-1'"), 12_000);
}

#[test]
fn while_a_key_is_worked_on_a_second_request_is_told_to_ask_again() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let books = town.meddle();
    books.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            let (tell, till, sale) = (tell.clone(), &till, &sale);
            scope.spawn(move || tell.send(till.send(sale)).unwrap());
        }
        let early = told.recv().unwrap();
        assert_eq!(
            (early.status, early.problem().as_str(), early.header("retry-after")),
            (409, "in-flight", Some("1"))
        );
        books.execute_batch("ROLLBACK").unwrap();
        assert_eq!(told.recv().unwrap().status, 202);
    });
}

#[test]
fn when_the_queue_is_full_the_rest_is_told_a_slot_and_nothing_is_lost() {
    let town = Town::open_with(&["--dev", "--queue", "1", "--capacity", "1"]);
    let till = town.enrol("till-1", Role::Vendor);
    let sales: Vec<Event> = (0..18).map(|n| till.pay(&format!("o-{n}"))).collect();
    let (sales, later) = sales.split_at(16);
    let books = town.meddle();
    books.execute_batch("BEGIN IMMEDIATE").unwrap();
    let turned_away = thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let send = |sale| {
            let (tell, till) = (tell.clone(), &till);
            scope.spawn(move || tell.send((sale, till.send(sale))).unwrap());
        };
        sales.iter().for_each(send);
        let first = told.recv().unwrap();
        // The writer may take one more out before it waits for the books, and then the queue has room: for these.
        later.iter().for_each(send);
        drop(tell);
        let mut unread = (0..100).map(|_| till.ask("POST", "/v1/events", &[BATCH], "nonsense").problem());
        let full = unread.any(|word| word == "overloaded");
        assert!(full, "a full queue says no before anything is parsed");
        books.execute_batch("ROLLBACK").unwrap();
        let all: Vec<_> = std::iter::once(first).chain(told).collect();
        assert_eq!(all[0].1.status, 503, "nobody is answered before the commit");
        all.into_iter().filter(|(_, answer)| answer.status != 202).collect::<Vec<_>>()
    });
    for (sale, answer) in &turned_away {
        assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        assert_eq!(till.send(sale).verdicts(), ["accepted"]);
    }
    assert_eq!(town.totals()["captures"], 18);
}

#[test]
fn while_the_storage_is_away_nothing_is_accepted() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let books = town.meddle();
    books.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = till.send(&sale);
    assert_eq!(
        (answer.status, answer.problem().as_str(), answer.header("retry-after")),
        (503, "storage", Some("5"))
    );
    books.execute_batch("ROLLBACK").unwrap();
    let answer = till.send(&sale);
    assert_eq!(
        (answer.verdicts(), answer.header("idempotency-replayed")),
        (vec!["accepted".to_owned()], None)
    );
}

#[test]
fn a_stale_context_is_told_to_wait() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let speak = |epoch: &str, order: &str| {
        till.ask("POST", "/v1/events", &[BATCH, ("conch-epoch", epoch)], &batch(&[till.pay(order)]))
    };
    assert_eq!(speak("4", "o-1").verdicts(), ["accepted"]);
    let stale = speak("3", "o-2");
    assert_eq!(
        (stale.status, stale.problem().as_str(), stale.header("retry-after")),
        (409, "stale-epoch", Some("5"))
    );
    assert_eq!(speak("4", "o-3").verdicts(), ["accepted"]);
    assert_eq!(town.totals()["events"], 2);
}

#[test]
fn a_sequence_that_never_came_is_counted_and_a_tombstone_is_not() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let speak = |sequence: u64, owed: &str, tombstones: &str| {
        let event = till.event_at(&paying(&format!("o-{sequence}"), 1, 100), sequence);
        let head = [BATCH, ("conch-owed", owed), ("conch-tombstones", tombstones)];
        assert_eq!(till.ask("POST", "/v1/events", &head, &batch(&[event])).verdicts(), ["accepted"]);
    };
    speak(1, "1-5", "");
    speak(5, "5-5", "3");
    town.until_health("gaps", 2);
    assert!(town.log().contains("events never arrived"));
    speak(2, "6-5", "");
    speak(4, "6-5", "");
    town.until_health("gaps", 0);
}

#[test]
fn device_and_corrected_time_are_kept_beside_the_citys() {
    let town = Town::open();
    let till = town.enrol("till-1", Role::Vendor);
    let sale = till.pay("o-1");
    let happened = town_time(&sale);
    let sent_at = (happened + 7_200_000).to_string();
    till.ask("POST", "/v1/events", &[BATCH, ("conch-sent-at", &sent_at)], &batch(&[sale]));
    assert_eq!(town.count("SELECT device_time FROM events") as u64, happened);
    assert_eq!(
        town.count("SELECT received - corrected FROM events"),
        7_200_000,
        "it was two hours old when it was sent"
    );
    assert!(town.log().contains("clock is wrong"));
}

fn town_time(event: &Event) -> u64 {
    let value: serde_json::Value = serde_json::from_str(&event.body).unwrap();
    conch::event::time::from_rfc3339(value["time"].as_str().unwrap()).unwrap().0
}

#[test]
fn orders_and_tickets_answer_with_their_first_effect() {
    let town = Town::open();
    let (till, gate) = (town.enrol("till-1", Role::Vendor), town.enrol("gate-n1", Role::Gate));
    let sale = till.pay("order/1");
    till.send(&sale);
    till.send(&till.event(&paying("order/1", 2, 500)));
    let order = gate.get("/v1/orders/order%2F1").json();
    assert_eq!(
        (&order["state"], &order["amount"], &order["eventId"]),
        (&"captured".into(), &12_000.into(), &sale.id.as_str().into())
    );
    assert_eq!((&order["intent"], &order["device"]), (&sale.intent.as_str().into(), &"till-1".into()));
    assert!(order["txnId"].as_str().unwrap().starts_with("txn-"));
    let first = gate.scan("t-1", "n1");
    gate.send(&first);
    gate.send(&gate.scan("t-1", "n1"));
    let ticket = till.get("/v1/tickets/t-1").json();
    assert_eq!(
        (&ticket["state"], &ticket["eventId"], &ticket["scans"]),
        (&"admitted".into(), &first.id.as_str().into(), &2.into())
    );
    assert_eq!((&ticket["gateId"], &ticket["device"]), (&"n1".into(), &"gate-n1".into()));
    for path in ["/v1/orders/o-2", "/v1/tickets/t-2", "/v1/orders/%FF", "/v1/tickets/0912345678"] {
        let answer = gate.get(path);
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{path}");
    }
}

#[test]
fn an_order_is_found_by_the_end_of_its_number() {
    let town = Town::open();
    let (till, ops) = (town.enrol("till-1", Role::Vendor), town.enrol("ops-1", Role::Ops));
    for order in ["order-AAAA7QHB", "order-BBBB7QHB", "order-7QHBAAAA", "order-%%7QHC"] {
        till.send(&till.pay(order));
    }
    let found = |ending: &str| -> Vec<String> {
        let answer = ops.get(&format!("/v1/orders?ending={ending}")).json();
        let keys = answer["orders"].as_array().unwrap().iter();
        keys.map(|order| order["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("7qhb"), ["order-BBBB7QHB", "order-AAAA7QHB"], "the latest first, in any letters");
    assert_eq!(found("B7QHB"), ["order-BBBB7QHB"]);
    assert_eq!(found("order-7QHBAAAA"), ["order-7QHBAAAA"]);
    assert_eq!(found("an-order-7QHBAAAA"), [""; 0], "longer than the number");
    assert_eq!(found("____"), [""; 0], "a sign stands for itself");
    for bad in ["", "?ending=QHB", "?ending=7Q%20HB", "?ending=%E8%9E%BA%E8%9E%BA"] {
        let answer = ops.get(&format!("/v1/orders{bad}"));
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{bad}");
    }
    assert_eq!(till.get("/v1/orders?ending=7QHB").problem(), "ops-only");
}

#[test]
fn free_topics_are_kept_and_do_nothing() {
    let town = Town::open();
    let gate = town.enrol("gate-n1", Role::Gate);
    let note = gate.event(&Emit {
        topic: "ops.power.v1".into(),
        kind: "load_reported".into(),
        key: "circuit-3".into(),
        payload: "{\"watts\":120}".into(),
        ..Emit::default()
    });
    assert_eq!(gate.send(&note).verdicts(), ["accepted"]);
    assert_eq!((town.count("SELECT count(*) FROM events"), town.count("SELECT count(*) FROM feed")), (1, 0));
}

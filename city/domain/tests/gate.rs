//! Tickets at gates: one admission whatever arrives when, claims, what is wrong with a ticket, and who hears of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod market;

use city_domain::bus::{Consumer, PARTITIONS, Tick, Turn, relay, take_up};
use city_domain::{
    Claim, ClaimChanged, Claimed, Digests, Flaw, Policy, Request, Role, ScanResult, Ticket, claim, digest,
    limits,
};
use conch::event::json::Json;
use conch::event::{EventId, UnixMillis, time};
use conch::pace::Jitter;
use conch::wire::VerdictWord::Accepted;
use market::{Market, NOON, Speaker, emit, key, with};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn gate(name: &str) -> Speaker {
    Speaker::new(name, Role::Gate)
}

/// A scan so many ms after noon, with the gate's own decision if it took one.
fn scan(from: &Speaker, n: u64, ms: u64, decision: Option<&str>) -> Json {
    let decision = decision.map_or_else(String::new, |word| format!(r#","decision":"{word}""#));
    let gate = from.principal.device.as_str();
    let payload = format!(r#"{{"gateId":"{gate}","ticketId":"t-1"{decision}}}"#);
    at(from.event(n, &emit("gate.auth.v2", "scanned", "t-1", 1, &payload)), ms)
}

/// The same of the old ticketing.
fn old_scan(from: &Speaker, n: u64, ms: u64) -> Json {
    let payload = format!(r#"{{"gate":"{}","code":"t-1","ok":1}}"#, from.principal.device.as_str());
    at(from.event(n, &emit("gate.auth.v1", "verified", "t-1", 1, &payload)), ms)
}

fn at(event: Json, ms: u64) -> Json {
    with(&event, "time", Json::Text(time::to_rfc3339(UnixMillis(NOON.0 + ms))))
}

fn id_of(event: &Json) -> EventId {
    EventId::parse(event.text("id").unwrap()).unwrap()
}

impl Market {
    fn claims(&mut self, from: &Speaker, event: EventId, ms: u64) -> Result<Claimed, ClaimChanged> {
        self.claims_of(from, "t-1", event, ms)
    }

    fn claims_of(
        &mut self,
        from: &Speaker,
        ticket: &str,
        event: EventId,
        ms: u64,
    ) -> Result<Claimed, ClaimChanged> {
        let request = Request {
            principal: from.principal.clone(),
            received: self.now,
            sent_at: Some(self.now),
            window_ms: 0,
        };
        let asked = Claim {
            request,
            ticket: key(ticket),
            event,
            gate: from.principal.device.to_string(),
            scanned_at: Some(UnixMillis(NOON.0 + ms)),
        };
        let mut drawn = 0;
        let mut entropy = || {
            drawn += 1;
            [drawn; 10]
        };
        let answered = claim(&mut self.books, &self.city, &asked, &mut entropy).unwrap();
        answered.map(|answered| answered.claimed)
    }

    /// Type and payload of all that was said on the bus.
    fn said(&mut self) -> Vec<(String, Json)> {
        for partition in 0..PARTITIONS {
            relay(&mut self.books, partition, 1_000, self.now).unwrap();
        }
        let said = self.books.log().map(|message| {
            (format!("{}.{}", message.topic, message.kind.as_str()), message.envelope().unwrap().data)
        });
        said.collect()
    }

    fn alerts(&mut self, word: &str) -> Vec<Json> {
        let said = self.said().into_iter().filter(|(kind, _)| kind == "ops.alerts.v1.raised");
        said.map(|(_, data)| data).filter(|data| data.text("alert") == Some(word)).collect()
    }

    /// The event that admitted the ticket.
    fn winner(&self) -> Option<EventId> {
        self.books.admissions().next().map(|admission| admission.event)
    }

    fn later(&mut self, ms: u64) {
        self.now = UnixMillis(NOON.0 + ms);
    }
}

fn issued() -> Ticket {
    Ticket {
        key: key("t-1"),
        class: "adult".to_owned(),
        valid_from: None,
        valid_until: None,
        gates: Vec::new(),
        issued_at: UnixMillis(NOON.0 - 1),
        revoked: None,
    }
}

#[test]
fn two_gates_without_a_link_let_one_ticket_in_and_the_earlier_one_wins_in_any_order() {
    for earlier_first in [true, false] {
        let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
        market.later(900_000);
        let early = scan(&north, 1, 1_000, Some("admitted"));
        let late = scan(&south, 2, 61_000, Some("admitted"));
        if earlier_first {
            market.send(&north, &early);
            market.send(&south, &late);
        } else {
            market.send(&south, &late);
            market.send(&north, &early);
        }
        assert_eq!(market.winner(), Some(id_of(&early)));
        for told in [&north, &south] {
            let heard = market.heard(told);
            let (kind, double) = heard.last().unwrap();
            assert_eq!(kind, "gate.auth.v2.duplicate_admission", "both devices hear of it");
            assert_eq!(
                (double.text("gateId"), double.text("firstGateId")),
                (Some("gate-s1"), Some("gate-n1"))
            );
            assert_eq!(double.whole("firstAt"), Some(NOON.0 + 1_000));
            assert_eq!(double.text("decision"), Some("admitted"), "the person is inside");
        }
        let alerts = market.alerts("double_admission");
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(
            (alerts[0].text("gateId"), alerts[0].text("firstGateId")),
            (Some("gate-s1"), Some("gate-n1"))
        );
        assert_eq!(
            (alerts[0].whole("at"), alerts[0].whole("firstAt")),
            (Some(NOON.0 + 61_000), Some(NOON.0 + 1_000))
        );
        let mut text = String::new();
        alerts[0].write(&mut text);
        assert!(!text.contains("t-1") && text.contains(&digest(&key("t-1"))), "{text}");
    }
}

#[test]
fn a_ticket_held_before_one_camera_twice_is_an_ordinary_duplicate() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.later(900_000);
    market.send(&north, &scan(&north, 1, 0, None));
    market.send(&north, &scan(&north, 2, limits::RESCAN_MS, None));
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.admitted", "gate.auth.v2.duplicate_admission"]);
    assert!(market.alerts("double_admission").is_empty());
}

#[test]
fn one_device_that_lets_in_twice_is_a_double_and_one_that_asks_again_is_not() {
    for (decision, alerts) in [(None, 0), (Some("refused"), 0), (Some("admitted"), 1)] {
        let (mut market, north) = (Market::new(), gate("gate-n1"));
        market.later(900_000);
        market.send(&north, &scan(&north, 1, 0, None));
        market.send(&north, &scan(&north, 2, limits::RESCAN_MS + 1, decision));
        assert_eq!(market.alerts("double_admission").len(), alerts, "{decision:?}");
        assert_eq!(market.heard(&north).len(), 2, "told once");
    }
}

#[test]
fn a_scanner_that_is_held_before_a_used_ticket_all_night_raises_one_alert() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.later(900_000);
    market.send(&north, &scan(&north, 1, 0, None));
    for n in 2..50 {
        market.send(&south, &scan(&south, n, n * 1_000, None));
    }
    assert_eq!(market.alerts("double_admission").len(), 1);
    assert_eq!(market.heard(&north).len(), 2);
}

/// One thing that happens to the ticket.
#[derive(Clone, Copy, Debug)]
struct Happens {
    device: u8,
    ms: u64,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Old,
    New,
    /// A claim, whose event comes at once, later or never.
    Asks,
}

fn happens(hows: &'static [How]) -> impl Strategy<Value = Vec<Happens>> {
    let one = (0..4u8, 0..60_000u64, prop::sample::select(hows));
    prop::collection::vec(one.prop_map(|(device, ms, how)| Happens { device, ms, how }), 1..12)
}

/// Every scan has an event of its own, made of its place in the list.
fn event_of(place: usize, one: Happens) -> (Speaker, Json) {
    let speaker = gate(&format!("gate-{}", one.device));
    let n = place as u64 + 1;
    let event = match one.how {
        How::Old => old_scan(&speaker, n, one.ms),
        How::New => scan(&speaker, n, one.ms, None),
        How::Asks => scan(&speaker, n, one.ms, Some("admitted")),
    };
    (speaker, event)
}

proptest! {
    /// The winner does not depend on the order of arrival.
    #[test]
    fn the_earliest_scan_wins_in_any_order((list, order) in happens(&[How::Old, How::New]).prop_flat_map(|list| {
        let places: Vec<usize> = (0..list.len()).collect();
        (Just(list), Just(places).prop_shuffle())
    })) {
        let mut market = Market::new();
        market.later(100_000);
        for place in &order {
            let (speaker, event) = event_of(*place, list[*place]);
            prop_assert_eq!(market.send(&speaker, &event), Accepted);
        }
        let earliest = list.iter().enumerate().map(|(place, one)| {
            let (_, event) = event_of(place, *one);
            (one.ms, id_of(&event))
        }).min().unwrap();
        prop_assert_eq!(market.winner(), Some(earliest.1));
        let admitted = market.books.scans().iter().filter(|scan| scan.result == ScanResult::Admitted);
        prop_assert_eq!(admitted.map(|scan| scan.event).collect::<Vec<_>>(), [earliest.1]);
        let devices: BTreeSet<u8> = list.iter().map(|one| one.device).collect();
        prop_assert!(devices.len() == 1 || !market.alerts("double_admission").is_empty());
    }

    /// Old ticketing, new ticketing and claims, from several devices: one admission, by the earliest that let in.
    #[test]
    fn a_ticket_and_its_twin_admit_one((list, steps) in happens(&[How::Old, How::New, How::Asks]).prop_flat_map(|list| {
        // Each scan is a step, and a claim is up to two: the question, and its event if it ever comes.
        let steps: Vec<usize> = (0..list.len()).flat_map(|place| [place, place]).collect();
        let most = steps.len();
        (Just(list), (Just(steps).prop_shuffle(), 1..=most).prop_map(|(steps, take)| steps[..take].to_vec()))
    })) {
        let mut market = Market::new();
        market.later(100_000);
        let mut candidates: BTreeSet<(u64, EventId)> = BTreeSet::new();
        let mut asked: BTreeSet<usize> = BTreeSet::new();
        for place in steps {
            let one = list[place];
            let (speaker, event) = event_of(place, one);
            let id = id_of(&event);
            if one.how == How::Asks && asked.insert(place) {
                let claimed = market.claims(&speaker, id, one.ms).unwrap();
                prop_assert_eq!(claimed.refused.is_none(), candidates.is_empty(), "admitted if nobody was");
                let first = claimed.refused;
                let again = market.claims(&speaker, id, one.ms + 1).unwrap();
                prop_assert_eq!(&again.refused, &first, "the same answer");
                if first.is_none() {
                    candidates.insert((one.ms, id));
                }
            } else if one.how == How::Asks {
                let refused = market.claims(&speaker, id, one.ms).unwrap().refused.is_some();
                let event = scan(&speaker, place as u64 + 1, one.ms, if refused { None } else { Some("admitted") });
                market.send(&speaker, &event);
            } else {
                market.send(&speaker, &event);
                candidates.insert((one.ms, id));
            }
            prop_assert_eq!(market.winner(), candidates.first().map(|(_, id)| *id));
            let of = |result| market.books.scans().iter().filter(move |scan| scan.result == result).count();
            prop_assert_eq!(of(ScanResult::Admitted), usize::from(!candidates.is_empty()));
            prop_assert_eq!(of(ScanResult::Duplicate), candidates.len().saturating_sub(1), "all others are duplicates");
        }
    }
}

#[test]
fn a_claim_is_confirmed_by_its_event_and_counts_once() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    let event = scan(&north, 1, 0, Some("admitted"));
    let claimed = market.claims(&north, id_of(&event), 0).unwrap();
    assert_eq!((claimed.refused, claimed.first), (None, None));
    assert_eq!(market.winner(), Some(id_of(&event)), "it stays, whether the event comes or not");
    assert!(market.heard(&north).is_empty(), "its gate has the answer");
    assert_eq!(market.send(&north, &event), Accepted);
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.admitted"]);
    assert_eq!((market.books.scans().len(), market.books.admissions().count()), (1, 1));
    let admitted = market.said().iter().filter(|(kind, _)| kind == "gate.auth.v2.admitted").count();
    assert_eq!(admitted, 1, "the other services hear of it once, when it was claimed");
}

#[test]
fn a_claim_for_a_used_ticket_is_refused_with_where_and_when() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.send(&north, &scan(&north, 1, 0, Some("admitted")));
    market.later(5_000);
    let event = scan(&south, 2, 5_000, Some("refused"));
    let refused = market.claims(&south, id_of(&event), 5_000).unwrap();
    assert_eq!(refused.refused.as_deref(), Some("duplicate"));
    assert_eq!(refused.first, Some(("gate-n1".to_owned(), NOON)));
    market.send(&south, &event);
    let heard = market.heard(&south);
    assert_eq!((heard[0].0.as_str(), heard[0].1.text("reason")), ("gate.auth.v2.refused", Some("duplicate")));
    assert!(market.alerts("double_admission").is_empty(), "nobody walked in twice");
}

#[test]
fn a_gate_that_had_no_answer_in_time_and_let_in_all_the_same_is_a_double() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.send(&north, &scan(&north, 1, 0, Some("admitted")));
    market.later(5_000);
    let event = scan(&south, 2, 5_000, Some("admitted"));
    assert!(market.claims(&south, id_of(&event), 5_000).unwrap().refused.is_some());
    market.send(&south, &event);
    assert_eq!(market.types_heard(&south), ["gate.auth.v2.duplicate_admission"]);
    assert_eq!(market.alerts("double_admission").len(), 1);
}

#[test]
fn a_claim_whose_event_says_that_nobody_was_let_in_is_taken_back() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    let event = scan(&north, 1, 0, Some("refused"));
    market.claims(&north, id_of(&event), 0).unwrap();
    market.send(&north, &event);
    assert_eq!(market.winner(), None);
    market.later(5_000);
    let other = scan(&south, 2, 5_000, Some("admitted"));
    market.send(&south, &other);
    assert_eq!(market.winner(), Some(id_of(&other)), "the ticket is free again");
    assert!(market.alerts("double_admission").is_empty());
}

#[test]
fn when_a_claim_is_taken_back_the_next_scan_that_let_in_is_the_admission() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.later(9_000);
    let (event, other) = (scan(&north, 1, 0, Some("refused")), scan(&south, 2, 5_000, Some("admitted")));
    market.claims(&north, id_of(&event), 0).unwrap();
    market.send(&south, &other);
    market.send(&north, &event);
    assert_eq!(market.winner(), Some(id_of(&other)));
    assert_eq!(
        market.types_heard(&south),
        ["gate.auth.v2.duplicate_admission", "gate.auth.v2.admitted"],
        "it hears that it was the first after all"
    );
}

#[test]
fn a_claim_that_another_gates_earlier_scan_displaced_is_told_of_once() {
    for (event_ms, winner) in [(5_000, 2), (500, 1)] {
        let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
        market.later(9_000);
        let event = scan(&north, 1, event_ms, Some("admitted"));
        market.claims(&north, id_of(&event), 5_000).unwrap();
        market.send(&south, &scan(&south, 2, 1_000, Some("admitted")));
        assert_eq!(market.types_heard(&north), ["gate.auth.v2.duplicate_admission"]);
        market.send(&north, &event);
        let ids = [id_of(&event), market.books.scans()[1].event];
        assert_eq!(market.winner(), Some(ids[winner - 1]), "its event may show that it was the earlier one");
        let doubles = market.alerts("double_admission").len();
        assert_eq!(doubles, if winner == 2 { 1 } else { 2 }, "once, unless it turned round");
    }
}

#[test]
fn a_claim_key_stands_for_one_ticket_and_gate() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    let event = scan(&north, 1, 0, Some("admitted"));
    market.claims(&north, id_of(&event), 0).unwrap();
    assert_eq!(market.claims_of(&north, "t-2", id_of(&event), 0), Err(ClaimChanged));
    let mut elsewhere = north.clone();
    elsewhere.principal.device = gate("gate-s1").principal.device;
    assert!(
        market.claims(&elsewhere, id_of(&event), 0).unwrap().refused.is_some(),
        "another device's key is another"
    );
}

#[test]
fn a_claim_for_another_ticket_than_its_event_frees_that_ticket() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    let event = scan(&north, 1, 0, Some("admitted"));
    market.claims_of(&north, "t-2", id_of(&event), 0).unwrap();
    assert_eq!(market.send(&north, &event), Accepted);
    let admitted: Vec<_> = market.books.admissions().map(|admission| admission.ticket.to_string()).collect();
    assert_eq!(admitted, ["t-1"]);
}

#[test]
fn an_event_that_was_faster_than_its_claim_answers_it() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    let event = scan(&north, 1, 0, Some("admitted"));
    market.send(&north, &event);
    assert_eq!(market.claims(&north, id_of(&event), 0).unwrap().refused, None);
    let other = scan(&south, 2, 1, None);
    market.send(&south, &other);
    assert_eq!(market.claims(&south, id_of(&other), 1).unwrap().refused.as_deref(), Some("duplicate"));
    assert_eq!(market.books.scans().len(), 2);
}

#[test]
fn a_gate_that_leaves_it_to_the_city_admits_no_bad_ticket() {
    let soon = UnixMillis(NOON.0 + 60_000);
    for (ticket, flaw) in [
        (Ticket { revoked: Some((NOON, "resold".into())), ..issued() }, Flaw::Revoked),
        (Ticket { valid_from: Some(soon), ..issued() }, Flaw::NotYetValid),
        (Ticket { valid_until: Some(NOON), ..issued() }, Flaw::Expired),
        (Ticket { gates: vec!["gate-w1".into()], ..issued() }, Flaw::WrongGate),
    ] {
        let (mut market, north) = (Market::new(), gate("gate-n1"));
        market.books.issue(ticket);
        let event = scan(&north, 1, 0, None);
        let claimed = market.claims(&north, id_of(&event), 0).unwrap();
        assert_eq!(claimed.refused.as_deref(), Some(flaw.as_str()));
        market.send(&north, &event);
        market.send(&north, &scan(&north, 2, 1, None));
        for (kind, data) in market.heard(&north) {
            assert_eq!((kind.as_str(), data.text("reason")), ("gate.auth.v2.refused", Some(flaw.as_str())));
        }
        assert_eq!(market.winner(), None);
    }
}

#[test]
fn who_was_let_in_with_a_bad_ticket_is_inside_and_it_is_told() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.books.issue(Ticket { revoked: Some((NOON, "resold".into())), ..issued() });
    market.send(&north, &scan(&north, 1, 0, Some("admitted")));
    let heard = market.heard(&north);
    assert_eq!(heard[0].0, "gate.auth.v2.admitted", "history stays as it was");
    assert_eq!(
        (heard[0].1.text("decision"), heard[0].1.text("reason")),
        (Some("admitted"), Some("admitted_but_revoked"))
    );
    let alerts = market.alerts("admitted_invalid");
    assert_eq!(
        (alerts.len(), alerts[0].text("code"), alerts[0].text("gateId")),
        (1, Some("revoked"), Some("gate-n1"))
    );
    let kept = &market.books.scans()[0];
    assert_eq!((kept.result, kept.flaw), (ScanResult::Admitted, Some(Flaw::Revoked)));
    market.send(&north, &scan(&north, 2, 1, None));
    assert_eq!(market.heard(&north)[1].1.text("reason"), Some("revoked"), "not called a duplicate");
}

#[test]
fn a_ticket_that_was_revoked_after_the_scan_was_good_then() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.later(120_000);
    market.books.issue(Ticket { revoked: Some((UnixMillis(NOON.0 + 60_000), "resold".into())), ..issued() });
    market.send(&north, &scan(&north, 1, 0, None));
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.admitted"]);
    assert!(market.alerts("admitted_invalid").is_empty());
}

#[test]
fn tickets_that_were_sold_elsewhere_count_unless_only_own_ones_do() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.books.think(Policy::Known);
    market.send(&north, &scan(&north, 1, 0, None));
    market.send(&north, &old_scan(&north, 2, 1));
    let heard = market.heard(&north);
    assert_eq!(heard[0].1.text("reason"), Some("unknown_ticket"));
    assert_eq!(heard[1].1.text("reason"), Some("admitted_but_unknown_ticket"), "the old ticketing let it in");
    market.books.issue(issued());
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.send(&north, &scan(&north, 1, 0, None));
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.admitted"]);
}

/// Everything said is relayed and the digests are told.
fn tell_digests(market: &mut Market) {
    tell_digests_of(market, 0);
}

/// The same with ids from another beginning.
fn tell_digests_of(market: &mut Market, mut drawn: u8) {
    market.said();
    let mut jitter = Jitter::new(1);
    let mut entropy = || {
        drawn += 1;
        [100 + drawn; 10]
    };
    let mut turn = Turn::new(&market.city, market.now, &mut entropy, &mut jitter);
    for partition in 0..PARTITIONS {
        take_up(&mut market.books, &Digests, partition, 100, &mut turn).unwrap();
    }
    while Digests.tick(&mut market.books, &mut turn).unwrap() == Tick::Did {}
}

#[test]
fn other_gates_hear_a_digest_of_an_admission_and_its_own_does_not() {
    let (mut market, north, south, away) = (Market::new(), gate("gate-n1"), gate("gate-s1"), gate("gate-w1"));
    for (gate, heard) in [(&north, NOON.0), (&south, NOON.0), (&away, NOON.0 - limits::SEEN_MS - 1)] {
        market.books.hear_gate(&gate.principal.device, UnixMillis(heard));
    }
    market.send(&north, &scan(&north, 1, 0, None));
    tell_digests(&mut market);
    let heard = market.heard(&south);
    assert_eq!((heard.len(), heard[0].0.as_str()), (1, "gate.seen.v1.admitted"));
    assert_eq!(heard[0].1.text("digest"), Some(digest(&key("t-1")).as_str()));
    assert_eq!((heard[0].1.text("gateId"), heard[0].1.whole("at")), (Some("gate-n1"), Some(NOON.0)));
    let mut body = String::new();
    Json::parse(&market.books.feed(&south.principal.device)[0].body).unwrap().write(&mut body);
    assert!(!body.contains("t-1"), "{body}");
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.admitted"]);
    assert!(market.heard(&away).is_empty(), "who was not heard for an hour is told nothing");
}

#[test]
fn a_service_that_reads_the_past_tells_no_old_digests() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.send(&north, &scan(&north, 1, 0, None));
    market.later(limits::DIGEST_LIFE_MS);
    market.books.hear_gate(&south.principal.device, market.now);
    tell_digests(&mut market);
    assert!(market.heard(&south).is_empty());
}

#[test]
fn a_claim_admits_no_ticket_that_was_taken_back_before_it_was_asked() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.later(120_000);
    market.books.issue(Ticket { revoked: Some((UnixMillis(NOON.0 + 60_000), "resold".into())), ..issued() });
    let event = scan(&north, 1, 0, None);
    let claimed = market.claims(&north, id_of(&event), 0).unwrap();
    assert_eq!(claimed.refused.as_deref(), Some("revoked"), "nobody is inside yet, whenever it was shown");
    market.send(&north, &event);
    assert_eq!(market.types_heard(&north), ["gate.auth.v2.refused"]);
    assert_eq!(market.winner(), None);
}

#[test]
fn a_rescan_hides_no_later_double_of_the_same_scanner() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    market.later(9_000_000);
    market.send(&north, &scan(&north, 1, 0, Some("admitted")));
    market.send(&north, &scan(&north, 2, limits::RESCAN_MS / 2, Some("admitted")));
    assert!(market.alerts("double_admission").is_empty());
    market.send(&north, &scan(&north, 3, 3_600_000, Some("admitted")));
    assert_eq!(market.alerts("double_admission").len(), 1, "an hour later it is somebody else");
    market.send(&north, &scan(&north, 4, 3_700_000, Some("admitted")));
    assert_eq!(market.alerts("double_admission").len(), 1, "of one device the first is told");
}

#[test]
fn a_scanner_that_is_held_before_a_bad_ticket_all_night_raises_one_alert() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.later(9_000_000);
    market.books.issue(Ticket { revoked: Some((NOON, "resold".into())), ..issued() });
    for n in 1..50 {
        market.send(&north, &old_scan(&north, n, n * 1_000));
    }
    assert_eq!(market.alerts("admitted_invalid").len(), 1);
    market.send(&south, &old_scan(&south, 60, 60_000));
    assert_eq!(market.alerts("admitted_invalid").len(), 2, "another device let in as well");
}

#[test]
fn an_attempt_that_was_refused_hides_no_later_double_of_the_same_scanner() {
    let (mut market, north, south) = (Market::new(), gate("gate-n1"), gate("gate-s1"));
    market.later(900_000);
    market.send(&north, &scan(&north, 1, 0, Some("admitted")));
    market.send(&south, &scan(&south, 2, 5_000, None));
    assert_eq!(market.alerts("double_admission").len(), 1);
    market.send(&south, &scan(&south, 3, 60_000, Some("admitted")));
    assert_eq!(market.alerts("double_admission").len(), 2, "now somebody walked in");
    market.send(&south, &scan(&south, 4, 90_000, Some("admitted")));
    assert_eq!(market.alerts("double_admission").len(), 2);
}

#[test]
fn a_claim_after_its_event_stands_for_the_same_gate() {
    let (mut market, north) = (Market::new(), gate("gate-n1"));
    let event = scan(&north, 1, 0, Some("admitted"));
    market.send(&north, &event);
    let request = Request {
        principal: north.principal.clone(),
        received: market.now,
        sent_at: Some(market.now),
        window_ms: 0,
    };
    let asked =
        Claim { request, ticket: key("t-1"), event: id_of(&event), gate: "gate-w9".into(), scanned_at: None };
    let answered = claim(&mut market.books, &market.city, &asked, &mut || [7; 10]).unwrap();
    assert_eq!(answered.map(|answered| answered.claimed), Err(ClaimChanged));
}

#[test]
fn gates_hear_a_digest_once_also_when_the_admission_moved_before_it_was_told() {
    let (mut market, north, south, west) = (Market::new(), gate("gate-n1"), gate("gate-s1"), gate("gate-w1"));
    market.later(9_000);
    market.books.hear_gate(&west.principal.device, market.now);
    market.send(&north, &scan(&north, 1, 5_000, Some("admitted")));
    market.send(&south, &scan(&south, 2, 1_000, Some("admitted")));
    tell_digests(&mut market);
    let heard = market.heard(&west);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].1.text("gateId"), Some("gate-s1"));
}

#[test]
fn other_gates_hear_that_a_ticket_they_took_for_used_is_free_again() {
    let (mut market, north, west) = (Market::new(), gate("gate-n1"), gate("gate-w1"));
    market.books.hear_gate(&west.principal.device, market.now);
    let event = scan(&north, 1, 0, Some("refused"));
    market.claims(&north, id_of(&event), 0).unwrap();
    tell_digests(&mut market);
    market.send(&north, &event);
    tell_digests_of(&mut market, 50);
    assert_eq!(market.types_heard(&west), ["gate.seen.v1.admitted", "gate.seen.v1.freed"]);
    market.send(&north, &scan(&north, 2, 0, Some("refused")));
    tell_digests_of(&mut market, 60);
    assert_eq!(market.heard(&west).len(), 2, "a refusal alone frees nothing");
}

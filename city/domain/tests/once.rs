//! Whatever is sent again, in whatever order and from whatever device: one effect for each intent.

mod market;

use city_domain::Role;
use conch::event::json::Json;
use conch::wire::VerdictWord;
use market::{CASH, Market, Speaker, key};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that is sent: what it means, and which of its twins it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    /// 0..4 orders, 4..8 tickets.
    subject: u8,
    device: u8,
    attempt: u8,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0..8u8, 0..3u8, 1..3u8).prop_map(|(subject, device, attempt)| Sent { subject, device, attempt })
}

fn event(sent: Sent) -> (Speaker, Json) {
    let n = u64::from(sent.subject) * 100 + u64::from(sent.device) * 10 + u64::from(sent.attempt);
    if sent.subject < 4 {
        let till = Speaker::new(&format!("till-{}", sent.device), Role::Vendor);
        let event = till.pay(n, &format!("o-{}", sent.subject), u32::from(sent.attempt), CASH);
        (till, event)
    } else {
        let gate = Speaker::new(&format!("gate-{}", sent.device), Role::Gate);
        let event = gate.scan(n, &format!("t-{}", sent.subject), "n1");
        (gate, event)
    }
}

proptest! {
    #[test]
    fn every_intent_has_exactly_one_effect(order in prop::collection::vec(sent(), 1..60)) {
        let mut market = Market::new();
        let mut words: BTreeMap<Sent, VerdictWord> = BTreeMap::new();
        let mut first_of_order = BTreeMap::new();
        for one in &order {
            let (speaker, event) = event(*one);
            let judged = market.judge(&speaker, &event);
            prop_assert_ne!(judged.verdict.word, VerdictWord::Refused);
            prop_assert_eq!(judged.replayed, words.contains_key(one), "a delivery is a replay from its second time on");
            let first = *words.entry(*one).or_insert(judged.verdict.word);
            prop_assert_eq!(first, judged.verdict.word, "the same delivery, the same verdict");
            first_of_order.entry(one.subject).or_insert(judged.verdict.id);
        }
        let subjects: BTreeSet<u8> = order.iter().map(|one| one.subject).collect();
        let orders = subjects.iter().filter(|subject| **subject < 4).count();
        prop_assert_eq!(market.books.captures().count(), orders);
        prop_assert_eq!(market.books.admissions().count(), subjects.len() - orders);
        for (subject, id) in first_of_order.iter().filter(|(subject, _)| **subject < 4) {
            let order = market.books.order_of(&key(&format!("o-{subject}"))).unwrap();
            prop_assert_eq!(order.event, *id, "the first effect stays");
        }
        let intents: BTreeSet<(u8, u8)> = order.iter().filter(|one| one.subject < 4).map(|one| (one.subject, one.attempt)).collect();
        let scans: BTreeSet<Sent> = order.iter().copied().filter(|one| one.subject >= 4).collect();
        prop_assert_eq!(market.books.events().len(), intents.len() + scans.len());
        prop_assert_eq!(market.books.scans().len(), scans.len());
    }
}

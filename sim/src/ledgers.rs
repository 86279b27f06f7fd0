//! The oracle's look at the city: the log, the services, the money on both sides, and the tickets, when everything has
//! come to rest.

use crate::city::City;
use crate::oracle::Broken;
use crate::sick::Illness;
use city_domain::bus::{BusTx, Message, PARTITIONS, heard};
use city_domain::{Fault, Memory, OrderState, RefundState, ScanResult, Service, limits};
use conch::event::{EventId, Key};
use conch::wire::VerdictWord;
use std::collections::{BTreeMap, BTreeSet};

/// Movements of one look into the ledger.
const ALL: u32 = u32::MAX;

/// What the city still has to do, if anything.
pub fn left(city: &mut City) -> Result<Option<String>, Broken> {
    let names: Vec<&'static str> = city.services().iter().map(|service| service.name()).collect();
    let books = city.books();
    let wrong = |fault: Fault| fault.0;
    if !books.said_in().map_err(wrong)?.is_empty() {
        return Ok(Some("something is said that is not on the log".to_owned()));
    }
    for name in names.into_iter().chain(["alerts-webhook"]) {
        for partition in 0..PARTITIONS {
            if books.cursor(name, partition).map_err(wrong)? < books.head(partition).map_err(wrong)? {
                return Ok(Some(format!("{name} has not heard everything")));
            }
        }
        if books.next_due(name).map_err(wrong)?.is_some() {
            return Ok(Some(format!("{name} tries again")));
        }
    }
    if let Some(open) = books.operations().find(|own| own.due.is_some()) {
        return Ok(Some(format!("{} waits for the acquirer: {:?}", open.id, open.stand)));
    }
    let open = |state| matches!(state, RefundState::Found | RefundState::Commanded | RefundState::Stuck);
    if let Some(duplicate) = books.duplicates().find(|own| open(own.state)) {
        return Ok(Some(format!("{} is {:?}", duplicate.txn_id, duplicate.state)));
    }
    let up_to = city_domain::Books::settled_up_to(books).map_err(wrong)?;
    let unread = city.ledger().movements(up_to, 1).map_err(|problem| problem.to_string())?;
    Ok((!unread.is_empty()).then(|| "the acquirer's list is not read to its end".to_owned()))
}

/// What was found in books that hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Duplicates that went back.
    pub refunded: u64,
    /// Tickets that let somebody in.
    pub admitted: u64,
    /// Dead letters of services.
    pub dead: u64,
    /// Orders for which more than one device spoke.
    pub shared: u64,
}

/// Checks everything that was committed.
pub fn hold(city: &mut City) -> Result<Held, Broken> {
    on_the_log(city)?;
    let dead = served(city)?;
    let refunded = balance(city)?;
    told(city)?;
    let admitted = admitted_once(city)?;
    if let Some((device, why)) = city.books().clones().next() {
        return Err(format!("one-device: {device} was taken for two: {}", why.as_str()));
    }
    let missing = city.books().missing();
    if missing > 0 {
        return Err(format!("gaps: {missing} events are missing, and nobody lost any"));
    }
    Ok(Held { refunded, admitted, dead, shared: shared(city) })
}

fn shared(city: &mut City) -> u64 {
    let mut speakers: BTreeMap<&Key, BTreeSet<&str>> = BTreeMap::new();
    for own in city.books().events().iter().filter(|own| own.topic.family() == "pay.txn") {
        speakers.entry(&own.key).or_default().insert(&own.source);
    }
    speakers.values().filter(|sources| sources.len() > 1).count() as u64
}

/// Every accepted event lies on the log once, and those of a key in the order in which they were judged.
fn on_the_log(city: &mut City) -> Result<(), Broken> {
    let places: BTreeMap<EventId, usize> =
        city.order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let accepted = city.judged.iter().filter(|(_, taken)| taken.verdict == VerdictWord::Accepted);
    let accepted: BTreeSet<EventId> = accepted.map(|(id, _)| *id).collect();
    let (mut there, mut last) = (BTreeSet::new(), BTreeMap::new());
    for message in city.books().log() {
        if !there.insert(message.id) {
            return Err(format!("on-the-log: {} lies there twice", message.id));
        }
        if !message.source.starts_with("conch://device/") {
            continue;
        }
        let Some(place) = places.get(&message.id) else {
            return Err(format!("on-the-log: {} was never judged", message.id));
        };
        if last.insert(message.key.clone(), *place).is_some_and(|before| before > *place) {
            return Err(format!("lane-order: {} overtook another of {}", message.id, message.key));
        }
    }
    match accepted.iter().find(|id| !there.contains(id)) {
        Some(id) => Err(format!("on-the-log: {id} was accepted and is not there")),
        None => Ok(()),
    }
}

/// Every service has done its part for all it subscribes, once; what it can never do is a dead letter, and that is all
/// there is of them. How many there are.
fn served(city: &mut City) -> Result<u64, Broken> {
    let wants: Vec<_> = city.services().iter().map(|own| (own.name(), own.subscriptions())).collect();
    let books = city.books();
    let mut letters = BTreeMap::new();
    for letter in books.dead_letters() {
        if letters.insert((letter.consumer.as_str(), letter.message.id), letter.number).is_some() {
            return Err(format!("served: {} died twice", letter.message.id));
        }
    }
    let mut deadly = 0;
    for message in books.log() {
        for (name, subscriptions) in &wants {
            if heard(subscriptions, message).is_none() {
                continue;
            }
            let ill =
                matches!(*name, "civic" | "power") && Illness::of(message).is_some_and(Illness::is_deadly);
            let dead = letters.contains_key(&(name, message.id));
            let done = books.has_handled(name, message);
            deadly += u64::from(ill);
            if (done, dead) != (!ill, ill) {
                let (topic, kind) = (&message.topic, message.kind.as_str());
                return Err(format!(
                    "served: {name} and {topic}.{kind}: done {done}, dead {dead}, deadly {ill}"
                ));
            }
        }
    }
    if deadly != letters.len() as u64 {
        return Err(format!("served: {} dead letters, of which {deadly} had to be", letters.len()));
    }
    alerted(books)?;
    once(books)?;
    Ok(deadly)
}

/// One alert for the first dead letter of each kind, one for the tenth, and so on, and no other ones.
fn alerted(books: &Memory) -> Result<(), Broken> {
    let mut open: BTreeMap<&str, u64> = BTreeMap::new();
    for letter in books.dead_letters() {
        let open = open.entry(&letter.fingerprint).or_default();
        *open += 1;
        let word = format!(r#""deadLetter":{},"#, letter.number);
        let raised = |own: &&Message| own.topic.as_str() == "ops.alerts.v1" && own.body.contains(&word);
        let (alerts, due) = (books.log().filter(raised).count(), [1, 10, 100, 1_000].contains(open));
        if alerts != usize::from(due) {
            return Err(format!("served: dead letter {} raised {alerts} alerts", letter.number));
        }
    }
    Ok(())
}

/// No service had its effect twice: what follows from one event is said once.
fn once(books: &Memory) -> Result<(), Broken> {
    let mut said = BTreeSet::new();
    for message in books.log().filter(|own| own.topic.family() == "civic.events") {
        let Some(cause) = message.envelope().and_then(|own| own.causation) else { continue };
        if !said.insert((cause.clone(), message.kind.as_str().to_owned())) {
            return Err(format!("served: {} follows twice from {cause}", message.kind.as_str()));
        }
    }
    Ok(())
}

/// The acquirer's books and ours are the same list; each order has its money once; what moved twice went back once.
fn balance(city: &mut City) -> Result<u64, Broken> {
    let moved = city.ledger().movements(0, ALL).map_err(|problem| problem.to_string())?;
    let books = city.books();
    let theirs: BTreeSet<&str> = moved.iter().map(|own| own.reference.as_str()).collect();
    let ours: BTreeSet<&str> = books.movements().map(|own| own.reference.as_str()).collect();
    if let Some(one) = theirs.symmetric_difference(&ours).next() {
        return Err(format!("books: {one} is in one ledger and not in the other"));
    }
    let mut net: BTreeMap<&Key, i128> = BTreeMap::new();
    for own in books.operations().filter(|own| own.service != Service::Authorize) {
        net.entry(&own.order).or_insert(0);
    }
    for movement in &moved {
        let Some(operation) = books.operations().find(|own| own.id == movement.id) else {
            return Err(format!(
                "books: the acquirer moved money for {}, which nobody asked for",
                movement.id
            ));
        };
        let amount = i128::from(movement.amount);
        *net.entry(&operation.order).or_insert(0) +=
            if movement.service == "refund" { -amount } else { amount };
    }
    for (order, net) in net {
        let standing = books.order_of(order);
        let online = standing.filter(|own| {
            own.state == OrderState::Captured && own.method.as_deref() == Some("authorized_online")
        });
        let owed = online.and_then(|own| own.amount).map_or(0, i128::from);
        if net != owed {
            return Err(format!("charged-once: {order} cost {net} instead of {owed}: {standing:?}"));
        }
    }
    let mut refunded = 0;
    for duplicate in books.duplicates() {
        let about = &duplicate.txn_id;
        let back = books
            .operations()
            .filter(|own| own.service == Service::Refund && own.about == duplicate.reference);
        let times = back.filter(|own| moved.iter().any(|movement| movement.id == own.id)).count();
        if times != 1 {
            return Err(format!("refund-once: {about} went back {times} times"));
        }
        refunded += 1;
    }
    let keys = books.events().iter().filter(|own| own.topic.family() == "pay.txn").map(|own| &own.key);
    for key in keys.collect::<BTreeSet<_>>() {
        match books.order_of(key).map(|own| own.state) {
            Some(OrderState::Captured | OrderState::Open | OrderState::Failed) => {}
            state => return Err(format!("nothing-vanishes: {key} was paid and is {state:?}")),
        }
    }
    Ok(refunded)
}

/// Whoever paid was told what came of it.
fn told(city: &mut City) -> Result<(), Broken> {
    let answered: BTreeSet<EventId> =
        city.feeds.iter().flat_map(|feed| feed.said.iter().filter_map(|said| said.cause)).collect();
    let paid = city.books().events().iter().filter(|own| own.topic.family() == "pay.txn");
    match paid.map(|own| own.id).find(|id| !answered.contains(id)) {
        Some(id) => Err(format!("honest-words: nobody was told what came of the payment {id}")),
        None => Ok(()),
    }
}

/// Of all scans that let somebody in with a ticket the earliest is its admission, in whatever order they came.
fn admitted_once(city: &mut City) -> Result<u64, Broken> {
    let books = city.books();
    let mut first: BTreeMap<&Key, _> = BTreeMap::new();
    for scan in books.scans().iter().filter(|scan| scan.result != ScanResult::Refused) {
        let place = (scan.at, scan.event, &scan.device);
        let earliest = first.entry(&scan.ticket).or_insert(place);
        *earliest = place.min(*earliest);
    }
    for scan in books.scans().iter().filter(|scan| scan.result != ScanResult::Refused) {
        let is_first = first.get(&scan.ticket) == Some(&(scan.at, scan.event, &scan.device));
        if is_first != (scan.result == ScanResult::Admitted) {
            return Err(format!("admitted-once: {} of {} is {:?}", scan.event, scan.ticket, scan.result));
        }
    }
    let admissions: BTreeMap<&Key, EventId> =
        books.admissions().map(|own| (&own.ticket, own.event)).collect();
    match first.iter().find(|(ticket, place)| admissions.get(*ticket) != Some(&place.1)) {
        Some((ticket, _)) => {
            Err(format!("admitted-once: {ticket} has another admission than its first scan"))
        }
        None => Ok(first.len() as u64),
    }
}

/// How long the city's own work may last once the weather is good, in ms: the longest wait between two tries of a service
/// or of a call, twice over, the time until a hold nobody was told of is let go, and all tries of what a service fails on
/// for ever, for two events behind each other.
pub const CITY_SETTLES_MS: u64 = 2 * limits::RETRY_CAP_MS + limits::UNTOLD_HOLD_MS + 2 * ALL_TRIES_MS;
/// The longest that all tries of one event last, in ms: eight waits that double from twice the base, and one at the cap.
const ALL_TRIES_MS: u64 = 510 * limits::RETRY_BASE_MS + limits::RETRY_CAP_MS;

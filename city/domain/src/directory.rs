//! The directory: which agent handles which topics, and where the router sends what is said on them.
//!
//! | topic | performative | an agent serves both, other than the sender | then |
//! |---|---|---|---|
//! | under contract | any | | nothing: its service hears it on the bus |
//! | free | none | | nothing |
//! | free | `request` | no, or its lease ran out | the sender hears `not_understood` at once |
//! | free | `request` | yes | one agent hears it on its feed, of many always the same for a key |
//! | free | any other | no | nothing: nobody owes an answer |
//! | free | any other | yes | each of them hears it |
//!
//! An agent is there for as long as its lease, by the city's clock. The city's own services need none.

use crate::bus::{Pattern, partition_of};
use crate::contracts::contract;
use crate::ingest::City;
use crate::limits::{AGENT_LEASE_S_MAX, AGENT_TOPICS_MAX, AGENTS_MAX, PERFORMATIVES_MAX};
use crate::outcome::Said;
use crate::role::{Principal, Role};
use crate::tx::{Fault, FeedEvent, Tx};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Key, Sequence, Topic, UnixMillis};
use conch::wire::cloudevents::Envelope;

/// What an event does in a conversation, after FIPA's communicative acts (SC00037J).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performative {
    /// Please do this.
    Request,
    /// It will be done.
    Agree,
    /// It will not.
    Refuse,
    /// This is so.
    Inform,
    /// Nobody knows what was meant.
    NotUnderstood,
}

impl Performative {
    const ALL: [Self; 5] = [Self::Request, Self::Agree, Self::Refuse, Self::Inform, Self::NotUnderstood];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Agree => "agree",
            Self::Refuse => "refuse",
            Self::Inform => "inform",
            Self::NotUnderstood => "not-understood",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.as_str() == word)
    }

    /// What an event says of itself: the attribute `performative`, or else that member of its payload, because the SDK
    /// writes no attributes of the page's own.
    pub(crate) fn of(event: &Json) -> Option<Self> {
        let word = event.text("performative").or_else(|| event.get("data")?.text("performative"));
        Self::parse(word?)
    }
}

/// A device that handles what is said on some topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name; what it handles arrives on its feed.
    pub device: Device,
    /// On which topics.
    pub topics: Vec<Pattern>,
    /// Of what kind.
    pub performatives: Vec<Performative>,
    /// Until when, unless it says so again.
    pub until: UnixMillis,
}

impl Agent {
    fn serves(&self, topic: &Topic, performative: Performative, now: UnixMillis) -> bool {
        self.until > now
            && self.performatives.contains(&performative)
            && self.topics.iter().any(|pattern| pattern.names(topic.as_str()))
    }
}

/// The services of the city, and the topics they take requests on.
pub const SERVICES: [(&str, &str); 4] = [
    ("payments", "pay.txn.*"),
    ("gate", "gate.auth.*"),
    ("civic", "civic.events.*"),
    ("power", "ops.power.*"),
];

/// Why an agent is not taken into the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    /// No topics, too many, or one that is no pattern.
    Topics,
    /// No performatives, or a word that is none.
    Performatives,
    /// The lease is not 1 to [`AGENT_LEASE_S_MAX`] seconds.
    Lease,
    /// The role of the device does not speak on the topics of this pattern.
    Role(String),
    /// There are [`AGENTS_MAX`] agents.
    Full,
}

/// Reads what an agent says of itself.
pub fn agent(
    principal: &Principal,
    device: Device,
    (topics, performatives): (&[String], &[String]),
    lease_s: u64,
    now: UnixMillis,
) -> Result<Agent, NotRegistered> {
    if !(1..=AGENT_LEASE_S_MAX).contains(&lease_s) {
        return Err(NotRegistered::Lease);
    }
    if !(1..=AGENT_TOPICS_MAX).contains(&topics.len()) {
        return Err(NotRegistered::Topics);
    }
    let mut patterns = Vec::new();
    for text in topics {
        let pattern = Pattern::parse(text).ok_or(NotRegistered::Topics)?;
        if !may_serve(principal.role, text) {
            return Err(NotRegistered::Role(text.clone()));
        }
        patterns.push(pattern);
    }
    let acts: Option<Vec<Performative>> =
        performatives.iter().take(PERFORMATIVES_MAX + 1).map(|word| Performative::parse(word)).collect();
    let performatives = acts
        .filter(|acts| (1..=PERFORMATIVES_MAX).contains(&acts.len()))
        .ok_or(NotRegistered::Performatives)?;
    Ok(Agent { device, topics: patterns, performatives, until: UnixMillis(now.0 + lease_s * 1_000) })
}

/// Whoever may not write on a topic has no business hearing what is asked there.
fn may_serve(role: Role, pattern: &str) -> bool {
    let first = pattern.split('.').next().unwrap_or_default();
    let topic = Topic::parse(&format!("{first}.v1"));
    role == Role::Ops || topic.is_ok_and(|topic| role.may_write(&topic))
}

/// Takes an agent into the directory, or renews its lease. What it said before is forgotten, and so is who is gone.
pub fn register<T: Tx + ?Sized>(
    tx: &mut T,
    agent: &Agent,
    now: UnixMillis,
) -> Result<Result<(), NotRegistered>, Fault> {
    let mut others = 0;
    for other in tx.agents()? {
        if other.until <= now {
            tx.drop_agent(&other.device)?;
        } else if other.device != agent.device {
            others += 1;
        }
    }
    if others >= AGENTS_MAX {
        return Ok(Err(NotRegistered::Full));
    }
    tx.put_agent(agent)?;
    Ok(Ok(()))
}

/// Where an event goes besides the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route<'a> {
    Nowhere,
    To(Vec<&'a Device>),
    NotUnderstood,
}

/// What is asked of the directory.
struct Asked<'a> {
    sender: &'a Device,
    topic: &'a Topic,
    key: &'a Key,
    performative: Performative,
}

fn route<'a>(asked: &Asked<'_>, agents: &'a [Agent], now: UnixMillis) -> Route<'a> {
    let mut serving: Vec<&Device> = agents
        .iter()
        .filter(|agent| agent.serves(asked.topic, asked.performative, now))
        .map(|agent| &agent.device)
        .filter(|device| *device != asked.sender)
        .collect();
    serving.sort();
    match (asked.performative, serving.len()) {
        (Performative::Request, 0) => Route::NotUnderstood,
        (_, 0) => Route::Nowhere,
        (Performative::Request, many) => {
            // The requests of a key stay in their order, so they go one way.
            let place = usize::from(partition_of(asked.key)) % many;
            Route::To(serving.get(place).copied().into_iter().collect())
        }
        _ => Route::To(serving),
    }
}

/// An accepted event and when the city took it.
pub(crate) struct Taken<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) body: &'a str,
    pub(crate) sender: &'a Device,
    pub(crate) performative: Performative,
    pub(crate) now: UnixMillis,
}

/// Sends an accepted event where it belongs, and tells whose feeds grew.
pub(crate) fn deliver<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    taken: &Taken<'_>,
    entropy: &mut dyn FnMut() -> [u8; 10],
) -> Result<Vec<Device>, Fault> {
    let Taken { envelope, sender, performative, now, .. } = *taken;
    if !matches!(contract(&envelope.topic, &envelope.kind), Ok(None)) {
        return Ok(Vec::new());
    }
    let asked = Asked { sender, topic: &envelope.topic, key: &envelope.key, performative };
    let agents = tx.agents()?;
    match route(&asked, &agents, now) {
        Route::Nowhere => Ok(Vec::new()),
        Route::NotUnderstood => {
            not_understood(tx, city, taken, entropy())?;
            Ok(vec![sender.clone()])
        }
        Route::To(serving) => {
            for device in &serving {
                hand_over(tx, city, taken, device, EventId::mint(now, entropy()))?;
            }
            Ok(serving.into_iter().cloned().collect())
        }
    }
}

fn not_understood<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    taken: &Taken<'_>,
    entropy: [u8; 10],
) -> Result<(), Fault> {
    let (Ok(topic), Ok(kind)) = (Topic::parse("market.directory.v1"), EventType::parse("not_understood"))
    else {
        return Err(Fault("the topic of the directory has no name".to_owned()));
    };
    let Taken { envelope, sender, performative, now, .. } = *taken;
    let text = |name: &str, text: &str| (name.to_owned(), Json::Text(text.to_owned()));
    let data = Json::Object(vec![
        text("topic", envelope.topic.as_str()),
        text("type", envelope.kind.as_str()),
        text("performative", performative.as_str()),
    ]);
    let id = EventId::mint(now, entropy);
    let said = Said { city, topic: &topic, kind: &kind, key: &envelope.key, id, now };
    said.say(tx, Some(envelope), Some(sender), data)
}

/// Puts the event on an agent's feed under an id of the city's: topic, type, key, payload and whatever else it says stay.
/// The services have heard it from its sender, so it does not go onto the bus again.
fn hand_over<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    taken: &Taken<'_>,
    to: &Device,
    id: EventId,
) -> Result<(), Fault> {
    let Ok(Json::Object(mut members)) = Json::parse(taken.body) else {
        return Err(Fault("the event is none any more".to_owned()));
    };
    let cause = taken.envelope.id.to_string();
    let sequence = tx.feed_head(to)? + 1;
    let conversation = taken.envelope.correlation.clone().unwrap_or_else(|| cause.clone());
    for (name, value) in [
        ("id", id.to_string()),
        ("source", city.source()),
        ("idempotencykey", id.to_string()),
        ("sequence", Sequence(sequence).to_string()),
        ("correlationid", conversation),
        ("causationid", cause),
        ("requester", taken.sender.to_string()),
    ] {
        members.retain(|(own, _)| own != name);
        members.push((name.to_owned(), Json::Text(value)));
    }
    let mut body = String::new();
    Json::Object(members).write(&mut body);
    tx.put_feed(&FeedEvent { device: to.clone(), sequence, id, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn device(name: &str) -> Device {
        Device::parse(name).unwrap()
    }

    fn serving(name: &str, topic: &str, performatives: &[Performative], until: u64) -> Agent {
        Agent {
            device: device(name),
            topics: vec![Pattern::parse(topic).unwrap()],
            performatives: performatives.to_vec(),
            until: UnixMillis(until),
        }
    }

    fn routed(performative: Performative, key: &str, agents: &[Agent]) -> Result<Vec<String>, &'static str> {
        let (sender, topic) = (device("till-1"), Topic::parse("stall.help.v1").unwrap());
        let key = Key::parse(key).unwrap();
        let asked = Asked { sender: &sender, topic: &topic, key: &key, performative };
        match route(&asked, agents, NOW) {
            Route::Nowhere => Err("nowhere"),
            Route::NotUnderstood => Err("not understood"),
            Route::To(devices) => Ok(devices.into_iter().map(Device::to_string).collect()),
        }
    }

    const REQUEST: &[Performative] = &[Performative::Request];
    const LATER: u64 = NOW.0 + 1;

    #[test]
    fn row_a_request_nobody_serves_is_not_understood() {
        assert_eq!(routed(Performative::Request, "k", &[]), Err("not understood"));
        let elsewhere = serving("ops-1", "stall.note.*", REQUEST, LATER);
        assert_eq!(routed(Performative::Request, "k", &[elsewhere]), Err("not understood"));
    }

    #[test]
    fn row_a_lease_that_ran_out_serves_nobody() {
        let gone = serving("ops-1", "stall.>", REQUEST, NOW.0);
        assert_eq!(routed(Performative::Request, "k", &[gone]), Err("not understood"));
    }

    #[test]
    fn row_whoever_takes_no_requests_is_not_asked() {
        let deaf = serving("ops-1", "stall.>", &[Performative::Inform], LATER);
        assert_eq!(routed(Performative::Request, "k", &[deaf]), Err("not understood"));
    }

    #[test]
    fn row_nobody_is_asked_by_oneself() {
        let own = serving("till-1", "stall.>", REQUEST, LATER);
        assert_eq!(routed(Performative::Request, "k", &[own]), Err("not understood"));
    }

    #[test]
    fn row_a_request_goes_to_one_agent_and_of_many_to_the_same_for_a_key() {
        let agents = [
            serving("ops-2", "stall.help.*", REQUEST, LATER),
            serving("ops-1", "stall.>", REQUEST, LATER),
            serving("ops-3", "stall.help.v1", REQUEST, LATER),
        ];
        let mut reversed = agents.clone();
        reversed.reverse();
        let mut all = Vec::new();
        for key in 0..40 {
            let key = format!("k-{key}");
            let one = routed(Performative::Request, &key, &agents).unwrap();
            assert_eq!(one.len(), 1);
            assert_eq!(routed(Performative::Request, &key, &reversed).unwrap(), one);
            all.extend(one);
        }
        all.sort();
        all.dedup();
        assert_eq!(all, ["ops-1", "ops-2", "ops-3"], "each has its share");
    }

    #[test]
    fn row_what_is_no_request_goes_to_all_who_hear_it_and_else_nowhere() {
        let acts = [Performative::Inform, Performative::Agree];
        let agents = [serving("ops-2", "stall.>", &acts, LATER), serving("ops-1", "stall.>", &acts, LATER)];
        assert_eq!(routed(Performative::Inform, "k", &agents).unwrap(), ["ops-1", "ops-2"]);
        assert_eq!(routed(Performative::Refuse, "k", &agents), Err("nowhere"));
        assert_eq!(routed(Performative::NotUnderstood, "k", &[]), Err("nowhere"));
    }

    #[test]
    fn an_event_says_its_performative_as_an_attribute_or_in_its_payload() {
        for (event, word) in [
            (r#"{"performative":"request"}"#, Some(Performative::Request)),
            (r#"{"data":{"performative":"inform"}}"#, Some(Performative::Inform)),
            (r#"{"performative":"agree","data":{"performative":"inform"}}"#, Some(Performative::Agree)),
            (r#"{"performative":"shout"}"#, None),
            (r#"{"data":[]}"#, None),
        ] {
            assert_eq!(Performative::of(&Json::parse(event).unwrap()), word, "{event}");
        }
    }

    #[test]
    fn a_registration_says_what_is_wrong_with_it() {
        let read = |role, topics: &[&str], acts: &[&str], lease_s| {
            let principal = Principal { device: device("x"), role };
            let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            agent(&principal, device("x"), (&list(topics), &list(acts)), lease_s, NOW)
                .map(|agent| agent.until.0 - NOW.0)
        };
        assert_eq!(read(Role::Gate, &["stall.>", "gate.*"], &["request", "not-understood"], 60), Ok(60_000));
        for (role, topics, acts, lease_s, wrong) in [
            (Role::Gate, &[][..], &["request"][..], 60, NotRegistered::Topics),
            (Role::Gate, &["Stall"], &["request"], 60, NotRegistered::Topics),
            (Role::Gate, &["stall.>"], &[], 60, NotRegistered::Performatives),
            (Role::Gate, &["stall.>"], &["shout"], 60, NotRegistered::Performatives),
            (Role::Gate, &["stall.>"], &["request"], 0, NotRegistered::Lease),
            (Role::Gate, &["stall.>"], &["request"], AGENT_LEASE_S_MAX + 1, NotRegistered::Lease),
            (Role::Gate, &["pay.>"], &["request"], 60, NotRegistered::Role("pay.>".into())),
            (Role::Gate, &[">"], &["request"], 60, NotRegistered::Role(">".into())),
        ] {
            assert_eq!(read(role, topics, acts, lease_s), Err(wrong), "{topics:?} {acts:?}");
        }
        assert_eq!(read(Role::Ops, &[">"], &["request"], 1), Ok(1_000), "ops may hear everything");
    }
}

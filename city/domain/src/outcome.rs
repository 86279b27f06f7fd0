//! Outcomes: what became of an event, said by the city as an event of its own on the asker's feed.

use crate::bus::Message;
use crate::contracts::contract;
use crate::ingest::City;
use crate::tx::{Fault, FeedEvent, Tx};
use conch::event::contract::{CONTRACTS, Form};
use conch::event::json::Json;
use conch::event::{Device, EventId, EventType, Key, Sequence, Topic, UnixMillis, time};
use conch::wire::cloudevents::Envelope;

/// An accepted or repeated event that a service answers, with the time it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) device: &'a Device,
    pub(crate) at: UnixMillis,
}

/// What a service says: topic, type and payload. The members an older topic version lacks are left out.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    topic: String,
    kind: &'static str,
    data: Json,
}

impl Outcome {
    pub(crate) fn new(topic: &Topic, kind: &'static str, members: Vec<(&'static str, Option<Json>)>) -> Self {
        let contract =
            CONTRACTS.iter().find(|contract| contract.topic == topic.as_str() && contract.kind == kind);
        let known = |name: &str| {
            contract.is_some_and(|contract| contract.fields.iter().any(|field| field.name == name))
        };
        let data = members
            .into_iter()
            .filter(|(name, _)| known(name))
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Self { topic: topic.as_str().to_owned(), kind, data: Json::Object(data) }
    }

    /// Its payload.
    pub(crate) fn data(self) -> Json {
        self.data
    }
}

/// Says the outcome on the bus, and to the device that caused it on its feed.
pub(crate) fn tell<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    cause: Cause<'_>,
    outcome: &Outcome,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<(), Fault> {
    let kind = EventType::parse(outcome.kind).map_err(|_| Fault(format!("{} is no type", outcome.kind)))?;
    let topic = Topic::parse(&outcome.topic).map_err(|_| Fault(format!("{} is no topic", outcome.topic)))?;
    let id = EventId::mint(now, entropy);
    let said = Said { city, topic: &topic, kind: &kind, key: &cause.envelope.key, id, now };
    said.say(tx, Some(cause.envelope), Some(cause.device), outcome.data.clone())
}

/// The key of an alert about a device. A device may be called like a phone number, which no key may hold.
pub(crate) fn device_key(device: &Device) -> Result<Key, Fault> {
    let key = Key::parse(&format!("device-{device}")).or_else(|_| Key::parse("device"));
    key.map_err(|_| Fault("the alert has no name".to_owned()))
}

/// The event something follows from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    id: EventId,
    correlation: Option<String>,
    traceparent: Option<String>,
}

impl Origin {
    /// An event of which no more than its id is at hand.
    pub(crate) fn of(id: EventId) -> Self {
        Self { id, correlation: None, traceparent: None }
    }
}

impl From<&Envelope> for Origin {
    fn from(cause: &Envelope) -> Self {
        let Envelope { id, correlation, traceparent, .. } = cause;
        Self { id: *id, correlation: correlation.clone(), traceparent: traceparent.clone() }
    }
}

/// What the city says.
pub(crate) struct Said<'a> {
    pub(crate) city: &'a City,
    pub(crate) topic: &'a Topic,
    pub(crate) kind: &'a EventType,
    pub(crate) key: &'a Key,
    pub(crate) id: EventId,
    pub(crate) now: UnixMillis,
}

impl Said<'_> {
    /// Says it on the bus, and to a device on its feed. `cause` is the event it follows from.
    pub(crate) fn say<T: Tx + ?Sized>(
        &self,
        tx: &mut T,
        cause: Option<&Envelope>,
        device: Option<&Device>,
        data: Json,
    ) -> Result<(), Fault> {
        self.say_of(tx, cause.map(Origin::from).as_ref(), device, data)
    }

    /// The same about an event that is not at hand.
    pub(crate) fn say_of<T: Tx + ?Sized>(
        &self,
        tx: &mut T,
        cause: Option<&Origin>,
        device: Option<&Device>,
        data: Json,
    ) -> Result<(), Fault> {
        self.check(&data)?;
        let body = match device {
            Some(device) => {
                let event = self.on_feed(tx, cause, device, data)?;
                tx.put_feed(&event)?;
                event.body
            }
            None => self.encode(cause, None, data),
        };
        tx.put_outgoing(&Message {
            source: self.city.source(),
            id: self.id,
            topic: self.topic.clone(),
            kind: self.kind.clone(),
            key: self.key.clone(),
            body,
        })
    }

    /// Tells a device on its feed and nobody else, until a time if there is one.
    pub(crate) fn tell_only<T: Tx + ?Sized>(
        &self,
        tx: &mut T,
        cause: Option<&Origin>,
        (device, until): (&Device, Option<UnixMillis>),
        data: Json,
    ) -> Result<(), Fault> {
        self.check(&data)?;
        let event = self.on_feed(tx, cause, device, data)?;
        match until {
            Some(until) => tx.put_passing(&event, until),
            None => tx.put_feed(&event),
        }
    }

    /// What the city says keeps its contracts as strictly as what it is told.
    pub(crate) fn check(&self, data: &Json) -> Result<(), Fault> {
        if let Ok(Some(contract)) = contract(self.topic, self.kind)
            && let Err(problem) = contract.check(data, self.key.as_str(), Form::Closed)
        {
            let (topic, kind) = (self.topic, self.kind.as_str());
            return Err(Fault(format!(
                "{topic}.{kind} would break its contract: {} {}",
                problem.member, problem.what
            )));
        }
        Ok(())
    }

    fn on_feed<T: Tx + ?Sized>(
        &self,
        tx: &mut T,
        cause: Option<&Origin>,
        device: &Device,
        data: Json,
    ) -> Result<FeedEvent, Fault> {
        let sequence = tx.feed_head(device)? + 1;
        let body = self.encode(cause, Some(Sequence(sequence)), data);
        Ok(FeedEvent { device: device.clone(), sequence, id: self.id, body })
    }

    fn encode(&self, cause: Option<&Origin>, sequence: Option<Sequence>, data: Json) -> String {
        let (topic, kind, id) = (self.topic, self.kind.as_str(), self.id.to_string());
        let cause_id = cause.map(|cause| cause.id.to_string());
        let conversation = cause.and_then(|cause| cause.correlation.clone()).or_else(|| cause_id.clone());
        let attributes = [
            ("specversion", Some("1.0".to_owned())),
            ("id", Some(id.clone())),
            ("source", Some(self.city.source())),
            ("type", Some(format!("{topic}.{kind}"))),
            ("time", Some(time::to_rfc3339(self.now))),
            ("subject", Some(self.key.to_string())),
            ("partitionkey", Some(self.key.to_string())),
            ("idempotencykey", Some(id.clone())),
            ("sequence", sequence.map(|sequence| sequence.to_string())),
            ("correlationid", Some(conversation.unwrap_or(id))),
            ("causationid", cause_id),
            ("dataschema", Some(format!("urn:conch:contract:{topic}:{kind}"))),
            ("datacontenttype", Some("application/json".to_owned())),
            ("traceparent", cause.and_then(|cause| cause.traceparent.clone())),
        ];
        let mut members = Vec::new();
        for (name, value) in attributes {
            members.extend(value.map(|value| (name.to_owned(), Json::Text(value))));
        }
        members.push(("data".to_owned(), data));
        let mut body = String::new();
        Json::Object(members).write(&mut body);
        body
    }
}

//! Outcomes: what became of an event, said by the city as an event of its own on the asker's feed.

use crate::ingest::City;
use crate::tx::{Fault, FeedEvent, Tx};
use conch::event::contract::CONTRACTS;
use conch::event::json::Json;
use conch::event::{Device, EventId, Sequence, Topic, UnixMillis, time};
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
}

/// Appends the outcome to the feed of the device that caused it.
pub(crate) fn tell<T: Tx + ?Sized>(
    tx: &mut T,
    city: &City,
    cause: Cause<'_>,
    outcome: &Outcome,
    now: UnixMillis,
    entropy: [u8; 10],
) -> Result<(), Fault> {
    let sequence = tx.feed_head(cause.device)? + 1;
    let id = EventId::mint(now, entropy);
    let body = encode(city, cause.envelope, outcome, id, Sequence(sequence), now);
    tx.put_feed(&FeedEvent { device: cause.device.clone(), sequence, id, body })
}

fn encode(
    city: &City,
    cause: &Envelope,
    outcome: &Outcome,
    id: EventId,
    sequence: Sequence,
    now: UnixMillis,
) -> String {
    let cause_id = cause.id.to_string();
    let attributes = [
        ("specversion", "1.0".to_owned()),
        ("id", id.to_string()),
        ("source", city.source()),
        ("type", format!("{}.{}", outcome.topic, outcome.kind)),
        ("time", time::to_rfc3339(now)),
        ("subject", cause.key.to_string()),
        ("partitionkey", cause.key.to_string()),
        ("idempotencykey", id.to_string()),
        ("sequence", sequence.to_string()),
        ("correlationid", cause.correlation.clone().unwrap_or_else(|| cause_id.clone())),
        ("causationid", cause_id),
        ("dataschema", format!("urn:conch:contract:{}:{}", outcome.topic, outcome.kind)),
        ("datacontenttype", "application/json".to_owned()),
    ];
    let mut members: Vec<(String, Json)> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), Json::Text(value))).collect();
    if let Some(trace) = &cause.traceparent {
        members.push(("traceparent".to_owned(), Json::Text(trace.clone())));
    }
    members.push(("data".to_owned(), outcome.data.clone()));
    let mut body = String::new();
    Json::Object(members).write(&mut body);
    body
}

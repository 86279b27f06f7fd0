//! Header names and media types of the wire, in lower case.

/// Proves that an answer is the city's: its id, a UUID made at its first start. Every answer of a city carries it.
pub const CITY: &str = "conch-city";
/// The device's clock when the request was sent, in ms since 1970.
pub const SENT_AT: &str = "conch-sent-at";
/// The epoch of the leading context; the city refuses a lower one than it has seen.
pub const EPOCH: &str = "conch-epoch";
/// `<lowest owed>-<highest sequence>`: the city alarms only on a gap below the lowest owed.
pub const OWED: &str = "conch-owed";
/// How often the first event of the request was tried before.
pub const TRIES: &str = "conch-tries";
/// Comma-separated sequences that will never arrive: discarded or superseded.
pub const TOMBSTONES: &str = "conch-tombstones";
/// draft-ietf-httpapi-idempotency-key-header-07: a structured-field string, so quoted.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Marks the answer to a request that was answered before.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// RFC 9110 10.2.3.
pub const RETRY_AFTER: &str = "retry-after";

/// One event (CloudEvents HTTP binding 1.0.2, structured mode).
pub const EVENT: &str = "application/cloudevents+json";
/// Many events, only when solicited.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// RFC 9457.
pub const PROBLEM: &str = "application/problem+json";
/// What every problem type of a city starts with.
pub const PROBLEM_PREFIX: &str = "urn:conch:problem:";

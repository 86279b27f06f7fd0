//! Every limit of the SDK in one place, each with its unit and its reason. Numbers appear nowhere else.

/// Longest business key, in characters. Room for a UUID with a prefix; short enough for a header and an index.
pub const KEY_CHARS_MAX: usize = 128;
/// Longest topic name, in characters.
pub const TOPIC_CHARS_MAX: usize = 64;
/// Longest event type name, in characters.
pub const TYPE_CHARS_MAX: usize = 40;
/// Longest device name, in characters: it is part of every event's `source`.
pub const DEVICE_CHARS_MAX: usize = 64;
/// Largest encoded event, in bytes. CloudEvents 1.0 asks intermediaries to forward no more than 64 KiB.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a payload; deeper ones are refused so that reading cannot exhaust the stack.
pub const JSON_DEPTH_MAX: usize = 32;
/// How much deeper than a payload a JSON text may be: the event around it, and the list or answer around that.
pub const JSON_AROUND_DEPTH: usize = 4;
/// Highest intent attempt: more refusals than this of one intent are a fault of the caller.
pub const ATTEMPT_MAX: u32 = 1_000;
/// Largest safe integer of JSON numbers in a browser, 2^53 - 1.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Most events in one segment: one database record of one group commit.
pub const SEGMENT_EVENTS_MAX: usize = 128;
/// Most bytes in one segment, in bytes of encoded events; a single larger event makes a segment of its own.
pub const SEGMENT_BYTES_MAX: usize = 64 * 1024;
/// Most owed events of one outbox. At 512 bytes each this is about 50 MB.
pub const BACKLOG_EVENTS_MAX: u64 = 100_000;
/// Owed bytes, likewise: a third of what the strictest browser gives a site.
pub const BACKLOG_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// What stays free of the origin's quota when events are taken in, in bytes: a verdict must find room on a disk that is
/// too full for a sale, and so must the dead letter it may become.
pub const STORAGE_HEADROOM_BYTES: u64 = 4 * 1024 * 1024;
/// Writes after which the browser is asked again how full it is.
pub const HEALTH_EVERY_WRITES: u32 = 64;
/// Events of one commit.
pub const COMMIT_EVENTS_MAX: usize = 100;
/// Guards, puts and removals of one commit.
pub const COMMIT_RECORDS_MAX: usize = 100;
/// One record of the application as JSON, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Records in one answer of a collection.
pub const RECORDS_PAGE_MAX: u32 = 1_000;
/// Rows the engine holds in memory at once, whatever the backlog.
pub const WINDOW_ROWS_MAX: usize = 2_048;
/// Segments read by one `load`; each has at most 128 events and 64 KiB.
pub const LOAD_SEGMENTS_MAX: u32 = 16;
/// Rows of one topic held in memory, beyond which the scan ahead of a full window leaves further ones on disk.
pub const CROWDED_ROWS: usize = 256;
/// Bits of the filter of lanes that were passed over: with 100,000 of them it names 3 in 100 too many.
pub const PASSED_BITS: u64 = 1 << 20;
/// Lanes that wait. Beyond these only events of lanes that are known to wait are sent, so that no further one joins.
pub const BLOCKED_LANES_MAX: usize = 20_000;
/// How long a settled event's intent and verdict are kept on the device, in ms: 7 days.
pub const INTENT_KEEP_MS: u64 = 7 * 24 * 3_600_000;
/// How many settled events' intents are kept on the device.
pub const INTENT_KEEP_EVENTS: u64 = 50_000;
/// Dead sequences the city is still to be told of; of more than these the oldest are forgotten, and the city will
/// ask after them as gaps.
pub const TOMBSTONES_KEEP_MAX: usize = 10_000;
/// Dead sequences named in one request: at most 16 digits and a comma each, so that the header stays below 4 kB.
pub const TOMBSTONES_TOLD_MAX: usize = 200;
/// Longest reason of a discard, in characters.
pub const REASON_CHARS_MAX: usize = 200;

/// Most events in one request, whatever the city offers.
pub const BATCH_EVENTS_MAX: usize = 128;
/// Most bytes in one request body, whatever the city offers.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Largest answer the SDK reads, in bytes: 128 verdicts with a problem each fit easily.
pub const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Requests under way at once to a server that takes one event each. Browsers give an origin six connections, and the
/// page wants some too.
pub const SINGLE_REQUESTS_MAX: usize = 4;
/// How long opening the database may take, in ms, before another tab is held to be in the way. An upgrade that has begun
/// may take longer.
pub const OPEN_TIMEOUT_MS: u64 = 20_000;
/// How long one request may take, in ms, before its outcome counts as unknown.
pub const REQUEST_TIMEOUT_MS: u64 = 20_000;
/// How long the city's offer (batch size) is trusted before it is asked for again, in ms.
pub const EDGE_CONFIG_KEEP_MS: u64 = 3_600_000;

/// How long the city may keep a question for its feed waiting, in s: under the half minute after which proxies cut idle
/// answers.
pub const FEED_WAIT_S: u64 = 25;
/// Shortest time between two questions for the feed, in ms.
pub const FEED_AGAIN_MS: u64 = 1_000;
/// The same while the page is hidden: nobody looks, and the battery counts.
pub const FEED_AGAIN_HIDDEN_MS: u64 = 60_000;
/// Failures in a row to hear the city after which a leader that cannot write what it says lets another context try: what
/// the page was not told of is forgotten then.
pub const FEED_FAILURES_BORNE: u32 = 3;
/// Longest cursor of a feed, in characters.
pub const CURSOR_CHARS_MAX: usize = 128;
/// How long what the city said about an event is kept, in ms from that event: 60 days, for refunds come late. An answer to
/// an event that is older than half of that is kept as long from its own time.
pub const INBOX_KEEP_MS: u64 = 60 * 24 * 3_600_000;
/// A clock that shows an earlier time was never set, in ms since 1970: 2025-01-01. Nothing is old for what it says.
pub const CLOCK_SET_MS: u64 = 1_735_689_600_000;

/// Fallback backoff: base of the ceiling, in ms.
pub const BACKOFF_BASE_MS: u64 = 1_000;
/// Fallback backoff: ceiling while a person watches, in ms.
pub const BACKOFF_CAP_VISIBLE_MS: u64 = 60_000;
/// Fallback backoff: ceiling while the page is hidden, in ms.
pub const BACKOFF_CAP_HIDDEN_MS: u64 = 300_000;
/// An outage longer than this ends with a send drawn from the city's window, in ms.
pub const OUTAGE_MS: u64 = 10_000;
/// How often a leader shows that it lives while something is owed, in ms.
pub const BEAT_EVERY_MS: u64 = 10_000;
/// A leader not heard for so long is replaced, in ms, by a context that a person looks at.
pub const LEADER_SILENT_MS: u64 = 30_000;
/// The same for a hidden context: its timers, like those of a hidden leader, come late.
pub const LEADER_SILENT_HIDDEN_MS: u64 = 300_000;
/// An event owed for longer than this by the city's clock becomes a dead letter, in ms: 7 days.
pub const AGE_MAX_MS: u64 = 7 * 24 * 3_600_000;
/// Between two notes of what was stored by which time of the city, in ms: so much may an event live longer.
pub const AGE_MARK_EVERY_MS: u64 = 12 * 3_600_000;
/// Notes of the city's time that are kept.
pub const AGE_MARKS_MAX: usize = 32;
/// Longest wait a `Retry-After` can impose, in ms.
pub const RETRY_AFTER_MAX_MS: u64 = 3_600_000;
/// Jitter added to a wait the city told us, in ms, so that a whole market does not return in one instant.
pub const RETRY_AFTER_JITTER_MS: u64 = 1_000;
/// Wait of a lane whose event the city answered with `retry` but no time, in ms; doubles up to the visible cap.
pub const LANE_RETRY_BASE_MS: u64 = 1_000;
/// City-side 5xx answers in a row, while `GET /v1/edge` works, before a batch is split.
pub const SERVER_FAULTS_BEFORE_BISECT: u32 = 3;
/// Longest single timer, in ms: browsers cast delays to a signed 32-bit integer.
pub const TIMER_MAX_MS: u64 = 2_147_000_000;
/// Bytes of events the engine holds in memory at once, whatever the backlog.
pub const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Settled rows between two rounds of pruning.
pub const PRUNE_EVERY_ROWS: u64 = 1_000;

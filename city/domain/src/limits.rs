//! Every limit of the city in one place, each with its unit and its reason. Numbers appear nowhere else.

/// Most events in one batch, as offered in `GET /v1/edge`.
pub const BATCH_EVENTS_MAX: usize = 100;
/// Largest body of a batch, in bytes: a hundred events of ordinary size several times over.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Largest body of one event, in bytes: CloudEvents 1.0 asks receivers to take 64 KiB.
pub const EVENT_BYTES_MAX: usize = conch::limits::EVENT_BYTES_MAX;
/// Largest body of the small requests (enrolment, weather), in bytes.
pub const SMALL_BYTES_MAX: usize = 4 * 1024;
/// Longest `source` of an event, in bytes: the device, the incarnation and the prefix.
pub const SOURCE_BYTES_MAX: usize = 256;
/// Sequences one `conch-tombstones` header may name; more travel with the next request.
pub const TOMBSTONES_MAX: usize = 1_000;

/// Requests that may wait for the writer unless told otherwise. Beyond it the city answers 503 with a slot.
pub const QUEUE_REQUESTS: u32 = 1_024;
/// Requests the writer puts into one commit. One fsync serves them all; more would only lengthen the wait.
pub const GROUP_REQUESTS_MAX: usize = 64;
/// Events after which a group takes no further request, so that nobody waits long for the batches of others.
pub const GROUP_EVENTS_MAX: usize = 500;
/// The longest a group of requests waits for others that usually come with it, in milliseconds.
pub const GATHER_MAX_MS: u64 = 4;
/// Requests per second one city is trusted with, unless the operator knows better.
pub const CAPACITY_PER_S: u32 = 200;
/// Share of the capacity that slots hand out; the rest absorbs what was not planned.
pub const SLOT_SHARE: f64 = 0.97;
/// No slot is sooner, in ms: where the queue overflowed by chance it is shorter by then, and nobody has two slots at once.
pub const SLOT_FIRST_MS: f64 = 1_000.0;
/// Who comes no later than this after its slot, in ms, comes at it: timers of a page in the background ring once a second.
pub const SLOT_LATE_MS: f64 = 2_000.0;
/// What it takes to turn a request away, as a part of taking one in, for the slots. In processor time a refusal cost 0.06 ms
/// on an open connection and 0.35 ms on a new one with TLS. Of the 5 ms that an event may take at [`CAPACITY_PER_S`] that is less
/// than a tenth, and so far slots that count it as nothing are as good (docs/storm.md), while counting too much makes storms longer.
pub const REFUSAL_COST: f64 = 0.0;
/// How much longer than devices / capacity the window is: too short costs far more than too long.
pub const WINDOW_MARGIN: f64 = 1.2;
/// A device counts for the window this long after it was last heard, in ms.
pub const SEEN_MS: u64 = 3_600_000;
/// How stale the stored time of a device's last visit may be, in ms.
pub const SEEN_STEP_MS: i64 = 60_000;
/// When to ask again about an event whose storage failed, in ms.
pub const FAULT_RETRY_MS: u64 = 2_000;
/// When to ask again while the same key is being worked on, in s.
pub const IN_FLIGHT_RETRY_S: u64 = 1;
/// When a context with a stale epoch may ask again, in s: long enough to notice that it no longer leads.
pub const STALE_EPOCH_RETRY_S: u64 = 5;
/// When to come back after the database failed as a whole, in s.
pub const STORAGE_RETRY_S: u64 = 5;

/// Events of each partition in one round of a turn, so that every partition has its share. A turn relays at most so many
/// times the partitions, and delivers as many to each service; requests wait meanwhile.
pub const TURN_EVENTS_MAX: usize = 64;
/// How long the bus rests at most before it looks for work, in ms: a person may decide from the command line.
pub const LOOK_AGAIN_MS: u64 = 1_000;
/// How much time lies between the beginnings of two turns at least, in ms: what comes in meanwhile shares the cost of looking
/// into every partition for every service.
pub const TURN_EVERY_MS: u64 = 5;
/// Events that may wait for the relay; with more the city says no to new ones and when to come back.
pub const OUTGOING_MAX: u64 = 20_000;
/// Dead letters in one answer.
pub const DEAD_LETTERS_PAGE: u32 = 500;
/// Signs of an order's number by which it may be looked up: fewer would fit too many, more are no number.
pub const ORDER_ENDING: core::ops::RangeInclusive<usize> = 4..=128;
/// Orders that are told for one ending, the latest first.
pub const ORDERS_FOUND_MAX: u32 = 20;
/// When many dead letters go again at once, one after so many ms.
pub const REDRIVE_EVERY_MS: u64 = 100;
/// Above this part of its limit a circuit sheds, in %: the grace period must end before the breaker's patience does.
pub const SHED_ABOVE: u64 = 90;
/// What a circuit carries at most after it has shed, in % of its limit.
pub const SHED_TO: u64 = 80;
/// What a circuit may carry with a stall that comes back, in % of its limit.
pub const RESTORE_TO: u64 = 75;
/// How long a stall stays off at least, in ms.
pub const OFF_MIN_MS: u64 = 300_000;
/// How long a circuit must be left alone before a stall comes back, in ms: the last one has to show its load first.
pub const SETTLE_MS: u64 = 60_000;
/// A load that was not reported for so long is not there, in ms.
pub const LOAD_FRESH_MS: u64 = 600_000;
/// How long a stall has to save its work after it was told, in s.
pub const GRACE_S: u64 = 20;
/// The least importance of a stall, and that of one the plan does not name: it is shed first.
pub const IMPORTANCE_MAX: u64 = 9;
/// A stall that draws more than this is a mistake in the report, in watts.
pub const WATTS_MAX: u64 = 100_000;

/// How long the acquirer may take to answer, in ms, unless told otherwise.
pub const ACQUIRER_TIMEOUT_MS: u64 = 10_000;
/// What was asked of the acquirer and did not come back in so long is asked for again, in ms: longer than its answer may
/// take.
pub const ASK_AGAIN_MS: u64 = 30_000;
const _: () = assert!(ASK_AGAIN_MS > ACQUIRER_TIMEOUT_MS);
/// Longest reference of the acquirer's, in characters.
pub const REFERENCE_CHARS_MAX: usize = 128;
/// How far the reader of the acquirer's list goes back each time, in places: a number may turn up late.
pub const LIST_OVERLAP: u64 = 50;
/// Questions to the acquirer that are on their way at once.
pub const CALLS_MAX: usize = 16;
/// Refunds of one second capture before a person must look.
pub const REFUNDS_MAX: u32 = 5;
/// What the acquirer has not answered for so long is told, in ms.
pub const OPERATION_LATE_MS: u64 = 600_000;
/// Money on the books that the acquirer's list does not show for so long is told, in ms.
pub const UNLISTED_MS: u64 = 3_600_000;
/// How often the acquirer's list is read, in ms, unless told otherwise.
pub const SETTLE_EVERY_MS: u64 = 60_000;
/// An authorization no till was told of is let go after so long, in ms: the till asks again within seconds or never.
pub const UNTOLD_HOLD_MS: u64 = 900_000;
/// An authorization is let go after so long, in ms: a day after the outbox would have given its event up.
pub const HOLD_MS: u64 = conch::limits::AGE_MAX_MS + 86_400_000;

/// How long the operator's webhook may take to answer, in ms.
pub const WEBHOOK_TIMEOUT_MS: u64 = 10_000;
/// Alerts that are on their way to the webhook at once.
pub const ERRANDS_MAX: usize = 16;
/// First ceiling of a handler's waits is twice this, in ms.
pub const RETRY_BASE_MS: u64 = 1_000;
/// Highest ceiling of a handler's waits, in ms.
pub const RETRY_CAP_MS: u64 = 300_000;
/// Tries after which a handler's failure is a dead letter: some ten minutes with the waits between them.
pub const TRIES_MAX: u32 = 10;
/// How long a lease lasts, in ms; it is renewed by every turn.
pub const LEASE_MS: u64 = 10_000;
/// How long deliveries and handled events are remembered, in ms: 45 days. What happened longer ago is refused, because
/// nobody could tell whether it came before.
pub const KEEP_MS: u64 = 45 * 86_400_000;
const _: () =
    assert!(KEEP_MS > 2 * conch::limits::AGE_MAX_MS, "a device may still send what it was told to keep");
/// A device clock before this was never set: 2025-01-01, before the first release.
pub use conch::limits::CLOCK_SET_MS;
/// How often the city forgets what is older than it remembers, in ms.
pub const FORGET_EVERY_MS: u64 = 3_600_000;
/// Rows of one table or partition that are forgotten at once, so that requests do not wait long behind it.
pub const FORGET_ROWS_MAX: usize = 200;
/// Longest reason of a decision about a dead letter, in characters.
pub const REASON_CHARS_MAX: usize = 200;

/// Events in one answer of the feed.
pub const FEED_EVENTS_MAX: usize = 100;
/// Longest wait of the feed, in s: under the half minute after which proxies cut idle answers.
pub const FEED_WAIT_S_MAX: u64 = 25;
/// A device clock further off than this is told in the log, in ms.
pub const CLOCK_SKEW_TOLD_MS: u64 = 60_000;

/// A device that scans a ticket again within this time holds the same person's ticket twice before its camera, in ms: twice
/// the scanner's own guard. Later it is another admission.
pub const RESCAN_MS: u64 = 10_000;
/// A gate may say for so long that somebody it let in did not go in after all, in ms: twice the minute its page offers.
pub const TURNED_AWAY_MS: u64 = 120_000;
/// Scans of one ticket by one device that are looked through for what was told of it before, the latest ones.
pub const BESIDE_MAX: usize = 20;
/// Tickets issued at once: they are written in one transaction, for which the city waits.
pub const TICKETS_ISSUE_MAX: u32 = 10_000;
/// Longest class of a ticket, in characters: it stands in the code.
pub const TICKET_CLASS_CHARS_MAX: usize = 10;
/// Longest code of a ticket, in signs: 92 bytes at five bits a sign. A QR code of version 6 at level M takes 154.
pub const TICKET_CODE_CHARS_MAX: usize = 148;
/// Tickets taken back, and tickets for certain gates, that a gate's list holds of each, the latest ones: about a megabyte.
pub const GATE_LIST_TICKETS_MAX: u32 = 20_000;
/// Duplicate scans named in one answer about a ticket.
pub const TICKET_DUPLICATES_MAX: u32 = 20;
/// Longest name of a gate, in characters, as in the events.
pub const GATE_CHARS_MAX: usize = 64;
/// Gates' devices that are told of one admission; those heard of last come first.
pub const DIGEST_DEVICES_MAX: usize = 64;
/// How long a digest stays on a feed, in ms. It helps while the ticket might be shown at another gate in the same hour; the
/// claim is what decides.
pub const DIGEST_LIFE_MS: u64 = 3_600_000;

/// Life of a one-time code unless told otherwise, in ms: an evening's set-up.
pub const CODE_LIFE_MS: u64 = 12 * 3_600_000;
/// Random bytes of a one-time code: 80 bits, sixteen characters to type.
pub const CODE_BYTES: usize = 10;
/// Random bytes of a token.
pub const TOKEN_BYTES: usize = 32;
/// Enrolments one address may try at once, and again each minute. Eighty bits need no more protection; the
/// database does.
pub const ENROL_TRIES_PER_MIN: u32 = 20;
/// Claims one device may make at once, and again each minute: thirty times what a volunteer scans, and enough for a server
/// that asks for a row of turnstiles. Scans have no such limit, for what happened happened.
pub const CLAIMS_PER_MIN: u32 = 600;
/// Public forms one address may send at once, and again each minute: behind one address of a mobile network stand many.
pub const FORMS_PER_MIN: u32 = 20;
/// Questions about a case one address may ask without a token at once, and again each minute.
pub const CASE_QUESTIONS_PER_MIN: u32 = 120;
/// Networks, or devices, whose tries are remembered.
pub const ADDRESSES_MAX: usize = 4_096;

/// Lives and gaps of a device that are shown at once.
pub const SHOWN_MAX: u32 = 100;
/// How long a request may be on its way, in ms: an older life or epoch that speaks so soon after the younger one is no
/// second device.
pub const CLONE_GRACE_MS: u64 = 60_000;
/// Lower epochs that are noted together, in ms.
pub const CLONE_WATCH_MS: u64 = 1_800_000;
/// So many lower epochs are no frozen tabs any more.
pub const CLONE_STALE_MAX: u32 = 3;
/// Agents of the directory: each request on a free topic looks through them.
pub const AGENTS_MAX: usize = 256;
/// Topic patterns of one agent.
pub const AGENT_TOPICS_MAX: usize = 16;
/// Longest lease of an agent, in s: a night.
pub const AGENT_LEASE_S_MAX: u64 = 86_400;
/// Lease of an agent that names none, in s.
pub const AGENT_LEASE_S: u64 = 300;

/// Longest kind of a civic report, and longest name of a unit, in characters.
pub const KIND_CHARS_MAX: usize = 40;
/// Longest place of a civic report, in characters.
pub const PLACE_CHARS_MAX: usize = 64;
/// Longest note of a civic report, in characters.
pub const NOTE_CHARS_MAX: usize = 500;
/// Longest way to reach whoever reported, in characters.
pub const CONTACT_CHARS_MAX: usize = 100;

/// Tickets on one sheet to print: some forty pages.
pub const TICKETS_SHEET_MAX: u32 = 1_000;
/// Largest file of a market, in bytes; it is answered whole and kept on phones.
pub const MARKET_BYTES_MAX: usize = 1024 * 1024;
/// Gates of a market.
pub const MARKET_GATES_MAX: usize = 100;
/// Stalls of a market.
pub const MARKET_STALLS_MAX: usize = 1_000;
/// Dishes of a stall: more than fit on a till's screen by far.
pub const MARKET_DISHES_MAX: usize = 200;
/// Longest name of a market, gate, stall or dish, in characters.
pub const MARKET_NAME_CHARS_MAX: usize = 60;
/// The highest price, in minor units: a million dollars.
pub const MARKET_PRICE_MAX: u64 = 100_000_000;

/// Open connections, each up to one body of memory.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections the system keeps until the city takes them; it may allow fewer (`net.core.somaxconn`).
pub const CONNECTIONS_WAITING_MAX: u32 = 4_096;
/// How long a client may take to send its headers, in ms.
pub const HEADER_TIMEOUT_MS: u64 = 10_000;
/// How long a client may take to send its body, in ms.
pub const BODY_TIMEOUT_MS: u64 = 15_000;
/// How much of a body is still read after its answer is decided, in bytes, so that the answer arrives.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// How long open requests may take to end at shutdown, in ms.
pub const SHUTDOWN_MS: u64 = 10_000;
/// Connections of readers to the database.
pub const READERS: usize = 4;
/// Memory of the writer for pages of its file, in KiB: what it touches again and again is not to be read again.
pub const CACHE_KIB: i64 = 64 * 1024;
/// Pages of 4 KiB that collect in the log file before they are copied into the database: about 16 MiB.
pub const CHECKPOINT_PAGES: i64 = 4_000;
/// Performatives of one agent: there are no more.
pub const PERFORMATIVES_MAX: usize = 5;
/// How long a connection waits for a lock of another process, in ms.
pub const BUSY_MS: u64 = 5_000;
/// Pause after the system refused a new connection, in ms, so that a shortage of files is not a busy loop.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Longest delay the bad weather can impose, in ms.
pub const WEATHER_DELAY_MS_MAX: u64 = 60_000;

/// How often the board is read at most, in ms, whoever asks and however much happens.
pub const BOARD_EVERY_MS: u64 = 400;
/// Longest wait of a board for news, in s: what only ages, such as the throughput, is to be seen too.
pub const BOARD_WAIT_S_MAX: u64 = 25;
/// Rows of each list on the board; what is left out is counted.
pub const BOARD_ROWS_MAX: u32 = 50;
/// Devices on the board: those with something wrong first, then those heard last.
pub const BOARD_DEVICES_MAX: u32 = 200;
/// Rows that are counted one by one; beyond it the board says "more than".
pub const BOARD_COUNT_MAX: u32 = 1_000;
/// A device that was silent for so long is news to the board when it is heard again, in ms.
pub const HEARD_NEWS_MS: u64 = 2_000;
/// Gaps of a device that are given up at once.
pub const WRITTEN_OFF_MAX: usize = 1_000;
/// How far back the throughput goes, in s.
pub const THROUGHPUT_S: u64 = 600;
/// Seconds of one step of its picture.
pub const THROUGHPUT_STEP_S: u64 = 10;
/// Topics that are counted by name.
pub const THROUGHPUT_TOPICS_MAX: usize = 24;

//! Every address of the city: a row for each path and method, and the shapes its requests and answers have.
//!
//! A new address is a row in [`ROUTES`], in the order of the router, and a row in [`SCHEMAS`] for each new shape. The tests
//! hold the rows against the router both ways, and real answers against the shapes.

use city_domain::limits;
use conch::limits::SAFE_INTEGER_MAX;
use conch::wire::headers;

/// An address and what it does.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What a generated client calls it.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) who: Who,
    pub(super) takes: &'static [Parameter],
    pub(super) body: &'static [(&'static str, Is)],
    pub(super) good: &'static [Good],
    /// Problems beside those that follow from `who`: status and codes. A status may come more than once.
    pub(super) bad: &'static [&'static [Bad]],
}

/// Whose token opens an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody's: it is open.
    Anybody,
    Device,
    /// A till, or ops.
    Vendor,
    /// A gate, or ops.
    Gate,
    Ops,
}

pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) is: Is,
    pub(super) says: &'static str,
    pub(super) needed: bool,
}

/// A good answer.
pub(super) struct Good {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) is: Is,
    pub(super) says: &'static str,
    /// Headers besides the city's own: name and what it says.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// A status and the codes of the problems that come with it.
pub(super) type Bad = (u16, &'static [&'static str]);

/// What a value is.
#[derive(Clone, Copy)]
pub(super) enum Is {
    /// Nothing at all: an answer without a body.
    Nothing,
    Anything,
    Text,
    /// A text of at most so many characters, not of spaces alone.
    Short(u64),
    /// A text of this form.
    Form(&'static str),
    Uuid,
    /// RFC 3339.
    Moment,
    Bool,
    /// A whole number, from and to.
    Whole(u64, u64),
    OneOf(&'static [&'static str]),
    /// A row of [`SCHEMAS`], `Problem`, `Event` or `Envelope`.
    Of(&'static str),
    List(&'static Is, u64),
    /// A list with something in it.
    Some(&'static Is, u64),
    OrNull(&'static Is),
}

/// A shape with a name.
pub(super) struct Schema {
    pub(super) name: &'static str,
    /// An unknown member is a mistake. Answers are never closed: members may come.
    pub(super) closed: bool,
    pub(super) always: &'static [(&'static str, Is)],
    pub(super) maybe: &'static [(&'static str, Is)],
}

pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html";
const METRICS: &str = "application/openmetrics-text";

/// Milliseconds since 1970.
pub(super) const TIME: Is = Is::Whole(0, SAFE_INTEGER_MAX);
pub(super) const COUNT: Is = Is::Whole(0, SAFE_INTEGER_MAX);
const AMOUNT: Is = Is::Whole(1, SAFE_INTEGER_MAX);
pub(super) const CURRENCY: Is = Is::Form("^[A-Z]{3}$");
pub(super) const KEY: Is = Is::Form("^[!#-\\[\\]-~]{1,128}$");
/// Without its quotes it is taken too.
const QUOTED_UUID: &str = "^(\"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\"|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$";
pub(super) const DEVICE: Is = Is::Form("^[a-z0-9-]{1,64}$");
const MARKET_NAME: Is = Is::Short(limits::MARKET_NAME_CHARS_MAX as u64);
pub(super) const ROLE: Is = Is::OneOf(&["gate", "vendor", "ops"]);
pub(super) const REFUND: Is = Is::OneOf(&["found", "commanded", "stuck", "refunded", "settled"]);
const PERFORMATIVE: Is = Is::OneOf(&["request", "agree", "refuse", "inform", "not-understood"]);
const LIMIT: Is = Is::Whole(0, u32::MAX as u64);

const fn path(name: &'static str, is: Is, says: &'static str) -> Parameter {
    Parameter { place: "path", name, is, says, needed: true }
}

const fn query(name: &'static str, is: Is, says: &'static str) -> Parameter {
    Parameter { place: "query", name, is, says, needed: false }
}

const fn header(name: &'static str, is: Is, says: &'static str) -> Parameter {
    Parameter { place: "header", name, is, says, needed: false }
}

const fn ok(is: Is, says: &'static str) -> Good {
    Good { status: 200, kind: JSON, is, says, headers: &[] }
}

const IDEMPOTENCY_KEY: Parameter = header(
    headers::IDEMPOTENCY_KEY,
    Is::Form(QUOTED_UUID),
    "One quoted UUID. For one event it equals the event's idempotencykey, or its id; a batch needs none.",
);
const HOLD_KEY: Parameter = Parameter {
    place: "header",
    name: headers::IDEMPOTENCY_KEY,
    is: Is::Form(QUOTED_UUID),
    says: "One quoted UUID: the same is the same hold for ever.",
    needed: true,
};
const SCAN_KEY: Parameter = Parameter {
    place: "header",
    name: headers::IDEMPOTENCY_KEY,
    is: Is::Form(QUOTED_UUID),
    says: "One quoted UUID: the id of the scan's event.",
    needed: true,
};
const TOPIC: Is = Is::Form("^([a-z0-9_]+\\.)+v[1-9][0-9]{0,5}$");
/// `*` stands for one word, `>` at the end for one or more.
const PATTERN: Is = Is::Form("^(([a-z0-9_]+|\\*)\\.)*([a-z0-9_]+|\\*|>)$");
const ETAG: (&str, &str) = ("etag", "Names this very answer.");
const REPLAYED: (&str, &str) =
    (headers::IDEMPOTENCY_REPLAYED, "true when the same was asked before: this is the answer it had then");

/// How a ticket is named where its id must not stand.
const DIGEST: Is = Is::Form("^[0-9a-f]{16}$");
const GATE_LIST: u64 = limits::GATE_LIST_TICKETS_MAX as u64;

const KEYED: &[Bad] = &[
    (400, &["idempotency-key-missing", "idempotency-key-malformed"]),
    (409, &["in-flight"]),
    (503, &["overloaded"]),
];
const SMALL_BODY: &[Bad] = &[(400, &["bad-request"]), (413, &["body-too-large"]), (415, &["media-type"])];
const STORAGE: &[Bad] = &[(503, &["storage"])];
const NOT_FOUND: &[Bad] = &[(404, &["not-found"])];
const BAD_QUERY: &[Bad] = &[(400, &["bad-request"])];

/// Open only while the city runs in development, and no part of the contract.
#[cfg(test)]
pub(super) const DEVELOPMENT: &[(&str, &str)] = &[
    ("get", "/v1/dev/weather"),
    ("put", "/v1/dev/weather/{device}"),
    ("get", "/v1/dev/acquirer"),
    ("put", "/v1/dev/acquirer"),
    ("post", "/v1/dev/loads"),
    ("post", "/v1/dev/enrol"),
    // Beside a certificate of the city's own making.
    ("get", "/v1/dev/certificate"),
];

/// All addresses.
pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/v1/events",
        name: "sendEvents",
        summary: "Takes in one event or a batch and answers with a verdict for each. Payloads that break their contract are refused by verdict, in a good answer.",
        who: Who::Device,
        takes: &[
            IDEMPOTENCY_KEY,
            header(headers::SENT_AT, Is::Text, "The device's clock, in ms since 1970."),
            header(headers::EPOCH, Is::Text, "The epoch of the context that leads."),
            header(headers::OWED, Is::Text, "The lowest owed and the highest sequence: 17-42."),
            header(headers::TRIES, Is::Text, "How often the first event was tried before."),
            header(headers::TOMBSTONES, Is::Text, "Sequences that will never come: 18,21."),
        ],
        body: &[
            (headers::EVENT, Is::Of("Event")),
            (headers::BATCH, Is::List(&Is::Of("Event"), limits::BATCH_EVENTS_MAX as u64)),
        ],
        good: &[
            ok(Is::Of("Verdicts"), "A batch: a verdict for each event."),
            Good {
                status: 202,
                kind: JSON,
                is: Is::Of("Verdicts"),
                says: "One event: its verdict.",
                headers: &[REPLAYED],
            },
        ],
        bad: &[
            KEYED,
            &[
                (400, &["not-json", "not-a-batch", "unreadable-event"]),
                (408, &["body-timeout"]),
                (409, &["stale-epoch"]),
                (413, &["body-too-large", "too-many-events"]),
                (415, &["media-type"]),
                (422, &["idempotency-key-mismatch", "payload-changed", "intent-conflict"]),
            ],
            STORAGE,
        ],
    },
    Route {
        method: "post",
        path: "/v1/authorizations",
        name: "authorize",
        summary: "Holds an amount for an order now, so that its capture can be commanded offline.",
        who: Who::Vendor,
        takes: &[HOLD_KEY],
        body: &[(JSON, Is::Of("Wish"))],
        good: &[Good {
            status: 201,
            kind: JSON,
            is: Is::Of("Authorization"),
            says: "The hold, or that it was declined.",
            headers: &[REPLAYED],
        }],
        bad: &[
            KEYED,
            SMALL_BODY,
            &[
                (403, &["role-forbids-topic"]),
                (409, &["already-paid", "payment-pending"]),
                (422, &["idempotency-key-reused"]),
                (501, &["no-acquirer"]),
                (503, &["authorization-unknown"]),
            ],
            STORAGE,
        ],
    },
    Route {
        method: "get",
        path: "/v1/edge",
        name: "edge",
        summary: "What the city offers: batches, the window after an outage, its clock.",
        who: Who::Device,
        takes: &[],
        body: &[],
        good: &[ok(Is::Of("Offer"), "The offer.")],
        bad: &[],
    },
    Route {
        method: "get",
        path: "/v1/feed",
        name: "feed",
        summary: "What the city has to say to this device, by long poll.",
        who: Who::Device,
        takes: &[
            query("after", Is::Text, "The cursor of the last answer; none from the beginning."),
            query("wait", COUNT, "How long to wait for something to say, in s; the city waits 25 at most."),
        ],
        body: &[],
        good: &[ok(Is::Of("Feed"), "Events in order, and where to go on.")],
        bad: &[&[(400, &["bad-query"]), (410, &["cursor-gone"])], STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/gate",
        name: "gateList",
        summary: "What a gate judges tickets by while it has no link: keys, policy, tickets taken back and tickets for certain gates.",
        who: Who::Gate,
        takes: &[header("if-none-match", Is::Text, "The tag of the list at hand.")],
        body: &[],
        good: &[
            Good { status: 200, kind: JSON, is: Is::Of("GateList"), says: "The list.", headers: &[ETAG] },
            Good {
                status: 304,
                kind: JSON,
                is: Is::Nothing,
                says: "The list at hand is still what the city says.",
                headers: &[ETAG],
            },
        ],
        bad: &[&[(403, &["gates-only"])], STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/orders/{key}",
        name: "order",
        summary: "How an order stands.",
        who: Who::Device,
        takes: &[path("key", KEY, "The order's id.")],
        body: &[],
        good: &[ok(Is::Of("Order"), "The order.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/orders",
        name: "orders",
        summary: "Orders by the end of their number, as a receipt has it, the latest first.",
        who: Who::Ops,
        takes: &[Parameter {
            needed: true,
            ..query(
                "ending",
                Is::Form("^[!-~]{4,128}$"),
                "The end of the number, four signs at least, in large or small letters.",
            )
        }],
        body: &[],
        good: &[ok(Is::Of("Orders"), "The orders.")],
        bad: &[BAD_QUERY, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/tickets/{key}",
        name: "ticket",
        summary: "How a ticket stands: issued or not, its admission, and who else was let in with it.",
        who: Who::Device,
        takes: &[path("key", KEY, "The ticket's id.")],
        body: &[],
        good: &[ok(Is::Of("Ticket"), "The ticket.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/tickets/{key}/claim",
        name: "claim",
        summary: "Asks whether a gate may let a ticket in, and takes it as used if so. The same key gets the same answer.",
        who: Who::Gate,
        takes: &[
            path("key", KEY, "The ticket's id."),
            SCAN_KEY,
            header(headers::SENT_AT, Is::Text, "The device's clock, in ms since 1970."),
        ],
        body: &[(JSON, Is::Of("Claim"))],
        good: &[Good {
            status: 200,
            kind: JSON,
            is: Is::Of("Claimed"),
            says: "Whether it may come in, and else why not.",
            headers: &[REPLAYED],
        }],
        bad: &[
            // Two askers of one key get one answer: nobody waits for the other.
            &[
                (400, &["idempotency-key-missing", "idempotency-key-malformed", "bad-key"]),
                (403, &["gates-only"]),
                (422, &["payload-changed"]),
                (429, &["too-many-claims"]),
                (503, &["overloaded"]),
            ],
            SMALL_BODY,
            STORAGE,
        ],
    },
    Route {
        method: "get",
        path: "/v1/directory",
        name: "agents",
        summary: "Who handles what is said on which topics.",
        who: Who::Device,
        takes: &[query("topic", TOPIC, "Only those who hear this topic.")],
        body: &[],
        good: &[ok(Is::Of("Agents"), "The city's own services, and devices whose leases hold.")],
        bad: &[BAD_QUERY, STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/directory",
        name: "register",
        summary: "Enters a device, or renews its lease. Ops may enter another one.",
        who: Who::Device,
        takes: &[],
        body: &[(JSON, Is::Of("Registration"))],
        good: &[ok(Is::Of("Lease"), "Until when it stands there.")],
        bad: &[
            SMALL_BODY,
            &[(403, &["role-forbids", "role-forbids-topic"]), (409, &["directory-full"])],
            STORAGE,
        ],
    },
    Route {
        method: "delete",
        path: "/v1/directory",
        name: "withdraw",
        summary: "Takes a device out. Ops may take out another one.",
        who: Who::Device,
        takes: &[query("agent", DEVICE, "Another device.")],
        body: &[],
        good: &[Good {
            status: 204,
            kind: JSON,
            is: Is::Nothing,
            says: "It is not there any more.",
            headers: &[],
        }],
        bad: &[BAD_QUERY, &[(403, &["role-forbids"])], STORAGE],
    },
    Route {
        method: "get",
        path: "/metrics",
        name: "metrics",
        summary: "What is counted, for Prometheus.",
        who: Who::Ops,
        takes: &[],
        body: &[],
        good: &[Good { status: 200, kind: METRICS, is: Is::Text, says: "OpenMetrics 1.0.", headers: &[] }],
        bad: &[STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/dead-letters",
        name: "deadLetters",
        summary: "Events that a service could not handle, the open ones unless all are wanted.",
        who: Who::Ops,
        takes: &[
            query("fingerprint", Is::Text, "Only those of this kind of failure."),
            query("all", Is::Bool, "Also those that were decided about."),
            query("limit", LIMIT, "At most so many."),
        ],
        body: &[],
        good: &[ok(Is::Of("DeadLetters"), "The dead letters.")],
        bad: &[BAD_QUERY, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/dead-letters/{number}",
        name: "deadLetter",
        summary: "One dead letter.",
        who: Who::Ops,
        takes: &[path("number", COUNT, "Its number.")],
        body: &[],
        good: &[ok(Is::Of("DeadLetter"), "The dead letter.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/dead-letters/{number}/redrive",
        name: "redrive",
        summary: "Sends a dead letter again, with a mended payload if one is given.",
        who: Who::Ops,
        takes: &[path("number", COUNT, "Its number.")],
        body: &[(JSON, Is::Of("Decision"))],
        good: &[ok(Is::Of("DeadLetter"), "The dead letter with the decision.")],
        bad: &[SMALL_BODY, NOT_FOUND, &[(409, &["decided"]), (410, &["gone"])], STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/dead-letters/{number}/discard",
        name: "discard",
        summary: "Gives a dead letter up.",
        who: Who::Ops,
        takes: &[path("number", COUNT, "Its number.")],
        body: &[(JSON, Is::Of("Decision"))],
        good: &[ok(Is::Of("DeadLetter"), "The dead letter with the decision.")],
        bad: &[SMALL_BODY, NOT_FOUND, &[(409, &["decided"]), (410, &["gone"])], STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/cases/{key}",
        name: "case",
        summary: "How a civic report is taken care of.",
        who: Who::Ops,
        takes: &[path("key", KEY, "The case's id.")],
        body: &[],
        good: &[ok(Is::Of("Case"), "The case.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/circuits/{key}",
        name: "circuit",
        summary: "What the stalls of a circuit draw, and who is shed.",
        who: Who::Ops,
        takes: &[path("key", KEY, "The circuit's id.")],
        body: &[],
        good: &[ok(Is::Of("Circuit"), "The circuit.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/sagas",
        name: "sagas",
        summary: "Refunds of money that moved twice, the open ones unless all are wanted.",
        who: Who::Ops,
        takes: &[
            query("all", Is::Bool, "Also those that are over."),
            query("limit", LIMIT, "At most so many."),
        ],
        body: &[],
        good: &[ok(Is::Of("Sagas"), "The refunds.")],
        bad: &[BAD_QUERY, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/sagas/{txn}",
        name: "saga",
        summary: "One refund with every step and everything the acquirer was asked.",
        who: Who::Ops,
        takes: &[path("txn", Is::Text, "The second capture's reference.")],
        body: &[],
        good: &[ok(Is::Of("Story"), "The refund.")],
        bad: &[NOT_FOUND, STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/sagas/{txn}/retry",
        name: "retryRefund",
        summary: "Has a refund that is stuck tried once more, under a new id.",
        who: Who::Ops,
        takes: &[path("txn", Is::Text, "The second capture's reference.")],
        body: &[(JSON, Is::Of("Reason"))],
        good: &[ok(Is::Of("Saga"), "The refund as it stands now.")],
        bad: &[SMALL_BODY, NOT_FOUND, &[(409, &["decided"])], STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/sagas/{txn}/settle",
        name: "settleRefund",
        summary: "Closes a refund because the money was given back another way.",
        who: Who::Ops,
        takes: &[path("txn", Is::Text, "The second capture's reference.")],
        body: &[(JSON, Is::Of("Reason"))],
        good: &[ok(Is::Of("Saga"), "The refund as it stands now.")],
        bad: &[SMALL_BODY, NOT_FOUND, &[(409, &["decided"])], STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/devices/{device}/write-off",
        name: "writeOff",
        summary: "Gives up the sequences that never came from a device, so that their alarm is cleared.",
        who: Who::Ops,
        takes: &[path("device", DEVICE, "The device.")],
        body: &[(JSON, Is::Of("Reason"))],
        good: &[ok(Is::Of("WrittenOff"), "How many sequences it was.")],
        bad: &[SMALL_BODY, NOT_FOUND, STORAGE],
    },
    Route {
        method: "get",
        path: "/v1/board",
        name: "board",
        summary: "How the whole market stands, by long poll. No payload is in it.",
        who: Who::Ops,
        takes: &[
            query(
                "after",
                Is::Text,
                "The stamp of an earlier answer: the next one comes when something happened.",
            ),
            query("wait", COUNT, "Seconds to wait for news; 25 at most, 0 when absent."),
        ],
        body: &[],
        good: &[ok(Is::Of("Board"), "The board, with the city's time.")],
        bad: &[BAD_QUERY, STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/civic",
        name: "report",
        summary: "The public form: anybody reports something. Reports of one kind and place are one case.",
        who: Who::Anybody,
        takes: &[header(
            headers::IDEMPOTENCY_KEY,
            Is::Form("^\"[ !#-~]{1,128}\"$"),
            "One quoted text of 1 to 128 characters, if any.",
        )],
        body: &[(JSON, Is::Of("Form"))],
        good: &[Good {
            status: 202,
            kind: JSON,
            is: Is::Of("Filed"),
            says: "The case it belongs to.",
            headers: &[REPLAYED],
        }],
        bad: &[
            SMALL_BODY,
            &[
                (400, &["idempotency-key-malformed", "bad-form"]),
                (422, &["payload-changed"]),
                (429, &["too-many-requests"]),
                (503, &["overloaded"]),
            ],
            STORAGE,
        ],
    },
    Route {
        method: "get",
        path: "/v1/civic/{case}",
        name: "reported",
        summary: "How a case stands, for anybody who knows its name.",
        who: Who::Anybody,
        takes: &[path("case", KEY, "The case's name.")],
        body: &[],
        good: &[ok(Is::Of("CaseState"), "Nothing of what was reported.")],
        bad: &[NOT_FOUND, &[(429, &["too-many-requests"])], STORAGE],
    },
    Route {
        method: "post",
        path: "/v1/enrol",
        name: "enrol",
        summary: "Gives a device its token for a one-time code.",
        who: Who::Anybody,
        takes: &[],
        body: &[(JSON, Is::Of("Code"))],
        good: &[Good {
            status: 201,
            kind: JSON,
            is: Is::Of("Enrolled"),
            says: "The token; it is shown once.",
            headers: &[],
        }],
        bad: &[
            SMALL_BODY,
            &[(400, &["bad-device"]), (403, &["code-refused"]), (429, &["too-many-tries"])],
            STORAGE,
        ],
    },
    Route {
        method: "get",
        path: "/v1/market",
        name: "market",
        summary: "The market: its gates, stalls and menus.",
        who: Who::Anybody,
        takes: &[header("if-none-match", Is::Text, "The etag of the market that is at hand.")],
        body: &[],
        good: &[
            Good { status: 200, kind: JSON, is: Is::Of("Market"), says: "The market.", headers: &[ETAG] },
            Good { status: 304, kind: "", is: Is::Nothing, says: "It is as known.", headers: &[ETAG] },
        ],
        bad: &[NOT_FOUND],
    },
    Route {
        method: "get",
        path: "/health",
        name: "health",
        summary: "Whether the city is well.",
        who: Who::Anybody,
        takes: &[],
        body: &[],
        good: &[ok(Is::Of("Health"), "It is.")],
        bad: &[STORAGE],
    },
    Route {
        method: "get",
        path: "/",
        name: "front",
        summary: "Leads to the pages.",
        who: Who::Anybody,
        takes: &[],
        body: &[],
        good: &[Good {
            status: 303,
            kind: "",
            is: Is::Nothing,
            says: "To /pages.",
            headers: &[("location", "/pages")],
        }],
        bad: &[],
    },
    Route {
        method: "get",
        path: "/pages",
        name: "pages",
        summary: "Links to the pages the city serves.",
        who: Who::Anybody,
        takes: &[],
        body: &[],
        good: &[Good { status: 200, kind: HTML, is: Is::Text, says: "A page of links.", headers: &[] }],
        bad: &[],
    },
];

/// All shapes but those of events and problems.
pub(super) const SCHEMAS: &[Schema] = &[
    Schema {
        name: "Verdict",
        closed: false,
        always: &[
            ("id", Is::Uuid),
            ("verdict", Is::OneOf(&["accepted", "duplicate", "retry", "hold", "refused"])),
        ],
        maybe: &[("problem", Is::Of("Problem")), ("retryAfterMs", COUNT)],
    },
    Schema { name: "Pace", closed: false, always: &[("windowMs", COUNT)], maybe: &[] },
    Schema {
        name: "Verdicts",
        closed: false,
        always: &[
            ("verdicts", Is::List(&Is::Of("Verdict"), limits::BATCH_EVENTS_MAX as u64)),
            ("pace", Is::Of("Pace")),
        ],
        maybe: &[],
    },
    Schema {
        name: "Wish",
        closed: true,
        always: &[("order", KEY), ("amount", AMOUNT), ("currency", CURRENCY)],
        maybe: &[],
    },
    Schema {
        name: "Authorization",
        closed: false,
        always: &[
            ("authRef", Is::Text),
            ("state", Is::OneOf(&["authorized", "declined", "cancelled"])),
            ("order", KEY),
            ("amount", AMOUNT),
            ("currency", CURRENCY),
            ("reason", Is::OrNull(&Is::Text)),
            ("expiresAt", TIME),
        ],
        maybe: &[],
    },
    Schema { name: "Batch", closed: false, always: &[("maxEvents", COUNT), ("maxBytes", COUNT)], maybe: &[] },
    Schema {
        name: "Offer",
        closed: false,
        always: &[("city", Is::Uuid), ("batch", Is::Of("Batch")), ("pace", Is::Of("Pace")), ("now", TIME)],
        maybe: &[],
    },
    Schema {
        name: "Feed",
        closed: false,
        always: &[
            ("events", Is::List(&Is::Of("Envelope"), limits::FEED_EVENTS_MAX as u64)),
            ("cursor", Is::Text),
        ],
        maybe: &[],
    },
    Schema {
        name: "GateList",
        closed: false,
        always: &[
            ("listedAt", TIME),
            ("policy", Is::OneOf(&["any", "known"])),
            ("keys", Is::List(&Is::Of("TicketKey"), 255)),
            ("revoked", Is::List(&DIGEST, GATE_LIST)),
            ("bound", Is::List(&Is::Of("BoundTicket"), GATE_LIST)),
            ("complete", Is::Bool),
        ],
        maybe: &[],
    },
    Schema {
        name: "TicketKey",
        closed: false,
        always: &[("number", Is::Whole(1, 255)), ("public", Is::Form("^[0-9a-f]{64}$"))],
        maybe: &[],
    },
    Schema {
        name: "BoundTicket",
        closed: false,
        always: &[("digest", DIGEST), ("gates", Is::List(&Is::Text, SAFE_INTEGER_MAX))],
        maybe: &[],
    },
    Schema {
        name: "Orders",
        closed: false,
        always: &[("orders", Is::List(&Is::Of("Order"), limits::ORDERS_FOUND_MAX as u64))],
        maybe: &[],
    },
    Schema {
        name: "Order",
        closed: false,
        always: &[
            ("key", KEY),
            ("state", Is::OneOf(&["captured", "open", "failed", "pending"])),
            ("eventId", Is::Uuid),
            ("intent", Is::Uuid),
            ("device", DEVICE),
            ("amount", Is::OrNull(&AMOUNT)),
            ("currency", Is::OrNull(&CURRENCY)),
            ("method", Is::OrNull(&Is::Text)),
            ("at", TIME),
        ],
        maybe: &[
            ("txnId", Is::Text),
            ("reason", Is::Text),
            ("refunds", Is::List(&Is::Of("Saga"), limits::DEAD_LETTERS_PAGE as u64)),
        ],
    },
    Schema {
        name: "Ticket",
        closed: false,
        always: &[
            ("key", KEY),
            ("state", Is::OneOf(&["issued", "admitted", "refused", "revoked"])),
            ("digest", Is::Text),
            ("scans", COUNT),
            ("duplicates", Is::List(&Is::Of("Scan"), SAFE_INTEGER_MAX)),
        ],
        maybe: &[
            ("eventId", Is::Uuid),
            ("device", DEVICE),
            ("gateId", Is::Text),
            ("at", TIME),
            ("flaw", Is::Text),
            ("issued", Is::Of("Issued")),
        ],
    },
    Schema {
        name: "Scan",
        closed: false,
        always: &[("eventId", Is::Uuid), ("device", DEVICE), ("gateId", Is::Text), ("at", TIME)],
        maybe: &[("flaw", Is::Text)],
    },
    Schema {
        name: "Issued",
        closed: false,
        always: &[
            ("class", Is::Text),
            ("validFrom", Is::OrNull(&TIME)),
            ("validUntil", Is::OrNull(&TIME)),
            ("gates", Is::List(&Is::Text, SAFE_INTEGER_MAX)),
            ("issuedAt", TIME),
            ("revokedAt", Is::OrNull(&TIME)),
            ("revokedReason", Is::OrNull(&Is::Text)),
        ],
        maybe: &[],
    },
    Schema {
        name: "Claim",
        closed: true,
        always: &[("gateId", Is::Short(limits::GATE_CHARS_MAX as u64))],
        maybe: &[("scannedAt", Is::OrNull(&TIME))],
    },
    Schema {
        name: "Claimed",
        closed: false,
        always: &[
            ("key", KEY),
            ("decision", Is::OneOf(&["admit", "refuse"])),
            ("gateId", Is::Text),
            ("at", TIME),
        ],
        maybe: &[("reason", Is::Text), ("firstGateId", Is::Text), ("firstAt", TIME)],
    },
    Schema {
        name: "Agents",
        closed: false,
        always: &[("agents", Is::List(&Is::Of("Agent"), SAFE_INTEGER_MAX))],
        maybe: &[],
    },
    Schema {
        name: "Agent",
        closed: false,
        always: &[
            ("agent", Is::Text),
            ("service", Is::Bool),
            ("topics", Is::List(&Is::Text, SAFE_INTEGER_MAX)),
            ("performatives", Is::List(&PERFORMATIVE, SAFE_INTEGER_MAX)),
        ],
        maybe: &[("until", TIME)],
    },
    Schema {
        name: "Registration",
        closed: true,
        always: &[
            ("topics", Is::Some(&PATTERN, limits::AGENT_TOPICS_MAX as u64)),
            ("performatives", Is::Some(&PERFORMATIVE, 5)),
        ],
        maybe: &[
            ("leaseS", Is::OrNull(&Is::Whole(1, limits::AGENT_LEASE_S_MAX))),
            ("agent", Is::OrNull(&DEVICE)),
        ],
    },
    Schema { name: "Lease", closed: false, always: &[("agent", DEVICE), ("until", TIME)], maybe: &[] },
    Schema {
        name: "Circuit",
        closed: false,
        always: &[
            ("circuit", KEY),
            ("limitWatts", Is::OrNull(&COUNT)),
            ("drawnWatts", COUNT),
            ("stalls", Is::List(&Is::Of("Stall"), SAFE_INTEGER_MAX)),
        ],
        maybe: &[],
    },
    Schema {
        name: "Stall",
        closed: false,
        always: &[
            ("stall", DEVICE),
            ("drawnWatts", COUNT),
            ("wantedWatts", COUNT),
            ("at", TIME),
            ("importance", Is::OrNull(&COUNT)),
            ("shed", Is::Bool),
            ("shedAt", Is::OrNull(&TIME)),
        ],
        maybe: &[],
    },
    Schema {
        name: "Form",
        closed: true,
        always: &[("kind", Is::Short(40)), ("place", Is::Short(64))],
        maybe: &[("note", Is::OrNull(&Is::Short(500))), ("contact", Is::OrNull(&Is::Short(200)))],
    },
    Schema {
        name: "Filed",
        closed: false,
        always: &[("case", KEY), ("unit", Is::Text), ("known", Is::Bool)],
        maybe: &[],
    },
    Schema {
        name: "CaseState",
        closed: false,
        always: &[("case", KEY), ("state", Is::OneOf(&["received", "routed", "acknowledged", "resolved"]))],
        maybe: &[("unit", Is::Text)],
    },
    Schema {
        name: "DeadLetters",
        closed: false,
        always: &[("deadLetters", Is::List(&Is::Of("DeadLetter"), limits::DEAD_LETTERS_PAGE as u64))],
        maybe: &[],
    },
    Schema {
        name: "DeadLetter",
        closed: false,
        always: &[
            ("number", COUNT),
            ("consumer", Is::Text),
            ("at", TIME),
            ("code", Is::Text),
            ("detail", Is::Text),
            ("tries", COUNT),
            ("fingerprint", Is::Text),
            ("blocksKey", Is::Bool),
            ("partition", COUNT),
            ("offset", COUNT),
            ("event", Is::OrNull(&Is::Of("Envelope"))),
            ("decision", Is::OrNull(&Is::Of("Decided"))),
        ],
        maybe: &[],
    },
    Schema {
        name: "Decided",
        closed: false,
        always: &[("redriven", Is::Bool), ("at", TIME), ("by", Is::Text), ("reason", Is::Text)],
        maybe: &[],
    },
    Schema {
        name: "Decision",
        closed: true,
        always: &[("reason", Is::Short(limits::REASON_CHARS_MAX as u64))],
        maybe: &[("payload", Is::Anything)],
    },
    Schema {
        name: "WrittenOff",
        closed: false,
        always: &[("device", DEVICE), ("writtenOff", COUNT)],
        maybe: &[],
    },
    Schema {
        name: "Reason",
        closed: true,
        always: &[("reason", Is::Short(limits::REASON_CHARS_MAX as u64))],
        maybe: &[],
    },
    Schema {
        name: "Case",
        closed: false,
        always: &[
            ("key", KEY),
            ("kind", Is::Text),
            ("place", Is::Text),
            ("unit", Is::Text),
            ("state", Is::OneOf(&["routed", "acknowledged", "resolved"])),
            ("reports", COUNT),
            ("due", TIME),
            ("reportedAt", TIME),
            ("changedAt", TIME),
        ],
        maybe: &[],
    },
    Schema {
        name: "Sagas",
        closed: false,
        always: &[("sagas", Is::List(&Is::Of("Saga"), limits::DEAD_LETTERS_PAGE as u64))],
        maybe: &[],
    },
    Schema { name: "Saga", closed: false, always: SAGA, maybe: &[] },
    Schema {
        name: "Story",
        closed: false,
        always: SAGA,
        maybe: &[
            ("steps", Is::List(&Is::Of("Step"), SAFE_INTEGER_MAX)),
            ("asked", Is::List(&Is::Of("Asked"), SAFE_INTEGER_MAX)),
        ],
    },
    Schema {
        name: "Step",
        closed: false,
        always: &[("state", REFUND), ("attempt", COUNT), ("detail", Is::Text), ("at", TIME)],
        maybe: &[],
    },
    Schema {
        name: "Asked",
        closed: false,
        always: &[
            ("id", Is::Text),
            ("stand", Is::OneOf(&["wanted", "asked", "done", "refused"])),
            ("tries", COUNT),
            ("due", Is::OrNull(&TIME)),
            ("reference", Is::OrNull(&Is::Text)),
            ("reason", Is::OrNull(&Is::Text)),
        ],
        maybe: &[],
    },
    Schema { name: "Code", closed: false, always: &[("code", Is::Text), ("device", DEVICE)], maybe: &[] },
    Schema {
        name: "Enrolled",
        closed: false,
        always: &[("device", DEVICE), ("role", ROLE), ("token", Is::Text)],
        maybe: &[],
    },
    Schema {
        name: "Name",
        closed: false,
        always: &[("zh-Hant", MARKET_NAME), ("en", MARKET_NAME)],
        maybe: &[],
    },
    Schema { name: "Gate", closed: false, always: &[("id", KEY), ("name", Is::Of("Name"))], maybe: &[] },
    Schema {
        name: "Dish",
        closed: false,
        always: &[("id", KEY), ("name", Is::Of("Name")), ("price", Is::Whole(1, limits::MARKET_PRICE_MAX))],
        maybe: &[],
    },
    Schema {
        name: "MarketStall",
        closed: false,
        always: &[
            ("id", DEVICE),
            ("name", Is::Of("Name")),
            ("menu", Is::List(&Is::Of("Dish"), limits::MARKET_DISHES_MAX as u64)),
        ],
        maybe: &[("circuit", KEY)],
    },
    Schema {
        name: "Market",
        closed: false,
        always: &[
            ("name", Is::Of("Name")),
            ("gates", Is::List(&Is::Of("Gate"), limits::MARKET_GATES_MAX as u64)),
            ("stalls", Is::List(&Is::Of("MarketStall"), limits::MARKET_STALLS_MAX as u64)),
        ],
        maybe: &[],
    },
    Schema {
        name: "Health",
        closed: false,
        always: &[
            ("status", Is::OneOf(&["ok"])),
            ("city", Is::Uuid),
            ("version", Is::Text),
            ("queued", COUNT),
            ("listening", COUNT),
            ("gaps", COUNT),
        ],
        maybe: &[],
    },
];

const SAGA: &[(&str, Is)] = &[
    ("dupTxnId", Is::Text),
    ("origTxnId", Is::Text),
    ("order", KEY),
    ("state", REFUND),
    ("amount", AMOUNT),
    ("currency", CURRENCY),
    ("reason", Is::Text),
    ("attempt", COUNT),
    ("reference", Is::Text),
    ("at", TIME),
];

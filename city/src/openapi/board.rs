//! The shapes of the board.

use super::table::{COUNT, CURRENCY, DEVICE, Is, KEY, REFUND, ROLE, Schema, TIME};
use city_domain::limits;

const ROWS: u64 = limits::BOARD_ROWS_MAX as u64;

const fn shape(name: &'static str, always: &'static [(&'static str, Is)]) -> Schema {
    Schema { name, closed: false, always, maybe: &[] }
}

pub(super) const SCHEMAS: &[Schema] = &[
    shape(
        "Board",
        &[
            ("now", TIME),
            ("stamp", Is::Text),
            ("city", Is::Uuid),
            ("since", TIME),
            ("development", Is::Bool),
            ("accepted", COUNT),
            ("repeated", COUNT),
            ("refused", COUNT),
            ("missing", COUNT),
            ("owed", COUNT),
            ("throughput", Is::Of("BoardThroughput")),
            ("bus", Is::Of("BoardBus")),
            ("devices", Is::Of("BoardDevices")),
            ("deadLetters", Is::Of("BoardDeadLetters")),
            ("sagas", Is::List(&Is::Of("BoardStage"), ROWS)),
            ("sagaMoves", Is::List(&Is::List(&REFUND, 2), ROWS)),
            ("doubleAdmissions", Is::Of("BoardDoubles")),
            ("circuits", Is::List(&Is::Of("BoardCircuit"), u32::MAX as u64)),
            ("units", Is::List(&Is::Of("BoardUnit"), ROWS)),
            ("cases", Is::Of("BoardCases")),
            ("alerts", Is::List(&Is::Of("BoardAlert"), ROWS)),
        ],
    ),
    shape(
        "BoardThroughput",
        &[("at", TIME), ("stepSeconds", COUNT), ("topics", Is::List(&Is::Of("BoardTopic"), u32::MAX as u64))],
    ),
    shape(
        "BoardTopic",
        &[("topic", Is::Text), ("lastMinute", COUNT), ("steps", Is::List(&COUNT, limits::THROUGHPUT_S))],
    ),
    shape(
        "BoardBus",
        &[
            ("outgoing", COUNT),
            ("waiting", Is::List(&Is::Of("BoardWaiting"), u32::MAX as u64)),
            ("queued", COUNT),
        ],
    ),
    shape("BoardWaiting", &[("consumer", Is::Text), ("events", COUNT)]),
    shape(
        "BoardDevices",
        &[("list", Is::List(&Is::Of("BoardDevice"), limits::BOARD_DEVICES_MAX as u64)), ("total", COUNT)],
    ),
    shape(
        "BoardDevice",
        &[
            ("device", DEVICE),
            ("role", ROLE),
            ("heardAt", TIME),
            ("owed", Is::OrNull(&COUNT)),
            ("saidAt", Is::OrNull(&TIME)),
            ("lastSequence", Is::OrNull(&COUNT)),
            ("missing", COUNT),
            ("gaps", Is::List(&Is::Of("BoardGap"), ROWS)),
            ("clone", Is::OrNull(&Is::Text)),
        ],
    ),
    shape("BoardGap", &[("first", COUNT), ("last", COUNT), ("foundAt", TIME)]),
    shape("BoardDeadLetters", &[("list", Is::List(&Is::Of("BoardDeadLetter"), ROWS)), ("total", COUNT)]),
    shape(
        "BoardDeadLetter",
        &[
            ("number", COUNT),
            ("consumer", Is::Text),
            ("topic", Is::Text),
            ("type", Is::Text),
            ("key", KEY),
            ("code", Is::Text),
            ("tries", COUNT),
            ("blocksKey", Is::Bool),
            ("at", TIME),
        ],
    ),
    shape(
        "BoardStage",
        &[("state", REFUND), ("total", COUNT), ("list", Is::List(&Is::Of("BoardSaga"), ROWS))],
    ),
    shape(
        "BoardSaga",
        &[
            ("dupTxnId", Is::Text),
            ("order", KEY),
            ("amount", COUNT),
            ("currency", CURRENCY),
            ("attempt", COUNT),
            ("at", TIME),
        ],
    ),
    shape("BoardDoubles", &[("list", Is::List(&Is::Of("BoardDouble"), ROWS)), ("total", COUNT)]),
    shape(
        "BoardDouble",
        &[
            ("digest", Is::Text),
            ("firstGateId", Is::Text),
            ("firstDevice", DEVICE),
            ("firstAt", TIME),
            ("gateId", Is::Text),
            ("device", DEVICE),
            ("at", TIME),
        ],
    ),
    shape(
        "BoardCircuit",
        &[
            ("circuit", KEY),
            ("limitWatts", COUNT),
            ("shedAboveWatts", COUNT),
            ("carriedWatts", COUNT),
            ("total", COUNT),
            ("stalls", Is::List(&Is::Of("BoardStall"), ROWS)),
        ],
    ),
    shape(
        "BoardStall",
        &[
            ("stall", DEVICE),
            ("drawnWatts", COUNT),
            ("at", TIME),
            ("importance", COUNT),
            ("shedAt", Is::OrNull(&TIME)),
        ],
    ),
    shape("BoardUnit", &[("unit", Is::Text), ("routed", COUNT), ("acknowledged", COUNT), ("overdue", COUNT)]),
    shape("BoardCases", &[("list", Is::List(&Is::Of("BoardCase"), ROWS)), ("total", COUNT)]),
    shape(
        "BoardCase",
        &[
            ("key", KEY),
            ("unit", Is::Text),
            ("state", Is::OneOf(&["routed", "acknowledged"])),
            ("reports", COUNT),
            ("due", Is::OrNull(&TIME)),
            ("escalated", Is::Bool),
        ],
    ),
    shape(
        "BoardAlert",
        &[
            ("id", Is::Text),
            ("kind", Is::OneOf(&["raised", "cleared"])),
            ("key", KEY),
            ("at", TIME),
            ("data", Is::Anything),
        ],
    ),
];

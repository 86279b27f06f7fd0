//! What the board shows of the file. Every list is bounded and every question goes by an index, so that it costs the same
//! with a million orders. No payload leaves here: of an alert only the members named in [`ALERT_MEMBERS`], of a ticket its
//! digest, of a case neither kind nor place, for people wrote them.

use super::{int, moment, strange, whole};
use crate::metrics::Levels;
use city_domain::{RefundState, digest, limits};
use conch::event::{Device, Key, UnixMillis};
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde_json::{Map, Value};

/// A list with what was left out of it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T> {
    pub(crate) list: Vec<T>,
    /// How many there are; no more than [`limits::BOARD_COUNT_MAX`] are counted where rows must be looked at one by one.
    pub(crate) total: u64,
}

/// All of it, at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sight {
    /// Events accepted, ever.
    pub(crate) accepted: u64,
    /// Sequences devices no longer owe and that never came.
    pub(crate) missing: u64,
    /// What all devices owed when each last said so, less what came since.
    pub(crate) owed: u64,
    pub(crate) devices: Listed<Machine>,
    pub(crate) dead_letters: Listed<Letter>,
    pub(crate) sagas: Vec<Stage>,
    pub(crate) double_admissions: Listed<Double>,
    pub(crate) units: Vec<Unit>,
    pub(crate) cases: Listed<OpenCase>,
    pub(crate) alerts: Vec<Alert>,
    #[serde(skip)]
    pub(crate) levels: Levels,
}

/// One device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) device: String,
    pub(crate) role: String,
    /// When it was last heard: a minute coarse here, made exact by whoever knows better.
    pub(crate) heard_at: u64,
    /// What it owed when it last said so, less what came since; nothing when it never said.
    pub(crate) owed: Option<u64>,
    /// When it said so.
    pub(crate) said_at: Option<u64>,
    /// The highest sequence that came from the life that spoke last.
    pub(crate) last_sequence: Option<u64>,
    pub(crate) missing: u64,
    /// The latest gaps, at most three.
    pub(crate) gaps: Vec<Hole>,
    /// Why another device is believed to bear its name.
    pub(crate) clone: Option<String>,
}

/// Sequences that never came.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hole {
    first: u64,
    last: u64,
    found_at: u64,
}

/// A dead letter that waits for a person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Letter {
    number: u64,
    consumer: String,
    topic: String,
    #[serde(rename = "type")]
    kind: String,
    key: String,
    code: String,
    tries: u64,
    blocks_key: bool,
    at: u64,
}

/// A state of refunds.
#[derive(Debug, Serialize)]
pub(crate) struct Stage {
    state: &'static str,
    total: u64,
    /// The latest of them.
    list: Vec<Saga>,
}

/// One refund.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Saga {
    dup_txn_id: String,
    order: String,
    amount: u64,
    currency: String,
    attempt: u64,
    at: u64,
}

/// Two were let in with one ticket, which its digest names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Double {
    digest: String,
    first_gate_id: String,
    first_device: String,
    first_at: u64,
    gate_id: String,
    device: String,
    at: u64,
}

/// The open cases of a unit.
#[derive(Debug, Serialize)]
pub(crate) struct Unit {
    unit: String,
    routed: u64,
    acknowledged: u64,
    overdue: u64,
}

/// A case that is not over.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OpenCase {
    key: String,
    unit: String,
    state: String,
    reports: u64,
    due: Option<u64>,
    escalated: bool,
}

/// What was raised or cleared.
#[derive(Debug, Serialize)]
pub(crate) struct Alert {
    id: String,
    kind: String,
    key: String,
    at: u64,
    data: Map<String, Value>,
}

/// What a board shows of an alert: words and numbers of our own.
const ALERT_MEMBERS: [&str; 21] = [
    "alert",
    "device",
    "code",
    "unit",
    "consumer",
    "topic",
    "type",
    "tries",
    "open",
    "deadLetter",
    "gateId",
    "at",
    "firstGateId",
    "firstAt",
    "dupTxnId",
    "amount",
    "currency",
    "first",
    "last",
    "due",
    "reports",
];

/// Looks at everything.
pub(crate) fn sight(connection: &Connection) -> rusqlite::Result<Sight> {
    // One moment for all of it.
    let connection = connection.unchecked_transaction()?;
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| whole(row, 0));
    Ok(Sight {
        accepted: count("SELECT coalesce(max(position), 0) FROM events")?,
        missing: super::missing(&connection)?,
        owed: count(&all_owed())?,
        devices: Listed { list: devices(&connection)?, total: count("SELECT count(*) FROM devices")? },
        dead_letters: Listed {
            list: letters(&connection)?,
            total: count("SELECT count(*) FROM dead_letters WHERE closed_at IS NULL")?,
        },
        sagas: stages(&connection)?,
        double_admissions: Listed {
            list: doubles(&connection)?,
            total: count(&format!(
                "SELECT count(*) FROM (SELECT 1 {DOUBLED} LIMIT {})",
                limits::BOARD_COUNT_MAX
            ))?,
        },
        units: units(&connection)?,
        cases: Listed {
            list: cases(&connection)?,
            total: count("SELECT count(*) FROM cases WHERE state <> 'resolved'")?,
        },
        alerts: alerts(&connection)?,
        levels: super::levels(&connection)?,
    })
}

/// The life of a device's database that spoke last.
const LAST_LIFE: &str = "l.device = d.device AND l.name =
    (SELECT name FROM lives WHERE device = d.device ORDER BY spoke_at DESC, name LIMIT 1)";
/// What a life owed when it last said so, less what came since; null when it never said.
const OWED: &str = "CASE WHEN l.owed_lowest IS NULL THEN NULL ELSE max(0, l.owed_highest - l.owed_lowest + 1
    - (SELECT count(*) FROM arrivals AS a WHERE a.device = l.device AND a.name = l.name
       AND a.sequence BETWEEN l.owed_lowest AND l.owed_highest)) END";

fn all_owed() -> String {
    format!(
        "SELECT coalesce(sum(owed), 0) FROM (SELECT {OWED} AS owed FROM devices AS d JOIN lives AS l ON {LAST_LIFE})"
    )
}

/// Those with something wrong first, then those heard last.
fn of_devices() -> String {
    format!(
        "WITH troubled AS (SELECT device FROM gaps UNION SELECT device FROM clones),
         shown AS (
           SELECT * FROM (SELECT d.device, 0 AS place FROM troubled JOIN devices AS d USING (device) LIMIT ?1)
           UNION ALL SELECT * FROM (SELECT device, 1 FROM devices WHERE device NOT IN (SELECT device FROM troubled)
             AND EXISTS (SELECT 1 FROM tokens AS t WHERE t.device = devices.device) ORDER BY seen_at DESC LIMIT ?1)
           LIMIT ?1)
         SELECT d.device, d.role, d.seen_at, {OWED}, CASE WHEN l.owed_lowest IS NULL THEN NULL ELSE l.spoke_at END,
           (SELECT max(sequence) FROM events
             WHERE source = 'conch://device/' || d.device || '/' || l.name AND sequence IS NOT NULL),
           (SELECT total(g.last - g.first + 1) FROM gaps AS g WHERE g.device = d.device), c.why
         FROM shown AS s JOIN devices AS d USING (device) LEFT JOIN clones AS c ON c.device = d.device
         LEFT JOIN lives AS l ON {LAST_LIFE}
         ORDER BY s.place, d.seen_at DESC, d.device"
    )
}

fn devices(connection: &Connection) -> rusqlite::Result<Vec<Machine>> {
    let mut statement = connection.prepare_cached(&of_devices())?;
    let rows = statement.query_map([limits::BOARD_DEVICES_MAX], |row| {
        let missing: f64 = row.get(6)?;
        Ok(Machine {
            device: row.get(0)?,
            role: row.get(1)?,
            heard_at: whole(row, 2)?,
            owed: perhaps(row, 3)?,
            said_at: perhaps(row, 4)?,
            last_sequence: perhaps(row, 5)?,
            missing: missing.max(0.0) as u64,
            gaps: Vec::new(),
            clone: row.get(7)?,
        })
    })?;
    let mut devices: Vec<Machine> = rows.collect::<rusqlite::Result<_>>()?;
    for own in devices.iter_mut().filter(|own| own.missing > 0) {
        let name = Device::parse(&own.device).map_err(|_| strange(0, "not a device name"))?;
        let gaps = super::gaps(connection, &name)?;
        let hole = |(_, gap, at): &(String, city_domain::Gap, UnixMillis)| Hole {
            first: gap.first,
            last: gap.last,
            found_at: at.0,
        };
        own.gaps = gaps.iter().take(3).map(hole).collect();
    }
    Ok(devices)
}

fn perhaps(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<u64>> {
    Ok(moment(row, index)?.map(|number| number.0))
}

/// The oldest first.
const OF_LETTERS: &str =
    "SELECT number, consumer, topic, type, key, code, tries, blocks, at FROM dead_letters
         WHERE closed_at IS NULL ORDER BY number LIMIT ?1";

fn letters(connection: &Connection) -> rusqlite::Result<Vec<Letter>> {
    let mut statement = connection.prepare_cached(OF_LETTERS)?;
    let rows = statement.query_map([limits::BOARD_ROWS_MAX], |row| {
        Ok(Letter {
            number: whole(row, 0)?,
            consumer: row.get(1)?,
            topic: row.get(2)?,
            kind: row.get(3)?,
            key: row.get(4)?,
            code: row.get(5)?,
            tries: whole(row, 6)?,
            blocks_key: row.get(7)?,
            at: whole(row, 8)?,
        })
    })?;
    rows.collect()
}

fn stages(connection: &Connection) -> rusqlite::Result<Vec<Stage>> {
    let mut count = connection.prepare_cached("SELECT count(*) FROM duplicates WHERE state = ?1")?;
    let mut latest = connection.prepare_cached(
        "SELECT txn_id, order_key, amount, currency, attempt, at FROM duplicates WHERE state = ?1 ORDER BY at DESC LIMIT ?2",
    )?;
    let mut stage = |state: &'static str| {
        let rows = latest.query_map(params![state, limits::BOARD_ROWS_MAX], |row| {
            Ok(Saga {
                dup_txn_id: row.get(0)?,
                order: row.get(1)?,
                amount: whole(row, 2)?,
                currency: row.get(3)?,
                attempt: whole(row, 4)?,
                at: whole(row, 5)?,
            })
        })?;
        let list = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Stage { state, total: count.query_row([state], |row| whole(row, 0))?, list })
    };
    RefundState::ALL.iter().map(|state| stage(state.as_str())).collect()
}

/// Scans that are no admission although they let somebody in, and not the same person held twice before one camera.
const DOUBLED: &str = "FROM scans AS s JOIN admissions AS a ON a.ticket = s.ticket
    WHERE s.result = 'duplicate' AND ((s.device <> a.device) OR (s.inside = 1 AND abs(s.at - a.at) > 10000))";
const _: () = assert!(limits::RESCAN_MS == 10_000, "the question above holds the same number");

fn of_doubles() -> String {
    format!(
        "SELECT s.ticket, a.gate, a.device, a.at, s.gate, s.device, s.at {DOUBLED} ORDER BY s.at DESC LIMIT ?1"
    )
}

fn doubles(connection: &Connection) -> rusqlite::Result<Vec<Double>> {
    let mut statement = connection.prepare_cached(&of_doubles())?;
    let rows = statement.query_map([limits::BOARD_ROWS_MAX], |row| {
        let ticket = Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?;
        Ok(Double {
            digest: digest(&ticket),
            first_gate_id: row.get(1)?,
            first_device: row.get(2)?,
            first_at: whole(row, 3)?,
            gate_id: row.get(4)?,
            device: row.get(5)?,
            at: whole(row, 6)?,
        })
    })?;
    rows.collect()
}

/// By name.
const OF_UNITS: &str =
    "SELECT unit, sum(state = 'routed'), sum(state = 'acknowledged'), sum(escalated) FROM cases
         WHERE state <> 'resolved' GROUP BY unit ORDER BY unit LIMIT ?1";

fn units(connection: &Connection) -> rusqlite::Result<Vec<Unit>> {
    let mut statement = connection.prepare_cached(OF_UNITS)?;
    let rows = statement.query_map([limits::BOARD_ROWS_MAX], |row| {
        Ok(Unit {
            unit: row.get(0)?,
            routed: whole(row, 1)?,
            acknowledged: whole(row, 2)?,
            overdue: whole(row, 3)?,
        })
    })?;
    rows.collect()
}

/// Those whose time is up, then those whose time comes first.
const OF_CASES: &str = "SELECT key, unit, state, reports, CASE state WHEN 'routed' THEN due ELSE resolve_by END AS by_then, escalated
         FROM cases WHERE state <> 'resolved' ORDER BY escalated DESC, by_then IS NULL, by_then, key LIMIT ?1";

fn cases(connection: &Connection) -> rusqlite::Result<Vec<OpenCase>> {
    let mut statement = connection.prepare_cached(OF_CASES)?;
    let rows = statement.query_map([limits::BOARD_ROWS_MAX], |row| {
        Ok(OpenCase {
            key: row.get(0)?,
            unit: row.get(1)?,
            state: row.get(2)?,
            reports: whole(row, 3)?,
            due: perhaps(row, 4)?,
            escalated: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// The latest first.
const OF_ALERTS: &str = "SELECT type, key, at, body FROM log WHERE topic = 'ops.alerts.v1' ORDER BY at DESC, offset DESC LIMIT ?1";

fn alerts(connection: &Connection) -> rusqlite::Result<Vec<Alert>> {
    let mut statement = connection.prepare_cached(OF_ALERTS)?;
    let rows = statement.query_map([int(u64::from(limits::BOARD_ROWS_MAX))], |row| {
        let body: Value = serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default();
        let member = |name: &str| Some((name.to_owned(), body.get("data")?.get(name)?.clone()));
        Ok(Alert {
            id: body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind: row.get(0)?,
            key: row.get(1)?,
            at: whole(row, 2)?,
            data: ALERT_MEMBERS.iter().filter_map(|name| member(name)).collect(),
        })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists and sums over what is small by its nature may be walked through; what grows with the evening is not.
    #[test]
    fn every_question_of_the_board_goes_by_an_index() {
        let data = std::env::temp_dir().join(format!("city-board-{}", std::process::id()));
        let connection = crate::store::open(&data).unwrap();
        let doubled = format!("SELECT count(*) FROM (SELECT 1 {DOUBLED} LIMIT 9)");
        let questions =
            [&*of_devices(), &all_owed(), &of_doubles(), &doubled, OF_LETTERS, OF_UNITS, OF_CASES, OF_ALERTS];
        let mut plan = Vec::new();
        for question in questions {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
            let given = rusqlite::params_from_iter((0..statement.parameter_count()).map(|_| 9));
            let steps = statement.query_map(given, |row| row.get::<_, String>(3)).unwrap();
            plan.extend(steps.map(Result::unwrap));
        }
        let small = ["gaps", "clones", "troubled", "(subquery", "lives", "devices", "d ", "l ", "s", "shown"];
        for step in plan.iter().filter_map(|step| step.strip_prefix("SCAN ")) {
            let bounded = ["log_alerts", "scans_doubled", "cases_open", "dead_letters_waiting"];
            let is_bounded = bounded.iter().any(|index| step.ends_with(index));
            let is_small = small.iter().any(|name| step == *name || (*name != "s" && step.starts_with(name)));
            assert!(is_bounded || is_small, "SCAN {step}: {plan:#?}");
        }
        let events: Vec<_> = plan.iter().filter(|step| step.contains("events")).collect();
        assert!(
            events.iter().all(|step| step.contains("events_by_place")) && !events.is_empty(),
            "{events:?}"
        );
        std::fs::remove_dir_all(data).unwrap();
    }
}

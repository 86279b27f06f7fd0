//! The domain's transaction over SQLite.

use super::{device, int, moment, strange, whole};
use city_domain::bus::{Message, Pattern};
use city_domain::clones::{Life, Why};
use city_domain::directory::{Agent, Performative};
use city_domain::{
    Admission, Capture, Case, CaseState, Claimed, Fault, FeedEvent, Flaw, FormRow, Gap, InboxRow,
    Incarnation, IntentRow, Kept, Load, Order, OrderState, Owed, Policy, Scan, ScanResult, Scope, Ticket, Tx,
    limits,
};
use conch::event::json::Json;
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use conch::wire::{Problem, Verdict, VerdictWord};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// Writes into whatever transaction its connection is in.
pub(crate) struct SqlTx<'a>(pub(crate) &'a Connection);

pub(super) fn fault(error: rusqlite::Error) -> Fault {
    Fault(error.to_string())
}

impl SqlTx<'_> {
    pub(super) fn write(&self, sql: &str, values: impl Params) -> Result<(), Fault> {
        self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(fault)?;
        Ok(())
    }

    /// A write that changes no row, or many, is a wrong decision.
    fn change_one(&self, sql: &str, values: impl Params) -> Result<(), Fault> {
        let changed =
            self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(fault)?;
        if changed == 1 { Ok(()) } else { Err(Fault(format!("{changed} rows changed instead of one"))) }
    }

    pub(super) fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        statement.query_row(values, read).optional().map_err(fault)
    }

    pub(super) fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        let rows = statement.query_map(values, read).map_err(fault)?;
        rows.collect::<rusqlite::Result<_>>().map_err(fault)
    }
}

fn scope_text(scope: &Scope) -> &str {
    match scope {
        Scope::Market => "",
        Scope::Device(device) => device.as_str(),
    }
}

fn verdict_word(row: &Row<'_>, index: usize) -> rusqlite::Result<VerdictWord> {
    match row.get_ref(index)?.as_str()? {
        "accepted" => Ok(VerdictWord::Accepted),
        "duplicate" => Ok(VerdictWord::Duplicate),
        "refused" => Ok(VerdictWord::Refused),
        _ => Err(strange(index, "not a verdict")),
    }
}

fn problem(text: Option<String>) -> Option<Problem> {
    Problem::read(&Json::parse(&text?).ok()?)
}

/// Reads an order from a row of its columns in the order of the table.
pub(super) fn read_order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        key: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        state: OrderState::parse(row.get_ref(1)?.as_str()?)
            .ok_or_else(|| strange(1, "not an order state"))?,
        event: EventId::from_bytes(row.get(2)?),
        intent: IntentKey::from_bytes(row.get(3)?),
        device: device(row, 4)?,
        amount: row.get::<_, Option<i64>>(5)?.and_then(|amount| u64::try_from(amount).ok()),
        currency: row.get(6)?,
        method: row.get(7)?,
        txn_id: row.get(8)?,
        reason: row.get(9)?,
        at: UnixMillis(whole(row, 10)?),
    })
}

macro_rules! orders {
    ($which:literal) => {
        concat!(
            "SELECT key, state, event, intent, device, amount, currency, method, txn_id, reason, at FROM orders ",
            $which
        )
    };
}
pub(super) const ORDER: &str = orders!("WHERE key = ?1");
/// Looks at every order, which no index could spare it: a person asks it, now and then.
pub(super) const ORDERS_ENDING: &str =
    orders!("WHERE substr(key, -length(?1)) = ?1 COLLATE NOCASE ORDER BY at DESC, key LIMIT ?2");

/// Reads an admission from a row of its columns in the order of the table.
pub(super) fn read_admission(row: &Row<'_>) -> rusqlite::Result<Admission> {
    Ok(Admission {
        ticket: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        event: EventId::from_bytes(row.get(1)?),
        device: device(row, 2)?,
        gate: row.get(3)?,
        at: UnixMillis(whole(row, 4)?),
    })
}

pub(super) const ADMISSION: &str = "SELECT ticket, event, device, gate, at FROM admissions WHERE ticket = ?1";

/// Reads a scan from a row of these columns.
pub(super) fn read_scan(row: &Row<'_>) -> rusqlite::Result<Scan> {
    let flaw = row.get_ref(6)?.as_str_or_null()?;
    let inside = row.get::<_, i64>(7)? == 1;
    Ok(Scan {
        ticket: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        event: EventId::from_bytes(row.get(1)?),
        device: device(row, 2)?,
        gate: row.get(3)?,
        result: ScanResult::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| strange(4, "not a result"))?,
        at: UnixMillis(whole(row, 5)?),
        flaw: flaw.map(|word| Flaw::parse(word).ok_or_else(|| strange(6, "not a flaw"))).transpose()?,
        inside,
    })
}

pub(super) const SCANS: &str = "SELECT ticket, event, device, gate, result, at, flaw, inside FROM scans";

/// Reads an issued ticket from a row of these columns.
pub(super) fn read_ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    let gates = Json::parse(row.get_ref(4)?.as_str()?).map_err(|_| strange(4, "not a list of gates"))?;
    let gates = gates.as_array().unwrap_or_default().iter().filter_map(Json::as_text);
    let revoked = moment(row, 6)?;
    Ok(Ticket {
        key: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        class: row.get(1)?,
        valid_from: moment(row, 2)?,
        valid_until: moment(row, 3)?,
        gates: gates.map(str::to_owned).collect(),
        issued_at: UnixMillis(whole(row, 5)?),
        revoked: match revoked {
            Some(at) => Some((at, row.get(7)?)),
            None => None,
        },
    })
}

pub(super) const TICKETS: &str =
    "SELECT ticket, class, valid_from, valid_until, gates, issued_at, revoked_at, reason FROM tickets";

fn read_claim(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let first = match moment(row, 7)? {
        Some(at) => Some((row.get(6)?, at)),
        None => None,
    };
    Ok(Claimed {
        device: device(row, 0)?,
        event: EventId::from_bytes(row.get(1)?),
        ticket: Key::parse(&row.get::<_, String>(2)?).map_err(|_| strange(2, "not a key"))?,
        gate: row.get(3)?,
        at: UnixMillis(whole(row, 4)?),
        refused: row.get(5)?,
        first,
        received: UnixMillis(whole(row, 8)?),
    })
}

/// Reads a case from a row of its columns in the order of the table.
pub(super) fn read_case(row: &Row<'_>) -> rusqlite::Result<Case> {
    Ok(Case {
        key: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        kind: row.get(1)?,
        place: row.get(2)?,
        unit: row.get(3)?,
        state: CaseState::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| strange(4, "not a case's state"))?,
        reports: whole(row, 5)?,
        due: UnixMillis(whole(row, 6)?),
        escalated: row.get::<_, i64>(7)? == 1,
        reported_at: UnixMillis(whole(row, 8)?),
        changed_at: UnixMillis(whole(row, 9)?),
        resolve_by: moment(row, 10)?,
    })
}

pub(super) const CASE: &str = "SELECT key, kind, place, unit, state, reports, due, escalated, reported_at, changed_at, resolve_by FROM cases WHERE key = ?1";

pub(super) const LOAD: &str = "SELECT circuit, stall, watts, drawn, at, shed_at, changed_at FROM loads";

pub(super) fn read_load(row: &Row<'_>) -> rusqlite::Result<Load> {
    Ok(Load {
        circuit: Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?,
        stall: device(row, 1)?,
        watts: whole(row, 2)?,
        drawn: whole(row, 3)?,
        at: UnixMillis(whole(row, 4)?),
        shed_at: moment(row, 5)?,
        changed_at: moment(row, 6)?,
    })
}

pub(super) const AGENTS: &str = "SELECT device, topics, performatives, until FROM agents ORDER BY device";

pub(super) fn read_agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let (topics, acts): (String, String) = (row.get(1)?, row.get(2)?);
    Ok(Agent {
        device: device(row, 0)?,
        topics: topics.split(' ').filter_map(Pattern::parse).collect(),
        performatives: acts.split(' ').filter_map(Performative::parse).collect(),
        until: UnixMillis(whole(row, 3)?),
    })
}

pub(super) const LIFE: &str =
    "SELECT name, first_at, spoke_at, epoch, epoch_at, stale_at, stale, owed_lowest, owed_highest FROM lives";

pub(super) fn read_life(row: &Row<'_>) -> rusqlite::Result<Life> {
    let owed = |index| {
        row.get::<_, Option<i64>>(index).map(|found| found.and_then(|number| u64::try_from(number).ok()))
    };
    Ok(Life {
        name: row.get(0)?,
        first_at: UnixMillis(whole(row, 1)?),
        spoke_at: UnixMillis(whole(row, 2)?),
        epoch: whole(row, 3)?,
        epoch_at: UnixMillis(whole(row, 4)?),
        stale_at: moment(row, 5)?,
        stale: u32::try_from(whole(row, 6)?).unwrap_or(u32::MAX),
        owed: owed(7)?.zip(owed(8)?).map(|(lowest, highest)| Owed { lowest, highest }),
    })
}

fn key(row: &Row<'_>, index: usize) -> rusqlite::Result<Key> {
    Key::parse(&row.get::<_, String>(index)?).map_err(|_| strange(index, "not a key"))
}

impl Tx for SqlTx<'_> {
    fn inbox(&mut self, source: &str, id: EventId) -> Result<Option<InboxRow>, Fault> {
        self.find(
            "SELECT verdict, problem, digest, window_ms, received FROM inbox WHERE source = ?1 AND id = ?2",
            params![source, id.to_bytes()],
            |row| {
                let verdict = Verdict {
                    id,
                    word: verdict_word(row, 0)?,
                    problem: problem(row.get(1)?),
                    retry_after_ms: None,
                };
                Ok(InboxRow {
                    source: source.to_owned(),
                    verdict,
                    digest: row.get(2)?,
                    window_ms: whole(row, 3)?,
                    received: UnixMillis(whole(row, 4)?),
                })
            },
        )
    }

    fn put_inbox(&mut self, row: &InboxRow, device: &Device) -> Result<(), Fault> {
        self.write(
            "INSERT INTO inbox (source, id, device, verdict, problem, digest, window_ms, received) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                row.source,
                row.verdict.id.to_bytes(),
                device.as_str(),
                row.verdict.word.as_str(),
                row.verdict.problem.as_ref().map(Problem::to_json),
                row.digest,
                int(row.window_ms),
                int(row.received.0),
            ],
        )
    }

    fn put_event(&mut self, event: &Kept) -> Result<(), Fault> {
        self.write(
            "INSERT INTO events (source, id, device, topic, type, key, intent, sequence, device_time, corrected, received, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                event.source,
                event.id.to_bytes(),
                event.device.as_str(),
                event.topic.as_str(),
                event.kind.as_str(),
                event.key.as_str(),
                event.intent.to_bytes(),
                event.sequence.map(|sequence| int(sequence.0)),
                event.device_time.map(|time| int(time.0)),
                int(event.corrected.0),
                int(event.received.0),
                event.body,
            ],
        )
    }

    fn happened(&mut self, source: &str, id: EventId) -> Result<Option<UnixMillis>, Fault> {
        self.find(
            "SELECT corrected FROM events WHERE source = ?1 AND id = ?2",
            params![source, id.to_bytes()],
            |row| Ok(UnixMillis(whole(row, 0)?)),
        )
    }

    fn put_refusal(&mut self, device: &Device, id: EventId, code: &str, at: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT OR IGNORE INTO refusals (device, id, code, at) VALUES (?1, ?2, ?3, ?4)",
            params![device.as_str(), id.to_bytes(), code, int(at.0)],
        )
    }

    fn intent(&mut self, scope: &Scope, intent: IntentKey) -> Result<Option<IntentRow>, Fault> {
        self.find(
            "SELECT fingerprint, source, id FROM intents WHERE scope = ?1 AND intent = ?2",
            params![scope_text(scope), intent.to_bytes()],
            |row| {
                Ok(IntentRow {
                    fingerprint: row.get(0)?,
                    source: row.get(1)?,
                    id: EventId::from_bytes(row.get(2)?),
                })
            },
        )
    }

    fn put_intent(&mut self, scope: &Scope, intent: IntentKey, row: &IntentRow) -> Result<(), Fault> {
        self.write(
            "INSERT INTO intents (scope, intent, fingerprint, source, id) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![scope_text(scope), intent.to_bytes(), row.fingerprint, row.source, row.id.to_bytes()],
        )
    }

    fn order(&mut self, key: &Key) -> Result<Option<Order>, Fault> {
        self.find(ORDER, [key.as_str()], read_order)
    }

    fn put_order(&mut self, order: &Order) -> Result<(), Fault> {
        // Two statements, for an upsert has SQLite open a table of its own for every row. The condition makes an effect
        // unchangeable; a write that changes no row is a wrong decision.
        let insert = "INSERT INTO orders (key, state, event, intent, device, amount, currency, method, txn_id, reason, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (key) DO NOTHING";
        let update = "UPDATE orders SET state = ?2, event = ?3, intent = ?4, device = ?5, amount = ?6,
            currency = ?7, method = ?8, txn_id = ?9, reason = ?10, at = ?11 WHERE key = ?1 AND state <> 'captured'";
        let values = params![
            order.key.as_str(),
            order.state.as_str(),
            order.event.to_bytes(),
            order.intent.to_bytes(),
            order.device.as_str(),
            order.amount.map(int),
            order.currency,
            order.method,
            order.txn_id,
            order.reason,
            int(order.at.0),
        ];
        let run = |sql| self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        let changed = match run(insert).map_err(fault)? {
            0 => run(update).map_err(fault)?,
            written => written,
        };
        if changed == 1 { Ok(()) } else { Err(Fault("orders: an effect cannot be overwritten".to_owned())) }
    }

    fn put_capture(&mut self, capture: &Capture) -> Result<(), Fault> {
        self.write(
            "INSERT INTO captures (order_key, txn_id, event, amount, currency, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                capture.order.as_str(),
                capture.txn_id,
                capture.event.to_bytes(),
                int(capture.amount),
                capture.currency,
                int(capture.at.0),
            ],
        )
    }

    fn admission(&mut self, ticket: &Key) -> Result<Option<Admission>, Fault> {
        self.find(ADMISSION, [ticket.as_str()], read_admission)
    }

    fn put_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        self.write(
            "INSERT INTO admissions (ticket, event, device, gate, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                admission.ticket.as_str(),
                admission.event.to_bytes(),
                admission.device.as_str(),
                admission.gate,
                int(admission.at.0),
            ],
        )
    }

    fn move_admission(&mut self, admission: &Admission) -> Result<(), Fault> {
        self.change_one(
            "UPDATE admissions SET event = ?2, device = ?3, gate = ?4, at = ?5 WHERE ticket = ?1",
            params![
                admission.ticket.as_str(),
                admission.event.to_bytes(),
                admission.device.as_str(),
                admission.gate,
                int(admission.at.0),
            ],
        )
    }

    fn drop_admission(&mut self, ticket: &Key) -> Result<(), Fault> {
        self.write("DELETE FROM admissions WHERE ticket = ?1", [ticket.as_str()])
    }

    fn put_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.write(
            "INSERT INTO scans (ticket, position, event, device, gate, result, at, flaw, inside)
             VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM scans WHERE ticket = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                scan.ticket.as_str(),
                scan.event.to_bytes(),
                scan.device.as_str(),
                scan.gate,
                scan.result.as_str(),
                int(scan.at.0),
                scan.flaw.map(Flaw::as_str),
                scan.inside,
            ],
        )
    }

    fn scan(&mut self, device: &Device, event: EventId) -> Result<Option<Scan>, Fault> {
        let sql = format!("{SCANS} WHERE device = ?1 AND event = ?2");
        self.find(&sql, params![device.as_str(), event.to_bytes()], read_scan)
    }

    fn change_scan(&mut self, scan: &Scan) -> Result<(), Fault> {
        self.change_one(
            "UPDATE scans SET ticket = ?3, gate = ?4, result = ?5, at = ?6, flaw = ?7, inside = ?8, position = CASE ticket WHEN ?3
               THEN position ELSE (SELECT coalesce(max(position), 0) + 1 FROM scans WHERE ticket = ?3) END
             WHERE device = ?1 AND event = ?2",
            params![
                scan.device.as_str(),
                scan.event.to_bytes(),
                scan.ticket.as_str(),
                scan.gate,
                scan.result.as_str(),
                int(scan.at.0),
                scan.flaw.map(Flaw::as_str),
                scan.inside,
            ],
        )
    }

    fn first_scan(&mut self, ticket: &Key) -> Result<Option<Scan>, Fault> {
        let sql =
            format!("{SCANS} WHERE ticket = ?1 AND result <> 'refused' ORDER BY at, event, device LIMIT 1");
        self.find(&sql, [ticket.as_str()], read_scan)
    }

    fn beside(&mut self, scan: &Scan, limit: usize) -> Result<Vec<Scan>, Fault> {
        let sql = format!(
            "{SCANS} WHERE ticket = ?1 AND device = ?2 AND event <> ?3 AND result <> 'refused' ORDER BY at DESC, event DESC LIMIT ?4"
        );
        let values =
            params![scan.ticket.as_str(), scan.device.as_str(), scan.event.to_bytes(), int(limit as u64)];
        self.list(&sql, values, read_scan)
    }

    fn ticket(&mut self, key: &Key) -> Result<Option<Ticket>, Fault> {
        self.find(&format!("{TICKETS} WHERE ticket = ?1"), [key.as_str()], read_ticket)
    }

    fn ticket_policy(&mut self) -> Result<Policy, Fault> {
        let known = self.find("SELECT known FROM ticket_policy", [], |row| row.get::<_, i64>(0))?;
        Ok(if known == Some(1) { Policy::Known } else { Policy::Any })
    }

    fn claim(&mut self, device: &Device, event: EventId) -> Result<Option<Claimed>, Fault> {
        self.find(
            "SELECT device, event, ticket, gate, at, refused, first_gate, first_at, received FROM claims WHERE device = ?1 AND event = ?2",
            params![device.as_str(), event.to_bytes()],
            read_claim,
        )
    }

    fn put_claim(&mut self, claimed: &Claimed) -> Result<(), Fault> {
        self.write(
            "INSERT INTO claims (device, event, ticket, gate, at, refused, first_gate, first_at, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                claimed.device.as_str(),
                claimed.event.to_bytes(),
                claimed.ticket.as_str(),
                claimed.gate,
                int(claimed.at.0),
                claimed.refused,
                claimed.first.as_ref().map(|(gate, _)| gate),
                claimed.first.as_ref().map(|(_, at)| int(at.0)),
                int(claimed.received.0),
            ],
        )
    }

    fn put_digest(&mut self, ticket: &Key, until: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO digests (ticket, until) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM digests WHERE ticket = ?1)",
            params![ticket.as_str(), int(until.0)],
        )
    }

    fn take_digest(&mut self) -> Result<Option<(Key, UnixMillis)>, Fault> {
        self.find(
            "DELETE FROM digests WHERE place = (SELECT min(place) FROM digests) RETURNING ticket, until",
            [],
            |row| {
                let ticket = Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))?;
                Ok((ticket, UnixMillis(whole(row, 1)?)))
            },
        )
    }

    fn gates_since(&mut self, since: UnixMillis, limit: usize) -> Result<Vec<Device>, Fault> {
        self.list(
            "SELECT device FROM devices WHERE role = 'gate' AND seen_at >= ?1 ORDER BY seen_at DESC, device LIMIT ?2",
            params![int(since.0), int(limit as u64)],
            |row| device(row, 0),
        )
    }

    fn case(&mut self, key: &Key) -> Result<Option<Case>, Fault> {
        self.find(CASE, [key.as_str()], read_case)
    }

    fn put_case(&mut self, case: &Case) -> Result<(), Fault> {
        self.write(
            "INSERT INTO cases (key, kind, place, unit, state, reports, due, escalated, reported_at, changed_at, resolve_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (key) DO UPDATE SET kind = ?2, place = ?3, unit = ?4, state = ?5, reports = ?6, due = ?7,
             escalated = ?8, reported_at = ?9, changed_at = ?10, resolve_by = ?11",
            params![
                case.key.as_str(),
                case.kind,
                case.place,
                case.unit,
                case.state.as_str(),
                int(case.reports),
                int(case.due.0),
                case.escalated,
                int(case.reported_at.0),
                int(case.changed_at.0),
                case.resolve_by.map(|at| int(at.0))
            ],
        )
    }

    fn next_case(&mut self) -> Result<Option<Case>, Fault> {
        // One question for each index.
        let routed = self.find(
            "SELECT key, kind, place, unit, state, reports, due, escalated, reported_at, changed_at, resolve_by FROM cases
             WHERE state = 'routed' AND escalated = 0 ORDER BY due, key LIMIT 1",
            [],
            read_case,
        )?;
        let cared = self.find(
            "SELECT key, kind, place, unit, state, reports, due, escalated, reported_at, changed_at, resolve_by FROM cases
             WHERE state = 'acknowledged' AND escalated = 0 AND resolve_by IS NOT NULL ORDER BY resolve_by, key LIMIT 1",
            [],
            read_case,
        )?;
        Ok([routed, cared].into_iter().flatten().min_by_key(Case::deadline))
    }

    fn spot(&mut self, kind: &str, spot: &str) -> Result<Option<Key>, Fault> {
        self.find("SELECT case_key FROM spots WHERE kind = ?1 AND spot = ?2", [kind, spot], |row| key(row, 0))
    }

    fn put_spot(&mut self, kind: &str, spot: &str, case: &Key) -> Result<(), Fault> {
        self.write(
            "INSERT INTO spots (kind, spot, case_key) VALUES (?1, ?2, ?3)
             ON CONFLICT (kind, spot) DO UPDATE SET case_key = ?3",
            [kind, spot, case.as_str()],
        )
    }

    fn form(&mut self, asker: &[u8; 32]) -> Result<Option<FormRow>, Fault> {
        self.find("SELECT digest, case_key, unit, known, at FROM forms WHERE asker = ?1", [asker], |row| {
            Ok(FormRow {
                digest: row.get(0)?,
                case: key(row, 1)?,
                unit: row.get(2)?,
                known: row.get::<_, i64>(3)? == 1,
                at: UnixMillis(whole(row, 4)?),
            })
        })
    }

    fn put_form(&mut self, asker: &[u8; 32], row: &FormRow) -> Result<(), Fault> {
        self.write(
            "INSERT INTO forms (asker, digest, case_key, unit, known, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![asker, row.digest, row.case.as_str(), row.unit, row.known, int(row.at.0)],
        )
    }

    fn put_contact(&mut self, case: &Key, contact: &str, at: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT OR IGNORE INTO contacts (case_key, contact, at) VALUES (?1, ?2, ?3)",
            params![case.as_str(), contact, int(at.0)],
        )
    }

    fn drop_contacts(&mut self, case: &Key) -> Result<(), Fault> {
        self.write("DELETE FROM contacts WHERE case_key = ?1", [case.as_str()])
    }

    fn agents(&mut self) -> Result<Vec<Agent>, Fault> {
        self.list(AGENTS, [], read_agent)
    }

    fn put_agent(&mut self, agent: &Agent) -> Result<(), Fault> {
        let topics: Vec<&str> = agent.topics.iter().map(Pattern::as_str).collect();
        let acts: Vec<&str> = agent.performatives.iter().map(|act| act.as_str()).collect();
        self.write(
            "INSERT INTO agents (device, topics, performatives, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device) DO UPDATE SET topics = ?2, performatives = ?3, until = ?4",
            params![agent.device.as_str(), topics.join(" "), acts.join(" "), int(agent.until.0)],
        )
    }

    fn drop_agent(&mut self, device: &Device) -> Result<(), Fault> {
        self.write("DELETE FROM agents WHERE device = ?1", [device.as_str()])
    }

    fn load(&mut self, circuit: &Key, stall: &Device) -> Result<Option<Load>, Fault> {
        let sql = format!("{LOAD} WHERE circuit = ?1 AND stall = ?2");
        self.find(&sql, params![circuit.as_str(), stall.as_str()], read_load)
    }

    fn loads(&mut self, circuit: &Key) -> Result<Vec<Load>, Fault> {
        self.list(&format!("{LOAD} WHERE circuit = ?1 ORDER BY stall"), [circuit.as_str()], read_load)
    }

    fn put_load(&mut self, load: &Load) -> Result<(), Fault> {
        let time = |at: Option<UnixMillis>| at.map(|at| int(at.0));
        self.write(
            "INSERT INTO loads (circuit, stall, watts, drawn, at, shed_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (circuit, stall) DO UPDATE SET watts = ?3, drawn = ?4, at = ?5, shed_at = ?6, changed_at = ?7",
            params![
                load.circuit.as_str(),
                load.stall.as_str(),
                int(load.watts),
                int(load.drawn),
                int(load.at.0),
                time(load.shed_at),
                time(load.changed_at)
            ],
        )
    }

    fn shedding(&mut self) -> Result<Vec<Key>, Fault> {
        self.list("SELECT DISTINCT circuit FROM loads WHERE shed_at IS NOT NULL", [], |row| {
            Key::parse(&row.get::<_, String>(0)?).map_err(|_| strange(0, "not a key"))
        })
    }

    fn put_outgoing(&mut self, message: &Message) -> Result<(), Fault> {
        self.write(
            "INSERT INTO outgoing (partition, source, id, topic, type, key, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                message.partition(),
                message.source,
                message.id.to_bytes(),
                message.topic.as_str(),
                message.kind.as_str(),
                message.key.as_str(),
                message.body
            ],
        )
    }

    fn feed_head(&mut self, device: &Device) -> Result<u64, Fault> {
        let head = self.find(
            "SELECT coalesce(max(sequence), 0) FROM feed WHERE device = ?1",
            [device.as_str()],
            |row| whole(row, 0),
        )?;
        Ok(head.unwrap_or(0))
    }

    fn put_feed(&mut self, event: &FeedEvent) -> Result<(), Fault> {
        self.write(
            "INSERT INTO feed (device, sequence, id, body) VALUES (?1, ?2, ?3, ?4)",
            params![event.device.as_str(), int(event.sequence), event.id.to_bytes(), event.body],
        )
    }

    fn put_passing(&mut self, event: &FeedEvent, until: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO feed (device, sequence, id, body, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                event.device.as_str(),
                int(event.sequence),
                event.id.to_bytes(),
                event.body,
                int(until.0)
            ],
        )
    }

    fn drop_passed(&mut self, now: UnixMillis, limit: usize) -> Result<usize, Fault> {
        // A feed's last event stays: the next one counts on from it, and a cursor that stands there stays good.
        let sql = "DELETE FROM feed WHERE (device, sequence) IN (
            SELECT device, sequence FROM feed AS old WHERE until <= ?1
            AND EXISTS (SELECT 1 FROM feed AS new WHERE new.device = old.device AND new.sequence > old.sequence)
            ORDER BY until LIMIT ?2)";
        let values = params![int(now.0), int(limit as u64)];
        self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(fault)
    }

    fn incarnation(&mut self, device: &Device, name: &str) -> Result<Option<Incarnation>, Fault> {
        self.find(
            "SELECT epoch, scanned FROM incarnations WHERE device = ?1 AND name = ?2",
            [device.as_str(), name],
            |row| Ok(Incarnation { epoch: whole(row, 0)?, scanned: whole(row, 1)? }),
        )
    }

    fn put_incarnation(&mut self, device: &Device, name: &str, row: Incarnation) -> Result<(), Fault> {
        self.write(
            "INSERT INTO incarnations (device, name, epoch, scanned) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device, name) DO UPDATE SET epoch = ?3, scanned = ?4",
            params![device.as_str(), name, int(row.epoch), int(row.scanned)],
        )
    }

    fn put_arrival(&mut self, device: &Device, name: &str, sequence: u64) -> Result<(), Fault> {
        self.write(
            "INSERT OR IGNORE INTO arrivals (device, name, sequence) VALUES (?1, ?2, ?3)",
            params![device.as_str(), name, int(sequence)],
        )
    }

    fn take_arrivals(&mut self, device: &Device, name: &str, below: u64) -> Result<Vec<u64>, Fault> {
        let values = params![device.as_str(), name, int(below)];
        let found: rusqlite::Result<Vec<u64>> = self
            .0
            .prepare_cached(
                "SELECT sequence FROM arrivals WHERE device = ?1 AND name = ?2 AND sequence < ?3 ORDER BY sequence",
            )
            .and_then(|mut statement| statement.query_map(values, |row| whole(row, 0))?.collect());
        self.write(
            "DELETE FROM arrivals WHERE device = ?1 AND name = ?2 AND sequence < ?3",
            params![device.as_str(), name, int(below)],
        )?;
        found.map_err(fault)
    }

    fn gap_at(&mut self, device: &Device, name: &str, sequence: u64) -> Result<Option<Gap>, Fault> {
        let last = self.find(
            "SELECT first, last FROM gaps WHERE device = ?1 AND name = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1",
            params![device.as_str(), name, int(sequence)],
            |row| Ok(Gap { first: whole(row, 0)?, last: whole(row, 1)? }),
        )?;
        Ok(last.filter(|gap| gap.last >= sequence))
    }

    fn has_gaps(&mut self, device: &Device, name: &str) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM gaps WHERE device = ?1 AND name = ?2 LIMIT 1";
        Ok(self.find(sql, params![device.as_str(), name], |_| Ok(()))?.is_some())
    }

    fn gaps_of(&mut self, device: &Device, limit: usize) -> Result<Vec<(String, Gap)>, Fault> {
        let sql = "SELECT name, first, last FROM gaps WHERE device = ?1 ORDER BY name, first LIMIT ?2";
        self.list(sql, params![device.as_str(), limit as i64], |row| {
            Ok((row.get(0)?, Gap { first: whole(row, 1)?, last: whole(row, 2)? }))
        })
    }

    fn put_written_off(
        &mut self,
        device: &Device,
        name: &str,
        gap: Gap,
        at: UnixMillis,
        (by, reason): (&str, &str),
    ) -> Result<(), Fault> {
        self.write(
            "INSERT INTO written_off (device, name, first, last, at, by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![device.as_str(), name, int(gap.first), int(gap.last), int(at.0), by, reason],
        )
    }

    fn put_gap(&mut self, device: &Device, name: &str, gap: Gap, at: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO gaps (device, name, first, last, found_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![device.as_str(), name, int(gap.first), int(gap.last), int(at.0)],
        )
    }

    fn drop_gap(&mut self, device: &Device, name: &str, first: u64) -> Result<(), Fault> {
        self.write(
            "DELETE FROM gaps WHERE device = ?1 AND name = ?2 AND first = ?3",
            params![device.as_str(), name, int(first)],
        )
    }

    fn life(&mut self, device: &Device, name: &str) -> Result<Option<Life>, Fault> {
        self.find(&format!("{LIFE} WHERE device = ?1 AND name = ?2"), [device.as_str(), name], read_life)
    }

    fn younger_lives(&mut self, device: &Device, than: UnixMillis) -> Result<Vec<Life>, Fault> {
        let sql = format!("{LIFE} WHERE device = ?1 AND first_at > ?2 ORDER BY spoke_at DESC LIMIT ?3");
        self.list(&sql, params![device.as_str(), int(than.0), limits::SHOWN_MAX], read_life)
    }

    fn put_life(&mut self, device: &Device, life: &Life) -> Result<(), Fault> {
        self.write(
            "INSERT INTO lives (device, name, first_at, spoke_at, epoch, epoch_at, stale_at, stale, owed_lowest, owed_highest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (device, name) DO UPDATE SET spoke_at = ?4, epoch = ?5, epoch_at = ?6, stale_at = ?7, stale = ?8,
             owed_lowest = ?9, owed_highest = ?10",
            params![
                device.as_str(),
                life.name,
                int(life.first_at.0),
                int(life.spoke_at.0),
                int(life.epoch),
                int(life.epoch_at.0),
                life.stale_at.map(|at| int(at.0)),
                life.stale,
                life.owed.map(|owed| int(owed.lowest)),
                life.owed.map(|owed| int(owed.highest)),
            ],
        )
    }

    fn drop_lives(&mut self, device: &Device) -> Result<(), Fault> {
        self.write("DELETE FROM lives WHERE device = ?1", [device.as_str()])
    }

    fn place_taken(&mut self, source: &str, sequence: u64, id: EventId) -> Result<bool, Fault> {
        let found = self.find(
            "SELECT 1 FROM events WHERE source = ?1 AND sequence = ?2 AND id <> ?3 LIMIT 1",
            params![source, int(sequence), id.to_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    fn clone_of(&mut self, device: &Device) -> Result<Option<Why>, Fault> {
        self.find("SELECT why FROM clones WHERE device = ?1", [device.as_str()], |row| {
            Why::parse(row.get_ref(0)?.as_str()?).ok_or_else(|| strange(0, "not a reason"))
        })
    }

    fn put_clone(&mut self, device: &Device, why: Why, at: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO clones (device, why, found_at) VALUES (?1, ?2, ?3)",
            params![device.as_str(), why.as_str(), int(at.0)],
        )
    }

    fn drop_clone(&mut self, device: &Device) -> Result<(), Fault> {
        self.write("DELETE FROM clones WHERE device = ?1", [device.as_str()])
    }
}

//! The domain's rows about money that an acquirer moves, over SQLite.

use super::tx::SqlTx;
use super::{device, int, moment, strange, whole};
use city_domain::{
    Authorization, Books, Capture, Duplicate, Fault, Hold, Movement, Operation, RefundState, RefundStep,
    Service, Stand, Watcher,
};
use conch::event::{Device, EventId, IntentKey, Key, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

fn key(row: &Row<'_>, index: usize) -> rusqlite::Result<Key> {
    Key::parse(row.get_ref(index)?.as_str()?).map_err(|_| strange(index, "not a key"))
}

fn small(row: &Row<'_>, index: usize) -> rusqlite::Result<u32> {
    row.get(index)
}

fn cause(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<(String, EventId)>> {
    let source: Option<String> = row.get(index)?;
    let id: Option<[u8; 16]> = row.get(index + 1)?;
    Ok(source.zip(id.map(EventId::from_bytes)))
}

const AUTHORIZATION: &str = "SELECT reference, device, intent, order_key, amount, currency, hold, reason, captures, expires, at FROM authorizations";

fn read_authorization(row: &Row<'_>) -> rusqlite::Result<Authorization> {
    Ok(Authorization {
        reference: row.get(0)?,
        device: device(row, 1)?,
        intent: IntentKey::from_bytes(row.get(2)?),
        order: key(row, 3)?,
        amount: whole(row, 4)?,
        currency: row.get(5)?,
        hold: Hold::parse(row.get_ref(6)?.as_str()?).ok_or_else(|| strange(6, "not a hold"))?,
        reason: row.get(7)?,
        captures: small(row, 8)?,
        expires: UnixMillis(whole(row, 9)?),
        at: UnixMillis(whole(row, 10)?),
    })
}

const OPERATION: &str = "SELECT id, service, order_key, about, amount, currency, statement, stand, tries, due, reference, reason, cause_source, cause_id, told_late, at FROM operations";

fn read_operation(row: &Row<'_>) -> rusqlite::Result<Operation> {
    Ok(Operation {
        id: row.get(0)?,
        service: service(row, 1)?,
        order: key(row, 2)?,
        about: row.get(3)?,
        amount: whole(row, 4)?,
        currency: row.get(5)?,
        statement: row.get(6)?,
        stand: Stand::parse(row.get_ref(7)?.as_str()?).ok_or_else(|| strange(7, "not a stand"))?,
        tries: small(row, 8)?,
        due: moment(row, 9)?,
        reference: row.get(10)?,
        reason: row.get(11)?,
        cause: cause(row, 12)?,
        told_late: row.get::<_, i64>(14)? == 1,
        at: UnixMillis(whole(row, 15)?),
    })
}

fn service(row: &Row<'_>, index: usize) -> rusqlite::Result<Service> {
    Service::parse(row.get_ref(index)?.as_str()?).ok_or_else(|| strange(index, "not a service"))
}

const MOVEMENT: &str = "SELECT reference, operation, service, amount, currency, at FROM movements";

fn read_movement(row: &Row<'_>) -> rusqlite::Result<(Movement, UnixMillis)> {
    let movement = Movement {
        reference: row.get(0)?,
        operation: row.get(1)?,
        service: service(row, 2)?,
        amount: whole(row, 3)?,
        currency: row.get(4)?,
    };
    Ok((movement, UnixMillis(whole(row, 5)?)))
}

const DUPLICATE: &str = "SELECT txn_id, first_txn_id, order_key, reference, amount, refunding, currency, state, attempt, cause_source, cause_id, at FROM duplicates";

fn read_duplicate(row: &Row<'_>) -> rusqlite::Result<Duplicate> {
    Ok(Duplicate {
        txn_id: row.get(0)?,
        first_txn_id: row.get(1)?,
        order: key(row, 2)?,
        reference: row.get(3)?,
        amount: whole(row, 4)?,
        refunding: whole(row, 5)?,
        currency: row.get(6)?,
        state: refund_state(row, 7)?,
        attempt: small(row, 8)?,
        cause: cause(row, 9)?,
        at: UnixMillis(whole(row, 11)?),
    })
}

fn refund_state(row: &Row<'_>, index: usize) -> rusqlite::Result<RefundState> {
    RefundState::parse(row.get_ref(index)?.as_str()?).ok_or_else(|| strange(index, "not a refund's state"))
}

/// Refunds, oldest first: of one order, or of all that are open, or all.
pub(crate) fn duplicates(
    connection: &Connection,
    order: Option<&Key>,
    all: bool,
    limit: u32,
) -> rusqlite::Result<Vec<Duplicate>> {
    let condition = match (order, all) {
        (Some(_), _) => "order_key = ?1",
        (None, true) => "?1 IS NULL",
        (None, false) => "?1 IS NULL AND state IN ('found', 'commanded', 'stuck')",
    };
    let sql = format!("{DUPLICATE} WHERE {condition} ORDER BY at, txn_id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![order.map(Key::as_str), limit], read_duplicate)?;
    rows.collect()
}

/// A refund with its steps, and what was asked of the acquirer for it.
pub(crate) struct Story {
    pub(crate) duplicate: Duplicate,
    pub(crate) steps: Vec<RefundStep>,
    pub(crate) asked: Vec<Operation>,
}

/// One refund, if there is such a one.
pub(crate) fn refund(connection: &Connection, txn_id: &str) -> rusqlite::Result<Option<Story>> {
    let sql = format!("{DUPLICATE} WHERE txn_id = ?1");
    let Some(duplicate) = connection.prepare_cached(&sql)?.query_row([txn_id], read_duplicate).optional()?
    else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT state, attempt, detail, at FROM refund_steps WHERE txn_id = ?1 ORDER BY number",
    )?;
    let steps = statement.query_map([txn_id], |row| {
        let at = UnixMillis(whole(row, 3)?);
        Ok(RefundStep { state: refund_state(row, 0)?, attempt: small(row, 1)?, detail: row.get(2)?, at })
    })?;
    let steps = steps.collect::<rusqlite::Result<_>>()?;
    let sql =
        format!("{OPERATION} WHERE order_key = ?1 AND service = 'refund' AND about = ?2 ORDER BY at, id");
    let mut statement = connection.prepare_cached(&sql)?;
    let asked = statement.query_map([duplicate.order.as_str(), &duplicate.reference], read_operation)?;
    let asked = asked.collect::<rusqlite::Result<_>>()?;
    Ok(Some(Story { duplicate, steps, asked }))
}

/// How many things the acquirer was asked and has not answered.
pub(crate) fn open_operations(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM operations WHERE due IS NOT NULL", [], |row| whole(row, 0))
}

/// Notes whose list is read from now on, and tells how far it was. Gives the earlier acquirer's name, and changes nothing,
/// while that one has not answered everything: what another says of money that moved there is no answer.
pub(crate) fn name_acquirer(connection: &Connection, name: &str) -> rusqlite::Result<Result<u64, String>> {
    let found = connection
        .query_row("SELECT acquirer, up_to FROM settlement", [], |row| Ok((row.get(0)?, whole(row, 1)?)))
        .optional()?;
    match found {
        Some((Some(known), up_to)) if known == name => return Ok(Ok(up_to)),
        Some((Some(known), _)) if open_operations(connection)? > 0 => return Ok(Err(known)),
        _ => {}
    }
    connection.execute(
        "INSERT INTO settlement (one, up_to, acquirer) VALUES (1, 0, ?1)
         ON CONFLICT (one) DO UPDATE SET up_to = 0, acquirer = ?1",
        [name],
    )?;
    Ok(Ok(0))
}

impl Books for SqlTx<'_> {
    fn event_body(&mut self, source: &str, id: EventId) -> Result<Option<String>, Fault> {
        let sql = "SELECT body FROM events WHERE source = ?1 AND id = ?2";
        self.find(sql, params![source, id.to_bytes()], |row| row.get(0))
    }

    fn authorization(&mut self, reference: &str) -> Result<Option<Authorization>, Fault> {
        self.find(&format!("{AUTHORIZATION} WHERE reference = ?1"), [reference], read_authorization)
    }

    fn authorization_of(
        &mut self,
        device: &Device,
        intent: IntentKey,
    ) -> Result<Option<Authorization>, Fault> {
        let sql = format!("{AUTHORIZATION} WHERE device = ?1 AND intent = ?2");
        self.find(&sql, params![device.as_str(), intent.to_bytes()], read_authorization)
    }

    fn put_authorization(&mut self, own: &Authorization) -> Result<(), Fault> {
        self.write(
            "INSERT INTO authorizations (reference, device, intent, order_key, amount, currency, hold, reason, captures, expires, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (reference) DO UPDATE SET hold = ?7, reason = ?8, captures = ?9, expires = ?10",
            params![
                own.reference,
                own.device.as_str(),
                own.intent.to_bytes(),
                own.order.as_str(),
                int(own.amount),
                own.currency,
                own.hold.as_str(),
                own.reason,
                own.captures,
                int(own.expires.0),
                int(own.at.0),
            ],
        )
    }

    fn next_expiry(&mut self) -> Result<Option<Authorization>, Fault> {
        let sql = format!("{AUTHORIZATION} WHERE hold = 'authorized' ORDER BY expires LIMIT 1");
        self.find(&sql, [], read_authorization)
    }

    fn operation(&mut self, id: &str) -> Result<Option<Operation>, Fault> {
        self.find(&format!("{OPERATION} WHERE id = ?1"), [id], read_operation)
    }

    fn put_operation(&mut self, own: &Operation) -> Result<(), Fault> {
        let (source, id) = own.cause.as_ref().map(|(source, id)| (source, id.to_bytes())).unzip();
        self.write(
            "INSERT INTO operations (id, service, order_key, about, amount, currency, statement, stand, tries, due, reference, reason, cause_source, cause_id, told_late, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (id) DO UPDATE SET stand = ?8, tries = ?9, due = ?10, reference = ?11, reason = ?12, told_late = ?15",
            params![
                own.id,
                own.service.as_str(),
                own.order.as_str(),
                own.about,
                int(own.amount),
                own.currency,
                own.statement,
                own.stand.as_str(),
                own.tries,
                own.due.map(|due| int(due.0)),
                own.reference,
                own.reason,
                source,
                id,
                own.told_late,
                int(own.at.0),
            ],
        )
    }

    fn due_operations(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<Operation>, Fault> {
        let sql = format!("{OPERATION} WHERE due IS NOT NULL AND due <= ?1 ORDER BY due LIMIT ?2");
        self.list(&sql, params![int(now.0), limit as i64], read_operation)
    }

    fn recall_operations(&mut self, now: UnixMillis) -> Result<(), Fault> {
        let sql = "UPDATE operations SET due = ?1 WHERE due IS NOT NULL AND stand = 'asked'";
        self.write(sql, [int(now.0)])
    }

    fn next_operation(&mut self) -> Result<Option<UnixMillis>, Fault> {
        let sql = "SELECT min(due) FROM operations WHERE due IS NOT NULL";
        Ok(self.find(sql, [], |row| moment(row, 0))?.flatten())
    }

    fn held_for(&mut self, order: &Key) -> Result<Vec<Authorization>, Fault> {
        let sql = format!("{AUTHORIZATION} WHERE order_key = ?1 AND hold = 'authorized'");
        self.list(&sql, [order.as_str()], read_authorization)
    }

    fn oldest_open(&mut self) -> Result<Option<Operation>, Fault> {
        let sql = format!("{OPERATION} WHERE due IS NOT NULL AND told_late = 0 ORDER BY at LIMIT 1");
        self.find(&sql, [], read_operation)
    }

    fn capture(&mut self, order: &Key) -> Result<Option<Capture>, Fault> {
        let sql = "SELECT order_key, txn_id, event, amount, currency, at FROM captures WHERE order_key = ?1";
        self.find(sql, [order.as_str()], |row| {
            Ok(Capture {
                order: key(row, 0)?,
                txn_id: row.get(1)?,
                event: EventId::from_bytes(row.get(2)?),
                amount: whole(row, 3)?,
                currency: row.get(4)?,
                at: UnixMillis(whole(row, 5)?),
            })
        })
    }

    fn movement(&mut self, reference: &str) -> Result<Option<Movement>, Fault> {
        let found = self.find(&format!("{MOVEMENT} WHERE reference = ?1"), [reference], read_movement)?;
        Ok(found.map(|(movement, _)| movement))
    }

    fn put_movement(&mut self, own: &Movement, listed: bool, at: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO movements (reference, operation, service, amount, currency, listed, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                own.reference,
                own.operation,
                own.service.as_str(),
                int(own.amount),
                own.currency,
                listed,
                int(at.0),
            ],
        )
    }

    fn mark_listed(&mut self, reference: &str) -> Result<(), Fault> {
        self.write("UPDATE movements SET listed = 1 WHERE reference = ?1", [reference])
    }

    fn movements_of(&mut self, operation: &str) -> Result<Vec<(Movement, bool)>, Fault> {
        let sql = "SELECT reference, operation, service, amount, currency, at, listed FROM movements WHERE operation = ?1";
        self.list(sql, [operation], |row| Ok((read_movement(row)?.0, row.get::<_, i64>(6)? == 1)))
    }

    fn oldest_unlisted(&mut self) -> Result<Option<(Movement, UnixMillis)>, Fault> {
        self.find(&format!("{MOVEMENT} WHERE listed = 0 ORDER BY at LIMIT 1"), [], read_movement)
    }

    fn put_told(&mut self, what: &str) -> Result<bool, Fault> {
        let sql = "INSERT INTO told (what) VALUES (?1) ON CONFLICT DO NOTHING";
        Ok(self.change(sql, [what])? == 1)
    }

    fn settled_up_to(&mut self) -> Result<u64, Fault> {
        Ok(self.find("SELECT up_to FROM settlement", [], |row| whole(row, 0))?.unwrap_or(0))
    }

    fn put_settled_up_to(&mut self, number: u64) -> Result<(), Fault> {
        self.write(
            "INSERT INTO settlement (one, up_to) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET up_to = ?1",
            [int(number)],
        )
    }

    fn duplicate(&mut self, txn_id: &str) -> Result<Option<Duplicate>, Fault> {
        self.find(&format!("{DUPLICATE} WHERE txn_id = ?1"), [txn_id], read_duplicate)
    }

    fn duplicate_of(&mut self, reference: &str) -> Result<Option<Duplicate>, Fault> {
        self.find(&format!("{DUPLICATE} WHERE reference = ?1"), [reference], read_duplicate)
    }

    fn put_duplicate(&mut self, own: &Duplicate) -> Result<(), Fault> {
        let (source, id) = own.cause.as_ref().map(|(source, id)| (source, id.to_bytes())).unzip();
        self.write(
            "INSERT INTO duplicates (txn_id, first_txn_id, order_key, reference, amount, refunding, currency, state, attempt, cause_source, cause_id, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (txn_id) DO UPDATE SET refunding = ?6, state = ?8, attempt = ?9",
            params![
                own.txn_id,
                own.first_txn_id,
                own.order.as_str(),
                own.reference,
                int(own.amount),
                int(own.refunding),
                own.currency,
                own.state.as_str(),
                own.attempt,
                source,
                id,
                int(own.at.0),
            ],
        )
    }

    fn put_refund_step(&mut self, txn_id: &str, step: &RefundStep) -> Result<(), Fault> {
        self.write(
            "INSERT INTO refund_steps (txn_id, number, state, attempt, detail, at)
             VALUES (?1, (SELECT count(*) + 1 FROM refund_steps WHERE txn_id = ?1), ?2, ?3, ?4, ?5)",
            params![txn_id, step.state.as_str(), step.attempt, step.detail, int(step.at.0)],
        )
    }

    fn watchers(&mut self, order: &Key) -> Result<Vec<Watcher>, Fault> {
        let sql = "SELECT source, id, body FROM watchers WHERE order_key = ?1";
        self.list(sql, [order.as_str()], |row| {
            Ok(Watcher { source: row.get(0)?, id: EventId::from_bytes(row.get(1)?), body: row.get(2)? })
        })
    }

    fn put_watcher(&mut self, order: &Key, own: &Watcher) -> Result<(), Fault> {
        self.write(
            "INSERT INTO watchers (order_key, source, id, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![order.as_str(), own.source, own.id.to_bytes(), own.body],
        )
    }

    fn drop_watchers(&mut self, order: &Key) -> Result<(), Fault> {
        self.write("DELETE FROM watchers WHERE order_key = ?1", [order.as_str()])
    }
}

//! Issued tickets and the key that signs their codes, for the command line and at the start.

use super::tx::{TICKETS, read_ticket};
use super::{int, whole};
use city_domain::{Policy, Ticket};
use conch::event::{Key, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

/// The policy a running city decides by.
pub(crate) fn put_ticket_policy(connection: &Connection, policy: Policy) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO ticket_policy (one, known) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET known = ?1",
        [policy == Policy::Known],
    )?;
    Ok(())
}

/// The key that signs: the newest one, with its number.
pub(crate) fn signing_key(connection: &Connection) -> rusqlite::Result<Option<(u8, [u8; 32])>> {
    connection
        .query_row("SELECT number, secret FROM ticket_keys ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

/// Keeps a new key under the next number.
pub(crate) fn put_signing_key(
    connection: &Connection,
    secret: &[u8; 32],
    now: UnixMillis,
) -> rusqlite::Result<u8> {
    connection.query_row(
        "INSERT INTO ticket_keys (number, secret, made_at)
         VALUES ((SELECT coalesce(max(number), 0) + 1 FROM ticket_keys), ?1, ?2) RETURNING number",
        params![secret, int(now.0)],
        |row| row.get(0),
    )
}

/// All keys, by their numbers.
pub(crate) fn ticket_keys(connection: &Connection) -> rusqlite::Result<Vec<(u8, [u8; 32])>> {
    let mut statement = connection.prepare("SELECT number, secret FROM ticket_keys ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Issues a ticket. False when there is one with this id.
pub(crate) fn put_ticket(connection: &Connection, ticket: &Ticket) -> rusqlite::Result<bool> {
    let gates = serde_json::Value::from(ticket.gates.clone()).to_string();
    let sql = "INSERT OR IGNORE INTO tickets (ticket, class, valid_from, valid_until, gates, issued_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let rows = connection.prepare_cached(sql)?.execute(params![
        ticket.key.as_str(),
        ticket.class,
        ticket.valid_from.map(|at| int(at.0)),
        ticket.valid_until.map(|at| int(at.0)),
        gates,
        int(ticket.issued_at.0),
    ])?;
    Ok(rows == 1)
}

/// Takes a ticket back. False when it was taken back before, or is none.
pub(crate) fn revoke_ticket(
    connection: &Connection,
    key: &Key,
    (by, reason): (&str, &str),
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let rows = connection.execute(
        "UPDATE tickets SET revoked_at = ?2, revoked_by = ?3, reason = ?4 WHERE ticket = ?1 AND revoked_at IS NULL",
        params![key.as_str(), int(now.0), by, reason],
    )?;
    Ok(rows == 1)
}

/// Which tickets are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) class: Option<String>,
    pub(crate) revoked: bool,
    pub(crate) limit: u32,
}

/// Issued tickets, the oldest first.
pub(crate) fn tickets(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Ticket>> {
    let mut statement = connection.prepare(&format!(
        "{TICKETS} WHERE (?1 IS NULL OR class = ?1) AND (NOT ?2 OR revoked_at IS NOT NULL)
         ORDER BY issued_at, ticket LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![wanted.class, wanted.revoked, wanted.limit], read_ticket)?;
    rows.collect()
}

/// What gates judge by while they have no link.
#[derive(Debug)]
pub(crate) struct GateList {
    pub(crate) policy: Policy,
    /// All keys, by their numbers.
    pub(crate) keys: Vec<(u8, [u8; 32])>,
    /// Tickets that were taken back.
    pub(crate) revoked: Vec<Key>,
    /// Tickets that are good at certain gates only.
    pub(crate) bound: Vec<(Key, Vec<String>)>,
    /// Whether all of them found room.
    pub(crate) complete: bool,
}

/// The list for gates, with at most so many tickets of each kind, the latest ones.
pub(crate) fn gate_list(connection: &Connection, most: u32) -> rusqlite::Result<GateList> {
    let read = |rest: &str| -> rusqlite::Result<(Vec<Ticket>, bool)> {
        let mut statement = connection.prepare(&format!("{TICKETS} WHERE {rest} LIMIT ?1"))?;
        let rows = statement.query_map([most.saturating_add(1)], read_ticket)?;
        let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let all = found.len() <= most as usize;
        found.truncate(most as usize);
        Ok((found, all))
    };
    let (revoked, all_revoked) = read("revoked_at IS NOT NULL ORDER BY revoked_at DESC, ticket")?;
    let (bound, all_bound) = read("gates <> '[]' AND revoked_at IS NULL ORDER BY issued_at DESC, ticket")?;
    let known =
        connection.query_row("SELECT known FROM ticket_policy", [], |row| row.get::<_, i64>(0)).optional()?;
    Ok(GateList {
        policy: if known == Some(1) { Policy::Known } else { Policy::Any },
        keys: ticket_keys(connection)?,
        revoked: revoked.into_iter().map(|ticket| ticket.key).collect(),
        bound: bound.into_iter().map(|ticket| (ticket.key, ticket.gates)).collect(),
        complete: all_revoked && all_bound,
    })
}

/// Tickets that let more than one in, issued here or not, with how often and when last, the latest first.
pub(crate) fn used_twice(
    connection: &Connection,
    limit: u32,
) -> rusqlite::Result<Vec<(String, u64, UnixMillis)>> {
    let mut statement = connection.prepare(
        "SELECT ticket, count(*), max(at) FROM scans WHERE result = 'duplicate' GROUP BY ticket
         ORDER BY max(at) DESC, ticket LIMIT ?1",
    )?;
    let rows =
        statement.query_map([limit], |row| Ok((row.get(0)?, whole(row, 1)?, UnixMillis(whole(row, 2)?))))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{STEPS, file, open, ticket};
    use super::*;
    use city_domain::ScanResult;

    /// What gates did under the layouts before tickets were issued here.
    #[test]
    fn scans_of_earlier_layouts_are_kept() {
        let data = std::env::temp_dir().join(format!("city-store-{}-scans", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data).unwrap();
        let old = Connection::open(file(&data)).unwrap();
        STEPS[..3].iter().for_each(|step| old.execute_batch(step).unwrap());
        old.pragma_update(None, "user_version", 3).unwrap();
        old.execute_batch(
            "INSERT INTO admissions VALUES ('t-1', x'00000000000000000000000000000001', 'gate-n1', 'n1', 7);
             INSERT INTO scans VALUES ('t-1', 1, x'00000000000000000000000000000001', 'gate-n1', 'n1', 'admitted', 7);
             INSERT INTO scans VALUES ('t-1', 2, x'00000000000000000000000000000002', 'gate-s1', 's1', 'duplicate', 5);",
        )
        .unwrap();
        drop(old);
        let view = ticket(&open(&data).unwrap(), &Key::parse("t-1").unwrap()).unwrap().unwrap();
        let first = view.first.unwrap();
        assert_eq!((first.result, first.at, first.flaw), (ScanResult::Admitted, UnixMillis(7), None));
        assert_eq!((view.issued, view.duplicates.len(), view.scans), (None, 1, 2));
        std::fs::remove_dir_all(data).unwrap();
    }
}

//! What is asked of the file besides decisions: orders, tickets, feeds and totals.

use super::tx::{
    AGENTS, CASE, LOAD, ORDER, ORDERS_ENDING, SCANS, TICKETS, read_agent, read_case, read_load, read_order,
    read_scan, read_ticket,
};
use super::{int, strange, whole};
use crate::metrics::Levels;
use city_domain::directory::Agent;
use city_domain::{Case, Load, Order, Scan, Ticket, limits};
use conch::event::{Device, EventId, Key, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// An order, if there is one.
pub(crate) fn order(connection: &Connection, key: &Key) -> rusqlite::Result<Option<Order>> {
    connection.prepare_cached(ORDER)?.query_row([key.as_str()], read_order).optional()
}

/// The latest orders whose number ends so, whether in large or small letters.
pub(crate) fn orders_ending(
    connection: &Connection,
    ending: &str,
    limit: u32,
) -> rusqlite::Result<Vec<Order>> {
    connection.prepare_cached(ORDERS_ENDING)?.query_map((ending, limit), read_order)?.collect()
}

/// How a ticket stands.
#[derive(Debug)]
pub(crate) struct TicketView {
    /// The ticket, if it was issued here.
    pub(crate) issued: Option<Ticket>,
    /// The scan that is the admission, or else the first refused one in its place.
    pub(crate) first: Option<Scan>,
    /// Scans that let somebody in after the first, by time; at most [`limits::TICKET_DUPLICATES_MAX`].
    pub(crate) duplicates: Vec<Scan>,
    /// All scans.
    pub(crate) scans: u64,
}

/// A ticket, if it was ever issued or scanned.
pub(crate) fn ticket(connection: &Connection, key: &Key) -> rusqlite::Result<Option<TicketView>> {
    let own = [key.as_str()];
    let scans = connection
        .prepare_cached("SELECT count(*) FROM scans WHERE ticket = ?1")?
        .query_row(own, |row| whole(row, 0))?;
    let issued = connection
        .prepare_cached(&format!("{TICKETS} WHERE ticket = ?1"))?
        .query_row(own, read_ticket)
        .optional()?;
    if scans == 0 {
        return Ok(issued.map(|issued| TicketView {
            issued: Some(issued),
            first: None,
            duplicates: Vec::new(),
            scans,
        }));
    }
    let first = connection
        .prepare_cached(&format!(
            "{SCANS} WHERE ticket = ?1 ORDER BY result <> 'admitted', position LIMIT 1"
        ))?
        .query_row(own, read_scan)
        .optional()?;
    let mut duplicates = connection.prepare_cached(&format!(
        "{SCANS} WHERE ticket = ?1 AND result = 'duplicate' ORDER BY at, event, device LIMIT ?2"
    ))?;
    let duplicates = duplicates
        .query_map(params![key.as_str(), limits::TICKET_DUPLICATES_MAX], read_scan)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(TicketView { issued, first, duplicates, scans }))
}

/// A place in a feed. It names the city, so that the cursor of a city that lost its file is recognised as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    city: EventId,
    sequence: u64,
}

impl Cursor {
    /// The beginning of every feed of a city.
    pub(crate) fn start(city: EventId) -> Self {
        Self { city, sequence: 0 }
    }

    /// Reads a cursor of this city; one of another city, or junk, is `None`.
    pub(crate) fn parse(city: EventId, text: &str) -> Option<Self> {
        let (own, sequence) = text.split_once('.')?;
        if EventId::parse(own)? != city || !sequence.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { city, sequence: sequence.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.city, self.sequence)
    }
}

/// Events of a feed after a cursor.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The encoded events, in order.
    pub(crate) events: Vec<String>,
    /// Where to go on.
    pub(crate) cursor: Cursor,
}

/// The next events of a device's feed; `None` when the cursor lies beyond its end.
pub(crate) fn feed_after(
    connection: &Connection,
    device: &Device,
    after: Cursor,
) -> rusqlite::Result<Option<Feed>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, body FROM feed WHERE device = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let values = params![device.as_str(), int(after.sequence), limits::FEED_EVENTS_MAX as i64];
    let rows: Vec<(u64, String)> = statement
        .query_map(values, |row| Ok((whole(row, 0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if rows.is_empty() && after.sequence > 0 {
        let known = connection
            .prepare_cached("SELECT 1 FROM feed WHERE device = ?1 AND sequence = ?2")?
            .exists(params![device.as_str(), int(after.sequence)])?;
        if !known {
            return Ok(None);
        }
    }
    let sequence = rows.last().map_or(after.sequence, |(sequence, _)| *sequence);
    let events = rows.into_iter().map(|(_, body)| body).collect();
    Ok(Some(Feed { events, cursor: Cursor { sequence, ..after } }))
}

/// When a device was last heard, as far as it was noted.
pub(crate) fn seen_at(connection: &Connection, device: &Device) -> rusqlite::Result<Option<UnixMillis>> {
    connection
        .prepare_cached("SELECT seen_at FROM devices WHERE device = ?1")?
        .query_row([device.as_str()], |row| Ok(UnixMillis(whole(row, 0)?)))
        .optional()
}

/// How many sequences of all devices are missing.
pub(crate) fn missing(connection: &Connection) -> rusqlite::Result<u64> {
    // A float on purpose: one absurd claim of a device must not overflow the sum and hide the rest.
    let sum: f64 = connection
        .prepare_cached("SELECT total(last - first + 1) FROM gaps")?
        .query_row([], |row| row.get(0))?;
    if sum.is_finite() && sum >= 0.0 { Ok(sum as u64) } else { Err(strange(0, "not a count")) }
}

/// What the city holds, for people and tests.
#[derive(Debug, Serialize)]
pub(crate) struct Totals {
    /// Accepted events.
    pub(crate) events: u64,
    /// Orders in any state.
    pub(crate) orders: u64,
    /// Orders with money on the books.
    pub(crate) captures: u64,
    /// Tickets ever scanned.
    pub(crate) tickets: u64,
    /// Tickets admitted.
    pub(crate) admissions: u64,
    /// Scans of any result.
    pub(crate) scans: u64,
    /// Deliveries of an intent the city had under another id.
    pub(crate) duplicates: u64,
    /// Deliveries refused.
    pub(crate) refused: u64,
}

/// Counts everything, at one moment.
pub(crate) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM orders), (SELECT count(*) FROM captures),
                (SELECT count(DISTINCT ticket) FROM scans), (SELECT count(*) FROM admissions), (SELECT count(*) FROM scans),
                (SELECT count(*) FROM inbox WHERE verdict = 'duplicate'),
                (SELECT count(*) FROM (SELECT DISTINCT device, id FROM refusals))",
        [],
        |row| {
            Ok(Totals {
                events: whole(row, 0)?,
                orders: whole(row, 1)?,
                captures: whole(row, 2)?,
                tickets: whole(row, 3)?,
                admissions: whole(row, 4)?,
                scans: whole(row, 5)?,
                duplicates: whole(row, 6)?,
                refused: whole(row, 7)?,
            })
        },
    )
}

/// A civic case, if there is one.
pub(crate) fn case(connection: &Connection, key: &Key) -> rusqlite::Result<Option<Case>> {
    connection.prepare_cached(CASE)?.query_row([key.as_str()], read_case).optional()
}

/// How somebody can be reached about a case.
pub(crate) fn contacts(connection: &Connection, key: &Key) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT contact FROM contacts WHERE case_key = ?1 ORDER BY at")?;
    statement.query_map([key.as_str()], |row| row.get(0))?.collect()
}

/// Whether a form was filed under a case that the service has not seen yet.
pub(crate) fn filed(connection: &Connection, key: &Key) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM spots WHERE case_key = ?1")?.exists([key.as_str()])
}

/// The agents of the directory, those too whose lease ran out.
pub(crate) fn agents(connection: &Connection) -> rusqlite::Result<Vec<Agent>> {
    connection.prepare_cached(AGENTS)?.query_map([], read_agent)?.collect()
}

/// What the stalls of a circuit draw, by their names.
pub(crate) fn loads(connection: &Connection, circuit: &Key) -> rusqlite::Result<Vec<Load>> {
    let mut statement = connection.prepare_cached(&format!("{LOAD} WHERE circuit = ?1 ORDER BY stall"))?;
    statement.query_map([circuit.as_str()], read_load)?.collect()
}

/// What the metrics say of the file.
pub(crate) fn levels(connection: &Connection) -> rusqlite::Result<Levels> {
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| whole(row, 0));
    let mut statement =
        connection.prepare_cached("SELECT consumer, count(*) FROM waits GROUP BY consumer")?;
    let waiting = statement.query_map([], |row| Ok((row.get(0)?, whole(row, 1)?)))?;
    Ok(Levels {
        open: count("SELECT count(*) FROM dead_letters WHERE closed_at IS NULL")?,
        outgoing: count("SELECT count(*) FROM outgoing")?,
        waiting: waiting.collect::<rusqlite::Result<_>>()?,
        gaps: missing(connection)?,
        ..Levels::default()
    })
}

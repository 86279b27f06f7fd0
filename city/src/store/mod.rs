//! The city's one SQLite file: opening, its layout by version, and the connections to it.
//!
//! One connection writes, on the writer's thread; readers have their own and can only read. `synchronous=FULL`
//! with WAL means that an answered event survives a power cut.

mod board;
mod books;
mod bus;
mod devices;
mod read;
mod tickets;
mod tx;

pub(crate) use board::{Sight, sight};
pub(crate) use books::{Story, duplicates, name_acquirer, open_operations, refund};
pub(crate) use bus::{dead_letter, dead_letters};
pub(crate) use devices::{Known, devices, gaps, lives, revoke};
pub(crate) use read::{
    Cursor, Feed, TicketView, agents, case, contacts, feed_after, filed, levels, loads, missing, order,
    orders_ending, seen_at, ticket, totals,
};
pub(crate) use tickets::{
    GateList, Wanted, gate_list, put_signing_key, put_ticket, put_ticket_policy, revoke_ticket, signing_key,
    ticket_keys, tickets, used_twice,
};
pub(crate) use tx::SqlTx;

use crate::secret::{Hash, random};
use city_domain::{Principal, Role, limits};
use conch::event::{Device, EventId, UnixMillis};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// One step per version, applied in order; `PRAGMA user_version` counts them. A step never changes once released.
const STEPS: &[&str] = &[
    include_str!("001.sql"),
    include_str!("002.sql"),
    include_str!("003.sql"),
    include_str!("004.sql"),
    include_str!("005.sql"),
    include_str!("006.sql"),
    include_str!("007.sql"),
];

/// Why the file could not be used, and what to do.
#[derive(Debug)]
pub(crate) enum OpenProblem {
    /// The directory cannot be made or read.
    Directory(PathBuf, std::io::Error),
    /// There is no database in the directory.
    Missing(PathBuf),
    /// The file was written by a newer city.
    Newer(i64),
    /// SQLite refused.
    Sql(rusqlite::Error),
}

impl std::fmt::Display for OpenProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path, error) => {
                write!(f, "the data directory {} cannot be used: {error}", path.display())
            }
            Self::Missing(path) => {
                write!(f, "there is no city in {}: start one with `city serve --data {0}`", path.display())
            }
            Self::Newer(version) => {
                write!(
                    f,
                    "the database has layout {version}, this city knows {}: use the newer binary",
                    STEPS.len()
                )
            }
            Self::Sql(error) => write!(f, "the database cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for OpenProblem {}

impl From<rusqlite::Error> for OpenProblem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Where the file lies in a data directory.
fn file(data: &Path) -> PathBuf {
    data.join("city.sqlite")
}

/// Opens the file for writing, made and brought to the present layout as needed.
pub(crate) fn open(data: &Path) -> Result<Connection, OpenProblem> {
    std::fs::create_dir_all(data).map_err(|error| OpenProblem::Directory(data.to_owned(), error))?;
    let mut connection = Connection::open(file(data))?;
    connection.busy_timeout(Duration::from_millis(limits::BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A negative number is KiB.
    connection.pragma_update(None, "cache_size", -limits::CACHE_KIB)?;
    // Pages that change with every commit are copied into the file once for many of them.
    connection.pragma_update(None, "wal_autocheckpoint", limits::CHECKPOINT_PAGES)?;
    // What a savepoint would take back is kept in memory, not written to another file for every page.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A plan that looked at a bound value would be made anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(256);
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens the file for reading only, as it is.
pub(crate) fn open_to_read(data: &Path) -> Result<Connection, OpenProblem> {
    let file = file(data);
    if !file.exists() {
        return Err(OpenProblem::Missing(data.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_millis(limits::BUSY_MS))?;
    let version = layout(&connection)?;
    if version > STEPS.len() as i64 {
        return Err(OpenProblem::Newer(version));
    }
    Ok(connection)
}

/// Copies the whole file as it is at this moment and tells the size of the copy.
pub(crate) fn copy(connection: &Connection, to: &Path) -> Result<u64, String> {
    if to.exists() {
        return Err(format!("{} is there already; name a new file", to.display()));
    }
    let name = to.to_str().ok_or("the file's name is no text")?;
    let copied = connection.execute("VACUUM INTO ?1", [name]).map_err(|error| error.to_string());
    let checked = copied.and_then(|_| {
        let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let verdict: String = copy
            .and_then(|copy| copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .map_err(|error| error.to_string())?;
        if verdict != "ok" {
            return Err(format!("the copy is damaged: {verdict}"));
        }
        let file = std::fs::File::open(to).map_err(|error| error.to_string())?;
        file.sync_all().map_err(|error| error.to_string())?;
        file.metadata().map(|found| found.len()).map_err(|error| error.to_string())
    });
    if checked.is_err() {
        // Half a backup is worse than none.
        let _ = std::fs::remove_file(to);
    }
    checked
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(connection: &mut Connection) -> Result<(), OpenProblem> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = layout(&transaction)?;
    let known = STEPS.len() as i64;
    if version > known {
        return Err(OpenProblem::Newer(version));
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// The city's id, made at its first start.
pub(crate) fn city_id(connection: &Connection, now: UnixMillis) -> Result<EventId, OpenProblem> {
    let found =
        connection.query_row("SELECT id FROM city", [], |row| row.get::<_, [u8; 16]>(0)).optional()?;
    if let Some(bytes) = found {
        return Ok(EventId::from_bytes(bytes));
    }
    let entropy =
        random().map_err(|error| OpenProblem::Directory(PathBuf::from("(random source)"), error))?;
    let id = EventId::mint(now, entropy);
    connection.execute(
        "INSERT INTO city (one, id, made_at) VALUES (1, ?1, ?2)",
        params![id.to_bytes(), int(now.0)],
    )?;
    Ok(id)
}

/// All valid tokens, by hash.
pub(crate) fn tokens(connection: &Connection) -> rusqlite::Result<Vec<(Hash, Principal)>> {
    let mut statement =
        connection.prepare("SELECT hash, device, role FROM tokens JOIN devices USING (device)")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, Hash>(0)?, Principal { device: device(row, 1)?, role: role(row, 2)? }))
    })?;
    rows.collect()
}

/// The devices heard since a time.
pub(crate) fn seen_since(
    connection: &Connection,
    since: UnixMillis,
) -> rusqlite::Result<Vec<(Device, UnixMillis)>> {
    let mut statement = connection.prepare("SELECT device, seen_at FROM devices WHERE seen_at >= ?1")?;
    let rows =
        statement.query_map([int(since.0)], |row| Ok((device(row, 0)?, UnixMillis(whole(row, 1)?))))?;
    rows.collect()
}

/// SQLite's integers are signed; our numbers stay far below the limit.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn whole(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(index)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number))
}

fn moment(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<UnixMillis>> {
    let at = row.get::<_, Option<i64>>(index)?;
    Ok(at.map(|at| UnixMillis(u64::try_from(at).unwrap_or(0))))
}

/// A column whose text is not what the city wrote: the file was changed by someone else.
fn strange(index: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, what.to_owned().into())
}

fn device(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Device> {
    Device::parse(&row.get::<_, String>(index)?).map_err(|_| strange(index, "not a device name"))
}

fn role(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Role> {
    Role::parse(&row.get::<_, String>(index)?).ok_or_else(|| strange(index, "not a role"))
}

/// The readers' connections.
#[derive(Clone)]
pub(crate) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens all of them.
    pub(crate) fn open(data: &Path) -> Result<Self, OpenProblem> {
        let connections = (0..limits::READERS).map(|_| open_to_read(data)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            free: Arc::new(Mutex::new(connections)),
            permits: Arc::new(Semaphore::new(limits::READERS)),
        })
    }

    /// Runs a question on a free connection, away from the threads that serve requests.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let gone = || rusqlite::Error::InvalidQuery;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| gone())?;
        let free = self.free.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let connection = free.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(gone)?;
            let answer = question(&connection);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("city-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn an_answered_event_survives_a_power_cut() {
        let data = scratch("durable");
        let connection = open(&data).unwrap();
        let pragma =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        assert_eq!(pragma("journal_mode").unwrap(), rusqlite::types::Value::Text("wal".into()));
        assert_eq!(pragma("synchronous").unwrap(), rusqlite::types::Value::Integer(2), "2 is FULL");
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_file_is_opened_again_as_it_is_and_a_newer_one_is_refused() {
        let data = scratch("layout");
        let id = city_id(&open(&data).unwrap(), UnixMillis(1)).unwrap();
        let connection = open(&data).unwrap();
        assert_eq!(city_id(&connection, UnixMillis(2)).unwrap(), id);
        connection.pragma_update(None, "user_version", STEPS.len() as i64 + 1).unwrap();
        assert!(matches!(open(&data), Err(OpenProblem::Newer(_))));
        assert!(matches!(open_to_read(&data), Err(OpenProblem::Newer(_))));
        std::fs::remove_dir_all(data).unwrap();
    }

    /// A row in every table of each layout, in its own words.
    const ROWS: [&str; 2] = [
        "INSERT INTO city VALUES (1, zeroblob(16), 5);
         INSERT INTO devices VALUES ('till-1', 'vendor', 1, 2);
         INSERT INTO tokens VALUES (zeroblob(32), 'till-1', 1);
         INSERT INTO codes VALUES (zeroblob(32), 'gate-1', 'gate', 9, NULL);
         INSERT INTO inbox VALUES ('s', zeroblob(16), 'till-1', 'accepted', NULL, zeroblob(32), 0, 3);
         INSERT INTO events VALUES (1, 's', zeroblob(16), 'till-1', 'pay.txn.v2', 'requested', 'o-1', zeroblob(16), 1, 2, 3, 4, '{}');
         INSERT INTO refusals VALUES ('till-1', zeroblob(16), 'too-old', 3);
         INSERT INTO intents VALUES ('', zeroblob(16), zeroblob(32), 's', zeroblob(16));
         INSERT INTO orders VALUES ('o-1', 'captured', zeroblob(16), zeroblob(16), 'till-1', 120, 'TWD', 'cash', 'txn-1', NULL, 7);
         INSERT INTO orders VALUES ('o-2', 'open', zeroblob(16), zeroblob(16), 'till-1', 130, 'TWD', 'promise', NULL, NULL, 7);
         INSERT INTO orders VALUES ('o-3', 'failed', zeroblob(16), zeroblob(16), 'till-1', NULL, NULL, NULL, NULL, 'no_amount', 7);
         INSERT INTO captures VALUES ('o-1', 'txn-1', zeroblob(16), 120, 'TWD', 7);
         INSERT INTO admissions VALUES ('t-1', zeroblob(16), 'gate-1', 'N1', 7);
         INSERT INTO scans VALUES ('t-1', 1, zeroblob(16), 'gate-1', 'N1', 'admitted', 7);
         INSERT INTO feed VALUES ('till-1', 1, zeroblob(16), '{}');
         INSERT INTO incarnations VALUES ('till-1', 'life-1', 2, 1);
         INSERT INTO arrivals VALUES ('till-1', 'life-1', 3);
         INSERT INTO gaps VALUES ('till-1', 'life-1', 1, 2, 5);",
        "INSERT INTO outgoing VALUES (1, 0, 's', zeroblob(16), 'pay.txn.v2', 'captured', 'o-1', '{}');
         INSERT INTO leases VALUES ('bus', 'x', 1);
         INSERT INTO log VALUES (0, 1, 's', zeroblob(16), 'pay.txn.v2', 'captured', 'o-1', '{}', 5);
         INSERT INTO cursors VALUES ('civic', 0, 1);
         INSERT INTO handled VALUES ('civic', 's', zeroblob(16), 5);
         INSERT INTO waits VALUES ('civic', 0, 1, 'o-1', 1, 9, 0, NULL);
         INSERT INTO dead_letters VALUES (1, 'civic', 0, 1, 's', zeroblob(16), 'pay.txn.v2', 'captured', 'o-1', '{}', 1, 'c', 'd', 'f', NULL, 0, 5, NULL, NULL, NULL, NULL);
         INSERT INTO cases VALUES ('c-1', 'noise', 'N1', 'patrol', 'routed', 1, 9, 0, 5, 5);
         INSERT INTO loads VALUES ('c4', 'stall-7', 500, 500, 5, NULL, NULL);",
    ];

    fn counts(books: &Connection) -> Vec<(String, i64)> {
        let mut names =
            books.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let count = |name: String| {
            let count =
                books.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
            (name, count)
        };
        names.into_iter().map(count).collect()
    }

    /// Every layout that was ever released is brought forward with what it holds.
    #[test]
    fn a_file_of_each_earlier_layout_keeps_what_it_holds() {
        for version in 1..=ROWS.len() {
            let data = scratch(&format!("forward-{version}"));
            std::fs::create_dir_all(&data).unwrap();
            let old = Connection::open(file(&data)).unwrap();
            STEPS[..version].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.pragma_update(None, "user_version", version as i64).unwrap();
            ROWS[..version].iter().for_each(|rows| old.execute_batch(rows).unwrap());
            let before = counts(&old);
            assert!(before.iter().all(|(_, count)| *count > 0), "{before:?}");
            drop(old);
            let new = open(&data).unwrap();
            assert_eq!(layout(&new).unwrap(), STEPS.len() as i64);
            let after = counts(&new);
            for row in before {
                assert!(after.contains(&row), "{row:?} of layout {version} is not as it was: {after:?}");
            }
            let order = order(&new, &conch::event::Key::parse("o-1").unwrap()).unwrap().unwrap();
            assert_eq!((order.amount, order.txn_id.as_deref()), (Some(120), Some("txn-1")));
            let verdict: String = new.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(verdict, "ok");
            std::fs::remove_dir_all(data).unwrap();
        }
    }
}

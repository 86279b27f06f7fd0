//! The acquirer's books: what it was asked under which id, what it holds, and what it moved.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What it is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Hold an amount.
    Authorize,
    /// Take what is held.
    Capture,
    /// Let go of what is held.
    Cancel,
    /// Give back what was taken.
    Refund,
}

impl Service {
    const ALL: [Self; 4] = [Self::Authorize, Self::Capture, Self::Cancel, Self::Refund];

    /// Reads the word of the list.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == word)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The merchant's id: the same id is done once.
    pub id: String,
    /// The id of the authorization to take or let go, or the reference of the money to give back.
    pub about: String,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// What the payer reads.
    pub statement: String,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Outcome {
    /// Done.
    Done {
        /// The acquirer's name for it.
        reference: String,
        /// Minor units.
        amount: u64,
        /// ISO 4217.
        currency: String,
    },
    /// Not done, for good.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Movement {
    /// Its place in the list, from 1.
    pub number: u64,
    /// Its reference.
    pub reference: String,
    /// The merchant's id.
    pub id: String,
    /// `capture` or `refund`.
    pub service: String,
    /// Minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// What the payer reads.
    pub statement: String,
}

/// The books, in one file.
#[derive(Debug)]
pub struct Ledger(Connection);

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS tasks (
  id TEXT PRIMARY KEY, service TEXT NOT NULL, about TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL,
  done INTEGER NOT NULL CHECK (done IN (0, 1)), reference TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS holds (
  id TEXT PRIMARY KEY REFERENCES tasks (id), amount INTEGER NOT NULL, currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'captured', 'cancelled'))
) STRICT;
CREATE TABLE IF NOT EXISTS movements (
  number INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT NOT NULL UNIQUE, id TEXT NOT NULL, service TEXT NOT NULL,
  about TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, statement TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS movements_about ON movements (about);
";

impl Ledger {
    /// Opens the books in a file, or new ones in memory.
    pub fn open(file: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.execute_batch(LAYOUT)?;
        Ok(Self(connection))
    }

    /// Does a task, unless its id was done or refused before. `None` when the id stands for something else. `decline`
    /// refuses a new one; `double` moves the money of a capture twice.
    pub fn perform(
        &mut self,
        service: Service,
        task: &Task,
        decline: bool,
        double: bool,
    ) -> rusqlite::Result<Option<Outcome>> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some((same, outcome)) = known(&transaction, service, task)? {
            return Ok(same.then_some(outcome));
        }
        let allowed = if decline { Err("declined") } else { allowed(&transaction, service, task)? };
        let number: i64 = transaction.query_row("SELECT count(*) + 1 FROM tasks", [], |row| row.get(0))?;
        let (done, reference) = match allowed {
            Ok(()) => (true, format!("{}-{number}", service.as_str())),
            Err(reason) => (false, reason.to_owned()),
        };
        transaction.execute(
            "INSERT INTO tasks (id, service, about, amount, currency, done, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![task.id, service.as_str(), task.about, int(task.amount), task.currency, done, reference],
        )?;
        if done {
            carry_out(&transaction, service, task, &reference, double)?;
        }
        transaction.commit()?;
        Ok(Some(outcome(done, reference, task.amount, &task.currency)))
    }

    /// What became of an id.
    pub fn query(&self, id: &str) -> rusqlite::Result<Option<Outcome>> {
        let sql = "SELECT done, reference, amount, currency FROM tasks WHERE id = ?1";
        self.0.query_row(sql, [id], |row| read_outcome(row, 0)).optional()
    }

    /// What moved behind a place in the list, at most so much.
    pub fn movements(&self, after: u64, limit: u32) -> rusqlite::Result<Vec<Movement>> {
        let mut statement = self.0.prepare_cached(
            "SELECT number, reference, id, service, amount, currency, statement FROM movements WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let rows = statement.query_map(params![int(after), limit], |row| {
            Ok(Movement {
                number: row.get(0)?,
                reference: row.get(1)?,
                id: row.get(2)?,
                service: row.get(3)?,
                amount: row.get(4)?,
                currency: row.get(5)?,
                statement: row.get(6)?,
            })
        })?;
        rows.collect()
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn outcome(done: bool, reference: String, amount: u64, currency: &str) -> Outcome {
    match done {
        true => Outcome::Done { reference, amount, currency: currency.to_owned() },
        false => Outcome::Refused { reason: reference },
    }
}

fn read_outcome(row: &Row<'_>, at: usize) -> rusqlite::Result<Outcome> {
    let currency: String = row.get(at + 3)?;
    Ok(outcome(row.get(at)?, row.get(at + 1)?, row.get(at + 2)?, &currency))
}

/// What came of the id before, and whether it was the same task.
fn known(
    connection: &Connection,
    service: Service,
    task: &Task,
) -> rusqlite::Result<Option<(bool, Outcome)>> {
    let sql =
        "SELECT service, about, amount, currency, done, reference, amount, currency FROM tasks WHERE id = ?1";
    let read = |row: &Row<'_>| {
        let own: (String, String, u64, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let asked = (service.as_str(), task.about.as_str(), task.amount, task.currency.as_str());
        Ok(((own.0.as_str(), own.1.as_str(), own.2, own.3.as_str()) == asked, read_outcome(row, 4)?))
    };
    connection.query_row(sql, [&task.id], read).optional()
}

fn allowed(
    connection: &Connection,
    service: Service,
    task: &Task,
) -> rusqlite::Result<Result<(), &'static str>> {
    match service {
        Service::Authorize => Ok(Ok(())),
        Service::Capture | Service::Cancel => {
            let sql = "SELECT state, amount, currency FROM holds WHERE id = ?1";
            let hold: Option<(String, u64, String)> = connection
                .query_row(sql, [&task.about], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            Ok(match hold {
                None => Err("no_hold"),
                Some((state, ..)) if state == "captured" => Err("already_captured"),
                Some((state, ..)) if state == "cancelled" => Err("already_cancelled"),
                Some((_, amount, currency)) if amount < task.amount || currency != task.currency => {
                    Err("more_than_held")
                }
                Some(_) => Ok(()),
            })
        }
        Service::Refund => {
            let taken: Option<u64> = connection
                .query_row(
                    "SELECT amount FROM movements WHERE reference = ?1 AND service = 'capture' AND currency = ?2",
                    params![task.about, task.currency],
                    |row| row.get(0),
                )
                .optional()?;
            let back: u64 = connection.query_row(
                "SELECT coalesce(sum(amount), 0) FROM movements WHERE about = ?1 AND service = 'refund'",
                [&task.about],
                |row| row.get(0),
            )?;
            Ok(match taken {
                None => Err("no_capture"),
                Some(taken) if back.saturating_add(task.amount) > taken => Err("more_than_captured"),
                Some(_) => Ok(()),
            })
        }
    }
}

fn carry_out(
    connection: &Connection,
    service: Service,
    task: &Task,
    reference: &str,
    double: bool,
) -> rusqlite::Result<()> {
    let turn = |state: &str| {
        connection.execute("UPDATE holds SET state = ?2 WHERE id = ?1", params![task.about, state])
    };
    let movement = |reference: &str| {
        connection.execute(
            "INSERT INTO movements (reference, id, service, about, amount, currency, statement) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![reference, task.id, service.as_str(), task.about, int(task.amount), task.currency, task.statement],
        )
    };
    match service {
        Service::Authorize => connection.execute(
            "INSERT INTO holds (id, amount, currency, state) VALUES (?1, ?2, ?3, 'held')",
            params![task.id, int(task.amount), task.currency],
        ),
        Service::Cancel => turn("cancelled"),
        Service::Capture => {
            turn("captured")?;
            if double {
                movement(&format!("{reference}-again"))?;
            }
            movement(reference)
        }
        Service::Refund => movement(reference),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, about: &str, amount: u64) -> Task {
        let (id, about) = (id.to_owned(), about.to_owned());
        Task { id, about, amount, currency: "TWD".into(), statement: "a stall".into() }
    }

    fn done(outcome: Option<Outcome>) -> String {
        match outcome.unwrap() {
            Outcome::Done { reference, .. } => reference,
            Outcome::Refused { reason } => panic!("{reason}"),
        }
    }

    fn refused(outcome: Option<Outcome>) -> String {
        match outcome.unwrap() {
            Outcome::Done { reference, .. } => panic!("{reference} was done"),
            Outcome::Refused { reason } => reason,
        }
    }

    #[test]
    fn the_same_id_is_done_once_and_stands_for_one_thing() {
        let mut ledger = Ledger::open(None).unwrap();
        ledger.perform(Service::Authorize, &task("a", "a", 100), false, false).unwrap();
        let first = ledger.perform(Service::Capture, &task("c", "a", 100), false, false).unwrap();
        let again = ledger.perform(Service::Capture, &task("c", "a", 100), true, true).unwrap();
        assert_eq!(first, again);
        assert_eq!(ledger.perform(Service::Capture, &task("c", "a", 99), false, false).unwrap(), None);
        assert_eq!(ledger.movements(0, 10).unwrap().len(), 1);
        assert_eq!(ledger.query("c").unwrap(), first);
        assert_eq!(ledger.query("d").unwrap(), None);
    }

    #[test]
    fn what_is_held_is_taken_once_and_given_back_once() {
        let mut ledger = Ledger::open(None).unwrap();
        let mut ask = |service, task: Task| ledger.perform(service, &task, false, false).unwrap();
        assert_eq!(refused(ask(Service::Capture, task("c0", "a", 100))), "no_hold");
        done(ask(Service::Authorize, task("a", "a", 100)));
        assert_eq!(refused(ask(Service::Capture, task("c1", "a", 101))), "more_than_held");
        let taken = done(ask(Service::Capture, task("c2", "a", 100)));
        assert_eq!(refused(ask(Service::Capture, task("c3", "a", 100))), "already_captured");
        assert_eq!(refused(ask(Service::Cancel, task("x", "a", 100))), "already_captured");
        assert_eq!(refused(ask(Service::Refund, task("r0", "capture-99", 1))), "no_capture");
        done(ask(Service::Refund, task("r1", &taken, 60)));
        assert_eq!(refused(ask(Service::Refund, task("r2", &taken, 41))), "more_than_captured");
        done(ask(Service::Refund, task("r3", &taken, 40)));
    }

    #[test]
    fn the_faults_decline_and_take_twice() {
        let mut ledger = Ledger::open(None).unwrap();
        let declined = ledger.perform(Service::Authorize, &task("a", "a", 5), true, false).unwrap();
        assert_eq!(refused(declined), "declined");
        ledger.perform(Service::Authorize, &task("b", "b", 5), false, false).unwrap();
        ledger.perform(Service::Capture, &task("c", "b", 5), false, true).unwrap();
        let moved = ledger.movements(0, 10).unwrap();
        assert_eq!(moved.iter().filter(|movement| movement.id == "c").count(), 2);
        assert_ne!(moved[0].reference, moved[1].reference);
    }
}

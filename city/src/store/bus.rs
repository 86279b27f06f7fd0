//! The rows of the bus over SQLite.

use super::tx::{SqlTx, fault};
use super::{int, moment, strange, whole};
use city_domain::bus::{BusTx, Closing, DeadLetter, Failure, Message, PARTITIONS, Wait};
use city_domain::{Fault, Tx};
use conch::event::{EventId, EventType, Key, Topic, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Reads a message from six columns: source, id, topic, type, key, body.
fn message(row: &Row<'_>, first: usize) -> rusqlite::Result<Message> {
    let text = |index: usize| row.get::<_, String>(first + index);
    Ok(Message {
        source: text(0)?,
        id: EventId::from_bytes(row.get(first + 1)?),
        topic: Topic::parse(&text(2)?).map_err(|_| strange(first + 2, "not a topic"))?,
        kind: EventType::parse(&text(3)?).map_err(|_| strange(first + 3, "not a type"))?,
        key: Key::parse(&text(4)?).map_err(|_| strange(first + 4, "not a key"))?,
        body: text(5)?,
    })
}

/// What an earlier release wrote and this one has no name for is `None`, not a failure of the storage.
fn readable(found: rusqlite::Result<Message>) -> rusqlite::Result<Option<Message>> {
    match found {
        Ok(message) => Ok(Some(message)),
        Err(rusqlite::Error::FromSqlConversionFailure(..)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn partition(row: &Row<'_>, index: usize) -> rusqlite::Result<u16> {
    u16::try_from(whole(row, index)?).map_err(|_| strange(index, "not a partition"))
}

fn wait(row: &Row<'_>) -> rusqlite::Result<Wait> {
    Ok(Wait {
        consumer: row.get(0)?,
        partition: partition(row, 1)?,
        offset: whole(row, 2)?,
        key: Key::parse(&row.get::<_, String>(3)?).map_err(|_| strange(3, "not a key"))?,
        tries: u32::try_from(whole(row, 4)?).unwrap_or(u32::MAX),
        due: moment(row, 5)?,
        dead: row.get::<_, i64>(6)? == 1,
        body: row.get(7)?,
    })
}

const WAIT: &str = "SELECT consumer, partition, offset, key, tries, due, dead, body FROM waits";

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let closed = match moment(row, 16)? {
        None => None,
        Some(at) => Some(Closing {
            at,
            by: row.get(17)?,
            redriven: row.get::<_, i64>(18)? == 1,
            reason: row.get(19)?,
        }),
    };
    Ok(DeadLetter {
        number: whole(row, 0)?,
        consumer: row.get(1)?,
        partition: partition(row, 2)?,
        offset: whole(row, 3)?,
        message: message(row, 4)?,
        tries: u32::try_from(whole(row, 10)?).unwrap_or(u32::MAX),
        code: row.get(11)?,
        detail: row.get(12)?,
        fingerprint: row.get(13)?,
        mended: row.get(20)?,
        blocks: row.get::<_, i64>(14)? == 1,
        at: UnixMillis(whole(row, 15)?),
        closed,
    })
}

const LETTER: &str = "SELECT number, consumer, partition, offset, source, id, topic, type, key, body, tries, code, \
    detail, fingerprint, blocks, at, closed_at, closed_by, redriven, reason, mended FROM dead_letters";

/// Open dead letters, or all of them, oldest first; perhaps only those of one kind of failure.
pub(crate) fn dead_letters(
    connection: &Connection,
    fingerprint: Option<&str>,
    all: bool,
    limit: u32,
) -> rusqlite::Result<Vec<DeadLetter>> {
    // Four questions instead of one with alternatives, so that the index over the open ones serves.
    let open = if all { "" } else { "AND closed_at IS NULL" };
    let kind = if fingerprint.is_some() { "fingerprint = ?1" } else { "?1 IS NULL" };
    let sql = format!("{LETTER} WHERE {kind} {open} ORDER BY number LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![fingerprint, limit], letter)?;
    rows.collect()
}

/// One dead letter.
pub(crate) fn dead_letter(connection: &Connection, number: u64) -> rusqlite::Result<Option<DeadLetter>> {
    let sql = format!("{LETTER} WHERE number = ?1");
    connection.prepare_cached(&sql)?.query_row([int(number)], letter).optional()
}

impl SqlTx<'_> {
    /// Writes and tells how many rows changed.
    pub(super) fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, Fault> {
        self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(fault)
    }
}

impl BusTx for SqlTx<'_> {
    fn piece(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), Failure>) -> Result<(), Failure> {
        let step = |sql: &str| self.write(sql, []);
        step("SAVEPOINT piece")?;
        let panicked = || Err(Failure::later("panicked", "the handler panicked; the log says where"));
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut SqlTx(self.0)))).unwrap_or_else(|_| panicked());
        if self.0.is_autocommit() {
            // A failure such as a full disk ended the whole transaction.
            return Err(Failure::Storage(Fault("the transaction is gone".to_owned())));
        }
        if done.is_err() {
            step("ROLLBACK TO piece")?;
        }
        step("RELEASE piece")?;
        match done {
            // A row that may not be is the handler's mistake, not the storage's: it must not stop the others.
            Err(Failure::Storage(Fault(detail))) if detail.contains("constraint failed") => {
                Err(Failure::later("constraint", detail))
            }
            done => done,
        }
    }

    fn said_in(&mut self) -> Result<Vec<u16>, Fault> {
        // One look into the index for each partition, however much lies there.
        let sql = "WITH RECURSIVE present (partition) AS (
              SELECT min(partition) FROM outgoing
              UNION ALL
              SELECT (SELECT min(partition) FROM outgoing WHERE partition > present.partition) FROM present
              WHERE present.partition IS NOT NULL)
            SELECT partition FROM present WHERE partition IS NOT NULL";
        self.list(sql, [], |row| row.get(0))
    }

    fn outgoing(&mut self, partition: u16, limit: usize) -> Result<Vec<(u64, Message)>, Fault> {
        self.list(
            "SELECT place, source, id, topic, type, key, body FROM outgoing WHERE partition = ?1 ORDER BY place LIMIT ?2",
            params![partition, int(limit as u64)],
            |row| Ok((whole(row, 0)?, message(row, 1)?)),
        )
    }

    fn drop_outgoing(&mut self, _partition: u16, place: u64) -> Result<(), Fault> {
        self.write("DELETE FROM outgoing WHERE place = ?1", [int(place)])
    }

    fn backlog(&mut self) -> Result<u64, Fault> {
        // The ends of the table: near enough, and no count.
        let found = self.find(
            "SELECT coalesce((SELECT max(place) FROM outgoing) - (SELECT min(place) FROM outgoing) + 1, 0)",
            [],
            |row| whole(row, 0),
        )?;
        Ok(found.unwrap_or(0))
    }

    fn lease(&mut self, name: &str) -> Result<Option<(String, UnixMillis)>, Fault> {
        self.find("SELECT holder, until FROM leases WHERE name = ?1", [name], |row| {
            Ok((row.get(0)?, UnixMillis(whole(row, 1)?)))
        })
    }

    fn put_lease(&mut self, name: &str, holder: &str, until: UnixMillis) -> Result<(), Fault> {
        self.write(
            "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET holder = ?2, until = ?3",
            params![name, holder, int(until.0)],
        )
    }

    fn append(&mut self, message: &Message, at: UnixMillis) -> Result<bool, Fault> {
        let changed = self
            .0
            .prepare_cached(
                // One row of values, not a SELECT: for what may be many rows SQLite keeps a journal of the statement.
                "INSERT INTO log (partition, offset, source, id, topic, type, key, body, at)
                 VALUES (?1, 1 + coalesce((SELECT max(offset) FROM log WHERE partition = ?1), 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (source, id) DO NOTHING",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    message.partition(),
                    message.source,
                    message.id.to_bytes(),
                    message.topic.as_str(),
                    message.kind.as_str(),
                    message.key.as_str(),
                    message.body,
                    int(at.0)
                ])
            })
            .map_err(fault)?;
        Ok(changed == 1)
    }

    fn log_after(
        &mut self,
        partition: u16,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Option<Message>)>, Fault> {
        self.list(
            "SELECT offset, source, id, topic, type, key, body FROM log WHERE partition = ?1 AND offset > ?2 ORDER BY offset LIMIT ?3",
            params![partition, int(offset), int(limit as u64)],
            |row| Ok((whole(row, 0)?, readable(message(row, 1))?)),
        )
    }

    fn log_at(&mut self, partition: u16, offset: u64) -> Result<Option<Message>, Fault> {
        self.find(
            "SELECT source, id, topic, type, key, body FROM log WHERE partition = ?1 AND offset = ?2",
            params![partition, int(offset)],
            |row| readable(message(row, 0)),
        )
        .map(Option::flatten)
    }

    fn head(&mut self, partition: u16) -> Result<u64, Fault> {
        let found =
            self.find("SELECT coalesce(max(offset), 0) FROM log WHERE partition = ?1", [partition], |row| {
                whole(row, 0)
            })?;
        Ok(found.unwrap_or(0))
    }

    fn cursor(&mut self, consumer: &str, partition: u16) -> Result<u64, Fault> {
        let found = self.find(
            "SELECT offset FROM cursors WHERE consumer = ?1 AND partition = ?2",
            params![consumer, partition],
            |row| whole(row, 0),
        )?;
        Ok(found.unwrap_or(0))
    }

    fn put_cursor(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.write(
            "INSERT INTO cursors (consumer, partition, offset) VALUES (?1, ?2, ?3)
             ON CONFLICT (consumer, partition) DO UPDATE SET offset = ?3",
            params![consumer, partition, int(offset)],
        )
    }

    fn put_handled(
        &mut self,
        consumer: &str,
        source: &str,
        id: EventId,
        at: UnixMillis,
    ) -> Result<bool, Fault> {
        let changed = self
            .0
            .prepare_cached(
                "INSERT INTO handled (consumer, source, id, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut statement| statement.execute(params![consumer, source, id.to_bytes(), int(at.0)]))
            .map_err(fault)?;
        Ok(changed == 1)
    }

    fn drop_handled(&mut self, consumer: &str, source: &str, id: EventId) -> Result<(), Fault> {
        self.write(
            "DELETE FROM handled WHERE consumer = ?1 AND source = ?2 AND id = ?3",
            params![consumer, source, id.to_bytes()],
        )
    }

    fn wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<Option<Wait>, Fault> {
        let sql = format!("{WAIT} WHERE consumer = ?1 AND partition = ?2 AND offset = ?3");
        self.find(&sql, params![consumer, partition, int(offset)], wait)
    }

    fn first_wait(&mut self, consumer: &str, key: &Key) -> Result<Option<Wait>, Fault> {
        let sql = format!(
            "{WAIT} INDEXED BY waits_of_key WHERE consumer = ?1 AND key = ?2 ORDER BY partition, offset LIMIT 1"
        );
        self.find(&sql, params![consumer, key.as_str()], wait)
    }

    fn due_waits(&mut self, consumer: &str, now: UnixMillis, limit: usize) -> Result<Vec<Wait>, Fault> {
        let sql =
            format!("{WAIT} WHERE consumer = ?1 AND due <= ?2 ORDER BY due, partition, offset LIMIT ?3");
        self.list(&sql, params![consumer, int(now.0), int(limit as u64)], wait)
    }

    fn next_due(&mut self, consumer: &str) -> Result<Option<UnixMillis>, Fault> {
        let found = self.find(
            "SELECT min(due) FROM waits WHERE consumer = ?1 AND due IS NOT NULL",
            [consumer],
            |row| moment(row, 0),
        )?;
        Ok(found.flatten())
    }

    fn put_wait(&mut self, wait: &Wait) -> Result<(), Fault> {
        self.write(
            "INSERT INTO waits (consumer, partition, offset, key, tries, due, dead, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (consumer, partition, offset) DO UPDATE SET tries = ?5, due = ?6, dead = ?7, body = ?8",
            params![
                wait.consumer,
                wait.partition,
                int(wait.offset),
                wait.key.as_str(),
                wait.tries,
                wait.due.map(|due| int(due.0)),
                wait.dead,
                wait.body
            ],
        )
    }

    fn drop_wait(&mut self, consumer: &str, partition: u16, offset: u64) -> Result<(), Fault> {
        self.write(
            "DELETE FROM waits WHERE consumer = ?1 AND partition = ?2 AND offset = ?3",
            params![consumer, partition, int(offset)],
        )
    }

    fn forget(
        &mut self,
        consumers: &[&str],
        before: UnixMillis,
        limit: usize,
    ) -> Result<(usize, bool), Fault> {
        let (mut forgotten, mut more) = (0, false);
        for sql in [
            "DELETE FROM inbox WHERE (source, id) IN (SELECT source, id FROM inbox WHERE received < ?1 ORDER BY received LIMIT ?2)",
            "DELETE FROM handled WHERE (consumer, source, id) IN (SELECT consumer, source, id FROM handled WHERE at < ?1 ORDER BY at LIMIT ?2)",
            "DELETE FROM claims WHERE (device, event) IN (SELECT device, event FROM claims WHERE received < ?1 ORDER BY received LIMIT ?2)",
            "DELETE FROM forms WHERE asker IN (SELECT asker FROM forms WHERE at < ?1 ORDER BY at LIMIT ?2)",
            "DELETE FROM contacts WHERE (case_key, contact) IN (SELECT case_key, contact FROM contacts WHERE at < ?1 ORDER BY at LIMIT ?2)",
        ] {
            let rows = self.change(sql, params![int(before.0), int(limit as u64)])?;
            forgotten += rows;
            more |= rows == limit;
        }
        for partition in 0..PARTITIONS {
            let mut through = self.head(partition)?.saturating_sub(1);
            for consumer in consumers {
                through = through.min(self.cursor(consumer, partition)?);
            }
            // The oldest first, up to the first one that is young: the log is not read through.
            let oldest: Vec<(u64, u64, bool)> = self.list(
                "SELECT offset, at,
                   EXISTS (SELECT 1 FROM waits AS w WHERE w.partition = log.partition AND w.offset = log.offset)
                   OR EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.partition = log.partition AND d.offset = log.offset AND d.closed_at IS NULL)
                 FROM log WHERE partition = ?1 AND offset <= ?2 ORDER BY offset LIMIT ?3",
                params![partition, int(through), int(limit as u64)],
                |row| Ok((whole(row, 0)?, whole(row, 1)?, row.get::<_, i64>(2)? == 1)),
            )?;
            let old = oldest.iter().take_while(|(_, at, _)| *at < before.0);
            let gone: Vec<u64> = old.filter(|(.., needed)| !needed).map(|(offset, ..)| *offset).collect();
            for offset in &gone {
                let place = params![partition, int(*offset)];
                forgotten += self.change("DELETE FROM log WHERE partition = ?1 AND offset = ?2", place)?;
            }
            more |= gone.len() == limit;
        }
        Ok((forgotten, more))
    }

    fn retire(&mut self, consumer: &str) -> Result<(), Fault> {
        self.write("DELETE FROM cursors WHERE consumer = ?1", [consumer])?;
        self.write("DELETE FROM waits WHERE consumer = ?1", [consumer])
    }

    fn put_dead(&mut self, letter: &DeadLetter) -> Result<u64, Fault> {
        let message = &letter.message;
        self.write(
            "INSERT INTO dead_letters (consumer, partition, offset, source, id, topic, type, key, body, tries, code, detail, fingerprint, blocks, at, mended)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            params![
                letter.consumer,
                letter.partition,
                int(letter.offset),
                message.source,
                message.id.to_bytes(),
                message.topic.as_str(),
                message.kind.as_str(),
                message.key.as_str(),
                message.body,
                letter.tries,
                letter.code,
                letter.detail,
                letter.fingerprint,
                letter.blocks,
                int(letter.at.0),
                letter.mended
            ],
        )?;
        Ok(u64::try_from(self.0.last_insert_rowid()).unwrap_or(0))
    }

    fn open_of_kind(&mut self, fingerprint: &str, most: u64) -> Result<u64, Fault> {
        let found = self.find(
            "SELECT count(*) FROM (SELECT 1 FROM dead_letters WHERE fingerprint = ?1 AND closed_at IS NULL LIMIT ?2)",
            params![fingerprint, int(most)],
            |row| whole(row, 0),
        )?;
        Ok(found.unwrap_or(0))
    }

    fn dead(&mut self, number: u64) -> Result<Option<DeadLetter>, Fault> {
        dead_letter(self.0, number).map_err(fault)
    }

    fn close_dead(&mut self, number: u64, closing: &Closing) -> Result<(), Fault> {
        let changed = self
            .0
            .prepare_cached(
                "UPDATE dead_letters SET closed_at = ?2, closed_by = ?3, redriven = ?4, reason = ?5
                 WHERE number = ?1 AND closed_at IS NULL",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    int(number),
                    int(closing.at.0),
                    closing.by,
                    closing.redriven,
                    closing.reason
                ])
            })
            .map_err(fault)?;
        if changed == 1 { Ok(()) } else { Err(Fault("dead_letters: there is no open one".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

    const OLD: UnixMillis = UnixMillis(1_000);
    const NEW: UnixMillis = UnixMillis(9_000);

    fn message(key: &str, number: u8) -> Message {
        let id = EventId::mint(UnixMillis(1), [number; 10]);
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"s","type":"stall.note.v1.said","partitionkey":"{key}","data":{{}}}}"#
        );
        Message::read(body).unwrap()
    }

    #[test]
    fn the_past_is_forgotten_but_not_what_somebody_still_needs() {
        let data = std::env::temp_dir().join(format!("city-forget-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let connection = open(&data).unwrap();
        let mut tx = SqlTx(&connection);
        let messages: Vec<_> = (1..=6).map(|number| message("one-key", number)).collect();
        let partition = messages[0].partition();
        for message in &messages {
            assert!(tx.append(message, OLD).unwrap());
            assert!(!tx.append(message, OLD).unwrap(), "once");
        }
        let wait = Wait {
            consumer: "one".into(),
            partition,
            offset: 2,
            key: messages[1].key.clone(),
            tries: 1,
            due: None,
            dead: false,
            body: None,
        };
        tx.put_wait(&wait).unwrap();
        let letter = DeadLetter {
            number: 0,
            consumer: "one".into(),
            partition,
            offset: 3,
            message: messages[2].clone(),
            tries: 1,
            code: "c".into(),
            detail: "d".into(),
            fingerprint: "f".into(),
            mended: None,
            blocks: false,
            at: OLD,
            closed: None,
        };
        let number = tx.put_dead(&letter).unwrap();
        tx.put_handled("one", "s", messages[0].id, OLD).unwrap();
        tx.put_handled("one", "s", messages[1].id, NEW).unwrap();
        tx.put_cursor("one", partition, 6).unwrap();
        tx.put_cursor("two", partition, 4).unwrap();
        let offsets = |tx: &mut SqlTx<'_>| -> Vec<u64> {
            tx.log_after(partition, 0, 100).unwrap().iter().map(|(offset, _)| *offset).collect()
        };
        assert_eq!(tx.forget(&["one", "two"], OLD, 100).unwrap(), (0, false), "nothing is older");
        let before = UnixMillis(5_000);
        assert_eq!(
            tx.forget(&["one", "two"], before, 100).unwrap(),
            (3, false),
            "one inbox row, and 1 and 4 of the log"
        );
        assert_eq!(offsets(&mut tx), [2, 3, 5, 6], "waited for, dead, not taken up by all, the last one");
        assert!(!tx.put_handled("one", "s", messages[1].id, NEW).unwrap());
        tx.drop_wait("one", partition, 2).unwrap();
        let closing = Closing { at: NEW, by: "ops-1".into(), redriven: false, reason: "r".into() };
        tx.close_dead(number, &closing).unwrap();
        tx.put_cursor("two", partition, 6).unwrap();
        assert_eq!(
            tx.forget(&["one", "two"], before, 2).unwrap(),
            (2, true),
            "no more at once than asked for"
        );
        tx.forget(&["one", "two"], before, 100).unwrap();
        assert_eq!(offsets(&mut tx), [6]);
        tx.append(&message("one-key", 7), NEW).unwrap();
        assert_eq!(offsets(&mut tx), [6, 7], "offsets are never used twice");
        std::fs::remove_dir_all(data).unwrap();
    }

    /// A plan that walks all waits stood the writer still for seconds.
    #[test]
    fn what_waits_for_a_key_is_found_by_its_index() {
        let data = std::env::temp_dir().join(format!("city-plan-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let connection = open(&data).unwrap();
        let plan = |sql: &str| -> String {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        let first = plan(&format!(
            "{WAIT} INDEXED BY waits_of_key WHERE consumer = 'c' AND key = 'k' ORDER BY partition, offset LIMIT 1"
        ));
        assert!(
            first.contains("waits_of_key (consumer=? AND key=?)") && !first.contains("TEMP B-TREE"),
            "{first}"
        );
        let needed = plan("SELECT 1 FROM waits AS w WHERE w.partition = 1 AND w.offset = 1");
        assert!(needed.contains("waits_at (partition=? AND offset=?)"), "{needed}");
        let needed = plan(
            "SELECT 1 FROM dead_letters AS d WHERE d.partition = 1 AND d.offset = 1 AND d.closed_at IS NULL",
        );
        assert!(needed.contains("dead_letters_at"), "{needed}");
        let open_ones =
            plan(&format!("{LETTER} WHERE NULL IS NULL AND closed_at IS NULL ORDER BY number LIMIT 9"));
        assert!(!open_ones.contains("TEMP B-TREE"), "{open_ones}");
        std::fs::remove_dir_all(data).unwrap();
    }
}

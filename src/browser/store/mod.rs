//! The outbox on IndexedDB: each batch one transaction, each question one transaction, nothing awaited inside.
//!
//! The store decides nothing. What a batch reads and writes is decided by the machine in `outbox::transact`, which
//! `batch` runs inside the browser's transaction, driven by `conversation`; the layout on disk is frozen in `layout`.
//!
//! What happens to
//! - **a group of 100 with one duplicate**: the unique index refuses the segment, the store takes the group's
//!   other segments back, looks the identities up and stores the 99 as one segment, all in the same transaction;
//!   the duplicate gets the receipt it had.
//! - **twins in one turn**: the index does not see twins inside one record, so the machine finds them in memory;
//!   one is stored, the other is its replay, or a conflict if it means something else.
//! - **an abort**: nothing of the batch is on disk, and the sequences are given out again.
//! - **a lost connection**: the handle is dropped, the database opened again and the batch applied once more with
//!   the same ids. If the first try had completed after all, the events are found by their own ids and not stored
//!   twice. If that fails too, the fault is [`StoreFault::Lost`].

mod batch;
mod connection;
mod conversation;
mod fault;
mod layout;
mod query;
mod records;
mod requests;
mod told;
mod upgrade;

use crate::browser::work::Work;
use crate::event::{Collection, Device, EventId, Key, RecordName, Sequence};
use crate::outbox::port::{Applied, Batch, Load, Opened, Page, StoreFault};
use crate::outbox::record::DeadLetter;
use crate::outbox::transact::Refusal;
use batch::Running;
use connection::Connection;
use conversation::{Access, Script, converse};
use fault::Fault;
use query::{Answers, Question};
use std::cell::RefCell;
use std::rc::Rc;

pub use query::Fate;

/// One outbox on disk. Several stores, also in several tabs, may share one database.
pub struct Store {
    connection: Rc<Connection>,
}

impl Store {
    /// Opens the database of this name, creating it the first time for this device.
    pub async fn open(name: &str, device: &Device) -> Result<(Self, Opened), StoreFault> {
        let store = Self { connection: Connection::open(name, device).await? };
        let opened = store.opened().await?;
        Ok((store, opened))
    }

    /// The incarnation: made once when the database was created, so a wiped or restored one differs.
    pub fn life(&self) -> &str {
        self.connection.incarnation()
    }

    /// What the engine needs to begin, or to see what other contexts did.
    pub async fn opened(&self) -> Result<Opened, StoreFault> {
        Ok(query::beginning(&self.ask(Question::Beginning).await?))
    }

    /// Applies a batch in one transaction and resolves when that has completed.
    ///
    /// On a dead connection it is tried once more on a new one, with the same ids.
    pub async fn apply(&self, mut batch: Batch) -> Applied {
        // A decision of a person is no longer open once it was taken, so a second try cannot tell whose it was.
        let once = matches!(batch, Batch::Redrive { .. } | Batch::Revive { .. } | Batch::Discard { .. });
        let mut first_fault: Option<Fault> = None;
        loop {
            let database = self.connection.database().await?;
            let (stores, access) = (batch::stores(&batch), Access::Write(batch.durability()));
            let running = Rc::new(RefCell::new(Running::new(batch)));
            let script = Rc::clone(&running) as Rc<RefCell<dyn Script>>;
            let ended = converse(&database, stores, access, script).await;
            let result = running.borrow_mut().result();
            let fault = match (ended, result) {
                (_, Some(Err(refusal))) => {
                    let taken = matches!(refusal, Refusal::NotFound | Refusal::IntentTaken);
                    return Err(match first_fault {
                        Some(fault) if once && taken => fault.into_lost(),
                        _ => StoreFault::Refused(refusal),
                    });
                }
                (Ok(()), Some(Ok(done))) => return Ok(done),
                (Ok(()), None) => return Err(StoreFault::Refused(Refusal::Broken)),
                (Err(fault), _) => self.connection.survive(&database, fault)?,
            };
            if first_fault.is_some() {
                return Err(fault.into_lost());
            }
            first_fault = Some(fault);
            batch = running.borrow().batch();
        }
    }

    /// One page of owed rows.
    pub async fn load(&self, load: Load) -> Result<Page, StoreFault> {
        let answers = self.ask(Question::Owed(load.clone())).await?;
        Ok(query::owed(&load, &answers))
    }

    /// The dead letters that wait for a person, oldest first, at most so many.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreFault> {
        Ok(query::dead_letters(&self.ask(Question::DeadLetters(limit)).await?))
    }

    /// The dead letter of a sequence: the open one, or the record of what was decided.
    pub async fn dead_letter(&self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreFault> {
        Ok(query::dead_letter(&self.ask(Question::DeadLetter(sequence)).await?))
    }

    /// What became of an event, by its id (or its intent), for as long as the device remembers it.
    pub async fn find(&self, identity: [u8; 16]) -> Result<Option<Fate>, StoreFault> {
        Ok(query::fate(identity, &self.ask(Question::Fate(identity)).await?))
    }

    /// What the city said about an event, in the order of its ids, encoded.
    pub async fn answers_to(&self, id: EventId) -> Result<Vec<String>, StoreFault> {
        Ok(query::answers_to(&self.ask(Question::AnswersTo(id)).await?))
    }

    /// One record of the application, as JSON.
    pub async fn record(&self, name: RecordName) -> Result<Option<String>, StoreFault> {
        Ok(query::record(&self.ask(Question::Record(name)).await?))
    }

    /// Keys and values of a collection after a key, in the order of their keys, at most so many.
    pub async fn records(
        &self,
        collection: Collection,
        after: Option<Key>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreFault> {
        Ok(query::records(&self.ask(Question::Records(collection, after, limit)).await?))
    }

    /// Closes the database for good; what is under way still ends.
    pub fn close(&self) {
        self.connection.close();
    }

    /// Boxed, so that whoever asks holds no more than that.
    fn ask(&self, question: Question) -> Work<Result<Answers, StoreFault>> {
        let (connection, question) = (Rc::clone(&self.connection), Rc::new(question));
        Box::pin(async move {
            let mut failed = false;
            loop {
                let database = connection.database().await?;
                match query::ask(&database, Rc::clone(&question)).await {
                    Ok(answers) => return Ok(answers),
                    Err(fault) if failed => return Err(fault.into_lost()),
                    Err(fault) => connection.survive(&database, fault)?,
                };
                failed = true;
            }
        })
    }
}

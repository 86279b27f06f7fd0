//! The open database: opened once, dropped when the browser takes it away, and opened again when it is needed.
//!
//! A database is created only by the first opening. One that has vanished since, or that lives another life, is
//! lost: writing on as if nothing had happened would give its sequences out twice.

use super::ending::Ending;
use super::fault::Fault;
use super::layout::{META, VERSION};
use super::query::{self, Life};
use super::upgrade::upgrade;
use crate::browser::sys;
use crate::outbox::port::StoreFault;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;
use web_sys::{Event, IdbDatabase, IdbOpenDbRequest, IdbVersionChangeEvent};

/// One database by name, connected or not.
pub(super) struct Connection {
    name: String,
    incarnation: String,
    state: RefCell<State>,
}

enum State {
    Open(Handle),
    /// The browser closed it; the next use opens it again.
    Dropped,
    /// We closed it for good.
    Closed,
}

/// An open database that listens for its own end.
struct Handle {
    database: IdbDatabase,
    _ended: Closure<dyn Fn(Event)>,
}

impl Connection {
    /// Opens the database, creating or upgrading it first if need be.
    pub(super) async fn open(name: &str) -> Result<Rc<Self>, StoreFault> {
        let database = opened(name, Absent::Create).await.map_err(Fault::into_unavailable)?;
        let incarnation = match life(&database).await {
            Ok(Some(incarnation)) => incarnation,
            Ok(None) => {
                database.close();
                return Err(StoreFault::Unavailable(format!("the database \"{name}\" is not an outbox")));
            }
            Err(fault) => {
                database.close();
                return Err(fault.into_unavailable());
            }
        };
        let connection =
            Rc::new(Self { name: name.to_owned(), incarnation, state: RefCell::new(State::Dropped) });
        connection.adopt(database);
        Ok(connection)
    }

    pub(super) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// The open database; opens it again if the browser closed it.
    pub(super) async fn database(self: &Rc<Self>) -> Result<IdbDatabase, StoreFault> {
        if let Some(current) = self.current()? {
            return Ok(current);
        }
        let database = opened(&self.name, Absent::Refuse).await.map_err(Fault::into_lost)?;
        let known = life(&database).await;
        if known.as_ref().map(Option::as_deref) != Ok(Some(self.incarnation.as_str())) {
            database.close();
            let another = || StoreFault::Lost("another database has taken the place of this one".to_owned());
            return Err(known.map_or_else(Fault::into_lost, |_| another()));
        }
        // Somebody else may have opened it, or closed it for good, while we waited.
        match self.current() {
            Ok(None) => self.adopt(database.clone()),
            Ok(Some(_)) => database.close(),
            Err(closed) => {
                database.close();
                return Err(closed);
            }
        }
        self.current()?.ok_or_else(|| StoreFault::Lost("the database was closed again".to_owned()))
    }

    /// Lets a connection go that has failed, unless it was replaced already. What runs on it may still end well.
    pub(super) fn abandon(&self, failed: &IdbDatabase) {
        let mut state = self.state.borrow_mut();
        if matches!(&*state, State::Open(handle) if handle.database == *failed) {
            failed.close();
            *state = State::Dropped;
        }
    }

    /// Closes it for good.
    pub(super) fn close(&self) {
        if let State::Open(handle) = self.state.replace(State::Closed) {
            handle.database.close();
        }
    }

    fn current(&self) -> Result<Option<IdbDatabase>, StoreFault> {
        match &*self.state.borrow() {
            State::Open(handle) => Ok(Some(handle.database.clone())),
            State::Dropped => Ok(None),
            State::Closed => Err(StoreFault::Unavailable("the store was closed".to_owned())),
        }
    }

    fn adopt(self: &Rc<Self>, database: IdbDatabase) {
        let (connection, own): (Weak<Self>, _) = (Rc::downgrade(self), database.clone());
        // `close` comes when the browser ends the connection. `versionchange` comes when a newer release wants to
        // upgrade, or somebody to delete: both wait until we have let go.
        let ended = Closure::<dyn Fn(Event)>::new(move |_| {
            own.close();
            if let Some(connection) = connection.upgrade() {
                connection.abandon(&own);
            }
        });
        database.set_onclose(Some(ended.as_ref().unchecked_ref()));
        database.set_onversionchange(Some(ended.as_ref().unchecked_ref()));
        self.state.replace(State::Open(Handle { database, _ended: ended }));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.database.set_onclose(None);
        self.database.set_onversionchange(None);
    }
}

/// The incarnation of an open database; none when it is not an outbox at all.
async fn life(database: &IdbDatabase) -> Result<Option<String>, Fault> {
    if !database.object_store_names().contains(META) {
        return Ok(None);
    }
    Ok(Life.read(&query::ask(database, Rc::new(Life)).await?))
}

/// What to do when there is no such database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Create,
    Refuse,
}

/// One opening of the database on its way.
struct Opening {
    request: IdbOpenDbRequest,
    absent: Absent,
    fault: Option<Fault>,
    /// The one handler; it holds this opening, and is let go at the end.
    handler: Option<Closure<dyn Fn(Event)>>,
    end: Ending<Result<IdbDatabase, Fault>>,
}

/// Waits while a tab of an older release still holds the database; it lets go on `versionchange`.
async fn opened(name: &str, absent: Absent) -> Result<IdbDatabase, Fault> {
    let factory = sys::scope().indexed_db().map_err(|thrown| Fault::of(&thrown))?;
    let factory = factory.ok_or_else(|| Fault::new("NotSupportedError", "there is no IndexedDB here"))?;
    let request = factory.open_with_u32(name, VERSION).map_err(|thrown| Fault::of(&thrown))?;
    let end = Ending::new();
    let opening =
        Rc::new(RefCell::new(Opening { request, absent, fault: None, handler: None, end: end.clone() }));
    let heard = Rc::clone(&opening);
    let handler = Closure::<dyn Fn(Event)>::new(move |event: Event| heard.borrow_mut().hear(&event));
    {
        let mut begun = opening.borrow_mut();
        let function = handler.as_ref().unchecked_ref();
        begun.request.set_onupgradeneeded(Some(function));
        begun.request.set_onsuccess(Some(function));
        begun.request.set_onerror(Some(function));
        begun.handler = Some(handler);
    }
    end.await
}

impl Opening {
    fn hear(&mut self, event: &Event) {
        match event.type_().as_str() {
            "upgradeneeded" => self.upgrade(event),
            "success" => {
                let database = self.request.result().map(JsCast::unchecked_into::<IdbDatabase>);
                self.finish(database.map_err(|thrown| Fault::of(&thrown)));
            }
            _ => {
                // Not for the console: it is reported as a fault of the store.
                event.prevent_default();
                let thrown = self.request.error().ok().flatten();
                let fault = self.fault.take().or_else(|| thrown.map(|error| Fault::of_exception(&error)));
                self.finish(Err(
                    fault.unwrap_or_else(|| Fault::new("UnknownError", "it could not be opened"))
                ));
            }
        }
    }

    fn upgrade(&mut self, event: &Event) {
        let from = event.unchecked_ref::<IdbVersionChangeEvent>().old_version() as u32;
        let Some(transaction) = self.request.transaction() else { return };
        let upgraded = match (self.absent, from) {
            (Absent::Refuse, 0) => Err(Fault::new("NotFoundError", "the database was deleted")),
            _ => self
                .request
                .result()
                .and_then(|database| upgrade(database.unchecked_ref(), &transaction, from))
                .map_err(|thrown| Fault::of(&thrown)),
        };
        if let Err(fault) = upgraded {
            self.fault = Some(fault);
            // Taken back, so that no half made database stays; the request ends with an error.
            let _ = transaction.abort();
        }
    }

    fn finish(&mut self, end: Result<IdbDatabase, Fault>) {
        self.request.set_onupgradeneeded(None);
        self.request.set_onsuccess(None);
        self.request.set_onerror(None);
        // While the handler runs the browser's glue keeps it; it goes when this event is over.
        self.handler = None;
        self.end.tell(end);
    }
}

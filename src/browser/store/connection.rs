//! The open database: opened once, dropped when the browser takes it away, and opened again when it is needed.
//!
//! A database is created only by the first opening. One that has vanished since, or that lives another life, is
//! lost: writing on as if nothing had happened would give its sequences out twice.

use super::fault::{BLOCKED, Fault};
use super::layout::{META, VERSION};
use super::query::{self, Life, Question};
use super::told::{Ear, Told};
use super::upgrade::upgrade;
use crate::browser::ending::Ending;
use crate::browser::sys::{self, IdbDatabase, IdbTransaction};
use crate::browser::wakes::Timer;
use crate::event::Device;
use crate::limits::OPEN_TIMEOUT_MS;
use crate::outbox::port::StoreFault;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{IdbFactory, IdbOpenDbRequest};

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
    _ended: Ear,
}

impl Connection {
    /// Opens the database, creating or upgrading it first if need be. What lies in it was said by the device it was
    /// created for, so no other one may speak from it.
    pub(super) async fn open(name: &str, device: &Device) -> Result<Rc<Self>, StoreFault> {
        let absent = Absent::Create(device.clone());
        let (database, life) = living(name, absent).await.map_err(Fault::into_unavailable)?;
        let Some(Life { incarnation, device: own }) = life else {
            database.close();
            return Err(StoreFault::Unavailable(format!("the database \"{name}\" is not an outbox")));
        };
        if let Some(own) = own.filter(|own| own != device.as_str()) {
            database.close();
            return Err(StoreFault::OtherDevice(own));
        }
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
        let (database, life) = living(&self.name, Absent::Refuse).await.map_err(Fault::into_lost)?;
        if life.map(|life| life.incarnation).as_ref() != Some(&self.incarnation) {
            database.close();
            return Err(StoreFault::Lost("another database has taken the place of this one".to_owned()));
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
    fn abandon(&self, failed: &IdbDatabase) {
        let mut state = self.state.borrow_mut();
        if matches!(&*state, State::Open(handle) if handle.database == *failed) {
            failed.close();
            *state = State::Dropped;
        }
    }

    /// After a failure: a full disk stays full, but anything else may be a dead connection, which is let go.
    pub(super) fn survive(&self, database: &IdbDatabase, fault: Fault) -> Result<Fault, StoreFault> {
        match fault.into_known() {
            Ok(known) => Err(known),
            Err(fault) => {
                self.abandon(database);
                Ok(fault)
            }
        }
    }

    /// Closes it for good.
    pub(super) fn close(&self) {
        // After a panic somebody may hold it for ever.
        if let Ok(mut state) = self.state.try_borrow_mut()
            && let State::Open(handle) = core::mem::replace(&mut *state, State::Closed)
        {
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
        let (connection, own) = (Rc::downgrade(self), database.clone());
        // `close` comes when the browser ends the connection. `versionchange` comes when a newer release wants to
        // upgrade, or somebody to delete: both wait until we have let go. A kept page lets go as well: what it begins
        // from now on has to open the database first, and is answered when it is back.
        let ended = Ear::new(move |_, _| {
            own.close();
            if let Some(connection) = connection.upgrade() {
                connection.abandon(&own);
            }
        });
        listen(&database, &ENDS, ended.as_ref());
        self.state.replace(State::Open(Handle { database, _ended: ended }));
    }
}

/// What tells that an open database ends.
const ENDS: [&str; 2] = ["onclose", "onversionchange"];
/// How an opening goes on.
const OPENS: [&str; 3] = ["onupgradeneeded", "onsuccess", "onerror"];

fn listen(target: &JsValue, events: &[&str], handler: &JsValue) {
    for event in events {
        sys::set(target, event, handler);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        listen(&self.database, &ENDS, &JsValue::NULL);
    }
}

/// Opens a database and reads which life it is, and whose; none when it is not an outbox at all.
async fn living(name: &str, absent: Absent) -> Result<(IdbDatabase, Option<Life>), Fault> {
    let database = opened(name, absent).await?;
    let stores = sys::get(&database, "objectStoreNames");
    if sys::call(&stores, "contains", &[&sys::text(META)]).is_ok_and(|has| has.is_falsy()) {
        return Ok((database, None));
    }
    match query::ask(&database, Rc::new(Question::Life)).await {
        Ok(answers) => Ok((database, query::life(&answers))),
        Err(fault) => {
            database.close();
            Err(fault)
        }
    }
}

/// What to do when there is no such database.
enum Absent {
    /// Create it for this device.
    Create(Device),
    Refuse,
}

/// One opening of the database on its way.
struct Opening {
    request: IdbOpenDbRequest,
    absent: Absent,
    fault: Option<Fault>,
    /// The one handler; it holds this opening, and is let go at the end.
    handler: Option<Ear>,
    /// Ends the patience.
    timeout: Option<Timer>,
    given_up: bool,
    end: Ending<Result<IdbDatabase, Fault>>,
}

/// Waits while a tab of an older release still holds the database; it lets go on `versionchange`, unless it hangs.
async fn opened(name: &str, absent: Absent) -> Result<IdbDatabase, Fault> {
    begin(name, absent)?.await
}

fn begin(name: &str, absent: Absent) -> Result<Ending<Result<IdbDatabase, Fault>>, Fault> {
    let of = |thrown: JsValue| Fault::of(&thrown);
    let factory = sys::indexed_db().map_err(of)?;
    if !factory.is_object() {
        return Err(Fault::new("NotSupportedError", "there is no IndexedDB here"));
    }
    let request = factory.unchecked_ref::<IdbFactory>().open_with_u32(name, VERSION).map_err(of)?;
    let end = Ending::new();
    let opening = Rc::new(RefCell::new(Opening {
        request,
        absent,
        fault: None,
        handler: None,
        timeout: None,
        given_up: false,
        end: end.clone(),
    }));
    let (heard, late) = (Rc::clone(&opening), Rc::clone(&opening));
    let handler = Ear::new(move |told, event| heard.borrow_mut().hear(told, event));
    let mut begun = opening.borrow_mut();
    listen(&begun.request, &OPENS, handler.as_ref());
    begun.handler = Some(handler);
    begun.timeout = Some(Timer::set(OPEN_TIMEOUT_MS, move || late.borrow_mut().give_up()));
    Ok(end)
}

impl Opening {
    fn hear(&mut self, told: Told, event: &JsValue) {
        match told {
            Told::Upgrade => self.upgrade(event),
            Told::Success => self.finish(Ok(self.database())),
            Told::Kept => {
                // Without an upgrade under way there is nothing to take back.
                sys::abort(&sys::get(&self.request, "transaction"));
            }
            _ => {
                // Not for the console: it is reported as a fault of the store.
                let _ = sys::call(event, "preventDefault", &[]);
                let fault = self.fault.take().or_else(|| Fault::in_error_of(&self.request));
                self.finish(Err(
                    fault.unwrap_or_else(|| Fault::new("UnknownError", "it could not be opened"))
                ));
            }
        }
    }

    fn database(&self) -> IdbDatabase {
        sys::get(&self.request, "result").unchecked_into()
    }

    /// Nobody waits for it any more. When it comes after all, it must not stand in another one's way.
    fn give_up(&mut self) {
        self.given_up = true;
        self.end.tell(Err(Fault::new(BLOCKED, "another tab does not let go")));
    }

    fn upgrade(&mut self, event: &JsValue) {
        self.timeout = None;
        let from = sys::get(event, "oldVersion").as_f64().unwrap_or_default() as u32;
        let transaction: IdbTransaction = sys::get(&self.request, "transaction").unchecked_into();
        let device = match &self.absent {
            Absent::Create(device) => Some(device),
            Absent::Refuse => None,
        };
        let upgraded = match (device, from) {
            (None, 0) => Err(Fault::new("NotFoundError", "the database was deleted")),
            _ => upgrade(&self.database(), &transaction, from, device).map_err(|thrown| Fault::of(&thrown)),
        };
        if let Err(fault) = upgraded {
            self.fault = Some(fault);
            // Taken back, so that no half made database stays; the request ends with an error.
            sys::abort(&transaction);
        }
    }

    fn finish(&mut self, end: Result<IdbDatabase, Fault>) {
        listen(&self.request, &OPENS, &JsValue::NULL);
        // While the handler runs the browser's glue keeps it; it goes when this event is over.
        self.handler = None;
        self.timeout = None;
        match (self.given_up, end) {
            (false, end) => self.end.tell(end),
            (true, Ok(database)) => database.close(),
            (true, Err(_)) => {}
        }
    }
}

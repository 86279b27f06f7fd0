//! One IndexedDB transaction from its first request to its end, driven by the browser's events alone.
//!
//! **Nothing awaits inside a transaction.** A [`Script`] is asked for requests; when they are answered it is asked
//! again, in the same event, so the transaction never falls idle. One handler serves all events of a
//! transaction and is freed when it ends. The conversation goes on when nobody waits for it any more: half of it
//! must never become durable.

use super::fault::Fault;
use super::told::{Ear, Told};

use crate::browser::ending::Ending;
use crate::browser::sys::{self, Array, IdbDatabase, IdbRequest, IdbTransaction};
use crate::outbox::port::Durability;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// What a script wants next.
pub(super) enum Next {
    /// Answer all of these; one that fails ends the transaction.
    Ask(Vec<IdbRequest>),
    /// Answer all of these additions; one that clashes fails alone.
    Attempt(Vec<IdbRequest>),
    /// Let it complete.
    Complete,
    /// Take everything back.
    Abort,
}

/// Says what a transaction does, step by step.
pub(super) trait Script {
    /// `answered` are the requests of the step before. An error takes everything back.
    fn next(&mut self, transaction: &IdbTransaction, answered: &[IdbRequest]) -> Result<Next, JsValue>;
}

/// What a transaction may do.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Read,
    Write(Durability),
}

/// Opens the transaction and makes its first requests at once; the future resolves when it has completed or was
/// taken back.
pub(super) fn converse(
    database: &IdbDatabase,
    stores: &[&str],
    access: Access,
    script: Rc<RefCell<dyn Script>>,
) -> Ending<Result<(), Fault>> {
    let end = Ending::new();
    match open(database, stores, access) {
        Ok(transaction) => start(transaction, script, end.clone()),
        Err(thrown) => end.tell(Err(Fault::of(&thrown))),
    }
    end
}

fn open(database: &IdbDatabase, stores: &[&str], access: Access) -> Result<IdbTransaction, JsValue> {
    let names = Array::new();
    for name in stores {
        names.push(&sys::text(name));
    }
    let options = sys::object();
    let mode = match access {
        Access::Read => "readonly",
        Access::Write(durability) => {
            let durability = match durability {
                Durability::Strict => "strict",
                Durability::Relaxed => "relaxed",
            };
            sys::set(&options, "durability", &sys::text(durability));
            "readwrite"
        }
    };
    sys::call(database, "transaction", &[&names, &sys::text(mode), &options]).map(JsCast::unchecked_into)
}

struct Conversation {
    transaction: IdbTransaction,
    script: Rc<RefCell<dyn Script>>,
    asked: Vec<IdbRequest>,
    /// Events still to come before the script is asked again.
    waiting: usize,
    /// Whether additions were attempted.
    attempted: bool,
    fault: Option<Fault>,
    /// The one handler; it holds this conversation, and is let go at the end.
    handler: Option<Ear>,
    end: Ending<Result<(), Fault>>,
}

fn start(transaction: IdbTransaction, script: Rc<RefCell<dyn Script>>, end: Ending<Result<(), Fault>>) {
    let conversation = Rc::new(RefCell::new(Conversation {
        transaction,
        script,
        asked: Vec::new(),
        waiting: 0,
        attempted: false,
        fault: None,
        handler: None,
        end,
    }));
    let heard = Rc::clone(&conversation);
    let handler = Ear::new(move |told, event| heard.borrow_mut().hear(told, event));
    let mut begun = conversation.borrow_mut();
    sys::set(&begun.transaction, "oncomplete", handler.as_ref());
    sys::set(&begun.transaction, "onabort", handler.as_ref());
    begun.handler = Some(handler);
    begun.go_on();
}

impl Conversation {
    fn hear(&mut self, told: Told, event: &JsValue) {
        match told {
            Told::Complete => self.finish(Ok(())),
            Told::Abort => {
                // The browser's own reason comes before what its abort made us stumble over.
                let fault = Fault::in_error_of(&self.transaction).or_else(|| self.fault.take());
                self.finish(Err(
                    fault.unwrap_or_else(|| Fault::new("AbortError", "the transaction was aborted"))
                ));
            }
            Told::Kept => {
                // One that is about to complete cannot be taken back, and needs no page for that.
                sys::abort(&self.transaction);
            }
            Told::Error if !clashed(event) => {
                // The browser is about to take everything back; the script is not asked again.
                self.waiting = 0;
                self.asked.clear();
            }
            _ => {
                self.waiting = self.waiting.saturating_sub(1);
                if self.waiting == 0 && !self.asked.is_empty() {
                    self.go_on();
                }
            }
        }
    }

    /// Asks the script and makes what it wants happen.
    fn go_on(&mut self) {
        let answered = core::mem::take(&mut self.asked);
        let next = self.script.borrow_mut().next(&self.transaction, &answered);
        let Some(function) = self.handler.as_ref().map(AsRef::as_ref) else { return };
        match next {
            Ok(Next::Ask(requests)) => {
                // Requests are answered in order, so the last answer tells that all are there.
                if let Some(last) = requests.last() {
                    sys::set(last, "onsuccess", function);
                }
                self.waiting = 1;
                self.asked = requests;
            }
            Ok(Next::Attempt(requests)) => {
                for request in &requests {
                    sys::set(request, "onsuccess", function);
                    sys::set(request, "onerror", function);
                }
                self.waiting = requests.len();
                self.attempted = true;
                self.asked = requests;
            }
            // With an explicit commit a clash reaches us as the end of everything, so additions go without one.
            Ok(Next::Complete) if self.attempted => {}
            Ok(Next::Complete) => {
                // It would complete by itself; saying so spares a twentieth of the time. If it has ended already
                // its event tells so.
                let _ = sys::call(&self.transaction, "commit", &[]);
            }
            Ok(Next::Abort) => self.take_back(None),
            Err(thrown) => self.take_back(Some(Fault::of(&thrown))),
        }
    }

    fn take_back(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        if !sys::abort(&self.transaction) && Fault::in_error_of(&self.transaction).is_none() {
            // It ended before we could end it, so no event may come any more.
            let fault = self.fault.take().unwrap_or_else(|| Fault::new("InvalidStateError", "it had ended"));
            self.finish(Err(fault));
        }
    }

    fn finish(&mut self, end: Result<(), Fault>) {
        sys::set(&self.transaction, "oncomplete", &JsValue::NULL);
        sys::set(&self.transaction, "onabort", &JsValue::NULL);
        // While the handler runs the browser's glue keeps it; it goes when this event is over.
        self.handler = None;
        self.end.tell(end);
    }
}

/// Whether a failed request is a clash that only concerns itself; then the transaction lives on.
fn clashed(event: &JsValue) -> bool {
    let fault = Fault::in_error_of(&sys::get(event, "target"));
    let clash = fault.is_some_and(|fault| fault.is_constraint());
    if clash {
        for stop in ["preventDefault", "stopPropagation"] {
            // Neither of them can fail.
            let _ = sys::call(event, stop, &[]);
        }
    }
    clash
}

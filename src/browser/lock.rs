//! Who leads: one exclusive Web Lock per database, held until dropped.
//!
//! The lock only chooses the sender. That nothing is settled twice rests on the epoch in the database, which is
//! checked inside each transaction.

use super::promise::Waiter;
use super::sys::{self, Handler};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// What happened to a requested lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// It is ours.
    Gained,
    /// It was taken from us, or the browser will never give it.
    Lost,
}

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// In turn.
    Queue,
    /// Now, from whoever holds it: the holder hears that it lost it.
    Steal,
}

/// This browser has no Web Locks here: they need a secure context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLocks;

/// A place in the queue for the lock, and then the lock. Dropping it leaves the queue or gives the lock back.
pub struct Lock {
    state: Rc<State>,
    release: Waiter,
    queue: JsValue,
    _granted: Handler,
}

#[derive(Default)]
struct State {
    held: Cell<bool>,
    dropped: Cell<bool>,
}

impl Lock {
    /// Asks for the lock `conch:<database>`. `changed` is called later, never from within.
    pub fn request(
        database: &str,
        claim: Claim,
        changed: impl Fn(LockChange) + 'static,
    ) -> Result<Self, NoLocks> {
        let locks = sys::of_scope("navigator", "locks");
        if locks.is_undefined() {
            return Err(NoLocks);
        }
        let queue = sys::make("AbortController", &[]).map_err(|_| NoLocks)?;
        let (state, changed) = (Rc::new(State::default()), Rc::new(changed));

        // The browser holds the lock for as long as this promise is pending.
        let (holding, release) = Waiter::new();
        let (now, tell) = (Rc::clone(&state), Rc::clone(&changed));
        let granted = Handler::new(move |_| {
            now.held.set(true);
            tell(LockChange::Gained);
            holding.clone().into()
        });

        let options = sys::object();
        sys::set(&options, "mode", &sys::text("exclusive"));
        match claim {
            Claim::Queue => sys::set(&options, "signal", &sys::get(&queue, "signal")),
            // The standard does not let a theft be given up.
            Claim::Steal => sys::set(&options, "steal", &JsValue::TRUE),
        }
        let name = sys::text(&format!("conch:{database}"));
        let ended = sys::call(&locks, "request", &[&name, &options, granted.as_ref()]);
        let now = Rc::clone(&state);
        // It ends by our own release, or rejects when stolen or never granted.
        let end = sys::handler(move |_| {
            now.held.set(false);
            if !now.dropped.get() {
                changed(LockChange::Lost);
            }
        });
        let end = end.into_js_value();
        ended.and_then(|ended| sys::call(&ended, "then", &[&end, &end])).map_err(|_| NoLocks)?;
        Ok(Self { state, release, queue, _granted: granted })
    }

    /// Whether it is ours now.
    pub fn is_held(&self) -> bool {
        self.state.held.get()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.state.dropped.set(true);
        if !self.state.held.replace(false) {
            sys::abort(&self.queue);
        }
        self.release.end(&Ok(JsValue::UNDEFINED));
    }
}

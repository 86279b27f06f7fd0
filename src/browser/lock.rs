//! Who leads: one exclusive Web Lock per database, held until dropped.
//!
//! The lock only chooses the sender. That nothing is settled twice rests on the epoch in the database, which is
//! checked inside each transaction.

use super::sys::{self, LockManager, LockOptions};
use js_sys::{Function, Promise};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

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
    held: Rc<Cell<bool>>,
    dropped: Rc<Cell<bool>>,
    release: Option<Function>,
    queue: AbortController,
    _granted: Closure<dyn FnMut() -> Promise>,
}

impl Lock {
    /// Asks for the lock `conch:<database>`. `changed` is called later, never from within.
    pub fn request(
        database: &str,
        claim: Claim,
        changed: impl Fn(LockChange) + 'static,
    ) -> Result<Self, NoLocks> {
        let locks: LockManager =
            sys::scope().navigator().and_then(|navigator| navigator.locks()).ok_or(NoLocks)?;
        let queue = AbortController::new().map_err(|_| NoLocks)?;
        let (held, dropped) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let changed = Rc::new(changed);

        let mut release = None;
        // The browser holds the lock for as long as this promise is pending.
        let holding = Promise::new(&mut |resolve, _| release = Some(resolve.unchecked_into()));
        let (now_held, tell) = (Rc::clone(&held), Rc::clone(&changed));
        let granted = Closure::<dyn FnMut() -> Promise>::new(move || {
            now_held.set(true);
            tell(LockChange::Gained);
            holding.clone()
        });

        let options: LockOptions = sys::options();
        options.set_mode("exclusive");
        match claim {
            Claim::Queue => options.set_signal(&queue.signal()),
            // The standard does not let a theft be given up.
            Claim::Steal => options.set_steal(true),
        }
        let name = format!("conch:{database}");
        let ended = locks.request(&name, &options, granted.as_ref().unchecked_ref()).map_err(|_| NoLocks)?;
        let (was_held, released) = (Rc::clone(&held), Rc::clone(&dropped));
        spawn_local(async move {
            // It ends by our own release, or rejects when stolen or never granted.
            let _ = JsFuture::from(ended).await;
            was_held.set(false);
            if !released.get() {
                changed(LockChange::Lost);
            }
        });
        Ok(Self { held, dropped, release, queue, _granted: granted })
    }

    /// Whether it is ours now.
    pub fn is_held(&self) -> bool {
        self.held.get()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.dropped.set(true);
        if !self.held.replace(false) {
            self.queue.abort();
        }
        if let Some(release) = &self.release {
            // Resolving a promise cannot fail.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

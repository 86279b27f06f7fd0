//! A fault of ours: a panic ends the wasm instance, but not the page.
//!
//! The hook runs while the instance is still whole enough to say so: every open outbox tells its page, gives its lock
//! back and takes nothing more. What is on disk stays there, and a fresh instance goes on with it.

use super::driver::Driver;
use std::cell::{Cell, RefCell};
use std::panic;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;

thread_local! {
    static OPEN: RefCell<Vec<Weak<Driver>>> = const { RefCell::new(Vec::new()) };
    static DEAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this instance died of a panic and must be replaced before anything else is called.
#[wasm_bindgen]
pub fn faulted() -> bool {
    DEAD.get()
}

/// Tells this outbox of a panic from now on.
pub(super) fn watch(driver: &Rc<Driver>) {
    OPEN.with_borrow_mut(|open| {
        if open.is_empty() {
            // What a test runner prints of a panic; a released module prints nothing.
            #[cfg(debug_assertions)]
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                died(&place.unwrap_or_default());
                #[cfg(debug_assertions)]
                before(info);
            }));
        }
        open.retain(|own| own.strong_count() > 0);
        open.push(Rc::downgrade(driver));
    });
}

fn died(place: &str) {
    // A second panic while the first is told has nobody to tell.
    if DEAD.replace(true) {
        return;
    }
    let open = OPEN.try_with(|open| open.try_borrow().map(|open| open.clone()));
    for driver in open.ok().and_then(Result::ok).unwrap_or_default().iter().filter_map(Weak::upgrade) {
        driver.died(place);
    }
}

//! What can wake a sleeping sender: one timer, and the page's signs that the world may have changed.
//!
//! None of them is believed: `online` says nothing about the city, and hidden pages get their timers late. Each
//! is only a reason to look again. Everything is released on drop.

use super::sys::{self, Handler};
use crate::limits::TIMER_MAX_MS;
use gloo_timers::callback::Timeout;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Why it woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The timer. A wait beyond the longest timer ends early: look at the clock.
    Timer,
    /// The browser believes that the link is back.
    Online,
    /// The page is visible now.
    Visible,
    /// The page is hidden now, and timers will be late.
    Hidden,
    /// The page came back, perhaps out of the back/forward cache.
    Shown,
    /// The page has the person's attention.
    Focused,
    /// The page is about to go, perhaps for good.
    Leaving,
}

const EVENTS: [(&str, Wake); 4] = [
    ("online", Wake::Online),
    ("pageshow", Wake::Shown),
    ("focus", Wake::Focused),
    ("pagehide", Wake::Leaving),
];

/// One timer and the listeners. A worker's scope lacks some of the events; those never come.
pub struct Wakes {
    woken: Rc<dyn Fn(Wake)>,
    timer: RefCell<Option<Timer>>,
    _listeners: Vec<Listener>,
}

impl Wakes {
    /// Listens from now on. The callback may call [`Wakes::set`] and [`Wakes::clear`].
    pub fn listen(woken: impl Fn(Wake) + 'static) -> Self {
        let woken: Rc<dyn Fn(Wake)> = Rc::new(woken);
        let (scope, document) = (sys::scope(), sys::get(&sys::scope(), "document"));
        let mut listeners = Vec::new();
        for (event, wake) in EVENTS {
            listeners.push(Listener::add(&scope, event, &woken, move || wake));
        }
        if !document.is_undefined() {
            let seen = || if is_visible() { Wake::Visible } else { Wake::Hidden };
            listeners.push(Listener::add(&document, "visibilitychange", &woken, seen));
        }
        Self { woken, timer: RefCell::new(None), _listeners: listeners }
    }

    /// Sets the one timer; an earlier one is forgotten.
    pub fn set(&self, delay_ms: u64) {
        let woken = Rc::clone(&self.woken);
        self.timer.replace(Some(Timer::set(delay_ms, move || woken(Wake::Timer))));
    }

    /// Forgets the timer.
    pub fn clear(&self) {
        self.timer.replace(None);
    }
}

/// Whether a person may be looking. A worker does not know and says yes.
pub fn is_visible() -> bool {
    sys::of_scope("document", "visibilityState").as_string().as_deref() != Some("hidden")
}

/// One event listener, removed on drop.
struct Listener {
    target: JsValue,
    event: &'static str,
    handler: Handler,
}

impl Listener {
    fn add(
        target: &JsValue,
        event: &'static str,
        woken: &Rc<dyn Fn(Wake)>,
        wake: impl Fn() -> Wake + 'static,
    ) -> Self {
        let woken = Rc::clone(woken);
        let listener = Self { target: target.clone(), event, handler: sys::handler(move |_| woken(wake())) };
        listener.tell("addEventListener");
        listener
    }

    fn tell(&self, method: &str) {
        // A target that takes no listener stays silent, and one that keeps it after all calls nothing.
        let _ = sys::call(&self.target, method, &[&sys::text(self.event), self.handler.as_ref()]);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tell("removeEventListener");
    }
}

/// Rings once, unless dropped before.
pub(super) struct Timer {
    _rings: Timeout,
}

impl Timer {
    /// A wait beyond the longest timer ends early.
    pub(super) fn set(delay_ms: u64, rings: impl Fn() + 'static) -> Self {
        let delay = u32::try_from(delay_ms.min(TIMER_MAX_MS)).unwrap_or(u32::MAX >> 1);
        Self { _rings: Timeout::new(delay, rings) }
    }
}

//! What can wake a sleeping sender: one timer, and the page's signs that the world may have changed.
//!
//! None of them is believed: `online` says nothing about the city, and hidden pages get their timers late. Each
//! is only a reason to look again. Everything is released on drop.

use super::sys;
use crate::limits::TIMER_MAX_MS;
use gloo_timers::callback::Timeout;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

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
    timer: RefCell<Option<Timeout>>,
    _listeners: Vec<Listener>,
}

impl Wakes {
    /// Listens from now on. The callback may call [`Wakes::set`] and [`Wakes::clear`].
    pub fn listen(woken: impl Fn(Wake) + 'static) -> Self {
        let woken: Rc<dyn Fn(Wake)> = Rc::new(woken);
        let scope = sys::scope();
        let mut listeners: Vec<Listener> = EVENTS
            .into_iter()
            .filter_map(|(event, wake)| {
                let woken = Rc::clone(&woken);
                Listener::add(&scope, event, move || woken(wake))
            })
            .collect();
        if let Some(document) = scope.document() {
            let woken = Rc::clone(&woken);
            listeners.extend(Listener::add(&document, "visibilitychange", move || {
                woken(if is_visible() { Wake::Visible } else { Wake::Hidden });
            }));
        }
        Self { woken, timer: RefCell::new(None), _listeners: listeners }
    }

    /// Sets the one timer; an earlier one is forgotten.
    pub fn set(&self, delay_ms: u64) {
        let woken = Rc::clone(&self.woken);
        let delay_ms = u32::try_from(delay_ms.min(TIMER_MAX_MS)).unwrap_or(u32::MAX >> 1);
        let timer = Timeout::new(delay_ms, move || woken(Wake::Timer));
        self.timer.replace(Some(timer));
    }

    /// Forgets the timer.
    pub fn clear(&self) {
        self.timer.replace(None);
    }
}

/// Whether a person may be looking. A worker does not know and says yes.
pub fn is_visible() -> bool {
    sys::scope().document().is_none_or(|document| document.visibility_state() != "hidden")
}

/// One event listener, removed on drop.
struct Listener {
    target: EventTarget,
    event: &'static str,
    handler: Closure<dyn Fn()>,
}

impl Listener {
    fn add(target: &EventTarget, event: &'static str, handler: impl Fn() + 'static) -> Option<Self> {
        let handler = Closure::<dyn Fn()>::new(handler);
        target.add_event_listener_with_callback(event, handler.as_ref().unchecked_ref()).ok()?;
        Some(Self { target: target.clone(), event, handler })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let handler = self.handler.as_ref().unchecked_ref();
        // A removal that fails leaves a dead listener behind, which calls nothing.
        let _ = self.target.remove_event_listener_with_callback(self.event, handler);
    }
}

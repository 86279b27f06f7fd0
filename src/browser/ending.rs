//! How something that the browser finishes by events becomes a future.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Told once, awaited once. Nobody needs to wait for what it stands for to happen.
pub(crate) struct Ending<T>(Rc<RefCell<State<T>>>);

struct State<T> {
    value: Option<T>,
    waiting: Option<Waker>,
}

impl<T> Ending<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(State { value: None, waiting: None })))
    }

    pub(crate) fn tell(&self, value: T) {
        let mut state = self.0.borrow_mut();
        state.value = Some(value);
        if let Some(waker) = state.waiting.take() {
            drop(state);
            waker.wake();
        }
    }
}

impl<T> Clone for Ending<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Future for Ending<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.borrow_mut();
        match state.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

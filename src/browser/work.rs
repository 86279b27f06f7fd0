//! Work that goes on by itself, in a microtask whenever there is something new for it.

use super::sys::{self, Handler};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

/// It is boxed, so that what runs it is compiled once and not for each piece of work.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T>>>;

thread_local! {
    static UNDER_WAY: RefCell<UnderWay> = const {
        RefCell::new(UnderWay { begun: 0, waiting: Vec::new(), ready: Vec::new(), runs: None })
    };
}

struct UnderWay {
    /// Numbers the pieces.
    begun: u64,
    /// Few at a time: operations of the store and requests.
    waiting: Vec<(u64, Work<()>)>,
    /// Who has something new, each with a microtask of its own that is still to come.
    ready: Vec<u64>,
    /// What those microtasks call.
    runs: Option<Handler>,
}

/// Begins it at the end of this turn.
pub(crate) fn spawn(work: Work<()>) {
    let number = under_way(|own| {
        own.begun += 1;
        own.waiting.push((own.begun, work));
        own.begun
    });
    make_ready(number);
}

fn under_way<T: Default>(act: impl FnOnce(&mut UnderWay) -> T) -> T {
    // It fails only while a thread ends, and here none does.
    UNDER_WAY.try_with(|own| act(&mut own.borrow_mut())).unwrap_or_default()
}

fn make_ready(number: u64) {
    under_way(|own| {
        if !own.ready.contains(&number) {
            own.ready.push(number);
            let runs = own.runs.get_or_insert_with(|| sys::handler(|_| run()));
            // Every scope has microtasks.
            let _ = sys::call(&sys::scope(), "queueMicrotask", &[runs.as_ref()]);
        }
    });
}

/// Lets the first of the ready go on. It is out of the list meanwhile, because it may begin other work.
fn run() {
    let next = under_way(|own| {
        let number = (!own.ready.is_empty()).then(|| own.ready.remove(0))?;
        let place = own.waiting.iter().position(|(one, _)| *one == number)?;
        Some(own.waiting.swap_remove(place))
    });
    let Some((number, mut work)) = next else { return };
    let waker = Waker::from(Arc::new(Number(number)));
    if work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        under_way(|own| own.waiting.push((number, work)));
    }
}

struct Number(u64);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        make_ready(self.0);
    }
}

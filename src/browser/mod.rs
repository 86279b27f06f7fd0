//! The hands, wasm32 only: IndexedDB, clock, fetch, timers and locks. The only module but `sdk` that touches the
//! outside world. It decides nothing: it does as told and reports what happened.

pub mod clock;
mod ending;
pub mod entropy;
pub mod fetch;
pub mod lock;
pub(crate) mod promise;
pub mod store;
pub(crate) mod sys;
pub(crate) mod value;
pub mod wakes;
pub(crate) mod work;

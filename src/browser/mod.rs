//! The hands, wasm32 only: IndexedDB, clock, fetch, timers and locks. The only module but `sdk` that touches the
//! outside world. It decides nothing: it does as told and reports what happened.

pub mod clock;
pub mod entropy;
pub mod fetch;
pub mod lock;
pub mod store;
mod sys;
pub mod wakes;

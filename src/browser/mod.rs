//! The hands, wasm32 only: IndexedDB, clock, fetch. The only module but `sdk` that touches the outside world.

pub mod store;

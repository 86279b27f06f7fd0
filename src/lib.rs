//! Conch is an offline-first event outbox: a page says what happened, Conch keeps it on disk with its
//! idempotency key, and delivers it at least once when the city can be reached.
//!
//! **An event leaves the outbox only in the transaction that records the city's verdict.**
//!
//! The pure modules ([`event`], [`wire`], [`pace`], [`outbox`]) take the time and entropy as arguments and run
//! natively as well as in the browser. Only `browser` and `sdk`, compiled for wasm32 alone, touch the outside
//! world. Dependencies point down: `sdk` → {`outbox`, `wire`, `pace`, `browser`} → `event`.

/// Half the size of the default allocator, and faster.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(target_arch = "wasm32")]
pub mod browser;
pub mod event;
pub mod flat;
pub mod limits;
pub mod outbox;
pub mod pace;
#[cfg(target_arch = "wasm32")]
pub mod sdk;
pub mod wire;

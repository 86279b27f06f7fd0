//! What is owed: rows, lanes, the engine that decides, and the transactions that make decisions durable.
//!
//! Pure and sans-IO. [`transact`] is every write as a machine that any store can run; [`record`] is what lies on
//! disk; [`append`] is how a turn's events and records go in; [`port`] is what engine and store say to each other;
//! [`canary`] is how a browser that threw the outbox away is found out.

pub mod append;
pub mod canary;
pub mod engine;
pub mod feed;
pub mod port;
pub mod record;
pub mod transact;
mod window;

pub use engine::Engine;

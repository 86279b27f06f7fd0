//! The deterministic world: real engines of crate `conch` in several contexts of several devices, a modelled disk that
//! fails, fills and loses power, a network that loses, doubles and delays, clocks that lie, the city's own decisions with
//! its bus and services, an acquirer that stutters, and one virtual time.
//!
//! No threads, no wall clock, no ambient randomness: one seed is one run. The oracle checks the promises by
//! name all along, and at the end that everything has settled and every intent had its effect exactly once. Faults
//! planted around the engine ([`Bug`]) show that it can fail.

pub mod bug;
pub mod city;
pub mod device;
pub mod disk;
pub mod fleet;
mod hands;
pub mod ledgers;
mod market;
mod network;
pub mod oracle;
mod people;
pub mod plan;
mod sick;
pub mod speed;
mod storage;
mod tide;
mod upgrade;
mod watch;
pub mod weather;
pub mod world;

pub use bug::Bug;
pub use plan::{FORCE_MAX, Force, Plan, Report, TROUBLES, Trouble};
pub use speed::Speed;
pub use weather::{Met, WEATHER, Weather};
pub use world::{run, shrink};

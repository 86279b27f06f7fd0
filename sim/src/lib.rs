//! The deterministic world: real engines of crate `conch`, a modelled disk that can crash at every call, a network
//! that loses, doubles and delays, a city that remembers, and one virtual clock.
//!
//! No threads, no wall clock, no ambient randomness: one seed is one run. The oracle checks DESIGN's invariants by
//! name all along, and at the end that every intent had its effect exactly once.

pub mod city;
pub mod disk;
pub mod oracle;
pub mod world;

pub use world::{Plan, Report, run};

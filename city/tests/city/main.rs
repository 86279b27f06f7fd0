//! The city as its devices meet it: the real binary on a free port, real HTTP, the real SQLite file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a panic is the report"
)]

mod bus;
mod delivery;
mod doors;
mod feed;
mod keeping;
mod kills;
mod money;
mod pages;
mod published;
mod town;
mod weather;

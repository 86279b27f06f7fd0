//! The city as its devices meet it: the real binary on a free port, real HTTP, the real SQLite file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test suite a panic is the report"
)]

mod acquirers;
mod board;
mod bus;
mod civic;
mod config;
mod crowd;
mod delivery;
mod devices;
mod directory;
mod doors;
mod feed;
mod gate;
mod keeping;
mod kills;
mod market;
mod money;
mod pages;
mod published;
mod sheet;
mod story;
mod tickets;
mod tls;
mod town;
mod weather;

//! The face, wasm32 only: [`edge::Edge`] for JavaScript, and the driver that turns the engine's outputs into browser
//! calls. It decides nothing about delivery: that is the engine's.

mod canary;
mod channel;
mod driver;
pub mod edge;
mod errors;
pub mod fault;
mod health;
mod plain;
pub mod records;
mod values;

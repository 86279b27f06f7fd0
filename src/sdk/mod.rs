//! The face, wasm32 only: [`edge::Edge`] for JavaScript, and the driver that turns the engine's outputs into browser
//! calls. It decides nothing about delivery: that is the engine's.

mod channel;
mod driver;
pub mod edge;
mod errors;
mod health;
pub mod records;
mod values;

//! A fleet that comes back: ten thousand devices and one city, measured against what no policy can do better.
//!
//! Ours are real engines and the city's slots and window are its real [`Pacer`](city_domain::Pacer); the link, the disk
//! and the queue are modelled, and time is virtual. One seed is one run. It stands beside the world, which asks whether
//! promises hold; here the question is what keeping them costs.

mod backoff;
mod contention;
mod edge;
mod page;
mod plot;
mod storm;

pub use backoff::Backoff;
pub use contention::{Contended, Contention, ORIGINAL, TOLERANCE, contend};
pub use page::{Report, report};
pub use storm::{Bound, Knows, Outcome, Policy, Storm};

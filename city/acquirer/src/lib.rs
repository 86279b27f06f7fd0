//! A simulated acquirer: books of its own in a file of its own, reached over HTTP alone. It knows nothing of the city but
//! the ids the city sends, does each id once, and has the faults of real ones when told to.

mod faults;
mod http;
mod ledger;

pub use faults::{Faults, FaultsProblem};
pub use http::{Lever, Problem, Running, start};
pub use ledger::{Ledger, Movement, Outcome, Service, Task};

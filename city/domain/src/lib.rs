//! Every decision of the city: what is taken in, what it does, and who hears of it.
//!
//! **Inbox row, effect and outcome are written through one [`Tx`], so they become durable together or not at all.**
//!
//! Nothing here knows a clock, a random source, SQL or HTTP: time and entropy come in as arguments and storage is
//! the [`Tx`] trait. The city runs it over SQLite, a simulation over [`Memory`].

mod admission;
mod arrival;
mod authorizations;
mod books;
pub mod bus;
mod civic;
mod claim;
pub mod clones;
pub mod contracts;
mod digests;
pub mod directory;
mod form;
mod gate;
mod gateway;
mod ingest;
pub mod limits;
mod memory;
mod outcome;
mod pacer;
mod payments;
mod power;
mod refunds;
mod refusal;
mod role;
mod settlement;
mod ticket;
mod tx;
mod versions;

pub use admission::Examined;
pub use arrival::{NotWrittenOff, Noted, Owed, StaleEpoch, enter, note, write_off};
pub use authorizations::{Begun, Wish, authorize, standing};
pub use books::{
    Authorization, Books, Duplicate, Hold, Movement, Operation, RefundState, RefundStep, Service, Stand,
    Watcher,
};
pub use civic::{Civic, Rule, Rules};
pub use claim::{Answered, Claim, ClaimChanged, Claimed, claim};
pub use digests::Digests;
pub use form::{Filed, Form, FormProblem, file_form};
pub use gateway::{Answer, Call, Listed, PaymentGateway, answered, hand_out};
pub use ingest::{City, Judged, Request, ingest};
pub use memory::Memory;
pub use pacer::Pacer;
pub use power::{Circuit, Plan, Power, carried};
pub use refunds::{RefundDecision, RefundNotDecided, Refunds, decide_refund, refund_moves};
pub use refusal::Refusal;
pub use role::{Principal, Role};
pub use settlement::settle;
pub use ticket::{Flaw, Policy, Ticket, digest};
pub use tx::{
    Admission, Capture, Case, CaseState, Fault, FeedEvent, FormRow, Gap, InboxRow, Incarnation, IntentRow,
    Kept, Load, Order, OrderState, Scan, ScanResult, Scope, Tx,
};
pub use versions::{cast_down, scan_up};

use conch::event::Device;

/// The device behind a source, if it is one.
pub(crate) fn device_of(source: &str) -> Option<Device> {
    let (device, _) = source.strip_prefix("conch://device/")?.split_once('/')?;
    Device::parse(device).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_device() {
        assert_eq!(device_of("conch://device/gate-n1/life").unwrap().as_str(), "gate-n1");
        assert_eq!(device_of("conch://city/1"), None);
        assert_eq!(device_of("https://example.com/form"), None);
    }
}

//! What all requests share.

use super::board::Boards;
use super::weather::Weather;
use crate::bells::Bells;
use crate::keys::Keys;
use crate::market::Published;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::store::Readers;
use crate::throttle::Throttle;
use crate::throughput::Throughput;
use crate::writer::Writer;
use acquirer::Lever;
use city_domain::{City, Pacer, PaymentGateway, Plan, Rules};
use conch::event::{Device, IntentKey, UnixMillis};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The running city.
pub(crate) struct App {
    pub(crate) city: City,
    pub(crate) writer: Writer,
    /// Who moves money, if anybody.
    pub(crate) gateway: Option<Arc<dyn PaymentGateway>>,
    pub(crate) readers: Readers,
    pub(crate) keys: Arc<Keys>,
    pub(crate) bells: Arc<Bells>,
    /// Long polls that wait.
    pub(crate) listening: AtomicUsize,
    pub(crate) pacer: Mutex<Pacer>,
    pub(crate) in_flight: InFlight,
    pub(crate) enrolments: Throttle,
    /// Public forms, and questions about their cases.
    pub(crate) forms: Throttle,
    pub(crate) case_questions: Throttle,
    pub(crate) claims: Throttle<Device>,
    /// Who takes care of which report.
    pub(crate) rules: Arc<Rules>,
    /// The circuits.
    pub(crate) plan: Plan,
    /// What anybody may know of the market, if the operator said it.
    pub(crate) market: Option<Published>,
    pub(crate) metrics: Arc<Metrics>,
    /// When the city opened.
    pub(crate) started: UnixMillis,
    /// Who was heard when.
    pub(crate) presence: Presence,
    /// What goes onto the bus.
    pub(crate) throughput: Arc<Throughput>,
    pub(crate) boards: Boards,
    /// Present in development only.
    pub(crate) weather: Option<Weather>,
    /// Present in development only, beside a simulated acquirer.
    pub(crate) simulated: Option<Lever>,
    pub(crate) pages: Option<PathBuf>,
    /// The certificate of the city's own authority, for phones to install.
    pub(crate) authority: Option<Vec<u8>>,
    /// Becomes true when the city goes down, so that long polls end.
    pub(crate) closing: watch::Receiver<bool>,
}

impl App {
    /// The pacer; it is never held across a wait.
    pub(super) fn pacer(&self) -> std::sync::MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The idempotency keys that are being worked on, per device.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashSet<(Device, IntentKey)>>);

impl InFlight {
    /// Claims a key until the guard is dropped; `None` when it is claimed.
    pub(super) fn claim(&self, device: &Device, intent: IntentKey) -> Option<InFlightGuard<'_>> {
        let claim = (device.clone(), intent);
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(claim.clone());
        fresh.then_some(InFlightGuard { of: self, claim })
    }
}

/// A claimed key.
pub(super) struct InFlightGuard<'a> {
    of: &'a InFlight,
    claim: (Device, IntentKey),
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.claim);
    }
}

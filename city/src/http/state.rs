//! What all requests share.

use super::weather::Weather;
use crate::bells::Bells;
use crate::metrics::Metrics;
use crate::secret::Hash;
use crate::store::Readers;
use crate::throttle::Throttle;
use crate::writer::Writer;
use city_domain::{City, Pacer, Plan, Principal, Rules};
use conch::event::{Device, IntentKey};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;

/// The running city.
pub(crate) struct App {
    pub(crate) city: City,
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) keys: Keys,
    pub(crate) bells: Arc<Bells>,
    /// Long polls that wait.
    pub(crate) listening: AtomicUsize,
    pub(crate) pacer: Mutex<Pacer>,
    pub(crate) in_flight: InFlight,
    pub(crate) enrolments: Throttle,
    /// Public forms, and questions about their cases.
    pub(crate) forms: Throttle,
    pub(crate) case_questions: Throttle,
    /// Who takes care of which report.
    pub(crate) rules: Arc<Rules>,
    /// The circuits.
    pub(crate) plan: Plan,
    pub(crate) metrics: Arc<Metrics>,
    /// Present in development only.
    pub(crate) weather: Option<Weather>,
    pub(crate) pages: Option<PathBuf>,
    /// Becomes true when the city goes down, so that long polls end.
    pub(crate) closing: watch::Receiver<bool>,
}

impl App {
    /// The pacer; it is never held across a wait.
    pub(super) fn pacer(&self) -> std::sync::MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The valid tokens by hash, in memory: saying no must cost nearly nothing.
#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<HashMap<Hash, Principal>>);

impl Keys {
    pub(crate) fn load(tokens: Vec<(Hash, Principal)>) -> Self {
        Self(RwLock::new(tokens.into_iter().collect()))
    }

    pub(super) fn find(&self, hash: &Hash) -> Option<Principal> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// Adds a token. The device's role holds for its older tokens too, unless they are void.
    pub(super) fn add(&self, hash: Hash, principal: Principal, replaced: bool) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if replaced {
            keys.retain(|_, older| older.device != principal.device);
        }
        for older in keys.values_mut().filter(|older| older.device == principal.device) {
            older.role = principal.role;
        }
        keys.insert(hash, principal);
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

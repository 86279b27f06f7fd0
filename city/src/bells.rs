//! One bell per device that waits on its feed, rung after a commit put something there, and one for all boards, rung after
//! every commit.

use conch::event::Device;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// The bells of the devices and boards that listen.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    waiting: Mutex<HashMap<Device, Arc<Notify>>>,
    /// Counts what happened since the start.
    happened: watch::Sender<u64>,
}

impl Bells {
    /// The bell of a device. Ask for `notified()` before reading the feed, so that no ring is missed.
    pub(crate) fn of(&self, device: &Device) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(device.clone()).or_default().clone()
    }

    /// Wakes every long poll of a device.
    pub(crate) fn ring(&self, device: &Device) {
        if let Some(bell) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(device) {
            bell.notify_waiters();
        }
    }

    /// Something a board shows may have changed.
    pub(crate) fn ring_boards(&self) {
        self.happened.send_modify(|count| *count += 1);
    }

    /// What a board listens to.
    pub(crate) fn boards(&self) -> watch::Receiver<u64> {
        self.happened.subscribe()
    }
}

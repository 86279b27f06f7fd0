//! When devices should come: the window they spread their first send over, and the next free slot when too many
//! came at once.

use crate::limits::{SEEN_MS, SLOT_FIRST_MS, SLOT_SHARE, WINDOW_MARGIN};
use conch::event::{Device, UnixMillis};
use std::collections::HashMap;

/// Knows who was heard lately and which slots are given away.
#[derive(Debug)]
pub struct Pacer {
    capacity_per_s: f64,
    seen: HashMap<Device, UnixMillis>,
    heard_since_sweep: usize,
    next_slot_ms: f64,
}

impl Pacer {
    /// A pacer for a city that takes so many requests per second.
    pub fn new(capacity_per_s: u32) -> Self {
        let capacity_per_s = f64::from(capacity_per_s.max(1));
        Self { capacity_per_s, seen: HashMap::new(), heard_since_sweep: 0, next_slot_ms: 0.0 }
    }

    /// Notes that a device was heard.
    pub fn hear(&mut self, device: &Device, now: UnixMillis) {
        self.seen.insert(device.clone(), now);
        self.heard_since_sweep += 1;
        // One sweep per as many requests as there are devices, so that its cost is constant per request.
        if self.heard_since_sweep > self.seen.len() {
            self.heard_since_sweep = 0;
            self.seen.retain(|_, at| now.0.saturating_sub(at.0) <= SEEN_MS);
        }
    }

    /// The time all devices of the last hour need to send once, with a margin, in ms.
    pub fn window_ms(&self) -> u64 {
        (WINDOW_MARGIN * self.seen.len() as f64 / self.capacity_per_s * 1_000.0).ceil() as u64
    }

    /// Gives away the next free slot behind `queued` waiting requests: ms to wait, at least [`SLOT_FIRST_MS`], and not
    /// beyond the window after the queue.
    pub fn slot_ms(&mut self, now: UnixMillis, queued: usize) -> u64 {
        let queue_ms = (queued as f64 / self.capacity_per_s * 1_000.0).max(SLOT_FIRST_MS);
        let earliest = now.0 as f64 + queue_ms;
        let latest = earliest + self.window_ms() as f64;
        self.next_slot_ms = (self.next_slot_ms.max(earliest) + 1_000.0 / (SLOT_SHARE * self.capacity_per_s))
            .min(latest.max(earliest + 1.0));
        (self.next_slot_ms - now.0 as f64).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn with_devices(count: usize, capacity: u32) -> Pacer {
        let mut pacer = Pacer::new(capacity);
        for n in 0..count {
            pacer.hear(&Device::parse(&format!("d-{n}")).unwrap(), NOW);
        }
        pacer
    }

    #[test]
    fn the_window_is_devices_over_capacity_with_a_margin() {
        assert_eq!(with_devices(0, 100).window_ms(), 0);
        assert_eq!(with_devices(1_000, 100).window_ms(), 12_000);
        let mut pacer = with_devices(10, 1);
        let later = UnixMillis(NOW.0 + SEEN_MS + 1);
        for _ in 0..20 {
            pacer.hear(&Device::parse("d-0").unwrap(), later);
        }
        assert_eq!(pacer.window_ms(), 1_200, "who was silent for an hour no longer counts");
    }

    #[test]
    fn slots_follow_one_another_at_the_capacity_and_never_beyond_the_window() {
        let mut pacer = with_devices(1_000, 100);
        let waits: Vec<u64> = (0..970).map(|_| pacer.slot_ms(NOW, 100)).collect();
        assert_eq!(waits.first(), Some(&1_011));
        assert_eq!(waits.last(), Some(&11_001), "one second of queue, then ten seconds of slots, rounded up");
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "no two devices have the same");
        let most = (0..10_000).map(|_| pacer.slot_ms(NOW, 100)).max();
        assert_eq!(most, Some(13_000));
        let rested = UnixMillis(NOW.0 + 60_000);
        assert_eq!(pacer.slot_ms(rested, 0), 1_011, "old slots are forgotten");
    }
}

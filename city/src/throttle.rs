//! How often one address may try to enrol: a bucket per address that refills with time.

use city_domain::limits::{ENROL_ADDRESSES_MAX, ENROL_TRIES_PER_MIN};
use conch::event::UnixMillis;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

const REFILL_MS: f64 = 60_000.0 / ENROL_TRIES_PER_MIN as f64;

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tries: f64,
    at: UnixMillis,
}

impl Bucket {
    fn refilled(self, now: UnixMillis) -> Self {
        let more = now.0.saturating_sub(self.at.0) as f64 / REFILL_MS;
        Self { tries: (self.tries + more).min(f64::from(ENROL_TRIES_PER_MIN)), at: now }
    }
}

impl Throttle {
    /// Takes one try, or says in how many whole seconds there is one.
    pub(crate) fn take(&self, address: IpAddr, now: UnixMillis) -> Result<(), u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ENROL_ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| bucket.refilled(now).tries < f64::from(ENROL_TRIES_PER_MIN));
            if buckets.len() >= ENROL_ADDRESSES_MAX {
                return Err(60);
            }
        }
        let full = Bucket { tries: f64::from(ENROL_TRIES_PER_MIN), at: now };
        let bucket = buckets.entry(address).or_insert(full);
        *bucket = bucket.refilled(now);
        if bucket.tries < 1.0 {
            return Err(((1.0 - bucket.tries) * REFILL_MS / 1_000.0).ceil() as u64);
        }
        bucket.tries -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_runs_dry_alone_and_recovers() {
        let throttle = Throttle::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let now = UnixMillis(1_000_000);
        for _ in 0..ENROL_TRIES_PER_MIN {
            assert_eq!(throttle.take(one, now), Ok(()));
        }
        assert_eq!(throttle.take(one, now), Err(3));
        assert_eq!(throttle.take(other, now), Ok(()));
        assert_eq!(throttle.take(one, UnixMillis(now.0 + 3_000)), Ok(()));
        assert_eq!(throttle.take(one, UnixMillis(now.0 + 3_000)), Err(3));
    }
}

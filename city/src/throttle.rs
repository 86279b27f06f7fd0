//! How often one address may do what needs no token: a bucket per address that refills with time.

use city_domain::limits::ADDRESSES_MAX;
use conch::event::UnixMillis;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// All buckets of one kind of request.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// What a bucket holds, and what comes back each minute.
    per_min: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tries: f64,
    at: UnixMillis,
}

impl Throttle {
    pub(crate) fn new(per_min: u32) -> Self {
        Self { per_min: f64::from(per_min), buckets: Mutex::default() }
    }

    fn refilled(&self, bucket: Bucket, now: UnixMillis) -> Bucket {
        let more = now.0.saturating_sub(bucket.at.0) as f64 * self.per_min / 60_000.0;
        Bucket { tries: (bucket.tries + more).min(self.per_min), at: now }
    }

    /// Takes one try, or says in how many whole seconds there is one.
    pub(crate) fn take(&self, address: IpAddr, now: UnixMillis) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| self.refilled(*bucket, now).tries < self.per_min);
            if buckets.len() >= ADDRESSES_MAX {
                return Err(60);
            }
        }
        let full = Bucket { tries: self.per_min, at: now };
        let bucket = buckets.entry(address).or_insert(full);
        *bucket = self.refilled(*bucket, now);
        if bucket.tries < 1.0 {
            return Err(((1.0 - bucket.tries) * 60.0 / self.per_min).ceil() as u64);
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
        let throttle = Throttle::new(20);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let now = UnixMillis(1_000_000);
        for _ in 0..20 {
            assert_eq!(throttle.take(one, now), Ok(()));
        }
        assert_eq!(throttle.take(one, now), Err(3));
        assert_eq!(throttle.take(other, now), Ok(()));
        assert_eq!(throttle.take(one, UnixMillis(now.0 + 3_000)), Ok(()));
        assert_eq!(throttle.take(one, UnixMillis(now.0 + 3_000)), Err(3));
    }
}

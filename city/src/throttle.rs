//! How often one may do what costs the city something: a bucket for each network, where no token is needed, or for each
//! device, that refills with time.

use city_domain::limits::ADDRESSES_MAX;
use conch::event::UnixMillis;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// All buckets of one kind of request.
#[derive(Debug)]
pub(crate) struct Throttle<Whose = Network> {
    /// What a bucket holds, and what comes back each minute.
    per_min: f64,
    buckets: Mutex<HashMap<Whose, Bucket>>,
}

/// Where a request without a token came from: an address of the fourth version, or the first half of one of the sixth,
/// for the other half is its holder's to choose and would give him every bucket there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(long) => Ipv6Addr::from_bits(long.to_bits() & !u128::from(u64::MAX)).into(),
            short => short,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tries: f64,
    at: UnixMillis,
}

impl<Whose: Eq + Hash> Throttle<Whose> {
    pub(crate) fn new(per_min: u32) -> Self {
        Self { per_min: f64::from(per_min), buckets: Mutex::default() }
    }

    fn refilled(&self, bucket: Bucket, now: UnixMillis) -> Bucket {
        let more = now.0.saturating_sub(bucket.at.0) as f64 * self.per_min / 60_000.0;
        Bucket { tries: (bucket.tries + more).min(self.per_min), at: now }
    }

    /// Takes one try, or says in how many whole seconds there is one.
    pub(crate) fn take(&self, whose: impl Into<Whose>, now: UnixMillis) -> Result<(), u64> {
        let whose = whose.into();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&whose) {
            buckets.retain(|_, bucket| self.refilled(*bucket, now).tries < self.per_min);
            if buckets.len() >= ADDRESSES_MAX {
                return Err(60);
            }
        }
        let full = Bucket { tries: self.per_min, at: now };
        let bucket = buckets.entry(whose).or_insert(full);
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
        let throttle: Throttle = Throttle::new(20);
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

    /// Whoever has one network of the sixth version has 2^64 addresses, and could fill every bucket there is.
    #[test]
    fn the_addresses_of_one_network_share_a_bucket_and_an_older_address_is_itself_in_any_form() {
        let throttle: Throttle = Throttle::new(20);
        let now = UnixMillis(1_000_000);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..20 {
            assert_eq!(throttle.take(address(&format!("2001:db8:0:1::{n}")), now), Ok(()));
        }
        assert_eq!(throttle.take(address("2001:db8:0:1:ffff::"), now), Err(3));
        assert_eq!(throttle.take(address("2001:db8:0:2::1"), now), Ok(()));
        for n in 0..20 {
            let form = if n % 2 == 0 { "::ffff:10.0.0.1" } else { "10.0.0.1" };
            assert_eq!(throttle.take(address(form), now), Ok(()));
        }
        assert_eq!(throttle.take(address("10.0.0.1"), now), Err(3));
        assert_eq!(throttle.take(address("::ffff:10.0.0.2"), now), Ok(()));
    }
}

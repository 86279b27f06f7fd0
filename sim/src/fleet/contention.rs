//! Clients that all want to write one row guarded by its version: the model by which jitter became known. It has
//! contention and no limit of capacity, so it says how well a policy keeps clients out of each other's way, and nothing
//! about overload.
//!
//! Each client reads the version and writes if nobody wrote meanwhile, else it waits and reads again, until it has
//! written once. Every hop over the network takes |Normal(10, 2)| ms. Published by AWS in 2015 as
//! aws-arch-backoff-simulator; built here from its description.

use super::backoff::{Backoff, Waits, unit};
use conch::pace::{Jitter, Ladder};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

const HOP_MEAN_US: f64 = 10_000.0;
const HOP_SPREAD_US: f64 = 2_000.0;
/// Base 5 ms, and the exponent begins at one.
const LADDER: Ladder = Ladder { first: 10_000, cap: 2_000_000 };

/// How much the relations between policies may differ from those of the original.
pub const TOLERANCE: f64 = 0.15;

/// What came of it, as means over the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contended {
    /// Writes that were tried.
    pub calls: f64,
    /// When the last client had written, in ms.
    pub ended_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A question for the version reaches the row.
    Reads,
    /// A write of this version reaches it.
    Writes(u64),
}

/// All policies among so many clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contention {
    /// Clients.
    pub clients: u32,
    /// They try again at once.
    pub none: Contended,
    /// Without jitter.
    pub exponential: Contended,
    /// Equal jitter.
    pub equal: Contended,
    /// Full jitter.
    pub full: Contended,
    /// Decorrelated jitter.
    pub decorrelated: Contended,
}

/// What the original program says, ported from Python 2 to 3 and otherwise unchanged: means of a hundred runs.
pub const ORIGINAL: [Contention; 3] = [
    original(50, [(692, 1_144), (628, 36_463), (347, 4_128), (332, 2_912), (373, 2_153)]),
    original(100, [(2_424, 2_025), (1_852, 63_350), (811, 6_714), (794, 4_850), (1_001, 4_545)]),
    original(190, [(7_991, 3_532), (5_153, 101_049), (1_760, 9_370), (1_772, 7_409), (2_437, 7_864)]),
];

const fn original(clients: u32, measured: [(u32, u32); 5]) -> Contention {
    const fn one((calls, ended_ms): (u32, u32)) -> Contended {
        Contended { calls: calls as f64, ended_ms: ended_ms as f64 }
    }
    let [none, exponential, equal, full, decorrelated] = measured;
    Contention {
        clients,
        none: one(none),
        exponential: one(exponential),
        equal: one(equal),
        full: one(full),
        decorrelated: one(decorrelated),
    }
}

impl Contention {
    /// Measures all of them.
    pub fn measure(clients: u32, runs: u32, seed: u64) -> Self {
        let measure = |backoff| contend(clients, backoff, runs, seed);
        Self {
            clients,
            none: measure(Backoff::None),
            exponential: measure(Backoff::Exponential(LADDER)),
            equal: measure(Backoff::Equal(LADDER)),
            full: measure(Backoff::Full(LADDER)),
            decorrelated: measure(Backoff::Decorrelated { base: LADDER.first / 2, cap: LADDER.cap }),
        }
    }

    /// Under their names.
    pub fn policies(&self) -> [(&'static str, Contended); 5] {
        [
            ("none", self.none),
            ("exponential", self.exponential),
            ("equal jitter", self.equal),
            ("full jitter", self.full),
            ("decorrelated jitter", self.decorrelated),
        ]
    }

    /// What the policies are to each other.
    pub fn relations(&self) -> [(&'static str, f64); 7] {
        let calls = |one: Contended, other: Contended| one.calls / other.calls;
        let time = |one: Contended, other: Contended| one.ended_ms / other.ended_ms;
        [
            ("calls, full to none", calls(self.full, self.none)),
            ("calls, full to exponential", calls(self.full, self.exponential)),
            ("calls, equal to full", calls(self.equal, self.full)),
            ("calls, decorrelated to full", calls(self.decorrelated, self.full)),
            ("time, exponential to full", time(self.exponential, self.full)),
            ("time, equal to full", time(self.equal, self.full)),
            ("time, decorrelated to full", time(self.decorrelated, self.full)),
        ]
    }

    /// The relations that differ from another's by more than [`TOLERANCE`].
    pub fn strays_from(&self, other: &Self) -> Vec<String> {
        let pairs = self.relations().into_iter().zip(other.relations());
        let strays = pairs.filter(|((_, own), (_, other))| (own / other - 1.0).abs() > TOLERANCE);
        let clients = self.clients;
        strays
            .map(|((name, own), (_, other))| format!("{clients} clients: {name}: {own:.3}, not {other:.3}"))
            .collect()
    }
}

/// Lets so many clients write once each.
pub fn contend(clients: u32, backoff: Backoff, runs: u32, seed: u64) -> Contended {
    let mut jitter = Jitter::new(seed);
    let (mut calls, mut ended_us) = (0, 0);
    for _ in 0..runs {
        let (tried, ended) = once(clients, backoff, &mut jitter);
        calls += tried;
        ended_us += ended;
    }
    let mean = |sum: u64| sum as f64 / f64::from(runs.max(1));
    Contended { calls: mean(calls), ended_ms: mean(ended_us) / 1_000.0 }
}

fn once(clients: u32, backoff: Backoff, jitter: &mut Jitter) -> (u64, u64) {
    let mut waits = vec![Waits::default(); clients as usize];
    let mut coming = BinaryHeap::new();
    for client in 0..waits.len() {
        coming.push(Reverse((hop_us(jitter), client, What::Reads)));
    }
    let (mut version, mut calls, mut ended) = (0, 0, 0);
    while let Some(Reverse((now, client, what))) = coming.pop() {
        let there_and_back = hop_us(jitter) + hop_us(jitter);
        match what {
            What::Reads => coming.push(Reverse((now + there_and_back, client, What::Writes(version)))),
            What::Writes(read) => {
                calls += 1;
                if read == version {
                    version += 1;
                    ended = ended.max(now + hop_us(jitter));
                } else if let Some(own) = waits.get_mut(client) {
                    let wait = own.next(backoff, jitter);
                    coming.push(Reverse((now + there_and_back + wait, client, What::Reads)));
                }
            }
        }
    }
    (calls, ended)
}

/// Box and Muller, 1958.
fn hop_us(jitter: &mut Jitter) -> u64 {
    let radius = (-2.0 * (1.0 - unit(jitter)).max(f64::MIN_POSITIVE).ln()).sqrt();
    let normal = radius * (core::f64::consts::TAU * unit(jitter)).cos();
    (HOP_MEAN_US + HOP_SPREAD_US * normal).abs() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_takes_ten_milliseconds_give_or_take_two() {
        let mut jitter = Jitter::new(4);
        let hops: Vec<f64> = (0..20_000).map(|_| hop_us(&mut jitter) as f64).collect();
        let mean = hops.iter().sum::<f64>() / hops.len() as f64;
        let spread = (hops.iter().map(|hop| (hop - mean).powi(2)).sum::<f64>() / hops.len() as f64).sqrt();
        assert!((mean - 10_000.0).abs() < 100.0 && (spread - 2_000.0).abs() < 100.0, "{mean} {spread}");
    }

    #[test]
    fn a_client_alone_writes_at_the_first_try() {
        let alone = contend(1, Backoff::None, 200, 1);
        assert_eq!(alone.calls, 1.0);
        assert!((39.0..=41.0).contains(&alone.ended_ms), "four hops: {alone:?}");
    }
}

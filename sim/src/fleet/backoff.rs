//! How clients wait that nobody tells anything: the published policies, over the same jitter that ours draws from.
//!
//! Times are in µs, and so are the ladders. A policy of our own is not here: it runs as the engine it is.

use conch::pace::{Jitter, Ladder};

/// What a client does after a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backoff {
    /// Tries again at once.
    None,
    /// Waits the same each time, perhaps with something on top, uniform from 0.
    Constant {
        /// The wait.
        wait: u64,
        /// Most that comes on top.
        jitter: u64,
    },
    /// Waits exactly the ceiling.
    Exponential(Ladder),
    /// Between half of and the whole ceiling.
    Equal(Ladder),
    /// Between 0 and the ceiling.
    Full(Ladder),
    /// Between the base and three times the last wait.
    Decorrelated {
        /// Shortest, and what the first wait is drawn from.
        base: u64,
        /// Longest.
        cap: u64,
    },
    /// Polly's second version of it, with the cap it does not have itself.
    Polly {
        /// Mean of the first wait.
        mean: u64,
        /// Longest.
        cap: u64,
    },
}

/// Divides Polly's curve so that the first wait has the mean it is asked for.
const POLLY_SCALE: f64 = 1.4;

/// What one client remembers of its failures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    failures: u32,
    last: u64,
    /// Where Polly's curve stood.
    height: f64,
}

impl Waits {
    /// The wait after one more failure.
    pub(super) fn next(&mut self, backoff: Backoff, jitter: &mut Jitter) -> u64 {
        self.failures = self.failures.saturating_add(1);
        match backoff {
            Backoff::None => 0,
            Backoff::Constant { wait, jitter: most } => wait + jitter.up_to(most),
            Backoff::Exponential(ladder) => ladder.ceiling(self.failures),
            Backoff::Equal(ladder) => ladder.equal(self.failures, jitter),
            Backoff::Full(ladder) => ladder.full(self.failures, jitter),
            Backoff::Decorrelated { base, cap } => {
                let most = self.last.max(base).saturating_mul(3);
                self.last = (base + jitter.up_to(most - base)).min(cap);
                self.last
            }
            Backoff::Polly { mean, cap } => {
                let at = f64::from(self.failures - 1) + unit(jitter);
                let height = at.exp2() * (4.0 * at).sqrt().tanh();
                let rise = height - core::mem::replace(&mut self.height, height);
                (((rise / POLLY_SCALE).max(0.0) * mean as f64) as u64).min(cap)
            }
        }
    }
}

/// Uniform from 0 to 1.
pub(super) fn unit(jitter: &mut Jitter) -> f64 {
    const STEPS: u64 = 1 << 53;
    jitter.up_to(STEPS) as f64 / STEPS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: Ladder = Ladder { first: 10, cap: 2_000 };

    /// Lowest, mean and highest of many first, second and twelfth waits.
    fn drawn(backoff: Backoff) -> [(u64, u64, u64); 3] {
        let mut jitter = Jitter::new(9);
        let clients: Vec<Vec<u64>> = (0..20_000)
            .map(|_| {
                let mut waits = Waits::default();
                (0..12).map(|_| waits.next(backoff, &mut jitter)).collect()
            })
            .collect();
        [0, 1, 11].map(|failure| {
            let waits = clients.iter().map(|waits| waits[failure]);
            let mean = waits.clone().sum::<u64>() / clients.len() as u64;
            (waits.clone().min().unwrap(), mean, waits.max().unwrap())
        })
    }

    #[test]
    fn every_policy_draws_from_the_interval_that_was_published() {
        assert_eq!(drawn(Backoff::None), [(0, 0, 0); 3]);
        assert_eq!(drawn(Backoff::Exponential(LADDER)), [(10, 10, 10), (20, 20, 20), (2_000, 2_000, 2_000)]);
        let [first, second, twelfth] = drawn(Backoff::Full(LADDER));
        assert_eq!([(first.0, first.2), (second.0, second.2)], [(0, 10), (0, 20)]);
        assert!((980..=1_020).contains(&twelfth.1), "{twelfth:?}");
        let [first, second, twelfth] = drawn(Backoff::Equal(LADDER));
        assert_eq!([(first.0, first.2), (second.0, second.2)], [(5, 10), (10, 20)]);
        assert!(twelfth.0 >= 1_000 && (1_480..=1_520).contains(&twelfth.1), "{twelfth:?}");
        let [first, second, twelfth] = drawn(Backoff::Decorrelated { base: 5, cap: 2_000 });
        assert_eq!([(first.0, first.2), (second.0, second.2)], [(5, 15), (5, 45)]);
        assert_eq!(twelfth.2, 2_000);
    }

    /// By the curve 2^t·tanh(√4t)/1.4: the first wait is below its value at 1, and in the long run each mean is twice the
    /// last, half of 1.4427 times 2^11 for the twelfth.
    #[test]
    fn polly_follows_its_curve() {
        let [first, _, twelfth] = drawn(Backoff::Polly { mean: 1_000_000, cap: u64::MAX });
        assert!(first.2 <= 1_377_200 && (840_000..=890_000).contains(&first.1), "{first:?}");
        assert!((1_040_000_000..=1_070_000_000).contains(&twelfth.1), "{twelfth:?}");
        let [_, _, twelfth] = drawn(Backoff::Polly { mean: 1_000_000, cap: 20_000_000 });
        assert_eq!(twelfth.2, 20_000_000);
    }
}

//! When to send: the fallback ladder with full jitter, waits the city told us, and our own view of the link.
//!
//! Pure: time and randomness come in as arguments. The cap is applied before the jitter, so that devices which
//! have failed for long still spread over the whole interval instead of meeting at its end.

use crate::limits::{
    BACKOFF_BASE_MS, BACKOFF_CAP_HIDDEN_MS, BACKOFF_CAP_VISIBLE_MS, OUTAGE_MS, RETRY_AFTER_JITTER_MS,
    RETRY_AFTER_MAX_MS,
};

/// A moment of the device: monotonic for waiting, wall clock for what others read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time in ms from an arbitrary start.
    pub mono_ms: u64,
    /// The device's wall clock; it may jump.
    pub wall: crate::event::UnixMillis,
}

impl Now {
    /// The wall-clock time of a monotonic moment, as far as we know now.
    pub fn wall_of(self, mono_ms: u64) -> crate::event::UnixMillis {
        let ahead = mono_ms.saturating_sub(self.mono_ms);
        let behind = self.mono_ms.saturating_sub(mono_ms);
        crate::event::UnixMillis(self.wall.0.saturating_add(ahead).saturating_sub(behind))
    }
}

/// A small seeded generator for jitter (SplitMix64; Steele, Lea, Flood 2014). Identities never come from it.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform from 0 to `most`, both included.
    pub fn up_to(&mut self, most: u64) -> u64 {
        let wide = u128::from(self.next_bits()) * (u128::from(most) + 1);
        u64::try_from(wide >> 64).unwrap_or(most)
    }
}

/// Ceilings of waits that double from the first up to a cap, in the unit of both. What browsers use of it is inlined,
/// because with known numbers it takes fewer bytes there than a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// After one failure.
    pub first: u64,
    /// Highest.
    pub cap: u64,
}

impl Ladder {
    /// After so many failures in a row, from 1.
    #[inline]
    pub fn ceiling(self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(32);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }

    /// Full jitter: uniform from 0 to the ceiling.
    #[inline]
    pub fn full(self, failures: u32, jitter: &mut Jitter) -> u64 {
        jitter.up_to(self.ceiling(failures))
    }

    /// Equal jitter: between half of and the whole ceiling. Each ceiling is the floor of the next wait.
    pub fn equal(self, failures: u32, jitter: &mut Jitter) -> u64 {
        let half = self.ceiling(failures) / 2;
        half + jitter.up_to(half)
    }
}

/// Whether a person can see the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Visible: retry up to once a minute.
    Visible,
    /// Hidden: save the battery, up to once in five minutes.
    Hidden,
}

/// The fallback's ladder, in ms.
#[inline]
pub fn ladder_ms(watched: Watched) -> Ladder {
    let cap = match watched {
        Watched::Visible => BACKOFF_CAP_VISIBLE_MS,
        Watched::Hidden => BACKOFF_CAP_HIDDEN_MS,
    };
    Ladder { first: BACKOFF_BASE_MS, cap }
}

/// The fallback's wait after so many failures in a row (from 1), in ms.
pub fn backoff_ms(failures: u32, watched: Watched, jitter: &mut Jitter) -> u64 {
    ladder_ms(watched).full(failures, jitter)
}

/// The time over which the first contact after an outage is spread, in ms: the city's window, at most an hour. None when
/// the outage was short, or no window is known.
pub fn return_window_ms(outage_ms: u64, window_ms: u64) -> Option<u64> {
    (outage_ms > OUTAGE_MS && window_ms > 0).then(|| window_ms.min(RETRY_AFTER_MAX_MS))
}

/// The wait the city told us: never earlier, at most an hour, plus up to a second so that no two devices that
/// heard the same number come back in the same instant.
pub fn told_ms(wait_ms: u64, jitter: &mut Jitter) -> u64 {
    wait_ms.min(RETRY_AFTER_MAX_MS) + jitter.up_to(RETRY_AFTER_JITTER_MS)
}

/// Our own view of connectivity: what the last answer proved, never a browser flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nothing tried yet.
    #[default]
    Unknown,
    /// The last answer was the city's.
    Up,
    /// No answer.
    Down,
    /// A portal or proxy answers in the city's place.
    Captive,
    /// What answers is no city.
    Misconfigured,
}

impl Link {
    /// The word on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Captive => "captive",
            Self::Misconfigured => "misconfigured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_doubles_to_its_cap_and_never_beyond() {
        let ladder: Vec<u64> =
            (1..=9).map(|failures| ladder_ms(Watched::Visible).ceiling(failures)).collect();
        assert_eq!(ladder, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(ladder_ms(Watched::Hidden).ceiling(10), 300_000);
        assert_eq!(ladder_ms(Watched::Hidden).ceiling(u32::MAX), 300_000);
        assert_eq!(ladder_ms(Watched::Visible).ceiling(0), 1_000);
    }

    /// The cap is applied before the jitter: at the cap the waits still fill the whole interval evenly.
    #[test]
    fn waits_at_the_cap_are_spread_over_the_whole_interval() {
        let mut jitter = Jitter::new(7);
        let mut quarters = [0_u32; 4];
        for _ in 0..4_000 {
            let wait = backoff_ms(20, Watched::Visible, &mut jitter);
            assert!(wait <= 60_000);
            quarters[(wait / 15_001) as usize] += 1;
        }
        for quarter in quarters {
            assert!((880..=1_120).contains(&quarter), "{quarters:?}");
        }
    }

    #[test]
    fn a_told_wait_is_never_shortened_and_at_most_an_hour_and_a_second() {
        let mut jitter = Jitter::new(1);
        for wait in [0, 1, 999, 7_000, 3_600_000, u64::MAX] {
            for _ in 0..100 {
                let told = told_ms(wait, &mut jitter);
                let floor = wait.min(3_600_000);
                assert!((floor..=floor + 1_000).contains(&told), "{wait} {told}");
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_waits() {
        let draw = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..8).map(|_| jitter.up_to(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}

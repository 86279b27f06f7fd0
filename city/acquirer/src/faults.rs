//! What goes wrong, drawn from a seed: the same seed, id and try fail in the same way.

use std::str::FromStr;
use std::time::Duration;

/// How likely each fault is, from 0 to 1, and how slow the answers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Draws everything below.
    pub seed: u64,
    /// An id is refused.
    pub decline: f64,
    /// A refund is refused, and nothing else.
    pub refuse_refund: f64,
    /// A capture moves the money twice and answers once.
    pub double: f64,
    /// A request is lost on its way: nothing is done, nothing answered.
    pub lose_request: f64,
    /// It is done, and the answer is lost.
    pub lose_answer: f64,
    /// A second in which every request is turned away.
    pub outage: f64,
    /// Fastest answer, in ms.
    pub latency_min_ms: u64,
    /// Slowest answer, in ms.
    pub latency_max_ms: u64,
    /// How long a lost answer keeps the caller waiting, in ms.
    pub hang_ms: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 1,
            decline: 0.0,
            refuse_refund: 0.0,
            double: 0.0,
            lose_request: 0.0,
            lose_answer: 0.0,
            outage: 0.0,
            latency_min_ms: 0,
            latency_max_ms: 0,
            hang_ms: 0,
        }
    }
}

/// What is wrong with a list of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultsProblem(String);

impl std::fmt::Display for FaultsProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultsProblem {}

impl FromStr for Faults {
    type Err = FaultsProblem;

    /// Reads `seed=7,double=0.1,lose-answer=0.2,latency-ms=5-80`.
    fn from_str(text: &str) -> Result<Self, FaultsProblem> {
        let mut faults = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| FaultsProblem(format!("`{part}` has no value: write name=value")))?;
            faults.set(name, value)?;
        }
        Ok(faults)
    }
}

impl std::fmt::Display for Faults {
    /// The list that reads as these, without what is as usual.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let usual = Self::default();
        let chances = [
            ("decline", self.decline),
            ("refuse-refund", self.refuse_refund),
            ("double", self.double),
            ("lose-request", self.lose_request),
            ("lose-answer", self.lose_answer),
            ("outage", self.outage),
        ];
        let mut parts = Vec::new();
        if self.seed != usual.seed {
            parts.push(format!("seed={}", self.seed));
        }
        parts.extend(
            chances
                .iter()
                .filter(|(_, chance)| *chance > 0.0)
                .map(|(name, chance)| format!("{name}={chance}")),
        );
        if self.latency_max_ms > 0 {
            parts.push(format!("latency-ms={}-{}", self.latency_min_ms, self.latency_max_ms));
        }
        if self.hang_ms > 0 {
            parts.push(format!("hang-ms={}", self.hang_ms));
        }
        f.write_str(&parts.join(","))
    }
}

impl Faults {
    fn set(&mut self, name: &str, value: &str) -> Result<(), FaultsProblem> {
        let wrong = |what: &str| FaultsProblem(format!("`{name}` is {what}, not `{value}`"));
        let chance = || {
            let chance = value.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
            chance.ok_or_else(|| wrong("a chance from 0 to 1"))
        };
        let whole = |text: &str| text.parse().map_err(|_| wrong("a whole number"));
        match name {
            "seed" => self.seed = whole(value)?,
            "decline" => self.decline = chance()?,
            "refuse-refund" => self.refuse_refund = chance()?,
            "double" => self.double = chance()?,
            "lose-request" => self.lose_request = chance()?,
            "lose-answer" => self.lose_answer = chance()?,
            "outage" => self.outage = chance()?,
            "hang-ms" => self.hang_ms = whole(value)?,
            "latency-ms" => {
                let (least, most) = value.split_once('-').unwrap_or((value, value));
                (self.latency_min_ms, self.latency_max_ms) = (whole(least)?, whole(most)?);
                if self.latency_min_ms > self.latency_max_ms {
                    return Err(wrong("a range such as 5-80"));
                }
            }
            _ => {
                return Err(FaultsProblem(format!(
                    "there is no fault `{name}`: it is one of seed, decline, refuse-refund, double, lose-request, lose-answer, \
                     outage, latency-ms, hang-ms"
                )));
            }
        }
        Ok(())
    }

    /// Whether a thing happens, for a word and a number.
    pub(crate) fn happens(&self, chance: f64, what: &str, of: &str, number: u64) -> bool {
        chance > 0.0 && self.draw(what, of, number) < chance
    }

    /// How long an answer takes.
    pub(crate) fn latency(&self, of: &str, number: u64) -> Duration {
        let span = self.latency_max_ms.saturating_sub(self.latency_min_ms) as f64;
        let ms = self.latency_min_ms + (self.draw("latency", of, number) * span) as u64;
        Duration::from_millis(ms)
    }

    /// From 0 to 1: 64-bit FNV-1a over the words, mixed once more as in SplitMix64.
    fn draw(&self, what: &str, of: &str, number: u64) -> f64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ self.seed;
        let number = number.to_be_bytes();
        for byte in what.bytes().chain([0]).chain(of.bytes()).chain([0]).chain(number) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((hash ^ (hash >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_is_read_and_says_what_is_wrong_with_it() {
        let read: Faults = "seed=7, double=0.1,latency-ms=5-80".parse().unwrap();
        assert_eq!((read.seed, read.double, read.latency_min_ms, read.latency_max_ms), (7, 0.1, 5, 80));
        assert_eq!("".parse(), Ok(Faults::default()));
        let all = "seed=7,decline=0.5,refuse-refund=0.75,double=0.1,lose-request=1,lose-answer=0.25,outage=0.2,latency-ms=5-80,hang-ms=9";
        assert_eq!(all.parse::<Faults>().unwrap().to_string(), all);
        assert_eq!(Faults::default().to_string(), "");
        for (text, wrong) in [
            ("double", "has no value"),
            ("double=2", "a chance from 0 to 1"),
            ("seed=x", "a whole number"),
            ("latency-ms=9-1", "a range"),
            ("thunder=1", "there is no fault `thunder`"),
        ] {
            let problem = text.parse::<Faults>().unwrap_err().to_string();
            assert!(problem.contains(wrong), "{text}: {problem}");
        }
    }

    #[test]
    fn a_chance_comes_out_as_often_as_it_says() {
        let faults = Faults { seed: 3, ..Faults::default() };
        let count = (0..10_000).filter(|number| faults.happens(0.2, "double", "capture:x", *number)).count();
        assert!((1_800..2_200).contains(&count), "{count}");
        assert!(!faults.happens(0.0, "double", "x", 1));
        assert!(faults.happens(1.0, "double", "x", 1));
    }
}

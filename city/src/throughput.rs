//! How many events of each topic went onto the bus lately, second by second. In memory: it begins with the city, and says
//! since when.

use city_domain::limits::{THROUGHPUT_S, THROUGHPUT_STEP_S, THROUGHPUT_TOPICS_MAX};
use conch::event::UnixMillis;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Takes the events of topics beyond [`THROUGHPUT_TOPICS_MAX`]: devices may say whatever they like on topics of their own.
const OTHERS: &str = "others";

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Throughput(Mutex<BTreeMap<String, Counts>>);

/// Of one topic.
#[derive(Debug)]
struct Counts {
    /// One for each second, by its number modulo their count.
    seconds: [u32; THROUGHPUT_S as usize],
    /// The last second that was counted into.
    upto_s: u64,
}

/// What a board shows of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) topic: String,
    /// In the last sixty seconds.
    pub(crate) last_minute: u64,
    /// In steps of [`THROUGHPUT_STEP_S`], the oldest first; the last one is under way.
    pub(crate) steps: Vec<u64>,
}

impl Counts {
    /// What lies between the last event and now is nought.
    fn pass(&mut self, now_s: u64) {
        let passed = now_s.saturating_sub(self.upto_s).min(THROUGHPUT_S);
        for second in (0..passed).map(|back| now_s - back) {
            *self.at(second) = 0;
        }
        self.upto_s = self.upto_s.max(now_s);
    }

    #[allow(clippy::indexing_slicing, reason = "the index is a remainder of the length")]
    fn at(&mut self, second: u64) -> &mut u32 {
        &mut self.seconds[(second % THROUGHPUT_S) as usize]
    }
}

impl Throughput {
    /// Events of these topics went onto the bus.
    pub(crate) fn count(&self, topics: &BTreeMap<String, u32>, now: UnixMillis) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, events) in topics {
            let known = all.contains_key(topic) || all.len() < THROUGHPUT_TOPICS_MAX;
            let name = if known { topic.as_str() } else { OTHERS };
            let counts = all
                .entry(name.to_owned())
                .or_insert_with(|| Counts { seconds: [0; THROUGHPUT_S as usize], upto_s: now.0 / 1_000 });
            counts.pass(now.0 / 1_000);
            // A clock that was set back counts into the past, where it belongs to nobody.
            let second = counts.at(now.0 / 1_000);
            *second = second.saturating_add(*events);
        }
    }

    /// All topics by name.
    pub(crate) fn flows(&self, now: UnixMillis) -> Vec<Flow> {
        let now_s = now.0 / 1_000;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flow = |(topic, counts): (&String, &mut Counts)| {
            counts.pass(now_s);
            let mut sum = |from: u64, to: u64| (from..=to).map(|second| u64::from(*counts.at(second))).sum();
            let step = now_s / THROUGHPUT_STEP_S;
            // The oldest step would have lost some of its seconds already.
            let steps = (step + 2 - THROUGHPUT_S / THROUGHPUT_STEP_S..=step)
                .map(|step| sum(step * THROUGHPUT_STEP_S, ((step + 1) * THROUGHPUT_STEP_S - 1).min(now_s)))
                .collect();
            Flow { topic: topic.clone(), last_minute: sum(now_s - 59, now_s), steps }
        };
        all.iter_mut().map(flow).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_S: u64 = 1_795_435_200;

    fn count(throughput: &Throughput, topic: &str, events: u32, at_s: u64) {
        throughput.count(&BTreeMap::from([(topic.to_owned(), events)]), UnixMillis((NOON_S + at_s) * 1_000));
    }

    fn flow(throughput: &Throughput, at_s: u64) -> Flow {
        throughput.flows(UnixMillis((NOON_S + at_s) * 1_000)).remove(0)
    }

    #[test]
    fn a_minute_has_sixty_seconds_and_old_ones_are_forgotten() {
        let throughput = Throughput::default();
        count(&throughput, "pay.txn.v2", 3, 0);
        count(&throughput, "pay.txn.v2", 2, 30);
        assert_eq!(flow(&throughput, 59).last_minute, 5);
        assert_eq!(flow(&throughput, 60).last_minute, 2);
        assert_eq!(flow(&throughput, 90).last_minute, 0);
        let steps = flow(&throughput, 90).steps;
        assert_eq!(steps.iter().sum::<u64>(), 5, "the picture still shows them");
        assert_eq!(flow(&throughput, 90 + THROUGHPUT_S).steps.iter().sum::<u64>(), 0);
        count(&throughput, "pay.txn.v2", 1, 5 * THROUGHPUT_S);
        assert_eq!(flow(&throughput, 5 * THROUGHPUT_S).steps.iter().sum::<u64>(), 1);
    }

    #[test]
    fn the_last_step_is_the_one_under_way() {
        let throughput = Throughput::default();
        count(&throughput, "gate.auth.v2", 4, 0);
        assert_eq!(flow(&throughput, 0).steps.last(), Some(&4), "noon begins a step");
        let later = flow(&throughput, THROUGHPUT_STEP_S).steps;
        assert_eq!((later.last(), later.get(later.len() - 2)), (Some(&0), Some(&4)));
    }

    #[test]
    fn made_up_topics_are_counted_together() {
        let throughput = Throughput::default();
        for number in 0..THROUGHPUT_TOPICS_MAX + 5 {
            count(&throughput, &format!("made.up{number}.v1"), 1, 0);
        }
        let flows = throughput.flows(UnixMillis(NOON_S * 1_000));
        assert_eq!(flows.len(), THROUGHPUT_TOPICS_MAX + 1);
        assert_eq!(flows.iter().find(|flow| flow.topic == OTHERS).map(|flow| flow.last_minute), Some(5));
    }
}

//! When devices should come: the window they spread their first send over, and a slot for each when too many
//! came at once.

use crate::limits::{SEEN_MS, SLOT_FIRST_MS, SLOT_LATE_MS, SLOT_SHARE, WINDOW_MARGIN};
use conch::event::{Device, UnixMillis};
use std::collections::{BTreeSet, HashMap};

/// Knows who was heard lately and which slots are given away.
///
/// Slots are numbered, so many a second as the city is trusted with. Turning somebody away takes the city's time as well, and
/// until that is paid whoever comes is turned away again. So who is new gets a slot so late that all who were told before
/// can be served once the debt is paid, and who was turned away again at its own slot gets the first free one after that:
/// room was left for it.
#[derive(Debug)]
pub struct Pacer {
    capacity_per_s: f64,
    /// What it takes to turn one away, as a part of a request that is taken.
    refusal_cost: f64,
    known: HashMap<Device, Known>,
    heard_since_sweep: usize,
    /// Those given away that are still to come.
    slots: BTreeSet<u64>,
    /// When the city will have paid for all whom it turned away, and for those whose slot passes until then.
    paid_ms: f64,
    /// Who holds a slot before this one will be turned away again, and is paid for already.
    charged_before: u64,
    /// The slots before this one are too soon or given away.
    free_from: u64,
}

/// What is known of a device.
#[derive(Clone, Copy, Debug)]
struct Known {
    heard: UnixMillis,
    /// The last slot it was given.
    slot: Option<u64>,
}

impl Pacer {
    /// A pacer for a city that takes so many requests per second, and for which turning one away costs such a part of
    /// taking it.
    pub fn new(capacity_per_s: u32, refusal_cost: f64) -> Self {
        Self {
            capacity_per_s: f64::from(capacity_per_s.max(1)),
            refusal_cost,
            known: HashMap::new(),
            heard_since_sweep: 0,
            slots: BTreeSet::new(),
            paid_ms: 0.0,
            charged_before: 0,
            free_from: 0,
        }
    }

    /// Notes that a device was heard.
    pub fn hear(&mut self, device: &Device, now: UnixMillis) {
        match self.known.get_mut(device) {
            Some(known) => known.heard = now,
            None => {
                self.known.insert(device.clone(), Known { heard: now, slot: None });
            }
        }
        self.heard_since_sweep += 1;
        // One sweep per as many requests as there are devices, so that its cost is constant per request.
        if self.heard_since_sweep > self.known.len() {
            self.heard_since_sweep = 0;
            self.known.retain(|_, known| now.0.saturating_sub(known.heard.0) <= SEEN_MS);
        }
    }

    /// The time all devices of the last hour need to send once, with a margin, in ms.
    pub fn window_ms(&self) -> u64 {
        (WINDOW_MARGIN * self.known.len() as f64 / self.capacity_per_s * 1_000.0).ceil() as u64
    }

    /// The slot for somebody who was turned away behind `queued` waiting requests: ms to wait, at least [`SLOT_FIRST_MS`],
    /// and not beyond the window after the queue and the debt. A device has one slot at a time, however often it asks.
    pub fn slot_ms(&mut self, device: Option<&Device>, now: UnixMillis, queued: usize) -> u64 {
        let now_ms = now.0 as f64;
        let earliest = now_ms + (queued as f64 / self.capacity_per_s * 1_000.0).max(SLOT_FIRST_MS);
        while self.slots.first().is_some_and(|slot| self.at_ms(*slot) < now_ms) {
            self.slots.pop_first();
        }
        let held = device.and_then(|device| self.known.get(device)?.slot);
        let slot = match held {
            Some(slot) if self.at_ms(slot) > now_ms => {
                self.charge(now_ms);
                return (self.at_ms(slot) - now_ms).max(SLOT_FIRST_MS).ceil() as u64;
            }
            Some(slot) if now_ms <= self.at_ms(slot) + SLOT_LATE_MS => {
                if slot >= self.charged_before {
                    self.charge(now_ms);
                }
                self.first_free(earliest)
            }
            _ => {
                self.charge(now_ms);
                self.next_in_line(earliest)
            }
        };
        let latest = earliest.max(self.paid_ms) + (self.window_ms() as f64).max(1.0);
        if self.at_ms(slot) > latest {
            return (latest - now_ms).ceil() as u64;
        }
        self.slots.insert(slot);
        if let Some(known) = device.and_then(|device| self.known.get_mut(device)) {
            known.slot = Some(slot);
        }
        (self.at_ms(slot) - now_ms).ceil() as u64
    }

    /// Pays for one more that is turned away, and for everybody whose slot passes meanwhile. A debt of more than two for
    /// each device that is known is not believed: who asks without a pause does not put off the others without end.
    fn charge(&mut self, now_ms: f64) {
        let each_ms = self.refusal_cost / self.capacity_per_s * 1_000.0;
        self.paid_ms = self.paid_ms.max(now_ms) + each_ms;
        while let Some(passed) = self.slots.range(self.charged_before..).next().copied()
            && self.at_ms(passed) < self.paid_ms
        {
            self.charged_before = passed + 1;
            self.paid_ms += each_ms;
        }
        self.paid_ms = self.paid_ms.min(now_ms + 2.0 * self.refusal_cost * self.window_ms() as f64);
    }

    /// After all that were given, and no sooner than those can be served that hold them.
    fn next_in_line(&self, earliest: f64) -> u64 {
        let served = self.paid_ms + self.slots.len() as f64 * self.step_ms();
        let next = self.slots.last().map_or(0, |last| last + 1);
        next.max(self.not_before(earliest.max(served)))
    }

    /// The first that nobody has after the debt is paid.
    fn first_free(&mut self, earliest: f64) -> u64 {
        let mut slot = self.free_from.max(self.not_before(earliest.max(self.paid_ms)));
        while self.slots.contains(&slot) {
            slot += 1;
        }
        self.free_from = slot;
        slot
    }

    /// From one slot to the next.
    fn step_ms(&self) -> f64 {
        1_000.0 / (SLOT_SHARE * self.capacity_per_s)
    }

    fn at_ms(&self, slot: u64) -> f64 {
        slot as f64 * self.step_ms()
    }

    fn not_before(&self, at_ms: f64) -> u64 {
        (at_ms / self.step_ms()).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    /// Two refusals take as long as one request that is taken.
    const DEAR: f64 = 0.5;

    fn device(n: usize) -> Device {
        Device::parse(&format!("d-{n}")).unwrap()
    }

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(NOW.0 + ms)
    }

    fn with_devices(count: usize, capacity: u32, refusal_cost: f64) -> Pacer {
        let mut pacer = Pacer::new(capacity, refusal_cost);
        for n in 0..count {
            pacer.hear(&device(n), NOW);
        }
        pacer
    }

    /// They come at once and are turned away. Returns how long each is to wait.
    fn wave(pacer: &mut Pacer, devices: Range<usize>, queued: usize) -> Vec<u64> {
        devices.map(|n| pacer.slot_ms(Some(&device(n)), NOW, queued)).collect()
    }

    fn are_different(mut waits: Vec<u64>) -> bool {
        waits.sort_unstable();
        waits.windows(2).all(|pair| pair[0] < pair[1])
    }

    #[test]
    fn the_window_is_devices_over_capacity_with_a_margin() {
        assert_eq!(with_devices(0, 100, 0.0).window_ms(), 0);
        assert_eq!(with_devices(1_000, 100, DEAR).window_ms(), 12_000);
        let mut pacer = with_devices(10, 1, 0.0);
        for _ in 0..20 {
            pacer.hear(&device(0), later(SEEN_MS + 1));
        }
        assert_eq!(pacer.window_ms(), 1_200, "who was silent for an hour no longer counts");
    }

    #[test]
    fn slots_follow_one_another_at_the_capacity_and_never_beyond_the_window() {
        let mut pacer = with_devices(1_000, 100, 0.0);
        let waits = wave(&mut pacer, 0..970, 100);
        assert!((1_000..=1_011).contains(&waits[0]), "{}", waits[0]);
        let lasts = waits[969] - waits[0];
        assert!(lasts.abs_diff(969 * 1_000 / 97) <= 1, "{lasts}: ten seconds of slots");
        assert!(are_different(waits), "no two devices have the same");
        let nameless = (0..10_000).map(|_| pacer.slot_ms(None, NOW, 100)).max();
        assert_eq!(nameless, Some(13_000));
        let rested = pacer.slot_ms(Some(&device(0)), later(60_000), 0);
        assert!((1_000..=1_011).contains(&rested), "old slots are forgotten");
    }

    /// 10 s of devices at half a request for each refusal: that alone takes 5 s, and slots pass meanwhile.
    #[test]
    fn who_is_new_comes_when_refusals_are_paid_for_and_all_before_are_served() {
        let mut pacer = with_devices(1_000, 100, DEAR);
        let waits = wave(&mut pacer, 0..1_000, 50);
        let paid = pacer.paid_ms - NOW.0 as f64;
        let passed = waits.iter().filter(|wait| (**wait as f64) < paid).count();
        let owed = DEAR * (1_000 + passed) as f64 * 10.0;
        assert!((paid - owed).abs() <= 2.0 * DEAR * 10.0, "{passed} pass, {paid} of {owed} ms");
        let (last, served) = (waits[999] as f64, owed + 1_000.0 * pacer.step_ms());
        assert!((last - served).abs() < 50.0, "{last} of {served} ms");
        assert!(waits[999] <= paid as u64 + pacer.window_ms());
        assert!(are_different(waits));
    }

    #[test]
    fn who_is_turned_away_at_its_slot_comes_between_the_others_and_not_behind_them() {
        let mut pacer = with_devices(1_000, 100, DEAR);
        let waits = wave(&mut pacer, 0..1_000, 50);
        let last = waits[999];
        let paid = (pacer.paid_ms - NOW.0 as f64) as u64;
        let mut all: Vec<u64> = waits.iter().copied().filter(|wait| *wait >= paid).collect();
        for (n, wait) in waits.iter().enumerate().filter(|(_, wait)| **wait < paid) {
            let again = wait + 50 + pacer.slot_ms(Some(&device(n)), later(wait + 50), 50);
            assert!((paid..=last).contains(&again), "{again} is not between {paid} and {last}");
            all.push(again);
        }
        assert_eq!(all.len(), 1_000);
        assert!(are_different(all), "no two devices have the same");
        assert!((pacer.paid_ms - NOW.0 as f64) as u64 <= paid, "whose slot passed was paid for before");
    }

    #[test]
    fn who_does_not_wait_for_its_slot_keeps_it_and_nobody_loses_one() {
        for cost in [0.0, DEAR] {
            let [mut calm, mut pushed] = [(); 2].map(|()| with_devices(200, 100, cost));
            let waits = wave(&mut calm, 0..100, 50);
            assert_eq!(wave(&mut pushed, 0..100, 50), waits);
            for at in [0, 10, 300] {
                let told = pushed.slot_ms(Some(&device(99)), later(at), 50);
                assert_eq!(told, waits[99] - at, "not sooner, and not at the end either");
            }
            // Room for those who are turned away at their slots is left as before.
            let returns = |pacer: &mut Pacer| pacer.slot_ms(Some(&device(0)), later(waits[0]), 50);
            let more = 3.0 * cost * 10.0;
            let (own, others) = (returns(&mut calm), returns(&mut pushed));
            assert!(others >= own && others as f64 <= own as f64 + 2.0 * more + 11.0, "{own} {others}");
        }
    }

    #[test]
    fn a_slot_that_is_near_is_still_a_second_away() {
        let mut pacer = with_devices(1, 100, 0.0);
        let wait = pacer.slot_ms(Some(&device(0)), NOW, 0);
        assert_eq!(pacer.slot_ms(Some(&device(0)), later(wait - 10), 0), 1_000);
        let again = pacer.slot_ms(Some(&device(0)), later(wait + 990), 0);
        assert!((1_000..=1_011).contains(&again), "{again}");
    }

    #[test]
    fn who_comes_long_after_its_slot_is_as_good_as_new() {
        let mut pacer = with_devices(1_000, 100, DEAR);
        let waits = wave(&mut pacer, 0..999, 50);
        let at = waits[0] + SLOT_LATE_MS as u64 + 1;
        let again = at + pacer.slot_ms(Some(&device(0)), later(at), 50);
        assert!(again > waits[998], "{again} is not behind {}", waits[998]);
    }

    #[test]
    fn who_finds_the_window_full_takes_no_slot_from_those_who_come_later() {
        let mut pacer = with_devices(2, 100, 0.0);
        let first = pacer.slot_ms(Some(&device(0)), NOW, 0);
        for _ in 0..10 {
            pacer.slot_ms(None, later(first), 0);
        }
        for _ in 0..1_000 {
            assert!(pacer.slot_ms(Some(&device(0)), later(first), 0) <= 1_000 + pacer.window_ms());
        }
        let at = 5_000;
        let own = at + pacer.slot_ms(Some(&device(1)), later(at), 0);
        let again = pacer.slot_ms(Some(&device(1)), later(own), 0);
        assert!((1_000..=1_011).contains(&again), "{again}");
    }

    #[test]
    fn asking_without_a_pause_does_not_put_off_the_others_without_end() {
        let mut pacer = with_devices(1_000, 100, DEAR);
        for _ in 0..100_000 {
            pacer.slot_ms(Some(&device(0)), NOW, 50);
        }
        let wait = pacer.slot_ms(Some(&device(1)), NOW, 50);
        let window = pacer.window_ms() as f64;
        assert!(wait as f64 <= 2.0 * DEAR * window + 50.0, "{wait}");
        assert_eq!(pacer.slots.len(), 2, "nor does it take slots");
    }
}

//! Power against a model of a breaker and of stalls that do as they are told once their grace is over.
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use city_domain::bus::{Message, PARTITIONS, Turn, due, relay, take_up, tick};
use city_domain::{City, Memory, Plan, Power, Tx, limits};
use conch::event::json::Json;
use conch::event::{Device, EventId, UnixMillis};
use conch::pace::Jitter;

const START: u64 = 1_790_000_000_000;
const LIMIT: u64 = 10_000;
/// A thermal breaker bears what is above its limit for so long, in ms.
const BREAKER_MS: u64 = 60_000;

struct Street {
    memory: Memory,
    power: Power,
    now: u64,
    minted: u64,
    /// Of each stall: what it would draw, whether it is on, and until when it saves its work.
    stalls: Vec<(Device, u64, bool, Option<u64>)>,
    heard: usize,
    over_ms: u64,
    tripped: bool,
    switches: usize,
}

impl Street {
    fn new(stalls: &[(&str, u64)], plan: &str) -> Self {
        let stall = |(name, watts): &(&str, u64)| (Device::parse(name).unwrap(), *watts, true, None);
        Self {
            memory: Memory::default(),
            power: Power { plan: Plan::read(plan).unwrap() },
            now: START,
            minted: 0,
            stalls: stalls.iter().map(stall).collect(),
            heard: 0,
            over_ms: 0,
            tripped: false,
            switches: 0,
        }
    }

    fn carried(&self) -> u64 {
        self.stalls.iter().filter(|stall| stall.2).map(|stall| stall.1).sum()
    }

    fn say(&mut self, device: &str, data: &str) -> Message {
        self.minted += 1;
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&self.minted.to_be_bytes());
        let id = EventId::mint(UnixMillis(self.now), entropy);
        let body = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"conch://device/{device}/life","type":"ops.power.v1.load_reported","partitionkey":"c4","data":{data}}}"#
        );
        let message = Message::read(body).unwrap();
        self.memory.put_outgoing(&message).unwrap();
        message
    }

    /// What a device says now of a load it measured some time ago, as after its link came back.
    fn say_late(&mut self, device: &str, watts: u64, ago_ms: u64) {
        let message = self.say(device, &format!(r#"{{"watts":{watts}}}"#));
        let (device, envelope) = (Device::parse(device).unwrap(), message.envelope().unwrap());
        let kept = city_domain::Kept {
            source: message.source,
            id: message.id,
            device,
            topic: message.topic,
            kind: message.kind,
            key: message.key,
            intent: envelope.intent,
            sequence: None,
            device_time: None,
            corrected: UnixMillis(self.now - ago_ms),
            received: UnixMillis(self.now),
            body: message.body,
        };
        self.memory.put_event(&kept).unwrap();
    }

    fn report(&mut self, place: usize) {
        let (stall, watts, on, _) = &self.stalls[place];
        let (stall, watts) = (stall.to_string(), if *on { *watts } else { 0 });
        self.say(&stall, &format!(r#"{{"watts":{watts}}}"#));
    }

    fn turn(&mut self) {
        let city = City { id: EventId::mint(UnixMillis(START), [9; 10]) };
        let mut jitter = Jitter::new(1);
        let minted = &mut self.minted;
        let mut entropy = || {
            *minted += 1;
            let mut bytes = [1; 10];
            bytes[2..].copy_from_slice(&minted.to_be_bytes());
            bytes
        };
        let now = UnixMillis(self.now);
        let mut turn = Turn::new(&city, now, &mut entropy, &mut jitter);
        for partition in 0..PARTITIONS {
            relay(&mut self.memory, partition, 100, now).unwrap();
            take_up(&mut self.memory, &self.power, partition, 100, &mut turn).unwrap();
        }
        due(&mut self.memory, &self.power, 100, &mut turn).unwrap();
        tick(&mut self.memory, &self.power, 100, &mut turn).unwrap();
        assert!(turn.troubles.is_empty());
    }

    /// The stalls hear their feeds: who is shed saves its work for the grace period and goes off; who is restored
    /// comes back.
    fn listen(&mut self) {
        for stall in &mut self.stalls {
            let feed = self.memory.feed(&stall.0);
            if let Some(last) = feed.last() {
                let event = Json::parse(&last.body).unwrap();
                match event.text("type").unwrap() {
                    "ops.power.v1.shed" if stall.2 && stall.3.is_none() => {
                        let grace = event.get("data").unwrap().whole("graceS").unwrap() * 1_000;
                        stall.3 = Some(self.now + grace);
                    }
                    "ops.power.v1.restored" => {
                        stall.3 = None;
                        stall.2 = true;
                    }
                    _ => {}
                }
            }
            if stall.3.is_some_and(|until| until <= self.now) {
                stall.2 = false;
            }
        }
        let heard: usize = self.stalls.iter().map(|stall| self.memory.feed(&stall.0).len()).sum();
        self.switches += heard - self.heard;
        self.heard = heard;
    }

    /// Lets time pass in steps of five seconds; each stall reports every ten.
    fn pass(&mut self, minutes: u64) {
        for step in 0..minutes * 12 {
            self.now += 5_000;
            for place in 0..self.stalls.len() {
                if (step + place as u64).is_multiple_of(2) {
                    self.report(place);
                }
            }
            self.turn();
            self.listen();
            self.over_ms = if self.carried() > LIMIT { self.over_ms + 5_000 } else { 0 };
            self.tripped |= self.over_ms > BREAKER_MS;
        }
    }

    fn on(&self) -> Vec<&str> {
        self.stalls.iter().filter(|stall| stall.2).map(|stall| stall.0.as_str()).collect()
    }
}

const PLAN: &str = r#"[{"circuit":"c4","limitWatts":10000,"stalls":{"fridge":1,"fryer":4,"lights":6}}]"#;

#[test]
fn a_load_below_the_threshold_sheds_nobody() {
    let mut street = Street::new(&[("fridge", 3_000), ("fryer", 4_000), ("lights", 2_000)], PLAN);
    street.pass(30);
    assert_eq!((street.switches, street.tripped), (0, false));
}

/// The model is worth something: nobody sheds here.
#[test]
fn without_shedding_the_breaker_trips() {
    let plan = PLAN.replace("10000", "100000");
    let mut street =
        Street::new(&[("fridge", 3_000), ("fryer", 4_000), ("lights", 2_000), ("stranger", 2_500)], &plan);
    street.pass(4);
    assert!(street.tripped);
}

#[test]
fn the_least_important_goes_first_and_the_breaker_holds() {
    let mut street =
        Street::new(&[("fridge", 3_000), ("fryer", 4_000), ("lights", 2_000), ("stranger", 2_500)], PLAN);
    assert!(street.carried() > LIMIT, "without shedding the breaker would trip");
    street.pass(4);
    assert_eq!(street.on(), ["fridge", "fryer"], "the stranger and the lights: then it carries at most 80 %");
    assert!(!street.tripped);
    let shed = street.memory.loads(&conch::event::Key::parse("c4").unwrap()).unwrap();
    assert!(shed.iter().all(|load| load.shed_at.is_none() || load.watts > 0), "what it drew is remembered");
}

#[test]
fn a_stall_comes_back_when_there_has_been_room_for_a_while_the_most_important_first() {
    let mut street =
        Street::new(&[("fridge", 3_000), ("fryer", 4_000), ("lights", 2_000), ("stranger", 2_500)], PLAN);
    street.pass(10);
    assert_eq!(street.on(), ["fridge", "fryer"], "with the lights it would carry 90 %");
    street.stalls[1].1 = 1_000;
    street.pass(1);
    assert_eq!(street.on(), ["fridge", "fryer", "lights"]);
    street.pass(10);
    assert_eq!(street.on(), ["fridge", "fryer", "lights"], "with the stranger it would carry 85 %");
    street.stalls[1].1 = 0;
    street.pass(2);
    assert_eq!(street.on().len(), 4);
    assert!(!street.tripped);
}

/// A fryer that draws now more and now less must not make the lights go on and off.
#[test]
fn a_load_at_the_edge_switches_nobody_on_and_off() {
    let mut street = Street::new(&[("fridge", 3_000), ("fryer", 4_600), ("lights", 1_800)], PLAN);
    let mut switches = 0;
    for minute in 0..60 {
        street.stalls[1].1 = if minute % 2 == 0 { 4_600 } else { 2_000 };
        street.pass(1);
        switches = street.switches;
    }
    assert!(switches <= 2 * 60 / 5 + 1, "at most one change in five minutes each way: {switches}");
    assert!(!street.tripped);
    const { assert!(limits::RESTORE_TO < limits::SHED_TO && limits::SHED_TO < limits::SHED_ABOVE) }
}

#[test]
fn a_circuit_nobody_knows_is_a_dead_letter() {
    let mut street = Street::new(&[("fridge", 3_000)], &PLAN.replace("c4", "c5"));
    street.pass(1);
    let letter = street.memory.dead_letters().next().unwrap();
    assert_eq!(letter.code, "unknown-circuit");
    // Without any plan nobody is asked to keep it.
    let mut street = Street::new(&[("fridge", 3_000)], "[]");
    street.pass(1);
    assert_eq!(street.memory.dead_letters().count(), 0);
}

/// One report under another's name switched the whole street off, for good.
#[test]
fn a_stall_speaks_for_itself_alone_and_a_meter_of_the_plan_for_others() {
    let mut street = Street::new(&[("fridge", 3_000), ("fryer", 2_000), ("lights", 1_000)], PLAN);
    street.pass(2);
    street.say("till-9", r#"{"stall":"fridge","watts":100000}"#);
    street.pass(2);
    assert_eq!(street.on().len(), 3);
    assert_eq!(street.memory.dead_letters().next().unwrap().code, "not-a-meter");
    let plan = PLAN.replace(r#""stalls""#, r#""meters":["meter-1"],"stalls""#);
    let mut street = Street::new(&[("lights", 1_000)], &plan);
    street.say("meter-1", r#"{"stall":"fryer","watts":4000}"#);
    street.pass(1);
    assert_eq!(street.memory.dead_letters().count(), 0);
    let loads = street.memory.loads(&conch::event::Key::parse("c4").unwrap()).unwrap();
    assert_eq!(loads.iter().map(|load| load.drawn).sum::<u64>(), 5_000);
}

#[test]
fn a_large_stall_comes_back_to_an_empty_circuit_and_holds_up_no_smaller_one() {
    let mut street = Street::new(&[("fridge", 1_600), ("fryer", 7_600), ("lights", 100)], PLAN);
    street.pass(3);
    assert_eq!(street.on(), ["fridge"], "the lights and the fryer");
    street.pass(10);
    assert_eq!(street.on(), ["fridge", "lights"], "the fryer does not fit, the lights do");
    (street.stalls[0].1, street.stalls[2].1) = (0, 0);
    street.pass(10);
    assert!(street.on().contains(&"fryer"), "{:?}", street.on());
}

#[test]
fn a_stall_that_went_home_counts_no_more() {
    let mut street = Street::new(&[("lights", 3_000), ("fryer", 3_000)], PLAN);
    street.say("fridge", r#"{"watts":4000}"#);
    street.turn();
    street.now += 86_400_000;
    street.pass(60);
    assert_eq!((street.on().len(), street.switches), (2, 0));
}

#[test]
fn for_a_stall_that_does_not_obey_others_go_off() {
    let mut street =
        Street::new(&[("fridge", 3_000), ("fryer", 4_000), ("lights", 2_000), ("stranger", 2_500)], PLAN);
    for _ in 0..60 {
        street.now += 5_000;
        (0..4).for_each(|place| street.report(place));
        // Nobody listens.
        street.turn();
    }
    let loads = street.memory.loads(&conch::event::Key::parse("c4").unwrap()).unwrap();
    assert_eq!(loads.iter().filter(|load| load.shed_at.is_some()).count(), 4, "all were told");
}

/// An hour without a link, in which the fryer was hot for a while.
#[test]
fn what_a_stall_drew_before_its_link_came_back_switches_nobody() {
    let mut street = Street::new(&[("fridge", 3_000), ("lights", 2_000)], PLAN);
    street.pass(1);
    for minute in (20..60).rev() {
        street.say_late("fryer", 8_000, minute * 60_000);
    }
    street.say_late("fryer", 0, 1_000);
    street.turn();
    street.listen();
    assert_eq!((street.on().len(), street.switches), (2, 0));
}

#[test]
fn an_earlier_load_that_arrives_later_counts_for_nothing() {
    let mut street = Street::new(&[("fridge", 3_000), ("lights", 2_000)], PLAN);
    street.pass(1);
    street.say_late("fryer", 100, 5_000);
    street.say_late("fryer", 8_000, 30_000);
    street.turn();
    street.listen();
    assert_eq!((street.on().len(), street.switches), (2, 0), "the meter's word was later than the stall's");
    street.say_late("fryer", 8_000, 0);
    street.turn();
    street.listen();
    assert_eq!(street.switches, 1, "the lights hear of it");
}

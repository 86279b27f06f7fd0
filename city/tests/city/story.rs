//! The night of a market, told as it happens, against the real city, a simulated acquirer and a webhook: what goes wrong
//! on purpose, what the city makes of it, and whether each promise held. `cargo xtask story` shows it.

use crate::bus::{heard, report, until_count, webhook};
use crate::money::{Acquirer, held, online};
use crate::town::{Caller, Event, Town, paying};
use city_domain::Role;
use conch::event::Emit;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

/// What was told, and what did not hold.
struct Night {
    began: Instant,
    broken: Vec<String>,
}

impl Night {
    fn tell(&self, who: &str, what: &str) {
        println!("{:>7.2} s  {who:<10} {what}", self.began.elapsed().as_secs_f64());
    }

    /// A promise, and whether it held.
    fn promise(&mut self, what: &str, held: bool) {
        println!("{:>9}  {} {what}", "", if held { "✓" } else { "✗ BROKEN:" });
        if !held {
            self.broken.push(what.to_owned());
        }
    }

    fn chapter(&self, title: &str) {
        println!("\n{title}");
    }
}

/// Everybody at the market.
struct Market<'a> {
    town: &'a Town,
    north: Caller<'a>,
    south: Caller<'a>,
    old_gate: Caller<'a>,
    till: Caller<'a>,
    fridge: Caller<'a>,
    lights: Caller<'a>,
    ops: Caller<'a>,
}

impl<'a> Market<'a> {
    fn open(town: &'a Town) -> Self {
        Self {
            town,
            north: town.enrol("gate-north", Role::Gate),
            south: town.enrol("gate-south", Role::Gate),
            old_gate: town.enrol("gate-old", Role::Gate),
            till: town.enrol("stall-7", Role::Vendor),
            fridge: town.enrol("fridge", Role::Vendor),
            lights: town.enrol("lights", Role::Vendor),
            ops: town.enrol("ops-1", Role::Ops),
        }
    }
}

fn said(by: &Caller<'_>, topic: &str, kind: &str, key: &str, payload: &Value) -> Event {
    by.event(&Emit {
        topic: topic.into(),
        kind: kind.into(),
        key: key.into(),
        payload: payload.to_string(),
        ..Emit::default()
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn types(by: &Caller<'_>) -> Vec<String> {
    let feed = by.get("/v1/feed").json();
    let events = feed["events"].as_array().cloned().unwrap_or_default();
    events.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
}

fn count(types: &[String], of: &str) -> usize {
    types.iter().filter(|kind| kind.as_str() == of).count()
}

#[test]
fn the_story_of_a_night_keeps_every_promise() {
    let mut night = Night { began: Instant::now(), broken: Vec::new() };
    println!("\nA night at the market, as it happened just now.");
    let plan = json!([{ "circuit": "c4", "limitWatts": 3000, "stalls": { "fridge": 1 } }]);
    let file = std::env::temp_dir().join(format!("story-circuits-{}.json", std::process::id()));
    std::fs::write(&file, plan.to_string()).unwrap();
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/alerts", hook.local_addr().unwrap());
    let acquirer = Acquirer::open("seed=7,double=1");
    let options = [
        "--dev",
        "--circuits",
        file.to_str().unwrap(),
        "--alerts-webhook",
        &address,
        "--acquirer",
        &acquirer.address,
        "--settle-every-s",
        "1",
    ];
    let town = Town::open_with(&options);
    night.tell("city", "opens with three gates, a stall, a circuit, an acquirer and a webhook for alerts");
    let (batch, sale) = {
        let market = Market::open(&town);
        let batch = broken_scanners(&mut night, &market);
        let sale = triple_taps(&mut night, &market);
        refund(&mut night, &market, &acquirer);
        poison(&mut night, &market, &hook);
        breaker(&mut night, &market);
        complaint(&mut night, &market);
        (batch, sale)
    };
    let tokens = town.count("SELECT count(*) FROM tokens");
    let town = power_cut(&mut night, town, &options, &batch, &sale);
    night.chapter("Morning");
    let totals = town.totals();
    night.tell("city", &format!("closes the books: {totals}"));
    night.promise("every device is still enrolled", town.count("SELECT count(*) FROM tokens") >= tokens);
    night.promise("every ticket let one person in", totals["admissions"] == totals["tickets"]);
    night.promise("every order has its money once", totals["captures"] == totals["orders"]);
    std::fs::remove_file(file).unwrap();
    assert!(night.broken.is_empty(), "broken promises: {:?}", night.broken);
    println!("\nEvery promise held.\n");
}

fn broken_scanners(night: &mut Night, market: &Market<'_>) -> Vec<Event> {
    night.chapter("No signal at the gates");
    let (north, south) = (&market.north, &market.south);
    let scans: Vec<Event> = (0..20).map(|n| north.scan(&format!("ticket-{n}"), "north")).collect();
    let twin = south.scan("ticket-3", "south");
    night.tell("gate-north", "scans 20 tickets without a signal; each is kept on the phone");
    night.tell("gate-south", "scans ticket-3 as well, a moment later, without a signal either");
    market.town.weather("gate-north", json!({ "mode": "drop-answer", "count": 1 }));
    let lost = north.try_ask("POST", "/v1/events", &[crate::town::BATCH], &crate::town::batch(&scans));
    night.tell("gate-north", "has a signal and sends all 20; the answer is lost on the way back");
    night.promise("the gate heard nothing and owes them still", lost.is_none());
    south.send(&twin);
    let again = north.send_all(&scans);
    night.tell("gate-north", "sends the same 20 again, byte for byte");
    night.promise(
        "all 20 are accepted, none counts twice",
        again.verdicts().iter().all(|word| word == "accepted")
            && market.town.totals()["admissions"] == json!(20),
    );
    let told = |by: &Caller<'_>| count(&types(by), "gate.auth.v2.duplicate_admission");
    night.promise("both gates hear that ticket-3 came in twice", told(north) == 1 && told(south) == 1);
    let old = &market.old_gate;
    let v1 = |ticket: &str| {
        said(old, "gate.auth.v1", "verified", ticket, &json!({ "gate": "old", "code": ticket, "ok": 1 }))
    };
    let (fresh, used) = (v1("ticket-20"), v1("ticket-5"));
    night.tell(
        "gate-old",
        "still speaks version 1: it verifies ticket-20, and ticket-5, which is inside already",
    );
    old.send(&fresh);
    old.send(&used);
    let mut heard = types(old);
    heard.retain(|kind| kind.starts_with("gate.auth"));
    night.promise(
        "version 1 is served: one admitted, the twin told as a duplicate",
        heard == ["gate.auth.v2.admitted", "gate.auth.v2.duplicate_admission"],
    );
    scans
}

fn triple_taps(night: &mut Night, market: &Market<'_>) -> Event {
    night.chapter("A vendor taps three times");
    let till = &market.till;
    let sale = till.event(&paying("order-1", 1, 12_000));
    night.tell("stall-7", "takes 120 in cash; three taps send three events of one intent");
    let mut verdicts = till.send(&sale).verdicts();
    for _ in 0..2 {
        verdicts.extend(till.send(&till.event(&paying("order-1", 1, 12_000))).verdicts());
    }
    night.promise(
        "the first is accepted, the others are told as duplicates",
        verdicts == ["accepted", "duplicate", "duplicate"],
    );
    night.promise("the money is on the books once", market.town.totals()["captures"] == json!(1));
    let types = types(till);
    night.promise(
        "the stall hears captured once, and the same result for each further tap",
        count(&types, "pay.txn.v2.captured") == 1 && count(&types, "pay.txn.v2.result_replayed") == 2,
    );
    sale
}

fn refund(night: &mut Night, market: &Market<'_>, acquirer: &Acquirer) {
    night.chapter("The acquirer takes it twice");
    let till = &market.till;
    let authorization = held(till, "order-2", 5_000);
    night.tell("stall-7", "has 50 held online, loses the signal, and commands the capture later");
    till.send(&online(till, "order-2", 1, &authorization));
    let order = loop {
        let order = till.get("/v1/orders/order-2").json();
        if order["refunds"][0]["state"] == "refunded" {
            break order;
        }
        thread::sleep(std::time::Duration::from_millis(20));
    };
    let refund = &order["refunds"][0];
    night.tell("acquirer", "captures it twice and says so only in its own list");
    night.tell(
        "city",
        &format!("reads the list and gives {} back: {}", refund["amount"], text(&refund["dupTxnId"])),
    );
    let moved = acquirer.movements();
    let sum = |service: &str| moved.iter().filter(|row| row.2 == service).map(|row| row.3).sum::<i64>();
    night.promise(
        "what was taken twice went back exactly once",
        (sum("capture"), sum("refund")) == (10_000, 5_000),
    );
    night.promise(
        "the stall saw every step",
        ["captured", "duplicate_captured", "refund_commanded", "refunded"]
            .iter()
            .all(|word| count(&types(till), &format!("pay.txn.v2.{word}")) >= 1),
    );
}

fn poison(night: &mut Night, market: &Market<'_>, hook: &TcpListener) {
    night.chapter("A poison event");
    let ops = &market.ops;
    let poison = said(ops, "civic.events.v1", "resolved", "case-nobody-knows", &json!({}));
    night.tell("ops-1", "resolves a case that nobody ever reported");
    // The alert about the ticket that came in twice stands in line before it.
    let alerts = thread::scope(|scope| {
        let hook = scope.spawn(|| webhook(hook, &[503, 204, 204]));
        ops.send(&poison);
        hook.join().unwrap()
    });
    let mut words: Vec<&str> = alerts.iter().filter_map(|alert| alert["data"]["alert"].as_str()).collect();
    words.dedup();
    night.tell("webhook", &format!("is down once, then takes {}", words.join(", ")));
    night.promise("the dead letter was alerted", words.contains(&"dead_letter"));
    until_count(market.town, "SELECT count(*) FROM dead_letters WHERE closed_at IS NULL", 1);
    let letters = ops.get("/v1/dead-letters").json();
    let letter = letters["deadLetters"][0].clone();
    night.tell("ops-1", &format!("finds dead letter {}: {}", letter["number"], text(&letter["detail"])));
    let head = [("content-type", "application/json")];
    let path = format!("/v1/dead-letters/{}/discard", letter["number"]);
    let discarded = ops.ask("POST", &path, &head, &json!({ "reason": "a slip of the finger" }).to_string());
    night.promise("a person decided, with a reason on record", discarded.status == 200);
}

fn breaker(night: &mut Night, market: &Market<'_>) {
    night.chapter("Too many lamps");
    let load = |by: &Caller<'_>, watts: u64| {
        by.send(&said(by, "ops.power.v1", "load_reported", "c4", &json!({ "watts": watts })));
    };
    load(&market.lights, 1_500);
    load(&market.fridge, 1_400);
    night.tell("c4", "carries 2900 W of 3000: in a minute the breaker would take the whole row");
    let told = heard(&market.lights, 1);
    let grace = told[0]["data"]["graceS"].clone();
    night.tell("city", &format!("asks the lights to go out, with {grace} s to save their work"));
    until_count(market.town, "SELECT count(*) FROM loads WHERE shed_at IS NOT NULL", 1);
    night.promise("the lamps went before the breaker", told[0]["type"] == "ops.power.v1.shed");
    night.promise(
        "the fridge stayed on",
        types(&market.fridge).iter().all(|kind| kind != "ops.power.v1.shed"),
    );
}

fn complaint(night: &mut Night, market: &Market<'_>) {
    night.chapter("A complaint");
    let south = &market.south;
    south.send(&report(south, "case-1", &json!({ "kind": "noise", "place": "N3" })));
    night.tell("gate-south", "reports noise at N3");
    let routed = loop {
        let feed = south.get("/v1/feed?wait=1").json();
        let events = feed["events"].as_array().cloned().unwrap_or_default();
        if let Some(routed) = events.into_iter().find(|event| event["type"] == "civic.events.v1.routed") {
            break routed;
        }
    };
    night.tell("city", &format!("routes it to {}", text(&routed["data"]["unit"])));
    market.ops.send(&said(&market.ops, "civic.events.v1", "acknowledged", "case-1", &json!({})));
    market.ops.send(&said(&market.ops, "civic.events.v1", "resolved", "case-1", &json!({})));
    until_count(market.town, "SELECT count(*) FROM cases WHERE state = 'resolved'", 1);
    night.promise("it was routed, taken care of and resolved", routed["data"]["unit"] == "patrol");
}

fn power_cut(night: &mut Night, town: Town, options: &[&str], scans: &[Event], sale: &Event) -> Town {
    night.chapter("The power goes out");
    let before = town.totals();
    let town = town.pull_the_plug(options);
    night.tell("city", "is killed, and starts again on its file");
    night.promise("it holds what it held", town.totals() == before);
    {
        let (north, till) = (town.enrol("gate-north", Role::Gate), town.enrol("stall-7", Role::Vendor));
        let verdicts = north.send_all(scans).verdicts();
        let replayed = till.send(sale).header("idempotency-replayed").map(str::to_owned);
        night.tell("gate-north", "and the stall send everything once more, to be sure");
        night.promise(
            "each gets the answer it had",
            verdicts.iter().all(|word| word == "accepted") && replayed.as_deref() == Some("true"),
        );
        night.promise("and nothing changed by it", town.totals() == before);
    }
    town
}

//! The city is killed again and again while an acquirer loses answers, declines, takes twice and closes. In the end
//! nothing is lost, nothing is paid twice, and both books say the same.
//!
//! `CITY_KILL_ROUNDS` sets how many rounds there are, `CITY_KILL_SEED` which; a failure prints the command that repeats it.

use crate::money::{Acquirer, hold, online, some_key};
use crate::town::{Caller, Town};
use city_domain::Role;
use std::collections::BTreeMap;
use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

const TILLS: usize = 3;
const ORDERS_PER_TILL: usize = 5;
const KILLS: usize = 3;
/// When something is still open then, it will be for ever.
const PATIENCE: Duration = Duration::from_secs(240);

/// A number drawn from a seed: SplitMix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_killed_city_loses_no_intent_and_takes_nothing_twice() {
    let (rounds, seed) = (environment("CITY_KILL_ROUNDS", 3), environment("CITY_KILL_SEED", 1));
    let seeds: Vec<u64> = (seed..seed + rounds).collect();
    for some in seeds.chunks(5) {
        thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|seed| (*seed, scope.spawn(|| round(*seed)))).collect();
            for (seed, round) in running {
                if round.join().is_err() {
                    panic!("round {seed}: CITY_KILL_SEED={seed} CITY_KILL_ROUNDS=1 cargo test -p city kills");
                }
            }
        });
    }
}

fn round(seed: u64) {
    let acquirer = Acquirer::open(&format!(
        "seed={seed},decline=0.08,double=0.15,lose-request=0.08,lose-answer=0.15,outage=0.1,latency-ms=1-40,hang-ms=400"
    ));
    let options =
        ["--dev", "--acquirer", &acquirer.address, "--acquirer-timeout-ms", "200", "--settle-every-s", "1"];
    let town = Town::open_with(&options);
    let tokens: Vec<String> =
        (0..TILLS).map(|till| town.enrol(&format!("till-{till}"), Role::Vendor).token).collect();
    let town = RwLock::new(Some(town));
    let mut luck = seed;
    thread::scope(|scope| {
        let sellers: Vec<_> = (0..TILLS)
            .map(|till| {
                scope.spawn({
                    let (town, token) = (&town, &tokens[till]);
                    move || sell(town, &format!("till-{till}"), token)
                })
            })
            .collect();
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(50 + draw(&mut luck) % 700));
            let mut town = town.write().unwrap();
            *town = town.take().map(|town| town.pull_the_plug(&options));
        }
        for seller in sellers {
            seller.join().unwrap();
        }
    });
    let town = town.into_inner().unwrap().unwrap();
    settled(&town, &acquirer);
    balance(&town, &acquirer);
}

/// Sells like a till with an outbox: the same key, the same event, until there is an answer.
fn sell(town: &RwLock<Option<Town>>, device: &str, token: &str) {
    for number in 0..ORDERS_PER_TILL {
        let order = format!("{device}-o-{number}");
        let key = some_key();
        let authorization = until(town, device, token, |till| {
            let answer = hold(till, &key, &order, 5_000)?;
            match answer.status {
                201 => Some(answer.json()),
                409 | 503 => None,
                _ => panic!("{answer:?}"),
            }
        });
        let authorization = authorization["authRef"].as_str().unwrap().to_owned();
        let mut event = None;
        until(town, device, token, |till| {
            let event = event.get_or_insert_with(|| online(till, &order, 1, &authorization));
            let answer = till.try_send(event)?;
            match answer.status {
                202 => Some(()),
                409 | 503 => None,
                _ => panic!("{answer:?}"),
            }
        });
    }
}

fn until<T>(
    town: &RwLock<Option<Town>>,
    device: &str,
    token: &str,
    mut ask: impl FnMut(&Caller<'_>) -> Option<T>,
) -> T {
    loop {
        if let Some(town) = town.read().unwrap().as_ref()
            && let Some(found) = ask(&Caller::new(town, device, token.to_owned()))
        {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until nothing is open and both books are read to the end. Waits of a minute are the ladder's, not a failure's.
fn settled(town: &Town, acquirer: &Acquirer) {
    let open =
        "SELECT (SELECT count(*) FROM operations WHERE due IS NOT NULL) + (SELECT count(*) FROM outgoing)
        + (SELECT count(*) FROM duplicates WHERE state NOT IN ('refunded', 'stuck'))
        + (SELECT count(*) FROM orders WHERE state = 'pending')";
    let until = Instant::now() + PATIENCE;
    loop {
        if Instant::now() > until {
            panic!("open still: {}", what_is_open(town));
        }
        let listed = town.count("SELECT count(*) FROM movements WHERE listed = 1");
        if town.count(open) == 0 && listed == acquirer.movements().len() as i64 {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn what_is_open(town: &Town) -> String {
    let books = town.meddle();
    let ask = |sql: &str| -> Vec<String> {
        let mut rows = books.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let operations = ask(
        "SELECT id || ' ' || stand || ' tries ' || tries || ' due ' || due FROM operations WHERE due IS NOT NULL",
    );
    let duplicates = ask(
        "SELECT txn_id || ' ' || reference || ' ' || state || ' ' || attempt FROM duplicates WHERE state <> 'refunded'",
    );
    let movements = ask("SELECT reference || ' of ' || operation FROM movements WHERE listed = 0");
    let waits = ask("SELECT consumer || ' ' || key || ' tries ' || tries FROM waits");
    format!("operations {operations:?}, duplicates {duplicates:?}, unlisted {movements:?}, waits {waits:?}")
}

fn balance(town: &Town, acquirer: &Acquirer) {
    let sold = (TILLS * ORDERS_PER_TILL) as i64;
    assert_eq!(town.count("SELECT count(*) FROM orders"), sold, "no intent is lost");
    assert_eq!(
        town.count("SELECT count(*) FROM events WHERE topic = 'pay.txn.v2'"),
        sold,
        "none counts twice"
    );
    assert_eq!(
        town.count("SELECT count(*) FROM orders WHERE state = 'captured'"),
        town.count("SELECT count(*) FROM captures")
    );
    assert_eq!(town.count("SELECT count(*) FROM dead_letters"), 0);
    // What is stuck is a person's, and told as such.
    let stuck = town.count("SELECT count(*) FROM duplicates WHERE state = 'stuck'");
    let told =
        town.count("SELECT count(*) FROM log WHERE topic = 'ops.alerts.v1' AND body LIKE '%refund_stuck%'");
    assert_eq!(stuck, told);
    let mut orders: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let moved = acquirer.movements();
    let order_of = |id: &str| -> String {
        let books = town.meddle();
        books.query_row("SELECT order_key FROM operations WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    };
    for (_, id, service, _) in &moved {
        let count = orders.entry(order_of(id)).or_default();
        if service == "capture" { count.0 += 1 } else { count.1 += 1 }
    }
    for (order, (captures, refunds)) in &orders {
        let open = town.count(&format!(
            "SELECT count(*) FROM duplicates WHERE order_key = '{order}' AND state = 'stuck'"
        ));
        assert_eq!(captures - refunds, 1 + open, "{order}: {captures} captures and {refunds} refunds");
        let state = town.count(&format!("SELECT count(*) FROM captures WHERE order_key = '{order}'"));
        assert_eq!(state, 1, "{order} is on the books once");
    }
    let theirs: Vec<String> = moved.iter().map(|row| row.0.clone()).collect();
    let books = town.meddle();
    let mut ours = books.prepare("SELECT reference FROM movements ORDER BY reference").unwrap();
    let ours: Vec<String> = ours.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(theirs, ours, "both books say the same");
}

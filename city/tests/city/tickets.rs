//! Tickets from the box office to the gate: issued and taken back on the command line beside a running city.

use crate::town::{Caller, Event, Town, some_id};
use city_domain::Role;
use conch::event::Emit;
use serde_json::{Value, json};

fn city(town: &Town, arguments: &[&str]) -> String {
    let output = town.command(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fails(town: &Town, arguments: &[&str]) -> String {
    let output = town.command(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Issues one ticket and returns its id and code.
fn issue(town: &Town, options: &[&str]) -> (String, String) {
    let mut arguments = vec!["tickets", "issue", "--json"];
    arguments.extend(options);
    let issued: Value = serde_json::from_str(&city(town, &arguments)).unwrap();
    (issued["ticket"].as_str().unwrap().to_owned(), issued["code"].as_str().unwrap().to_owned())
}

fn scan(by: &Caller<'_>, ticket: &str, gate: &str, decision: Option<&str>) -> Event {
    let mut payload = json!({ "gateId": gate, "ticketId": ticket });
    if let Some(decision) = decision {
        payload["decision"] = json!(decision);
    }
    by.event(&Emit {
        topic: "gate.auth.v2".into(),
        kind: "scanned".into(),
        key: ticket.into(),
        payload: payload.to_string(),
        ..Emit::default()
    })
}

/// The last thing a device heard.
fn last(by: &Caller<'_>) -> (String, Value) {
    let feed = by.get("/v1/feed").json();
    let event = feed["events"].as_array().unwrap().last().unwrap().clone();
    (event["type"].as_str().unwrap().to_owned(), event["data"].clone())
}

fn claim(by: &Caller<'_>, ticket: &str, gate: &str) -> Value {
    let key = some_id();
    let head = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    let path = format!("/v1/tickets/{ticket}/claim");
    by.ask("POST", &path, &head, &json!({ "gateId": gate }).to_string()).json()
}

#[test]
fn tickets_are_issued_listed_and_checked_while_the_city_runs() {
    let town = Town::open();
    let codes = city(&town, &["tickets", "issue", "--count", "20", "--class", "adult"]);
    let codes: Vec<&str> = codes.lines().collect();
    assert_eq!(codes.len(), 20);
    assert!(
        codes.iter().all(|code| code.len() == 140 && code.bytes().all(|sign| sign.is_ascii_alphanumeric()))
    );
    let listed = city(&town, &["tickets", "list", "--class", "adult", "--json"]);
    let tickets: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(tickets.len(), 20);
    let checked: Value = serde_json::from_str(&city(&town, &["tickets", "check", codes[0]])).unwrap();
    assert_eq!((&checked["state"], &checked["issued"]["class"]), (&json!("issued"), &json!("adult")));
    assert!(tickets.iter().any(|ticket| ticket["ticket"] == checked["key"]));
    assert!(city(&town, &["tickets", "list", "--class", "child"]).is_empty());
    assert_eq!(city(&town, &["tickets", "list", "--limit", "3"]).lines().count(), 3);

    let other = if codes[0].as_bytes()[100] == b'0' { "8" } else { "0" };
    let changed = format!("{}{other}{}", &codes[0][..100], &codes[0][101..]);
    assert!(fails(&town, &["tickets", "check", &changed]).contains("made up or changed"));
    assert!(fails(&town, &["tickets", "check", "t-1"]).contains("no ticket's code"));
    assert!(fails(&town, &["tickets", "show", "t-1"]).contains("neither issued nor scanned"));
}

#[test]
fn the_secret_key_is_never_printed_and_the_public_one_stays() {
    let town = Town::open();
    let printed = city(&town, &["tickets", "key"]);
    assert_eq!(printed, city(&town, &["tickets", "key"]));
    let (number, public) = printed.trim().split_once(' ').unwrap();
    assert_eq!((number, public.len()), ("1", 64));
    let (_, code) = issue(&town, &[]);
    let books = town.meddle();
    let secret: Vec<u8> = books.query_row("SELECT secret FROM ticket_keys", [], |row| row.get(0)).unwrap();
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = format!("{printed}{code}{}{}", city(&town, &["tickets", "list", "--json"]), town.log());
    assert!(!shown.contains(&secret));
}

#[test]
fn a_code_can_be_printed_again_unless_its_ticket_was_taken_back() {
    let town = Town::open();
    let (ticket, code) = issue(&town, &["--class", "crew", "--until", "2027-01-01T00:00:00Z"]);
    assert_eq!(city(&town, &["tickets", "print", &ticket]).trim(), code);
    assert!(fails(&town, &["tickets", "print", "t-9"]).contains("issued no ticket"));
    city(&town, &["tickets", "revoke", &ticket, "--reason", "resold"]);
    assert!(fails(&town, &["tickets", "print", &ticket]).contains("resold"));
}

#[test]
fn what_cannot_be_issued_is_told() {
    let town = Town::open();
    for (options, what) in [
        (&["--class", "Adult"][..], "a class is"),
        (&["--count", "0"], "1..=10000"),
        (&["--from", "tomorrow"], "a time is written"),
        (&["--from", "1999-01-01T00:00:00Z"], "between 2025 and 2056"),
        (&["--from", "2026-11-28T18:00:00Z", "--until", "2026-11-28T18:00:30Z"], "ends after it begins"),
    ] {
        let mut arguments = vec!["tickets", "issue"];
        arguments.extend(options);
        let told = fails(&town, &arguments);
        assert!(told.contains(what), "{told}");
    }
    assert_eq!(town.count("SELECT count(*) FROM tickets"), 0);
    let nowhere = std::process::Command::new(env!("CARGO_BIN_EXE_city"))
        .args(["tickets", "issue", "--data"])
        .arg(town.root.join("nowhere"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("start one with `city serve"), "{nowhere:?}");
    assert!(!town.root.join("nowhere").exists());
}

#[test]
fn a_ticket_that_was_taken_back_is_refused_and_not_called_a_duplicate() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    let (ticket, _) = issue(&town, &[]);
    assert_eq!(north.get(&format!("/v1/tickets/{ticket}")).json()["state"], "issued");
    let told = city(&town, &["tickets", "revoke", &ticket, "--reason", "resold", "--by", "mei"]);
    assert_eq!(told.trim(), format!("{ticket} is taken back"));

    let claimed = claim(&north, &ticket, "n1");
    assert_eq!((&claimed["decision"], &claimed["reason"]), (&json!("refuse"), &json!("revoked")));
    for _ in 0..2 {
        north.send(&scan(&north, &ticket, "n1", None));
        let (kind, data) = last(&north);
        assert_eq!((kind.as_str(), &data["reason"]), ("gate.auth.v2.refused", &json!("revoked")));
    }
    let view = north.get(&format!("/v1/tickets/{ticket}")).json();
    assert_eq!((&view["state"], &view["issued"]["revokedReason"]), (&json!("revoked"), &json!("resold")));
    assert_eq!(view["flaw"], "revoked");
    assert!(city(&town, &["tickets", "list", "--revoked"]).contains("resold"));
    assert_eq!(town.count("SELECT count(*) FROM tickets WHERE revoked_by = 'mei'"), 1);

    assert!(fails(&town, &["tickets", "revoke", &ticket, "--reason", "again"]).contains("taken back before"));
    assert!(fails(&town, &["tickets", "revoke", "t-9", "--reason", "x"]).contains("issued no ticket t-9"));
    assert!(fails(&town, &["tickets", "revoke", &ticket, "--reason", " "]).contains("a reason has"));
}

#[test]
fn many_are_taken_back_together_or_not_at_all() {
    let town = Town::open();
    let (ticket, _) = issue(&town, &[]);
    fails(&town, &["tickets", "revoke", &ticket, "t-9", "--reason", "x"]);
    assert_eq!(town.count("SELECT count(*) FROM tickets WHERE revoked_at IS NOT NULL"), 0);
}

#[test]
fn who_was_let_in_without_a_link_is_inside_whatever_the_ticket_was_good_for() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    let (ticket, _) = issue(&town, &[]);
    city(&town, &["tickets", "revoke", &ticket, "--reason", "resold"]);
    north.send(&scan(&north, &ticket, "n1", Some("admitted")));
    let (kind, data) = last(&north);
    assert_eq!(kind, "gate.auth.v2.admitted");
    assert_eq!((&data["decision"], &data["reason"]), (&json!("admitted"), &json!("admitted_but_revoked")));
    let view = north.get(&format!("/v1/tickets/{ticket}")).json();
    assert_eq!((&view["state"], &view["flaw"]), (&json!("admitted"), &json!("revoked")));
    let alert = "SELECT count(*) FROM (SELECT body FROM log UNION ALL SELECT body FROM outgoing)
                 WHERE json_extract(body, '$.data.alert') = 'admitted_invalid'";
    assert_eq!(town.count(alert), 1);
}

#[test]
fn an_early_a_late_and_a_wrong_gates_ticket_are_told_apart() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    for (options, reason) in [
        (&["--from", "2050-01-01T00:00:00Z"][..], "not_yet_valid"),
        (&["--until", "2025-06-01T00:00:00Z"], "expired"),
        (&["--gate", "back", "--gate", "s1"], "wrong_gate"),
    ] {
        let (ticket, _) = issue(&town, options);
        let claimed = claim(&north, &ticket, "n1");
        assert_eq!((&claimed["decision"], &claimed["reason"]), (&json!("refuse"), &json!(reason)));
        north.send(&scan(&north, &ticket, "n1", None));
        assert_eq!(last(&north).1["reason"], reason);
    }
    let (ticket, _) = issue(&town, &["--gate", "back", "--gate", "s1"]);
    assert_eq!(claim(&north, &ticket, "s1")["decision"], "admit");
    assert!(city(&town, &["tickets", "list"]).contains("at back, s1"));
}

#[test]
fn a_city_that_knows_its_tickets_refuses_others() {
    let town = Town::open_with(&["--dev", "--tickets", "known"]);
    let token = {
        let north = town.enrol("gate-n1", Role::Gate);
        assert_eq!(claim(&north, "t-1", "n1")["reason"], "unknown_ticket");
        north.send(&scan(&north, "t-1", "n1", None));
        assert_eq!(last(&north).1["reason"], "unknown_ticket");
        let (ticket, _) = issue(&town, &[]);
        assert_eq!(claim(&north, &ticket, "n1")["decision"], "admit");
        north.token.clone()
    };
    let town = town.pull_the_plug(&["--dev"]);
    let north = Caller::new(&town, "gate-n1", token);
    assert_eq!(claim(&north, "t-1", "n1")["decision"], "admit", "without the option they count again");
}

#[test]
fn tickets_that_let_two_in_are_listed_by_the_alerts_digest() {
    let town = Town::open();
    let (north, south) = (town.enrol("gate-n1", Role::Gate), town.enrol("gate-s1", Role::Gate));
    let (ticket, _) = issue(&town, &[]);
    north.send(&scan(&north, &ticket, "n1", Some("admitted")));
    south.send(&scan(&south, &ticket, "s1", Some("admitted")));
    let digest = north.get(&format!("/v1/tickets/{ticket}")).json()["digest"].as_str().unwrap().to_owned();
    let listed: Value =
        serde_json::from_str(&city(&town, &["tickets", "list", "--twice", "--json"])).unwrap();
    assert_eq!((&listed["ticket"], &listed["digest"]), (&json!(ticket), &json!(digest)));
    assert!(city(&town, &["tickets", "list", "--twice"]).contains("1 more after its admission"));
    let told = city(&town, &["tickets", "revoke", &ticket, "--reason", "copied"]);
    assert!(told.contains("was admitted at n1"), "{told}");
    let shown: Value = serde_json::from_str(&city(&town, &["tickets", "show", &ticket])).unwrap();
    assert_eq!((&shown["state"], &shown["duplicates"][0]["gateId"]), (&json!("admitted"), &json!("s1")));
}

/// The list for gates, and its tag.
fn gate_list(by: &Caller<'_>) -> (Value, String) {
    let answer = by.get("/v1/gate");
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.json(), answer.header("etag").unwrap().to_owned())
}

#[test]
fn a_gate_gets_the_list_it_judges_by_without_a_link() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    let (list, _) = gate_list(&north);
    assert_eq!((&list["policy"], &list["keys"]), (&json!("any"), &json!([])), "no ticket was signed yet");
    assert_eq!((&list["revoked"], &list["bound"], &list["complete"]), (&json!([]), &json!([]), &json!(true)));

    let (good, _) = issue(&town, &[]);
    let (taken_back, _) = issue(&town, &["--gate", "s1"]);
    let (bound, _) = issue(&town, &["--gate", "back", "--gate", "s1"]);
    city(&town, &["tickets", "revoke", &taken_back, "--reason", "resold"]);
    let digest = |ticket: &str| north.get(&format!("/v1/tickets/{ticket}")).json()["digest"].clone();
    let (list, _) = gate_list(&north);
    let printed = city(&town, &["tickets", "key"]);
    let (number, public) = printed.trim().split_once(' ').unwrap();
    assert_eq!(list["keys"], json!([{ "number": number.parse::<u8>().unwrap(), "public": public }]));
    assert_eq!(list["revoked"], json!([digest(&taken_back)]));
    assert_eq!(list["bound"], json!([{ "digest": digest(&bound), "gates": ["back", "s1"] }]));
    let said = list.to_string();
    for id in [&good, &taken_back, &bound] {
        assert!(!said.contains(id.as_str()), "an id opens gates");
    }
}

#[test]
fn a_list_that_is_still_good_is_answered_with_one_line() {
    let town = Town::open();
    let north = town.enrol("gate-n1", Role::Gate);
    let (ticket, _) = issue(&town, &[]);
    let (_, tag) = gate_list(&north);
    let again = |tag: &str| north.ask("GET", "/v1/gate", &[("if-none-match", tag)], "");
    for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let answer = again(&held);
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{held}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    city(&town, &["tickets", "revoke", &ticket, "--reason", "resold"]);
    let answer = again(&tag);
    assert_eq!(answer.status, 200);
    assert_ne!(answer.header("etag"), Some(tag.as_str()));
}

#[test]
fn the_list_is_for_gates_and_ops_and_says_the_policy() {
    let town = Town::open_with(&["--dev", "--tickets", "known"]);
    let till = town.enrol("till-1", Role::Vendor);
    let answer = till.get("/v1/gate");
    assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("urn:conch:problem:gates-only")));
    let ops = town.enrol("ops-1", Role::Ops);
    assert_eq!(gate_list(&ops).0["policy"], "known");
}

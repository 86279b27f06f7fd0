//! The printed sheet: every square on it is read back by a decoder that is not ours and must be the ticket's code.

use crate::town::Town;
use city_domain::Role;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// The text of each QR code on the page, in order.
fn read_back(page: &str) -> Vec<String> {
    page.split("<svg viewBox=\"0 0 ").skip(1).map(|svg| decode(svg.split("</svg>").next().unwrap())).collect()
}

/// Draws the bars of the path and has them read.
fn decode(svg: &str) -> String {
    const SCALE: usize = 4;
    let side: usize = svg.split(' ').next().unwrap().parse().unwrap();
    let bars = svg.rsplit("d=\"").next().unwrap().split('"').next().unwrap();
    let mut dark = vec![false; side * side];
    for bar in bars.split('M').skip(1) {
        let (x, rest) = bar.split_once(' ').unwrap();
        let (y, rest) = rest.split_once('h').unwrap();
        let length: usize = rest.split('v').next().unwrap().parse().unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        dark[y * side + x..y * side + x + length].fill(true);
    }
    let shade = |x: usize, y: usize| if dark[y / SCALE * side + x / SCALE] { 0 } else { 255 };
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, shade);
    let grids = picture.detect_grids();
    assert_eq!(grids.len(), 1, "one code, with its quiet zone");
    grids[0].decode().unwrap().1
}

fn sheet(town: &Town, options: &[&str]) -> String {
    let file = town.root.join("tickets.html");
    let to = ["tickets", "sheet", "--to", file.to_str().unwrap()];
    let output = town.command(&[&to[..], options].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "a ticket is a secret");
    std::fs::read_to_string(file).unwrap()
}

/// How the city judges a code.
fn checked(town: &Town, code: &str) -> Value {
    let output = town.command(&["tickets", "check", code]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_square_of_the_sheet_is_a_ticket_of_the_city() {
    let town = Town::open();
    let market = concat!(env!("CARGO_MANIFEST_DIR"), "/market.json");
    let page = sheet(&town, &["--count", "40", "--class", "adult", "--market", market]);
    let codes = read_back(&page);
    assert_eq!(codes.len(), 40);
    let listed = town.command(&["tickets", "list", "--class", "adult"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let ids: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let printed = town.command(&[&["tickets", "print"], &ids[..]].concat());
    assert_eq!(String::from_utf8(printed.stdout).unwrap().lines().collect::<Vec<_>>(), codes);
    assert!(page.contains("蒼螺夜市") && page.contains("Canglu Night Market"));
    assert!(!page.contains("http"), "it needs nothing from elsewhere");
}

#[test]
fn the_same_command_makes_the_same_sheet_and_issues_only_what_is_missing() {
    let town = Town::open();
    let issued = || town.count("SELECT count(*) FROM tickets");
    let few = sheet(&town, &["--count", "3", "--samples"]);
    assert_eq!(issued(), 3 + 2);
    assert!(sheet(&town, &["--count", "3", "--samples"]) == few, "the sheet is another one");
    let more = read_back(&sheet(&town, &["--count", "5", "--samples"]));
    assert_eq!(more[..read_back(&few).len()], read_back(&few)[..]);
    assert_eq!(issued(), 5 + 2);
}

#[test]
fn the_samples_are_what_their_labels_say() {
    let town = Town::open();
    let page = sheet(&town, &["--count", "1", "--samples"]);
    let codes = read_back(&page);
    let [old, revoked, twice, again, ordinary] = &codes[..] else { panic!("{codes:?}") };
    for label in ["舊票（v1）", "old ticket (v1)", "已作廢", "taken back", "印了兩次", "printed twice"]
    {
        assert!(page.contains(label), "{label}");
    }
    assert_eq!(old, "V1-2026-0417");
    assert_eq!(checked(&town, revoked)["state"], "revoked");
    assert_eq!(twice, again);
    for good in [twice, ordinary] {
        assert_eq!(checked(&town, good)["state"], "issued");
    }
    let gate = town.enrol("gate-n1", Role::Gate);
    let scan = gate.scan(old, "n1");
    assert_eq!(gate.send(&scan).status, 202, "the old number is a ticket to the gate");
}

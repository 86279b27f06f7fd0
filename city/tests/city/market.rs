//! The market at `GET /v1/market`: what the operator's file says, for anybody, and asked for again at no cost.

use crate::town::Town;
use city_domain::Role;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The market of development, which `cargo xtask up` serves.
fn canglu() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("market.json")
}

fn with(file: &Path) -> Town {
    Town::open_with(&["--dev", "--market", file.to_str().unwrap()])
}

#[test]
fn the_market_of_the_file_is_answered_to_anybody() {
    let town = with(&canglu());
    let answer = town.ask("GET", "/v1/market", &[], "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    let said = answer.json();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(canglu()).unwrap()).unwrap();
    for name in ["name", "gates", "stalls"] {
        assert_eq!(said[name], file[name], "{name}");
    }
    assert!(said.get("circuits").is_none(), "what a breaker bears is nobody's business");
    assert_eq!((said["gates"].as_array().unwrap().len(), said["stalls"].as_array().unwrap().len()), (3, 6));
}

#[test]
fn a_market_that_is_known_is_not_sent_again() {
    let town = with(&canglu());
    let tag = town.ask("GET", "/v1/market", &[], "").header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = town.ask("GET", "/v1/market", &[("if-none-match", &known)], "");
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(town.ask("GET", "/v1/market", &[("if-none-match", "\"other\"")], "").status, 200);
}

#[test]
fn a_city_without_a_market_says_so() {
    let answer = Town::open().ask("GET", "/v1/market", &[], "");
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("--market"));
}

#[test]
fn the_circuits_of_the_market_count_unless_others_are_given() {
    let file = canglu();
    let market = ["--dev", "--market", file.to_str().unwrap()];
    let root = Town::ground();
    let others = root.join("circuits.json");
    std::fs::write(&others, r#"[{ "circuit": "c1", "limitWatts": 1234 }]"#).unwrap();
    let limit =
        |town: &Town| town.enrol("ops-1", Role::Ops).get("/v1/circuits/c1").json()["limitWatts"].clone();
    assert_eq!(limit(&Town::open_with(&market)), json!(4_000));
    let given = [&market[..], &["--circuits", others.to_str().unwrap()]].concat();
    assert_eq!(limit(&Town::start(root, &given, None)), json!(1_234));
}

#[test]
fn the_environment_and_the_file_name_the_market_too() {
    let root = Town::ground();
    std::fs::copy(canglu(), root.join("tonight.json")).unwrap();
    let toml = "data = \"data\"\nlisten = \"127.0.0.1:0\"\nmarket = \"tonight.json\"";
    std::fs::write(root.join("city.toml"), toml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
    command.arg("serve").arg("--config").arg(root.join("city.toml"));
    let town = Town::launch(root, command);
    assert_eq!(
        town.ask("GET", "/v1/market", &[], "").status,
        200,
        "a path is meant from where the file lies"
    );

    let root = Town::ground();
    let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(root.join("data"));
    command.env("CITY_MARKET", canglu());
    assert_eq!(Town::launch(root, command).ask("GET", "/v1/market", &[], "").status, 200);
}

#[test]
fn a_market_that_cannot_be_read_keeps_the_city_from_starting_and_is_told() {
    let root = Town::ground();
    let file = root.join("market.json");
    let text = std::fs::read_to_string(canglu()).unwrap().replacen("\"price\": ", "\"price\": -", 1);
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(root.join("data"));
    let Output { status, stderr, .. } = command.arg("--market").arg(&file).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && said.contains("stalls[0].menu[0].price is 1 to"), "{said}");
    assert!(said.contains("market.json"), "{said}");
    std::fs::remove_dir_all(root).unwrap();
}

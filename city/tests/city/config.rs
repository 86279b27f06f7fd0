//! Where the options come from: flag, environment, file, default.

use crate::town::Town;
use std::path::Path;
use std::process::{Command, Output};

fn serve(root: &Path, text: &str) -> Command {
    let file = root.join("city.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_city"));
    command.arg("serve").arg("--config").arg(file);
    command
}

/// A start that fails, and what it says.
fn refused(text: &str) -> String {
    let root = Town::ground();
    let Output { status, stderr, .. } = serve(&root, text).output().unwrap();
    assert!(!status.success());
    std::fs::remove_dir_all(root).unwrap();
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_city_starts_from_its_file_alone_and_shows_no_secret() {
    let root = Town::ground();
    std::fs::create_dir_all(root.join("dist/scanner")).unwrap();
    std::fs::write(root.join("dist/scanner/index.html"), "<!doctype html><title>Scanner</title>").unwrap();
    let rules = r#"[{"kind":"other","unit":"night-watch","withinMinutes":60}]"#;
    std::fs::write(root.join("rules.json"), rules).unwrap();
    let text = r#"
        # An evening at the market.
        listen = "127.0.0.1:0"
        data = "data"
        pages = "dist"
        civic-rules = "rules.json"
        alerts-webhook = "https://hooks.example/services/a-secret"
        capacity = 321
        dev = true
        log = "json"
    "#;
    let command = serve(&root, text);
    let town = Town::launch(root, command);
    assert!(town.data().join("city.sqlite").exists(), "paths are meant from where the file lies");
    assert!(town.ask("GET", "/scanner/", &[], "").body.contains("Scanner"));
    let form = r#"{"kind":"noise","place":"N3"}"#;
    let filed = town.ask("POST", "/v1/civic", &[("content-type", "application/json")], form);
    assert_eq!(filed.json()["unit"], "night-watch");
    town.enrol("till-1", city_domain::Role::Vendor);
    let log = town.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let settings = line["settings"].as_str().unwrap();
    for part in [
        "capacity=321 (file)",
        "dev=true (file)",
        "alerts-webhook=hooks.example (file)",
        "queue=1024 (default)",
    ] {
        assert!(settings.contains(part), "{settings}");
    }
    assert!(!log.contains("a-secret"), "{log}");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let root = Town::ground();
    let text = "capacity = 1\nqueue = 2\nlog-level = \"debug\"\ndev = true\ndata = \"elsewhere\"";
    let mut command = serve(&root, text);
    command
        .env("CITY_PAGES", "")
        .env("CITY_CAPACITY", "10")
        .env("CITY_QUEUE", "20")
        .env("CITY_LISTEN", "127.0.0.1:0");
    command.env("CITY_DATA", root.join("data")).args(["--capacity", "100", "--dev=false"]);
    let town = Town::launch(root, command);
    let log = town.log();
    for part in [
        "capacity=100 (flag)",
        "queue=20 (environment)",
        "listen=127.0.0.1:0 (environment)",
        "log-level=debug (file)",
        "dev=false (flag)",
        "log=text (default)",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let body = r#"{"device":"till-1","role":"vendor"}"#;
    let enrol = town.ask("POST", "/v1/dev/enrol", &[("content-type", "application/json")], body);
    assert_eq!(enrol.status, 404, "a flag can take back what the file says");
    assert!(town.data().join("city.sqlite").exists());
}

#[test]
fn a_bad_file_says_what_is_wrong_and_shows_no_secret() {
    for (text, why) in [
        ("capcity = 5", "there is no option `capcity`; the nearest is `capacity`"),
        ("config = \"x\"", "there is no option `config`"),
        ("capacity = 0", "capacity: invalid value '0'"),
        ("log = \"loud\"", "log: invalid value 'loud'"),
        ("listen = [1]", "listen: is a text, a number, true or false"),
        ("data = \"d\"\nalerts-webhook = \"https://h/a-secret", "line 2: "),
        ("data = \"d\"\nalerts-webhook = \"h/a-secret\"", "--alerts-webhook is an address"),
    ] {
        let said = refused(text);
        assert!(said.contains(why) && !said.contains("a-secret"), "{text}: {said}");
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_city")).args(["serve", "--config", "/nowhere/city.toml"]).output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.starts_with("city: /nowhere/city.toml: "), "{said}");
}

#[test]
fn the_help_of_a_city_with_a_file_shows_no_secret() {
    let root = Town::ground();
    let text = "alerts-webhook = \"https://hooks.example/a-secret\"\ncapacity = 77";
    let mut command = serve(&root, text);
    let help =
        command.arg("--help").env("CITY_ALERTS_WEBHOOK", "https://hooks.example/another").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("CITY_CAPACITY") && help.contains("Examples:"), "{help}");
    assert!(!help.contains("a-secret") && !help.contains("another\""), "{help}");
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn an_empty_variable_is_one_that_was_left_out() {
    let root = Town::ground();
    let mut command = serve(&root, "data = \"data\"\nlisten = \"127.0.0.1:0\"\nacquirer-simulated = \"\"");
    for variable in ["CITY_ALERTS_WEBHOOK", "CITY_ACQUIRER", "CITY_CAPACITY", "CITY_DEV"] {
        command.env(variable, "");
    }
    let town = Town::launch(root, command);
    let log = town.log();
    assert!(log.contains("acquirer-simulated= (file)") && !log.contains("acquirer=set"), "{log}");
    assert!(!log.contains("alerts-webhook="), "{log}");
}

#[test]
fn a_variable_wins_over_what_excludes_it_in_the_file_and_stays_a_secret() {
    let root = Town::ground();
    let mut command = serve(&root, "data = \"data\"\nlisten = \"127.0.0.1:0\"\nacquirer-simulated = \"\"");
    command.env("CITY_ACQUIRER", "http://127.0.0.1:9/a-secret");
    let log = Town::launch(root, command).log();
    assert!(log.contains("acquirer=set (environment)") && !log.contains("acquirer-simulated="), "{log}");
    assert!(!log.contains("a-secret"), "{log}");
}

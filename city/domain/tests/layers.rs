//! All decisions are made without a runtime, SQL or HTTP: the domain depends on the events alone.
#![allow(missing_docs, reason = "tests are named after the behaviour")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[test]
fn the_domain_depends_on_the_events_alone() {
    let manifest = include_str!("../Cargo.toml");
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let own = after.split("\n[").next().unwrap();
    let names: Vec<_> = own.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(names, ["conch.workspace = true"]);
    assert!(!manifest.contains("[target.") && !manifest.contains("[build-dependencies]"));
}

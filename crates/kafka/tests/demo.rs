//! The demo, small: against a real broker, with a few kills, every order is worked on once.
//!
//! Skipped, and said so, where java or mvn is missing.
#![cfg(feature = "rdkafka")]

use std::process::{Command, Output};

use serde_json::Value;

#[path = "../../../tests/support/example.rs"]
mod example;

/// What the demo exits with if java or mvn is missing.
const UNAVAILABLE: i32 = 69;

#[test]
fn every_order_is_worked_on_once() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("demo");
    let Output { status, stdout, stderr } = Command::new(example::executable("demo"))
        .args(["--kills", "3", "--seed", "1", "--orders", "2000", "--keep"])
        .arg(&keep)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&stderr);
    if status.code() == Some(UNAVAILABLE) {
        eprintln!("SKIPPED: {said}");
        return;
    }
    let line: Value = serde_json::from_slice(&stdout)
        .unwrap_or_else(|error| panic!("{status}, no line ({error}): {said}"));
    assert_eq!(status.code(), Some(0), "{line}\n{said}");
    let zombies = u64::from(cfg!(unix));
    for (name, expected) in
        [("kills", 3), ("zombies", zombies), ("broker_kills", 1), ("orders", 2_000)]
    {
        assert_eq!(line[name], expected, "{name} of {line}");
    }
    assert!(line["rebalances"].as_u64().unwrap() > 0, "{line}");
    for way in ["in_store", "in_sink", "transform"] {
        for fault in ["lost", "doubled"] {
            assert_eq!(line[way][fault], 0, "{fault} of {way} in {line}");
        }
    }
    for way in ["in_sink", "transform"] {
        assert!(line[way]["in_doubt"].is_u64(), "{line}");
    }
    assert_eq!(line["filter"]["lost"], 0, "{line}");
}

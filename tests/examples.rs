//! The examples that are killed: they tell the truth after any number of kills, and they see it when the
//! steps are done in the wrong order.
//!
//! `FIRSTSEEN_TEST_KILLS` is how many kills each example is given; 100 without it.

use std::env;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

#[path = "support/example.rs"]
mod example;

use example::executable;

/// One at a time: the children of one example shall not starve those of another.
static TURN: Mutex<()> = Mutex::new(());

fn kills() -> u64 {
    env::var("FIRSTSEEN_TEST_KILLS").map_or(100, |kills| kills.parse().expect("a number of kills"))
}

/// Runs an example in a folder that is removed, unless it fails. Returns its exit code and its line.
fn run(example: &str, args: &[&str]) -> (i32, Value) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(executable(example));
    let Output { status, stdout, stderr } =
        command.args(args).arg("--dir").arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    let line = serde_json::from_slice(&stdout)
        .unwrap_or_else(|error| panic!("{example} {args:?}: {status}, no line ({error}): {said}"));
    (status.code().unwrap(), line)
}

/// Asserts that an example finds the truth exact, after all kills. Returns its line.
fn assert_exact(example: &str, seed: &str) -> Value {
    let kills = kills();
    let (code, line) = run(example, &["--kills", &kills.to_string(), "--seed", seed]);
    assert_eq!(code, 0, "{line}");
    for (name, expected) in [("kills", kills), ("wrong_totals", 0), ("lost", 0), ("doubled", 0)] {
        assert_eq!(line[name], expected, "{name} of {line}");
    }
    assert!(line["records"].as_u64().unwrap() >= 20_000, "{line}");
    let before_open = line["kills_before_open"].as_u64().unwrap();
    assert!(before_open < kills, "nothing was killed at work: {line}");
    line
}

/// Asserts that an example that does the steps in a wrong order exits with 1 and says what that has
/// done. Which kill falls between the steps is chance, so it has several tries.
fn assert_caught(example: &str, sabotage: &str, done: &str) {
    for seed in 1..=5 {
        let args = ["--kills", "30", "--seed", &seed.to_string(), "--sabotage", sabotage];
        let (code, line) = run(example, &args);
        assert_eq!(code, 1, "{line}");
        let other = if done == "lost" { "doubled" } else { "lost" };
        assert_eq!(line[other], 0, "{line}");
        if line[done].as_u64().unwrap() > 0 {
            return;
        }
    }
    panic!("{example} {sabotage}: nothing was {done}");
}

#[test]
fn orders_are_counted_once() {
    assert_exact("orders", "1");
}

#[test]
fn payments_are_made_once() {
    let line = assert_exact("payments", "1");
    // Deaths and failures of the ledger left transactions in doubt, and it had paid some and others not.
    for met in ["in_doubt_after_death", "ledger_failures", "found_paid", "found_unpaid"] {
        assert!(line[met].as_u64().unwrap_or(0) > 0, "{met} of {line}");
    }
    assert!(line["mismatches"].as_u64().unwrap() > 0, "{line}");
}

#[test]
fn replicas_are_equal() {
    let line = assert_exact("replication", "1");
    assert!(line["batches_repeated"].as_u64().unwrap() > 0, "{line}");
}

#[test]
fn orders_in_the_wrong_order_are_caught() {
    assert_caught("orders", "progress-first", "lost");
    assert_caught("orders", "ids-first", "lost");
    assert_caught("orders", "totals-first", "doubled");
}

#[test]
fn payments_in_the_wrong_order_are_caught() {
    assert_caught("payments", "commit-first", "lost");
    assert_caught("payments", "ledger-first", "doubled");
    assert_caught("payments", "only-look", "doubled");
}

#[test]
fn replication_in_the_wrong_order_is_caught() {
    assert_caught("replication", "ack-first", "lost");
    assert_caught("replication", "progress-first", "lost");
    assert_caught("replication", "changes-first", "doubled");
}

#[test]
fn a_repeated_request_gets_the_answer_of_the_first() {
    // It asserts by itself.
    let output = Command::new(executable("request_handler")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("notes"), "mine").unwrap();
    let mut command = Command::new(executable("orders"));
    let output = command.arg("--dir").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    assert!(output.stdout.is_empty());
}

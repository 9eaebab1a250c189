//! A run killed at any moment and repeated on the same input with the same `--db`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Folder, firstseen, whole_lines};

/// Records of a batch at most: what may be repeated, or lost.
const BATCH: usize = 8192;

/// Distinct lines of the input.
const LINES: usize = 200_000;

fn input() -> Vec<u8> {
    let line = |n: usize| format!("{:016x} line {n}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..LINES).flat_map(|n| [line(n), line(n / 2)].concat().into_bytes()).collect()
}

/// Starts a run, kills it when it has printed `bytes`, and gives what it had printed.
fn killed(input: &Path, db: &Path, out: &Path, order: &str, bytes: u64) -> Vec<u8> {
    let mut child = firstseen()
        .args(["dedup", "--order", order, "--summary", "none", "--db"])
        .args([db, input])
        .stdout(Stdio::from(File::create(out).expect("created")))
        .spawn()
        .expect("starts");
    let limit = Instant::now() + Duration::from_secs(60);
    while fs::metadata(out).expect("there").len() < bytes && Instant::now() < limit {
        if child.try_wait().expect("known").is_some() {
            break;
        }
    }
    child.kill().expect("killed, or ended before");
    child.wait().expect("ended");
    fs::read(out).expect("read")
}

fn repeated(input: &Path, db: &Path, order: &str) -> Vec<u8> {
    let output = firstseen()
        .args(["dedup", "--order", order, "--summary", "none", "--db"])
        .args([db, input])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How many distinct lines are missing from both outputs together, and how many are there twice.
fn missing_and_repeated(order: &str, bytes: u64) -> (usize, usize) {
    let folder = Folder::new();
    let input = input();
    folder.write("input", &input);
    let (path, db) = (folder.path("input"), folder.path("db"));
    let first = killed(&path, &db, &folder.path("out"), order, bytes);
    let second = repeated(&path, &db, order);
    let mut times: HashMap<&[u8], usize> = HashMap::new();
    for line in whole_lines(&first).into_iter().chain(whole_lines(&second)) {
        *times.entry(line).or_default() += 1;
    }
    let expected: std::collections::HashSet<&[u8]> = whole_lines(&input).into_iter().collect();
    assert!(times.keys().all(|line| expected.contains(line)));
    assert!(times.values().all(|count| *count <= 2));
    let twice = times.values().filter(|count| **count == 2).count();
    (expected.len() - times.len(), twice)
}

/// When to kill: at once, after the first output, in the middle, near the end.
const MOMENTS: [u64; 4] = [0, 1, 2_000_000, 5_000_000];

#[test]
fn output_first_loses_nothing_and_repeats_at_most_a_batch() {
    for bytes in MOMENTS {
        let (missing, twice) = missing_and_repeated("output-first", bytes);
        assert_eq!(missing, 0, "killed after {bytes} bytes");
        assert!(twice <= BATCH, "{twice} lines twice, killed after {bytes} bytes");
    }
}

#[test]
fn insert_first_repeats_nothing_and_loses_at_most_a_batch() {
    for bytes in MOMENTS {
        let (missing, twice) = missing_and_repeated("insert-first", bytes);
        assert_eq!(twice, 0, "killed after {bytes} bytes");
        assert!(missing <= BATCH, "{missing} lines missing, killed after {bytes} bytes");
    }
}

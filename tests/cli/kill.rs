//! A run killed at any moment and repeated on the same input with the same `--db`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
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

/// A run over `input` that remembers in `db`, with these options, split at blanks.
fn command(options: &str, db: &Path, input: &Path) -> Command {
    let mut command = firstseen();
    command.args(["dedup", "--summary", "none"]).args(options.split_whitespace());
    command.arg("--db").args([db, input]);
    command
}

/// Starts a run, kills it when it has printed `bytes`, and gives what it had printed.
fn killed(mut run: Command, out: &Path, bytes: u64) -> Vec<u8> {
    let mut child =
        run.stdout(Stdio::from(File::create(out).expect("created"))).spawn().expect("starts");
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

fn repeated(mut run: Command) -> Vec<u8> {
    let output = run.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How many distinct lines are missing from both outputs together, and how many are there twice.
fn missing_and_repeated(options: &str, bytes: u64) -> (usize, usize) {
    let folder = Folder::new();
    let input = input();
    folder.write("input", &input);
    let (path, db) = (folder.path("input"), folder.path("db"));
    let first = killed(command(options, &db, &path), &folder.path("out"), bytes);
    let second = repeated(command(options, &db, &path));
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

/// Kills runs with these options in the order `output-first`.
pub(crate) fn output_first(options: &str) {
    let options = format!("{options} --order output-first");
    for bytes in MOMENTS {
        let (missing, twice) = missing_and_repeated(&options, bytes);
        assert_eq!(missing, 0, "killed after {bytes} bytes");
        assert!(twice <= BATCH, "{twice} lines twice, killed after {bytes} bytes");
    }
}

/// Kills runs with these options in the order `insert-first`.
pub(crate) fn insert_first(options: &str) {
    let options = format!("{options} --order insert-first");
    for bytes in MOMENTS {
        let (missing, twice) = missing_and_repeated(&options, bytes);
        assert_eq!(twice, 0, "killed after {bytes} bytes");
        assert!(missing <= BATCH, "{missing} lines missing, killed after {bytes} bytes");
    }
}

#[test]
fn output_first_loses_nothing_and_repeats_at_most_a_batch() {
    output_first("");
}

#[test]
fn insert_first_repeats_nothing_and_loses_at_most_a_batch() {
    insert_first("");
}

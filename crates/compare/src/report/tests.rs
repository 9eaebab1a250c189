//! What a report asks for, and how it goes on.

use std::fs;

use clap::Parser;

use super::programs::Programs;
use super::runs::complete;
use super::steps::{Program, Run, Step, steps};
use crate::args::Cli;
use crate::course::Course;
use crate::files;
use crate::plan::Level;

/// What the load driver understands is its own to say.
#[test]
fn each_level_fills_every_file_with_runs_that_are_understood() {
    for level in [Level::Quick, Level::Full] {
        let steps = steps(level, &[]);
        let files = [
            files::LIMITS,
            files::SUSTAINED,
            files::RECOVERY,
            files::THREADS,
            files::PEERS,
            files::COMMAND,
        ];
        assert_eq!(steps.iter().map(|step| step.file).collect::<Vec<_>>(), files);
        let runs = steps.iter().flat_map(|step| &step.runs);
        for run in runs.filter(|run| run.program != Program::Load) {
            let args = ["firstseen-compare"].into_iter().chain(run.args.iter().map(|arg| &**arg));
            Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{}: {error}", run.name()));
        }
    }
}

#[test]
fn a_choice_of_peers_holds_for_every_run() {
    for level in [Level::Quick, Level::Full] {
        let steps = steps(level, &["sled".to_owned(), "firstseen".to_owned()]);
        let peers = steps.iter().find(|step| step.file == files::PEERS).unwrap();
        let parts = level.parts();
        assert_eq!(peers.runs.len(), parts.len(), "firstseen takes part in all");
        for (run, part) in peers.runs.iter().zip(parts) {
            let forgets = |name: &&str| part.course == Course::Window || *name == "firstseen";
            let takes = |name: &&str| part.takes(name) && forgets(name);
            let expected: Vec<_> = ["firstseen", "sled"].into_iter().filter(takes).collect();
            assert_eq!(*run.args.last().unwrap(), expected.join(","));
        }
    }
}

#[test]
fn parts_without_a_chosen_peer_are_left_out() {
    let all = Level::Full.parts();
    let steps = steps(Level::Full, &["sled".to_owned()]);
    let peers = steps.iter().find(|step| step.file == files::PEERS).unwrap();
    let theirs = all.iter().filter(|part| part.takes("sled") && part.course == Course::Window);
    assert_eq!(peers.runs.len(), theirs.count());
    assert!(peers.runs.len() < all.len());
}

/// A run of `printf`, which prints its first argument and leaves the others alone.
#[cfg(unix)]
fn prints(text: &str) -> Run {
    Run { program: Program::Load, args: vec![format!("{text}\n")] }
}

#[cfg(unix)]
#[test]
fn what_is_there_is_kept_and_what_was_begun_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let programs =
        Programs { load: Some("printf".into()), firstseen: None, dir: folder.path().to_owned() };
    let whole = folder.path().join("it.jsonl");
    let part = folder.path().join("it.part");
    let read = |path| fs::read_to_string(path).unwrap();
    let make = |runs: &[&str], again| {
        let step = Step { file: "it.jsonl", runs: runs.iter().map(|text| prints(text)).collect() };
        complete(&step, folder.path(), &programs, again)
    };
    let [a, b] = ["{\"what\":\"a\"}", "{\"what\":\"b\"}"];

    // A program that prints no JSON ends it, and what is there is not lost.
    let error = make(&[a, "nonsense", b], false).unwrap_err().to_string();
    assert!(error.contains(":2: expected"), "{error}");
    assert!(!whole.exists());
    let begun = read(&part);
    assert_eq!(begun.lines().count(), 2);

    // A run that is wanted twice is there twice.
    make(&[a, b, a], false).unwrap();
    assert!(!part.exists());
    let text = read(&whole);
    assert!(text.starts_with(&begun));
    let lines: Vec<_> = text.lines().skip(1).step_by(2).collect();
    assert_eq!(lines, [a, b, a]);

    make(&[b], false).unwrap();
    assert_eq!(read(&whole), text);
    make(&[b], true).unwrap();
    assert_eq!(read(&whole).lines().count(), 2);

    // Two reports at once would each take the other's lines for its own.
    let held = fs::File::create(&part).unwrap();
    held.lock().unwrap();
    let error = make(&[a], false).unwrap_err().to_string();
    assert!(error.ends_with("another report is at it"), "{error}");
    drop(held);

    // A line that was cut short is told, not continued.
    fs::write(&part, &begun[..begun.len() - 4]).unwrap();
    let error = make(&[a], false).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:2: ", part.display())), "{error}");
}

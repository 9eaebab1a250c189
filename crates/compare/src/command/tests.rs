//! The lines are checked, and the tools that are here print them right.

use std::collections::HashSet;
use std::fs;

use super::input::Input;
use super::{run, tools};

const LINES: usize = 2_000;

fn once(input: &str) -> String {
    let mut seen = HashSet::new();
    input.split_inclusive('\n').filter(|line| seen.insert(*line)).collect()
}

#[test]
fn each_line_once_is_right_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    for duplicates in [0, 50, 99] {
        let input = Input::make(folder.path(), LINES, duplicates).unwrap();
        let text = fs::read_to_string(&input.path).unwrap();
        assert_eq!(text.lines().count(), LINES);
        assert!(text.lines().all(|line| line.len() == 32));
        let expected = LINES * (100 - usize::from(duplicates)) / 100;
        assert!(input.distinct().abs_diff(expected) < LINES / 20, "{}", input.distinct());
        let output = folder.path().join("output");
        let right = once(&text);
        let backwards: String = right.lines().rev().map(|line| format!("{line}\n")).collect();
        for output_text in [&right, &backwards] {
            fs::write(&output, output_text).unwrap();
            input.check(&output).unwrap();
        }
    }
}

#[test]
fn lines_that_are_lost_or_doubled_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::make(folder.path(), LINES, 50).unwrap();
    let right = once(&fs::read_to_string(&input.path).unwrap());
    let (first, rest) = right.split_at(33);
    let output = folder.path().join("output");
    for wrong in [rest.to_owned(), format!("{first}{right}"), format!("{}{rest}", &rest[..33])] {
        fs::write(&output, wrong).unwrap();
        input.check(&output).unwrap_err();
    }
}

/// Those that cargo has to build are hardly ever here.
#[test]
fn tools_print_each_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::make(folder.path(), LINES, 50).unwrap();
    for tool in tools::names().filter_map(|name| tools::find(name, None).ok()) {
        let run = run::run(&tool, &input, folder.path());
        let run = run.unwrap_or_else(|error| panic!("{}: {error}", tool.name()));
        assert!(run.wall > run.user / 64 && run.peak_bytes > 0, "{}", tool.name());
    }
}

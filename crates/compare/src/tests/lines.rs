//! Lines of JSON, there and back.

use std::fs;

use super::sample;
use crate::outcome::Outcome;
use crate::peer::Result;
use crate::{lines, records};

fn text(outcomes: &[Outcome]) -> String {
    let mut text = Vec::new();
    outcomes.iter().for_each(|outcome| lines::write(outcome, &mut text).unwrap());
    String::from_utf8(text).unwrap()
}

fn parsed(text: &str) -> Result<Vec<Outcome>> {
    lines::outcomes(&records::parse(text, "peers.jsonl")?)
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let outcomes = sample::outcomes();
    let text = text(&outcomes);
    assert_eq!(parsed(&text).unwrap(), outcomes);
    // Lines that tell how the others came about change nothing.
    let about = r#"{"what":"about","run":"quick"}"#;
    assert_eq!(parsed(&format!("{about}\n{text}{about}\n")).unwrap(), outcomes);
}

#[test]
fn a_line_has_all_that_is_promised() {
    let text = text(&[sample::outcome(800, 1024, 1)]);
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "{\"what\":\"acknowledged\",\"peer\":\"firstseen\",\"workload\":\"new\",\"n\":800,\"batch\":1024,\
         \"threads\":1,\"durability\":\"Buffered\",\"rounds\":3,\"ids_per_s\":10000000,\
         \"ns_per_id\":100.0,\"cpu_ns_per_id\":107.25,\"bytes_per_id\":16.5,\
         \"ratio_to_l\":0.00123,\"lines_per_s\":90000800}"
    );
}

#[test]
fn a_malformed_line_is_told_with_file_and_number() {
    let good = text(&[sample::outcome(800, 1024, 1)]);
    let lines: Vec<&str> = good.lines().collect();
    let wrong = |from: &str, to: &str| lines[0].replace(from, to);
    for (first, complaint) in [
        ("{\"what\":".to_owned(), "peers.jsonl:1: EOF while parsing"),
        (String::new(), "peers.jsonl:1: EOF while parsing"),
        ("7".to_owned(), "peers.jsonl:1: `what` is no text"),
        (
            wrong("acknowledged", "finished"),
            "peers.jsonl:1: `finished` where `acknowledged` belongs",
        ),
        (
            wrong("\"Buffered\"", "\"Hopeful\""),
            "peers.jsonl:1: `durability` \"Hopeful\" is unknown",
        ),
        (wrong("\"n\":800", "\"n\":-8"), "peers.jsonl:1: `n` is no count"),
        (wrong("100.0", "\"fast\""), "peers.jsonl:1: `ns_per_id` is no number"),
        (wrong("\"bytes_per_id\":16.5,", ""), "peers.jsonl:1: `bytes_per_id` is no number"),
        (wrong("\"new\"", "\"half\""), "peers.jsonl:2: of another peer or workload"),
    ] {
        let text = format!("{first}\n{}\n", lines[1..].join("\n"));
        let error = parsed(&text).unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
    let cut = lines[..3].join("\n");
    assert!(parsed(&cut).unwrap_err().to_string().starts_with("peers.jsonl:3: the last line"));
}

#[test]
fn a_file_that_is_not_there_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.jsonl");
    assert!(lines::read(&path).unwrap().is_none());
    fs::write(&path, "{\n").unwrap();
    let error = lines::read(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:1: ", path.display())), "{error}");
}

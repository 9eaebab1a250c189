//! Pictures of small samples: well-formed, labelled, and the same each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::draw;
use super::spread::spread;
use super::words::{count, plain, three, time};
use crate::files::{PEERS, RECOVERY, SUSTAINED};
use crate::lines;
use crate::tests::sample;

const CALLS: &str = r#"{"what":"sustained","n":1000000,"window":10000,"batch":1024,"duplicates_percent":0,"tenths":[7500000.0,4800000,4900000],"call":{"p50_us":152,"p90_us":230.2,"p99_us":336,"p999_us":1000,"p9999_us":90000,"max_us":1100000}}
"#;
const OPENINGS: &str = r#"{"what":"recovery","n":1000,"first_verdict_ms":0.9,"filter_ready_ms":1}
{"what":"recovery","n":100000,"first_verdict_ms":69,"filter_ready_ms":340}
{"what":"recovery","n":100000,"first_verdict_ms":70,"filter_ready_ms":350}
"#;

/// A folder with all that can be drawn.
fn measured(folder: &Path) {
    let mut peers = Vec::new();
    sample::outcomes().iter().for_each(|outcome| lines::write(outcome, &mut peers).unwrap());
    fs::write(folder.join(PEERS), peers).unwrap();
    fs::write(folder.join(SUSTAINED), CALLS).unwrap();
    fs::write(folder.join(RECOVERY), OPENINGS).unwrap();
}

/// All pictures of a folder, by name.
fn drawn(measurements: &Path) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().unwrap();
    draw(measurements, out.path()).unwrap();
    let entries = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect()
}

/// Every element is closed, the last one first, and no text has a bare `<` or `&`.
fn assert_well_formed(svg: &str) {
    let (mut open, mut rest) = (Vec::new(), svg);
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(open.len() != 1 || text.trim().is_empty(), "text outside of elements: {text}");
        for (at, _) in text.match_indices('&') {
            let name = text[at + 1..].split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot", "apos"].contains(&name), "{text}");
        }
        let (tag, after) = rest[at + 1..].split_once('>').expect("the end of an element");
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

#[test]
fn pictures_are_well_formed_and_say_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("zen4-vm");
    fs::create_dir(&machine).unwrap();
    measured(&machine);
    let pictures = drawn(&machine);
    let names: Vec<_> = sample::PEERS.iter().map(|(name, ..)| *name).collect();
    let unsynced: Vec<_> = names.iter().copied().filter(|name| !name.ends_with("-sync")).collect();
    let on_disk: Vec<_> = names.iter().copied().filter(|name| *name != "hashbrown").collect();
    let expected: [(&str, &str, &[&str], &[&str]); 10] = [
        (
            "batch-new",
            PEERS,
            &unsynced,
            &["ids a call", "M ids/s", "1024", "windows of 100, 400, 800"],
        ),
        ("peers-bytes", PEERS, &on_disk, &["bytes on disk for an id", "16.5"]),
        ("peers-duplicate", PEERS, &names, &["M ids/s", "800 ids in the window"]),
        ("peers-new", PEERS, &names, &["M ids/s", "in memory only", "10.0", "5.00"]),
        (
            "peers-sustained",
            PEERS,
            &names,
            &["window that forgets", "4 k ids in the window", "5.00"],
        ),
        (
            "recovery",
            RECOVERY,
            &["first verdict", "filter rebuilt"],
            &["ids in the store", "70 ms"],
        ),
        (
            "sustained-latency",
            SUSTAINED,
            &["1 M new ids"],
            &["99.99 %", "1.1 s", "share of the calls"],
        ),
        ("sustained-rate", SUSTAINED, &["1 M new ids"], &["M ids/s", "tenth of all ids", "7.5"]),
        ("window-duplicate", PEERS, &unsynced, &["ids in the window", "M ids/s"]),
        (
            "window-new",
            PEERS,
            &unsynced,
            &["ids in the window", "M ids/s", "batch 1024, one thread"],
        ),
    ];
    let found: Vec<_> = pictures.keys().map(|name| name.trim_end_matches(".svg")).collect();
    assert_eq!(found, expected.map(|(name, ..)| name));
    for ((name, svg), (_, file, labels, more)) in pictures.iter().zip(expected) {
        assert_well_formed(svg);
        assert!(
            svg.contains(&format!("<desc>Drawn by firstseen-compare from zen4-vm/{file}.</desc>"))
        );
        assert!(svg.contains("fill=\"#FFFFFF\""), "{name} is drawn on white");
        for label in labels {
            assert!(svg.contains(&format!(">\n{label}\n</text>")), "{name} does not name {label}");
        }
        for more in more {
            assert!(svg.contains(more), "{name} does not say {more}");
        }
    }
}

#[test]
fn the_same_measurements_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    measured(folder.path());
    assert_eq!(drawn(folder.path()), drawn(folder.path()));
}

#[test]
fn what_was_not_measured_is_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    assert!(drawn(folder.path()).is_empty());
    fs::write(folder.path().join(SUSTAINED), CALLS).unwrap();
    assert_eq!(drawn(folder.path()).len(), 2);
    // One window and one batch size: nothing to draw a line through.
    for (outcome, plots) in [(sample::outcome(800, 1024, 1), 5), (sample::sustained(4000), 3)] {
        let mut peers = Vec::new();
        lines::write(&outcome, &mut peers).unwrap();
        fs::write(folder.path().join(PEERS), peers).unwrap();
        assert_eq!(drawn(folder.path()).len(), plots);
    }
}

#[test]
fn a_malformed_line_is_told_with_file_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SUSTAINED);
    for (text, complaint) in [
        (CALLS.replace("\"p99_us\":336,", ""), "1: `call.p99_us` is no number"),
        (CALLS.replace("4800000", "\"few\""), "1: `tenths` is no list of numbers"),
        (format!("{CALLS}{{"), "2: EOF while parsing"),
    ] {
        fs::write(&path, text).unwrap();
        let error = draw(folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:{complaint}", path.display())), "{error}");
    }
}

#[test]
fn names_do_not_stand_on_each_other() {
    assert_eq!(spread(&[], 10, (0, 100)), [0; 0]);
    assert_eq!(spread(&[20, 50], 10, (0, 100)), [20, 50]);
    assert_eq!(spread(&[50, 50, 50], 10, (0, 100)), [40, 50, 60]);
    assert_eq!(spread(&[48, 50, 80], 10, (0, 100)), [44, 54, 80]);
    assert_eq!(spread(&[1, 2, 98, 99], 10, (0, 100)), [0, 10, 90, 100]);
    // Two that move make a third one move.
    assert_eq!(spread(&[50, 50, 56], 10, (0, 100)), [42, 52, 62]);
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.5, 1.8, 12.34, 120.0, 1234.5].map(plain), ["0.5", "1.8", "12.3", "120", "1234"]);
    assert_eq!([0.5, 1.8, 12.34].map(three), ["0.500", "1.80", "12.3"]);
    let counts = [1.0, 999.0, 1000.0, 12_500.0, 1e6, 1e9];
    assert_eq!(counts.map(count), ["1", "999", "1 k", "12.5 k", "1 M", "1000 M"]);
    assert_eq!([0.4, 152.0, 1100.0, 2e6].map(time), ["0.4 us", "152 us", "1.1 ms", "2 s"]);
}

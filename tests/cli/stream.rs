//! `generate`, and the example log.

use std::collections::HashSet;

use crate::support::{dedup, in_repository, run};

#[track_caller]
fn generate(options: &str) -> (Vec<u8>, serde_json::Value) {
    let mut args = vec!["generate"];
    args.extend(options.split_whitespace());
    let ran = run(&args, b"").ok();
    let summary = serde_json::from_str(&ran.err).expect("JSON on standard error");
    (ran.out, summary)
}

#[test]
fn a_generated_stream_holds_what_its_summary_says() {
    for format in ["ndjson", "csv"] {
        let options = format!("-n 20000 --duplicates 0.2 --age 2s --reorder 1s --format {format}");
        let (stream, summary) = generate(&options);
        let id = if format == "csv" { "--csv -k id" } else { "--json /id" };
        let counts = dedup(&format!("{id} --count --summary json"), &stream).ok().json();
        assert_eq!(counts["records"], 20_000);
        assert_eq!(counts["unique"], summary["unique"]);
        assert!((3_600..4_400).contains(&counts["duplicates"].as_u64().expect("a count")));
    }
}

#[test]
fn a_window_beyond_the_oldest_redelivery_misses_none() {
    let (stream, summary) = generate("-n 20000 --duplicates 0.3 --age 3s --reorder 500ms");
    let oldest = summary["oldest_redelivery_seconds"].as_f64().expect("seconds");
    assert!(oldest < 19.0, "{oldest}");
    let counts =
        dedup("--json /id --time /ts --window 20s --count --summary json", &stream).ok().json();
    assert_eq!((&counts["unique"], &counts["late"]), (&summary["unique"], &0.into()));
}

#[test]
fn a_seed_gives_one_stream() {
    let (first, _) = generate("-n 1000 --seed 7");
    assert_eq!(first, generate("-n 1000 --seed 7").0);
    assert_ne!(first, generate("-n 1000 --seed 8").0);
    assert_eq!(generate("-n 0").0, b"");
}

/// The numbers that `examples/data/README.md` gives.
#[test]
fn the_example_log_gives_what_its_description_says() {
    let path = in_repository("examples/data/releases.ndjson");
    let path = path.to_str().expect("text");
    let log = std::fs::read_to_string(path).expect("read");
    let ran = run(&["dedup", "--json", "/id", path], b"").ok();
    assert!(ran.err.contains("3268 records, 1999 unique, 1269 duplicates"), "{}", ran.err);

    // The first line of each id, found another way.
    let mut ids = HashSet::new();
    let firsts = log.split_inclusive('\n').filter(|line| ids.insert(line.split('"').nth(3)));
    assert_eq!(ran.text(), firsts.collect::<String>());

    let lines: HashSet<&str> = log.lines().collect();
    assert_eq!((ids.len(), lines.len()), (1999, 2000));
    assert_eq!(run(&["dedup", path], b"").ok().text().lines().count(), 2000);
}

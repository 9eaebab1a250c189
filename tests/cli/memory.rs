//! What is remembered across runs, for how long, and by whose time.

use crate::support::{Folder, dedup, run};

#[test]
fn a_db_remembers_across_runs() {
    let folder = Folder::new();
    let options = format!("--db {} --summary json", folder.arg("db"));
    assert_eq!(dedup(&options, b"a\nb\n").ok().text(), "a\nb\n");
    let ran = dedup(&options, b"b\nc\na\n").ok();
    assert_eq!(ran.text(), "c\n");
    let summary: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
    assert_eq!(summary["duplicates"], 2);
}

#[test]
fn both_orders_and_all_policies_remember() {
    for order in ["output-first", "insert-first"] {
        for policy in ["buffered", "interval:10ms", "sync"] {
            let folder = Folder::new();
            let options =
                format!("--db {} --order {order} --durability {policy}", folder.arg("db"));
            assert_eq!(dedup(&options, b"a\na\n").ok().text(), "a\n");
            assert_eq!(dedup(&options, b"a\nb\n").ok().text(), "b\n");
        }
    }
}

#[test]
fn the_window_of_a_store_stays() {
    let folder = Folder::new();
    let db = folder.arg("db");
    dedup(&format!("--db {db} --window 3h"), b"a\n").ok();
    dedup(&format!("--db {db}"), b"b\n").ok();
    assert_eq!(run(&["stats", "--json", &db], b"").ok().json()["window_seconds"], 10_800.0);
}

#[test]
fn an_id_is_new_again_after_its_window() {
    let folder = Folder::new();
    let options = format!("--db {} --window 300ms", folder.arg("db"));
    assert_eq!(dedup(&options, b"a\n").ok().text(), "a\n");
    std::thread::sleep(std::time::Duration::from_millis(900));
    assert_eq!(dedup(&options, b"a\n").ok().text(), "a\n");
}

const EVENTS: &[u8] = br#"{"id":1,"ts":"2026-01-01T00:00:00Z"}
{"id":2,"ts":"2026-01-01T00:30:00Z"}
{"id":1,"ts":"2026-01-01T00:45:00Z"}
{"id":3,"ts":"2026-01-01T05:00:00Z"}
{"id":1,"ts":"2026-01-01T05:00:01Z"}
{"id":4,"ts":"2026-01-01T00:10:00Z"}
"#;

fn lines_of(input: &[u8], wanted: &[usize]) -> Vec<u8> {
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    wanted.iter().flat_map(|line| lines[*line].to_vec()).collect()
}

#[test]
fn event_time_ages_ids_and_tells_late_records() {
    for order in ["output-first", "insert-first"] {
        let folder = Folder::new();
        let (db, late) = (folder.arg("db"), folder.arg("late"));
        let options =
            format!("--json /id --time /ts --window 1h --db {db} --late {late} --order {order}");
        let ran = dedup(&options, EVENTS).ok();
        assert_eq!(ran.out, lines_of(EVENTS, &[0, 1, 3, 4]), "{order}");
        assert_eq!(folder.read("late"), lines_of(EVENTS, &[5]));
        assert!(ran.err.contains("1 duplicates, 1 late"), "{}", ran.err);
    }
}

#[test]
fn times_are_found_as_ids_are() {
    let csv = b"id,ts\na,1767225600\na,1767225601\na,1767312000\n";
    let ran = dedup("--csv -k id --time ts --window 1h", csv).ok();
    assert_eq!(ran.text(), "id,ts\na,1767225600\na,1767312000\n");
    let fields = b"a 5000\na 5001\na 3610000\n";
    let ran = run(&["dedup", "-f1", "-d ", "--time=2", "--time-unit=ms", "--window=1h"], fields);
    assert_eq!(ran.ok().text(), "a 5000\na 3610000\n");
}

#[test]
fn a_record_without_a_time_is_like_one_without_an_id() {
    let input = b"{\"id\":1,\"ts\":\"yesterday\"}\n{\"id\":1,\"ts\":5}\n{\"ts\":5}\n";
    let ran = dedup("--json /id --time /ts", input);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("line 1: 'yesterday' is not a time"), "{}", ran.err);
    let ran = dedup("--json /id --time /ts --on-error skip", input).ok();
    assert_eq!(ran.text(), "{\"id\":1,\"ts\":5}\n");
}

#[test]
fn a_folder_that_is_no_store_is_refused() {
    let folder = Folder::new();
    for command in ["stats", "verify", "dump", "state", "forget", "compact", "export"] {
        let ran = run(&[command, &folder.arg("nothing")], b"a\n");
        assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{command}: {}", ran.err);
        assert!(!folder.path("nothing").exists(), "{command}");
    }
}

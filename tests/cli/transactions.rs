//! The commands about what was committed beside ids.

use firstseen::Store;
use serde_json::json;

use crate::support::{Folder, run};

const ODD: &[u8] = b"\xff\\n";

fn with_store() -> (Folder, String) {
    let folder = Folder::new();
    let db = folder.arg("db");
    fill(Store::open(&db).expect("a store"));
    (folder, db)
}

/// Gives a store two sources, three keys and two prepared transactions, and closes it.
pub(crate) fn fill(store: Store) {
    let mut tx = store.begin_from("orders/3", &[(7, "a"), (8, "b")]).expect("claimed");
    tx.set_outcome(0, "receipt");
    tx.put_state("total", "12");
    tx.put_state("long", vec![b'x'; 100]);
    tx.put_state(ODD, "a\tb");
    tx.set_progress("other", 3);
    tx.commit().expect("committed");
    let mut tx = store.begin(&["c", "d\n"]).expect("claimed");
    tx.put_state("total", "14");
    let _ = tx.prepare("ledger-1").expect("prepared");
    let mut tx = store.begin(&["e"]).expect("claimed");
    tx.set_progress("other", 4);
    let _ = tx.prepare(ODD).expect("prepared");
    store.close().expect("closed");
}

fn known(db: &str, ids: &[&str]) -> Vec<bool> {
    Store::open(db).expect("a store").contains(ids).expect("read")
}

#[test]
fn state_lists_sources_keys_and_what_is_prepared() {
    let (_folder, db) = with_store();
    let listed = run(&["state", &db], b"").ok();
    let lines: Vec<&str> = listed.text().lines().collect();
    assert_eq!(lines[..2], ["source\torders/3\t9", "source\tother\t3"]);
    let long = format!("key\tlong\t{}... (100 bytes)", "x".repeat(60));
    assert_eq!(lines[2..5], [&*long, "key\ttotal\t12", "key\t\\xff\\\\n\ta\\tb"]);
    let first: Vec<&str> = lines[5].split('\t').collect();
    assert_eq!((&first[..2], &first[4..]), (&["prepared", "ledger-1"][..], &["c", "d\\n"][..]));
    assert!(lines[6].starts_with("prepared\t\\xff\\\\n\t") && lines[6].ends_with("\te"));
    assert_eq!(lines.len(), 7);

    let found = run(&["state", "--json", &db, "--prefix", "\\xff"], b"").ok().json();
    let odd = json!([{ "key": "\\xff\\\\n", "value": "a\\tb", "bytes": 3 }]);
    assert_eq!(found["keys"], odd);
    assert_eq!(found["sources"][0], json!({ "source": "orders/3", "progress": 9 }));
    assert_eq!(found["prepared"][0]["ids"], json!(["c", "d\\n"]));
    assert!(found["prepared"][1]["fence"].as_u64() > found["prepared"][0]["fence"].as_u64());
    let long = run(&["state", "--json", &db, "--prefix", "lo"], b"").ok().json();
    assert_eq!(long["keys"][0]["value"].as_str().map(str::len), Some(100));
    assert_eq!(run(&["state", &db, "--prefix", "\\q"], b"").code, 2);
}

#[test]
fn stats_count_what_transactions_left() {
    let (_folder, db) = with_store();
    let found = run(&["stats", "--json", &db], b"").ok().json();
    assert_eq!((&found["records"], &found["values"]), (&2.into(), &1.into()));
    assert_eq!(found["sources"], json!({ "orders/3": 9, "other": 3 }));
    assert_eq!((&found["state_keys"], &found["state_bytes"]), (&3.into(), &117.into()));
    assert_eq!(found["prepared"][0]["token"], "ledger-1");
    let text = run(&["stats", &db], b"").ok();
    assert!(text.text().contains("prepared             2, the oldest since 2"), "{}", text.text());
    assert!(text.text().contains("sources              2\n"));
}

#[test]
fn what_is_prepared_is_settled_by_its_token() {
    let (_folder, db) = with_store();
    let done = run(&["settle", "--json", &db, "--token", "ledger-1", "--commit"], b"").ok().json();
    assert_eq!(done, json!({ "token": "ledger-1", "committed": 2 }));
    let done = run(&["settle", &db, "--token", "\\xff\\\\n", "--abort"], b"").ok();
    assert!(done.text().contains("aborted              1\n"), "{}", done.text());
    let found = run(&["state", "--json", &db], b"").ok().json();
    assert_eq!(found["prepared"], json!([]));
    assert_eq!(found["sources"][1]["progress"], 3);
    assert_eq!(found["keys"][1]["value"], "14");
    assert_eq!(known(&db, &["c", "d\n", "e"]), [true, true, false]);

    let again = run(&["settle", &db, "--token", "ledger-1", "--commit"], b"");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("nothing is prepared under the token 'ledger-1'"), "{}", again.err);
}

#[test]
fn an_answer_is_wanted_and_only_one() {
    let (folder, db) = with_store();
    assert_eq!(run(&["settle", &db, "--token", "ledger-1"], b"").code, 2);
    let both = ["settle", &db, "--token", "ledger-1", "--commit", "--abort"];
    assert_eq!(run(&both, b"").code, 2);
    assert_eq!(run(&["settle", &db, "--commit"], b"").code, 2);
    let nothing = folder.arg("nothing");
    assert_eq!(run(&["settle", &nothing, "--token", "t", "--abort"], b"").code, 1);
    assert_eq!(run(&["rewind", &nothing, "s", "1"], b"").code, 1);
    assert_eq!(run(&["state", &nothing], b"").code, 1);
    assert!(!folder.path("nothing").exists());
    assert_eq!(run(&["state", "--json", &db], b"").ok().json()["prepared"][1]["ids"], json!(["e"]));
}

#[test]
fn the_progress_of_a_source_is_set_by_its_name() {
    let (_folder, db) = with_store();
    let done = run(&["rewind", "--json", &db, "orders/3", "2"], b"").ok().json();
    assert_eq!(done, json!({ "source": "orders/3", "before": 9, "progress": 2 }));
    run(&["rewind", &db, "orders/3", "20"], b"").ok();
    assert_eq!(Store::open(&db).expect("a store").progress("orders/3").expect("read"), Some(20));

    let unknown = run(&["rewind", &db, "orders", "2"], b"");
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("no progress of a source 'orders'"), "{}", unknown.err);
    assert_eq!(run(&["rewind", &db, "\\xff", "2"], b"").code, 1);
    assert_eq!(run(&["rewind", &db, "orders/3", "-1"], b"").code, 2);
    // What a prepared transaction holds is its own until it is settled.
    let held = run(&["rewind", &db, "other", "0"], b"");
    assert_eq!(held.code, 1);
    assert_eq!(run(&["state", "--json", &db], b"").ok().json()["sources"][1]["progress"], 3);
}

#[test]
fn a_damaged_state_is_told_with_its_file() {
    let (folder, db) = with_store();
    Store::open(&db).and_then(|store| store.seal()).expect("sealed");
    let path = std::fs::read_dir(folder.path("db")).expect("a folder");
    let mut paths = path.map(|entry| entry.expect("an entry").path());
    let path = paths.find(|path| path.extension().is_some_and(|e| e == "state")).expect("one");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[80] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let name = path.file_name().and_then(|name| name.to_str()).expect("text");
    for command in ["verify", "state", "stats", "compact"] {
        let ran = run(&[command, &db], b"");
        assert_eq!(ran.code, 1, "{command}");
        assert!(ran.text().contains(name) || ran.err.contains(name), "{command}: {ran:?}");
    }
    // Ids do not rest on it.
    assert_eq!(run(&["dump", &db], b"").ok().text().lines().count(), 2);
}

//! The commands that look after a store.

use std::io::Write;
use std::process::Stdio;

use crate::support::{self, Folder, dedup, firstseen, run};

/// A folder with a store in `db` that has seen these lines.
fn with_store(lines: &[u8]) -> (Folder, String) {
    support::with_store("--window 1d", lines)
}

#[test]
fn stats_verify_and_dump_agree() {
    let (_folder, db) = with_store(b"a\nb\nc\n");
    assert_eq!(run(&["stats", "--json", &db], b"").ok().json()["records"], 3);
    assert!(run(&["stats", &db], b"").ok().text().contains("window               1d"));
    let verified = run(&["verify", "--json", &db], b"").ok().json();
    assert_eq!((&verified["damages"], &verified["records"]), (&0.into(), &3.into()));
    let dump = run(&["dump", &db], b"").ok();
    assert_eq!(dump.text().lines().count(), 3);
    assert!(dump.text().lines().all(|line| line.split('\t').count() == 3));
    for line in run(&["dump", "--json", &db], b"").ok().text().lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(record["fingerprint"].as_str().expect("text").len(), 32);
    }
}

#[test]
fn verify_reports_damage_and_fails() {
    let (folder, db) = with_store(b"a\nb\nc\n");
    let mut damaged = 0;
    for entry in std::fs::read_dir(folder.path("db")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("read");
        if !bytes.is_empty() {
            bytes[0] ^= 0xff;
            std::fs::write(&path, bytes).expect("written");
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    let ran = run(&["verify", &db], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.text().contains("byte ") || ran.err.contains("byte "), "{ran:?}");
}

#[test]
fn torn_bytes_are_shown_and_told_when_dropped() {
    let (folder, db) = with_store(b"a\nb\n");
    let log = folder.path("db/000000000001.log");
    let whole = std::fs::read(&log).expect("read");
    std::fs::write(&log, [&whole[..], &[0xff; 100]].concat()).expect("written");
    let verified = run(&["verify", "--json", &db], b"").ok().json();
    assert_eq!((&verified["damages"], &verified["torn_bytes"]), (&0.into(), &100.into()));
    assert_eq!(run(&["stats", "--json", &db], b"").ok().json()["torn_bytes"], 100);
    assert!(run(&["stats", &db], b"").ok().text().contains("torn bytes           100"));
    let ran = dedup(&format!("--db {db} --summary none"), b"a\nc\n").ok();
    assert_eq!(ran.text(), "c\n");
    assert!(ran.err.contains("dropped 100 torn bytes"), "{}", ran.err);
}

#[test]
fn forgotten_ids_are_new_again() {
    let (folder, db) = with_store(b"a\nb\nc\n");
    let done = run(&["forget", "--json", &db, "--id", "a", "--id", "x"], b"").ok().json();
    assert_eq!((&done["asked"], &done["forgotten"]), (&2.into(), &1.into()));
    run(&["forget", &db, "-f", "2", "-d", ","], b"1,b\n").ok();
    assert_eq!(dedup(&format!("--db {db}"), b"a\nb\nc\n").ok().text(), "a\nb\n");

    let ids = folder.write("ids.csv", b"n,id\n1,c\n");
    run(&["forget", &db, &ids, "--csv", "-k", "id"], b"").ok();
    assert_eq!(dedup(&format!("--db {db}"), b"a\nb\nc\n").ok().text(), "c\n");
}

#[test]
fn records_in_doubt_are_not_taken_for_duplicates() {
    let (folder, db) = with_store(b"a\n");
    let store = firstseen::Store::open(&db).unwrap();
    drop(store.begin(&["b"]).unwrap().prepare("t-1").unwrap());
    drop(store);
    let ran = run(&["dedup", "--db", &db], b"b\n");
    assert_eq!((ran.code, &ran.out[..]), (1, &b""[..]));
    assert!(ran.err.contains("1 transaction(s) in doubt"), "{}", ran.err);
    drop(folder);
}

#[test]
fn compact_keeps_every_id() {
    let (_folder, db) = with_store(b"a\nb\n");
    assert_eq!(run(&["compact", "--json", &db], b"").ok().json()["records"], 2);
    assert_eq!(dedup(&format!("--db {db}"), b"a\nb\nc\n").ok().text(), "c\n");
}

#[test]
fn copies_are_stores_of_their_own() {
    let (folder, db) = with_store(b"a\nb\n");
    let (copy, back) = (folder.arg("copy"), folder.arg("back"));
    assert_eq!(run(&["checkpoint", "--json", &db, &copy], b"").ok().json()["records"], 2);
    assert_eq!(run(&["checkpoint", &db, &copy], b"").code, 1, "nothing is written over");
    assert_eq!(dedup(&format!("--db {copy}"), b"a\nc\n").ok().text(), "c\n");
    assert_eq!(dedup(&format!("--db {db}"), b"a\nc\nd\n").ok().text(), "c\nd\n");
    run(&["restore", &copy, &back], b"").ok();
    assert_eq!(dedup(&format!("--db {back}"), b"a\nb\nc\nd\n").ok().text(), "d\n");
}

#[test]
fn an_export_can_be_imported() {
    let (folder, db) = with_store(b"a\nb\n");
    let export = run(&["export", &db], b"").ok().out;
    let other = folder.arg("other");
    assert_eq!(run(&["import", "--json", &other], &export).ok().json()["records"], 2);
    assert_eq!(dedup(&format!("--db {other}"), b"a\nb\nc\n").ok().text(), "c\n");

    let file = folder.arg("file");
    assert_eq!(run(&["export", "--json", &db, "--output", &file], b"").ok().json()["records"], 2);
    assert_eq!(run(&["export", &db, "--output", &file], b"").code, 1, "nothing is written over");
    run(&["import", &folder.arg("third"), &file], b"").ok();
}

#[test]
fn a_failed_export_leaves_no_file() {
    let folder = Folder::new();
    let file = folder.arg("file");
    assert_eq!(run(&["export", &folder.arg("nothing"), "--output", &file], b"").code, 1);
    assert!(!folder.path("file").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_of_a_dump_is_called_so() {
    let (_folder, db) = with_store(b"a\n");
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    dedup(&format!("--db {db}"), lines.as_bytes()).ok();
    let full = std::fs::File::create("/dev/full").expect("a device");
    let output = firstseen().args(["dump", &db]).stdout(full).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("firstseen: cannot write standard output: "), "{said}");
}

#[test]
fn a_live_store_can_be_looked_at_and_copied_but_not_opened_twice() {
    let folder = Folder::new();
    let db = folder.arg("db");
    let mut writer = firstseen()
        .args(["dedup", "--db", &db])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut stdin = writer.stdin.take().expect("piped");
    stdin.write_all(b"a\nb\n").expect("written");
    let mut line = [0; 4];
    std::io::Read::read_exact(writer.stdout.as_mut().expect("piped"), &mut line).expect("printed");

    for command in ["stats", "verify", "dump", "state"] {
        run(&[command, &db], b"").ok();
    }
    run(&["checkpoint", &db, &folder.arg("copy")], b"").ok();
    assert!(!run(&["export", &db], b"").ok().out.is_empty());
    let ran = dedup(&format!("--db {db}"), b"a\n");
    assert_eq!((ran.code, ran.text()), (1, ""));
    assert!(ran.err.contains("open elsewhere"), "{}", ran.err);
    drop(stdin);
    assert!(writer.wait().expect("ends").success());
    let mut left: Vec<_> = std::fs::read_dir(folder.path(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["copy", "db"]);
}

#[test]
fn completions_and_man_pages_come_out() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell], b"").ok().text().contains("dedup"));
    }
    assert!(run(&["man"], b"").ok().text().contains(".TH firstseen"));
    assert!(run(&["man", "dedup"], b"").ok().text().contains("output\\-first"));
    assert_eq!(run(&["man", "nothing"], b"").code, 2);
    let folder = Folder::new();
    run(&["man", "--out", &folder.arg("man")], b"").ok();
    assert!(folder.path("man/firstseen-dedup.1").exists());
}

/// A stream has the key of the store's identity: it is as secret as the store.
#[cfg(unix)]
#[test]
fn an_exported_file_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let (folder, db) = with_store(b"a\n");
    let output = folder.arg("stream");
    run(&["export", &db, "--output", &output], b"").ok();
    let mode = std::fs::metadata(&output).expect("a file").mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}

//! `--backend` and `migrate`: stores in a database of sled.

use crate::support::{Folder, dedup, run};

#[test]
fn help_says_what_sled_needs_and_other_names_are_refused() {
    for command in ["dedup", "import", "migrate"] {
        for help in ["-h", "--help"] {
            let text = run(&[command, help], b"").ok();
            let words: Vec<&str> = text.text().split_whitespace().collect();
            let text = words.join(" ");
            assert!(text.contains("a build with the cargo feature `sled`"), "{command}: {text}");
        }
    }
    let folder = Folder::new();
    let ran = dedup(&format!("--db {} --backend rocks", folder.arg("db")), b"a\n");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("mapped") && ran.err.contains("sled"), "{}", ran.err);
    assert_eq!(run(&["migrate", "from", "to"], b"").code, 2, "there is no backend by default");
}

#[test]
fn a_mapped_store_says_so_and_can_be_copied_as_it_is() {
    let folder = Folder::new();
    let (db, copy) = (folder.arg("db"), folder.arg("copy"));
    dedup(&format!("--db {db} --backend mapped"), b"a\nb\n").ok();
    let ran = run(&["migrate", &db, &copy, "--backend", "mapped"], b"").ok();
    assert!(ran.err.starts_with("firstseen: 2 ids copied from mapped to mapped in "), "{ran:?}");
    assert_eq!(ran.text(), "");
    assert_eq!(run(&["stats", "--json", &copy], b"").ok().json()["backend"], "mapped");
    assert_eq!(run(&["verify", "--json", &copy], b"").ok().json()["backend"], "mapped");
    assert_eq!(dedup(&format!("--db {copy}"), b"a\nc\n").ok().text(), "c\n");
}

#[cfg(not(feature = "sled"))]
#[test]
fn a_build_without_sled_names_the_feature_and_makes_nothing() {
    let folder = Folder::new();
    let (db, to) = (folder.arg("db"), folder.arg("to"));
    dedup(&format!("--db {db}"), b"a\n").ok();
    let export = run(&["export", &db], b"").ok().out;
    for ran in [
        dedup("--backend sled", b"a\n"),
        dedup(&format!("--backend sled --db {to}"), b"a\n"),
        run(&["import", "--backend", "sled", &to], &export),
        run(&["migrate", "--backend", "sled", &db, &to], b""),
    ] {
        assert_eq!((ran.code, ran.text()), (1, ""));
        let said = "`sled` is not in this build; build it with the cargo feature `sled`\n";
        assert!(ran.err.ends_with(said) && ran.err.lines().count() == 1, "{}", ran.err);
        assert!(!folder.path("to").exists());
    }
}

#[cfg(feature = "sled")]
mod sled {
    use std::io::{Read, Write};
    use std::process::Stdio;

    use firstseen::{Backend, Store};

    use crate::support::{self, Folder, dedup, firstseen, run};
    use crate::{kill, transactions};

    /// A folder with a store in sled, in `db`, that has seen these lines.
    fn with_store(lines: &[u8]) -> (Folder, String) {
        support::with_store("--backend sled", lines)
    }

    /// The lines of a command's output, sorted.
    #[track_caller]
    fn sorted(args: &[&str]) -> Vec<String> {
        let mut lines: Vec<String> =
            run(args, b"").ok().text().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[track_caller]
    fn backend_of(db: &str) -> String {
        let found = run(&["stats", "--json", db], b"").ok().json();
        found["backend"].as_str().expect("a name").to_owned()
    }

    #[test]
    fn killed_runs_lose_and_repeat_no_more_than_in_files() {
        kill::output_first("--backend sled");
        kill::insert_first("--backend sled");
    }

    #[test]
    fn a_store_keeps_its_backend_and_another_is_refused() {
        let (folder, db) = with_store(b"a\nb\n");
        assert_eq!(dedup(&format!("--db {db}"), b"a\nc\n").ok().text(), "c\n");
        assert_eq!(dedup(&format!("--db {db} --backend sled"), b"c\nd\n").ok().text(), "d\n");
        assert_eq!(backend_of(&db), "sled");
        let mapped = folder.arg("mapped");
        dedup(&format!("--db {mapped}"), b"a\n").ok();
        for (db, kept, other) in [(&db, "sled", "mapped"), (&mapped, "mapped", "sled")] {
            let ran = dedup(&format!("--db {db} --backend {other}"), b"e\n");
            assert_eq!((ran.code, ran.text()), (1, ""));
            assert!(ran.err.contains(&format!("was created with `{kept}`")), "{}", ran.err);
            assert_eq!(backend_of(db), kept);
        }
    }

    #[test]
    fn all_policies_and_a_run_without_db_work_in_sled() {
        assert_eq!(dedup("--backend sled", b"a\nb\na\n").ok().text(), "a\nb\n");
        for policy in ["buffered", "interval:10ms", "sync"] {
            let folder = Folder::new();
            let db = folder.arg("db");
            let options = format!("--db {db} --backend sled --durability {policy} --window 1d");
            assert_eq!(dedup(&options, b"a\na\n").ok().text(), "a\n");
            assert_eq!(dedup(&options, b"a\nb\n").ok().text(), "b\n");
        }
    }

    #[test]
    fn a_copy_in_the_other_backend_has_all_that_the_store_has() {
        let folder = Folder::new();
        let (db, there, back) = (folder.arg("db"), folder.arg("there"), folder.arg("back"));
        transactions::fill(Store::open(&db).expect("a store"));
        let lines: String = (0..20_000).map(|n| format!("{n}\n")).collect();
        let store = Store::open(&db).expect("a store");
        let ids: Vec<&str> = lines.lines().collect();
        store.check_and_insert(&ids[..15_000]).expect("inserted");
        store.seal().expect("sealed");
        store.check_and_insert(&ids[15_000..]).expect("inserted");
        store.forget(&["7", "19000"]).expect("forgotten");
        store.close().expect("closed");

        let done = run(&["migrate", "--json", &db, &there, "--backend", "sled"], b"").ok().json();
        assert_eq!((&done["from"], &done["to"]), (&"mapped".into(), &"sled".into()));
        // Ids that were forgotten are counted until they are merged away.
        assert_eq!(done["records"], 20_002);
        let ran = run(&["migrate", &there, &back, "--backend", "mapped"], b"").ok();
        assert!(ran.err.starts_with("firstseen: 20002 ids copied from sled to mapped in "));
        assert_eq!((&*backend_of(&there), &*backend_of(&back)), ("sled", "mapped"));

        let (dump, state) = (sorted(&["dump", &db]), sorted(&["state", "--json", &db]));
        assert_eq!(dump.len(), 20_000);
        for copy in [&there, &back] {
            assert_eq!(sorted(&["dump", copy]), dump);
            assert_eq!(sorted(&["state", "--json", copy]), state);
            let verified = run(&["verify", "--json", copy], b"").ok().json();
            assert_eq!((&verified["damages"], &verified["records"]), (&0.into(), &20_002.into()));
            for (token, answer) in [("ledger-1", "--commit"), ("\\xff\\\\n", "--abort")] {
                run(&["settle", copy, "--token", token, answer], b"").ok();
            }
            assert_eq!(dedup(&format!("--db {copy}"), lines.as_bytes()).ok().text(), "7\n19000\n");
        }
    }

    #[test]
    fn a_copy_goes_into_no_folder_that_is_in_use() {
        let (folder, db) = with_store(b"a\n");
        let (to, nothing) = (folder.arg("to"), folder.arg("nothing"));
        std::fs::create_dir(&to).expect("a folder");
        let file = folder.write("to/file", b"x");
        for (from, to) in [(&db, &to), (&db, &db), (&nothing, &nothing), (&db, &file)] {
            let ran = run(&["migrate", from, to, "--backend", "mapped"], b"");
            assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{to}: {}", ran.err);
        }
        assert!(!folder.path("nothing").exists());
        assert_eq!(folder.read("to/file"), b"x");
        assert_eq!(dedup(&format!("--db {db}"), b"a\nb\n").ok().text(), "b\n");
    }

    #[test]
    fn an_export_becomes_a_store_in_either_backend() {
        let (folder, db) = with_store(b"a\nb\n");
        let (there, back) = (folder.arg("there"), folder.arg("back"));
        let export = run(&["export", &db], b"").ok().out;
        let done = run(&["import", "--json", "--backend", "mapped", &there], &export).ok().json();
        assert_eq!(done["records"], 2);
        let export = run(&["export", &there], b"").ok().out;
        run(&["import", "--backend", "sled", &back], &export).ok();
        assert_eq!((&*backend_of(&there), &*backend_of(&back)), ("mapped", "sled"));
        assert_eq!(sorted(&["dump", &back]).len(), 2);
        assert_eq!(sorted(&["dump", &back]), sorted(&["dump", &there]));
        assert_eq!(dedup(&format!("--db {back}"), b"a\nb\nc\n").ok().text(), "c\n");
    }

    #[test]
    fn every_command_takes_a_store_in_sled() {
        let folder = Folder::new();
        let (db, copy, back) = (folder.arg("db"), folder.arg("copy"), folder.arg("back"));
        let store = Store::builder().backend(Backend::Sled).open(&db).expect("a store");
        transactions::fill(store);
        let text = run(&["stats", &db], b"").ok();
        assert!(text.text().contains("\nbackend              sled\n"), "{}", text.text());
        let verified = run(&["verify", "--json", &db], b"").ok().json();
        assert_eq!((&verified["backend"], &verified["damages"]), (&"sled".into(), &0.into()));
        assert_eq!(run(&["state", &db], b"").ok().text().lines().count(), 7);
        run(&["settle", &db, "--token", "ledger-1", "--commit"], b"").ok();
        run(&["settle", &db, "--token", "\\xff\\\\n", "--abort"], b"").ok();
        run(&["rewind", &db, "orders/3", "2"], b"").ok();
        let done = run(&["forget", "--json", &db, "--id", "a"], b"").ok().json();
        assert_eq!(done["forgotten"], 1);
        // The one that was forgotten is counted until its run is merged with another.
        assert_eq!(run(&["compact", "--json", &db], b"").ok().json()["records"], 4);
        assert_eq!(run(&["checkpoint", "--json", &db, &copy], b"").ok().json()["records"], 4);
        run(&["restore", &copy, &back], b"").ok();
        let (dump, state) = (sorted(&["dump", &db]), sorted(&["state", &db]));
        assert_eq!((dump.len(), state[3].as_str()), (3, "source\torders/3\t2"));
        for db in [&copy, &back] {
            assert_eq!(backend_of(db), "sled");
            assert_eq!(
                (sorted(&["dump", db]), sorted(&["state", db])),
                (dump.clone(), state.clone())
            );
        }
        let ran = dedup(&format!("--db {back}"), b"a\nb\nc\nd\ne\n").ok();
        assert_eq!(ran.text(), "a\nd\ne\n");
    }

    #[test]
    fn a_store_in_sled_is_read_by_one_process_at_a_time() {
        let folder = Folder::new();
        let (db, to) = (folder.arg("db"), folder.arg("to"));
        let mut writer = firstseen()
            .args(["dedup", "--backend", "sled", "--db", &db])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut stdin = writer.stdin.take().expect("piped");
        stdin.write_all(b"a\nb\n").expect("written");
        writer.stdout.as_mut().expect("piped").read_exact(&mut [0; 4]).expect("printed");
        let reading: [&[&str]; 8] = [
            &["stats", &db],
            &["verify", &db],
            &["dump", &db],
            &["state", &db],
            &["checkpoint", &db, &to],
            &["restore", &db, &to],
            &["migrate", &db, &to, "--backend", "mapped"],
            &["export", &db],
        ];
        let holder = format!("db is open elsewhere (process {}), and a store in sled", writer.id());
        for args in reading {
            let ran = run(args, b"");
            assert_eq!((ran.code, ran.text()), (1, ""), "{args:?}");
            assert!(ran.err.contains(&holder), "{args:?}: {}", ran.err);
        }
        drop(stdin);
        assert!(writer.wait().expect("ends").success());
        assert_eq!(std::fs::read_dir(folder.path("")).expect("a folder").count(), 1);
        assert_eq!(run(&["stats", "--json", &db], b"").ok().json()["records"], 2);
    }
}

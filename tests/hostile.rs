//! Callers who mean harm, or make far too much: ids made for a known key, floods, idle claims, clocks, other users.
//!
//! What is counted stands for what it costs: page reads, log bytes, memory. Folders that somebody has
//! prepared are in `folders`, forged files in `tests/compat`, threads in `stress`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aes::Aes128Dec;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use firstseen::testing::{Fingerprinter, ManualClock};
use firstseen::{Builder, ClockCheck, Error, IdentityKind, Store, Timestamp, Verdict};

mod support;

use support::{Rng, ids};

const IDENTITIES: [IdentityKind; 2] = [IdentityKind::AesCmac, IdentityKind::Xxh3];

fn builder() -> Builder {
    Store::builder().memory_budget(64 << 20).background(false)
}

fn range(from: u64, to: u64) -> Vec<Vec<u8>> {
    ids(&(from..to).collect::<Vec<_>>())
}

#[track_caller]
fn all_new<I: AsRef<[u8]>>(store: &Store, ids: &[I]) {
    let verdicts = store.check_and_insert(ids).unwrap();
    let other = verdicts.iter().position(|verdict| !verdict.is_new());
    assert_eq!(other.map(|at| (at, &verdicts[at])), None);
}

#[track_caller]
fn all_known<I: AsRef<[u8]>>(store: &Store, ids: &[I]) {
    let verdicts = store.check_and_insert(ids).unwrap();
    let other = verdicts.iter().position(|verdict| !verdict.is_duplicate());
    assert_eq!(other.map(|at| (at, &verdicts[at])), None);
}

mod ids_made_for_a_known_key {
    use super::*;

    /// The key of a store, as whoever can read its files has it: see `docs/FORMAT.md`.
    fn key(dir: &Path) -> [u8; 16] {
        std::fs::read(dir.join("STORE")).unwrap()[32..48].try_into().unwrap()
    }

    /// The ids of 16 bytes that have these fingerprints: CMAC of one block, backwards.
    fn with_fingerprints(key: [u8; 16], wanted: &[u128]) -> Vec<[u8; 16]> {
        let aes = Aes128Dec::new(&key.into());
        let open = |block: u128| {
            let mut block = block.to_be_bytes().into();
            aes.decrypt_block(&mut block);
            block.0
        };
        // The subkey is what an id of zeros is encrypted as, and decrypted again.
        let zeros = Fingerprinter::new(IdentityKind::AesCmac, key).one(&[0; 16]).as_u128();
        let subkey = open(zeros);
        let made = wanted.iter().map(|&wanted| {
            let block = open(wanted);
            std::array::from_fn(|i| block[i] ^ subkey[i])
        });
        let made: Vec<[u8; 16]> = made.collect();
        let mut found = Vec::new();
        Fingerprinter::new(IdentityKind::AesCmac, key).batch(&made, &mut found);
        assert!(found.iter().map(|found| found.as_u128()).eq(wanted.iter().copied()));
        made
    }

    /// One bucket of the table, one block of the filters, one prefix in all pages of a run.
    #[test]
    fn crowd_one_place_and_stay_exact() {
        const COUNT: u128 = 50_000;
        // The ids fill up to 2048 pages of a run.
        const LOOKS: u64 = 2 + 11;
        let dir = tempfile::tempdir().unwrap();
        let store = builder().identity(IdentityKind::AesCmac).open(dir.path()).unwrap();
        all_new(&store, &range(0, 50_000));
        let top = 0x5a5a_5a5a_5a5a_5a5a_u128 << 64;
        let crafted: Vec<u128> = (0..COUNT).map(|n| top | n << 40 | 7).collect();
        let crafted = with_fingerprints(key(dir.path()), &crafted);
        for part in crafted.chunks(1_000) {
            all_new(&store, part);
        }
        all_known(&store, &crafted);
        store.seal().unwrap();
        let before = store.stats();
        all_known(&store, &crafted);
        let after = store.stats();
        let reads = after.page_reads - before.page_reads;
        assert!(reads <= LOOKS * COUNT as u64, "{reads} page reads for {COUNT} ids");
        // Nearby ones that nobody sent are new, and others pay nothing.
        let others: Vec<u128> = (0..1_000).map(|n| top | n << 40 | 8).collect();
        let others = with_fingerprints(key(dir.path()), &others);
        assert!(store.contains(&others).unwrap().into_iter().all(|known| !known));
        let reads = store.stats().page_reads - after.page_reads;
        assert!(reads <= LOOKS * 1_000, "{reads} page reads for ids of the crowded place");
        let before = store.stats();
        all_new(&store, &range(50_000, 100_000));
        let after = store.stats();
        let reads = after.page_reads - before.page_reads;
        assert!(reads < 500, "{reads} page reads for ids that nobody crafted");

        store.compact().unwrap();
        drop(store);
        let store = builder().open(dir.path()).unwrap();
        all_known(&store, &crafted);
        all_known(&store, &range(0, 100_000));
        assert!(store.contains(&others).unwrap().into_iter().all(|known| !known));
    }

    /// The lowest fingerprints and the highest, and those whose halves are zero or all ones.
    #[test]
    fn may_stand_at_the_ends() {
        let dir = tempfile::tempdir().unwrap();
        let store = builder().identity(IdentityKind::AesCmac).open(dir.path()).unwrap();
        let (low, high) = (u128::from(u64::MAX), u128::MAX << 64);
        let ends =
            [0, 1, low, low - 1, low + 1, high, high - 1, high + 1, u128::MAX, u128::MAX - 1];
        let ends = with_fingerprints(key(dir.path()), &ends);
        for half in [&ends[..5], &ends[5..]] {
            all_new(&store, half);
            all_known(&store, half);
            store.seal().unwrap();
        }
        store.compact().unwrap();
        all_known(&store, &ends);
        drop(store);
        all_known(&builder().open(dir.path()).unwrap(), &ends);
    }
}

/// Every length at which an identity changes its way, with neighbours that differ only in length, in their last
/// byte, or in zeros.
#[test]
fn ids_of_every_length_and_their_prefixes_are_told_apart() {
    const LENGTHS: [usize; 13] = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 240, 241];
    let text: Vec<u8> = (0..=255).cycle().take(600).collect();
    let mut all: HashSet<Vec<u8>> = HashSet::new();
    for len in LENGTHS {
        all.insert(text[..len].to_vec());
        all.insert(text[600 - len..].to_vec());
        all.insert(vec![0; len]);
        all.insert([&text[..len], &[0]].concat());
        all.insert([&text[..len], &[0x80]].concat());
        all.insert([&[0], &text[..len]].concat());
    }
    all.extend((0..=300).map(|len| text[..len].to_vec()));
    all.extend((0..=300).map(|len| text[600 - len..].to_vec()));
    let all: Vec<Vec<u8>> = all.into_iter().collect();
    for identity in IDENTITIES {
        let dir = tempfile::tempdir().unwrap();
        let store = builder().identity(identity).open(dir.path()).unwrap();
        let (batch, single) = all.split_at(all.len() / 2);
        all_new(&store, batch);
        single.iter().for_each(|id| all_new(&store, &[id]));
        store.seal().unwrap();
        all_known(&store, &all);
        drop(store);
        let store = builder().open(dir.path()).unwrap();
        all.iter().for_each(|id| all_known(&store, &[id]));
    }
}

#[test]
fn of_a_batch_of_equal_ids_the_first_is_new() {
    for identity in IDENTITIES {
        let dir = tempfile::tempdir().unwrap();
        let store = builder().identity(identity).open(dir.path()).unwrap();
        for id in ["", "id"] {
            let verdicts = store.check_and_insert(&vec![id; 100_000]).unwrap();
            assert!(verdicts[0].is_new() && verdicts[1..].iter().all(Verdict::is_duplicate));
        }
        assert_eq!(store.stats().ids, 2);
    }
}

#[test]
fn a_batch_may_have_two_million_ids() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder().open(dir.path()).unwrap();
    let all = range(0, 2_000_000);
    all_new(&store, &all);
    all_known(&store, &all);
    let stats = store.stats();
    assert_eq!(stats.ids, 2_000_000);
    let memory = stats.table_memory + stats.filter_memory + stats.run_memory;
    assert!(memory <= 64 << 20, "{memory} bytes");
}

/// They cost memory, and neither log nor disk; what they held is let in once they are dropped.
#[test]
fn ten_thousand_claims_may_idle() {
    const CLAIMS: u64 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let store = builder().open(dir.path()).unwrap();
    all_new(&store, &range(1 << 32, (1 << 32) + 1_000));
    let before = store.stats();
    let all = range(0, CLAIMS);
    let claims: Vec<_> = all.iter().map(|id| store.begin(&[id]).unwrap()).collect();
    assert!(claims.iter().all(|claim| claim.verdicts()[0].is_new()));
    let full = store.stats();
    assert_eq!(full.claimed, CLAIMS);
    assert!(full.claim_memory < 400 * CLAIMS, "{} bytes", full.claim_memory);
    let written = full.log_bytes_written - before.log_bytes_written;
    assert!(written < 100_000, "{written} bytes of log");

    let verdicts = store.check_and_insert(&all).unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::InFlight { .. })));
    all_new(&store, &range(CLAIMS, CLAIMS + 1_000));
    store.seal().unwrap();
    drop(claims);
    let empty = store.stats();
    assert_eq!(empty.claimed, 0);
    assert!(empty.claim_memory < 2 << 20, "{} bytes", empty.claim_memory);
    assert_eq!(empty.ids, 2_000);
    all_new(&store, &all);
}

mod clocks {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    const WINDOW: Duration = HOUR;
    const JUMPS: [Duration; 8] = [
        SECOND,
        Duration::from_secs(60),
        Duration::from_secs(599),
        HOUR,
        Duration::from_secs(86_400),
        Duration::from_secs(30 * 86_400),
        YEAR,
        Duration::from_secs(10 * 365 * 86_400),
    ];

    fn clock() -> ManualClock {
        ManualClock::new(Timestamp::from_secs(1_700_000_000))
    }

    fn open(dir: &Path, clock: &ManualClock) -> Store {
        builder().window(WINDOW).clock(Arc::new(clock.clone())).open(dir).unwrap()
    }

    fn jump(clock: &ManualClock, by: Duration, ahead: bool) {
        if ahead { clock.jump_ahead(by) } else { clock.jump_back(by) }
    }

    /// By real time, ids are known for the window, but for a jump ahead of less than `future_skew`, which
    /// is believed; and whatever happened, those of after the jump are.
    #[test]
    fn that_jump_make_nothing_forgotten() {
        let known = |from, to, store: &Store| {
            store.contains(&range(from, to)).unwrap().into_iter().all(|known| known)
        };
        for by in JUMPS {
            for ahead in [false, true] {
                let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
                let store = open(dir.path(), &clock);
                all_new(&store, &range(0, 100));
                clock.advance(WINDOW / 4);
                jump(&clock, by, ahead);
                all_new(&store, &range(100, 200));
                clock.advance(WINDOW / 2);
                store.compact().unwrap();
                assert!(known(0, 200, &store), "{by:?}, ahead: {ahead}");
                clock.advance(WINDOW / 2 - SECOND);
                assert!(known(100, 200, &store), "{by:?}, ahead: {ahead}");
                // Back again: nothing is let in twice.
                jump(&clock, by, !ahead);
                assert!(known(100, 200, &store), "{by:?}, ahead: {ahead}");
                drop(store);
                let store = open(dir.path(), &clock);
                assert!(known(100, 200, &store), "{by:?}, ahead: {ahead}");
            }
        }
    }

    #[test]
    fn that_jump_while_nobody_looks_are_told_of() {
        for by in JUMPS {
            let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
            let store = open(dir.path(), &clock);
            all_new(&store, &range(0, 100));
            drop(store);
            clock.jump_back(by);
            let store = open(dir.path(), &clock);
            let told = if by > SECOND { ClockCheck::Behind(by) } else { ClockCheck::Steady };
            assert_eq!(store.recovery().clock, told);
            all_known(&store, &range(0, 100));
            // Time goes on from where it was.
            clock.advance(WINDOW / 2);
            all_known(&store, &range(0, 100));
            drop(store);

            // It is set right, and then as much too far.
            clock.jump_ahead(by * 2);
            let careful = builder().max_clock_jump(by / 2).clock(Arc::new(clock.clone()));
            match careful.open(dir.path()) {
                Err(Error::ClockJumped { .. }) => {}
                other => panic!("{by:?}: {other:?}"),
            }
            let store = open(dir.path(), &clock);
            let ahead = store.recovery().clock;
            match by > WINDOW {
                true => assert!(matches!(ahead, ClockCheck::Ahead(_)), "{by:?}: {ahead:?}"),
                false => assert_eq!(ahead, ClockCheck::Steady, "{by:?}"),
            }
            let known = WINDOW / 2 + by < WINDOW;
            assert_eq!(store.contains(&range(0, 100)).unwrap(), [known; 100], "{by:?}");
        }
    }

    #[test]
    fn that_stand_still_let_everything_work() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
        for round in 0..5 {
            let store = open(dir.path(), &clock);
            all_new(&store, &range(round * 1_000, round * 1_000 + 1_000));
            store.seal().unwrap();
            all_known(&store, &range(0, round * 1_000 + 1_000));
            store.compact().unwrap();
        }
    }

    /// Any jumps, both ways, small and large, with and without reopening after those that go back.
    #[test]
    fn that_jump_about_at_random_make_nothing_forgotten() {
        support::with_seeds(50, |rng: &mut Rng| {
            let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
            let mut store = open(dir.path(), &clock);
            // Real time goes on by less than half a window in all, and believed jumps by less than that.
            for round in 0..20 {
                all_new(&store, &range(round * 10, round * 10 + 10));
                let by = JUMPS[rng.below(JUMPS.len() as u64) as usize];
                match rng.below(4) {
                    0 => clock.jump_back(by),
                    1 if by > HOUR => clock.jump_ahead(by),
                    2 => {
                        clock.set_wall(Timestamp::from_secs(1_600_000_000));
                        drop(store);
                        store = open(dir.path(), &clock);
                    }
                    _ => clock.advance(WINDOW / 50),
                }
                all_known(&store, &range(0, round * 10 + 10));
            }
        });
    }
}

#[cfg(unix)]
mod another_user {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::{env, fs};

    use super::*;

    const DIR: &str = "FIRSTSEEN_TEST_FOLDER";
    const NOBODY: u32 = 65_534;

    /// Not a test of its own: what a user sees of a store of somebody else.
    #[test]
    fn child_of_another_user() {
        let Some(dir) = env::var_os(DIR) else { return };
        let dir = Path::new(&dir);
        let entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect();
        assert!(entries.len() > 4);
        for entry in entries.iter().filter(|entry| entry.file_type().unwrap().is_file()) {
            let refused = fs::read(entry.path());
            assert!(refused.is_err(), "{}", entry.path().display());
        }
        assert!(matches!(builder().open(dir), Err(Error::Io { .. })));
        assert!(matches!(firstseen::offline::inspect(dir), Err(Error::Io { .. })));
        let exported = firstseen::offline::export(dir, &mut Vec::new());
        assert!(matches!(exported, Err(Error::Io { .. })), "{exported:?}");
        println!("kept out");
    }

    /// Also where its folder, which was there before, lets everybody in.
    #[test]
    fn cannot_read_a_store() {
        let home = tempfile::tempdir().unwrap();
        if home.path().metadata().unwrap().uid() != 0 {
            eprintln!("SKIPPED: only root can become another user");
            return;
        }
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let store = builder().open(home.path()).unwrap();
        all_new(&store, &range(0, 100));
        store.seal().unwrap();
        all_new(&store, &range(100, 200));
        drop(store);
        let before = support::files::bytes_below(home.path());

        // Whoever else may run this test's executable: a copy, for the way to it may be closed.
        let copy = home.path().parent().unwrap().join(format!("hostile-{}", std::process::id()));
        fs::copy(env::current_exe().unwrap(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&copy);
        child.args(["--exact", "another_user::child_of_another_user", "--nocapture"]);
        child.env(DIR, home.path()).uid(NOBODY).gid(NOBODY).current_dir("/").stdin(Stdio::null());
        let ran = child.output();
        fs::remove_file(&copy).unwrap();
        let ran = ran.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("kept out"), "{ran:?}");
        assert!(support::files::bytes_below(home.path()) == before);
        all_known(&builder().open(home.path()).unwrap(), &range(0, 200));
    }
}

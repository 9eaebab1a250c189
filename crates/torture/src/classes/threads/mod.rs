//! Threads on one store whose upkeep never rests; the disk dies under them, or not.
//!
//! | module | what it is |
//! |---|---|
//! | `work` | what each thread does, and writes down |
//! | `judge` | whether the answers can be those of one store |

mod judge;
mod work;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::MemoryDisk;
use firstseen::{Durability, IdentityKind, ReadMode, Store};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::support::Rng;

use judge::{Ledger, Loss};
use work::{Diary, Worker};

const THREADS: u64 = 4;
/// Power cuts that are tried of one death.
const CUTS: u64 = 4;

/// Threads on a disk that is sound.
pub(crate) struct Threads;

/// Threads on a disk that dies.
pub(crate) struct Storm;

impl Class for Threads {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn about(&self) -> &'static str {
        "threads insert, claim, commit and abort the same ids while tables seal: the history is linearizable"
    }

    fn weight(&self) -> u32 {
        3
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number());
        let setup = Setup::random(&mut random);
        let disk = MemoryDisk::seeded(random.next());
        let rounds = 40 + random.below(60);
        let ledger = setup.run(&disk, &mut random, rounds, counts)?;
        let place = |wrong| format!("{wrong}; {setup:?}");
        ledger.is_linearizable().map_err(place)?;
        let store = setup.open(&disk.kill())?;
        ledger.holds(&store, Loss::Nothing).map_err(place)
    }
}

impl Class for Storm {
    fn name(&self) -> &'static str {
        "storm"
    }

    fn about(&self) -> &'static str {
        "the same, and the disk dies at any operation: after a kill and after power cuts"
    }

    fn weight(&self) -> u32 {
        5
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number());
        let setup = Setup::random(&mut random);
        let disk = MemoryDisk::seeded(random.next());
        let most = random.pick(&[40, 150, 600]);
        disk.fail_from(20 + random.below(most), ErrorKind::Other);
        disk.set_write_limit(random.pick(&[None, None, Some(100), Some(513)]));
        let ledger = setup.run(&disk, &mut random, u64::MAX, counts)?;
        let place = |wrong| format!("{wrong}; {setup:?}");
        ledger.is_linearizable().map_err(place)?;
        let store = setup.open(&disk.kill())?;
        ledger
            .holds(&store, Loss::Nothing)
            .map_err(|wrong| format!("after a kill: {wrong}; {setup:?}"))?;
        drop(store);
        let loss = if setup.durability == Durability::Sync { Loss::Nothing } else { Loss::Tail };
        for cut in 0..CUTS {
            let left = if cut == 0 { disk.crash() } else { disk.crash_with(random.next()) };
            let store = setup.open(&left)?;
            ledger
                .holds(&store, loss)
                .map_err(|wrong| format!("after power cut {cut}: {wrong}; {setup:?}"))?;
        }
        counts.add("states", CUTS + 1);
        Ok(())
    }
}

/// How the store is opened.
#[derive(Debug, Clone, Copy)]
struct Setup {
    durability: Durability,
    active_ids: usize,
    read_mode: ReadMode,
    identity: IdentityKind,
}

impl Setup {
    fn random(random: &mut Rng) -> Setup {
        let interval = Durability::Interval(Duration::from_millis(1));
        Setup {
            durability: random.pick(&[
                Durability::Buffered,
                Durability::Sync,
                Durability::Sync,
                interval,
            ]),
            active_ids: random.pick(&[100, 100, 400]),
            read_mode: random.pick(&[ReadMode::Positioned, ReadMode::Mapped]),
            identity: random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]),
        }
    }

    fn open(&self, disk: &MemoryDisk) -> Promise<Store> {
        let opened = Store::builder()
            .storage(Arc::new(disk.clone()))
            .memory_budget(16 << 20)
            .active_ids(self.active_ids)
            .durability(self.durability)
            .read_mode(self.read_mode)
            .identity(self.identity)
            .open("/store");
        opened.map_err(|error| format!("cannot open: {error}; {self:?}"))
    }

    /// Lets the threads work for so many rounds, or until the disk dies.
    fn run(
        &self,
        disk: &MemoryDisk,
        random: &mut Rng,
        rounds: u64,
        counts: &mut Counts,
    ) -> Promise<Ledger> {
        let Ok(store) = self.open(disk) else { return Ok(Ledger::default()) };
        let clock = std::sync::atomic::AtomicU64::new(0);
        let workers = (0..THREADS).map(|thread| Worker::new(thread, &store, &clock, random.next()));
        let workers: Vec<Worker<'_>> = workers.collect();
        let diaries: Vec<Promise<Diary>> = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for worker in workers {
                threads.push(scope.spawn(move || worker.work(rounds)));
            }
            let join = |thread: std::thread::ScopedJoinHandle<'_, Promise<Diary>>| {
                thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
            };
            threads.into_iter().map(join).collect()
        });
        let diaries = diaries.into_iter().collect::<Promise<Vec<Diary>>>()?;
        let ledger = Ledger::of(diaries);
        counts.add("answers", ledger.answers());
        counts.add("commits", ledger.commits());
        ensure(rounds == u64::MAX || store.stats().sealed > 0, || "no table was sealed".into())?;
        Ok(ledger)
    }
}

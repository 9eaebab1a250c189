//! Threads that start at one moment with the same ids: each id is let in once, by whichever way, and what one
//! is told is as durable as what the other waits for.

use std::sync::{Arc, Barrier};
use std::thread;

use firstseen::testing::MemoryDisk;
use firstseen::{Durability, IdentityKind, Store, Verdict};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::support::Rng;
use crate::support::ids;

const THREADS: u64 = 3;
/// Ids that a table of the smallest size takes.
const TABLE: u64 = 100;
/// Ids that take threads a while.
const LARGE: u64 = 1 << 16;

type Round = fn(&mut Rng, &mut Counts) -> Promise;

const ROUNDS: [Round; 4] = [insertions, rotations, claims, pollers];

pub(crate) struct Race;

impl Class for Race {
    fn name(&self) -> &'static str {
        "race"
    }

    fn about(&self) -> &'static str {
        "threads insert and claim the very same batches at once, tables full at each call: one winner an id"
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn enumerated(&self) -> u64 {
        ROUNDS.len() as u64
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 7);
        let round = match case {
            Case::Enumerated(number) => ROUNDS[number as usize % ROUNDS.len()],
            Case::Sampled(_) => random.pick(&ROUNDS),
        };
        round(&mut random, counts)
    }
}

/// A store on a disk in memory, and how it is opened.
struct Place {
    disk: MemoryDisk,
    durability: Durability,
    identity: IdentityKind,
    active_ids: Option<u64>,
}

impl Place {
    fn new(random: &mut Rng) -> Place {
        Place {
            disk: MemoryDisk::seeded(random.next()),
            durability: random.pick(&[Durability::Buffered, Durability::Sync]),
            identity: random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]),
            active_ids: None,
        }
    }

    fn open(&self) -> Promise<Store> {
        let builder = Store::builder()
            .storage(Arc::new(self.disk.clone()))
            .memory_budget(32 << 20)
            .durability(self.durability)
            .identity(self.identity);
        let builder = match self.active_ids {
            Some(ids) => builder.active_ids(ids as usize),
            None => builder,
        };
        builder.open("/store").map_err(text)
    }
}

fn text(error: firstseen::Error) -> String {
    error.to_string()
}

fn batch(from: u64, count: u64) -> Vec<Vec<u8>> {
    ids(&(from..from + count).collect::<Vec<_>>())
}

/// Batches of some tens of thousands. Whoever is behind is faster, since it finds what it would write: so all
/// soon contend for the very same slots.
fn insertions(random: &mut Rng, counts: &mut Counts) -> Promise {
    let store = Place::new(random).open()?;
    let start = random.next() >> 8;
    for round in 0..4 {
        at_once(&store, &batch(start + round * LARGE, LARGE), counts)?;
    }
    Ok(())
}

/// A table takes one of these batches, so each call that comes second finds it full.
fn rotations(random: &mut Rng, counts: &mut Counts) -> Promise {
    let store = Place { active_ids: Some(TABLE), ..Place::new(random) }.open()?;
    let start = random.next() >> 8;
    for round in 0..300 {
        at_once(&store, &batch(start + round * TABLE, TABLE), counts)?;
    }
    Ok(())
}

fn at_once(store: &Store, batch: &[Vec<u8>], counts: &mut Counts) -> Promise {
    let start = Barrier::new(THREADS as usize);
    let insert = || {
        start.wait();
        store.check_and_insert(batch).map_err(text)
    };
    let verdicts: Vec<Promise<Vec<Verdict>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(insert)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(Vec::new()))).collect()
    });
    let verdicts = verdicts.into_iter().collect::<Promise<Vec<_>>>()?;
    for i in 0..batch.len() {
        let said: Vec<_> = verdicts.iter().filter_map(|verdicts| verdicts.get(i)).collect();
        let winners = said.iter().filter(|verdict| verdict.is_new()).count();
        ensure(winners == 1, || format!("{winners} winners of id {i} of a batch: {said:?}"))?;
    }
    counts.add("ids presented at once", batch.len() as u64);
    Ok(())
}

/// A claim and an insertion walk through the same ids.
fn claims(random: &mut Rng, counts: &mut Counts) -> Promise {
    let store = Place::new(random).open()?;
    // From the first claim on, insertions ask who holds an id.
    let _held = store.begin(&["held"]).map_err(text)?;
    let first = random.next() >> 8;
    for round in 0..4 {
        let batch = batch(first + round * LARGE, LARGE);
        let start = Barrier::new(2);
        let (inserted, claim) = thread::scope(|scope| {
            let inserting = scope.spawn(|| {
                start.wait();
                store.check_and_insert(&batch)
            });
            start.wait();
            let claim = store.begin(&batch);
            (inserting.join(), claim)
        });
        let inserted = inserted.map_err(|_| "a thread panicked")?.map_err(text)?;
        let claim = claim.map_err(text)?;
        for (i, (inserted, claimed)) in inserted.iter().zip(claim.verdicts()).enumerate() {
            ensure(inserted.is_new() != claimed.is_new(), || {
                format!("id {i} is {inserted:?} for an insertion, {claimed:?} for a claim")
            })?;
        }
        counts.add("ids claimed and inserted", batch.len() as u64);
    }
    Ok(())
}

/// A large batch takes a while to go into the table, and its first ids are found there long before its frame is
/// staged. Whoever is told of one may see the machine die at once.
fn pollers(random: &mut Rng, counts: &mut Counts) -> Promise {
    let place = Place::new(random);
    let (store, durability) = (place.open()?, place.durability);
    let count = 20_000 + random.below(40_000);
    let batch = batch(random.next() >> 8, count);
    let one = random.below(100) as usize;
    let asked = &batch[one..=one];
    let left = thread::scope(|scope| {
        let inserting = scope.spawn(|| store.check_and_insert(&batch));
        while !store.contains(asked).map_err(text)?[0] && !inserting.is_finished() {}
        let sync = durability == Durability::Sync;
        Ok::<_, String>(if sync { place.disk.crash() } else { place.disk.kill() })
    })?;
    let store = Place { disk: left, ..place }.open()?;
    let known = store.contains(asked).map_err(text)?;
    ensure(known[0], || {
        format!("id {one} of {count} was told of and is forgotten: {durability:?}")
    })?;
    counts.add("ids told of while they were let in", 1);
    Ok(())
}

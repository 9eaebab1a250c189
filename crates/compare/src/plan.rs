//! How much is measured: which windows, in which batches, from how many threads.

use clap::ValueEnum;

use crate::course::Course;
use crate::peer::{Entry, Result};

/// A size of the whole comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Quick,
    Full,
}

/// Batch sizes and threads, all pairs of them, where only one of the two or a number of ids is asked for.
pub(crate) const BATCHES: [usize; 3] = [1, 16, LARGE_BATCH];
pub(crate) const THREADS: [usize; 2] = [1, 2];

const LARGE_BATCH: usize = 1024;

/// How often every peer is measured, but sustained, and in the largest windows of `full`.
pub(crate) const ROUNDS: usize = 3;

/// Who is measured where the others would take hours: firstseen, the fastest stores on disk, and the sets in
/// memory.
const FAST: &[&str] = &[
    "firstseen",
    "rocksdb-fifo",
    "fjall",
    "lmdb",
    "mutex-hashset",
    "hashbrown",
    "dashmap",
    "scc",
    "papaya",
];

/// Who is measured in the largest window: of each kind the fastest, for new ids. LMDB would take an hour or more.
const FASTEST: &[&str] = &["firstseen", "rocksdb-fifo", "hashbrown", "dashmap"];

/// One setting in which peers are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// Ids in the window.
    pub(crate) window: usize,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    pub(crate) course: Course,
}

/// How many batches a window that forgets holds at the least: it does so batch by batch.
const BATCHES_TO_FORGET: usize = 16;

impl Scenario {
    /// Fails if it would measure something else than it says.
    pub(crate) fn check(self) -> Result<()> {
        let least = self.batch * BATCHES_TO_FORGET;
        if self.course == Course::Sustained && self.window < least {
            return Err(format!("sustained, a window has at least {least} ids").into());
        }
        Ok(())
    }

    /// Its threads, in words.
    pub(crate) fn callers(self) -> String {
        match self.threads {
            1 => "one thread".to_owned(),
            threads => format!("{threads} threads"),
        }
    }
}

/// A scenario, how it is asked for, how often and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Of which small batches get a part only.
    pub(crate) ids: usize,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    pub(crate) course: Course,
    pub(crate) rounds: usize,
    /// All, if there is no list.
    pub(crate) peers: Option<&'static [&'static str]>,
}

impl Part {
    pub(crate) fn scenario(&self) -> Scenario {
        let Part { ids, batch, threads, course, .. } = *self;
        Scenario { window: window(ids, batch), batch, threads, course }
    }

    /// Whether the peer is on the list, and is measured in such a scenario.
    pub(crate) fn is_for(&self, entry: &Entry) -> bool {
        self.takes(entry.name) && entry.takes(self.scenario())
    }

    pub(crate) fn takes(&self, peer: &str) -> bool {
        self.peers.is_none_or(|peers| peers.contains(&peer))
    }
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Quick => "quick",
            Level::Full => "full",
        }
    }

    /// How many ids a window holds while batches and threads vary.
    pub(crate) fn ids(self) -> usize {
        match self {
            Level::Quick => 200_000,
            Level::Full => 1_000_000,
        }
    }

    /// Every batch size from one thread, and of large batches: two threads, other windows, ids that are forgotten. What
    /// takes longest comes last.
    pub(crate) fn parts(self) -> Vec<Part> {
        let mut parts = matrix(self.ids(), &BATCHES, &[1], ROUNDS);
        parts.push(Part {
            threads: 2,
            rounds: ROUNDS,
            peers: Some(FAST),
            ..large(self.ids(), Course::Window)
        });
        let windows: &[(usize, usize, _)] = match self {
            Level::Quick => &[(10_000, ROUNDS, None), (50_000, ROUNDS, None)],
            Level::Full => &[
                (10_000, ROUNDS, None),
                (100_000, ROUNDS, None),
                (10_000_000, 1, Some(FAST)),
                (100_000_000, 1, Some(FASTEST)),
            ],
        };
        let window = |&(ids, rounds, peers)| Part { rounds, peers, ..large(ids, Course::Window) };
        parts.extend(windows.iter().map(window));
        parts.insert(parts.len() - 1, self.sustained());
        parts
    }

    /// Ids that go through a window and are forgotten.
    pub(crate) fn sustained(self) -> Part {
        match self {
            Level::Quick => large(1_000_000, Course::Sustained),
            Level::Full => large(10_000_000, Course::Sustained),
        }
    }
}

/// Every batch size from every number of threads.
pub(crate) fn matrix(ids: usize, batches: &[usize], threads: &[usize], rounds: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for &threads in threads {
        for &batch in batches {
            let course = Course::Window;
            parts.push(Part { ids, batch, threads, course, rounds, peers: None });
        }
    }
    parts
}

/// Large batches from one thread, once, of everybody.
pub(crate) fn large(ids: usize, course: Course) -> Part {
    Part { ids, batch: LARGE_BATCH, threads: 1, course, rounds: 1, peers: None }
}

/// Small batches are slow, and their rates depend less on the window: they get a smaller one.
fn window(ids: usize, batch: usize) -> usize {
    let part = match batch {
        1 => 8,
        2..256 => 2,
        _ => 1,
    };
    (ids / part).max(2)
}

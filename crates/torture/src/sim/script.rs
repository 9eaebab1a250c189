//! What is done to a store: the standard scripts, and random ones.

use crate::support::Rng;

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Presents these ids, from and to.
    Insert(u64, u64),
    /// Forgets these ids.
    Forget(u64, u64),
    /// Commits so many more records of a source: ids, progress, a sum in the state, outcomes. The
    /// last records before come again.
    Commit(usize, u64),
    /// Works as a commit does, and rolls back.
    Abort(usize, u64),
    /// Prepares so many more records of a source.
    Prepare(usize, u64),
    /// Settles the oldest transaction in doubt: commits it, or gives it up.
    Settle(bool),
    Seal,
    Compact,
    Sync,
    /// So many seconds pass.
    Pass(u64),
    /// Ends the store, and opens it again.
    Reopen,
    /// Lets the store go without a word, and opens it again.
    Drop,
}

use Step::{
    Abort, Commit, Compact, Drop, Forget, Insert, Pass, Prepare, Reopen, Seal, Settle, Sync,
};

/// Short ones, each around a protocol: most bugs of storage show in three operations on a fresh store
/// (CrashMonkey, OSDI 2018).
pub(crate) const STANDARD: &[&[Step]] = &[
    // The log.
    &[Insert(0, 40), Insert(20, 60), Insert(60, 90), Drop, Insert(0, 100)],
    &[Insert(0, 3), Sync, Insert(3, 5), Reopen, Insert(4, 9)],
    // Seals, merges, rotation.
    &[Insert(0, 40), Seal, Insert(20, 80), Seal, Pass(20), Insert(80, 90), Compact, Reopen],
    &[Insert(0, 150), Insert(150, 300), Insert(200, 450), Drop, Insert(0, 460)],
    &[Insert(0, 9), Seal, Drop, Insert(9, 12), Drop, Insert(12, 14), Seal, Compact],
    // Expiry.
    &[Insert(0, 40), Pass(20), Insert(40, 60), Compact, Pass(90), Insert(100, 120), Compact],
    &[Insert(0, 9), Pass(85), Compact, Insert(0, 12), Seal, Drop, Insert(0, 15)],
    // Forgetting.
    &[Insert(0, 9), Forget(0, 5), Insert(3, 6), Seal, Forget(4, 8), Sync, Insert(0, 5), Reopen],
    // Transactions.
    &[Commit(0, 3), Commit(0, 2), Seal, Commit(0, 4), Drop, Commit(0, 1), Insert(0, 4)],
    &[Commit(0, 2), Commit(1, 2), Abort(0, 3), Commit(0, 3), Reopen, Abort(1, 1), Commit(1, 1)],
    &[Commit(0, 2), Prepare(0, 3), Settle(true), Prepare(1, 2), Settle(false), Commit(1, 2), Drop],
    &[
        Prepare(0, 2),
        Seal,
        Drop,
        Settle(true),
        Commit(0, 1),
        Seal,
        Prepare(0, 2),
        Reopen,
        Settle(false),
    ],
    &[Prepare(0, 2), Prepare(1, 3), Drop, Settle(true), Seal, Drop, Settle(true), Commit(1, 1)],
    &[
        Commit(0, 60),
        Commit(0, 60),
        Insert(0, 60),
        Pass(20),
        Commit(1, 2),
        Compact,
        Prepare(1, 70),
        Settle(true),
    ],
    &[Commit(0, 5), Seal, Pass(85), Compact, Commit(0, 5), Seal, Drop, Commit(0, 2)],
];

/// A random one: mostly insertions and transactions, with everything between, or mostly upkeep.
pub(crate) fn random_script(random: &mut Rng) -> Vec<Step> {
    if random.one_in(3) {
        return busy_script(random);
    }
    let count = 2 + random.below(18);
    (0..count).map(|_| random_step(random)).collect()
}

/// Generations of several small runs each, which are merged when they have ended, and expire.
fn busy_script(random: &mut Rng) -> Vec<Step> {
    let mut script = Vec::new();
    for _ in 0..1 + random.below(3) {
        for _ in 0..2 + random.below(3) {
            script.push(random_step(random));
            script.push(Insert(0, 1 + random.below(400)));
            script.push(Seal);
        }
        script.push(Pass(random.pick(&[11, 30, 600])));
        script.push(Commit(random.below(2) as usize, 1 + random.below(3)));
        script.push(Compact);
    }
    script
}

fn random_step(random: &mut Rng) -> Step {
    let source = random.below(2) as usize;
    let range = |random: &mut Rng, most: u64| {
        let from = random.below(400);
        (from, from + 1 + random.below(most))
    };
    match random.below(40) {
        0..10 => {
            let (from, to) = range(random, 60);
            Insert(from, to)
        }
        10 => Insert(0, 100 + random.below(300)),
        11..13 => {
            let (from, to) = range(random, 20);
            Forget(from, to)
        }
        13..20 => Commit(source, 1 + random.below(6)),
        20 => Commit(source, 40 + random.below(60)),
        21..23 => Abort(source, 1 + random.below(4)),
        23..26 => Prepare(source, 1 + random.below(4)),
        26..29 => Settle(!random.one_in(3)),
        29..31 => Seal,
        31 => Compact,
        32 => Sync,
        33..36 => Pass(random.pick(&[1, 9, 11, 30, 85])),
        36 => Reopen,
        _ => Drop,
    }
}

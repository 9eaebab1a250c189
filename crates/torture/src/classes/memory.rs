//! Less memory than the store is large, with a death in between.

use std::thread;
use std::time::Duration;

use rustix::fs::statfs;

use crate::case::{Case, Counts, Promise, ensure};
use crate::child::pressure::Pressure;
use crate::class::Class;
use crate::real::host::cgroup::{self, Group};
use crate::real::life::{Death, Life};
use crate::support::Rng;

/// What the processes may have, the pages of their files included.
const LIMITS: [u64; 3] = [56 << 20, 64 << 20, 96 << 20];
/// What the store is told to keep to.
const BUDGETS: [u64; 2] = [16 << 20, 32 << 20];
const IDS: [u64; 3] = [2_000_000, 4_000_000, 6_000_000];
/// How the system tells a file system in memory.
const TMPFS: i128 = 0x0102_1994;

pub(crate) struct Memory;

impl Class for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> &'static str {
        "a store larger than the memory of its process: answers are right, and it stays within its budget"
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn lacks(&self) -> Option<String> {
        let dir = std::env::temp_dir();
        let in_memory = statfs(&dir).is_ok_and(|fs| i128::from(fs.f_type) == TMPFS);
        in_memory.then(|| format!("a disk below {}", dir.display())).or_else(cgroup::lacks)
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut random = Rng::new(case.number() ^ 5);
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let limit = random.pick(&LIMITS);
        let group = Group::new(limit)?;
        let mut errand = Pressure {
            seed: case.number(),
            budget: random.pick(&BUDGETS),
            known: 0,
            ids: random.pick(&IDS),
            door: group.door(),
            dir: folder.path().join("store"),
        };
        let told = |wrong: String, errand: &Pressure| format!("{limit} bytes, {errand:?}: {wrong}");
        let sound = |death: &Death, errand: &Pressure| {
            let wrong = death.said.iter().find(|line| line.starts_with("wrong"));
            ensure(wrong.is_none(), || told(wrong.cloned().unwrap_or_default(), errand))?;
            let kills = group.kills();
            ensure(kills == 0, || told("it took more memory than there is".to_owned(), errand))
        };
        let mut child = Life::start(&errand.errand())?;
        child.wait_for("open")?;
        thread::sleep(Duration::from_millis(100 + random.below(1_500)));
        let death = child.kill()?;
        sound(&death, &errand)?;
        counts.add("kills", u64::from(death.was_killed()));
        errand.known = acknowledged(&death);
        let death = Life::start(&errand.errand())?.finish()?;
        sound(&death, &errand)?;
        let done = death.status.success() && death.said.iter().any(|line| line == "done");
        ensure(done, || told(format!("{}: {}", death.status, death.complaint), &errand))?;
        counts.add("ids", errand.ids);
        counts.add("times that memory was taken back", group.squeezes());
        Ok(())
    }
}

/// Ids below this were acknowledged.
fn acknowledged(death: &Death) -> u64 {
    let numbers = death.said.iter().filter_map(|line| line.strip_prefix("at ")?.parse().ok());
    numbers.max().unwrap_or(0)
}

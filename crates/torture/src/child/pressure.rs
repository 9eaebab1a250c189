//! A process that has less memory than its store is large: it inserts, and looks up what is old and what is new.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use firstseen::{Result, Store, Verdict};

use crate::support::Rng;

const BATCH: u64 = 4_096;
/// Ids from here on are never inserted.
const ABSENT: u64 = 1 << 60;

/// What it is to do, as its parent writes it.
#[derive(Debug, Clone)]
pub(crate) struct Pressure {
    pub(crate) seed: u64,
    /// The budget that the store is given.
    pub(crate) budget: u64,
    /// Ids below this are in the store, as far as anybody was told.
    pub(crate) known: u64,
    /// How many ids it is to have in the end.
    pub(crate) ids: u64,
    /// The file through which the process joins its control group.
    pub(crate) door: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Pressure {
    pub(crate) fn errand(&self) -> String {
        let Pressure { seed, budget, known, ids, door, dir } = self;
        format!("pressure {seed} {budget} {known} {ids} {} {}", door.display(), dir.display())
    }

    pub(super) fn of_errand(text: &str) -> Option<Pressure> {
        let mut words = text.splitn(6, ' ');
        let mut number = || words.next()?.parse().ok();
        let (seed, budget, known, ids) = (number()?, number()?, number()?, number()?);
        let (door, dir) = (words.next()?.into(), words.next()?.into());
        Some(Pressure { seed, budget, known, ids, door, dir })
    }

    /// Says `open`, then `at` and a number as ids are acknowledged, and `done`; or `wrong`, and what.
    pub(super) fn work(&self) -> ExitCode {
        if let Err(error) = fs::write(&self.door, process::id().to_string()) {
            eprintln!("cannot join {}: {error}", self.door.display());
            return ExitCode::FAILURE;
        }
        let said = match self.insert_and_look(&self.dir) {
            Ok(None) => "done".to_owned(),
            Ok(Some(wrong)) => format!("wrong {wrong}"),
            Err(error) => format!("wrong {error}"),
        };
        say(&said);
        ExitCode::SUCCESS
    }

    /// What was wrong, if anything was.
    fn insert_and_look(&self, dir: &Path) -> Result<Option<String>> {
        let store = Store::builder().memory_budget(self.budget).open(dir)?;
        say("open ");
        let mut random = Rng::new(self.seed ^ self.known);
        let mut next = self.known;
        // What the last life did not live to say may be there, up to the first batch that is not.
        let mut unsure = true;
        while next < self.ids {
            let ids: Vec<[u8; 16]> = (next..next + BATCH).map(bytes).collect();
            let verdicts = store.check_and_insert(&ids)?;
            let new = verdicts.iter().filter(|verdict| verdict.is_new()).count() as u64;
            if new < BATCH && (!unsure || new > 0) {
                return Ok(Some(format!("{} ids from {next} on were known", BATCH - new)));
            }
            unsure &= new == 0;
            next += BATCH;
            if random.one_in(4) {
                say(&format!("at {next}"));
            }
            if let Some(wrong) = self.look(&store, &mut random, next)? {
                return Ok(Some(wrong));
            }
        }
        say(&format!("at {next}"));
        store.close()?;
        Ok(None)
    }

    /// Some that are old, some that are not there, and some old ones presented again.
    fn look(&self, store: &Store, random: &mut Rng, next: u64) -> Result<Option<String>> {
        let old: Vec<u64> = (0..200).map(|_| random.below(next.max(1))).collect();
        let absent: Vec<u64> = (0..200).map(|_| ABSENT | random.next() >> 8).collect();
        let all_bytes = |ids: &[u64]| ids.iter().map(|&id| bytes(id)).collect::<Vec<_>>();
        let known = store.contains(&all_bytes(&old))?;
        if let Some(i) = known.iter().position(|known| !known) {
            return Ok(Some(format!("id {} of {next} was forgotten", old[i])));
        }
        let known = store.contains(&all_bytes(&absent))?;
        if let Some(i) = known.iter().position(|known| *known) {
            return Ok(Some(format!("id {:#x} was invented", absent[i])));
        }
        let again = store.check_and_insert(&all_bytes(&old[..20]))?;
        let wrong = again.iter().find(|verdict| !matches!(verdict, Verdict::Duplicate { .. }));
        Ok(wrong.map(|verdict| format!("verdict {verdict:?} for an id of {next} that is old")))
    }
}

/// Ids in no order, all different.
fn bytes(id: u64) -> [u8; 16] {
    let low = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(low) << 64 | u128::from(id)).to_le_bytes()
}

fn say(line: &str) {
    let mut out = io::stdout();
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        process::exit(1);
    }
}

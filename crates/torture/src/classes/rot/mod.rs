//! Bytes that changed on the medium: an error that says where, or the right answers.
//!
//! | module | what it is |
//! |---|---|
//! | `damage` | what becomes of a file |

mod damage;

use std::path::Path;

use firstseen::testing::MemoryDisk;
use firstseen::{Durability, Error};

use crate::case::{Case, Counts, Promise, ensure};
use crate::class::Class;
use crate::sim::{DIR, Fate, Left, Model, Run, STANDARD, Setup, Step, look, random_script};
use crate::support::Rng;

use damage::{Damage, files, flip, read};

/// One case flips a bit in one of so many bytes of each file; so many cases flip all.
const STRIPES: u64 = 64;
/// Bytes behind the last one that is not zero which are flipped too.
const BEHIND: usize = 256;
/// Damages that one sampled case tries, each by itself.
const DAMAGES: u64 = 24;

pub(crate) struct Rot;

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Kill,
}

impl Class for Rot {
    fn name(&self) -> &'static str {
        "rot"
    }

    fn about(&self) -> &'static str {
        "bits flipped, sectors lost, torn, mixed up or old, files cut, grown, swapped or gone"
    }

    fn weight(&self) -> u32 {
        4
    }

    fn enumerated(&self) -> u64 {
        STANDARD.len() as u64 * 2 * STRIPES
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        match case {
            Case::Enumerated(number) => {
                let script = STANDARD[(number % STANDARD.len() as u64) as usize];
                let rest = number / STANDARD.len() as u64;
                let end = if rest.is_multiple_of(2) { End::Close } else { End::Kill };
                let setup = Setup::standard(Durability::Sync);
                let ended = Ended::new(setup, script, script.len(), end)?;
                ended.flip_stripe((rest / 2) as usize, counts)
            }
            Case::Sampled(seed) => {
                let mut random = Rng::new(seed);
                let (setup, script) = (Setup::random(&mut random), random_script(&mut random));
                let end = random.pick(&[End::Close, End::Kill]);
                let middle = random.below(script.len() as u64 + 1) as usize;
                let ended = Ended::new(setup, &script, middle, end)?;
                ended.damage_at_random(&mut random, counts)
            }
        }
    }
}

/// A script that came to its end, with what may be found of it.
struct Ended {
    run: Run,
    /// The files as they are, and as they were in the middle of the script.
    disk: MemoryDisk,
    earlier: MemoryDisk,
    end: End,
    place: String,
}

impl Ended {
    fn new(setup: Setup, script: &[Step], middle: usize, end: End) -> Promise<Ended> {
        let mut run = Run::new(setup, Fate::Sound);
        run.go(&script[..middle])?;
        let earlier = run.disk.kill();
        run.go_on(&script[middle..])?;
        if end == End::Close {
            let closed = run.store.take().map_or(Ok(()), firstseen::Store::close);
            closed.map_err(|error| format!("cannot close: {error}"))?;
        }
        let place = format!("{end:?}, {setup:?}, {script:?}");
        Ok(Ended { disk: run.disk.kill(), run, earlier, end, place })
    }

    /// What may be found. A clean end vouches for all. After a death the last frame of the log has nothing that vouches
    /// for it, nor has what no sync covered; and where more is gone than a bit, what vouched for the frames
    /// before may be gone, too.
    fn allowed(&self, damage: Option<&Damage>) -> Vec<Model> {
        match (self.end, damage) {
            (End::Close, _) => self.run.after_kill(),
            (End::Kill, None | Some(Damage::Flip { .. }))
                if self.run.setup.durability == Durability::Sync =>
            {
                self.run.after_torn_tail()
            }
            (End::Kill, _) => self.run.after_lost_tail(),
        }
    }

    /// Flips a bit in every byte of the stripe, one at a time.
    fn flip_stripe(&self, stripe: usize, counts: &mut Counts) -> Promise {
        let allowed = self.allowed(None);
        for name in files(&self.disk) {
            let content = read(&self.disk, &name);
            let end = content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + BEHIND);
            for at in (stripe..end.min(content.len())).step_by(STRIPES as usize) {
                let disk = self.disk.kill();
                flip(&disk, &name, at, at % 8);
                let found = self.find(&disk, &allowed);
                found.map_err(|wrong| format!("{wrong}; {name}, byte {at}, {}", self.place))?;
                counts.add("flips", 1);
            }
        }
        Ok(())
    }

    fn damage_at_random(&self, random: &mut Rng, counts: &mut Counts) -> Promise {
        for _ in 0..DAMAGES {
            let disk = self.disk.kill();
            let damage = Damage::random(random, &disk);
            if damage.befall(&disk, &self.earlier) {
                let found = self.find(&disk, &self.allowed(Some(&damage)));
                let refused =
                    found.map_err(|wrong| format!("{wrong}; {damage:?}, {}", self.place))?;
                counts.add(if refused { "refused" } else { "harmless" }, 1);
            }
        }
        Ok(())
    }

    /// Opens what is damaged. Whether that is told; if it is not, all answers must be right.
    fn find(&self, disk: &MemoryDisk, allowed: &[Model]) -> Promise<bool> {
        let store = match self.run.setup.open(disk, &self.run.clock) {
            Ok(store) => store,
            Err(error) => return self.tells(&error),
        };
        match look(&store) {
            Ok(said) => {
                said.agrees_with_one(allowed)?;
                drop(store);
                Left::of(&self.run, disk.kill()).holds(allowed)?;
                Ok(false)
            }
            Err(error) => self.tells(&error),
        }
    }

    /// Whether an error says which file of the store is bad.
    fn tells(&self, error: &Error) -> Promise<bool> {
        let place = match error {
            Error::Corrupt(damage) => Some(&damage.path),
            Error::WindowIncomplete { missing: path }
            | Error::Version { path, .. }
            | Error::NotAStore { path, .. } => Some(path),
            _ => None,
        };
        ensure(place.is_some_and(|path| path.starts_with(Path::new(DIR))), || {
            format!("the error does not tell of the damage: {error}")
        })?;
        Ok(true)
    }
}

//! The store that is left, held against what must hold of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use firstseen::{Backend, Store, Verdict, offline};

use super::setting::{Setting, paid_key, source, tally_key};
use super::transactions::Tally;
use super::truth::{Answer, Truth};
use super::worker::text;
use super::{now, number};
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;

/// The longest that an opening may take.
const OPENING_MAX: Duration = Duration::from_secs(20);
/// So many further ids are let in.
const FURTHER: u64 = 500;
/// So many ids are asked for at once.
const BATCH: usize = 1_000;

/// Opens the store and looks at everything: ids, what is in doubt, progress, state, outcomes. Settles what is in
/// doubt, lets further ids in, and closes it.
pub(crate) fn verify(
    setting: &Setting,
    truth: &mut Truth,
    random: &mut Rng,
    counts: &mut Counts,
) -> Promise {
    if random.one_in(4) && truth.was_opened() {
        read_as_it_is(&setting.dir)?;
    }
    let started = Instant::now();
    let store = setting.builder().open(&setting.dir).map_err(|error| format!("open: {error}"))?;
    let took = started.elapsed();
    ensure(took < OPENING_MAX, || format!("opening took {took:?}: {:?}", store.recovery()))?;
    counts.add("bytes torn off", store.recovery().torn_bytes);
    let look = Look { store: &store, setting };
    look.tokens(truth)?;
    look.ids(truth, random, counts)?;
    look.sources(truth)?;
    look.settle(truth, random)?;
    look.sources(truth)?;
    look.copies(truth, counts)?;
    look.further(truth)?;
    store.close().map_err(|error| format!("close: {error}"))?;
    truth.is_durable();
    counts.add("verified", 1);
    tidy(setting)
}

/// What a process left is read beside its lock, and nothing of it is damaged.
fn read_as_it_is(dir: &Path) -> Promise {
    let mut damage = None;
    match offline::verify(dir, &mut |found| _ = damage.get_or_insert(found.to_string())) {
        Ok(_) => damage.map_or(Ok(()), |damage| Err(format!("offline: {damage}"))),
        Err(error) => Err(format!("offline: {error}")),
    }
}

struct Look<'a> {
    store: &'a Store,
    setting: &'a Setting,
}

impl Look<'_> {
    /// What is in doubt is what was prepared and not settled, with its ids.
    fn tokens(&self, truth: &mut Truth) -> Promise {
        let in_doubt = self.store.in_doubt();
        let tokens: Vec<String> = in_doubt.iter().map(|p| text(p.token())).collect();
        truth.in_doubt(&tokens)?;
        for (prepared, token) in in_doubt.iter().zip(tokens) {
            let ids = prepared.ids();
            ensure(ids == number::all_bytes(&truth.tokens[&token].ids), || {
                format!("`{token}` holds other ids than those that were prepared: {ids:?}")
            })?;
        }
        Ok(())
    }

    /// Every id is what it must be, and keeps what was committed with it.
    fn ids(&self, truth: &mut Truth, random: &mut Rng, counts: &mut Counts) -> Promise {
        let (all, part) = (random.one_in(4), random.below(4));
        let due = |id: u64| all || id % 4 == part || number::is_committed(id);
        let ids = truth.ids.to_look_at(due);
        counts.add("ids looked at", ids.len() as u64);
        let held: BTreeSet<u64> = in_doubt_ids(truth);
        let line = truth.next_line();
        let mut verdicts = Vec::new();
        for ids in ids.chunks(BATCH) {
            let asked = self.store.check(&number::all_bytes(ids), &mut verdicts);
            asked.map_err(|error| format!("check: {error}"))?;
            for (&id, verdict) in ids.iter().zip(&verdicts) {
                if held.contains(&id) {
                    ensure(verdict.is_in_flight(), || {
                        format!("id {id:#x} is prepared, and its verdict is {verdict:?}")
                    })?;
                    continue;
                }
                let answer = match verdict {
                    Verdict::New => Answer::Absent,
                    Verdict::Duplicate { .. } => Answer::Known,
                    other => return Err(format!("id {id:#x}: verdict {other:?} after opening")),
                };
                truth.ids.found(id, answer, line, now())?;
                self.outcome(id, answer, truth)?;
            }
        }
        truth.judge_cut()
    }

    fn outcome(&self, id: u64, answer: Answer, truth: &Truth) -> Promise {
        if !number::is_committed(id) || !id.is_multiple_of(16) {
            return Ok(());
        }
        let kept = self.store.outcome(number::bytes(id));
        let kept = kept.map_err(|error| format!("outcome: {error}"))?;
        let expected =
            (answer == Answer::Known && number::has_outcome(id)).then(|| number::outcome(id));
        ensure(kept == expected || !truth.ids.is_firm(id, now()), || {
            format!("the outcome of id {id:#x} is {kept:?}, not {expected:?}")
        })
    }

    /// Progress, state and ids of every source are of one moment: the tally has exactly the ids that are
    /// there, and all that lie below the progress are.
    fn sources(&self, truth: &Truth) -> Promise {
        for of in self.setting.sources() {
            let name = source(of);
            let progress = self.store.progress(&name).map_err(|error| error.to_string())?;
            let progress = progress.unwrap_or(0);
            let tally = self.store.state(tally_key(of)).map_err(|error| error.to_string())?;
            let tally = Tally::of_value(tally.as_deref());
            let shared = of == self.setting.threads;
            ensure(shared || tally.count == progress, || {
                format!("{name}: progress {progress}, and the state counts {tally:?}")
            })?;
            if self.setting.window.is_some() {
                continue;
            }
            let reach = truth.reach.get(&of).copied().unwrap_or(0).max(progress);
            let ids: Vec<u64> = (0..reach).map(|position| number::record(of, position)).collect();
            let known = self.store.contains(&number::all_bytes(&ids));
            let known = known.map_err(|error| error.to_string())?;
            let mut there = Tally::default();
            for (&id, known) in ids.iter().zip(known) {
                let below = number::position(id).is_some_and(|(_, position)| position < progress);
                ensure(known || !below, || {
                    format!(
                        "{name}: id {id:#x} lies below the progress {progress} and is not there"
                    )
                })?;
                if known {
                    there.add(id);
                }
            }
            ensure(there == tally, || {
                format!(
                    "{name}: the state counts {tally:?}, there are {there:?}, progress {progress}"
                )
            })?;
        }
        Ok(())
    }

    /// What is in doubt is committed, or aborted.
    fn settle(&self, truth: &mut Truth, random: &mut Rng) -> Promise {
        for prepared in self.store.in_doubt() {
            let (token, commit) = (text(prepared.token()), random.one_in(2));
            let ids = truth.tokens[&token].ids.clone();
            let done = if commit { prepared.commit() } else { prepared.abort() };
            done.map_err(|error| format!("settling `{token}`: {error}"))?;
            truth.settled(&token, commit)?;
            let known = self.store.contains(&number::all_bytes(&ids));
            let known = known.map_err(|error| error.to_string())?;
            ensure(known.iter().all(|&known| known == commit), || {
                format!(
                    "`{token}` was settled (commit: {commit}), and its ids are known: {known:?}"
                )
            })?;
            let paid = self.store.state(paid_key(&token)).map_err(|error| error.to_string())?;
            let records = ids.iter().any(|&id| number::position(id).is_some());
            ensure(records || paid.is_some() == commit, || {
                format!("`{token}` was settled (commit: {commit}), and its state is {paid:?}")
            })?;
        }
        Ok(())
    }

    /// The checkpoints have what was acknowledged before them. They are removed, those too that are half made.
    fn copies(&self, truth: &Truth, counts: &mut Counts) -> Promise {
        for (name, ids) in truth.copies() {
            let dir = self.setting.dir.with_file_name(name);
            let copy = Store::open(&dir).map_err(|error| format!("a checkpoint: {error}"))?;
            for ids in ids.chunks(BATCH) {
                let known = copy.contains(&number::all_bytes(ids));
                let known = known.map_err(|error| format!("a checkpoint: {error}"))?;
                let lost = ids
                    .iter()
                    .zip(known)
                    .find(|&(&id, known)| !known && truth.ids.is_firm(id, now()));
                ensure(lost.is_none(), || format!("a checkpoint has no id {lost:x?}"))?;
            }
            counts.add("checkpoints", 1);
        }
        Ok(())
    }

    /// It goes on.
    fn further(&self, truth: &mut Truth) -> Promise {
        let ids: Vec<u64> = (0..FURTHER).map(|n| number::fresh(self.setting.life, n)).collect();
        let begun = now();
        let verdicts = self.store.check_and_insert(&number::all_bytes(&ids));
        let verdicts = verdicts.map_err(|error| format!("further ids: {error}"))?;
        let letters = super::worker::letters(&verdicts);
        truth.inserted(&ids, &letters, begun)
    }
}

fn in_doubt_ids(truth: &Truth) -> BTreeSet<u64> {
    let in_doubt = truth.tokens.values().filter(|token| token.is_in_doubt());
    in_doubt.flat_map(|token| token.ids.iter().copied()).collect()
}

/// No file is left that nothing needs, and no folder beside the store.
fn tidy(setting: &Setting) -> Promise {
    let dir = &setting.dir;
    for entry in fs::read_dir(dir.with_file_name("")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("copy-") {
            fs::remove_dir_all(entry.path()).map_err(|error| error.to_string())?;
        }
    }
    if setting.backend != Backend::Mapped {
        return Ok(());
    }
    let names: Vec<String> = fs::read_dir(dir)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let inspection = offline::inspect(dir).map_err(|error| format!("inspect: {error}"))?;
    let count = |end: &str| names.iter().filter(|name| name.ends_with(end)).count() as u64;
    let left = count(".new") > 0
        || count(".run") != inspection.runs
        || count(".log") != inspection.log_segments
        || count(".state") > 1
        || count(".val") > inspection.runs;
    ensure(!left, || format!("files are left behind: {names:?}, {inspection:?}"))
}

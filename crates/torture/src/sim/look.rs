//! Everything that a store can be asked, held against a model.

use firstseen::testing::Expected;
use firstseen::{Error, Store, Verdict};

use super::model::{Model, PLAIN_IDS, SOURCES, key, outcome, record};
use crate::case::{Promise, ensure};
use crate::support::{id, ids};

/// So many records beyond the progress of a source are asked for: nobody may know them.
const BEYOND: u64 = 80;

/// What a store said of everything.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    verdicts: Vec<(u64, Verdict)>,
    contained: Vec<bool>,
    outcomes: Vec<(u64, Option<Vec<u8>>)>,
    progress: Vec<u64>,
    sums: Vec<u64>,
    /// Token and ids of what is in doubt.
    held: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    now: firstseen::Timestamp,
}

/// Asks a store everything that scripts can have told it.
pub(crate) fn look(store: &Store) -> Result<Look, Error> {
    let mut progress = Vec::new();
    let mut sums = Vec::new();
    for (i, source) in SOURCES.iter().enumerate() {
        progress.push(store.progress(source)?.unwrap_or(0));
        let sum = store.state(key(i))?.map(|bytes| bytes.try_into().map(u64::from_le_bytes));
        sums.push(sum.transpose().unwrap_or(Some(u64::MAX)).unwrap_or(0));
    }
    let records = progress.iter().enumerate().flat_map(|(source, &next)| {
        (0..next.min(super::model::RECORDS_MAX) + BEYOND).map(move |at| record(source, at))
    });
    let numbers: Vec<u64> = (0..PLAIN_IDS).chain(records).collect();
    let (all, mut verdicts) = (ids(&numbers), Vec::new());
    store.check(&all, &mut verdicts)?;
    let contained = store.contains(&all)?;
    let worth = |n: &&u64| **n >= PLAIN_IDS && n.is_multiple_of(5);
    let outcomes = numbers.iter().filter(worth).map(|&n| Ok((n, store.outcome(id(n))?)));
    let mut held: Vec<_> = store.in_doubt().iter().map(|p| (p.token().to_vec(), p.ids())).collect();
    held.sort_unstable();
    Ok(Look {
        outcomes: outcomes.collect::<Result<_, Error>>()?,
        verdicts: numbers.into_iter().zip(verdicts).collect(),
        contained,
        progress,
        sums,
        held,
        now: store.stats().now,
    })
}

impl Look {
    /// The first of these models that a store which says so may hold.
    pub(crate) fn agrees_with_one(&self, allowed: &[Model]) -> Promise<Model> {
        let mut wrong: Vec<String> = Vec::new();
        for model in allowed {
            match self.agrees(model) {
                Ok(()) => return Ok(model.clone()),
                Err(text) => wrong.push(text),
            }
        }
        let count = wrong.len();
        wrong.dedup();
        wrong.truncate(4);
        Err(format!("it holds none of {count} that it may: {}", wrong.join("; or ")))
    }

    /// Whether a store that holds this model may say so. If not, the first thing that it must not say.
    pub(crate) fn agrees(&self, model: &Model) -> Promise {
        for (source, (&said, &known)) in self.progress.iter().zip(&model.progress).enumerate() {
            ensure(said == known, || {
                format!("progress of source {source} is {said}, not {known}")
            })?;
            let sum = self.sums[source];
            ensure(sum == known, || format!("the state of source {source} is {sum}, not {known}"))?;
        }
        let known = model.held.iter().map(|(token, held)| {
            let numbers: Vec<u64> =
                (held.from..held.to).map(|position| record(held.source, position)).collect();
            (token.to_be_bytes().to_vec(), ids(&numbers))
        });
        let known: Vec<_> = known.collect();
        ensure(self.held == known, || {
            format!("{} transactions in doubt, not {}", self.held.len(), known.len())
        })?;
        let mut model = model.clone();
        model.oracle.advance(self.now);
        for (&(n, verdict), &contained) in self.verdicts.iter().zip(&self.contained) {
            model.judge(n, self.now, verdict, false)?;
            ensure(contained == verdict.is_duplicate(), || {
                format!("id {n} is {verdict:?}, and contained: {contained}")
            })?;
        }
        self.outcomes.iter().try_for_each(|(n, said)| model.allows_outcome(*n, said.as_deref()))
    }
}

impl Model {
    fn allows_outcome(&self, n: u64, said: Option<&[u8]>) -> Promise {
        let allowed = match self.oracle.expected(n, self.oracle.now()) {
            Expected::Duplicate(_) => said == self.outcome(n).map(Vec::as_slice),
            Expected::Either(_) => said.is_none_or(|said| said == outcome(n)),
            _ => said.is_none(),
        };
        ensure(allowed, || format!("outcome of {n} is {said:?}"))
    }
}

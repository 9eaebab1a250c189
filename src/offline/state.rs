//! The committed state of a store that is not open.

use std::path::Path;

use super::log::parts;
use super::snapshot::Snapshot;
use super::survey::Survey;
use crate::error::Result;
use crate::format::commit::Item;
use crate::state::State;
use crate::sys::Storage;
use crate::time::Timestamp;

/// What a store keeps beside ids: see [`state`](super::state()).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedState {
    /// All sources and their progress, by name.
    pub sources: Vec<(String, u64)>,
    /// All keys with their values, ascending.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// What is prepared and neither committed nor aborted, by token.
    pub in_doubt: Vec<InDoubt>,
}

/// A transaction that was prepared and is not settled: see
/// [`Store::in_doubt`](crate::Store::in_doubt), which can settle it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InDoubt {
    /// The token that it was prepared under.
    pub token: Vec<u8>,
    /// The fencing token of its claim.
    pub fence: u64,
    /// When it was prepared, by store time.
    pub since: Timestamp,
    /// The ids that it claimed, as they were presented.
    pub ids: Vec<Vec<u8>>,
}

pub(super) fn state(storage: &dyn Storage, dir: &Path) -> Result<CommittedState> {
    let mut snapshot = Snapshot::take(storage, dir)?;
    let parts = parts(&mut snapshot)?;
    let survey = Survey::new(&snapshot.manifest).with_state(snapshot.state()?).read(&parts)?;
    let state = survey.into_state();
    let entries = state.scan(b"").into_iter();
    Ok(CommittedState {
        sources: state.sources(),
        entries: entries.map(|found| (found.key.to_vec(), found.value.to_vec())).collect(),
        in_doubt: in_doubt(&state),
    })
}

/// What is prepared and not settled.
pub(super) fn in_doubt(state: &State) -> Vec<InDoubt> {
    let in_doubt = state.in_doubt().map(|data| {
        let prepare = data.prepare();
        let ids = prepare.commit().items().filter_map(|item| match item {
            Item::RawId { id, .. } => Some(id.to_vec()),
            _ => None,
        });
        InDoubt {
            token: prepare.token().to_vec(),
            fence: data.fence(),
            since: data.time,
            ids: ids.collect(),
        }
    });
    in_doubt.collect()
}

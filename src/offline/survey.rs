//! What the log says as a whole, on top of the manifest and the state file: what an opening would have
//! in memory, but for the ids.

use std::collections::BTreeMap;

use super::log::Part;
use crate::error::Result;
use crate::format::manifest::{ForgottenEntry, Manifest};
use crate::format::value::Value;
use crate::key::{Fingerprint, Record};
use crate::log::Content;
use crate::state::State;
use crate::store::transaction::keep_values;
use crate::time::Timestamp;
use crate::window::{Forgotten, ValueTable};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Survey {
    /// Ids in the log, those let in again included.
    pub(super) ids: u64,
    pub(super) high_water: Timestamp,
    /// A generation number above all in manifest and log.
    pub(super) next_generation: u64,
    /// The set of forgotten ids as an opening would have it.
    pub(super) forgotten: Forgotten,
    /// The state as an opening would have it, if it is wanted.
    state: Option<State>,
    /// What is kept with ids of the log, by generation, if it is wanted.
    values: Option<BTreeMap<u64, ValueTable>>,
}

impl Survey {
    /// What the manifest says; the log is yet to be [read](Survey::read).
    pub(super) fn new(manifest: &Manifest) -> Survey {
        Survey {
            ids: 0,
            high_water: manifest.high_water,
            next_generation: manifest.next_generation,
            forgotten: Forgotten::restore(&manifest.forgotten),
            state: None,
            values: None,
        }
    }

    /// The state is wanted too; this is what the log is to be replayed over.
    pub(super) fn with_state(self, state: State) -> Survey {
        Survey { state: Some(state), ..self }
    }

    /// What is kept with ids is wanted too.
    pub(super) fn with_values(self) -> Survey {
        Survey { values: Some(BTreeMap::new()), ..self }
    }

    /// Reads the whole log.
    pub(super) fn read(mut self, parts: &[Part]) -> Result<Survey> {
        for part in parts {
            self.next_generation = self.next_generation.max(part.generation() + 1);
            part.each_frame(&mut |time, content, records| {
                self.add(part, time, content, records);
                Ok(())
            })?;
        }
        Ok(self)
    }

    fn add(
        &mut self,
        part: &Part,
        time: Timestamp,
        content: &Content<'_>,
        records: &mut dyn Iterator<Item = Record>,
    ) {
        self.high_water = self.high_water.max(time);
        if let Some(state) = &mut self.state {
            state.replay(content, time);
        }
        if let Content::Forget = content {
            for (id, _) in records {
                self.forgotten.insert(id, time);
                self.values.iter().flat_map(BTreeMap::values).for_each(|values| values.remove(id));
            }
            return;
        }
        let mut forgotten = self.forgotten.open();
        for (id, tick) in records {
            self.ids += 1;
            forgotten.replay_let_in(id, time, part.ticks().end_of(tick));
        }
        if let (Content::Commit(commit), Some(values)) = (content, &mut self.values) {
            let values = values.entry(part.generation()).or_default();
            keep_values(values, commit, time, Some(&forgotten));
        }
    }

    /// The forgotten ids, ascending.
    pub(super) fn forgotten_entries(&self) -> Vec<ForgottenEntry> {
        let mut entries = self.forgotten.entries();
        entries.sort_unstable_by_key(|entry| entry.fingerprint);
        entries
    }

    /// The state at the end of the log; empty if it was not wanted.
    pub(super) fn into_state(self) -> State {
        self.state.unwrap_or_default()
    }

    /// What is kept with ids of the log in a generation, ascending; nothing if it was not wanted.
    pub(super) fn values(&self, generation: u64) -> Vec<(Fingerprint, Value)> {
        let values = self.values.as_ref().and_then(|values| values.get(&generation));
        values.map(ValueTable::sorted).unwrap_or_default()
    }

    /// How many ids of the log have something kept with them, and the bytes of that on disk.
    pub(super) fn values_total(&self) -> (u64, u64) {
        let tables = self.values.iter().flat_map(BTreeMap::values);
        tables.flat_map(ValueTable::sorted).fold((0, 0), |(entries, bytes), (_, value)| {
            (entries + 1, bytes + value.entry_len() as u64)
        })
    }
}

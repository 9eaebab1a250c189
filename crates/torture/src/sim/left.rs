//! What a fault left: opened, held against what was promised, and gone on with.

use firstseen::Store;
use firstseen::testing::{ManualClock, MemoryDisk};

use super::look::look;
use super::model::Model;
use super::run::Run;
use super::setup::Setup;
use crate::case::{Promise, ensure};
use crate::support::ids;

/// Ids that no script presents.
const FRESH: std::ops::Range<u64> = 500_000..500_300;

/// A disk after a fault.
pub(crate) struct Left<'a> {
    setup: Setup,
    clock: &'a ManualClock,
    pub(crate) disk: MemoryDisk,
}

impl Left<'_> {
    /// What is left of a run on this disk.
    pub(crate) fn of(run: &Run, disk: MemoryDisk) -> Left<'_> {
        Left { setup: run.setup, clock: &run.clock, disk }
    }

    pub(crate) fn open(&self) -> Promise<Store> {
        let opened = self.setup.open(&self.disk, self.clock);
        opened.map_err(|error| format!("cannot open what is left: {error}"))
    }

    /// Opens it: it must hold one of these models.
    pub(crate) fn holds(&self, allowed: &[Model]) -> Promise<(Store, Model)> {
        let store = self.open()?;
        let said = look(&store).map_err(|error| format!("cannot read what is left: {error}"))?;
        let model = said.agrees_with_one(allowed)?;
        Ok((store, model))
    }

    /// Holds one of the models, also when it is opened again after the end of the process and of the machine,
    /// has no left-overs, and can be worked with. `power`: also what was not synced before will reach the medium
    /// with the next sync, for no sync has failed.
    pub(crate) fn holds_for_good(&self, allowed: &[Model], power: bool) -> Promise {
        let (store, model) = self.holds(allowed)?;
        drop(store);
        let again = Left { disk: self.disk.kill(), ..*self };
        let (store, mut model) = again.holds(std::slice::from_ref(&model))?;
        let removed = store.recovery().removed_files;
        ensure(removed == 0, || format!("{removed} files were left over by an opening"))?;
        if let Some((&token, _)) = model.held.first_key_value() {
            let held = model.held.remove(&token).expect("it is there");
            let mut in_doubt = store.in_doubt().into_iter();
            let prepared = in_doubt.find(|other| other.token() == token.to_be_bytes());
            let prepared = prepared.ok_or(format!("token {token} is not in doubt"))?;
            prepared.commit().map_err(|error| format!("cannot settle what is left: {error}"))?;
            model.commit(&held, store.stats().now);
        }
        let fresh: Vec<u64> = FRESH.collect();
        let verdicts = store.check_and_insert(&ids(&fresh)).map_err(|error| error.to_string())?;
        ensure(verdicts.iter().all(firstseen::Verdict::is_new), || "fresh ids are known".into())?;
        store.sync().map_err(|error| format!("cannot sync what is left: {error}"))?;
        let last = if power { again.disk.crash() } else { again.disk.kill() };
        let last = Left { disk: last, ..*self };
        let (store, _) = last.holds(&[model])?;
        let known = store.contains(&ids(&fresh)).map_err(|error| error.to_string())?;
        ensure(known.iter().all(|&known| known), || "what was synced is forgotten".into())
    }
}

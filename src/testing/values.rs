//! Values for the runs of a store that has none, for tests of what goes on with their files.

use std::path::Path;
use std::sync::Arc;

use super::MemoryDisk;
use crate::format::names;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::{Records, Run, ValuesWriter};
use crate::store::catalog::Catalog;
use crate::store::layout::read_store;
use crate::sys::Storage;

/// What is kept with an id of a run: its fingerprint, up to 39 times `times`.
fn value(run: &Run, id: Fingerprint, tick: u8, times: usize) -> Value {
    let outcome = id.as_u128().to_le_bytes().repeat((id.lo % 40) as usize * times);
    let payload = id.hi.is_multiple_of(2).then_some(Fingerprint { hi: id.lo, lo: id.hi });
    Value { time: run.ticks().start_of(tick), payload, outcome: Some(outcome.into()) }
}

/// Gives every id a value, in each run but the youngest, and lists the files. An outcome is
/// about `20 * 16 * times` bytes. Nobody may have
/// the store open, or will go on with it.
pub(crate) fn give_values(
    disk: &MemoryDisk,
    dir: &Path,
    times: usize,
) -> Vec<(Fingerprint, Value)> {
    let (superblock, manifest) = read_store(disk, dir).unwrap();
    let store = superblock.store;
    let mut given = Vec::new();
    let mut listed = manifest.runs.clone();
    for entry in listed.iter_mut().rev().skip(1) {
        let file = disk.open(&names::run(dir, entry.number)).unwrap();
        let run = Run::open_in_order(file, dir.join("run"), &store, entry.number).unwrap();
        let path = names::values(dir, entry.number);
        let file = disk.create(&path).unwrap();
        let mut writer = ValuesWriter::new(file, &path, &store, entry.number).unwrap();
        let (records, read) = run.cursor().read_all();
        read.unwrap();
        for (id, tick) in records {
            let value = value(&run, id, tick, times);
            writer.push(id, &value).unwrap();
            given.push((id, value));
        }
        entry.values = writer.finish().unwrap();
    }
    disk.sync_dir(dir).unwrap();
    let mut catalog = Catalog::new(Arc::new(disk.clone()), dir, store, manifest);
    catalog.install(|manifest| manifest.runs = listed).unwrap();
    given.sort_by_key(|&(id, _)| id);
    given
}

/// All values beside the runs that are open in a store.
pub(crate) fn values_of(store: &crate::Store) -> Vec<(Fingerprint, Value)> {
    let view = store.core().gate.enter();
    let values = view.runs.iter().flat_map(|run| run.values_after(None));
    let mut all: Vec<_> = values.map(Result::unwrap).collect();
    all.sort_by_key(|&(id, _)| id);
    all
}

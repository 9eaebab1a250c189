//! Whoever knows one store's fingerprints knows nothing of another's, so cannot craft ids for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use firstseen::testing::MemoryDisk;
use firstseen::{IdentityKind, Store};

use super::text;
use crate::case::{Counts, Promise, ensure};
use crate::support::Rng;
use crate::support::disk::{DIR, files, read};
use crate::support::ids;

/// Bytes before the ids of the first call in the log.
const BEFORE: usize = 128 + 40;
const FINGERPRINT: usize = 16;

pub(super) fn run(random: &mut Rng, counts: &mut Counts) -> Promise {
    let kind = random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]);
    let count = 1 + random.below(200);
    let from = random.next() >> 1;
    let numbers: Vec<u64> = (from..from + count).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let disk = MemoryDisk::seeded(random.next());
        let store = Store::builder().storage(Arc::new(disk.clone())).memory_budget(16 << 20);
        let store = store.background(false).identity(kind).open(DIR).map_err(text)?;
        store.check_and_insert(&ids(&numbers)).map_err(text)?;
        let log = read(&disk, &files(&disk, ".log")[0]);
        for fingerprint in log[BEFORE..].chunks_exact(FINGERPRINT).take(count as usize) {
            let fresh = seen.insert(fingerprint.to_vec());
            ensure(fresh, || format!("two stores have a fingerprint in common, of {kind:?}"))?;
        }
    }
    counts.add("fingerprints", 2 * count);
    Ok(())
}

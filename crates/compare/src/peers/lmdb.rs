//! LMDB: a copy-on-write B-tree in a mapping. A key an id, the time as its value.

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};

use super::{in_order, look, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("lmdb", Durability::Buffered, |setup| {
            // Without a sync. `MAP_ASYNC` would only ask for one early.
            open(setup, EnvFlags::NO_SYNC)
        }),
        Entry::new("lmdb-sync", Durability::Sync, |setup| open(setup, EnvFlags::empty())),
    ]
}

#[allow(unsafe_code)]
fn open(setup: &Setup, sync: EnvFlags) -> Result<Opened> {
    let mut options = EnvOpenOptions::new();
    // Address space, not memory: an id takes 40 to 70 bytes, and copies of pages that readers hold.
    options.map_size((setup.expected_ids * 256).next_multiple_of(1 << 20).max(1 << 30));
    // Written through the mapping: no copies of dirty pages, no `pwrite`. Fresh pages are not cleared, and
    // nothing is read ahead, for ids come in no order.
    let flags = EnvFlags::WRITE_MAP | EnvFlags::NO_MEM_INIT | EnvFlags::NO_READ_AHEAD;
    // SAFETY: The folder is new and ours alone, so nobody changes the file below the mapping or opens it a
    // second time.
    let env = unsafe { options.flags(flags | sync).open(setup.folder)? };
    let ids = env.create_databases_and_commit(env.write_txn()?, |open, transaction| {
        open.create_database(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    let ids = ids.unwrap_commit();
    Ok(Opened::Shared(Box::new(Lmdb { env, ids })))
}

struct Lmdb {
    env: Env,
    ids: Database<'static, Bytes, Bytes>,
}

impl Peer for Lmdb {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let order = in_order(ids);
        // Readers do not wait for the one writer.
        let transaction = self.env.read_txn()?;
        look(ids, &order, new, |id| Ok(self.ids.get(&transaction, id)?.is_none()))?;
        drop(transaction);
        if !new.contains(&true) {
            return Ok(());
        }
        let now = now();
        let mut transaction = self.env.write_txn()?;
        for at in order {
            if new[at] {
                // One descent, and the writer decides.
                new[at] = self.ids.get_or_put(&mut transaction, &ids[at], &now)?.is_none();
            }
        }
        Ok(transaction.commit()?)
    }

    fn finish(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }
}

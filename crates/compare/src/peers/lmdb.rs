//! LMDB: a copy-on-write B-tree in a mapping. A key an id, the time as its value.

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};

use super::generations::{Generations, TREES};
use super::{in_order, look, now};
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("lmdb", Durability::Buffered, |setup| {
            // Without a sync. `MAP_ASYNC` would only ask for one early.
            open(setup, EnvFlags::NO_SYNC)
        })
        .forgetting(open_to_forget),
        Entry::new("lmdb-sync", Durability::Sync, |setup| open(setup, EnvFlags::empty())),
    ]
}

fn open(setup: &Setup, sync: EnvFlags) -> Result<Opened> {
    let env = environment(setup, sync, 0)?;
    let ids = tree(&env, None)?;
    Ok(Opened::Shared(Box::new(Lmdb { env, ids })))
}

/// Two trees in one file.
fn open_to_forget(setup: &Setup) -> Result<Opened> {
    let env = environment(setup, EnvFlags::NO_SYNC, TREES as u32)?;
    let ids = Generations::new(setup.expected_ids, |number| tree(&env, Some(&number.to_string())))?;
    Ok(Opened::Alone(Box::new(Forgetting { env, ids })))
}

#[allow(unsafe_code)]
fn environment(setup: &Setup, sync: EnvFlags, trees: u32) -> Result<Env> {
    let mut options = EnvOpenOptions::new();
    // Address space, not memory: an id takes 40 to 70 bytes, and copies of pages that readers hold.
    options.map_size((setup.expected_ids * 256).next_multiple_of(1 << 20).max(1 << 30));
    // Written through the mapping: no copies of dirty pages, no `pwrite`. Fresh pages are not cleared, and
    // nothing is read ahead, for ids come in no order.
    let flags = EnvFlags::WRITE_MAP | EnvFlags::NO_MEM_INIT | EnvFlags::NO_READ_AHEAD;
    // SAFETY: The folder is new and ours alone, so nobody changes the file below the mapping or opens it a
    // second time.
    Ok(unsafe { options.flags(flags | sync).max_dbs(trees).open(setup.folder)? })
}

type Tree = Database<'static, Bytes, Bytes>;

/// A new tree, by a name where there are several.
fn tree(env: &Env, name: Option<&str>) -> Result<Tree> {
    let made = env.create_databases_and_commit(env.write_txn()?, |open, transaction| {
        open.create_database(transaction, name).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(made.unwrap_commit())
}

struct Lmdb {
    env: Env,
    ids: Tree,
}

impl Peer for Lmdb {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        insert_absent(&self.env, &[self.ids], self.ids, ids, &now(), new)
    }

    fn finish(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }
}

/// The same, by one thread, and what is older than the window goes.
struct Forgetting {
    env: Env,
    ids: Generations<Tree>,
}

impl Peer for Forgetting {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        // No time: its tree tells how old an id is.
        insert_absent(&self.env, self.ids.all(), *self.ids.younger(), ids, &[], new)
    }

    fn finish(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn forget(&self, inserted: usize) -> Result<()> {
        if let Some((older, _)) = self.ids.advance(inserted) {
            let mut transaction = self.env.write_txn()?;
            older.clear(&mut transaction)?;
            transaction.commit()?;
        }
        Ok(())
    }
}

/// Writes into one tree what none of all has, with this value.
fn insert_absent(
    env: &Env,
    all: &[Tree],
    into: Tree,
    ids: &[Id],
    value: &[u8],
    new: &mut Vec<bool>,
) -> Result<()> {
    let order = in_order(ids);
    // Readers do not wait for the one writer.
    let transaction = env.read_txn()?;
    look(ids, &order, new, |id| {
        for tree in all {
            if tree.get(&transaction, id)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    drop(transaction);
    if !new.contains(&true) {
        return Ok(());
    }
    let mut transaction = env.write_txn()?;
    for at in order {
        if new[at] {
            // One descent, and the writer decides.
            new[at] = into.get_or_put(&mut transaction, &ids[at], value)?.is_none();
        }
    }
    Ok(transaction.commit()?)
}

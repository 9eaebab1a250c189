//! firstseen, as its README opens it.

use std::cell::RefCell;
use std::time::Duration;

use firstseen::{Backend, Builder, Store, Verdict, WriteMode};

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("firstseen", Durability::Buffered, |setup| open(setup, Store::builder())),
        // Its log as a mapping, as LMDB maps its file: for callers of one id.
        Entry::new("firstseen-mapped", Durability::Buffered, |setup| {
            open(setup, Store::builder().write_mode(WriteMode::Mapped))
        }),
        // As often synced as sled is, but acknowledged only after the write.
        Entry::new("firstseen-interval", Durability::Interval, |setup| {
            let every = firstseen::Durability::Interval(Duration::from_millis(500));
            open(setup, Store::builder().durability(every))
        }),
        // For those whose every call is synced.
        Entry::new("firstseen-sync", Durability::Sync, |setup| {
            open(setup, Store::builder().durability(firstseen::Durability::Sync))
        }),
        // The same, in sled. There `Buffered` waits for the medium: see docs/backends.md.
        Entry::new("firstseen-sled", Durability::Buffered, |setup| {
            open(setup, Store::builder().backend(Backend::Sled))
        }),
    ]
}

fn open(setup: &Setup, builder: Builder) -> Result<Opened> {
    // The filter is made for the ids that come, as the peer's Bloom filter is. All else is default.
    let store = builder.expected_ids(setup.expected_ids as u64).open(setup.folder)?;
    Ok(Opened::Shared(Box::new(Ours(store))))
}

struct Ours(Store);

thread_local! {
    /// A caller keeps its verdicts' memory from call to call.
    static VERDICTS: RefCell<Vec<Verdict>> = const { RefCell::new(Vec::new()) };
}

impl Peer for Ours {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        VERDICTS.with_borrow_mut(|verdicts| {
            self.0.check_and_insert_into(ids, verdicts)?;
            new.clear();
            new.extend(verdicts.iter().map(Verdict::is_new));
            Ok(())
        })
    }

    /// Seals and merges everything, makes the filter, and syncs.
    fn finish(&self) -> Result<()> {
        self.0.compact()?;
        Ok(self.0.sync()?)
    }
}

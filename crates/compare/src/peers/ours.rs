//! firstseen, as its README opens it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{Backend, Builder, Store, Timestamp, Verdict, WriteMode};

use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// The default.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("firstseen", Durability::Buffered, |setup| open(setup, Store::builder()))
            .forgetting(open_to_forget),
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

/// The same, on a clock that ids move: a window is over when so many of them have come.
fn open_to_forget(setup: &Setup) -> Result<Opened> {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let builder = Store::builder().window(WINDOW).expected_ids(setup.expected_ids as u64);
    let store = builder.clock(Arc::new(clock.clone())).open(setup.folder)?;
    let an_id = WINDOW / setup.expected_ids.max(1) as u32;
    Ok(Opened::Alone(Box::new(Forgetting { of: Ours(store), clock, an_id, told: Cell::new(0) })))
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

struct Forgetting {
    of: Ours,
    clock: ManualClock,
    /// How long it is from one id to the next.
    an_id: Duration,
    /// How many ids the clock has been moved by.
    told: Cell<usize>,
}

impl Peer for Forgetting {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        self.of.check_and_insert(ids, new)
    }

    fn finish(&self) -> Result<()> {
        self.of.finish()
    }

    fn forget(&self, inserted: usize) -> Result<()> {
        self.clock.advance(self.an_id * (inserted - self.told.replace(inserted)) as u32);
        Ok(())
    }
}

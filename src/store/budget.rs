//! How much memory a store may take, and the sizes that follow from it.
//!
//! A budget belongs to one store, or to the members of a set in equal shares. A share changes while its store is
//! open, when others join and leave. So nobody keeps one: [`Core::sizes`](super::core::Core::sizes) gives the
//! sizes of the moment, and whoever makes something takes all of its sizes from one such value. What was made
//! by an earlier one is right as it is; upkeep replaces it.

use std::io;
use std::sync::Arc;

use super::options::Options;
use crate::filter::params;
use crate::index::{BUCKET_BITS_MAX, BUCKET_BITS_MIN, Table};
use crate::sync::{AtomicU64, Ordering};

/// The least that a store takes: less would not hold its tables.
pub(crate) const SHARE_MIN: u64 = 16 << 20;

/// Memory for the tables and filters of one store, or of a set of them.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    /// Whether it is a set's.
    shared: bool,
    /// How many stores share it.
    members: AtomicU64,
}

impl Budget {
    /// The budget of a store that is alone.
    pub(crate) fn alone(bytes: u64) -> Arc<Budget> {
        Arc::new(Budget { bytes, shared: false, members: AtomicU64::new(1) })
    }

    /// The budget of a set that has no store yet.
    pub(crate) fn shared(bytes: u64) -> Arc<Budget> {
        Arc::new(Budget { bytes, shared: true, members: AtomicU64::new(0) })
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many stores it is enough for.
    pub(crate) fn most_members(&self) -> u64 {
        self.bytes / SHARE_MIN
    }

    /// From now on so many stores share it.
    pub(crate) fn set_members(&self, members: u64) {
        self.members.store(members, Ordering::Relaxed);
    }

    /// What one store may take now.
    pub(crate) fn share(&self) -> u64 {
        self.bytes / self.members.load(Ordering::Relaxed).max(1)
    }
}

/// How large a store's tables, logs and filter are made, by its options and its share of a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    share: u64,
    /// Whether `active_ids` asks in vain for more than the share has.
    bounded: bool,
    active_ids: Option<usize>,
    max_bytes: Option<u64>,
    expected_ids: u64,
    filter_bits_per_id: u32,
}

impl Sizes {
    /// Those of now.
    pub(crate) fn new(options: &Options, budget: &Budget) -> Sizes {
        Sizes {
            share: budget.share(),
            bounded: budget.shared,
            active_ids: options.active_ids,
            max_bytes: options.max_bytes,
            expected_ids: options.expected_ids,
            filter_bits_per_id: options.filter_bits_per_id,
        }
    }

    /// The memory that they are for.
    pub(crate) fn share(&self) -> u64 {
        self.share
    }

    /// Bits of a bucket number in an active table: what `active_ids` needs, in a set no more than the share
    /// has, or else what an eighth of the share holds.
    pub(crate) fn bucket_bits(&self) -> u32 {
        let sizes = BUCKET_BITS_MIN..=BUCKET_BITS_MAX;
        let eighth = usize::try_from(self.share / 8).unwrap_or(usize::MAX);
        let held = sizes.clone().take_while(|&bits| Table::bytes(bits) <= eighth).last();
        let held = held.unwrap_or(BUCKET_BITS_MIN);
        let Some(ids) = self.active_ids else { return held };
        let wanted = sizes.clone().find(|&bits| Table::capacity(bits) >= ids);
        let wanted = wanted.unwrap_or(BUCKET_BITS_MAX);
        if self.bounded { wanted.min(held) } else { wanted }
    }

    /// An empty table.
    pub(crate) fn new_table(&self) -> io::Result<Table> {
        Table::new(self.bucket_bits())
    }

    /// Whether a table has the size that one made now would have.
    pub(crate) fn is_of_size(&self, table: &Table) -> bool {
        table.bucket_bits() == self.bucket_bits()
    }

    /// Whether a table is larger than one made now would be.
    pub(crate) fn is_outsized(&self, table: &Table) -> bool {
        table.bucket_bits() > self.bucket_bits()
    }

    /// How many ids an active table takes.
    pub(crate) fn table_limit(&self) -> usize {
        let capacity = Table::capacity(self.bucket_bits());
        // With a cap on disk space, a table's log and run must fit many times.
        let capped = self.max_bytes.map_or(usize::MAX, |bytes| (bytes / 16 / 48) as usize);
        capacity.min(self.active_ids.unwrap_or(usize::MAX)).min(capped)
    }

    /// How much log an active table may have before it is frozen though there is room for ids: small
    /// calls and what transactions bring take more of the log than of the table.
    pub(crate) fn log_limit(&self) -> u64 {
        self.log_limit_for(self.table_limit() as u64)
    }

    /// The same for a table of `ids` ids.
    pub(crate) fn log_limit_for(&self, ids: u64) -> u64 {
        match self.max_bytes {
            Some(most) => (2 << 20) + ids * 56 + most / 32,
            None => (64 << 20) + ids * 128,
        }
    }

    /// How many bytes of values an active table may have before it is frozen.
    pub(crate) fn values_limit(&self) -> usize {
        usize::try_from(self.share / 16).unwrap_or(usize::MAX)
    }

    /// The most blocks that a window filter may have: half of the share.
    pub(crate) fn filter_blocks_max(&self) -> u64 {
        (self.share / 2 / params::BLOCK_BYTES).max(1)
    }

    /// For how many ids a filter is made, and its blocks, in a store that has `live` ids in runs.
    pub(crate) fn filter(&self, live: u64) -> (u64, u64) {
        let table = self.table_limit() as u64;
        let capacity = self.expected_ids.max(live.saturating_mul(2)).max(table * 4);
        (capacity, self.filter_blocks(capacity))
    }

    /// The blocks of a filter that is made for `capacity` ids.
    pub(crate) fn filter_blocks(&self, capacity: u64) -> u64 {
        let blocks = params::blocks_for(capacity, self.filter_bits_per_id);
        blocks.min(self.filter_blocks_max())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::store::Store;

    fn sizes(budget: &Budget, active_ids: Option<usize>) -> Sizes {
        Sizes::new(&Options { active_ids, ..Store::builder().options }, budget)
    }

    #[test]
    fn sizes_follow_the_share() {
        let budget = Budget::shared(1 << 30);
        let mut before = None;
        for members in [0, 1, 2, 8, 64] {
            budget.set_members(members);
            let (share, now) = ((1 << 30) / members.max(1), sizes(&budget, None));
            assert!(Table::bytes(now.bucket_bits()) as u64 <= (share / 8).max(4 << 20));
            assert!(now.filter(u64::MAX / 4).1 * params::BLOCK_BYTES <= share / 2);
            assert_eq!(now.values_limit() as u64, share / 16);
            let table = now.new_table().unwrap();
            assert!(now.is_of_size(&table) && !now.is_outsized(&table));
            if let Some(table) = before.filter(|_| members > 1) {
                assert!(now.is_outsized(&table) && !now.is_of_size(&table), "{members} members");
            }
            before = Some(table);
        }
        assert_eq!(budget.most_members(), 64);
    }

    #[test]
    fn active_ids_are_bounded_in_a_set_only() {
        let (many, few) = (Some(10_000_000), Some(1_000));
        let (alone, shared) = (Budget::alone(SHARE_MIN), Budget::shared(SHARE_MIN));
        assert!(sizes(&alone, many).table_limit() == 10_000_000);
        assert_eq!(sizes(&shared, many).table_limit(), sizes(&shared, None).table_limit());
        assert_eq!([sizes(&alone, few), sizes(&shared, few)].map(|s| s.table_limit()), [1_000; 2]);
    }
}

//! RocksDB, tuned for this job: a MultiGet, and a batch of what is absent.
//!
//! - *FIFO*: whole tables expire, nothing is ever merged. Nearest to firstseen, which forgets whole
//!   generations. A key an id, and nothing as its value.
//! - *levelled*: tables are merged, so that a look-up asks few of them. RocksDB puts four bytes of time
//!   beside each id, and a merge drops what has expired.
//! - *hash*: FIFO, and the memtable is a hash table instead of a skip list. It is sorted when it is flushed.

use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle, DBCompressionType,
    DataBlockIndexType, FifoCompactOptions, MemtableFactory, Options, SliceTransform,
    WaitForCompactOptions, WriteBatch, WriteOptions,
};

use super::in_flight::InFlight;
use super::in_order;
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

/// Of the filter of each table: one or two new ids of 1000 are looked up in vain.
const BITS_PER_ID: f64 = 14.0;

/// The default, for 700,000 ids. Larger ones are slower to search and make fewer tables.
const MEMTABLE: usize = 64 << 20;

/// What an id takes in a table: the key, 8 bytes of sequence, lengths, its share of filter and index; rounded up, so that
/// no id goes before its time.
const TABLE_BYTES_PER_ID: usize = 32;

/// How long ids are remembered: as long as firstseen does by default.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The one family there is, by a name that `DB` can be asked for.
const FAMILY: &str = "default";

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new("rocksdb-fifo", Durability::Buffered, |setup| plain(setup, &fifo(setup), false))
            .forgetting(|setup| plain(setup, &fifo_of_size(setup), false)),
        Entry::new("rocksdb-levelled", Durability::Buffered, |setup| {
            let options = levelled(setup);
            let family = ColumnFamilyDescriptor::new(FAMILY, options.clone());
            opened(
                DB::open_cf_descriptors_with_ttl(&options, setup.folder, [family], WINDOW)?,
                false,
            )
        }),
        Entry::new("rocksdb-hash", Durability::Buffered, |setup| plain(setup, &hash(setup), false)),
        Entry::new("rocksdb-sync", Durability::Sync, |setup| plain(setup, &fifo(setup), true)),
    ]
}

fn plain(setup: &Setup, options: &Options, sync: bool) -> Result<Opened> {
    let family = ColumnFamilyDescriptor::new(FAMILY, options.clone());
    opened(DB::open_cf_descriptors(options, setup.folder, [family])?, sync)
}

fn opened(db: DB, sync: bool) -> Result<Opened> {
    let mut write = WriteOptions::default();
    write.set_sync(sync);
    // A batch is sorted: each id is searched from where the last one went.
    write.set_memtable_insert_hint_per_batch(true);
    Ok(Opened::Shared(Box::new(RocksDb { db, write, in_flight: InFlight::default() })))
}

/// What all of them share.
fn options(setup: &Setup) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(MEMTABLE);
    // Callers do not wait while the last ones are written.
    options.set_max_write_buffer_number(4);
    // A filter in front of the memtable: most ids are new, and are not searched in it.
    options.set_memtable_prefix_bloom_ratio(0.1);
    options.set_memtable_whole_key_filtering(true);
    // As many as there are cores here: one flushes, one merges.
    options.set_max_background_jobs(2);
    // The log's writer makes room for the next while the memtable is written.
    options.set_enable_pipelined_write(true);
    // Random ids do not compress.
    options.set_compression_type(DBCompressionType::None);
    options.set_block_based_table_factory(&tables(setup));
    options
}

fn tables(setup: &Setup) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    // One filter for a whole table, in memory beside the index: both are asked every time.
    tables.set_bloom_filter(BITS_PER_ID, false);
    tables.set_cache_index_and_filter_blocks(false);
    // All blocks stay in memory: an id takes about 30 bytes.
    let cache = (setup.expected_ids * 64).max(64 << 20);
    tables.set_block_cache(&Cache::new_hyper_clock_cache(cache, 0));
    // Ids are looked up singly and never in order.
    tables.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    tables
}

/// Tables go when they are old, not when there are many. The default is 1 GB of them.
fn fifo(setup: &Setup) -> Options {
    fifo_until(setup, WINDOW.as_secs(), 1 << 50)
}

/// Tables go when those of a window are left without them. A TTL counts seconds; here a window is a number of ids.
fn fifo_of_size(setup: &Setup) -> Options {
    let window = setup.expected_ids * TABLE_BYTES_PER_ID;
    // Small windows get small memtables: an id is forgotten only with its table.
    let memtable = window.clamp(64 << 10, MEMTABLE);
    // The oldest table goes whole. It is smaller than its memtable, about a third of it.
    let most = window + memtable / 2;
    let mut options = fifo_until(setup, 0, most as u64);
    options.set_write_buffer_size(memtable);
    options
}

/// The oldest table goes once it is of `ttl` seconds ago, if that is not 0, or all take more than `most` bytes.
fn fifo_until(setup: &Setup, ttl: u64, most: u64) -> Options {
    let mut options = options(setup);
    options.set_compaction_style(DBCompactionStyle::Fifo);
    let mut fifo = FifoCompactOptions::default();
    fifo.set_max_table_files_size(most);
    options.set_fifo_compaction_options(&fifo);
    options.set_ttl(ttl);
    // There is one level, and many tables in it are as it should be.
    options.set_level_zero_slowdown_writes_trigger(i32::MAX);
    options.set_level_zero_stop_writes_trigger(i32::MAX);
    options
}

fn levelled(setup: &Setup) -> Options {
    let mut options = options(setup);
    options.set_compaction_style(DBCompactionStyle::Level);
    // The first level is as large as the tables that are merged into it: 4 by default.
    options.set_max_bytes_for_level_base(4 * MEMTABLE as u64);
    // A merge of many tables takes both cores.
    options.set_max_subcompactions(2);
    options
}

fn hash(setup: &Setup) -> Options {
    let mut options = fifo(setup);
    // Buckets are chosen by the whole id; about as many as a memtable holds ids.
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(size_of::<Id>()));
    options.set_memtable_factory(MemtableFactory::HashLinkList { bucket_count: 1 << 20 });
    // It takes one writer at a time.
    options.set_allow_concurrent_memtable_write(false);
    options
}

struct RocksDb {
    db: DB,
    write: WriteOptions,
    in_flight: InFlight,
}

impl Peer for RocksDb {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        let taken = self.in_flight.enter(ids, new);
        let family = self.db.cf_handle(FAMILY).ok_or("the family is gone")?;
        let order = in_order(ids);
        let found = self.db.batched_multi_get_cf(family, order.iter().map(|&at| &ids[at]), true);
        let mut batch = WriteBatch::default();
        for (at, found) in order.into_iter().zip(found) {
            new[at] = new[at] && found?.is_none();
            if new[at] {
                batch.put_cf(family, ids[at], []);
            }
        }
        if !batch.is_empty() {
            self.db.write_opt(batch, &self.write)?;
        }
        drop(taken);
        Ok(())
    }

    /// Writes the memtable as a table, synced, and waits for compactions.
    fn finish(&self) -> Result<()> {
        self.db.flush_wal(true)?;
        self.db.flush()?;
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }
}

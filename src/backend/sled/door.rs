//! What the fuzz targets reach: the values of sled's keys, with plain values in and out.
//!
//! A value by itself goes through its decoder. A whole run is a list of keys and values, which may be
//! tampered with before it is laid into a database and read as a store would read it.

use std::path::Path;
use std::sync::Arc;

use super::block::{self, Block};
use super::header::Header;
use super::sealed::SledRun;
use super::{SledVault, keys, piece};
use crate::backend::{Found, RunTarget, Sealed, Vault};
use crate::error::{Corruption, Error, Result};
use crate::format::StoreId;
use crate::format::value::Value;
use crate::key::Fingerprint;
use crate::run::Records;
use crate::sys::disk::Disk;
use crate::time::{Ticks, Timestamp};

const STORE: StoreId = *b"a store of fuzz!";
/// The number of every run, and that of its generation.
const NUMBER: u64 = 7;

/// A fingerprint and a tick.
pub type Record = (u128, u8);
/// What is kept with an id: time, fingerprint of the payload, outcome.
pub type PlainValue = (u64, Option<u128>, Option<Vec<u8>>);
/// A key of sled with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The value of `key` that has this content.
#[must_use]
pub fn seal(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut value = content.to_vec();
    piece::seal(piece::salt(&STORE, NUMBER), key, &mut value);
    value
}

/// The content of the value of `key`, if its checksum is right.
#[must_use]
pub fn open(key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let opened = piece::open(piece::salt(&STORE, NUMBER), key, value, "piece");
    opened.ok().map(<[u8]>::to_vec)
}

/// The content of a block of records, of which the next one begins with `next`.
#[must_use]
pub fn write_block(records: &[Record], next: u128) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(|&(id, t)| (Fingerprint::from_u128(id), t)).collect();
    block::encode(&records, Fingerprint::from_u128(next))
}

/// The block that begins with `first`: its records, with what the next one begins, and whether they are
/// in order. Each id is looked for, too.
#[must_use]
pub fn read_block(content: &[u8], first: u128) -> Option<(Vec<Record>, u128, bool)> {
    let block = Block::of(content, Fingerprint::from_u128(first)).ok()?;
    let ordered = block.check_order(None).is_ok();
    for (id, tick) in block.records() {
        let found = block.find(id);
        let passed = block.next != block::END && id >= block.next;
        assert!(!ordered || passed || found == Ok(Some(tick)), "{id}: {found:?}");
    }
    let records = block.records().map(|(id, tick)| (id.as_u128(), tick)).collect();
    Some((records, block.next.as_u128(), ordered))
}

/// Reads the header of a run; its content again if it is understood.
#[must_use]
pub fn read_header(content: &[u8]) -> Option<Vec<u8>> {
    Header::decode(content)?.ok().map(|header| header.encode())
}

/// Reads a key in every way; each that is understood is written again.
#[must_use]
pub fn read_key(run: u64, key: &[u8]) -> Vec<Vec<u8>> {
    let log = keys::parse_log(key).map(|(segment, offset)| keys::log(segment, offset).to_vec());
    let records = keys::parse_records(run, key).map(|first| keys::records(run, first));
    let values = keys::parse_values(run, key).map(|(first, index)| keys::values(run, first, index));
    let generation = keys::parse_generation(key).map(|n| keys::generation(n).into_bytes());
    [log, records, values, generation].into_iter().flatten().collect()
}

/// A database, for one run at a time.
#[derive(Debug)]
pub struct Shelf(SledVault);

impl Shelf {
    /// A new database in `dir`.
    ///
    /// # Errors
    ///
    /// What sled says.
    pub fn create(dir: &Path) -> Result<Shelf> {
        SledVault::open(Arc::new(Disk), dir, STORE, 16 << 20, true).map(Shelf)
    }

    fn tree(&self) -> Result<sled::Tree> {
        let database = self.0.database()?;
        database.ask("open", || database.db().open_tree(keys::generation(NUMBER)))
    }

    /// The keys of a run with these records and values, both ascending.
    ///
    /// # Errors
    ///
    /// What sled says.
    pub fn write(&self, records: &[Record], values: &[(u128, PlainValue)]) -> Result<Vec<Pair>> {
        let id = Fingerprint::from_u128;
        let target = RunTarget {
            number: NUMBER,
            generation: NUMBER,
            ticks: Ticks { base: Timestamp::MIN, micros: 1 },
            expected: records.len() as u64,
        };
        let value = |(time, payload, outcome): &PlainValue| Value {
            time: Timestamp::from_micros(*time),
            payload: payload.map(id),
            outcome: outcome.as_deref().map(Into::into),
        };
        let mut sink = self.0.start_run(target)?;
        let records: Vec<_> = records.iter().map(|&(n, tick)| (id(n), tick)).collect();
        sink.push(&records)?;
        values.iter().try_for_each(|(n, plain)| sink.push_value(id(*n), &value(plain)))?;
        sink.finish()?;
        let (database, tree) = (self.0.database()?, self.tree()?);
        let pairs = database.ask("read", || tree.iter().collect::<sled::Result<Vec<_>>>())?;
        Ok(pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    /// Lays these keys into the database, in place of all that were there, and opens the run.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn open(&self, pairs: &[Pair]) -> Result<ShelvedRun> {
        let (database, tree) = (self.0.database()?, self.tree()?);
        database.ask("write", || {
            tree.clear()?;
            pairs.iter().try_for_each(|(key, value)| tree.insert(key, &**value).map(drop))
        })?;
        let run = SledRun::open(database, tree, &STORE, NUMBER)?;
        let missing = Error::WindowIncomplete { missing: self.0.run_path(NUMBER) };
        run.map(ShelvedRun).ok_or(missing)
    }
}

/// A run that opened.
#[derive(Debug)]
pub struct ShelvedRun(SledRun);

impl ShelvedRun {
    /// All records, up to the first error.
    pub fn records(&self) -> (Vec<Record>, Result<()>) {
        let (records, read) = self.0.records_from(0).read_all();
        (records.into_iter().map(|(id, tick)| (id.as_u128(), tick)).collect(), read)
    }

    /// Looks one id up, the filter first.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn get(&self, id: u128) -> Result<Option<u8>> {
        let (id, mut maybe, mut found) =
            ([Fingerprint::from_u128(id)], Vec::new(), Found::default());
        self.0.sift(&id, &[0], &mut maybe)?;
        self.0.find(&id, &maybe, &mut found)?;
        Ok(found.hits.first().map(|&(_, tick)| tick))
    }

    /// All values, up to the first error.
    pub fn values(&self) -> (Vec<(u128, PlainValue)>, Result<()>) {
        let mut values = Vec::new();
        for entry in self.0.values_after(None) {
            match entry {
                Ok((id, value)) => values.push((id.as_u128(), plain(value))),
                Err(error) => return (values, Err(error)),
            }
        }
        (values, Ok(()))
    }

    /// Looks up what is kept with an id.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn value(&self, id: u128) -> Result<Option<PlainValue>> {
        Ok(self.0.value(Fingerprint::from_u128(id))?.map(plain))
    }

    /// Every damage.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn verify(&self) -> Result<Vec<Corruption>> {
        let mut found = Vec::new();
        self.0.verify(&mut |corruption| found.push(corruption))?;
        Ok(found)
    }

    /// Memory that it takes beside caches, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }
}

fn plain(value: Value) -> PlainValue {
    let payload = value.payload.map(Fingerprint::as_u128);
    (value.time.as_micros(), payload, value.outcome.map(|outcome| outcome.to_vec()))
}

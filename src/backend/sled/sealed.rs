//! A run in sled as the front sees it.

use std::sync::Arc;

use sled::{IVec, Tree};

use super::super::{Found, Sealed, ValuesInOrder};
use super::block::{Block, check_next};
use super::database::Database;
use super::filter::RunFilter;
use super::header::Header;
use super::in_order::{BlocksInOrder, EntriesInOrder};
use super::{keys, piece};
use crate::error::{Corruption, Error, Result};
use crate::format::checksum::Salt;
use crate::format::manifest::RunEntry;
use crate::format::run::Flaw;
use crate::format::value::{Entry, Value};
use crate::format::{StoreId, VERSION};
use crate::key::Fingerprint;
use crate::run::Records;
use crate::time::Ticks;

/// How many ids' filter blocks are asked for at once.
const GROUP: usize = 32;

/// An open run.
pub(super) struct SledRun {
    /// Before the database: what is dropped last closes it.
    pub(super) tree: Tree,
    pub(super) database: Arc<Database>,
    pub(super) salt: Salt,
    pub(super) header: Header,
    pub(super) filter: RunFilter,
}

impl std::fmt::Debug for SledRun {
    /// Sled's own would print every record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledRun").field("header", &self.header).finish_non_exhaustive()
    }
}

impl SledRun {
    /// Opens run `number` in the tree of its generation: header and filter. `None` if it is not there.
    pub(super) fn open(
        database: Arc<Database>,
        tree: Tree,
        store: &StoreId,
        number: u64,
    ) -> Result<Option<SledRun>> {
        let (key, salt) = (keys::header(number), piece::salt(store, number));
        let Some(value) = database.ask("read", || tree.get(&key))? else {
            return Ok(None);
        };
        let what = "header of a run in sled";
        let damaged = |flaw: Flaw| Error::from(flaw.of(database.path()));
        let bytes = piece::open(salt, &key, &value, what).map_err(damaged)?;
        let header = match Header::decode(bytes) {
            Some(Ok(header)) if header.number == number => header,
            Some(Err(found)) => {
                let (path, supported) = (database.path().to_path_buf(), VERSION);
                return Err(Error::Version { path, found, supported });
            }
            _ => {
                let found = format!("{} bytes that make no sense", bytes.len());
                return Err(damaged(Flaw::new(0, what, format!("that of run {number}"), found)));
            }
        };
        let filter = RunFilter::load(header.filter_blocks, |index, len| {
            let (key, what) = (keys::filter(number, index), "filter of a run in sled");
            let value = database.ask("read", || tree.get(&key))?.unwrap_or_default();
            match piece::open(salt, &key, &value, what).map_err(damaged)? {
                bytes if bytes.len() == len => Ok(bytes.to_vec()),
                bytes => {
                    let expected = format!("a piece of {len} bytes");
                    Err(damaged(Flaw::new(0, what, expected, format!("{} bytes", bytes.len()))))
                }
            }
        })?;
        Ok(Some(SledRun { database, tree, salt, header, filter }))
    }

    pub(super) fn damaged(&self, flaw: Flaw) -> Error {
        flaw.of(self.database.path()).into()
    }

    /// The last key at or before `key` that has a value, if it belongs to this run.
    fn at_or_before(&self, key: Vec<u8>) -> Result<Option<(IVec, IVec)>> {
        let first = keys::header(self.header.number);
        self.database.ask("read", || self.tree.range(first..=key).next_back().transpose())
    }

    fn tick_of(&self, id: Fingerprint) -> Result<Option<u8>> {
        let (number, header, what) = (self.header.number, &self.header, "block of records");
        if header.records == 0 || id < header.first {
            return Ok(None);
        }
        let found = self.at_or_before(keys::records(number, id))?;
        let found = found.and_then(|(key, value)| {
            keys::parse_records(number, &key).map(|first| (first, key, value))
        });
        let (first, key, value) = found.ok_or_else(|| self.lost(what, header.first))?;
        piece::open(self.salt, &key, &value, what)
            .and_then(|content| Block::of(content, first))
            .and_then(|block| block.find(id))
            .map_err(|flaw| self.damaged(flaw))
    }

    /// What says that a block, or values, that should begin with `first` are gone.
    pub(super) fn lost(&self, what: &'static str, first: Fingerprint) -> Error {
        self.damaged(Flaw::new(0, what, format!("one that begins with {first}"), "none"))
    }

    /// The values among which those of `id` would stand: the first id, and the index of the last piece.
    pub(super) fn values_of(&self, id: Fingerprint) -> Result<Option<(Fingerprint, u16)>> {
        let number = self.header.number;
        let found = self.at_or_before(keys::values(number, id, u16::MAX))?;
        Ok(found.and_then(|(key, _)| keys::parse_values(number, &key)))
    }

    /// The entries that begin with those of `first`, of which piece `last` is the last.
    fn entries(&self, first: Fingerprint, last: u16) -> Result<(Fingerprint, Vec<u8>)> {
        let mut bytes = Vec::new();
        for index in 0..=last {
            let key = keys::values(self.header.number, first, index);
            let value = self.database.ask("read", || self.tree.get(&key))?.unwrap_or_default();
            let content = piece::open(self.salt, &key, &value, "values in sled");
            bytes.extend_from_slice(content.map_err(|flaw| self.damaged(flaw))?);
        }
        split_next(bytes).map_err(|flaw| self.damaged(flaw))
    }
}

impl Sealed for SledRun {
    fn entry(&self) -> RunEntry {
        self.header.entry()
    }

    fn ticks(&self) -> Ticks {
        self.header.ticks
    }

    fn tick_range(&self) -> (u8, u8) {
        self.header.tick_range
    }

    fn memory(&self) -> usize {
        self.filter.memory()
    }

    fn sift(&self, ids: &[Fingerprint], asked: &[u32], out: &mut Vec<u32>) -> Result<()> {
        for group in asked.chunks(GROUP) {
            group.iter().for_each(|&i| self.filter.prefetch(ids[i as usize]));
            let may = |i: &u32| self.filter.may_contain(ids[*i as usize]);
            out.extend(group.iter().copied().filter(may));
        }
        Ok(())
    }

    fn find(&self, ids: &[Fingerprint], asked: &[u32], found: &mut Found) -> Result<()> {
        for &i in asked {
            found.pages += 1;
            found.hits.extend(self.tick_of(ids[i as usize])?.map(|tick| (i, tick)));
        }
        Ok(())
    }

    fn may_contain(&self, id: Fingerprint) -> Result<bool> {
        Ok(self.filter.may_contain(id))
    }

    fn values(&self) -> u64 {
        self.header.values
    }

    fn value(&self, id: Fingerprint) -> Result<Option<Value>> {
        if self.header.values == 0 || id < self.header.first_value {
            return Ok(None);
        }
        let Some((first, last)) = self.values_of(id)? else {
            return Err(self.lost("values in sled", self.header.first_value));
        };
        let (next, bytes) = self.entries(first, last)?;
        check_next(id, next, "values in sled").map_err(|flaw| self.damaged(flaw))?;
        let mut rest = &*bytes;
        while !rest.is_empty() {
            let (entry, behind) = Entry::split(rest).ok_or_else(|| self.damaged(no_entry(rest)))?;
            if entry.id >= id {
                return Ok((entry.id == id).then(|| entry.value()));
            }
            rest = behind;
        }
        Ok(None)
    }

    fn records_from(&self, hi: u64) -> Box<dyn Records + '_> {
        Box::new(BlocksInOrder::new(self, Fingerprint { hi, lo: 0 }))
    }

    fn verify(&self, report: &mut dyn FnMut(Corruption)) -> Result<()> {
        super::verify::verify(self, report)
    }

    fn values_after(&self, id: Option<Fingerprint>) -> ValuesInOrder<'_> {
        Box::new(EntriesInOrder::new(self, id))
    }
}

/// Takes the id with which the next values begin off the front of values.
pub(super) fn split_next(mut bytes: Vec<u8>) -> Result<(Fingerprint, Vec<u8>), Flaw> {
    let Some(next) = bytes.first_chunk().map(|next| u128::from_be_bytes(*next)) else {
        return Err(no_entry(&bytes));
    };
    bytes.drain(..Fingerprint::BYTES);
    Ok((Fingerprint::from_u128(next), bytes))
}

/// Bytes that should be an entry.
pub(super) fn no_entry(bytes: &[u8]) -> Flaw {
    let found = format!("{} bytes that make none", bytes.len());
    Flaw::new(0, "values in sled", "a whole entry", found)
}

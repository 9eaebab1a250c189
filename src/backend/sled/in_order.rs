//! Records and values of a run in ascending order, each checked as it is read.

use sled::Iter;

use super::block::{Block, END};
use super::sealed::{SledRun, no_entry, split_next};
use super::{keys, piece};
use crate::error::Result;
use crate::format::run::Flaw;
use crate::format::value::{Entry, Value};
use crate::key::Fingerprint;
use crate::run::{Record, Records};

/// A position among the records. After an error, and at the end, it yields nothing more.
pub(super) struct BlocksInOrder<'a> {
    run: &'a SledRun,
    /// Begun with the first chunk.
    iter: Option<Iter>,
    /// Records below it are passed over.
    from: Fingerprint,
    last: Option<Fingerprint>,
    /// With which id the next block begins, if that is known.
    next: Option<Fingerprint>,
    ended: bool,
}

impl<'a> BlocksInOrder<'a> {
    pub(super) fn new(run: &'a SledRun, from: Fingerprint) -> BlocksInOrder<'a> {
        BlocksInOrder { run, iter: None, from, last: None, next: None, ended: false }
    }

    /// An iterator that begins with the block in which `from` would stand. If all blocks begin behind it
    /// that is the run's first.
    fn start(&mut self) -> Result<Iter> {
        let (run, number) = (self.run, self.run.header.number);
        let first = keys::records(number, Fingerprint::default());
        let last = keys::records(number, Fingerprint::from_u128(u128::MAX));
        let before = run.database.ask("read", || {
            let below = keys::records(number, self.from);
            run.tree.range(first.clone()..=below).next_back().transpose()
        })?;
        if before.is_none() {
            self.next = Some(run.header.first);
        }
        let begin = before.map_or(first, |(key, _)| key.to_vec());
        Ok(run.tree.range(begin..=last))
    }

    fn next_block(&mut self, out: &mut Vec<Record>) -> Result<bool> {
        if self.iter.is_none() {
            self.iter = Some(self.start()?);
        }
        let iter = self.iter.as_mut().expect("begun just now");
        let (run, number) = (self.run, self.run.header.number);
        let found = run.database.ask("read", || iter.next().transpose())?;
        let Some((key, value)) = found else {
            return match self.next {
                Some(next) if next != END => Err(run.lost("block of records", next)),
                _ => Ok(false),
            };
        };
        let first = keys::parse_records(number, &key).ok_or_else(|| run.damaged(no_entry(&key)))?;
        let content = piece::open(run.salt, &key, &value, "block of records");
        let block = content
            .and_then(|content| Block::of(content, first))
            .and_then(|block| block.check_order(self.last).map(|()| block))
            .map_err(|flaw| run.damaged(flaw))?;
        if let Some(next) = self.next.filter(|&next| next != first) {
            return Err(run.lost("block of records", next));
        }
        self.next = Some(block.next);
        self.last = block.records().last().map(|(id, _)| id);
        out.extend(block.records().filter(|&(id, _)| id >= self.from));
        Ok(true)
    }
}

impl Records for BlocksInOrder<'_> {
    fn next_chunk(&mut self, out: &mut Vec<Record>) -> Result<()> {
        let before = out.len();
        while out.len() == before && !self.ended {
            let read = self.next_block(out);
            self.ended = !matches!(read, Ok(true));
            read?;
        }
        Ok(())
    }
}

/// A position among the values. After an error, and at the end, it yields nothing more.
pub(super) struct EntriesInOrder<'a> {
    run: &'a SledRun,
    /// Begun with the first entry.
    iter: Option<Iter>,
    /// The piece that was read too far, with its first id and index.
    ahead: Option<(Fingerprint, u16, Vec<u8>)>,
    /// The entries up to this one are passed over.
    after: Option<Fingerprint>,
    decoded: std::vec::IntoIter<(Fingerprint, Value)>,
    /// The last entry that was decoded.
    last: Option<Fingerprint>,
    /// With which id the next values begin, if that is known.
    next: Option<Fingerprint>,
    ended: bool,
}

impl<'a> EntriesInOrder<'a> {
    pub(super) fn new(run: &'a SledRun, after: Option<Fingerprint>) -> EntriesInOrder<'a> {
        let decoded = Vec::new().into_iter();
        EntriesInOrder {
            run,
            iter: None,
            ahead: None,
            after,
            decoded,
            last: None,
            next: None,
            ended: false,
        }
    }

    /// An iterator that begins with the piece in which the first of the entries would stand. If all begin
    /// behind it that is the run's first.
    fn start(&mut self) -> Result<Iter> {
        let (run, number) = (self.run, self.run.header.number);
        let before = run.values_of(self.after.unwrap_or_default())?;
        if before.is_none() {
            self.next = Some(run.header.first_value);
        }
        let begin = before.map_or_else(Fingerprint::default, |(first, _)| first);
        let last = keys::values(number, Fingerprint::from_u128(u128::MAX), u16::MAX);
        Ok(run.tree.range(keys::values(number, begin, 0)..=last))
    }

    /// The next piece: its first id, its index, its content.
    fn piece(&mut self) -> Result<Option<(Fingerprint, u16, Vec<u8>)>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        if self.iter.is_none() {
            self.iter = Some(self.start()?);
        }
        let (run, iter) = (self.run, self.iter.as_mut().expect("begun just now"));
        let Some((key, value)) = run.database.ask("read", || iter.next().transpose())? else {
            return Ok(None);
        };
        let parsed = keys::parse_values(run.header.number, &key);
        let (first, index) = parsed.ok_or_else(|| run.damaged(no_entry(&key)))?;
        let content = piece::open(run.salt, &key, &value, "values in sled");
        let content = content.map_err(|flaw| run.damaged(flaw))?;
        Ok(Some((first, index, content.to_vec())))
    }

    /// Reads all pieces that begin with one id, and decodes their entries. `false` at the end.
    fn refill(&mut self) -> Result<bool> {
        let Some((first, index, mut bytes)) = self.piece()? else {
            return match self.next {
                Some(next) if next != END => Err(self.run.lost("values in sled", next)),
                _ => Ok(false),
            };
        };
        if let Some(next) = self.next.filter(|&next| next != first) {
            return Err(self.run.lost("values in sled", next));
        }
        if index != 0 {
            return Err(self.run.lost("values in sled", first));
        }
        let mut wanted = 1;
        while let Some((id, index, content)) = self.piece()? {
            if id != first {
                self.ahead = Some((id, index, content));
                break;
            }
            if index != wanted {
                return Err(self.run.lost("values in sled", first));
            }
            wanted += 1;
            bytes.extend_from_slice(&content);
        }
        let (next, bytes) = split_next(bytes).map_err(|flaw| self.run.damaged(flaw))?;
        self.next = Some(next);
        let (mut rest, mut decoded) = (&*bytes, Vec::new());
        while !rest.is_empty() {
            let (entry, behind) =
                Entry::split(rest).ok_or_else(|| self.run.damaged(no_entry(rest)))?;
            if self.last.is_some_and(|last| entry.id <= last) {
                let flaw = Flaw::new(0, "order of values in sled", "ids that ascend", entry.id);
                return Err(self.run.damaged(flaw));
            }
            self.last = Some(entry.id);
            if Some(entry.id) > self.after {
                decoded.push((entry.id, entry.value()));
            }
            rest = behind;
        }
        self.decoded = decoded.into_iter();
        Ok(true)
    }
}

impl Iterator for EntriesInOrder<'_> {
    type Item = Result<(Fingerprint, Value)>;

    fn next(&mut self) -> Option<Result<(Fingerprint, Value)>> {
        loop {
            if let Some(entry) = self.decoded.next() {
                return Some(Ok(entry));
            }
            if self.ended {
                return None;
            }
            match self.refill() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

//! Builds a store out of a stream: one run for each generation, no log.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::super::dest::Dest;
use crate::backend::{RunSink, RunTarget, Vault};
use crate::config::{Backend, TimeSource};
use crate::error::{Error, Result};
use crate::format::checksum::Salt;
use crate::format::export::{
    BLOCK_HEAD, Block, EXPORT_VERSION, MAGIC, PAYLOAD_MAX, PREAMBLE, STREAM, StreamHeader, damage,
    salt,
};
use crate::format::manifest::{ForgottenEntry, GenerationEntry, Manifest};
use crate::format::superblock::Superblock;
use crate::format::value::Value;
use crate::format::{NUMBER_END, StoreId, u32_at};
use crate::identity::IdentityKind;
use crate::key::{Fingerprint, Record};
use crate::sys::Storage;
use crate::time::Ticks;
use crate::window::FORGOTTEN_MAX;

/// See [`import`](super::super::import).
pub(in crate::offline) fn import_in(
    storage: &Arc<dyn Storage>,
    input: &mut dyn Read,
    dest: &Path,
    backend: Backend,
) -> Result<u64> {
    let dest = Dest::claim(storage, dest, backend)?;
    let mut stream = Stream::start(input)?;
    let header = match stream.next()? {
        Block::Header(header) => header,
        _ => return Err(damage(PREAMBLE as u64, "a header block", "another")),
    };
    check_header(&header)?;
    let store = storage.random().map_err(|e| Error::io("draw a name for", dest.dir(), e))?;
    let vault = dest.vault(&store)?;
    let mut import = Import { vault: &*vault, manifest: manifest_of(&header), open: None };
    let records = import.read_blocks(&mut stream, &header)?;
    let StreamHeader { identity, key, created, .. } = header;
    let manifest = import.manifest;
    vault.close();
    let superblock = Superblock { store, identity, key, created, backend: backend.code() };
    dest.finish(&superblock, manifest)?;
    Ok(records)
}

fn check_header(header: &StreamHeader) -> Result<()> {
    let at = PREAMBLE as u64;
    if IdentityKind::from_code(header.identity).is_none() {
        return Err(damage(at, "a known identity", format!("number {}", header.identity)));
    }
    if TimeSource::from_code(header.time_source).is_none() {
        return Err(damage(at, "a known time source", format!("number {}", header.time_source)));
    }
    if !(1..NUMBER_END).contains(&header.next_generation) {
        let expected = format!("the number of a generation, from 1, below {NUMBER_END}");
        return Err(damage(at, &expected, header.next_generation));
    }
    if header.forgotten > FORGOTTEN_MAX as u64 {
        let expected = format!("at most {FORGOTTEN_MAX} forgotten ids");
        return Err(damage(at, &expected, header.forgotten));
    }
    Ok(())
}

fn manifest_of(header: &StreamHeader) -> Manifest {
    Manifest {
        sequence: 0,
        window: header.window,
        slices: header.slices,
        time_source: header.time_source,
        high_water: header.high_water,
        complete_since: header.complete_since,
        first_segment: 1,
        last_segment: 0,
        last_len: 0,
        state: 0,
        next_fence: 0,
        next_run: 1,
        next_generation: header.next_generation,
        generations: Vec::new(),
        runs: Vec::new(),
        forgotten: Vec::new(),
    }
}

/// A store under construction.
struct Import<'a> {
    vault: &'a dyn Vault,
    manifest: Manifest,
    /// The run of the generation that records are of.
    open: Option<Open>,
}

struct Open {
    sink: Box<dyn RunSink>,
    last: Option<Fingerprint>,
    /// The last id that has a value. No records come after the first.
    last_value: Option<Fingerprint>,
}

impl Import<'_> {
    fn read_blocks(&mut self, stream: &mut Stream<'_>, header: &StreamHeader) -> Result<u64> {
        let (mut read, mut values) = (0, 0);
        loop {
            let at = stream.offset;
            match stream.next()? {
                Block::Header(_) => return Err(damage(at, "one header", "another")),
                Block::Forgotten(entries) => self.forget(at, entries, header)?,
                Block::Generation { number, ticks, expected } => {
                    self.close_run()?;
                    self.open_run(at, number, ticks, expected)?;
                }
                Block::Records(records) => {
                    read += records.len() as u64;
                    self.push(at, &records)?;
                }
                Block::Values(entries) => {
                    values += entries.len() as u64;
                    self.push_values(at, &entries)?;
                }
                Block::End { generations, records, values: listed } => {
                    self.close_run()?;
                    let forgotten = self.manifest.forgotten.len() as u64;
                    let found = (self.manifest.generations.len() as u64, read, values, forgotten);
                    let expected = (generations, records, listed, header.forgotten);
                    if found != expected {
                        let say = |(g, r, v, f)| {
                            format!("{g} generations, {r} records, {v} values, {f} forgotten ids")
                        };
                        return Err(damage(at, &say(expected), say(found)));
                    }
                    return Ok(read);
                }
            }
        }
    }

    fn forget(
        &mut self,
        at: u64,
        entries: Vec<ForgottenEntry>,
        header: &StreamHeader,
    ) -> Result<()> {
        self.manifest.forgotten.extend(entries);
        let have = self.manifest.forgotten.len() as u64;
        match have > header.forgotten {
            true => Err(damage(at, &format!("{} forgotten ids", header.forgotten), have)),
            false => Ok(()),
        }
    }

    fn open_run(&mut self, at: u64, number: u64, ticks: Ticks, expected: u64) -> Result<()> {
        let before = self.manifest.generations.last().map_or(0, |generation| generation.number);
        if number <= before || number >= self.manifest.next_generation {
            return Err(damage(at, "ascending generations", format!("generation {number}")));
        }
        let run = self.manifest.next_run;
        let target = RunTarget { number: run, generation: number, ticks, expected };
        let sink = self.vault.start_run(target)?;
        self.manifest.next_run += 1;
        self.manifest.generations.push(GenerationEntry { number, ticks });
        self.open = Some(Open { sink, last: None, last_value: None });
        Ok(())
    }

    fn push(&mut self, at: u64, records: &[Record]) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(damage(at, "a generation before its records", "records"));
        };
        if open.last_value.is_some() {
            return Err(damage(at, "records before values", "records"));
        }
        for &(id, _) in records {
            if open.last.is_some_and(|last| id <= last) {
                return Err(damage(at, "ascending records", id));
            }
            open.last = Some(id);
        }
        open.sink.push(records)
    }

    fn push_values(&mut self, at: u64, entries: &[(Fingerprint, Value)]) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(damage(at, "a generation before its values", "values"));
        };
        for (id, value) in entries {
            if open.last_value.is_some_and(|last| *id <= last) {
                return Err(damage(at, "ascending values", id));
            }
            open.sink.push_value(*id, value)?;
            open.last_value = Some(*id);
        }
        Ok(())
    }

    fn close_run(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.manifest.runs.push(open.sink.finish()?.entry());
        }
        Ok(())
    }
}

/// Blocks on their way in.
struct Stream<'a> {
    input: &'a mut dyn Read,
    salt: Salt,
    offset: u64,
}

impl<'a> Stream<'a> {
    fn start(input: &'a mut dyn Read) -> Result<Stream<'a>> {
        let mut stream = Stream { input, salt: salt(&StoreId::default()), offset: 0 };
        let mut bytes = [0; PREAMBLE];
        stream.fill(&mut bytes)?;
        let found = u32_at(&bytes, 8);
        if &bytes[..8] != MAGIC {
            return Err(damage(0, "FSEXPORT", bytes[..8].escape_ascii()));
        }
        if found != EXPORT_VERSION {
            let path = Path::new(STREAM).to_path_buf();
            return Err(Error::Version { path, found, supported: EXPORT_VERSION });
        }
        if bytes[12..16] != [0; 4] {
            return Err(damage(12, "zeros", bytes[12..16].escape_ascii()));
        }
        stream.salt = salt(bytes[16..].try_into().expect("sixteen bytes"));
        stream.offset = PREAMBLE as u64;
        Ok(stream)
    }

    fn next(&mut self) -> Result<Block> {
        let mut bytes = vec![0; BLOCK_HEAD];
        self.fill(&mut bytes)?;
        let len = u32_at(&bytes, 12) as usize;
        if len > PAYLOAD_MAX {
            return Err(damage(
                self.offset,
                &format!("a block of at most {PAYLOAD_MAX} bytes"),
                format!("{len} bytes"),
            ));
        }
        bytes.resize(BLOCK_HEAD + len, 0);
        self.fill(&mut bytes[BLOCK_HEAD..])?;
        let block = Block::decode(&bytes, self.salt, self.offset);
        let block = block.ok_or_else(|| {
            damage(self.offset, "a block with its checksum", "bytes that do not verify")
        })?;
        self.offset += bytes.len() as u64;
        Ok(block)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                damage(self.offset, "more blocks, up to the end block", "the end of the stream")
            }
            _ => Error::io("read", Path::new(STREAM), e),
        })
    }
}

//! Every decoder of bytes from disk, with plain values in and out, for the fuzz targets.
//!
//! `write_*` makes the bytes of a file, `read_*` reads them back, and `reseal_*` gives bytes that
//! were tampered with the checksums of their content, so that what is behind the checksums is
//! reached.

use std::path::Path;

mod commit;

#[cfg(all(feature = "sled", feature = "testing"))]
pub use crate::backend::sled::door as sled;
pub use commit::{PlainCommit, PlainItem, PlainState, reseal_state};

use crate::error::{Corruption, Result};
use crate::format::checksum::Salt;
use crate::format::frame::{FrameBuffer, FrameKind, HEADER as FRAME_HEADER};
use crate::format::manifest::{ForgottenEntry, GenerationEntry, Manifest, RunEntry};
use crate::format::segment::{BYTES as SEGMENT_HEADER, Previous, SegmentHeader};
use crate::format::superblock::Superblock;
use crate::format::value::{SUM, Value, file as values_file};
use crate::format::{PAGE, manifest, put_u64, run, segment, superblock, u64_at};
use crate::key::Fingerprint;
use crate::log::replay;
use crate::run::{ReadMode, Records, Run, RunSpec, RunWriter, Values, ValuesWriter};
use crate::sys::{File, Storage, write_all_at};
use crate::testing::MemoryDisk;
use crate::time::{Ticks, Timestamp};

/// The store that all files belong to.
const STORE: [u8; 16] = *b"a store of fuzz!";
/// The number of every segment, run and values file.
const NUMBER: u64 = 7;
const TICKS: Ticks = Ticks { base: Timestamp::MIN, micros: 1 };

/// A record: fingerprint and tick.
pub type Record = (u128, u8);

fn name() -> &'static Path {
    Path::new("file")
}

/// A file with these bytes.
fn file(bytes: &[u8]) -> (MemoryDisk, Box<dyn File>) {
    let disk = MemoryDisk::new();
    let made = disk.create(name()).and_then(|made| write_all_at(&*made, bytes, 0));
    made.expect("a memory disk without limits");
    let file = disk.open(name()).expect("it was made just now");
    (disk, file)
}

fn read_all(file: &dyn File) -> Vec<u8> {
    let len = file.len().expect("a file in memory");
    let mut bytes = vec![0; usize::try_from(len).expect("it is in memory")];
    crate::sys::read_exact_at(file, &mut bytes, 0).expect("a file in memory");
    bytes
}

/// A store file's bytes.
#[must_use]
pub fn write_superblock(identity: u32, key: [u8; 16], created: u64) -> Vec<u8> {
    Superblock { store: STORE, identity, key, created, backend: 0 }.encode().to_vec()
}

/// Decodes a store file; returns the bytes of what was understood.
///
/// # Errors
///
/// What the decoder says.
pub fn read_superblock(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Superblock::decode(bytes, name())?.encode().to_vec())
}

/// Makes the checksum right.
pub fn reseal_superblock(bytes: &mut [u8]) {
    if bytes.len() == superblock::BYTES {
        let at = bytes.len() - 8;
        let store = bytes[16..32].try_into().expect("sixteen bytes");
        let sum = Salt::new(&store, superblock::MAGIC, 0).sum(0, &bytes[..at]);
        put_u64(bytes, at, sum);
    }
}

/// A manifest as plain words, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainManifest {
    /// Sequence, window, high water, complete since, first and last segment, next run, next
    /// generation, state file, next fencing token, durable bytes of the last segment.
    pub head: [u64; 11],
    /// Slices and time source.
    pub options: [u32; 2],
    /// Number, start, tick length.
    pub generations: Vec<[u64; 3]>,
    /// Number, generation, records, bytes of the run, bytes of its values.
    pub runs: Vec<[u64; 5]>,
    /// Fingerprint (low, high), forgotten at, seen again.
    pub forgotten: Vec<[u64; 4]>,
}

impl PlainManifest {
    /// The bytes of the file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let time = Timestamp::from_micros;
        let [sequence, window, high, complete, first, last, next_run, next, state, fence, last_len] =
            self.head;
        let generation = |&[number, base, micros]: &[u64; 3]| GenerationEntry {
            number,
            ticks: Ticks { base: time(base), micros },
        };
        let run = |&[number, generation, records, bytes, values]: &[u64; 5]| RunEntry {
            number,
            generation,
            records,
            bytes,
            values,
        };
        let forgotten = |&[lo, hi, at, again]: &[u64; 4]| ForgottenEntry {
            fingerprint: Fingerprint { hi, lo },
            at: time(at),
            seen_again: time(again),
        };
        Manifest {
            sequence,
            window,
            slices: self.options[0],
            time_source: self.options[1],
            high_water: time(high),
            complete_since: time(complete),
            first_segment: first,
            last_segment: last,
            next_run,
            next_generation: next,
            state,
            next_fence: fence,
            last_len,
            generations: self.generations.iter().map(generation).collect(),
            runs: self.runs.iter().map(run).collect(),
            forgotten: self.forgotten.iter().map(forgotten).collect(),
        }
        .encode(&STORE)
    }

    /// Decodes a manifest.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn read(bytes: &[u8]) -> Result<PlainManifest> {
        let m = Manifest::decode(bytes, &STORE, name())?;
        let (high, complete) = (m.high_water.as_micros(), m.complete_since.as_micros());
        let generation = |g: &GenerationEntry| [g.number, g.ticks.base.as_micros(), g.ticks.micros];
        let forgotten = |f: &ForgottenEntry| {
            let Fingerprint { hi, lo } = f.fingerprint;
            [lo, hi, f.at.as_micros(), f.seen_again.as_micros()]
        };
        let run = |r: &RunEntry| [r.number, r.generation, r.records, r.bytes, r.values];
        Ok(PlainManifest {
            head: [
                m.sequence,
                m.window,
                high,
                complete,
                m.first_segment,
                m.last_segment,
                m.next_run,
                m.next_generation,
                m.state,
                m.next_fence,
                m.last_len,
            ],
            options: [m.slices, m.time_source],
            generations: m.generations.iter().map(generation).collect(),
            runs: m.runs.iter().map(run).collect(),
            forgotten: m.forgotten.iter().map(forgotten).collect(),
        })
    }
}

/// Makes the checksum right.
pub fn reseal_manifest(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(8) {
        let sum = Salt::new(&STORE, manifest::MAGIC, 0).sum(0, &bytes[..at]);
        put_u64(bytes, at, sum);
    }
}

/// A segment with one frame for each call. Calls whose records share a tick become frames without
/// ticks; every frame states that what is before it is durable if `synced`.
#[must_use]
pub fn write_segment(calls: &[Vec<Record>], synced: bool) -> Vec<u8> {
    let header = SegmentHeader {
        store: STORE,
        number: NUMBER,
        generation: 1,
        ticks: TICKS,
        previous: Previous::default(),
    };
    let mut bytes = header.encode().to_vec();
    let mut frame = FrameBuffer::default();
    for call in calls {
        frame.start();
        call.iter().for_each(|&(id, _)| frame.push(Fingerprint::from_u128(id)));
        let ticks: Vec<u8> = call.iter().map(|&(_, tick)| tick).collect();
        let tick = ticks.first().copied().unwrap_or(0);
        if ticks.iter().all(|&other| other == tick) {
            frame.seal(FrameKind::Ids, Timestamp::MIN, tick, &[]);
        } else {
            frame.seal(FrameKind::TimedIds, Timestamp::MIN, tick, &ticks);
        }
        let offset = bytes.len() as u64;
        let durable = if synced { offset } else { 0 };
        bytes.extend_from_slice(frame.place(header.salt(), offset, durable));
    }
    bytes
}

/// Reads a segment's frames; `None` if it was never written to.
///
/// # Errors
///
/// What header and replay say.
pub fn read_segment(bytes: &[u8]) -> Result<Option<Vec<Vec<Record>>>> {
    let head = &bytes[..bytes.len().min(SEGMENT_HEADER)];
    let Some(header) = SegmentHeader::decode(head, &STORE, NUMBER, name())? else {
        return Ok(None);
    };
    let (_disk, file) = file(bytes);
    let mut calls = Vec::new();
    let mut each = |_, frame: &crate::format::frame::FrameHeader, payload: &[u8]| {
        let records = frame.records(payload);
        calls.extend(records.map(|r| r.map(|(id, tick)| (id.as_u128(), tick)).collect()));
        Ok(())
    };
    let tail = replay(&*file, name(), header.salt(), &mut each)?;
    assert!(tail.end + tail.torn <= bytes.len().max(SEGMENT_HEADER) as u64, "{tail:?}");
    Ok(Some(calls))
}

/// Makes the header's checksum right, and that of a frame's header at `frame_at`.
pub fn reseal_segment(bytes: &mut [u8], frame_at: usize) {
    let salt = Salt::new(&STORE, segment::MAGIC, NUMBER);
    if bytes.len() >= SEGMENT_HEADER {
        let at = SEGMENT_HEADER - 8;
        let sum = salt.sum(0, &bytes[..at]);
        put_u64(bytes, at, sum);
    }
    if let Some(frame) = bytes.get_mut(frame_at..).and_then(|b| b.get_mut(..FRAME_HEADER)) {
        let sum = salt.sum(frame_at as u64, &frame[8..]);
        put_u64(frame, 0, sum);
    }
}

/// A run of ascending records.
#[must_use]
pub fn write_run(records: &[Record]) -> Vec<u8> {
    let spec = RunSpec {
        store: STORE,
        number: NUMBER,
        generation: 1,
        ticks: TICKS,
        expected: records.len() as u64,
        filter_bits_per_id: 10,
    };
    let (disk, _) = file(&[]);
    let file = disk.open_write(name()).expect("it is there");
    let mut writer = RunWriter::new(file, name(), spec).expect("no faults are planned");
    let records: Vec<_> =
        records.iter().map(|&(id, tick)| (Fingerprint::from_u128(id), tick)).collect();
    writer.extend(&records).expect("no faults are planned");
    writer.finish().expect("no faults are planned");
    read_all(&*disk.open(name()).expect("it is there"))
}

/// A run that opened.
#[derive(Debug)]
pub struct FuzzRun(Run);

impl FuzzRun {
    /// Opens a run.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn open(bytes: &[u8], mode: ReadMode) -> Result<FuzzRun> {
        let (_disk, file) = file(bytes);
        Run::open(file, name().to_path_buf(), &STORE, NUMBER, mode).map(FuzzRun)
    }

    /// All records, up to the first error.
    pub fn records(&self) -> (Vec<Record>, Result<()>) {
        let (records, read) = self.0.cursor().read_all();
        (records.into_iter().map(|(id, tick)| (id.as_u128(), tick)).collect(), read)
    }

    /// Looks one id up, the filter first.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn get(&self, id: u128) -> Result<Option<u8>> {
        let id = Fingerprint::from_u128(id);
        if !self.0.filter_may_contain(id)? {
            return Ok(None);
        }
        Ok(self.0.get(id)?.tick)
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
}

/// What is kept with an id: time, fingerprint of the payload, outcome.
pub type PlainValue = (u64, Option<u128>, Option<Vec<u8>>);

fn plain(value: Value) -> PlainValue {
    let payload = value.payload.map(Fingerprint::as_u128);
    (value.time.as_micros(), payload, value.outcome.map(|outcome| outcome.to_vec()))
}

/// A values file of ascending ids.
#[must_use]
pub fn write_values(entries: &[(u128, PlainValue)]) -> Vec<u8> {
    let (disk, _) = file(&[]);
    let file = disk.open_write(name()).expect("it is there");
    let mut writer =
        ValuesWriter::new(file, name(), &STORE, NUMBER).expect("no faults are planned");
    for (id, (time, payload, outcome)) in entries {
        let value = Value {
            time: Timestamp::from_micros(*time),
            payload: payload.map(Fingerprint::from_u128),
            outcome: outcome.as_deref().map(Into::into),
        };
        writer.push(Fingerprint::from_u128(*id), &value).expect("ids ascend");
    }
    writer.finish().expect("no faults are planned");
    read_all(&*disk.open(name()).expect("it is there"))
}

/// A values file that opened.
#[derive(Debug)]
pub struct FuzzValues(Values);

impl FuzzValues {
    /// Opens a values file.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn open(bytes: &[u8]) -> Result<FuzzValues> {
        let (_disk, file) = file(bytes);
        Values::open(file, name().to_path_buf(), &STORE, NUMBER).map(FuzzValues)
    }

    /// All entries, up to the first error.
    pub fn entries(&self) -> (Vec<(u128, PlainValue)>, Result<()>) {
        let mut entries = Vec::new();
        for entry in self.0.cursor() {
            match entry {
                Ok((id, value)) => entries.push((id.as_u128(), plain(value))),
                Err(error) => return (entries, Err(error)),
            }
        }
        (entries, Ok(()))
    }

    /// Looks one id up.
    ///
    /// # Errors
    ///
    /// What the reader says.
    pub fn get(&self, id: u128) -> Result<Option<PlainValue>> {
        Ok(self.0.get(Fingerprint::from_u128(id))?.map(plain))
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
}

/// Makes the checksums of header and footer right, and those of the directory and of the blocks
/// where the footer and the directory say that they stand.
pub fn reseal_values(bytes: &mut [u8]) {
    let seal = |bytes: &mut [u8], from: usize, to: usize| {
        if from < to && to <= bytes.len() && to - from > SUM {
            let sum = values_file::salt(&STORE, NUMBER).sum(from as u64, &bytes[from..to - SUM]);
            put_u64(bytes, to - SUM, sum);
        }
    };
    let Some(end) = bytes.len().checked_sub(values_file::FOOTER) else {
        return;
    };
    seal(bytes, 0, values_file::HEADER);
    seal(bytes, end, end + values_file::FOOTER);
    let directory = usize::try_from(u64_at(bytes, end + 24)).unwrap_or(usize::MAX);
    if directory > end {
        return;
    }
    seal(bytes, directory, end);
    let starts = bytes[directory..end - SUM.min(end - directory)].chunks_exact(values_file::START);
    let starts = starts.map(|start| usize::try_from(u64_at(start, 16)).unwrap_or(usize::MAX));
    let starts: Vec<usize> = starts.chain([directory]).collect();
    starts.windows(2).for_each(|pair| seal(bytes, pair[0], pair[1]));
}

/// Makes the checksums of all whole pages right.
pub fn reseal_run(bytes: &mut [u8]) {
    let salt = Salt::new(&STORE, &run::MAGIC, NUMBER);
    for (i, page) in bytes.as_chunks_mut::<PAGE>().0.iter_mut().enumerate() {
        run::seal(page, salt, (i * PAGE) as u64);
    }
}

//! What becomes of a file.

use std::path::{Path, PathBuf};

use firstseen::testing::{MemoryDisk, Storage};

use crate::sim::DIR;
use crate::support::Rng;

/// The unit in which a medium loses and mixes up.
const SECTOR: usize = 512;
/// Frames of the log stand at multiples of this.
const ALIGN: u64 = 8;
/// Bytes before the first frame, and before the payload of each.
const SEGMENT_HEADER: u64 = 128;
const FRAME_HEADER: u64 = 40;

/// What becomes of a file.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Flip {
        name: String,
        at: u64,
        bit: usize,
    },
    /// A sector has other bytes: zeros or junk.
    Sector {
        name: String,
        sector: u64,
        byte: u8,
    },
    /// A sector has the bytes of another one of the file.
    Misdirected {
        name: String,
        from: u64,
        to: u64,
    },
    /// Bytes of the file stand once more behind its content.
    Again {
        name: String,
        from: u64,
    },
    /// Whole frames of the log stand once more behind its content.
    Frames {
        name: String,
        from: u64,
        to: u64,
    },
    /// A sector has the bytes that the same place of another file has.
    Foreign {
        name: String,
        other: String,
        sector: u64,
    },
    Cut {
        name: String,
        len: u64,
    },
    Grown {
        name: String,
        by: u64,
        byte: u8,
    },
    /// Two files have each other's bytes.
    Swapped {
        name: String,
        other: String,
    },
    /// The last writes never came: a sector, or all of it, is as it was.
    Old {
        name: String,
        sector: Option<u64>,
    },
    Gone {
        name: String,
    },
}

/// The names of the files, in order. The lock says nothing.
pub(super) fn files(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list(Path::new(DIR)).unwrap_or_default();
    names.retain(|name| name != "LOCK");
    names.sort_unstable();
    names
}

pub(super) fn read(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let file = disk.open(&path(name)).expect("it was listed");
    let mut bytes = vec![0; file.len().expect("no fault is planned") as usize];
    let read = file.read_at(&mut bytes, 0).expect("no fault is planned");
    assert_eq!(read, bytes.len());
    bytes
}

pub(super) fn flip(disk: &MemoryDisk, name: &str, at: usize, bit: usize) {
    let mut bytes = read(disk, name);
    bytes[at] ^= 1 << bit;
    write(disk, name, &bytes);
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Puts other bytes in the place of a file, durably.
fn write(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let written = (|| {
        disk.remove(&path(name))?;
        let file = disk.create(&path(name))?;
        if !bytes.is_empty() {
            assert_eq!(file.write_at(bytes, 0)?, bytes.len());
        }
        file.sync_all()?;
        disk.sync_dir(Path::new(DIR))
    })();
    written.expect("no fault is planned");
}

impl Damage {
    /// Damage to one of the files of this disk.
    pub(super) fn random(random: &mut Rng, disk: &MemoryDisk) -> Damage {
        let names = files(disk);
        let index = random.below(names.len() as u64) as usize;
        let name = names[index].clone();
        // Numbers of content, not of the room behind it.
        let content = read(disk, &name);
        let len = content.iter().rposition(|&byte| byte != 0).map_or(1, |last| last as u64 + 1);
        let sectors = len.div_ceil(SECTOR as u64);
        let alike: Vec<&String> =
            names.iter().filter(|other| kind(other) == kind(&name) && **other != name).collect();
        let other =
            alike.get(random.below(alike.len().max(1) as u64) as usize).map(|&other| other.clone());
        match random.below(20) {
            0..4 => Damage::Flip { at: random.below(len), bit: random.below(8) as usize, name },
            4..6 => {
                let (sector, byte) = (random.below(sectors), random.pick(&[0, 0, 0xff, 0x5a]));
                Damage::Sector { name, sector, byte }
            }
            6 => {
                Damage::Misdirected { from: random.below(sectors), to: random.below(sectors), name }
            }
            7..9 => Damage::Again { from: random.below(len / ALIGN + 1) * ALIGN, name },
            16.. => match Damage::frames(random, disk, &names) {
                Some(frames) => frames,
                None => Damage::Again { from: random.below(len / ALIGN + 1) * ALIGN, name },
            },
            9 => match other {
                Some(other) => Damage::Foreign { name, other, sector: random.below(sectors) },
                None => Damage::Gone { name },
            },
            10 => Damage::Cut { len: random.below(len), name },
            11 => {
                Damage::Grown { name, by: 1 + random.below(5_000), byte: random.pick(&[0, 0xa5]) }
            }
            12 => match other {
                Some(other) => Damage::Swapped { name, other },
                None => Damage::Gone { name },
            },
            13 => Damage::Old { name, sector: Some(random.below(sectors)) },
            // An old list of files, whole, is what a restored folder has: nothing in it can tell.
            14 if name != "MANIFEST" => Damage::Old { name, sector: None },
            _ => Damage::Gone { name },
        }
    }

    /// Some of the frames of one of the logs, from any one on, behind the last.
    fn frames(random: &mut Rng, disk: &MemoryDisk, names: &[String]) -> Option<Damage> {
        let logs: Vec<&String> = names.iter().filter(|name| name.ends_with(".log")).collect();
        let (last, any) = (logs.last()?, random.below(logs.len() as u64) as usize);
        let name = if random.one_in(3) { logs[any] } else { last }.to_string();
        let starts = frames(&read(disk, &name));
        // The last frame once more would change nothing.
        let earlier = (starts.len() as u64).checked_sub(2).filter(|&earlier| earlier > 0)?;
        let from = random.below(earlier.max(1));
        let to = from + 1 + random.below((earlier - from).max(1));
        Some(Damage::Frames { name, from: starts[from as usize], to: starts[to as usize] })
    }

    /// Does the damage. Whether that changed anything.
    pub(super) fn befall(&self, disk: &MemoryDisk, earlier: &MemoryDisk) -> bool {
        let name = self.name();
        let before = read(disk, name);
        let mut bytes = before.clone();
        match self {
            Damage::Flip { at, bit, .. } => bytes[*at as usize] ^= 1 << bit,
            Damage::Sector { sector, byte, .. } => place(&mut bytes, *sector, &[*byte; SECTOR]),
            Damage::Misdirected { from, to, .. } => {
                let moved = sector_of(&before, *from).to_vec();
                place(&mut bytes, *to, &moved);
            }
            Damage::Again { from, .. } => {
                let len = before.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                let end = len.next_multiple_of(ALIGN as usize);
                append(&mut bytes, end, &before[(*from as usize).min(len)..len]);
            }
            Damage::Frames { from, to, .. } => {
                let end = frames(&before).last().map_or(0, |&end| end as usize);
                append(&mut bytes, end, &before[*from as usize..*to as usize]);
            }
            Damage::Foreign { other, sector, .. } => {
                let moved = sector_of(&read(disk, other), *sector).to_vec();
                place(&mut bytes, *sector, &moved);
            }
            Damage::Cut { len, .. } => bytes.truncate(*len as usize),
            Damage::Grown { by, byte, .. } => bytes.resize(bytes.len() + *by as usize, *byte),
            Damage::Swapped { other, .. } => {
                bytes = read(disk, other);
                write(disk, other, &before);
            }
            Damage::Old { sector, .. } => {
                if !files(earlier).iter().any(|known| known == name) {
                    return false;
                }
                let old = read(earlier, name);
                match sector {
                    Some(sector) => place(&mut bytes, *sector, sector_of(&old, *sector)),
                    None => bytes = old,
                }
            }
            Damage::Gone { .. } => {
                disk.remove(&path(name)).expect("no fault is planned");
                return true;
            }
        }
        write(disk, name, &bytes);
        bytes != before
    }

    fn name(&self) -> &str {
        match self {
            Damage::Flip { name, .. }
            | Damage::Sector { name, .. }
            | Damage::Misdirected { name, .. }
            | Damage::Again { name, .. }
            | Damage::Frames { name, .. }
            | Damage::Foreign { name, .. }
            | Damage::Cut { name, .. }
            | Damage::Grown { name, .. }
            | Damage::Swapped { name, .. }
            | Damage::Old { name, .. }
            | Damage::Gone { name } => name,
        }
    }
}

/// Where the frames of a segment start, and where the last one ends.
fn frames(segment: &[u8]) -> Vec<u64> {
    let mut starts = vec![SEGMENT_HEADER];
    while let Some(header) = segment.get(starts[starts.len() - 1] as usize..)
        && let Some(header) = header.first_chunk::<{ FRAME_HEADER as usize }>()
        && header.iter().any(|&byte| byte != 0)
    {
        let len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
        let end =
            starts[starts.len() - 1] + (FRAME_HEADER + u64::from(len)).next_multiple_of(ALIGN);
        if end > segment.len() as u64 {
            break;
        }
        starts.push(end);
    }
    starts
}

/// Writes behind the content, into the room that a file has there or beyond its end.
fn append(bytes: &mut Vec<u8>, end: usize, with: &[u8]) {
    let len = bytes.len();
    bytes.truncate(end);
    bytes.resize(end, 0);
    bytes.extend_from_slice(with);
    bytes.resize(bytes.len().max(len), 0);
}

/// What files have in common that are of one kind.
fn kind(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, kind)| kind)
}

fn sector_of(bytes: &[u8], sector: u64) -> &[u8] {
    let start = (sector as usize * SECTOR).min(bytes.len());
    &bytes[start..(start + SECTOR).min(bytes.len())]
}

/// Puts these bytes in the place of a sector, as far as the file reaches.
fn place(bytes: &mut [u8], sector: u64, with: &[u8]) {
    let start = (sector as usize * SECTOR).min(bytes.len());
    let len = with.len().min(bytes.len() - start);
    bytes[start..start + len].copy_from_slice(&with[..len]);
}

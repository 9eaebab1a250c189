//! The lines, and what a tool must make of them.
//!
//! Nothing is held in memory, for a child may be charged with what its parent had resident.

use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use hashbrown::DefaultHashBuilder;

use crate::peer::Result;
use crate::workload::id;
use crate::yardstick::Random;

/// A file of lines, and what is known of it.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) lines: usize,
    /// How many of 100 lines repeat an earlier one; nearly, for chance decides.
    pub(super) duplicates: u8,
    /// The lines that are left once each is there once.
    distinct: Digest,
    hasher: DefaultHashBuilder,
}

/// Lines in any order: how many, and the sum of their hashes. Two of a line are not one.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
struct Digest {
    lines: usize,
    sum: u64,
}

impl Digest {
    fn add(&mut self, line: &[u8], hasher: &DefaultHashBuilder) {
        self.lines += 1;
        self.sum = self.sum.wrapping_add(hasher.hash_one(line));
    }
}

impl Input {
    /// Lines of 32 hexadecimal digits. One that repeats another repeats any earlier one, all equally
    /// likely.
    pub(super) fn make(folder: &Path, lines: usize, duplicates: u8) -> Result<Input> {
        let path = folder.join("input");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let (hasher, mut distinct) = (DefaultHashBuilder::default(), Digest::default());
        let mut random = Random(0);
        let mut below = |n: usize| ((u128::from(random.word()) * n as u128) >> 64) as usize;
        for _ in 0..lines {
            let repeats = distinct.lines > 0 && below(100) < usize::from(duplicates);
            let of = if repeats { below(distinct.lines) } else { distinct.lines };
            let line = format!("{:032x}", u128::from_be_bytes(id(of)));
            if !repeats {
                distinct.add(line.as_bytes(), &hasher);
            }
            writeln!(out, "{line}")?;
        }
        // What is still to be written to the disk would slow down whoever comes first.
        out.into_inner()?.sync_all()?;
        Ok(Input { path, lines, duplicates, distinct, hasher })
    }

    pub(super) fn distinct(&self) -> usize {
        self.distinct.lines
    }

    /// Fails unless the file has every line of the input once, in any order.
    pub(super) fn check(&self, output: &Path) -> Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(output)?);
        let (mut found, mut line) = (Digest::default(), Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            found.add(line.strip_suffix(b"\n").unwrap_or(&line), &self.hasher);
            line.clear();
        }
        if found == self.distinct {
            return Ok(());
        }
        let (found, wanted) = (found.lines, self.distinct.lines);
        Err(format!("printed {found} lines, not just the {wanted} different ones").into())
    }
}

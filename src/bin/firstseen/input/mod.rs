//! Where records come from: files, plain or compressed, and standard input.

mod zstd;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::block::Block;
use crate::fail::{Failure, Result};

/// Bytes that a decompressor reads at once.
const COMPRESSED_BLOCK: usize = 128 << 10;

/// One opened input.
pub(crate) struct Input {
    /// The name for messages.
    pub(crate) name: String,
    reader: Box<dyn Read>,
    /// Whether reading on never waits for somebody: blocks are filled before they are worked on.
    is_file: bool,
}

impl Input {
    /// Reads on into `block`, which begins with the record at `line`.
    pub(crate) fn fill(&mut self, block: &mut Block, line: u64) -> Result<()> {
        let filled = block.fill(&mut self.reader, self.is_file);
        filled.map_err(|error| {
            let name = &self.name;
            Failure::Run(format!("cannot read {name} from line {line} on: {error}"))
        })
    }

    /// The place of a record for messages: "FILE: line N". Records that are not lines are counted.
    pub(crate) fn at_line(&self, terminator: u8, line: u64) -> String {
        let unit = if terminator == 0 { "record" } else { "line" };
        format!("{}: {unit} {line}", self.name)
    }
}

/// Opens `path`, `-` being standard input. What is read of it, as it lies on disk, is counted in
/// `read`.
pub(crate) fn open(path: &Path, read: &Rc<Cell<u64>>) -> Result<Input> {
    let counted = |inner| Counted { inner, read: Rc::clone(read) };
    if is_stdin(path) {
        return Ok(Input {
            name: "standard input".to_owned(),
            reader: Box::new(counted(Box::new(io::stdin().lock()) as Box<dyn Read>)),
            is_file: false,
        });
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::io("open", &name, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::io("read", &name, &error))?;
    if metadata.is_dir() {
        return Err(Failure::Run(format!("cannot read {name}: it is a folder")));
    }
    let file = counted(Box::new(file) as Box<dyn Read>);
    let buffered = |file| BufReader::with_capacity(COMPRESSED_BLOCK, file);
    let reader: Box<dyn Read> = match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("gz") => Box::new(MultiGzDecoder::new(buffered(file))),
        Some("zst") => Box::new(zstd::Decoder::new(buffered(file))),
        _ => Box::new(file),
    };
    Ok(Input { name, reader, is_file: metadata.is_file() })
}

/// The inputs to read: standard input when none is named.
pub(crate) fn or_stdin(files: &[PathBuf]) -> Vec<PathBuf> {
    if files.is_empty() { vec![PathBuf::from("-")] } else { files.to_vec() }
}

/// The size of all inputs on disk, if it is known.
pub(crate) fn total_size(files: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let metadata = path.metadata().ok().filter(|_| !is_stdin(path))?;
        metadata.is_file().then_some(metadata.len())
    };
    files.iter().map(size).sum()
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Counts what is read.
struct Counted {
    inner: Box<dyn Read>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

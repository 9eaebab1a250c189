//! Where records go: standard output, or a file of those set aside.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use crate::fail::{Failure, Result};

/// An output of whole records, written in large pieces, flushed when told.
pub(crate) struct Sink {
    name: String,
    out: Box<dyn Write>,
    /// The same output as a file, where it must reach the medium.
    file: Option<File>,
    buffer: Vec<u8>,
    /// Neighbouring records of the current block, not yet in the buffer.
    pending: Range<usize>,
    /// What ends records, and whether the last one taken lacks it.
    terminator: u8,
    open_ended: bool,
}

impl Sink {
    /// Standard output.
    pub(crate) fn stdout(terminator: u8, must_sync: bool) -> Result<Sink> {
        let name = "standard output".to_owned();
        let file = if must_sync { stdout_file().map_err(Failure::from)? } else { None };
        Ok(Sink::new(name, Box::new(io::stdout().lock()), file, terminator))
    }

    /// A file, written anew.
    pub(crate) fn create(path: &Path, terminator: u8, must_sync: bool) -> Result<Sink> {
        let name = path.display().to_string();
        let fail = |error| Failure::io("create", path.display(), &error);
        let file = File::create(path).map_err(fail)?;
        let synced = if must_sync { Some(file.try_clone().map_err(fail)?) } else { None };
        Ok(Sink::new(name, Box::new(file), synced, terminator))
    }

    fn new(name: String, out: Box<dyn Write>, file: Option<File>, terminator: u8) -> Sink {
        Sink { name, out, file, buffer: Vec::new(), pending: 0..0, terminator, open_ended: false }
    }

    /// Takes the record at `range` of `block`. Ranges of one block ascend.
    pub(crate) fn take(&mut self, block: &[u8], range: Range<usize>) {
        if range.start != self.pending.end {
            self.settle(block);
            self.pending.start = range.start;
        }
        self.pending.end = range.end;
    }

    /// Takes bytes that are not of the block, such as a header.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.close_record();
        self.buffer.extend_from_slice(bytes);
        self.open_ended = bytes.last() != Some(&self.terminator);
    }

    /// Ends the work on `block`: afterwards it may change. `open_ended` says that its last record
    /// has no terminator; it gets one only if another record follows.
    pub(crate) fn leave(&mut self, block: &[u8], open_ended: bool) {
        let took_last = !self.pending.is_empty() && self.pending.end == block.len();
        self.settle(block);
        self.open_ended |= took_last && open_ended;
    }

    /// Hands everything to the operating system, and to the medium where that was asked for.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        written.map_err(|error| Failure::io("write", &self.name, &error))?;
        self.buffer.clear();
        if let Some(file) = &self.file {
            file.sync_data()
                .or_else(cannot_be_synced)
                .map_err(|error| Failure::io("sync", &self.name, &error))?;
        }
        Ok(())
    }

    fn settle(&mut self, block: &[u8]) {
        if !self.pending.is_empty() {
            self.close_record();
            self.buffer.extend_from_slice(&block[self.pending.clone()]);
        }
        self.pending = 0..0;
    }

    fn close_record(&mut self) {
        if std::mem::take(&mut self.open_ended) {
            self.buffer.push(self.terminator);
        }
    }
}

/// A pipe or a terminal has no medium to reach.
fn cannot_be_synced(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    }
}

#[cfg(unix)]
fn stdout_file() -> io::Result<Option<File>> {
    use std::os::fd::AsFd;
    Ok(Some(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

#[cfg(not(unix))]
fn stdout_file() -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn records_keep_their_bytes_and_order() {
        let shared = Shared::default();
        let mut sink = Sink::new(String::new(), Box::new(shared.clone()), None, b'\n');
        sink.put(b"head\n");
        let block = b"a\nb\nc\nd\n";
        sink.take(block, 0..2);
        sink.take(block, 2..4);
        sink.take(block, 6..8);
        sink.leave(block, false);
        assert!(shared.0.borrow().is_empty());
        sink.flush().expect("memory");
        assert_eq!(*shared.0.borrow(), b"head\na\nb\nd\n");
    }

    #[test]
    fn an_open_record_is_closed_only_before_another() {
        let shared = Shared::default();
        let mut sink = Sink::new(String::new(), Box::new(shared.clone()), None, b'\n');
        for block in [&b"a\nb"[..], b"c\nd"] {
            sink.take(block, 0..2);
            sink.take(block, 2..3);
            sink.leave(block, true);
        }
        sink.flush().expect("memory");
        assert_eq!(*shared.0.borrow(), b"a\nb\nc\nd");
    }
}

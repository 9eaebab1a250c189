//! The block of input in which records are cut: filled by large reads, never copied record by
//! record.

use std::io::{self, Read};

/// Bytes that one read asks for.
const BLOCK: usize = 512 << 10;

/// The longest record. A longer one is most likely an open quote, or not the expected kind of file.
const RECORD_MAX: usize = 64 << 20;

/// A stretch of the input: what was read and not yet consumed.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
}

impl Block {
    pub(crate) fn new() -> Block {
        Block { bytes: vec![0; BLOCK], start: 0, end: 0, at_end: false }
    }

    /// Makes ready for another input.
    pub(crate) fn restart(&mut self) {
        (self.start, self.end, self.at_end) = (0, 0, false);
    }

    /// What is to be consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether nothing follows [`Block::bytes`].
    pub(crate) fn at_end(&self) -> bool {
        self.at_end
    }

    /// Drops the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
    }

    /// Reads on. With `whole`, reads until the block is full or the input ends; without, takes
    /// what one read gives, so that records of a slow input are not held back.
    pub(crate) fn fill(&mut self, input: &mut dyn Read, whole: bool) -> io::Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.bytes.len() {
            if self.end >= RECORD_MAX {
                let text = format!("a record longer than {} MiB", RECORD_MAX >> 20);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.bytes.resize(self.end * 2, 0);
        }
        while self.end < self.bytes.len() {
            match input.read(&mut self.bytes[self.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if !whole {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives three bytes a read.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(3);
            self.0.read(&mut out[..count])
        }
    }

    #[test]
    fn one_read_is_enough_unless_the_whole_is_wanted() {
        let mut block = Block::new();
        let mut input = Slow(b"abcdefgh");
        block.fill(&mut input, false).expect("read");
        assert_eq!((block.bytes(), block.at_end()), (&b"abc"[..], false));
        block.consume(2);
        block.fill(&mut input, true).expect("read");
        assert_eq!((block.bytes(), block.at_end()), (&b"cdefgh"[..], true));
    }

    #[test]
    fn grows_for_a_long_record_up_to_a_bound() {
        let mut block = Block::new();
        let mut input = io::repeat(b'x');
        let mut filled = 0;
        let error = loop {
            match block.fill(&mut input, true) {
                Ok(()) => filled = block.bytes().len(),
                Err(error) => break error,
            }
        };
        assert_eq!(filled, RECORD_MAX);
        assert_eq!(error.to_string(), "a record longer than 64 MiB");
    }
}

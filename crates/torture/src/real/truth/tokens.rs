//! What is known of a transaction that was to be prepared.

use crate::case::{Promise, ensure};
use crate::real::Micros;

/// A transaction by its token: what may be true of it.
#[derive(Debug)]
pub(in crate::real) struct Token {
    pub(in crate::real) ids: Vec<u64>,
    /// When they were claimed.
    pub(super) since: Micros,
    /// It may be prepared and not settled.
    prepared: bool,
    /// It may be absent: never prepared, or settled.
    absent: bool,
    /// The line that says it was settled, while a power cut may take that; 0 else.
    settled: u64,
}

impl Token {
    /// Its preparation has begun.
    pub(super) fn begin(ids: Vec<u64>, since: Micros) -> Token {
        Token { ids, since, prepared: true, absent: true, settled: 0 }
    }

    /// It is prepared.
    pub(super) fn prepared(&mut self) {
        (self.prepared, self.absent) = (true, false);
    }

    pub(super) fn begin_settling(&mut self) {
        self.absent = true;
    }

    /// It is settled, said a line, if a power cut may take that.
    pub(in crate::real) fn settled(&mut self, line: u64) {
        (self.prepared, self.absent, self.settled) = (false, true, line);
    }

    /// All that was said before a line is on the medium.
    pub(super) fn all_durable(&mut self, line: u64) {
        if self.settled < line {
            self.settled = 0;
        }
    }

    /// A power cut may have taken what settled it, but not what prepared it.
    pub(super) fn cut(&mut self) {
        self.prepared |= self.settled > 0;
    }

    pub(in crate::real) fn is_in_doubt(&self) -> bool {
        self.prepared && !self.absent
    }

    /// It is among those in doubt, or it is not.
    pub(super) fn found(&mut self, in_doubt: bool) -> Promise {
        match in_doubt {
            true => ensure(self.prepared, || "is in doubt and was settled".to_owned())?,
            false => ensure(self.absent, || "was prepared and is not in doubt".to_owned())?,
        }
        (self.prepared, self.absent) = (in_doubt, !in_doubt);
        Ok(())
    }
}

//! The one error type of the crate.
//!
//! Every error says what was attempted, where, what was expected and found, and what to do about
//! it. Bytes from disk and ids from users never panic; a panic is a mistake of this crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;
use crate::verdict::Verdict;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: "read", "create", "sync".
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// There is no room left on the disk. Nothing of the call was kept; free space and call again.
    #[error(
        "no room to {op} {}: the disk is full; free some space and call again, nothing of this call was kept",
        path.display()
    )]
    DiskFull {
        /// What was attempted, as a verb.
        op: &'static str,
        /// The file that could not grow.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// Bytes on disk are not what was written.
    #[error(transparent)]
    Corrupt(#[from] Corruption),

    /// A file that the store needs is gone, so a part of the window is unknown. The store is never
    /// opened as if that part had been empty; `Builder::accept_incomplete` opens it with a shorter
    /// effective window.
    #[error(
        "window incomplete: {} is missing, and what it held cannot be known; restore the file (if it \
         is a run, opening with accept_incomplete goes on with a shorter window)",
        missing.display()
    )]
    WindowIncomplete {
        /// The file that is missing.
        missing: PathBuf,
    },

    /// The folder exists and holds something that is not a firstseen store.
    #[error("{} is not a firstseen store: {found}; choose another folder", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },

    /// The store was written by another version of the format.
    #[error(
        "{} has format version {found}, this build reads version {supported}; use a build that \
         knows version {found}",
        path.display()
    )]
    Version {
        /// The file that carries the version.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version that this build reads.
        supported: u32,
    },

    /// Another process, or another `Store` of this process, has the store open.
    #[error(
        "{} is open elsewhere{}; close it there, or clone that handle",
        path.display(),
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The folder of the store.
        path: PathBuf,
        /// The process that holds it, where it could be read.
        holder: Option<u32>,
    },

    /// A set of stores has no memory for one more. Nothing was opened.
    #[error(
        "the set is full: its memory budget of {budget} bytes is enough for {stores} stores of at least \
         {each} bytes; close one of its stores, or build the set with a larger memory_budget"
    )]
    SetFull {
        /// How many stores fit.
        stores: u64,
        /// The least that each takes, in bytes.
        each: u64,
        /// The memory budget of the set, in bytes.
        budget: u64,
    },

    /// An option is out of its range, or contradicts what the store was created with.
    #[error("option {option}: {reason}")]
    InvalidOption {
        /// The option, by the name of its builder method.
        option: &'static str,
        /// What is wrong with the value and what would be right.
        reason: String,
    },

    /// A call's arguments contradict each other or the way the store was opened.
    #[error("{0}")]
    Misuse(String),

    /// The wall clock stands further ahead of the store's last known time than
    /// `Builder::max_clock_jump` allows. Opening would expire ids that may still be needed.
    #[error(
        "the clock stands at {now}, {} s after the last time this store knew ({known}); check the \
         clock, or raise max_clock_jump",
        (*now - *known).as_secs()
    )]
    ClockJumped {
        /// The last time that the store knew.
        known: Timestamp,
        /// What the clock says now.
        now: Timestamp,
    },

    /// A write or sync failed before, so nothing more is inserted or acknowledged until the store is
    /// reopened. Verdicts that rest on sealed runs alone are still given.
    #[error("the store refuses work after an earlier failure ({cause}); drop it and open it again")]
    Poisoned {
        /// The failure, as it was first reported.
        cause: Arc<str>,
    },

    /// The lease of a claim ended before it was committed or renewed; its ids may be somebody else's
    /// now. Nothing of it was kept.
    #[error(
        "the lease of claim {token} ended {} ms ago, nothing of it was kept; claim the ids again, or \
         give claims a longer lease",
        by.as_millis()
    )]
    LeaseEnded {
        /// The fencing token of the claim.
        token: u64,
        /// How long ago it ended.
        by: Duration,
    },

    /// No transaction is prepared under the token: it was settled before, or never prepared.
    #[error(
        "nothing is prepared under the token `{}`: it was committed or aborted before, or never prepared",
        token.escape_ascii()
    )]
    NotPrepared {
        /// The token.
        token: Vec<u8>,
    },

    /// The log failed while a commit was written. Whether it stands is known after reopening: all of
    /// it is there, or nothing.
    #[error(
        "whether the commit stands is not known before the store is opened again: {source}; ask it then"
    )]
    OutcomeUnknown {
        /// What stopped the commit.
        source: Box<Error>,
    },

    /// The store was closed through this or another handle.
    #[error("the store is closed")]
    Closed,

    /// The commit was refused. Nothing of it was kept, and the store goes on.
    #[error("the commit was refused, nothing of it was kept: {0}")]
    Refused(#[from] Refusal),

    /// A call that is applied in several pieces failed after some of them: the verdicts of the
    /// first `settled` ids stand, the rest of the ids were not looked at.
    #[error("{settled} ids of the call were settled, then: {source}")]
    Interrupted {
        /// How many ids, from the front of the call, have a verdict that stands.
        settled: usize,
        /// Those verdicts, where the call would have returned them; where it writes them into a
        /// vector of the caller's, they are there.
        verdicts: Vec<Verdict>,
        /// What stopped the call.
        source: Box<Error>,
    },
}

impl Error {
    /// Wraps what the operating system said; a full disk becomes [`Error::DiskFull`], and damage that was
    /// found where only the language of files is spoken [`Error::Corrupt`].
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Error {
        let source = match source.downcast::<Corruption>() {
            Ok(damage) => return damage.into(),
            Err(source) => source,
        };
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { op, path, source }
            }
            _ => Error::Io { op, path, source },
        }
    }

    /// Whether trying the same call again, later or with more space, may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::DiskFull { .. }
                | Error::Locked { .. }
                | Error::SetFull { .. }
                | Error::Refused(Refusal::Locked { .. } | Refusal::SourceLocked { .. })
        )
    }
}

/// Why a commit was refused. All of these are found before anything is inserted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The progress of a source would go backwards: somebody else has committed further.
    #[error(
        "the progress of source {name:?} is {at}, it does not go back to {to}; read on from {at}, or \
         rewind the source by name"
    )]
    Backwards {
        /// The source.
        name: String,
        /// Its committed progress, or the position that this transaction has rewound it to.
        at: u64,
        /// What the commit would have set.
        to: u64,
    },

    /// A key that the transaction has read was changed by another commit since.
    #[error(
        "state key {} was changed by another commit since it was read; run the transaction again",
        Shown(key)
    )]
    Conflict {
        /// The key.
        key: Vec<u8>,
    },

    /// A key that the transaction has read or changes is held by a prepared transaction.
    #[error(
        "state key {} is held by the prepared transaction {}; settle that one, then commit again",
        Shown(key),
        Shown(token)
    )]
    Locked {
        /// The key.
        key: Vec<u8>,
        /// The token of the prepared transaction.
        token: Vec<u8>,
    },

    /// A source whose progress the transaction changes is held by a prepared transaction.
    #[error(
        "source {name:?} is held by the prepared transaction {}; settle that one, then commit again",
        Shown(token)
    )]
    SourceLocked {
        /// The source.
        name: String,
        /// The token of the prepared transaction.
        token: Vec<u8>,
    },

    /// A part of the commit, or all of it, is longer than it may be.
    #[error("{what} of {bytes} bytes is too long; at most {max} are taken")]
    TooLarge {
        /// Which part: "a state key", "an outcome", "a commit".
        what: &'static str,
        /// Its length in bytes.
        bytes: u64,
        /// The most that is taken.
        max: u64,
    },

    /// The name of a source, or a token, is empty.
    #[error("{what} is empty; give it at least one byte")]
    Empty {
        /// Which part: "the name of a source", "a token".
        what: &'static str,
    },

    /// The whole state would take more memory than it may.
    #[error(
        "the state would take {bytes} bytes of at most {max}; delete keys that are not needed, or keep \
         large data elsewhere"
    )]
    StateFull {
        /// What it would take: keys, values, and a fixed amount for each.
        bytes: u64,
        /// The most that is taken.
        max: u64,
    },

    /// All prepared transactions together would take more memory than they may.
    #[error(
        "prepared transactions would take {bytes} bytes of at most {max}; settle some of them first"
    )]
    PreparedFull {
        /// What they would take: their contents, and a fixed amount for each key that they hold.
        bytes: u64,
        /// The most that is taken.
        max: u64,
    },

    /// There is a prepared transaction with this token, not settled yet.
    #[error(
        "a transaction with the token {} is already prepared; settle that one, or choose another token",
        Shown(token)
    )]
    AlreadyPrepared {
        /// The token.
        token: Vec<u8>,
    },
}

/// Bytes as text in quotes, what is not ASCII escaped, cut where it gets long.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 64;
        let (front, rest) = self.0.split_at(self.0.len().min(MOST));
        let dots = if rest.is_empty() { "" } else { ".." };
        write!(f, "\"{}{dots}\"", front.escape_ascii())
    }
}

/// Bytes that are not what was written: where, what was expected, what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Corruption {
    /// The damaged file.
    pub path: PathBuf,
    /// Offset of the damage in bytes from the start of the file.
    pub offset: u64,
    /// The part of the format that is damaged: "run page", "manifest".
    pub what: &'static str,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is damaged at byte {}: {}: expected {}, found {}; restore the file from a checkpoint",
            self.path.display(),
            self.offset,
            self.what,
            self.expected,
            self.found
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::io("write", Path::new("x.log"), full);
        assert!(error.is_transient());
        assert!(error.to_string().starts_with("no room to write x.log"));
    }

    #[test]
    fn a_refusal_names_the_key_and_says_what_to_do() {
        let refusal = Refusal::Locked { key: b"to\"tal\xff".to_vec(), token: vec![b'x'; 1024] };
        let error = Error::from(refusal);
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(text.contains(r#"key "to\"tal\xff" is held"#), "{text}");
        assert!(text.contains("x..\"; settle that one") && text.len() < 250, "{text}");
    }
}

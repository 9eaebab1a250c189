//! The choices that have a name: what a call survives, what store time follows, what the end of a
//! lease means.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::time::micros;

/// What an acknowledged call survives.
///
/// Under each of them an acknowledged id survives the death of the process. They differ in what the
/// death of the machine (power cut, kernel panic) may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written to the operating system, synced when it likes. A power cut may take what was
    /// acknowledged since the last seal or [`Store::sync`](crate::Store::sync).
    Buffered,
    /// Written to the operating system, and synced so often that a power cut takes at most this much
    /// time's worth of acknowledged calls.
    Interval(Duration),
    /// Synced before it is acknowledged. Concurrent callers share a sync. Nothing is lost.
    Sync,
}

/// As on a command line: `buffered`, `sync`, `interval:250ms`.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Durability::Buffered => f.write_str("buffered"),
            Durability::Interval(every) => write!(f, "interval:{}us", micros(*every)),
            Durability::Sync => f.write_str("sync"),
        }
    }
}

/// What store time, by which ids expire, follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The wall clock, guarded against jumps by the monotonic one.
    System,
    /// The latest event time that was presented. The store does not age while nothing is presented.
    Event,
}

impl TimeSource {
    /// How it is written in the manifest.
    pub(crate) fn code(self) -> u32 {
        match self {
            TimeSource::System => 0,
            TimeSource::Event => 1,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<TimeSource> {
        [TimeSource::System, TimeSource::Event].into_iter().find(|source| source.code() == code)
    }
}

impl fmt::Display for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeSource::System => "system",
            TimeSource::Event => "event",
        })
    }
}

impl FromStr for TimeSource {
    type Err = Error;

    fn from_str(name: &str) -> Result<TimeSource> {
        match name {
            "system" => Ok(TimeSource::System),
            "event" => Ok(TimeSource::Event),
            _ => Err(Error::InvalidOption {
                option: "time",
                reason: format!("`{name}` is neither `system` nor `event`"),
            }),
        }
    }
}

/// Where a store keeps its log and what it has sealed. Chosen at creation, kept.
///
/// Verdicts, windows, claims, commits and errors are the same; what differs, and why, is in
/// `docs/backends.md` of the repository.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// In files of its own, written once and read through mappings. The fast one.
    #[default]
    Mapped,
    /// In a database of [sled](https://docs.rs/sled/0.34) 0.34, in the folder `sled` of the store. For
    /// those who run sled already. Needs the cargo feature `sled`.
    Sled,
}

impl Backend {
    /// How it is written in `STORE`.
    pub(crate) fn code(self) -> u32 {
        match self {
            Backend::Mapped => 0,
            Backend::Sled => 1,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<Backend> {
        [Backend::Mapped, Backend::Sled].into_iter().find(|backend| backend.code() == code)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Mapped => "mapped",
            Backend::Sled => "sled",
        })
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Backend> {
        match name {
            "mapped" => Ok(Backend::Mapped),
            "sled" => Ok(Backend::Sled),
            _ => Err(Error::InvalidOption {
                option: "backend",
                reason: format!("`{name}` is neither `mapped` nor `sled`"),
            }),
        }
    }
}

/// What happens to the ids of a claim that outlived its lease.
///
/// Whoever held them may have done its work, in part or in full, and can no longer commit it: what
/// became of them is unknown. Either way the late holder is refused and harms nobody.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The next to present an id gets it, and a transaction that does is told that the outcome of an
    /// earlier attempt is unknown. For work that can be done twice.
    #[default]
    Rerun,
    /// Whoever presents such an id is told that its outcome is unknown, until somebody has found out
    /// and says what is to be done. For work that must not be done twice.
    Block,
}

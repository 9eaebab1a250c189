//! What can be chosen of a consumer, every default with its reason.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firstseen::{Builder, Store, StoreSet, TimeSource};

use crate::dead::DeadLetters;
use crate::error::{BoxError, Error, Result};
use crate::handover::{Archive, History, OnIncomplete};
use crate::message::{Message, TopicPartition};
use crate::select::{IdFrom, TimeFrom};

/// How a [`Consumer`](crate::Consumer) works. Made by [`Settings::new`].
#[derive(Debug)]
pub struct Settings {
    pub(crate) folder: PathBuf,
    store: Builder,
    set: Option<StoreSet>,
    pub(crate) id_from: IdFrom,
    pub(crate) time_from: TimeFrom,
    pub(crate) payloads: bool,
    pub(crate) batch_messages: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_bytes: usize,
    pub(crate) start: Start,
    pub(crate) commit_every: Duration,
    pub(crate) back_off: BackOff,
    pub(crate) on_incomplete: OnIncomplete,
    pub(crate) hooks: Hooks,
}

/// What the caller has given to be called.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_error: Option<OnErrorFunction>,
    pub(crate) dead_letters: Option<Box<dyn DeadLetters>>,
    pub(crate) archive: Option<Box<dyn Archive>>,
    pub(crate) history: Option<Box<dyn History>>,
}

pub(crate) type OnErrorFunction = Box<dyn FnMut(&Failure<'_>) -> OnError>;

/// Where a partition is read from that nobody has read yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the first message that is kept.
    #[default]
    First,
    /// From the next message that is written.
    Next,
}

/// A message, or a batch that is worked on as a whole, whose work failed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// Where it is.
    pub partition: &'a TopicPartition,
    /// The message; the first of a batch.
    pub message: Message<'a>,
    /// Whether it stands for a batch that is worked on as a whole.
    pub whole_batch: bool,
    /// How often the work has failed at this place, in a row; at least 1.
    pub attempts: u32,
    /// What the work said.
    pub error: &'a BoxError,
}

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is tried again after a while; the partition waits, others go on.
    Retry,
    /// The message becomes a dead letter and is passed. A whole batch is tried again instead.
    DeadLetter,
    /// The consumer stops with [`Error::Work`].
    Stop,
}

/// How long a partition waits before something is tried again: twice as long each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The first time.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl BackOff {
    /// How long to wait after so many failures in a row, which is at least one.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

impl Settings {
    /// Settings of a consumer that keeps the stores of its partitions in `folder`, one folder each.
    ///
    /// Consumers on one machine can share it: a store is one process's at a time, and a partition that moves
    /// finds its store where the last owner left it.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Settings {
        Settings {
            folder: folder.as_ref().to_path_buf(),
            store: Store::builder().time(TimeSource::Event),
            set: None,
            id_from: IdFrom::default(),
            time_from: TimeFrom::default(),
            payloads: false,
            batch_messages: 4_096,
            batch_bytes: 4 << 20,
            linger: Duration::from_millis(20),
            buffer_bytes: 64 << 20,
            start: Start::default(),
            commit_every: Duration::from_secs(1),
            back_off: BackOff { first: Duration::from_millis(100), most: Duration::from_secs(30) },
            on_incomplete: OnIncomplete::default(),
            hooks: Hooks::default(),
        }
    }

    /// How the stores are opened: window, durability, and the like; their memory is their [set](Settings::set)'s.
    /// Default: the store's defaults, with [`TimeSource::Event`], as fits a stream that is read again from
    /// earlier times.
    #[must_use]
    pub fn store(mut self, store: Builder) -> Settings {
        self.store = store;
        self
    }

    /// The memory and the threads that the stores of all partitions share, with other consumers of the process too if
    /// they are given the same set. A set takes as many stores as its budget has 16 MiB: a consumer that is assigned more
    /// partitions stops. Default: a set of the consumer's own, with the defaults of sets: 512 MiB, for up to 32
    /// partitions.
    #[must_use]
    pub fn set(mut self, set: &StoreSet) -> Settings {
        self.set = Some(set.clone());
        self
    }

    /// Where the id of a message is. Default: its key.
    #[must_use]
    pub fn id_from(mut self, id_from: IdFrom) -> Settings {
        self.id_from = id_from;
        self
    }

    /// By which time a message is judged. Default: its record's timestamp.
    #[must_use]
    pub fn time_from(mut self, time_from: TimeFrom) -> Settings {
        self.time_from = time_from;
        self
    }

    /// Whether a fingerprint of the payload is kept with each id, so that a message with a known id and
    /// another payload is a dead letter and not a duplicate. 29 bytes an id on disk. Default: no.
    #[must_use]
    pub fn check_payloads(mut self, check: bool) -> Settings {
        self.payloads = check;
        self
    }

    /// How many messages of a partition are worked on together, at most; 1 to 65,536. Default: 4096: what a
    /// commit costs is shared by all of them, and more gain little.
    #[must_use]
    pub fn batch_messages(mut self, messages: usize) -> Settings {
        self.batch_messages = messages;
        self
    }

    /// How many bytes of a partition's messages are gathered before they are worked on. Default: 4 MiB.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Settings {
        self.batch_bytes = bytes;
        self
    }

    /// How long a message waits for others to be worked on with. Default: 20 ms.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Settings {
        self.linger = linger;
        self
    }

    /// How many bytes of messages of all partitions are gathered; beyond that the longest batch is
    /// worked on at once. What the client fetches ahead is bounded by its own settings. Default: 64 MiB.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Settings {
        self.buffer_bytes = bytes;
        self
    }

    /// Where a partition is read from that nobody has read yet. Default: its first message.
    #[must_use]
    pub fn start(mut self, start: Start) -> Settings {
        self.start = start;
        self
    }

    /// How often the group's offsets are brought in step with the stores, for whoever watches the lag.
    /// Nothing rests on them. Default: every second.
    #[must_use]
    pub fn commit_every(mut self, every: Duration) -> Settings {
        self.commit_every = every;
        self
    }

    /// How long a partition waits before something is tried again. Default: 100 ms to 30 s.
    #[must_use]
    pub fn back_off(mut self, back_off: BackOff) -> Settings {
        self.back_off = back_off;
        self
    }

    /// What is done about work that failed. Default: [`OnError::Retry`], for ever: nothing is passed that
    /// was not worked on.
    #[must_use]
    pub fn on_error(mut self, decide: impl FnMut(&Failure<'_>) -> OnError + 'static) -> Settings {
        self.hooks.on_error = Some(Box::new(decide));
        self
    }

    /// Where messages go that cannot be worked on: without an id, late, with another payload than before, or
    /// given up. Default: nowhere; the consumer stops at the first with [`Error::Poison`].
    #[must_use]
    pub fn dead_letters(mut self, dead_letters: impl DeadLetters + 'static) -> Settings {
        self.hooks.dead_letters = Some(Box::new(dead_letters));
        self
    }

    /// Where stores are shipped to when a partition moves, and fetched from. Default: nowhere.
    #[must_use]
    pub fn archive(mut self, archive: impl Archive + 'static) -> Settings {
        self.hooks.archive = Some(Box::new(archive));
        self
    }

    /// What a store is rebuilt from that does not have all that was done: ids and progress, not the state that the
    /// work has put into it. A message that left no trace in the history is worked on again, should it come again. Not
    /// used by [`InStore`](crate::InStore), whose effects are the state. Default: nothing.
    #[must_use]
    pub fn history(mut self, history: impl History + 'static) -> Settings {
        self.hooks.history = Some(Box::new(history));
        self
    }

    /// What is done about a partition of which not all that was done is known. Default:
    /// [`OnIncomplete::Wait`].
    #[must_use]
    pub fn on_incomplete(mut self, then: OnIncomplete) -> Settings {
        self.on_incomplete = then;
        self
    }

    /// Refuses values outside their range.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |setting, reason: String| Err(Error::Setting { setting, reason });
        if !(1..=65_536).contains(&self.batch_messages) {
            let messages = self.batch_messages;
            return refuse("batch_messages", format!("{messages} is not within 1 and 65,536"));
        }
        if self.back_off.first.is_zero() || self.back_off.most < self.back_off.first {
            let BackOff { first, most } = self.back_off;
            return refuse(
                "back_off",
                format!("from {first:?} to {most:?}; at least 1 ns, ascending"),
            );
        }
        Ok(())
    }

    /// Makes the stores' set, if none was given.
    pub(crate) fn make_set(&mut self) -> Result<()> {
        if self.set.is_none() {
            self.set = Some(StoreSet::builder().build()?);
        }
        Ok(())
    }

    /// How a store is opened that nobody works with: what it takes is not its set's.
    pub(crate) fn builder_aside(&self) -> Builder {
        self.store.clone()
    }

    /// How a store is opened.
    pub(crate) fn builder(&self) -> Builder {
        match &self.set {
            Some(set) => self.store.clone().set(set),
            None => self.store.clone(),
        }
    }

    /// The folder of a partition's store.
    pub(crate) fn folder_of(&self, partition: &TopicPartition) -> PathBuf {
        self.folder.join(format!("{}.seen", partition.stem()))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("on_error", &self.on_error.is_some())
            .field("dead_letters", &self.dead_letters.is_some())
            .field("archive", &self.archive.is_some())
            .field("history", &self.history.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let back_off = BackOff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        let waits: Vec<u128> = (1..7).map(|n| back_off.after(n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(back_off.after(u32::MAX), back_off.most);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refused = |settings: Settings| match settings.validate() {
            Err(Error::Setting { setting, .. }) => setting,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Settings::new("x").batch_messages(0)), "batch_messages");
        assert_eq!(refused(Settings::new("x").batch_messages(65_537)), "batch_messages");
        let zero = BackOff { first: Duration::ZERO, most: Duration::ZERO };
        assert_eq!(refused(Settings::new("x").back_off(zero)), "back_off");
        assert!(Settings::new("x").validate().is_ok());
    }
}

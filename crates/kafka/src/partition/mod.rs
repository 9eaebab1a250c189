//! One partition that the group has assigned: its store, its messages, and what it is waiting for.

mod acquire;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use firstseen::Store;

use crate::client::{Bounds, Client, Committed, Fault, FaultKind};
use crate::error::Result;
use crate::gathered::Gathered;
use crate::message::{Message, TopicPartition};
use crate::metrics::{PartitionMetrics, PartitionState};
use crate::select::Selected;
use crate::settings::Settings;
use crate::tenure::Tenure;
use crate::work::{Owned, Work, WorkError};

pub(crate) use acquire::Why;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) name: TopicPartition,
    /// The name of the partition as a source of its store.
    source: String,
    state: State,
    gathered: Gathered,
    /// Messages that are to become dead letters, by offset, and why.
    condemned: BTreeMap<u64, String>,
    /// Offsets from which dead letters were sent that are not passed yet: a batch that is tried again sends them once.
    letters_sent: BTreeSet<u64>,
    /// The progress at which something has failed, and how often in a row: so long is waited.
    failures: (u64, u32),
    /// The offset at which the work has failed, and how often in a row.
    attempts: Option<(u64, u32)>,
    counts: Counts,
}

/// What the partition is doing.
#[derive(Debug)]
enum State {
    /// It waits for its store, or for somebody to be asked again, until then.
    Acquiring { again: Instant, why: Why },
    /// It is read and worked on.
    Reading(Open),
    /// Something failed, and is tried again then.
    BackingOff { open: Open, until: Instant },
}

impl State {
    /// The store, if it is open.
    fn open(&self) -> Option<&Open> {
        match self {
            State::Acquiring { .. } => None,
            State::Reading(open) | State::BackingOff { open, .. } => Some(open),
        }
    }
}

/// A partition's store, open.
#[derive(Debug)]
struct Open {
    store: Store,
    tenure: Tenure,
    /// The offset that was last committed to the group, and when.
    group_next: Option<u64>,
    committed: Instant,
    /// Whether that was waited for. If not, the broker may have refused it, and clients need not say so.
    confirmed: bool,
}

impl Open {
    /// How many batches are in doubt.
    fn in_doubt(&self) -> u64 {
        self.store.in_doubt().len() as u64
    }
}

/// What has been counted since it was assigned.
#[derive(Debug, Default)]
struct Counts {
    messages: u64,
    new: u64,
    duplicates: u64,
    replays: u64,
    lates: u64,
    dead_letters: u64,
    failures: u64,
    settled: u64,
    /// The offset that the next message written to it has, as far as is known.
    end: u64,
}

/// What the partitions of a consumer share.
#[derive(Debug)]
pub(crate) struct Shared<'a, C, W> {
    pub(crate) client: &'a mut C,
    pub(crate) work: &'a mut W,
    pub(crate) settings: &'a mut Settings,
    pub(crate) selected: &'a mut Selected,
}

impl Partition {
    /// A partition that was assigned now.
    pub(crate) fn new(name: TopicPartition) -> Partition {
        let state = State::Acquiring { again: Instant::now(), why: Why::New };
        Partition {
            source: name.to_string(),
            name,
            state,
            gathered: Gathered::default(),
            condemned: BTreeMap::new(),
            letters_sent: BTreeSet::new(),
            failures: (0, 0),
            attempts: None,
            counts: Counts::default(),
        }
    }

    /// Takes a message, if it is being read.
    pub(crate) fn take(&mut self, message: &Message<'_>, settings: &Settings) {
        if matches!(self.state, State::Reading(_)) {
            self.gathered.push(message, settings);
        }
    }

    /// How many bytes of messages wait to be worked on.
    pub(crate) fn buffered(&self) -> usize {
        self.gathered.bytes()
    }

    /// When it is to be looked at next; `None` if only messages change it.
    pub(crate) fn due(&self, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Acquiring { again, .. } => Some(*again),
            State::BackingOff { until, .. } => Some(*until),
            State::Reading(_) if self.gathered.is_full(settings) => Some(Instant::now()),
            State::Reading(_) => self.gathered.since().map(|since| since + settings.linger),
        }
    }

    /// Does what is due.
    pub(crate) fn step<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        if self.due(shared.settings).is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        match &self.state {
            State::Acquiring { .. } => self.acquire(shared),
            State::BackingOff { .. } => self.read_on(shared),
            State::Reading(_) => self.process(shared),
        }
    }

    /// Works on what has come, whether or not more is expected.
    pub(crate) fn process_now<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        while matches!(self.state, State::Reading(_)) && !self.gathered.first().is_empty() {
            self.process(shared)?;
        }
        Ok(())
    }

    /// Reads on where the store is, after a failure.
    fn read_on<C: Client, W: Work<C>>(&mut self, shared: &mut Shared<'_, C, W>) -> Result<()> {
        let State::BackingOff { open, .. } = &mut self.state else { return Ok(()) };
        let in_doubt = open.in_doubt();
        if in_doubt > 0 {
            // As long as that is not settled its messages are in flight, and nothing goes on.
            let settled = shared.work.settle(&mut owned(&self.name, open, shared.client));
            if let Err(error) = settled {
                return self.on_work_error(shared, error);
            }
            self.counts.settled += in_doubt;
        }
        let State::BackingOff { open, .. } = &self.state else { return Ok(()) };
        let next = match open.store.progress(&self.source)? {
            Some(next) => next,
            None => open.group_next.unwrap_or(0),
        };
        match shared.client.read_from(&self.name, next) {
            Ok(()) => self.resume(),
            Err(fault) => self.on_fault(shared, fault)?,
        }
        Ok(())
    }

    fn resume(&mut self) {
        let acquiring = State::Acquiring { again: Instant::now(), why: Why::New };
        self.state = match std::mem::replace(&mut self.state, acquiring) {
            State::BackingOff { open, .. } => State::Reading(open),
            state => state,
        };
        self.gathered.clear();
    }

    /// Goes about what a client said no to.
    fn on_fault<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
        fault: Fault,
    ) -> Result<()> {
        tracing::warn!(partition = %self.name, %fault, "Kafka said no");
        match fault.kind {
            FaultKind::Transient | FaultKind::Abortable => self.back_off(shared),
            FaultKind::Fenced => self.acquire_anew(shared),
            FaultKind::Fatal => Err(fault.into()),
        }
    }

    /// Tries again later, from where the store is.
    fn back_off<C: Client, W: Work<C>>(&mut self, shared: &mut Shared<'_, C, W>) -> Result<()> {
        self.counts.failures += 1;
        let progress = self.progress().unwrap_or(0);
        let failures = if self.failures.0 == progress { self.failures.1 } else { 0 };
        self.failures = (progress, failures.saturating_add(1));
        let wait = shared.settings.back_off.after(self.failures.1);
        let until = Instant::now() + wait;
        let acquiring = State::Acquiring { again: until, why: Why::Failed };
        self.state = match std::mem::replace(&mut self.state, acquiring) {
            State::Reading(open) | State::BackingOff { open, .. } => {
                State::BackingOff { open, until }
            }
            State::Acquiring { why, .. } => State::Acquiring { again: until, why },
        };
        self.gathered.clear();
        match shared.client.hold(&self.name) {
            Err(fault) if fault.kind == FaultKind::Fatal => Err(fault.into()),
            // What comes all the same is not taken.
            _ => Ok(()),
        }
    }

    /// Closes the store and goes about the partition as if it had been assigned now, after a while.
    fn acquire_anew<C: Client, W: Work<C>>(&mut self, shared: &mut Shared<'_, C, W>) -> Result<()> {
        self.back_off(shared)?;
        shared.work.let_go(&self.name);
        if let State::BackingOff { until, .. } = self.state {
            let acquiring = State::Acquiring { again: until, why: Why::Failed };
            let state = std::mem::replace(&mut self.state, acquiring);
            close(&self.name, state);
        }
        Ok(())
    }

    /// The progress of the partition in its store.
    fn progress(&self) -> Option<u64> {
        // A store that has failed is acquired anew; its progress is not asked.
        self.state.open()?.store.progress(&self.source).unwrap_or(None)
    }

    /// Brings the group's offset in step with the store, if that is due.
    pub(crate) fn commit_offset<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        let progress = self.progress();
        let Some(open) = self.state.open() else { return Ok(()) };
        let due = open.committed.elapsed() >= shared.settings.commit_every;
        let moved = open.group_next != progress;
        if !due || progress.is_none() || !moved && open.confirmed {
            return Ok(());
        }
        // While messages come the next commit makes good for one that failed; after the last there is time to wait.
        match self.tell_group(shared, !moved) {
            Err(WorkError::Client(fault)) if fault.kind == FaultKind::Fenced => {
                self.acquire_anew(shared)
            }
            Err(WorkError::Client(fault)) if fault.kind == FaultKind::Fatal => Err(fault.into()),
            // No message may come that would notice.
            Err(WorkError::Store(firstseen::Error::Poisoned { .. })) => self.acquire_anew(shared),
            Err(error) => {
                tracing::warn!(partition = %self.name, %error, "the group's offset stays behind");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Commits the store's progress as the group's offset. `false` if there is none, or something is in doubt.
    fn tell_group<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
        wait: bool,
    ) -> Result<bool, WorkError> {
        let (State::Reading(open) | State::BackingOff { open, .. }) = &mut self.state else {
            return Ok(false);
        };
        if open.in_doubt() > 0 {
            // The group's word of that batch may be all that tells whether it was done.
            return Ok(false);
        }
        let Some(next) = open.store.progress(&self.source)? else { return Ok(false) };
        open.committed = Instant::now();
        let committed = Committed { next, metadata: open.tenure.metadata(None) };
        let mut owned = owned(&self.name, open, shared.client);
        shared.work.commit_offset(&mut owned, &committed, wait)?;
        open.confirmed = wait;
        Ok(true)
    }

    /// Gives the partition up to its next owner: what was gathered and not worked on is that one's.
    pub(crate) fn release<C: Client, W: Work<C>>(mut self, shared: &mut Shared<'_, C, W>) {
        self.gathered.clear();
        match self.tell_group(shared, true) {
            // The broker has just said that the partition is ours still: this is the last store there is of it.
            Ok(true) => {
                if let Err(error) = self.ship(shared.settings) {
                    tracing::warn!(partition = %self.name, %error, "its store was not shipped");
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(partition = %self.name, %error, "it was somebody else's already");
            }
        }
        self.abandon(shared);
    }

    /// Lets go of a partition that may be somebody else's already.
    pub(crate) fn abandon<C: Client, W: Work<C>>(self, shared: &mut Shared<'_, C, W>) {
        shared.work.let_go(&self.name);
        close(&self.name, self.state);
    }

    /// Takes note of what the partition holds. What is to be read next may have been deleted, or never have been
    /// in a topic that was made anew.
    pub(crate) fn note_bounds<C: Client, W: Work<C>>(
        &mut self,
        bounds: Bounds,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        self.counts.end = bounds.end;
        let next = self.gathered.next_offset().max(self.progress());
        let gone = |next| next < bounds.first || next > bounds.end;
        match (&self.state, next) {
            (State::Reading(_), Some(next)) if gone(next) => self.acquire_anew(shared),
            _ => Ok(()),
        }
    }

    /// What there is to be told of it.
    pub(crate) fn metrics(&self) -> PartitionMetrics {
        let state = match &self.state {
            State::Acquiring { why, .. } => PartitionState::Acquiring(why.to_string()),
            State::Reading(_) => PartitionState::Reading,
            State::BackingOff { .. } => PartitionState::BackingOff,
        };
        let progress = self.progress();
        let in_doubt = self.state.open().map_or(0, Open::in_doubt);
        let Counts {
            messages,
            new,
            duplicates,
            replays,
            lates,
            dead_letters,
            failures,
            settled,
            end,
        } = self.counts;
        PartitionMetrics {
            partition: self.name.clone(),
            state,
            progress,
            lag: progress.map(|progress| end.saturating_sub(progress)),
            messages,
            new,
            duplicates,
            replays,
            lates,
            dead_letters,
            failures,
            in_doubt,
            settled,
        }
    }
}

/// The partition as a way of working sees it.
fn owned<'a, C>(name: &'a TopicPartition, open: &'a mut Open, client: &'a mut C) -> Owned<'a, C> {
    let Open { store, tenure, group_next, .. } = open;
    Owned { partition: name, store, tenure, client, group_next }
}

/// Closes the store of a partition, if it is open. What it had committed stands whatever closing says.
fn close(name: &TopicPartition, state: State) {
    let (State::Reading(open) | State::BackingOff { open, .. }) = state else { return };
    if let Err(error) = open.store.close() {
        tracing::warn!(partition = %name, %error, "closing its store failed");
    }
}

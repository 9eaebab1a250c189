//! The loop: messages to partitions, partitions to their next step, changes of the assignment in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, Fault, FaultKind, Inbox, Rebalance};
use crate::error::Result;
use crate::message::{Message, TopicPartition};
use crate::metrics::Metrics;
use crate::partition::{Partition, Shared};
use crate::select::Selected;
use crate::settings::Settings;
use crate::work::Work;

/// The longest that the loop waits for messages, and so for anything else that changes.
const POLL_MOST: Duration = Duration::from_millis(100);
/// How often it is asked what partitions hold, by which lag is told.
const BOUNDS_EVERY: Duration = Duration::from_secs(5);

/// A member of a group that works on each message of its partitions once.
///
/// One thread, that of [`Consumer::run`], does everything: messages of one partition are worked on in their
/// order. Give a process several consumers to use several cores.
///
/// Dropped, it closes its stores; what was gathered and not worked on is read again by the next owner.
#[derive(Debug)]
pub struct Consumer<C: Client, W> {
    client: C,
    work: W,
    settings: Settings,
    partitions: Vec<Partition>,
    selected: Selected,
    stop: Arc<AtomicBool>,
    totals: Metrics,
    bounds_asked: Option<Instant>,
}

/// Stops a consumer from another thread, or from a signal's handler.
#[derive(Debug, Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Lets the consumer work on what it has gathered, commit, leave its group and return from
    /// [`Consumer::run`].
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<C: Client, W: Work<C>> Consumer<C, W> {
    /// A consumer that reads by `client` and works by `work`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting); [`Error::Store`](crate::Error::Store) if threads cannot be started.
    pub fn new(client: C, work: W, mut settings: Settings) -> Result<Consumer<C, W>> {
        settings.validate()?;
        settings.make_set()?;
        Ok(Consumer {
            client,
            work,
            settings,
            partitions: Vec::new(),
            selected: Selected::default(),
            stop: Arc::default(),
            totals: Metrics::default(),
            bounds_asked: None,
        })
    }

    /// What stops it.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        Stop(Arc::clone(&self.stop))
    }

    /// Works until it is [stopped](Stop).
    ///
    /// # Errors
    ///
    /// What cannot be waited out: see [`Error`](crate::Error). What was committed stands.
    pub fn run(&mut self) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            self.step()?;
        }
        self.shut_down()
    }

    /// Waits for messages for a moment, and does what is due. For whoever has a loop of his own; end it with
    /// [`Consumer::shut_down`].
    ///
    /// # Errors
    ///
    /// As [`Consumer::run`].
    pub fn step(&mut self) -> Result<()> {
        let timeout = self.until_due();
        let Consumer { partitions, settings, .. } = self;
        let mut inbox = Sorting { partitions, settings, last: 0 };
        match self.client.poll(timeout, &mut inbox) {
            Ok(Some(change)) => self.rebalance(change)?,
            Ok(None) => {}
            Err(fault) if fault.kind == FaultKind::Transient => {
                tracing::warn!(%fault, "polling failed");
            }
            Err(fault) => return Err(fault.into()),
        }
        self.ask_for_bounds()?;
        self.for_each(|partition, shared| partition.step(shared))?;
        self.relieve()?;
        self.for_each(|partition, shared| partition.commit_offset(shared))
    }

    /// Works on what was gathered, commits, and leaves the group.
    ///
    /// # Errors
    ///
    /// As [`Consumer::run`].
    pub fn shut_down(&mut self) -> Result<()> {
        self.for_each(|partition, shared| partition.process_now(shared))?;
        again(|| self.client.leave())?;
        let started = Instant::now();
        while !self.partitions.is_empty() && started.elapsed() < LEAVING_MOST {
            let mut nobody = Sorting { partitions: &mut [], settings: &self.settings, last: 0 };
            match self.client.poll(POLL_MOST, &mut nobody) {
                Ok(Some(change)) => self.rebalance(change)?,
                Err(fault) if fault.kind != FaultKind::Transient => return Err(fault.into()),
                Ok(None) | Err(_) => {}
            }
        }
        // A group that does not answer learns of it when the client is gone.
        let left = std::mem::take(&mut self.partitions);
        self.let_go(left, false);
        Ok(())
    }

    /// What there is to be told of its partitions.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let partitions = self.partitions.iter().map(Partition::metrics).collect();
        Metrics { partitions, ..self.totals.clone() }
    }

    /// How long to wait for messages before something else is due.
    fn until_due(&self) -> Duration {
        let due =
            self.partitions.iter().filter_map(|partition| partition.due(&self.settings)).min();
        let now = Instant::now();
        due.map_or(POLL_MOST, |due| due.saturating_duration_since(now).min(POLL_MOST))
    }

    fn for_each(
        &mut self,
        mut act: impl FnMut(&mut Partition, &mut Shared<'_, C, W>) -> Result<()>,
    ) -> Result<()> {
        let Consumer { client, work, settings, partitions, selected, .. } = self;
        let mut shared = Shared { client, work, settings, selected };
        partitions.iter_mut().try_for_each(|partition| act(partition, &mut shared))
    }

    /// Works on what the fullest partition has gathered while more is gathered than may be.
    fn relieve(&mut self) -> Result<()> {
        loop {
            let buffered: usize = self.partitions.iter().map(Partition::buffered).sum();
            if buffered <= self.settings.buffer_bytes {
                return Ok(());
            }
            let longest = self.partitions.iter().map(Partition::buffered).max().unwrap_or(0);
            self.for_each(|partition, shared| match partition.buffered() == longest {
                true => partition.process_now(shared),
                false => Ok(()),
            })?;
        }
    }

    fn rebalance(&mut self, change: Rebalance) -> Result<()> {
        match change {
            Rebalance::Assigned(names) => {
                tracing::info!(partitions = ?names, "assigned");
                self.totals.assigned += names.len() as u64;
                again(|| self.client.accept(&names))?;
                let known = |name: &TopicPartition| self.partitions.iter().any(|p| p.name == *name);
                let new: Vec<Partition> =
                    names.into_iter().filter(|name| !known(name)).map(Partition::new).collect();
                self.partitions.extend(new);
            }
            Rebalance::Revoked(names) => {
                tracing::info!(partitions = ?names, "revoked");
                self.totals.revoked += names.len() as u64;
                self.part_with(&names, true)?;
            }
            Rebalance::Lost(names) => {
                tracing::warn!(partitions = ?names, "lost");
                self.totals.lost += names.len() as u64;
                self.part_with(&names, false)?;
            }
        }
        Ok(())
    }

    /// Lets go of the partitions of these names, and answers the group.
    fn part_with(&mut self, names: &[TopicPartition], ours: bool) -> Result<()> {
        let all = std::mem::take(&mut self.partitions);
        let (gone, kept) = all.into_iter().partition(|partition| names.contains(&partition.name));
        self.partitions = kept;
        self.let_go(gone, ours);
        Ok(again(|| self.client.give_up(names))?)
    }

    /// Lets go of partitions: with all courtesy to the next owner if they are still ours.
    fn let_go(&mut self, gone: Vec<Partition>, ours: bool) {
        let Consumer { client, work, settings, selected, .. } = self;
        let mut shared = Shared { client, work, settings, selected };
        for partition in gone {
            match ours {
                true => partition.release(&mut shared),
                false => partition.abandon(&mut shared),
            }
        }
    }

    /// Asks what partitions hold, now and then.
    fn ask_for_bounds(&mut self) -> Result<()> {
        if self.bounds_asked.is_some_and(|asked| asked.elapsed() < BOUNDS_EVERY) {
            return Ok(());
        }
        self.bounds_asked = Some(Instant::now());
        self.for_each(|partition, shared| match shared.client.bounds(&partition.name) {
            Ok(bounds) => partition.note_bounds(bounds, shared),
            // A broker that is away is noticed by what needs it.
            Err(_) => Ok(()),
        })
    }
}

/// How long leaving the group may take.
const LEAVING_MOST: Duration = Duration::from_secs(10);

/// How long a call about the assignment is tried, which nothing can go on without. A member that does not poll for
/// longer is taken for dead.
const ASSIGNING_MOST: Duration = Duration::from_secs(240);
/// How long it rests in between.
const ASSIGNING_REST: Duration = Duration::from_millis(100);

/// Makes a call until it is done, or fails in a way that does not pass.
fn again(mut call: impl FnMut() -> Result<(), Fault>) -> Result<(), Fault> {
    let started = Instant::now();
    loop {
        match call() {
            Err(fault)
                if fault.kind == FaultKind::Transient && started.elapsed() < ASSIGNING_MOST =>
            {
                tracing::warn!(%fault, "the assignment is not done yet");
                std::thread::sleep(ASSIGNING_REST);
            }
            done => return done,
        }
    }
}

/// Gives messages to their partitions. Most come from the partition of the one before.
struct Sorting<'a> {
    partitions: &'a mut [Partition],
    settings: &'a Settings,
    last: usize,
}

impl Inbox for Sorting<'_> {
    fn take(&mut self, topic: &str, partition: i32, message: &Message<'_>) {
        let is = |p: &Partition| p.name.partition == partition && &*p.name.topic == topic;
        if !self.partitions.get(self.last).is_some_and(is) {
            match self.partitions.iter().position(is) {
                Some(found) => self.last = found,
                // It was given up, and this was on its way.
                None => return,
            }
        }
        self.partitions[self.last].take(message, self.settings);
    }
}

//! From a partition that was assigned to one that is read.
//!
//! 1. Open its store, if there is one. It may be open elsewhere still: then wait.
//! 2. End what its last owner may have left open elsewhere; then ask the group who that was, and whether we are a
//!    member still.
//! 3. Shut the last owner out of other systems, for it may live. If the store does not have all that was done: fetch
//!    the one that was shipped, add what a history knows, or do as [`OnIncomplete`] says.
//! 4. Settle what was left in doubt between the store and another system.
//! 5. Write a new tenure into the store, then commit it to the group: from now on every other store of the
//!    partition is stale.
//! 6. Read from the store's progress.
//!
//! Whatever fails, or dies, leaves nothing that a second try does not find as the first did.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use firstseen::{Past, Store, Timestamp};

use super::{Open, Partition, Shared, State, owned};
use crate::client::{Client, Committed, Fault, FaultKind};
use crate::error::{BoxError, Error, Result};
use crate::handover::{OnIncomplete, remove, sync};
use crate::history::Done;
use crate::message::TopicPartition;
use crate::settings::{Settings, Start};
use crate::tenure::{Kept, Standing, Tenure, standing};
use crate::work::{Work, WorkError};

/// Why a partition is not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was assigned just now.
    New,
    /// Its store is open elsewhere.
    Locked,
    /// Not all that was done is known.
    Incomplete(String),
    /// Something failed and is tried again.
    Failed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::New => f.write_str("it was assigned just now"),
            Why::Locked => f.write_str("its store is open elsewhere"),
            Why::Incomplete(what) => write!(f, "window incomplete: {what}"),
            Why::Failed => f.write_str("something failed and is tried again"),
        }
    }
}

/// What stopped an acquisition.
enum Stopped {
    /// It is tried again after a while.
    Wait(Why),
    /// The same, after how long [`OnIncomplete`] says.
    Incomplete(String),
    Client(Fault),
    Work(WorkError),
    Fatal(Error),
}

impl From<firstseen::Error> for Stopped {
    fn from(error: firstseen::Error) -> Stopped {
        match error {
            firstseen::Error::Locked { .. } => Stopped::Wait(Why::Locked),
            firstseen::Error::DiskFull { .. } | firstseen::Error::Poisoned { .. } => {
                Stopped::Wait(Why::Failed)
            }
            error => Stopped::Fatal(error.into()),
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        match error {
            Error::Store(error) => error.into(),
            error => Stopped::Fatal(error),
        }
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped::Client(fault)
    }
}

impl Partition {
    /// Tries to get at the store of the partition and to read on.
    pub(super) fn acquire<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<()> {
        match self.try_acquire(shared) {
            Ok(open) => {
                tracing::info!(partition = %self.name, tenure = %open.tenure, "reads a partition");
                self.gathered.clear();
                self.state = State::Reading(open);
                Ok(())
            }
            Err(Stopped::Fatal(error)) => Err(error),
            Err(Stopped::Client(fault) | Stopped::Work(WorkError::Client(fault)))
                if fault.kind == FaultKind::Fatal =>
            {
                Err(fault.into())
            }
            Err(stopped) => {
                shared.work.let_go(&self.name);
                self.wait_for(stopped, shared.settings);
                Ok(())
            }
        }
    }

    /// Notes what the partition waits for, and until when.
    fn wait_for(&mut self, stopped: Stopped, settings: &Settings) {
        self.failures.1 = self.failures.1.saturating_add(1);
        let mut wait = settings.back_off.after(self.failures.1);
        let why = match stopped {
            Stopped::Wait(Why::Locked) => {
                // Who has it is about to let go; its death frees it at once.
                wait = settings.back_off.first;
                Why::Locked
            }
            Stopped::Wait(why) => why,
            Stopped::Incomplete(what) => {
                if let OnIncomplete::Wait(every) = settings.on_incomplete {
                    wait = every;
                }
                Why::Incomplete(what)
            }
            Stopped::Client(_) | Stopped::Work(_) | Stopped::Fatal(_) => Why::Failed,
        };
        tracing::warn!(partition = %self.name, %why, ?wait, "the partition is not read yet");
        self.state = State::Acquiring { again: Instant::now() + wait, why };
    }

    fn try_acquire<C: Client, W: Work<C>>(
        &mut self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<Open, Stopped> {
        let own = open_own(shared.settings, &self.name)?;
        let committed = self.ask_group(shared)?;
        let parsed = committed.as_ref().and_then(|found| Tenure::parse(&found.metadata));
        let group = parsed.map(|(tenure, _)| tenure);
        if let Some(said) = &committed {
            // Again, as it is: who is no member any more is told so here, before it disturbs its successor.
            shared.client.commit(&self.name, said, true)?;
        }
        let kept = own.as_ref().map(Kept::read).transpose()?.flatten();
        let least = Tenure::least_after(group.as_ref(), kept.as_ref());
        shared.work.fence(&self.name, least).map_err(Stopped::Work)?;
        let said = GroupSays { committed: committed.as_ref(), tenure: group.as_ref() };
        let wanted = Wanted {
            partition: &self.name,
            source: &self.source,
            all_in_store: shared.work.is_all_in_store(),
        };
        let (store, complete) = wanted.find(shared.settings, &said, own)?;
        let kept = Kept::read(&store)?;
        let tenure = Tenure::after(group.as_ref(), kept.as_ref());
        let tenure = tenure.map_err(|source| Error::Folder {
            op: "draw a name for an owner of",
            path: shared.settings.folder_of(&self.name),
            source,
        })?;
        let committed_next = committed.as_ref().map(|committed| committed.next);
        let mut open = Open {
            store,
            tenure,
            group_next: committed_next,
            committed: Instant::now(),
            confirmed: false,
        };
        let in_doubt = open.in_doubt();
        let settled = shared.work.settle(&mut owned(&self.name, &mut open, shared.client));
        settled.map_err(|error| match error {
            WorkError::Store(error) => error.into(),
            error => Stopped::Work(error),
        })?;
        self.counts.settled += in_doubt;
        if !complete {
            go_on_at_group(&open.store, &self.source, &said)?;
        }
        let next = self.next_to_read(&open, shared, &said)?;
        Kept::write(&open.store, &open.tenure, group.as_ref(), (&self.source, next))?;
        let committed = Committed { next, metadata: open.tenure.metadata(None) };
        let mut owner = owned(&self.name, &mut open, shared.client);
        let committed = shared.work.commit_offset(&mut owner, &committed, true);
        committed.map_err(Stopped::Work)?;
        open.confirmed = true;
        shared.client.read_from(&self.name, next)?;
        Ok(open)
    }

    /// What the group has committed. What the last owner has left open over it keeps the answer back, so that is
    /// ended first: when the partition has just been assigned, and later only where it does. Who was a
    /// member and does not know that it is none any more does not end what its successor has open.
    fn ask_group<C: Client, W: Work<C>>(
        &self,
        shared: &mut Shared<'_, C, W>,
    ) -> Result<Option<Committed>, Stopped> {
        let new = matches!(self.state, State::Acquiring { why: Why::New, .. });
        if new {
            shared.work.take_over(&self.name).map_err(Stopped::Work)?;
        }
        let asked = shared.client.committed(&self.name);
        if !new && matches!(&asked, Err(fault) if fault.kind == FaultKind::Transient) {
            shared.work.take_over(&self.name).map_err(Stopped::Work)?;
            return Ok(shared.client.committed(&self.name)?);
        }
        Ok(asked?)
    }

    /// The offset from which the partition is read, once it is known that it is there.
    fn next_to_read<C: Client, W>(
        &mut self,
        open: &Open,
        shared: &mut Shared<'_, C, W>,
        said: &GroupSays<'_>,
    ) -> Result<u64, Stopped> {
        let bounds = shared.client.bounds(&self.name)?;
        self.counts.end = bounds.end;
        let known = open.store.progress(&self.source)?;
        let Some(next) = known.or(said.committed.map(|committed| committed.next)) else {
            return Ok(match shared.settings.start {
                Start::First => bounds.first,
                Start::Next => bounds.end,
            });
        };
        if (bounds.first..=bounds.end).contains(&next) {
            return Ok(next);
        }
        let (first, end) = (bounds.first, bounds.end);
        let what = format!("offset {next} is to be read, and the broker keeps {first} to {end}");
        if shared.settings.on_incomplete != OnIncomplete::Pass {
            return Err(Stopped::Incomplete(what));
        }
        tracing::warn!(partition = %self.name, what, "messages are passed");
        let next = next.clamp(first, end);
        let mut tx = open.store.begin::<&[u8]>(&[])?;
        tx.rewind_progress(&self.source, next);
        tx.commit()?;
        Ok(next)
    }

    /// Puts a checkpoint of the store where the next owner fetches it.
    pub(super) fn ship(&self, settings: &mut Settings) -> Result<(), BoxError> {
        let Some(open) = self.state.open() else { return Ok(()) };
        let checkpoint = beside(&settings.folder_of(&self.name), "leaving");
        let Some(archive) = &mut settings.hooks.archive else { return Ok(()) };
        remove(&checkpoint)?;
        open.store.checkpoint(&checkpoint)?;
        archive.put(&self.name, &checkpoint)?;
        Ok(remove(&checkpoint)?)
    }
}

/// What the group says of a partition.
struct GroupSays<'a> {
    committed: Option<&'a Committed>,
    tenure: Option<&'a Tenure>,
}

impl GroupSays<'_> {
    fn standing(&self, store: Option<&Store>) -> Result<Standing> {
        let kept = store.map(Kept::read).transpose()?.flatten();
        Ok(standing(kept.as_ref(), self.tenure, self.committed.is_some()))
    }
}

/// The store that is in the partition's folder, whatever it is worth.
fn open_own(settings: &Settings, partition: &TopicPartition) -> Result<Option<Store>, Stopped> {
    let folder = settings.folder_of(partition);
    Ok(match folder.exists() {
        true => Some(settings.builder().open(&folder)?),
        false => None,
    })
}

/// The store that is looked for.
struct Wanted<'a> {
    partition: &'a TopicPartition,
    source: &'a str,
    /// Whether a store from before is as good, for reading on from its progress does again what it lacks.
    all_in_store: bool,
}

impl Wanted<'_> {
    /// Finds or makes a store, and says whether it has all that was done.
    fn find(
        &self,
        settings: &mut Settings,
        said: &GroupSays<'_>,
        own: Option<Store>,
    ) -> Result<(Store, bool), Stopped> {
        let folder = settings.folder_of(self.partition);
        let open = |settings: &Settings| settings.builder().open(&folder);
        if said.standing(own.as_ref())? != Standing::Stale {
            return Ok((own.map_or_else(|| open(settings), Ok)?, true));
        }
        let coming = beside(&folder, "coming");
        remove(&coming).map_err(|source| folder_error("remove", &coming, source))?;
        if let Some(complete) = self.hand_over(settings, said, own.as_ref(), &coming)? {
            complete.close()?;
            own.map_or(Ok(()), Store::close)?;
            put_in_place(&coming, &folder)?;
            return Ok((open(settings)?, true));
        }
        if let Some(own) = &own
            && self.all_in_store
            && own.progress(self.source)?.is_some()
        {
            return Ok((own.clone(), true));
        }
        if settings.on_incomplete != OnIncomplete::Pass {
            return Err(Stopped::Incomplete(match said.tenure {
                Some(tenure) => format!("the store of owner {tenure} is not here"),
                None => "the group has read it without a store".to_owned(),
            }));
        }
        tracing::warn!(partition = %self.partition, "goes on without all that was done");
        if own.is_none() && coming.exists() {
            // Something is known.
            put_in_place(&coming, &folder)?;
        }
        Ok((own.map_or_else(|| open(settings), Ok)?, false))
    }

    /// Gets a store that has all into the folder `coming` by what there is: an archive, a history, both.
    fn hand_over(
        &self,
        settings: &mut Settings,
        said: &GroupSays<'_>,
        own: Option<&Store>,
        coming: &Path,
    ) -> Result<Option<Store>, Stopped> {
        if let Some(shipped) = self.fetch(settings, coming)? {
            let further = match own {
                Some(own) => shipped.progress(self.source)? >= own.progress(self.source)?,
                None => true,
            };
            if said.standing(Some(&shipped))? != Standing::Stale || self.all_in_store && further {
                return Ok(Some(shipped));
            }
            let in_doubt = !shipped.in_doubt().is_empty();
            shipped.close()?;
            if in_doubt {
                // What another owner has long settled would keep its progress where it is.
                remove(coming).map_err(|source| folder_error("remove", coming, source))?;
            }
        }
        if self.all_in_store {
            // A history knows nothing of state.
            return Ok(None);
        }
        self.rebuild(settings, said, coming)
    }

    /// Opens the store that was shipped, if there is one that can be opened.
    fn fetch(&self, settings: &mut Settings, coming: &Path) -> Result<Option<Store>, Stopped> {
        let builder = settings.builder_aside();
        let Some(archive) = &mut settings.hooks.archive else { return Ok(None) };
        if !archive.fetch(self.partition, coming).map_err(|error| self.failed(&error))? {
            return Ok(None);
        }
        match builder.open(coming) {
            Ok(shipped) => Ok(Some(shipped)),
            Err(
                error @ (firstseen::Error::Corrupt(_) | firstseen::Error::WindowIncomplete { .. }),
            ) => {
                tracing::warn!(partition = %self.partition, %error, "what was shipped is damaged");
                remove(coming).map_err(|source| folder_error("remove", coming, source))?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn failed(&self, error: &BoxError) -> Stopped {
        tracing::warn!(partition = %self.partition, %error, "a store cannot be handed over yet");
        Stopped::Wait(Why::Failed)
    }

    /// Adds to what is in the folder `coming`, if anything is, what a history knows.
    fn rebuild(
        &self,
        settings: &mut Settings,
        said: &GroupSays<'_>,
        coming: &Path,
    ) -> Result<Option<Store>, Stopped> {
        let builder = settings.builder_aside();
        let Some(history) = &mut settings.hooks.history else { return Ok(None) };
        // By event time a store is as old as its last message: twice the window is enough if that came within one, and
        // else it takes all there is.
        for everything in [false, true] {
            let mut catch_up = builder.clone().catch_up(coming)?;
            let twice = Timestamp::now() - catch_up.window() * 2;
            let needed = match everything {
                false => catch_up.needed_since().max(twice),
                true => Timestamp::MIN,
            };
            let mut add = |done: &[Done]| -> Result<(), BoxError> {
                let past = done.iter().map(|done| Past {
                    id: done.id.as_slice(),
                    time: done.time,
                    position: done.position,
                });
                catch_up.add(self.source, &past.collect::<Vec<_>>())?;
                Ok(())
            };
            let covered = history.read(self.partition, needed, &mut add);
            let covered = covered.map_err(|error| self.failed(&error))?;
            if let Some(committed) = said.committed {
                catch_up.set_progress(self.source, committed.next)?;
            }
            let store = catch_up.finish(covered)?;
            if store.effective_window() >= store.window() {
                return Ok(Some(store));
            }
            store.close()?;
            if covered > needed {
                break;
            }
        }
        Ok(None)
    }
}

/// Lets a store that does not have all go on where the group stands.
fn go_on_at_group(store: &Store, source: &str, said: &GroupSays<'_>) -> Result<(), Stopped> {
    let Some(committed) = said.committed else { return Ok(()) };
    if store.progress(source)?.unwrap_or(0) < committed.next {
        let mut tx = store.begin::<&[u8]>(&[])?;
        tx.set_progress(source, committed.next);
        tx.commit()?;
    }
    Ok(())
}

/// Puts the folder of a complete store in the place of a stale one.
fn put_in_place(coming: &Path, folder: &Path) -> Result<(), Stopped> {
    let stale = beside(folder, "stale");
    remove(&stale).map_err(|source| folder_error("remove", &stale, source))?;
    if folder.exists() {
        fs::rename(folder, &stale).map_err(|source| folder_error("rename", folder, source))?;
    }
    fs::rename(coming, folder).map_err(|source| folder_error("rename", coming, source))?;
    let parent = folder.parent().unwrap_or(Path::new("."));
    sync(parent).map_err(|source| folder_error("sync", parent, source))
}

/// The folder beside a store's of that name.
fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.with_extension(name)
}

fn folder_error(op: &'static str, path: &Path, source: std::io::Error) -> Stopped {
    Stopped::Fatal(Error::Folder { op, path: path.to_path_buf(), source })
}

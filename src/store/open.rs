//! Opening: from whatever the last process left to a store that serves.
//!
//! 1. Refuse a folder that is something else, then take the lock.
//! 2. Read `STORE` and `MANIFEST`, or create them.
//! 3. Remove what no manifest lists: the remains of steps that were interrupted.
//! 4. Open the runs that the manifest lists.
//! 5. Replay the log segments that no run has replaced, and make sure that they are durable.
//! 6. Hold the clock against the last time that the store knew.
//! 7. Remove segments that do not follow on what was replayed, once no manifest counts on them.
//! 8. Serve. The window filter is built from the runs behind the callers' backs; until it is, the
//!    runs' own filters answer in its place.
//!
//! Nothing is changed on disk before 1 to 6 have succeeded, but for removals that the next opening
//! would do as well; so an opening that dies half-way, or fails, can be repeated.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::budget::{Budget, Sizes};
use super::catalog::{Catalog, write_file};
use super::catch_up::Begun;
use super::core::Core;
use super::layout::{NEVER_USED, backend_of, identity_of, read_state, read_store, time_source_of};
use super::options::{DEFAULT_WINDOW, Options};
use super::recover::{Base, Replayed, remove_dropped, replay_log};
use super::rotation::Rotation;
use super::transaction::{Fences, InDoubt, LoggedState, Positions};
use super::upkeep::Upkeep;
use crate::backend::{self, Sealed, Vault};
use crate::claim::{Claims, Mono, Ticket};
use crate::config::{Backend, Durability, TimeSource};
use crate::error::{Error, Result};
use crate::filter::WindowFilter;
use crate::format::commit::Item;
use crate::format::manifest::{CATCHING_UP, Manifest, RunEntry};
use crate::format::names;
use crate::format::superblock::Superblock;
use crate::identity::{Identity, IdentityKind};
use crate::index::Table;
use crate::log::{Log, Lsn};
use crate::planted::{Bug, planted};
use crate::state::State;
use crate::sync::gate::Gate;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex};
use crate::sys::{Lock, disk};
use crate::time::{Ticks, Timestamp, micros};
use crate::window::{Claiming, Forgotten, Frozen, MemTable, StoreClock, View};

/// A table whose log is in more segments than this, by frequent reopening, is sealed at opening.
const SEGMENTS_MAX: usize = 16;

/// What opening a store found and did: see [`Store::recovery`](crate::Store::recovery).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether the store was created.
    pub created: bool,
    /// Log segments that were replayed.
    pub segments: u64,
    /// Ids found in them.
    pub ids: u64,
    /// Bytes at the ends of segments that were dropped: calls that were never acknowledged, or, with
    /// [`Durability::Buffered`], not yet synced when the machine died.
    pub torn_bytes: u64,
    /// Files of interrupted steps that were removed.
    pub removed_files: u64,
    /// Runs that are missing and were accepted as such.
    pub missing_runs: u64,
    /// What the clock said.
    pub clock: ClockCheck,
    /// Whether a [catch-up](crate::CatchUp) was begun and not finished. The store has gaps, and
    /// [`Store::effective_window`](crate::Store::effective_window) counts from this opening.
    pub catch_up_abandoned: bool,
    /// How long it took.
    pub took: Duration,
}

/// The clock at opening, held against the last time that the store knew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockCheck {
    /// Nothing to remark.
    #[default]
    Steady,
    /// The clock stands this much before the last time the store knew. Store time goes on from that time, by
    /// the monotonic clock, until the wall clock has caught up: none is forgotten early.
    Behind(Duration),
    /// The clock stands this much, more than a window, after it: everything has expired. That is
    /// right if the store was closed for so long, and wrong if the clock is.
    Ahead(Duration),
}

impl Core {
    /// Opens the store in `dir`. See the module documentation for the steps.
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        budget: std::sync::Arc<Budget>,
    ) -> Result<Core> {
        let started = Instant::now();
        let mut recovery = Recovery::default();
        let storage = std::sync::Arc::clone(&options.storage);
        look_around(dir, &options)?;
        let lock = take_lock(dir, &options)?;
        // Once more: another process may have created the store before it gave up the lock.
        let found = look_around(dir, &options)?;
        let (superblock, mut catalog) = if found == Found::Store {
            let (superblock, manifest) = read_store(&*storage, dir)?;
            let catalog = std::sync::Arc::clone(&storage);
            let catalog = Catalog::new(catalog, dir, superblock.store, manifest);
            (superblock, catalog)
        } else {
            recovery.created = true;
            create_store(dir, &options)?
        };
        // The manifest may have been put in its place, and its writer died before that was durable:
        // nothing may be removed on its word before it is.
        storage.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        let kept = catalog.manifest.clone();
        check_kept(&mut catalog.manifest, &superblock, &options)?;
        // The share may change while all this goes on; what is made now is made by one value of it.
        let sizes = Sizes::new(&options, &budget);
        let vault = open_vault_of(dir, &options, sizes, &superblock, &mut catalog)?;
        recovery.removed_files = vault.remove_leftovers(&catalog.manifest)?
            + remove_leftovers(dir, &options, &catalog.manifest)?;
        let runs = open_runs(&*vault, &options, &mut catalog, &mut recovery)?;
        let forgotten = Forgotten::restore(&catalog.manifest.forgotten);
        // As full as a table can be: `active_ids` bounds what is filled from now on.
        let limit = Table::capacity(sizes.bucket_bits());
        let mut state = read_state(&*storage, dir, &superblock.store, catalog.manifest.state)?;
        let mut base = Base {
            forgotten: &forgotten,
            state: &mut state,
            table_limit: limit,
            bucket_bits: sizes.bucket_bits(),
        };
        let id = superblock.store;
        let replayed = replay_log(&*vault, &id, &catalog.manifest, &mut base, &mut recovery)?;
        replayed.note_end(&mut catalog.manifest);
        if planted(Bug::LogRemovedOnceReplayed) {
            let replaced = catalog.manifest.first_segment..replayed.next_segment;
            replaced.for_each(|number| drop(vault.remove_segment(number)));
        }
        let clock = check_clock(&options, &catalog.manifest, &replayed, &mut recovery)?;
        remove_dropped(&*vault, &replayed, &mut catalog, &mut recovery)?;
        let catch_up = mark_catch_up(&options, &mut catalog.manifest, &clock, &mut recovery);
        if (catalog.manifest.window, catalog.manifest.slices, catalog.manifest.complete_since)
            != (kept.window, kept.slices, kept.complete_since)
        {
            // What was chosen now holds also for whoever opens the store without choosing.
            catalog.install(|_| {})?;
        }
        let core = assemble(Parts {
            dir,
            options,
            budget,
            sizes,
            superblock,
            catalog,
            vault,
            runs,
            forgotten,
            state,
            replayed,
            clock,
            catch_up,
            lock,
            recovery: Recovery { took: started.elapsed(), ..recovery },
        })?;
        let Recovery { created, segments, ids, torn_bytes, took, .. } = core.recovery;
        let dir = dir.display();
        tracing::info!(%dir, created, segments, ids, torn_bytes, ?took, "opened a store");
        Ok(core)
    }
}

/// What is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Store,
}

/// Finds out whether there is a store, room for one, or something else.
fn look_around(dir: &Path, options: &Options) -> Result<Found> {
    let storage = &*options.storage;
    let entries = match storage.list(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|e| Error::io("read", dir, e))?,
    };
    let has = |name: &str| entries.iter().any(|entry| entry == name);
    let data = entries.iter().any(|entry| match names::parse(entry) {
        names::Kind::Fixed | names::Kind::Foreign => false,
        // Of somebody else, perhaps, where nothing else says that this is a store.
        names::Kind::Database => has(names::STORE),
        _ => true,
    });
    match (has(names::STORE), has(names::MANIFEST)) {
        (true, true) => return Ok(Found::Store),
        (false, true) => {
            return Err(Error::WindowIncomplete { missing: dir.join(names::STORE) });
        }
        (store, false) if data => {
            let name = if store { names::MANIFEST } else { names::STORE };
            return Err(Error::WindowIncomplete { missing: dir.join(name) });
        }
        // A creation that was interrupted: nothing was ever acknowledged.
        (_, false) => {}
    }
    let foreign = |entry: &&String| {
        matches!(names::parse(entry), names::Kind::Foreign | names::Kind::Database)
    };
    let foreign = entries.iter().find(foreign);
    let refuse = |found: String| Err(Error::NotAStore { path: dir.to_path_buf(), found });
    match foreign {
        Some(name) if !has(names::STORE) => refuse(format!("it has `{name}`")),
        _ if !options.create => refuse("there is none, and it is not to be created".into()),
        _ => {
            backend::check_backend(options.backend.unwrap_or_default(), storage)?;
            storage.create_dir(dir).map_err(|e| Error::io("create", dir, e))?;
            Ok(Found::Nothing)
        }
    }
}

fn take_lock(dir: &Path, options: &Options) -> Result<Box<dyn Lock>> {
    let path = dir.join(names::LOCK);
    let lock = options.storage.lock(&path).map_err(|e| Error::io("lock", &path, e))?;
    lock.ok_or_else(|| Error::Locked { path: dir.to_path_buf(), holder: disk::holder(&path) })
}

/// Opens the vault of the store. That of one whose manifest is the first was never used, and is made anew;
/// the second manifest says that it is there.
fn open_vault_of(
    dir: &Path,
    options: &Options,
    sizes: Sizes,
    superblock: &Superblock,
    catalog: &mut Catalog,
) -> Result<std::sync::Arc<dyn Vault>> {
    let kind = backend_of(superblock)?;
    let place = backend::Place {
        storage: &options.storage,
        dir,
        store: superblock.store,
        read_mode: options.read_mode,
        memory_budget: sizes.share(),
    };
    let create = kind != Backend::Mapped && catalog.manifest.sequence == NEVER_USED;
    if create {
        backend::remove_vault(&*options.storage, dir)?;
    }
    let vault = backend::open_vault(kind, &place, create)?;
    if create {
        vault.sync_names()?;
        catalog.install(|_| {})?;
    }
    Ok(vault)
}

/// Writes `STORE`, then `MANIFEST`: a store exists from the moment that both do.
fn create_store(dir: &Path, options: &Options) -> Result<(Superblock, Catalog)> {
    let storage = &*options.storage;
    let random = || storage.random().map_err(|e| Error::io("draw a key for", dir, e));
    let superblock = Superblock {
        store: random()?,
        identity: options.identity.unwrap_or_default().code(),
        key: if planted(Bug::IdentityUnkeyed) { [0; 16] } else { random()? },
        created: options.clock.wall().as_micros(),
        backend: options.backend.unwrap_or_default().code(),
    };
    let path = dir.join(names::STORE);
    let _ = storage.remove(&path);
    write_file(storage, &path, &superblock.encode())?;
    storage.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    let manifest = Manifest {
        sequence: 0,
        window: micros(options.window.unwrap_or(DEFAULT_WINDOW)),
        slices: options.generations,
        time_source: options.time.unwrap_or(TimeSource::System).code(),
        high_water: Timestamp::MIN,
        complete_since: if options.catching_up { CATCHING_UP } else { Timestamp::MIN },
        first_segment: 1,
        last_segment: 0,
        last_len: 0,
        state: 0,
        next_fence: 0,
        next_run: 1,
        next_generation: 1,
        generations: Vec::new(),
        runs: Vec::new(),
        forgotten: Vec::new(),
    };
    let storage = std::sync::Arc::clone(&options.storage);
    let mut catalog = Catalog::new(storage, dir, superblock.store, manifest);
    catalog.install(|_| {})?;
    Ok((superblock, catalog))
}

/// Holds the options against what the store keeps, and takes over what may change.
fn check_kept(manifest: &mut Manifest, superblock: &Superblock, options: &Options) -> Result<()> {
    let refuse = |option, reason| Err(Error::InvalidOption { option, reason });
    let kept = identity_of(superblock)?;
    if options.identity.is_some_and(|wanted| wanted != kept) {
        return refuse("identity", format!("the store was created with `{kept}`, and keeps it"));
    }
    let kept = backend_of(superblock)?;
    if options.backend.is_some_and(|wanted| wanted != kept) {
        let reason = format!(
            "the store was created with `{kept}`, and keeps it; `migrate` makes a copy with another"
        );
        return refuse("backend", reason);
    }
    let kept = time_source_of(manifest)?;
    if options.time.is_some_and(|wanted| wanted != kept) {
        return refuse("time", format!("the store was created with `{kept}`, and keeps it"));
    }
    if let Some(window) = options.window {
        manifest.window = micros(window);
    }
    manifest.window = manifest.window.max(1_000);
    manifest.slices = options.generations;
    Ok(())
}

/// Removes state files that the manifest does not name, and a manifest that was not finished.
fn remove_leftovers(dir: &Path, options: &Options, manifest: &Manifest) -> Result<u64> {
    let entries = options.storage.list(dir).map_err(|e| Error::io("read", dir, e))?;
    let mut removed = 0;
    for name in entries {
        let left_over = match names::parse(&name) {
            names::Kind::Fixed => name == names::MANIFEST_NEW,
            names::Kind::State(number) => number != manifest.state,
            _ => false,
        };
        if left_over {
            let path = dir.join(&name);
            options.storage.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Opens all runs, youngest first.
fn open_runs(
    vault: &dyn Vault,
    options: &Options,
    catalog: &mut Catalog,
    recovery: &mut Recovery,
) -> Result<Vec<std::sync::Arc<dyn Sealed>>> {
    let mut runs = Vec::new();
    let mut missing: Vec<RunEntry> = Vec::new();
    for entry in catalog.manifest.runs.iter().rev() {
        match vault.open_run(entry) {
            Err(Error::WindowIncomplete { .. }) if options.accept_incomplete => {
                missing.push(*entry);
            }
            opened => runs.push(opened?),
        }
    }
    accept_missing(&mut catalog.manifest, &missing);
    recovery.missing_runs = missing.len() as u64;
    Ok(runs)
}

/// Strikes missing runs from the manifest; what was seen before their generations' ends is unknown.
fn accept_missing(manifest: &mut Manifest, missing: &[RunEntry]) {
    for entry in missing {
        let generation = manifest.generations.iter().find(|g| g.number == entry.generation);
        let end = generation.map_or(manifest.high_water, |g| g.ticks.end());
        let known = end.min(manifest.high_water + Duration::from_micros(1));
        manifest.complete_since = manifest.complete_since.max(known);
        manifest.runs.retain(|run| run.number != entry.number);
        tracing::warn!(run = entry.number, "a run is missing; the window is shorter for it");
    }
    let runs = &manifest.runs;
    manifest.generations.retain(|g| runs.iter().any(|run| run.generation == g.number));
}

fn check_clock(
    options: &Options,
    manifest: &Manifest,
    replayed: &Replayed,
    recovery: &mut Recovery,
) -> Result<StoreClock> {
    let kept = TimeSource::from_code(manifest.time_source).expect("checked before");
    // A store that catches up lives in the time of what it is told.
    let source = if options.catching_up { TimeSource::Event } else { kept };
    let known = manifest.high_water.max(replayed.high_water);
    let now = options.clock.wall();
    if source == TimeSource::System && known > Timestamp::MIN {
        let (behind, ahead) = (known - now, now - known);
        if options.max_clock_jump.is_some_and(|most| ahead > most) {
            return Err(Error::ClockJumped { known, now });
        }
        if behind > Duration::from_secs(1) {
            recovery.clock = ClockCheck::Behind(behind);
            tracing::warn!(?behind, "the clock stands before the last time the store knew");
        } else if micros(ahead) > manifest.window {
            recovery.clock = ClockCheck::Ahead(ahead);
            tracing::warn!(?ahead, "the clock stands a window or more after the store's last time");
        }
    }
    let clock = std::sync::Arc::clone(&options.clock);
    Ok(StoreClock::new(clock, source, options.future_skew, known))
}

/// Marks the store as incomplete if it is opened to catch up. Whoever opens one of which a catch-up was not
/// finished knows all from now on.
fn mark_catch_up(
    options: &Options,
    manifest: &mut Manifest,
    clock: &StoreClock,
    recovery: &mut Recovery,
) -> Option<Begun> {
    let before = manifest.complete_since;
    if options.catching_up {
        manifest.complete_since = CATCHING_UP;
        let kept = TimeSource::from_code(manifest.time_source).expect("checked before");
        return Some(Begun::new(before, clock.high_water(), kept));
    }
    if before == CATCHING_UP {
        manifest.complete_since = clock.now() + Duration::from_micros(1);
        recovery.catch_up_abandoned = true;
        tracing::warn!("a catch-up was not finished; the window counts from now");
    }
    None
}

/// What [`assemble`] puts together.
struct Parts<'a> {
    dir: &'a Path,
    options: Options,
    budget: std::sync::Arc<Budget>,
    sizes: Sizes,
    superblock: Superblock,
    catalog: Catalog,
    vault: std::sync::Arc<dyn Vault>,
    runs: Vec<std::sync::Arc<dyn Sealed>>,
    forgotten: Forgotten,
    state: State,
    replayed: Replayed,
    clock: StoreClock,
    catch_up: Option<Begun>,
    lock: Box<dyn Lock>,
    recovery: Recovery,
}

fn assemble(parts: Parts<'_>) -> Result<Core> {
    let Parts { dir, options, sizes, superblock, mut catalog, runs, clock, mut replayed, .. } =
        parts;
    let kind = IdentityKind::from_code(superblock.identity).expect("checked before");
    let window = Duration::from_micros(catalog.manifest.window);
    let now = clock.now();
    let mut next_generation = catalog.manifest.next_generation.max(replayed.next_generation);
    let ticks = Ticks::new(now, window / options.generations);
    let goes_on = |mem: &mut MemTable| {
        mem.ticks.micros == ticks.micros
            && now < mem.ticks.end()
            && mem.segment_count() < SEGMENTS_MAX
    };
    let active = match replayed.tables.pop_if(goes_on) {
        Some(mem) => mem.with_limit(sizes.table_limit()),
        None => {
            let table = sizes.new_table();
            let table = table.map_err(|e| Error::io("allocate the active table of", dir, e))?;
            next_generation += 1;
            MemTable::new(table, next_generation - 1, ticks, sizes.table_limit())
        }
    };
    let previous = replayed.end();
    let frozen = replayed.tables.into_iter().rev().map(|mem| Frozen {
        mem: Arc::new(mem),
        lsn: Lsn::default(),
        in_filter: false,
    });
    let live = catalog.manifest.runs.iter().map(|run| run.records).sum();
    let (capacity, blocks) = sizes.filter(live);
    let filter = WindowFilter::new(blocks);
    let filter = Arc::new(filter.map_err(|e| Error::io("allocate the filter of", dir, e))?);
    // Best effort: an expiry frees more.
    let state_room = catalog.set_reserve_aside(parts.state.memory_bytes() as u64).unwrap_or(0);
    let complete_since = match parts.catch_up {
        // What is dropped meanwhile raises it; of the rest the end of the catch-up tells.
        Some(_) => Timestamp::MIN,
        None => catalog.manifest.complete_since,
    };
    let complete_since = AtomicU64::new(complete_since.as_micros());
    let fences = Fences::new(catalog.manifest.next_fence);
    let claims = Claims::new();
    let prepared = claim_prepared(&claims, &parts.state, Mono::now(&*options.clock));
    let upkeep = Upkeep::new(catalog, &filter, capacity);
    let view = View {
        active: Arc::new(active),
        segment: None,
        frozen: frozen.collect(),
        runs,
        filter,
        claiming: if claims.is_empty() { Claiming::Nobody } else { Claiming::Many },
    };
    Ok(Core {
        dir: dir.to_path_buf(),
        store: superblock.store,
        budget: parts.budget,
        vault: parts.vault,
        identity: Identity::new(kind, superblock.key),
        window,
        clock,
        gate: Gate::new(view),
        log: Log::new(options.durability == Durability::Sync),
        forgotten: parts.forgotten,
        claims,
        fences,
        state_room: AtomicU64::new(state_room),
        state: Mutex::new(LoggedState::new(parts.state)),
        prepared: Mutex::new(prepared),
        positions: Mutex::new(Positions::default()),
        complete_since,
        catch_up: parts.catch_up,
        rotation: Mutex::new(Rotation {
            next_segment: replayed.next_segment,
            next_generation,
            previous,
        }),
        cut_generation: AtomicBool::new(false),
        spares: Mutex::default(),
        upkeep: Mutex::new(upkeep),
        coldness: super::call::Coldness::default(),
        bell: super::bell::Bell::default(),
        pace: super::pace::Pace::default(),
        counters: super::counters::Counters::default(),
        closed: AtomicBool::new(false),
        recovery: parts.recovery,
        lock: Mutex::new(Some(parts.lock)),
        options,
    })
}

/// Claims the ids of what was prepared and not settled.
fn claim_prepared(claims: &Claims, state: &State, now: Mono) -> HashMap<Vec<u8>, InDoubt> {
    let in_doubt = state.in_doubt().map(|data| {
        let ticket = Arc::new(Ticket::recovered(data.fence(), now));
        let prepare = data.prepare();
        let (mut payloads, mut named) = (HashMap::new(), Vec::new());
        for item in prepare.commit().items() {
            match item {
                Item::Value { index, payload: Some(payload), .. } => {
                    payloads.insert(index, payload);
                }
                Item::Progress { source, next } => named.push((source.to_owned(), next)),
                _ => {}
            }
        }
        for (i, id) in (0..).zip(prepare.commit().ids()) {
            claims.restore(id, &ticket, payloads.get(&i).copied());
        }
        (prepare.token().to_vec(), InDoubt { ticket, records: None, named })
    });
    in_doubt.collect()
}

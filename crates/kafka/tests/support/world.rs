//! A cluster with orders in it, machines that consume them, and where their stores are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::MemoryDisk;
use firstseen::{Builder, Store, StoreSet, TimeSource};
use firstseen_kafka::testing::{Cluster, Process, Protocol};
use firstseen_kafka::{BackOff, Settings, handover::OnIncomplete};
use tempfile::TempDir;

use super::machine::Machine;
use super::orders::{PARTITIONS, TOPIC};
use super::sink::Ledger;
use super::ways::{Handed, OUT, Way};

pub const GROUP: &str = "shop";

/// How many messages a batch has at most.
pub const BATCH: usize = 4;

/// See the module documentation.
pub struct World {
    pub cluster: Cluster,
    pub ledger: Ledger,
    pub handed: Handed,
    folder: TempDir,
    /// What the stores are on; `None` is files.
    pub disk: Option<MemoryDisk>,
}

impl World {
    pub fn new(protocol: Protocol) -> World {
        let cluster = Cluster::new();
        cluster.create_topic(TOPIC, PARTITIONS);
        cluster.create_topic(OUT, 2);
        cluster.create_group(GROUP, &[TOPIC], protocol);
        World {
            cluster,
            ledger: Ledger::default(),
            handed: Handed::default(),
            folder: folder(),
            disk: None,
        }
    }

    /// A world whose stores are on a disk in memory. Consumers look for the folders of stores themselves, so those are
    /// there, and empty.
    pub fn on(disk: MemoryDisk, protocol: Protocol) -> World {
        let world = World::new(protocol);
        for partition in 0..PARTITIONS {
            fs::create_dir_all(world.store_folder("shared", partition)).unwrap();
        }
        World { disk: Some(disk), ..world }
    }

    /// The folder in which a machine of that name keeps its stores.
    pub fn folder_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Settings of a consumer with its stores in `folder`. Nothing waits.
    pub fn settings(&self, folder: &str) -> Settings {
        let instant = Duration::from_nanos(1);
        Settings::new(self.folder_of(folder))
            .set(&small())
            .store(self.builder())
            .batch_messages(BATCH)
            .linger(Duration::ZERO)
            .commit_every(Duration::ZERO)
            .back_off(BackOff { first: instant, most: instant })
            .on_incomplete(OnIncomplete::Wait(instant))
    }

    /// Starts a machine that shares the folder `shared` with others.
    pub fn start(&self, way: Way, process: Process) -> Machine {
        self.start_with(way, process, self.settings("shared"))
    }

    pub fn start_with(&self, way: Way, process: Process, settings: Settings) -> Machine {
        Machine::start(process, |process| way.consumer(self, process, settings))
    }

    /// Whether the group has committed everything that was written.
    pub fn is_consumed(&self) -> bool {
        (0..PARTITIONS).all(|partition| {
            let committed = self.cluster.committed(GROUP, TOPIC, partition);
            let end = self.cluster.bounds(TOPIC, partition).end;
            committed.is_some_and(|committed| committed.next >= end)
        })
    }

    /// Lets the session of a machine time out.
    pub fn expel(&self, process: &Process) {
        if let Some(member) = self.cluster.member_of(GROUP, process) {
            self.cluster.expel(GROUP, member);
        }
    }

    /// The store of a partition in a folder, which nobody has open.
    pub fn store(&self, folder: &str, partition: i32) -> Store {
        self.builder().open(self.store_folder(folder, partition)).unwrap()
    }

    fn store_folder(&self, folder: &str, partition: i32) -> PathBuf {
        self.folder_of(folder).join(format!("{TOPIC}-{partition}.seen"))
    }

    /// How stores are opened.
    pub fn builder(&self) -> Builder {
        let builder = Store::builder().time(TimeSource::Event).active_ids(1 << 10);
        let builder = builder.background(false);
        match &self.disk {
            Some(disk) => builder.storage(Arc::new(disk.clone())),
            None => builder,
        }
    }

    /// How often each order was counted, over the stores of a folder.
    pub fn counted_in_stores(&self, folder: &str) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for partition in 0..PARTITIONS {
            all.extend(counted_in(&self.store(folder, partition)));
        }
        all
    }
}

/// How often each order was counted in a store.
pub fn counted_in(store: &Store) -> BTreeMap<String, u64> {
    let found = store.scan_state("order").unwrap().into_iter();
    found.map(|(key, count)| (String::from_utf8(key).unwrap(), count[0].into())).collect()
}

/// The least memory that the stores of all partitions do with.
fn small() -> StoreSet {
    StoreSet::builder().memory_budget(64 << 20).threads(1).build().unwrap()
}

/// In memory where that is to be had: thousands of stores are opened.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

//! Where a store of the model test is, and what is left of it when it ends.

use std::fs;
use std::path::{Path, PathBuf};

use firstseen::{Backend, Builder, offline};
use tempfile::TempDir;

use super::*;

/// Where a store is.
pub enum Ground {
    Memory(MemoryDisk),
    Folder(Folder),
}

/// A folder of real files, beside others that the store was in before.
pub struct Folder {
    all: Arc<TempDir>,
    serial: u32,
    backend: Backend,
}

impl Ground {
    pub fn memory() -> Ground {
        Ground::Memory(MemoryDisk::new())
    }

    /// A new folder, in memory where the system has such.
    pub fn folder(backend: Backend) -> Ground {
        let memory = Path::new("/dev/shm");
        let mut named = tempfile::Builder::new();
        let named = named.prefix("firstseen-");
        let all = if memory.is_dir() { named.tempdir_in(memory) } else { named.tempdir() };
        Ground::Folder(Folder { all: Arc::new(all.unwrap()), serial: 0, backend })
    }

    pub fn dir(&self) -> PathBuf {
        match self {
            Ground::Memory(_) => "/store".into(),
            Ground::Folder(folder) => folder.dir(),
        }
    }

    /// How a store is opened there.
    pub fn builder(&self) -> Builder {
        match self {
            Ground::Memory(disk) => Store::builder().storage(Arc::new(disk.clone())),
            Ground::Folder(folder) => Store::builder().backend(folder.backend),
        }
    }

    /// Where the store is after such an end. What is told of it on the way goes to `heard`.
    pub fn after(
        &self,
        store: &Store,
        kind: Kind,
        choice: [u8; 3],
        heard: &mut Vec<String>,
    ) -> Ground {
        match self {
            Ground::Memory(disk) => {
                let seed = u64::from(u32::from_le_bytes([choice[0], choice[1], choice[2], 0]));
                Ground::Memory(match kind {
                    Kind::Close => {
                        store.clone().close().unwrap();
                        disk.clone()
                    }
                    Kind::Kill => disk.kill(),
                    Kind::PowerCut if seed % 3 == 0 => disk.crash(),
                    Kind::PowerCut => disk.crash_with(seed),
                    _ => unreachable!("{kind:?} is for real files"),
                })
            }
            Ground::Folder(folder) => Ground::Folder(folder.after(store, kind, choice, heard)),
        }
    }
}

impl Folder {
    fn dir(&self) -> PathBuf {
        self.all.path().join(self.serial.to_string())
    }

    /// The folder that comes next, which is not there yet.
    fn next(&self) -> Folder {
        Folder { all: Arc::clone(&self.all), serial: self.serial + 1, backend: self.backend }
    }

    fn other_backend(self) -> Folder {
        let backend = match self.backend {
            Backend::Mapped => Backend::Sled,
            _ => Backend::Mapped,
        };
        Folder { backend, ..self }
    }

    fn after(
        &self,
        store: &Store,
        kind: Kind,
        [how, more, _]: [u8; 3],
        heard: &mut Vec<String>,
    ) -> Folder {
        match (kind, how % 3) {
            (Kind::Close, _) => {
                let same = self.closed(store);
                if more.is_multiple_of(2) {
                    heard.push(look_into(&same.dir()));
                }
                same
            }
            (Kind::Kill, _) => self.killed(),
            (Kind::Checkpoint, 0) => {
                let next = self.next();
                store.checkpoint(next.dir()).unwrap();
                next
            }
            (Kind::Checkpoint, 1) => {
                let next = self.closed(store).next();
                offline::checkpoint(self.dir(), next.dir()).unwrap();
                next
            }
            (Kind::Checkpoint, _) => {
                let killed = self.killed();
                let next = killed.next();
                offline::restore(killed.dir(), next.dir()).unwrap();
                next
            }
            (Kind::Migrate, _) => {
                let left = if how % 3 == 0 { self.closed(store) } else { self.killed() };
                let from = left.dir();
                let next = left.next().other_backend();
                offline::migrate(from, next.dir(), next.backend).unwrap();
                if more.is_multiple_of(2) {
                    heard.push(look_into(&next.dir()));
                }
                next
            }
            (Kind::Transfer, _) => {
                let mut stream = Vec::new();
                let (records, next) = if how % 3 == 0 {
                    (store.export(&mut stream).unwrap(), self.next())
                } else {
                    let left = if how % 3 == 1 { self.closed(store) } else { self.killed() };
                    (offline::export(left.dir(), &mut stream).unwrap(), left.next())
                };
                let next = if more.is_multiple_of(2) { next } else { next.other_backend() };
                let imported =
                    offline::import_into(&mut stream.as_slice(), next.dir(), next.backend).unwrap();
                assert_eq!(imported, records);
                heard.push(format!("{records} records"));
                next
            }
            _ => unreachable!("{kind:?} is for a disk in memory"),
        }
    }

    /// The store was closed, and stays where it is.
    fn closed(&self, store: &Store) -> Folder {
        store.clone().close().unwrap();
        Folder { all: Arc::clone(&self.all), ..*self }
    }

    /// What the death of the process leaves: the files as they are now.
    fn killed(&self) -> Folder {
        let next = self.next();
        copy(&self.dir(), &next.dir());
        next
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// What can be told of a store that is closed, whatever its backend and its key. It is not damaged.
fn look_into(dir: &Path) -> String {
    let verified =
        offline::verify(dir, &mut |damage| panic!("damage after a clean end: {damage}")).unwrap();
    let mut times = Vec::new();
    let each = &mut |record: offline::Record| {
        times.push(record.first_seen);
        Ok(())
    };
    let dumped = offline::dump(dir, each).unwrap();
    times.sort_unstable();
    let state = offline::state(dir).unwrap();
    let found = offline::inspect(dir).unwrap();
    let ids = (found.ids_in_runs, found.ids_in_log);
    format!("{ids:?} {} {dumped} {times:?} {state:?}", verified.records)
}

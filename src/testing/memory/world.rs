//! The state behind a memory disk: names, files, and the names' way to the medium.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::content::Inode;
use super::plan::{Chance, Plan};

/// Which file each name means, by number.
type Names = BTreeMap<PathBuf, u64>;

/// A change of names. Each reaches the medium whole or not at all, a rename too.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(PathBuf, u64),
    Drop(PathBuf),
    Move { from: PathBuf, to: PathBuf, inode: u64 },
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Change::Put(path, inode) => drop(names.insert(path.clone(), *inode)),
            Change::Drop(path) => drop(names.remove(path)),
            Change::Move { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    /// The folder whose sync makes the change durable.
    fn dir(&self) -> Option<&Path> {
        match self {
            Change::Put(path, _) | Change::Drop(path) | Change::Move { to: path, .. } => {
                path.parent()
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) capacity: Option<u64>,
    /// What names and keys are drawn from, in place of the system's random source.
    pub(super) random: Option<Chance>,
    pub(super) locks: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    inodes: BTreeMap<u64, Inode>,
    inodes_created: u64,
    names: Names,
    durable_names: Names,
    /// Changes that no folder sync has covered, oldest first.
    pending: Vec<Change>,
}

impl World {
    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        if dir.ancestors().any(|part| self.names.contains_key(part)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    /// Folders are durable at once, and so is their removal.
    pub(super) fn remove_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        if !self.list(dir)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.dirs.remove(dir);
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check_dir(dir)?;
        let inside = self.names.keys().chain(&self.dirs).filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.check_free(path)?;
        let inode = self.inodes_created;
        self.inodes_created += 1;
        self.inodes.insert(inode, Inode::default());
        self.change(Change::Put(path.to_path_buf(), inode));
        Ok(inode)
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.check_dir(to.parent().unwrap_or(to))?;
        let [from, to] = [from, to].map(Path::to_path_buf);
        self.change(Change::Move { from, to, inode });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(Change::Drop(path.to_path_buf()));
        Ok(())
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.check_free(to)?;
        self.change(Change::Put(to.to_path_buf(), inode));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        let (covered, rest): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|change| change.dir() == Some(dir));
        covered.iter().for_each(|change| change.apply(&mut self.durable_names));
        self.pending = rest;
        self.collect();
        Ok(())
    }

    pub(super) fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes.get_mut(&number).expect("a file lives while a name or handle has it")
    }

    pub(super) fn close(&mut self, number: u64) {
        self.inode(number).handles -= 1;
        self.collect();
    }

    /// How long a file may get.
    pub(super) fn len_max(&mut self, number: u64) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let used = self.used();
        self.inode(number).len() + capacity.saturating_sub(used)
    }

    /// Bytes of all files. A removed one takes room for as long as it is open.
    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        let counts = |number: &u64, inode: &Inode| inode.handles > 0 || named.contains(number);
        let counted = self.inodes.iter().filter(|&(number, inode)| counts(number, inode));
        counted.map(|(_, inode)| inode.len()).sum()
    }

    /// What another process finds after this one was killed.
    pub(super) fn after_kill(&self) -> World {
        let inodes = self.inodes.iter().map(|(&number, inode)| (number, inode.after_kill()));
        let mut left = World {
            capacity: self.capacity,
            dirs: self.dirs.clone(),
            inodes: inodes.collect(),
            inodes_created: self.inodes_created,
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending: self.pending.clone(),
            ..World::default()
        };
        left.collect();
        left
    }

    /// What is found after a power cut; with a `chance`, some of what was not durable survives.
    pub(super) fn after_crash(&self, mut chance: Option<Chance>) -> World {
        let mut names = self.durable_names.clone();
        if let Some(chance) = &mut chance {
            for change in &self.pending {
                if chance.below(2) == 0 {
                    change.apply(&mut names);
                }
            }
        }
        let inodes = self.inodes.iter().map(|(&n, inode)| (n, inode.after_crash(chance.as_mut())));
        let mut left = World {
            capacity: self.capacity,
            dirs: self.dirs.clone(),
            inodes: inodes.collect(),
            inodes_created: self.inodes_created,
            durable_names: names.clone(),
            names,
            ..World::default()
        };
        left.collect();
        left
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        let exists = dir.file_name().is_none() || self.dirs.contains(dir);
        exists.then_some(()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn check_free(&self, path: &Path) -> io::Result<()> {
        self.check_dir(path.parent().unwrap_or(path))?;
        let taken = self.names.contains_key(path) || self.dirs.contains(path);
        (!taken).then_some(()).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    /// Forgets files that no name, no change on its way and no handle has.
    fn collect(&mut self) {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Put(_, inode) | Change::Move { inode, .. } => Some(inode),
            Change::Drop(_) => None,
        });
        let live: BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .chain(pending)
            .copied()
            .collect();
        self.inodes.retain(|number, inode| inode.handles > 0 || live.contains(number));
    }
}

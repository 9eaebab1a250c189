//! A limit on memory: a control group, of whichever version this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use crate::case::Promise;

const V1: &str = "/sys/fs/cgroup/memory";
const V2: &str = "/sys/fs/cgroup";

/// A group. It is removed when this is dropped; its processes must have ended.
#[derive(Debug)]
pub(crate) struct Group {
    dir: PathBuf,
    is_v2: bool,
}

/// What is lacking for one.
pub(crate) fn lacks() -> Option<String> {
    match Group::new(64 << 20) {
        Ok(_) => None,
        Err(error) => Some(format!("a control group for memory: {error}")),
    }
}

impl Group {
    /// A group whose processes may have so many bytes of memory, the pages of their files included.
    pub(crate) fn new(bytes: u64) -> Promise<Group> {
        let is_v2 = !Path::new(V1).join("memory.limit_in_bytes").exists();
        let name = format!("firstseen-torture-{}", process::id());
        let dir = Path::new(if is_v2 { V2 } else { V1 }).join(name);
        if is_v2 {
            // It is on already, or cannot be had: then the limit is refused below.
            let _ = fs::write(Path::new(V2).join("cgroup.subtree_control"), "+memory");
        }
        let said = |error: std::io::Error| format!("{}: {error}", dir.display());
        fs::create_dir_all(&dir).map_err(said)?;
        let group = Group { dir: dir.clone(), is_v2 };
        let limit = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(dir.join(limit), bytes.to_string()).map_err(said)?;
        Ok(group)
    }

    /// The file through which a process joins it.
    pub(crate) fn door(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// How often a process of it was killed because there was no memory left.
    pub(crate) fn kills(&self) -> u64 {
        let file = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let told = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let kills = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse().ok()).unwrap_or(0)
    }

    /// How often memory had to be taken back for the limit.
    pub(crate) fn squeezes(&self) -> u64 {
        if self.is_v2 {
            let told = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
            let max = told.lines().find_map(|line| line.strip_prefix("max "));
            return max.and_then(|max| max.trim().parse().ok()).unwrap_or(0);
        }
        let told = fs::read_to_string(self.dir.join("memory.failcnt")).unwrap_or_default();
        told.trim().parse().unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last process may be on its way out.
        for _ in 0..100 {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

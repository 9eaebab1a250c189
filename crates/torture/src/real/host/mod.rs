//! Disks, cuts and limits that this machine makes for us.
//!
//! | module | what it is |
//! |---|---|
//! | `place` | folders that are named after their process, so that what a dead one left is found |
//! | `mount` | mounted file systems, unmounted when dropped |
//! | `image` | an ext4 file system in a file, mounted through a loop device |
//! | `shutdown` | the power cut of a mounted file system |
//! | `filler` | a file that takes what is left of a disk |
//! | `cgroup` | a limit on memory |

pub(crate) mod cgroup;
pub(crate) mod filler;
pub(crate) mod image;
pub(crate) mod mount;
mod place;
mod shutdown;

use std::process::{Command, Stdio};

use crate::case::Promise;

/// Runs a program of the system. Gives what it printed.
fn run(program: &str, args: &[&str]) -> Promise<String> {
    let ran = Command::new(program).args(args).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("{program}: {error}"))?;
    match ran.status.success() {
        true => Ok(String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()),
        false => Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&ran.stderr))),
    }
}

/// What is lacking to mount file systems.
pub(crate) fn lacks_mounts() -> Option<String> {
    (!rustix::process::geteuid().is_root()).then(|| "root, to mount a file system".to_owned())
}

/// What is lacking for images of ext4.
pub(crate) fn lacks_images() -> Option<String> {
    let program =
        |name: &str, args: &[&str]| run(name, args).is_err().then(|| format!("the program {name}"));
    let control = std::path::Path::new("/dev/loop-control");
    lacks_mounts()
        .or_else(|| (!control.exists()).then(|| format!("{}", control.display())))
        .or_else(|| program("losetup", &["--version"]))
        .or_else(|| program("mkfs.ext4", &["-V"]))
}

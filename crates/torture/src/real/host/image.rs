//! An ext4 file system in a file, mounted through a loop device.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use super::mount::Mount;
use super::place::Place;
use super::{run, shutdown};
use crate::case::Promise;
use crate::support::Rng;

const PAGE: u64 = 4096;
/// How often a file system is started.
const PATIENCE: u32 = 200;

/// The file system and what it stands on, taken down when dropped, in the order of the fields.
#[derive(Debug)]
pub(crate) struct Image {
    mount: Option<Mount>,
    device: Device,
    point: PathBuf,
    /// Where the file lies, if it is not on a disk that somebody else made.
    _place: Option<Place>,
}

/// A loop device, detached when dropped.
#[derive(Debug)]
struct Device(PathBuf);

impl Image {
    /// An empty file system, mounted.
    pub(crate) fn new(bytes: u64) -> Promise<Image> {
        let place = Place::new()?;
        let (file, point) = (place.join("image"), place.join("mounted"));
        Image::in_file(&file, point, bytes, Some(place))
    }

    /// One whose file lies on a disk that is going to fail.
    pub(crate) fn on(disk: &Path, bytes: u64) -> Promise<Image> {
        let image = Image::in_file(&disk.join("image"), disk.join("mounted"), bytes, None)?;
        // Of a larger write that fails in part a loop device says that all of it is well.
        let name = image.device.0.file_name().unwrap_or_default().to_owned();
        let limit = Path::new("/sys/block").join(name).join("queue/max_sectors_kb");
        fs::write(&limit, "4").map_err(|error| format!("{}: {error}", limit.display()))?;
        Ok(image)
    }

    fn in_file(file: &Path, point: PathBuf, bytes: u64, place: Option<Place>) -> Promise<Image> {
        let said = |error: std::io::Error| format!("{}: {error}", file.display());
        File::create(file).and_then(|file| file.set_len(bytes)).map_err(said)?;
        let name = file.to_string_lossy();
        // What is not zeroed now would be written later, behind our back.
        let now = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", now, &name])?;
        let device = Device(PathBuf::from(run("losetup", &["--find", "--show", &name])?));
        let mut image = Image { mount: None, device, point, _place: place };
        image.mount()?;
        Ok(image)
    }

    fn mount(&mut self) -> Promise {
        self.mount = Some(Mount::new(&self.device.0, self.point.clone(), "ext4", "")?);
        Ok(())
    }

    /// Where it is mounted.
    pub(crate) fn point(&self) -> &Path {
        &self.point
    }

    /// Cuts its power: nothing reaches it any more. With or without what its journal has.
    pub(crate) fn cut(&self, with_journal: bool) -> Promise {
        let folder = File::open(&self.point).map_err(|error| error.to_string())?;
        shutdown::shut_down(&folder, with_journal).map_err(|error| format!("no cut: {error}"))
    }

    /// Whether it takes no write, not even of a name: it was cut, or has stopped itself after an error.
    pub(crate) fn is_stopped(&self) -> bool {
        let probe = self.point.join("probe");
        let stops = |error: &io::Error| error.kind() != io::ErrorKind::StorageFull;
        let written = File::create(&probe).and_then(|_| fs::remove_file(&probe));
        written.as_ref().err().is_some_and(stops)
    }

    /// Unmounts it and mounts it anew: what its journal has is replayed, and what only memory had is gone.
    pub(crate) fn restart(&mut self) -> Promise {
        for _ in 0..PATIENCE {
            self.mount.take().map_or(Ok(()), Mount::end)?;
            self.mount()?;
            if !self.is_stopped() {
                return Ok(());
            }
            // Whoever was just started with a copy of all mounts holds the one that was stopped.
            thread::sleep(Duration::from_millis(10));
        }
        Err("a file system that was stopped does not start again".to_owned())
    }

    /// Has some pages of its files written to it, in no order.
    pub(crate) fn write_some_pages(&self, random: &mut Rng) {
        let mut files = Vec::new();
        collect(&self.point, &mut files);
        for _ in 0..random.below(40) {
            if files.is_empty() {
                return;
            }
            let path = &files[random.below(files.len() as u64) as usize];
            // It may be gone by now.
            let Ok(file) = File::open(path) else { continue };
            let pages = file.metadata().map_or(0, |it| it.size().div_ceil(PAGE));
            // Writing to the medium is how the system takes the advice that a page is not needed.
            let (page, count) = (random.below(pages.max(1)), 1 + random.below(4));
            let length = std::num::NonZeroU64::new(count * PAGE);
            let _ = fadvise(&file, page * PAGE, length, Advice::DontNeed);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = run("losetup", &["-d", &self.0.to_string_lossy()]);
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

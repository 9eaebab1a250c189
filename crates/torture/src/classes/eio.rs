//! A sync that fails: the first one tells, and the second would say that all is well.

use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::real::host::filler::Filler;
use crate::real::host::image::Image;
use crate::real::host::lacks_images;
use crate::real::host::mount::MemoryDisk;
use crate::real::life::Life;
use crate::real::now;
use crate::real::setting::{Scene, Setting};
use crate::real::truth::{End, Truth};
use crate::real::verify::verify;
use crate::support::Rng;

/// The file system, and what its file may take of the disk that it lies on.
const BYTES: u64 = 96 << 20;
const DISK: u64 = 100 << 20;
/// How long a child may take to notice.
const NOTICED_WITHIN: Duration = Duration::from_millis(300);

pub(crate) struct Eio;

impl Class for Eio {
    fn name(&self) -> &'static str {
        "eio"
    }

    fn about(&self) -> &'static str {
        "the disk under an ext4 file system fails to write: after the first failed sync nothing is acknowledged"
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn lacks(&self) -> Option<String> {
        lacks_images()
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let disk = MemoryDisk::new(DISK)?;
        let mut image = Image::on(disk.point(), BYTES)?;
        let dir = image.point().join("store");
        let mut random = Rng::new(case.number() ^ 4);
        let setting = |life| Setting::draw(Scene::Eio, case.number(), life, &dir);
        let mut truth = Truth::new(setting(0).window, true);
        for life in 0..1 + random.below(4) {
            let setting = setting(life);
            let told = |wrong: String| format!("life {life}, {setting:?}: {wrong}");
            truth.begin_life(&setting);
            let mut child = Life::start(&setting.errand())?;
            child.wait_for("open")?;
            thread::sleep(Duration::from_millis(random.below(60)));
            // What the image has not taken from its disk yet cannot be had any more.
            let full_at = now();
            let filler = Filler::new(disk.point(), 0);
            let end = Instant::now() + NOTICED_WITHIN;
            while Instant::now() < end && child.runs() {
                thread::sleep(Duration::from_millis(1));
            }
            let death = child.kill()?;
            // A sync that is under way when ext4 gives its journal up may say that all is well: a block that was
            // set aside is written, and that it was is not. So then what returned since counts for nothing.
            let stopped = image.is_stopped();
            counts.add("disks that stopped", u64::from(stopped));
            let counts_until = if stopped { full_at } else { now() };
            let failed = truth.end_life(&death.said, End::Cut(counts_until), counts);
            let failed = failed.map_err(told)?;
            if let Some(failed) = &failed {
                failed.ensure_after(full_at).map_err(told)?;
                counts.add("failed syncs noticed", u64::from(failed.text.contains("os error 5")));
            }
            death.ensure_sound(failed.is_some()).map_err(told)?;
            drop(filler);
            // What only memory had is gone by this.
            image.restart()?;
            counts.add("disks that failed", 1);
            verify(&setting, &mut truth, &mut random, counts).map_err(told)?;
        }
        Ok(())
    }
}

//! Power cuts: the disk stops, with what the system has not written to it lost.

use std::time::Duration;

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::real::host::image::Image;
use crate::real::host::lacks_images;
use crate::real::life::Life;
use crate::real::now;
use crate::real::setting::{Scene, Setting};
use crate::real::truth::{End, Truth};
use crate::real::verify::verify;
use crate::support::Rng;

/// Room for a store, its checkpoints and the journal.
const BYTES: u64 = 96 << 20;
const LONGEST: Duration = Duration::from_millis(100);

pub(crate) struct Power;

impl Class for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn about(&self) -> &'static str {
        "an ext4 file system stops at any moment: what is left is what the durability promises"
    }

    fn weight(&self) -> u32 {
        6
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn lacks(&self) -> Option<String> {
        lacks_images()
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let mut image = Image::new(BYTES)?;
        let dir = image.point().join("store");
        let mut random = Rng::new(case.number() ^ 2);
        let setting = |life| Setting::draw(Scene::Power, case.number(), life, &dir);
        let mut truth = Truth::new(setting(0).window, false);
        for life in 0..4 + random.below(8) {
            let setting = setting(life);
            let told = |wrong: String| format!("life {life}, {setting:?}: {wrong}");
            truth.begin_life(&setting);
            let mut child = Life::start(&setting.errand())?;
            child.live_on(&mut random, LONGEST)?;
            // Some die as processes only, and the next finds what is not on the medium yet.
            if random.one_in(5) {
                let death = child.kill()?;
                let failed = truth.end_life(&death.said, End::Death, counts).map_err(told)?;
                failed.map_or(Ok(()), |failed| Err(told(failed.text)))?;
                death.ensure_sound(false).map_err(told)?;
                counts.add("kills", 1);
                continue;
            }
            if random.one_in(2) {
                image.write_some_pages(&mut random);
            }
            let cut_at = now();
            image.cut(random.one_in(2))?;
            let death = child.kill()?;
            let failed = truth.end_life(&death.said, End::Cut(cut_at), counts).map_err(told)?;
            let noticed = failed.is_some();
            failed.map_or(Ok(()), |failed| failed.ensure_after(cut_at)).map_err(told)?;
            death.ensure_sound(noticed).map_err(told)?;
            image.restart()?;
            counts.add("cuts", 1);
            verify(&setting, &mut truth, &mut random, counts).map_err(told)?;
        }
        Ok(())
    }
}

//! Processes that die: SIGKILL at any moment, also while the store is opened and recovers.

use std::time::Duration;

use crate::case::{Case, Counts, Promise};
use crate::class::Class;
use crate::real::life::Life;
use crate::real::setting::{Scene, Setting};
use crate::real::truth::{End, Truth};
use crate::real::verify::verify;
use crate::support::Rng;

const LONGEST: Duration = Duration::from_millis(60);

pub(crate) struct Kill;

impl Class for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "SIGKILL at any moment, again and again: nothing acknowledged is lost, nothing is half there"
    }

    fn weight(&self) -> u32 {
        6
    }

    fn run(&self, case: Case, counts: &mut Counts) -> Promise {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let dir = folder.path().join("store");
        let mut random = Rng::new(case.number() ^ 1);
        let setting = |life| Setting::draw(Scene::Kill, case.number(), life, &dir);
        let mut truth = Truth::new(setting(0).window, false);
        let lives = 5 + random.below(6);
        for life in 0..lives {
            let setting = setting(life);
            truth.begin_life(&setting);
            let mut child = Life::start(&setting.errand())?;
            child.live_on(&mut random, LONGEST)?;
            let death = child.kill()?;
            let told = |wrong: String| format!("life {life}, {setting:?}: {wrong}");
            let failed = truth.end_life(&death.said, End::Death, counts).map_err(told)?;
            failed.map_or(Ok(()), |failed| Err(told(failed.text)))?;
            death.ensure_sound(false).map_err(told)?;
            counts.add("kills", 1);
            // Else the next life finds what this one left.
            if life + 1 == lives || !random.one_in(3) {
                verify(&setting, &mut truth, &mut random, counts).map_err(told)?;
            }
        }
        Ok(())
    }
}

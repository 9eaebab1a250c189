//! How one life of a store is led. Parent and child draw it from the same numbers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use firstseen::{Backend, Builder, Durability, IdentityKind, ReadMode, Store, WriteMode};

use crate::support::Rng;

/// What the parent is going to do to the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Kill it.
    Kill,
    /// Cut the power of its disk.
    Power,
    /// Fill its disk.
    Full,
    /// Let a sync of its disk fail.
    Eio,
}

const SCENES: [(Scene, &str); 4] =
    [(Scene::Kill, "kill"), (Scene::Power, "power"), (Scene::Full, "full"), (Scene::Eio, "eio")];

/// How one life of a store is led.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    scene: Scene,
    case: u64,
    /// The folder of the store.
    pub(crate) dir: PathBuf,
    /// Which life of the store it is.
    pub(crate) life: u64,
    pub(crate) threads: u64,
    pub(crate) durability: Durability,
    pub(crate) backend: Backend,
    /// Short windows only: of ids older than this nothing is said.
    pub(crate) window: Option<Duration>,
    /// Whether nothing is done that syncs all that was acknowledged before, beside what the durability asks for.
    pub(super) quiet: bool,
    identity: IdentityKind,
    active_ids: usize,
    read_mode: ReadMode,
    write_mode: WriteMode,
}

impl Setting {
    /// The setting of a life. What the store keeps is the case's, the rest changes from life to life.
    pub(crate) fn draw(scene: Scene, case: u64, life: u64, dir: &Path) -> Setting {
        let mut kept = Rng::new(case);
        let identity = kept.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]);
        let sled = cfg!(feature = "sled") && kept.one_in(2);
        let window = kept.one_in(5).then(|| Duration::from_millis(200 + kept.below(600)));
        let mut random = Rng::new(case ^ (life + 1).rotate_left(40));
        let interval = Durability::Interval(Duration::from_millis(random.pick(&[2, 10, 40])));
        let durability = random.pick(&[Durability::Buffered, Durability::Sync, interval]);
        let quiet = random.one_in(3);
        Setting {
            scene,
            case,
            dir: dir.to_owned(),
            life,
            threads: 3 + kept.below(2),
            durability: if scene == Scene::Eio { Durability::Sync } else { durability },
            backend: if sled { Backend::Sled } else { Backend::Mapped },
            window,
            identity,
            quiet,
            active_ids: if quiet { 50_000 } else { 60 << random.below(7) },
            read_mode: random.pick(&[ReadMode::Mapped, ReadMode::Positioned]),
            // A file system that has shut down tells it to calls of the system; to mappings, by SIGBUS.
            write_mode: match scene {
                Scene::Eio => WriteMode::Positioned,
                _ => random.pick(&[WriteMode::Positioned, WriteMode::Mapped]),
            },
        }
    }

    /// As the command line of the child has it.
    pub(crate) fn errand(&self) -> String {
        let (_, scene) = SCENES.into_iter().find(|(scene, _)| *scene == self.scene).expect("named");
        format!("work {scene} {} {} {}", self.case, self.life, self.dir.display())
    }

    /// What [`Setting::errand`] says behind its first word.
    pub(crate) fn of_errand(text: &str) -> Option<Setting> {
        let mut words = text.splitn(4, ' ');
        let name = words.next()?;
        let (scene, _) = SCENES.into_iter().find(|(_, other)| *other == name)?;
        let (case, life) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Setting::draw(scene, case, life, Path::new(words.next()?)))
    }

    /// The store as the child opens it.
    pub(crate) fn builder(&self) -> Builder {
        Store::builder()
            .backend(self.backend)
            .identity(self.identity)
            .window(self.window.unwrap_or(Duration::from_secs(24 * 3600)))
            .durability(self.durability)
            .memory_budget(16 << 20)
            .active_ids(self.active_ids)
            .read_mode(self.read_mode)
            .write_mode(self.write_mode)
    }

    /// What draws the child's work.
    pub(super) fn random(&self, thread: u64) -> Rng {
        Rng::new(self.case ^ self.life << 8 ^ thread)
    }

    /// The sources: one of each thread, and one that all of them share.
    pub(super) fn sources(&self) -> std::ops::RangeInclusive<u64> {
        0..=self.threads
    }
}

/// The name of a source.
pub(super) fn source(source: u64) -> String {
    format!("source-{source}")
}

/// The key of the state that counts and sums up the records of a source.
pub(super) fn tally_key(source: u64) -> String {
    format!("tally-{source}")
}

/// The key of the state that comes with what is prepared under a token.
pub(super) fn paid_key(token: &str) -> String {
    format!("paid-{token}")
}

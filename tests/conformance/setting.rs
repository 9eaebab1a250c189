//! Under which settings a theme is run, and the store that it is run on.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use firstseen::testing::ManualClock;
use firstseen::{Backend, Builder, Durability, IdentityKind, Store, Timestamp};

/// The backends of this build.
pub const BACKENDS: &[Backend] =
    if cfg!(feature = "sled") { &[Backend::Mapped, Backend::Sled] } else { &[Backend::Mapped] };

pub const DURABILITIES: [Durability; 3] =
    [Durability::Buffered, Durability::Interval(Duration::from_millis(3)), Durability::Sync];

/// Few, so that tables are sealed, and runs merged, while a test runs.
pub const ACTIVE_IDS: usize = 2_000;

pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3_600);

/// What a store is made with.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub backend: Backend,
    pub durability: Durability,
    pub identity: IdentityKind,
}

impl Setting {
    pub fn builder(self) -> Builder {
        Store::builder()
            .backend(self.backend)
            .durability(self.durability)
            .identity(self.identity)
            .memory_budget(16 << 20)
            .active_ids(ACTIVE_IDS)
    }

    pub fn open(self, dir: &Path) -> Store {
        self.builder().open(dir).unwrap()
    }

    /// With a window of eight hours, and a clock that stands still.
    pub fn timed(self, clock: &ManualClock) -> Builder {
        self.builder().window(8 * HOUR).clock(Arc::new(clock.clone()))
    }
}

/// A clock that stands still.
pub fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_secs(1_700_000_000))
}

/// Runs a theme under every setting, each in a folder of its own.
pub fn under_all(theme: impl Fn(Setting, &Path)) {
    for &durability in &DURABILITIES {
        under(durability, &theme);
    }
}

/// Runs a theme that takes long over every backend and identity, under one durability.
pub fn under(durability: Durability, theme: impl Fn(Setting, &Path)) {
    for &backend in BACKENDS {
        for identity in [IdentityKind::AesCmac, IdentityKind::Xxh3] {
            run(Setting { backend, durability, identity }, &theme);
        }
    }
}

/// Runs a theme that takes very long over every backend.
pub fn over_each_backend(theme: impl Fn(Setting, &Path)) {
    let (durability, identity) = (Durability::Buffered, IdentityKind::AesCmac);
    for &backend in BACKENDS {
        run(Setting { backend, durability, identity }, &theme);
    }
}

fn run(setting: Setting, theme: impl Fn(Setting, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let _named = Named(setting);
    theme(setting, &dir.path().join("store"));
}

/// Names the setting of a theme that fails.
struct Named(Setting);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("that was with {:?}", self.0);
        }
    }
}

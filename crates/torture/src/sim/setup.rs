//! How the store of a script is opened.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{Durability, Error, IdentityKind, ReadMode, Store};

use crate::support::Rng;

pub(crate) const DIR: &str = "/store";
const GENERATIONS: u32 = 8;

/// What a script does not change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) durability: Durability,
    pub(crate) window: Duration,
    pub(crate) active_ids: usize,
    pub(crate) read_mode: ReadMode,
    pub(crate) identity: IdentityKind,
}

impl Setup {
    /// What standard scripts run under: a window of 80 s in 8 slices, tables of 100 ids.
    pub(crate) fn standard(durability: Durability) -> Setup {
        Setup {
            durability,
            window: Duration::from_secs(80),
            active_ids: 100,
            read_mode: ReadMode::Positioned,
            identity: IdentityKind::AesCmac,
        }
    }

    pub(crate) fn random(random: &mut Rng) -> Setup {
        Setup {
            durability: random.pick(&[Durability::Buffered, Durability::Sync, Durability::Sync]),
            window: Duration::from_secs(random.pick(&[8, 80, 80, 4_000])),
            active_ids: random.pick(&[100, 100, 150, 1_000]),
            read_mode: random.pick(&[ReadMode::Positioned, ReadMode::Mapped]),
            identity: random.pick(&[IdentityKind::AesCmac, IdentityKind::Xxh3]),
        }
    }

    pub(crate) fn generations(&self) -> u32 {
        GENERATIONS
    }

    pub(crate) fn open(&self, disk: &MemoryDisk, clock: &ManualClock) -> Result<Store, Error> {
        Store::builder()
            .storage(Arc::new(disk.clone()))
            .clock(Arc::new(clock.clone()))
            .background(false)
            .memory_budget(16 << 20)
            .generations(GENERATIONS)
            .window(self.window)
            .active_ids(self.active_ids)
            .durability(self.durability)
            .read_mode(self.read_mode)
            .identity(self.identity)
            .open(DIR)
    }
}

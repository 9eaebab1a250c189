//! How a store of the model test is opened.

use super::*;

/// How the store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub window: Duration,
    pub generations: u32,
    pub active_ids: usize,
    pub read_mode: ReadMode,
    pub durability: Durability,
    pub time: TimeSource,
    pub identity: IdentityKind,
    pub lease: Option<Duration>,
    pub lease_end: LeaseEnd,
}

impl Settings {
    pub fn of([a, b, c, d]: [u8; 4]) -> Settings {
        let window = Duration::from_millis(1_000 + u64::from(b) * 37);
        let interval = Durability::Interval(window / 50);
        Settings {
            window,
            generations: 8 + u32::from(c % 9),
            active_ids: 100 + usize::from(c / 9) * 10,
            read_mode: [ReadMode::Mapped, ReadMode::Positioned][usize::from(d % 2)],
            durability: [Durability::Sync, Durability::Buffered, interval][usize::from(a % 3)],
            time: [TimeSource::System, TimeSource::Event][usize::from(a / 3 % 2)],
            identity: [IdentityKind::AesCmac, IdentityKind::Xxh3][usize::from(d / 2 % 2)],
            lease: [None, Some(whole(window / 32))][usize::from(a / 12 % 2)],
            lease_end: [LeaseEnd::Rerun, LeaseEnd::Block][usize::from(a / 6 % 2)],
        }
    }

    /// A part of the window.
    pub fn part(&self, parts: u32, of: u32) -> Duration {
        whole(self.window * parts / of)
    }

    pub fn open(&self, ground: &Ground, clock: &ManualClock) -> Store {
        let builder = ground
            .builder()
            .clock(Arc::new(clock.clone()))
            .background(false)
            .future_skew(SKEW)
            .memory_budget(16 << 20)
            .window(self.window)
            .generations(self.generations)
            .active_ids(self.active_ids)
            .read_mode(self.read_mode)
            .durability(self.durability)
            .time(self.time)
            .identity(self.identity)
            .lease_end(self.lease_end);
        let builder = match self.lease {
            Some(lease) => builder.lease(lease),
            None => builder,
        };
        builder.open(ground.dir()).unwrap()
    }
}

/// In microseconds, as the store reckons.
fn whole(time: Duration) -> Duration {
    Duration::from_micros(time.as_micros() as u64)
}

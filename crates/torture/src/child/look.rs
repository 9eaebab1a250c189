//! A process that looks at all ids of a store, again and again, until it is told an error.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use firstseen::{Error, ReadMode, Store};

/// So many ids are asked for at once.
const BATCH: u64 = 1_000;
/// Whoever is told no error in so many rounds will not be told one.
const ROUNDS: u64 = 200;

/// What it is to do, as its parent writes it.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) mode: ReadMode,
    /// Ids below this are in the store.
    pub(crate) ids: u64,
    pub(crate) dir: PathBuf,
}

impl Look {
    pub(crate) fn errand(&self) -> String {
        let mapped = self.mode == ReadMode::Mapped;
        format!("look {mapped} {} {}", self.ids, self.dir.display())
    }

    pub(super) fn of_errand(text: &str) -> Option<Look> {
        let mut words = text.splitn(3, ' ');
        let mapped = words.next()?.parse().ok()?;
        let mode = if mapped { ReadMode::Mapped } else { ReadMode::Positioned };
        Some(Look { mode, ids: words.next()?.parse().ok()?, dir: words.next()?.into() })
    }

    /// Says `open`, then `error` or `nothing`.
    pub(super) fn work(&self) -> ExitCode {
        let mut out = io::stdout();
        let mut say = |line: &str| {
            // A parent that does not listen any more needs no answer.
            let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
        };
        let store = match self.builder().open(&self.dir) {
            Ok(store) => store,
            Err(error) => {
                say(&format!("error opening: {error}"));
                return ExitCode::FAILURE;
            }
        };
        say("open ");
        for _ in 0..ROUNDS {
            if let Err(error) = self.look(&store) {
                let typed = matches!(error, Error::Corrupt(_) | Error::Io { .. });
                say(&format!("{} {error}", if typed { "error" } else { "other" }));
                return ExitCode::SUCCESS;
            }
        }
        say("nothing ");
        ExitCode::SUCCESS
    }

    /// A store that does not merge its runs.
    pub(crate) fn builder(&self) -> firstseen::Builder {
        Store::builder().background(false).memory_budget(16 << 20).read_mode(self.mode)
    }

    fn look(&self, store: &Store) -> firstseen::Result<()> {
        for from in (0..self.ids).step_by(BATCH as usize) {
            let ids: Vec<_> = (from..from + BATCH).map(u64::to_le_bytes).collect();
            store.contains(&ids)?;
        }
        Ok(())
    }
}

//! The peers, in one part of a plan after the other.

use std::io;

use crate::args::PeersArgs;
use crate::peer::{Entry, Result};
use crate::plan::{Level, Part};
use crate::rounds::{self, Rounds};
use crate::yardstick::LineRate;
use crate::{lines, table};

/// Memory that the line rate reads: far more than any cache.
const LINE_BYTES: u64 = 512 << 20;

/// Measures what is asked for, and prints each part when it is done.
pub(crate) fn measure(args: &PeersArgs, level: Level) -> Result<()> {
    let (peers, missing): (Vec<_>, Vec<_>) =
        args.peers().into_iter().partition(|peer| peer.missing().is_none());
    for peer in missing {
        eprintln!("{} is skipped: {}", peer.name, peer.missing().unwrap_or_default());
    }
    let takes =
        |part: &Part| -> Vec<&Entry> { peers.iter().filter(|entry| part.is_for(entry)).collect() };
    let mut parts = args.parts(level);
    parts.iter().try_for_each(|part| part.scenario().check())?;
    parts.retain(|part| !takes(part).is_empty());
    if parts.is_empty() {
        return Err("nobody who was asked for takes part in what was asked for".into());
    }
    let sessions = parts.iter().map(|part| part.rounds * takes(part).len()).sum();
    let dir = args.dir();
    let rounds = Rounds {
        dir: &dir,
        line_rate: LineRate::new(LINE_BYTES),
        progress: rounds::progress(sessions),
    };
    for part in parts {
        let outcome = rounds.run(part.scenario(), &takes(&part), part.rounds)?;
        rounds.progress.suspend(|| {
            let mut out = io::stdout().lock();
            if args.json {
                lines::write(&outcome, &mut out)
            } else {
                table::write(&outcome, &mut out)
            }
        })?;
    }
    rounds.progress.finish_and_clear();
    Ok(())
}

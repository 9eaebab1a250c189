//! The command line.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser};

use crate::command::CommandArgs;
use crate::peer::Entry;
use crate::peers;
use crate::plan::{self, BATCHES, Level, Part, ROUNDS, THREADS};
use crate::plot::PlotArgs;
use crate::report::ReportArgs;

/// Measures firstseen beside what people use for the same job.
#[derive(Debug, Parser)]
pub(crate) enum Cli {
    /// The peers in windows of up to 200,000 ids, and of a million that forgets: a few minutes.
    Quick(PeersArgs),
    /// The peers in windows of up to 100 million ids: hours.
    Full(PeersArgs),
    /// `firstseen dedup` beside `sort -u`, `awk`, runiq and huniq.
    Command(CommandArgs),
    /// Everything that BENCHMARKS.md tells of a machine, and the plots of it.
    Report(ReportArgs),
    /// Draws what was measured.
    Plot(PlotArgs),
    /// Prints the tables of what was measured.
    Tables(TablesArgs),
}

/// What is measured of the peers. Without a choice of ids, batches or threads, or of sustained ids only, it is the
/// level's plan.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// One line of JSON a measurement, instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Ids in the window; small batches get a half of it, single ids an eighth.
    #[arg(long, value_name = "N")]
    ids: Option<NonZeroUsize>,

    /// How often every peer is measured; the median counts. Default: 3, but 1 sustained and in windows of
    /// 10 million ids and more of the level `full`.
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,

    /// Only these peers. The tables compare with the first that is left.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    peers: Vec<String>,

    /// Only ids that go through a window and are forgotten: batches of 1024 from one thread, of those peers that can
    /// forget.
    #[arg(long, conflicts_with_all = ["batches", "threads"])]
    sustained: bool,

    /// Batch sizes. Default: those of the level; 1,16,1024 where ids or threads are chosen.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    batches: Vec<NonZeroUsize>,

    /// From how many threads. Default: those of the level; 1,2 where ids or batches are chosen.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    threads: Vec<NonZeroUsize>,

    /// Where the folders of the peers are made. Default: the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl PeersArgs {
    pub(crate) fn peers(&self) -> Vec<Entry> {
        let asked =
            |entry: &Entry| self.peers.is_empty() || self.peers.iter().any(|n| n == entry.name);
        peers::all().into_iter().filter(asked).collect()
    }

    pub(crate) fn parts(&self, level: Level) -> Vec<Part> {
        let mut parts = level.parts();
        if self.sustained {
            let part = level.sustained();
            parts = vec![Part { ids: self.ids.map_or(part.ids, NonZeroUsize::get), ..part }];
        } else if self.ids.is_some() || !self.batches.is_empty() || !self.threads.is_empty() {
            let ids = self.ids.map_or_else(|| level.ids(), NonZeroUsize::get);
            let (batches, threads) = (or(&self.batches, &BATCHES), or(&self.threads, &THREADS));
            parts = plan::matrix(ids, &batches, &threads, ROUNDS);
        }
        if let Some(rounds) = self.rounds {
            parts.iter_mut().for_each(|part| part.rounds = rounds.get());
        }
        parts
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(env::temp_dir)
    }
}

/// What was asked for, or what is measured without.
fn or(asked: &[NonZeroUsize], else_these: &[usize]) -> Vec<usize> {
    match asked {
        [] => else_these.to_vec(),
        asked => asked.iter().map(|n| n.get()).collect(),
    }
}

/// What there are tables of.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// The folder with `peers.jsonl` and `command.jsonl`, as far as they are there.
    #[arg(value_name = "DIR")]
    pub(crate) measurements: PathBuf,
}

pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(peers::all().iter().map(|entry| entry.name))
}

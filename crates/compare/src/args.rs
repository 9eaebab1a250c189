//! The command line.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser};

use crate::command::CommandArgs;
use crate::peer::Entry;
use crate::peers;
use crate::plan::{self, Level, Scenario};

/// Measures firstseen beside what people use for the same job.
#[derive(Debug, Parser)]
pub(crate) enum Cli {
    /// Windows of up to 200,000 ids: a few minutes.
    Quick(PeersArgs),
    /// Windows of up to 5 million ids: an hour or two.
    Full(PeersArgs),
    /// `firstseen dedup` beside `sort -u`, `awk`, runiq and huniq.
    Command(CommandArgs),
}

/// What is measured of the peers.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// One line of JSON a measurement, instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Ids in the window; small batches get a half of it, single ids an eighth. Default: the level's.
    #[arg(long, value_name = "N")]
    ids: Option<NonZeroUsize>,

    /// How often every peer is measured; the median counts.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroUsize,

    /// Only these peers. The tables compare with the first that is left.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    peers: Vec<String>,

    /// Batch sizes.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16,1024")]
    batches: Vec<NonZeroUsize>,

    /// From how many threads.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2")]
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

    pub(crate) fn scenarios(&self, level: Level) -> Vec<Scenario> {
        let ids = self.ids.map_or_else(|| level.ids(), NonZeroUsize::get);
        plan::scenarios(ids, &self.batches, &self.threads)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(env::temp_dir)
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(peers::all().iter().map(|entry| entry.name))
}

//! The command line.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::peer::Entry;
use crate::peers;
use crate::plan::{self, Level, Scenario};

/// Measures firstseen beside what people use for the same job.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// How much to measure.
    #[arg(value_enum)]
    level: Level,

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

impl Args {
    pub(crate) fn peers(&self) -> Vec<Entry> {
        let asked =
            |entry: &Entry| self.peers.is_empty() || self.peers.iter().any(|n| n == entry.name);
        peers::all().into_iter().filter(asked).collect()
    }

    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let ids = self.ids.map_or_else(|| self.level.ids(), NonZeroUsize::get);
        plan::scenarios(ids, &self.batches, &self.threads)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(env::temp_dir)
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(peers::all().iter().map(|entry| entry.name))
}

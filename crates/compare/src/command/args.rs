//! The options of `firstseen-compare command`.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use tempfile::TempDir;

use super::tools::{self, Tool};
use crate::peer::Result;

/// Measures `firstseen dedup` beside the tools that print each line once.
#[derive(Debug, Args)]
pub(crate) struct CommandArgs {
    /// One line of JSON a measurement, instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    /// How many lines, of 32 hexadecimal digits each.
    #[arg(long, value_name = "N", default_value = "10000000")]
    pub(crate) lines: NonZeroUsize,

    /// How many of 100 lines repeat an earlier one.
    #[arg(long, value_name = "PERCENT", default_value = "50", value_parser = clap::value_parser!(u8).range(..100))]
    pub(crate) duplicates: u8,

    /// How often every tool is measured; the median counts.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroUsize,

    /// Only these tools. The table compares with the first that is left.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = PossibleValuesParser::new(tools::names()))]
    tools: Vec<String>,

    /// The `firstseen` to measure. Default: the one beside this program, or the one on the path.
    #[arg(long, value_name = "FILE")]
    firstseen: Option<PathBuf>,

    /// Where the lines and the outputs are put. Default: the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl CommandArgs {
    /// The tools that were asked for and are there; and the names of the others, with the reasons.
    pub(super) fn tools(&self) -> (Vec<Tool>, Vec<(&'static str, &'static str)>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in tools::names() {
            if self.tools.is_empty() || self.tools.iter().any(|asked| asked == name) {
                match tools::find(name, self.firstseen.as_deref()) {
                    Ok(tool) => found.push(tool),
                    Err(why) => missing.push((name, why)),
                }
            }
        }
        (found, missing)
    }

    /// A new folder, which goes with everything in it.
    pub(super) fn folder(&self) -> Result<TempDir> {
        let dir = self.dir.clone().unwrap_or_else(env::temp_dir);
        Ok(tempfile::Builder::new().prefix("firstseen-compare-").tempdir_in(dir)?)
    }
}

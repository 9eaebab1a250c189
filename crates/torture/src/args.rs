//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::class::Class;
use crate::classes;

/// Makes every fault that we can make under firstseen, and holds it to its promises.
///
/// One line of JSON a fault class goes to standard output. The first broken promise ends the campaign with exit
/// code 1, and its line has the command that replays it.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) campaign: Campaign,
}

/// What is done beside a campaign.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says which fault classes there are.
    List,
    /// Runs the campaign against each bug that was planted on purpose: every one must be caught.
    Planted(Planted),
    /// Everything at once on a real disk, for hours, with memory, disk and answers watched.
    Soak(Soak),
    /// One of the processes that a campaign kills.
    #[command(hide = true)]
    Child(Child),
}

/// A campaign.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Campaign {
    /// How long it takes, in seconds; each class runs one case at least.
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) seconds: u64,

    /// What draws the cases beyond those that are counted through.
    #[arg(long, value_name = "X", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Only these fault classes.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = names())]
    pub(crate) only: Vec<String>,

    /// Only this case of the class: what a broken promise names.
    #[arg(long, value_name = "NUMBER", requires = "only")]
    pub(crate) case: Option<u64>,

    /// So many cases beside each other. Default: one a core.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Fails if this machine cannot run one of the classes.
    #[arg(long)]
    pub(crate) complete: bool,

    /// How long a case may take before it is taken for a hang, in seconds.
    #[arg(long, value_name = "S", default_value_t = 120)]
    pub(crate) stall: u64,
}

/// How planted bugs are looked for.
#[derive(Debug, ClapArgs)]
pub(crate) struct Planted {
    /// How long one bug may stay unnoticed, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) seconds: u64,

    /// What draws the cases.
    #[arg(long, value_name = "X", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Only these bugs.
    #[arg(long, value_name = "BUG", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

/// How long a soak takes, and where.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Soak {
    /// How long, in seconds.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    pub(crate) seconds: u64,

    /// What draws the ids.
    #[arg(long, value_name = "X", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where the store is made. Default: the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What a process that is to be killed does.
#[derive(Debug, ClapArgs)]
pub(crate) struct Child {
    /// What it is to do, as its parent wrote it.
    pub(crate) errand: String,
}

impl Campaign {
    pub(crate) fn classes(&self) -> Vec<&'static dyn Class> {
        let asked = |class: &&&'static dyn Class| {
            self.only.is_empty() || self.only.iter().any(|name| name == class.name())
        };
        classes::ALL.iter().filter(asked).copied().collect()
    }

    pub(crate) fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.jobs.map_or(cores, NonZeroUsize::get)
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(classes::ALL.iter().map(|class| class.name()))
}

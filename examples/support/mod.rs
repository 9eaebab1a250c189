//! What the examples that get killed have in common: a parent that starts its own executable as
//! children, kills them at random moments, and checks the truth at the end.
//!
//! | module | what it is |
//! |---|---|
//! | `supervise` | the parent's side: start, kill, start again |
//! | `child` | the child's side: what it tells its parent |
//! | `report` | one JSON line, and the exit code |
//! | `random` | numbers from a seed |
//!
//! ```sh
//! cargo run --release --example NAME -- --kills 1000 --seed 7
//! ```

pub mod child;
pub mod random;
pub mod report;
pub mod supervise;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use report::Report;

/// Whatever ends an example; its text is for the one who started it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long sabotage waits between two steps that belong together, so that kills hit there. Without it the
/// same happens, only more rarely.
pub const GAP: Duration = Duration::from_millis(1);

/// The arguments that all of these examples take.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many times children are killed before one may run to its end.
    #[arg(long, default_value_t = 100)]
    pub kills: u64,

    /// What all random choices follow from, but for the moments at which the system runs whom.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// How many records there are at first. There will be more if the children get through them
    /// before they were killed often enough.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,

    /// The folder to work in, which has to be empty or new. Default: a temporary one, removed if all
    /// is well.
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Which of the children this process is; set by the parent.
    #[arg(long, hide = true, requires = "dir")]
    pub child: Option<String>,

    /// How many children in this role were started before this one.
    #[arg(long, hide = true, default_value_t = 0)]
    pub life: u64,

    /// Nobody is killed any more: finish and exit.
    #[arg(long, hide = true)]
    pub last: bool,
}

impl Options {
    /// The folder that a child works in.
    pub fn dir(&self) -> &Path {
        self.dir.as_deref().expect("a child is given its folder")
    }
}

/// The parent: makes the folder, lets `run` kill and check, prints the report.
pub fn parent(options: &Options, run: impl FnOnce(&Path) -> Result<Report, Failure>) -> ExitCode {
    let made = match &options.dir {
        Some(dir) => fs::create_dir_all(dir).map(|()| dir.clone()),
        None => tempfile::Builder::new().prefix("firstseen-").tempdir().map(|dir| dir.keep()),
    };
    let ended = made.map_err(Failure::from).and_then(|dir| {
        let run = check_empty(&dir).and_then(|()| run(&dir));
        match &run {
            Ok(report) if report.is_exact() && options.dir.is_none() => fs::remove_dir_all(&dir)?,
            Ok(report) if report.is_exact() => {}
            _ => eprintln!("what is left is in {}", dir.display()),
        }
        run
    });
    match ended {
        Ok(report) => {
            println!("{report}");
            if report.is_exact() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// A store of an earlier run has seen the records already; its totals would be compared in vain.
fn check_empty(dir: &Path) -> Result<(), Failure> {
    match fs::read_dir(dir)?.next() {
        None => Ok(()),
        Some(_) => {
            Err(format!("{} is not empty; give an empty or a new folder", dir.display()).into())
        }
    }
}

//! How a command fails, and with which exit code.

use std::fmt;
use std::io;
use std::path::Path;

use firstseen::Error;

/// Exit code of a failure at work.
pub(crate) const RUNTIME: u8 = 1;
/// Exit code of a command line that cannot be obeyed; clap uses the same.
pub(crate) const USAGE: u8 = 2;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output has gone away: nothing to say, and no failure, as with other filters.
    BrokenPipe,
    /// The command line contradicts itself, or the input it was given.
    Usage(String),
    /// Something did not work.
    Run(String),
}

/// The result of every command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure to do something with a file, by name.
    pub(crate) fn io(verb: &str, name: impl fmt::Display, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::BrokenPipe;
        }
        Failure::Run(format!("cannot {verb} {name}: {error}"))
    }
}

/// The result of a look at the store in `dir`, which only one in a database refuses while it is open.
pub(crate) fn reading<T>(dir: &Path, result: firstseen::Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::Locked { path, holder } if path == dir => {
            let holder = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            let place = dir.display();
            Failure::Run(format!(
                "{place} is open elsewhere{holder}, and a store in sled can be read by one process at a \
                 time; close it there first"
            ))
        }
        error => error.into(),
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            // An export or a dump whose reader went away, as `firstseen dump DIR | head` does.
            Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Failure::BrokenPipe
            }
            error => Failure::Run(error.to_string()),
        }
    }
}

/// For what is written to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::io("write", "standard output", &error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::BrokenPipe => f.write_str("the output was closed"),
            Failure::Usage(text) | Failure::Run(text) => f.write_str(text),
        }
    }
}

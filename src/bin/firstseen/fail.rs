//! How a command fails, and with which exit code.

use std::fmt;
use std::io;

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

impl From<firstseen::Error> for Failure {
    fn from(error: firstseen::Error) -> Failure {
        match error {
            // An export or a dump whose reader went away, as `firstseen dump DIR | head` does.
            firstseen::Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
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

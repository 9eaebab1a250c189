//! The programs that measure, as processes: what one of them leaves in memory does not weigh on the next.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::steps::{Program, Run};
use crate::peer::Result;

/// Where the programs are and where they work.
#[derive(Debug)]
pub(super) struct Programs {
    /// The load driver; without one cargo builds and starts it.
    pub(super) load: Option<PathBuf>,
    /// The command that is measured; without one cargo builds it.
    pub(super) firstseen: Option<PathBuf>,
    pub(super) dir: PathBuf,
}

impl Programs {
    /// Has cargo build what was not named, so that nothing is compiled between measurements.
    pub(super) fn build(&self) -> Result<()> {
        if self.load.is_none() {
            built(cargo("bench", &["--bench", "load", "--no-run"]), "--load")?;
        }
        if self.firstseen.is_none() {
            built(cargo("build", &["--release", "--bin", "firstseen"]), "--firstseen")?;
        }
        Ok(())
    }

    /// What the run printed.
    pub(super) fn output(&self, run: &Run) -> Result<String> {
        let mut command = self.command(run)?;
        // Progress goes to standard error.
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{command:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{} failed: {}", run.name(), output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, run: &Run) -> Result<Command> {
        let mut command = match (run.program, &self.load) {
            (Program::Load, Some(load)) => Command::new(load),
            (Program::Load, None) => cargo("bench", &["--bench", "load", "--"]),
            (Program::Compare | Program::Command, _) => Command::new(env::current_exe()?),
        };
        command.args(&run.args).arg("--dir").arg(&self.dir);
        if let (Program::Command, Some(firstseen)) = (run.program, &self.firstseen) {
            command.arg("--firstseen").arg(firstseen);
        }
        Ok(command)
    }
}

fn built(mut cargo: Command, option: &str) -> Result<()> {
    match cargo.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{cargo:?} failed: {option} names a program that is built").into()),
    }
}

/// Of the workspace that this program is from.
fn cargo(what: &str, args: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(program);
    cargo.arg(what).arg("--manifest-path").arg(workspace().join("Cargo.toml")).args(args);
    cargo
}

pub(super) fn workspace() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    PathBuf::from(package).join("../..")
}

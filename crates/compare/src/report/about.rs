//! The line above the measurements of a run: how, of what and on which machine they were made.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::programs;
use super::steps::Run;
use crate::machine;
use crate::records::ABOUT;

/// What the system does not tell is `null`.
pub(super) fn line(run: &Run) -> Value {
    let processors = thread::available_parallelism().map(|processors| processors.get()).ok();
    json!({
        "what": ABOUT,
        "run": run.name(),
        "commit": commit(),
        "system": env::consts::OS,
        "processor": field("/proc/cpuinfo", "model name"),
        "processors": processors,
        "memory": field("/proc/meminfo", "MemTotal"),
        "load": machine::load(),
    })
}

/// The commit of the sources, with a `+` if they have changed since.
fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(programs::workspace()).args(args).output().ok()
    };
    let head = git(&["rev-parse", "--short", "HEAD"]).filter(|output| output.status.success())?;
    // Measurements and plots are among the documents.
    let sources = ["diff", "--quiet", "HEAD", "--", ".", ":(exclude)docs", ":(exclude)*.md"];
    let changed = !git(&sources)?.status.success();
    let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    Some(if changed { format!("{head}+") } else { head })
}

/// What a file of the system says behind a name and a colon.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

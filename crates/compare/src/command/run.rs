//! One tool, once through the lines.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::input::Input;
use super::tools::Tool;
use crate::peer::Result;

/// What it took.
pub(super) struct Run {
    /// From its start until it was gone.
    pub(super) wall: Duration,
    /// Of the processors, all its threads counted, outside the system and inside.
    pub(super) user: Duration,
    pub(super) system: Duration,
    /// The most memory that was resident at once, pages of mapped files among it.
    pub(super) peak_bytes: u64,
}

/// Reads the lines from a file and prints into another, which is checked and removed.
pub(super) fn run(tool: &Tool, input: &Input, folder: &Path) -> Result<Run> {
    let kept = tempfile::Builder::new().prefix("kept-").tempdir_in(folder)?;
    let output = folder.join("output");
    let mut command = tool.command(kept.path());
    command.stdin(File::open(&input.path)?).stdout(File::create(&output)?);
    let start = Instant::now();
    let ended = command.spawn()?.wait4()?;
    let wall = start.elapsed();
    if !ended.status.success() {
        return Err(format!("it failed: {}", ended.status).into());
    }
    input.check(&output)?;
    fs::remove_file(&output)?;
    let used = ended.rusage;
    Ok(Run { wall, user: used.utime, system: used.stime, peak_bytes: used.maxrss })
}

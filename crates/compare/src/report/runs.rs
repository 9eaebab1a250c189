//! One step of the report, from wherever an earlier try has left it.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;

use super::about;
use super::programs::Programs;
use super::steps::{Program, Run, Step};
use crate::peer::Result;
use crate::records::{self, ABOUT};

impl Run {
    /// As one would ask for it, but for where it works.
    pub(super) fn name(&self) -> String {
        let program = match self.program {
            Program::Load => "load",
            Program::Compare | Program::Command => "firstseen-compare",
        };
        format!("{program} {}", self.args.join(" "))
    }
}

/// Fills the step's file. Until it is whole it has another name, and what it has is not measured again:
/// the lines of a run are written together, below one that names the run.
pub(super) fn complete(step: &Step, folder: &Path, programs: &Programs, again: bool) -> Result<()> {
    let whole = folder.join(step.file);
    let part = whole.with_extension("part");
    if whole.exists() && !part.exists() && !again {
        eprintln!("kept");
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&part)?;
    let place = part.display().to_string();
    if file.try_lock().is_err() {
        return Err(format!("{place}: another report is at it").into());
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut done = runs_of(&text, &place)?;
    eprintln!("{} runs, {} of them done", step.runs.len(), done.len().min(step.runs.len()));
    for run in &step.runs {
        // A run that is asked for several times is there as often.
        if let Some(at) = done.iter().position(|done| *done == run.name()) {
            done.swap_remove(at);
            continue;
        }
        eprintln!("  {}", run.name());
        let about = about::line(run).to_string();
        let output = programs.output(run)?;
        let lines = [about.as_str()].into_iter().chain(output.lines());
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        records::parse(&text, &run.name())?;
        file.write_all(text.as_bytes())?;
    }
    Ok(fs::rename(part, whole)?)
}

/// The names of the runs whose lines these are. Fails if the last write was cut short.
fn runs_of(text: &str, file: &str) -> Result<Vec<String>> {
    records::parse(text, file)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let about = lines.filter(|line| line["what"] == ABOUT);
    Ok(about.filter_map(|line| line["run"].as_str().map(str::to_owned)).collect())
}

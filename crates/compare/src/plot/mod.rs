//! Pictures of what was measured: SVG, the same bytes for the same measurements.

mod axis;
mod bars;
mod canvas;
mod curves;
mod load;
mod peers;
mod select;
mod spread;
mod style;
mod words;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::files::{PEERS, RECOVERY, SUSTAINED};
use crate::peer::Result;
use crate::{lines, records};

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct PlotArgs {
    /// The folder with the measurements. What is not there is not drawn.
    #[arg(value_name = "DIR")]
    pub(crate) measurements: PathBuf,

    /// Where the pictures are put.
    #[arg(long, value_name = "DIR", default_value = "docs/plots")]
    pub(crate) out: PathBuf,
}

/// A picture, and what its file is called.
struct Plot {
    name: &'static str,
    svg: String,
}

/// Draws what is there, and says what is not.
pub(crate) fn draw(measurements: &Path, out: &Path) -> Result<()> {
    let mut plots = Vec::new();
    let machine = machine(measurements)?;
    let path = |file: &str| {
        let path = measurements.join(file);
        if !path.exists() {
            eprintln!("there is no {}: nothing is drawn of it", path.display());
        }
        path
    };
    if let Some(outcomes) = lines::read(&path(PEERS))? {
        plots.extend(peers::plots(&outcomes, &machine)?);
    }
    if let Some(records) = records::read(&path(SUSTAINED))? {
        plots.extend(load::sustained(&records, &machine)?);
    }
    if let Some(records) = records::read(&path(RECOVERY))? {
        plots.extend(load::recovery(&records, &machine)?);
    }
    fs::create_dir_all(out)?;
    for plot in plots {
        let path = out.join(plot.name);
        fs::write(&path, plot.svg).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The folder's name says on which machine it was.
fn machine(measurements: &Path) -> Result<String> {
    let folder = measurements.canonicalize();
    let folder = folder.map_err(|error| format!("{}: {error}", measurements.display()))?;
    Ok(folder.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

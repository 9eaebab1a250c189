//! `firstseen completions` and `firstseen man`: what packagers install beside the binary.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::fail::{Failure, Result};

/// Print a completion script for a shell
///
/// For bash: firstseen completions bash > /usr/share/bash-completion/completions/firstseen
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print a man page, as roff
///
/// To read one: firstseen man dedup | man -l -
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The subcommand whose page to print; the page of firstseen itself if not given
    command: Option<String>,

    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<()> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "firstseen", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    Ok(out.flush()?)
}

pub(crate) fn man(args: &ManArgs, mut command: Command) -> Result<()> {
    command.build();
    if let Some(folder) = &args.out {
        let made = std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder));
        return made.map_err(|error| Failure::io("write to", folder.display(), &error));
    }
    let page = match &args.command {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::Usage(format!("there is no subcommand '{name}'")))?,
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

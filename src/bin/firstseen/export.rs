//! `firstseen export`: a store as one portable stream.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use firstseen::{Error, Store, offline};

use crate::fail::{self, Failure, Result};
use crate::place::TemporaryFolder;
use crate::show::{self, Fact};

/// Write a store as one portable stream, for `import`; safe while another process writes to it
///
/// A store that is open elsewhere is exported from a checkpoint beside it, made for the purpose
/// and removed afterwards. A store in sled must not be open elsewhere.
///
/// The stream has ids, their times and their outcomes. It has no progress of sources, no state and
/// nothing that is only prepared: `checkpoint` copies a store with all of it. It has the key of the
/// store's identity, and is as secret as the store.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The folder of the store
    dir: PathBuf,

    /// Write to this file, which must not exist yet, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print one JSON object about it, with --output
    #[arg(long, requires = "output")]
    json: bool,
}

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let Some(output) = &args.output else {
        if io::stdout().is_terminal() {
            let text = "an export is no text for a terminal; use --output or a pipe";
            return Err(Failure::Usage(text.to_owned()));
        }
        let mut out = BufWriter::new(io::stdout().lock());
        export(&args.dir, &mut out)?;
        return Ok(out.flush()?);
    };
    let fail = |verb, error| Failure::io(verb, output.display(), &error);
    let file = create(output).map_err(|error| fail("create", error))?;
    let mut out = BufWriter::new(file);
    let records = match export(&args.dir, &mut out) {
        Ok(records) => records,
        Err(failure) => {
            // Best effort. Left there, it would stand in the way of the next attempt.
            let _ = std::fs::remove_file(output);
            return Err(failure);
        }
    };
    let file = out.into_inner().map_err(|error| fail("write", error.into_error()))?;
    file.sync_all().map_err(|error| fail("sync", error))?;
    let bytes = file.metadata().map_err(|error| fail("read", error))?.len();
    show::print(vec![Fact::count("records", records), Fact::bytes("bytes", bytes)], args.json)
}

/// Creates the file, readable by this user alone where the system knows that.
fn create(output: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(output)
}

fn export(dir: &Path, out: &mut dyn Write) -> Result<u64> {
    match Store::builder().create(false).open(dir) {
        Ok(store) => {
            let records = store.export(out)?;
            store.close()?;
            Ok(records)
        }
        Err(Error::Locked { .. }) => {
            let full = dir.canonicalize();
            let full = full.map_err(|error| Failure::io("find", dir.display(), &error))?;
            let parent = full.parent().unwrap_or(&full);
            let beside = TemporaryFolder::create_in(parent)?;
            fail::reading(dir, offline::checkpoint(dir, beside.store()))?;
            let store = Store::builder().create(false).open(beside.store())?;
            let records = store.export(out)?;
            store.close()?;
            Ok(records)
        }
        Err(error) => Err(error.into()),
    }
}

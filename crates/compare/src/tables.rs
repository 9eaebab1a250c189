//! The tables of what was measured, as BENCHMARKS.md has them.

use std::io::{self, Write};
use std::path::Path;

use crate::files::{COMMAND, PEERS};
use crate::peer::Result;
use crate::{command, lines, table};

pub(crate) fn print(measurements: &Path) -> Result<()> {
    write(measurements, &mut io::stdout().lock())
}

pub(crate) fn write(measurements: &Path, out: &mut impl Write) -> Result<()> {
    let peers = lines::read(&measurements.join(PEERS))?;
    let command = command::read(&measurements.join(COMMAND))?;
    if peers.is_none() && command.is_none() {
        let folder = measurements.display();
        return Err(format!("{folder} has neither {PEERS} nor {COMMAND}").into());
    }
    peers.iter().flatten().try_for_each(|outcome| table::write(outcome, out))?;
    command.iter().flatten().try_for_each(|outcome| command::table(outcome, out))?;
    Ok(())
}

//! The campaign against bugs that were planted on purpose: a class that does not notice its bug proves nothing.
//!
//! Each bug wakes in a process of its own, and the class that is named for it must break within its time. A
//! hang, a panic or the death of the process counts as well.

use std::env;
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use firstseen::testing;
use serde_json::{Value, json};

use crate::args::Planted;
use crate::report::say;

/// What wakes a bug, in a build with `--cfg planted`.
const WAKE: &str = "FIRSTSEEN_PLANTED";
/// How long a case may take before it is taken for a hang.
const STALL_SECONDS: u64 = 20;

/// The classes that notice each bug soonest, with commas between, in the order of the engine's `planted.rs`. A bug that
/// is not here is looked for by all.
const NOTICED_BY: &[(&str, &str)] = &[
    ("duplicate-unawaited", "storm"),
    ("winner-unawaited", "race"),
    ("acknowledged-unsynced", "crash"),
    ("replay-unsynced", "crash"),
    ("slot-stored", "race"),
    ("filter-decides", "histories"),
    ("batch-checked-first", "storm"),
    ("view-unpinned", "race"),
    ("seal-unfiltered", "histories"),
    ("seal-marked-first", "threads"),
    ("growing-filter-missed", "figures"),
    ("refresh-skips-run", "storm"),
    ("refresh-skips-table", "storm"),
    ("run-filter-lies", "histories"),
    ("run-filter-correlated", "figures"),
    ("acknowledged-unwritten", "kill"),
    ("short-write-ignored", "error"),
    ("failure-forgotten", "crash"),
    ("earlier-segment-unsynced", "crash"),
    ("hole-passed-over", "rot"),
    ("frame-unsalted", "rot"),
    ("frame-unchecked", "crash"),
    ("rot-taken-for-torn", "rot"),
    ("known-end-unchecked", "rot"),
    ("segment-name-unsynced", "crash"),
    ("run-unsynced", "crash"),
    ("manifest-unsynced", "crash"),
    ("manifest-name-unsynced", "crash"),
    ("removed-first", "crash"),
    ("log-removed-once-replayed", "crash"),
    ("sync-retried", "error"),
    ("failure-not-cut-off", "error"),
    ("log-room-unreserved", "space"),
    ("reserve-not-kept", "space"),
    ("clock-runs-back", "histories"),
    ("clock-jump-believed", "histories"),
    ("future-event-believed", "histories"),
    ("idle-unaged", "figures"),
    ("expired-early", "histories"),
    ("tick-start-counts", "histories"),
    ("identity-unkeyed", "figures"),
    ("lease-unfenced", "histories"),
    ("claim-of-others-freed", "histories"),
    ("fence-unreserved", "histories"),
    ("rollback-marks-seen", "histories"),
    ("rollback-keeps-claim", "histories"),
    ("refused-kept", "error"),
    ("ids-committed-first", "storm"),
    ("state-ahead-of-log", "crash"),
    ("outcome-not-replayed", "histories"),
    ("prepared-not-kept", "histories"),
    ("prepared-settled-twice", "histories"),
    ("cap-forgets-log", "figures"),
    ("sealed-log-held", "figures"),
    ("claims-unasked", "histories"),
    ("lone-unspread", "histories"),
    ("table-asked-first", "race"),
    ("filter-unasked", "figures"),
];

/// Runs the campaign against each bug. Whether all were noticed.
pub(crate) fn run(asked: &Planted) -> bool {
    let bugs = testing::planted();
    if bugs.is_empty() {
        eprintln!("no bugs are planted here: build with RUSTFLAGS=\"--cfg planted\"");
        return false;
    }
    let wanted = |name: &str| asked.only.is_empty() || asked.only.iter().any(|bug| bug == name);
    let mut survivors = Vec::new();
    for (name, trap) in bugs.into_iter().filter(|(name, _)| wanted(name)) {
        let started = Instant::now();
        let noticed = match hunt(name, asked) {
            Ok(noticed) => noticed,
            Err(error) => Some(json!({ "error": error.to_string() })),
        };
        let seconds = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        say(&json!({ "bug": name, "trap": trap, "noticed": noticed, "seconds": seconds }));
        if noticed.is_none() {
            survivors.push(name);
        }
    }
    say(&json!({ "survivors": survivors }));
    if !survivors.is_empty() {
        eprintln!("not noticed: {}", survivors.join(", "));
    }
    survivors.is_empty()
}

/// What noticed a bug, if anything did.
fn hunt(name: &str, asked: &Planted) -> io::Result<Option<Value>> {
    let mut command = Command::new(env::current_exe()?);
    command.env(WAKE, name).stdin(Stdio::null()).stderr(Stdio::null());
    command.args(["--seconds", &asked.seconds.to_string(), "--seed", &asked.seed.to_string()]);
    command.args(["--stall", &STALL_SECONDS.to_string()]);
    if let Some((_, classes)) = NOTICED_BY.iter().find(|(bug, _)| *bug == name) {
        command.args(["--only", classes]);
    }
    let output = command.output()?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = lines.rfind(|line| !line["broken"].is_null());
    let told = told.map(|line| {
        let what = line["broken"]["what"].as_str().unwrap_or_default();
        let what: String = what.chars().take(200).collect();
        json!({ "class": line["class"], "cases": line["cases"], "what": what })
    });
    Ok(told.or_else(|| died(output.status)))
}

/// A process that ended neither with success nor by telling why not.
fn died(status: ExitStatus) -> Option<Value> {
    (!status.success()).then(|| json!({ "died": status.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes;

    #[test]
    fn whatever_notices_a_bug_is_a_class() {
        for (bug, names) in NOTICED_BY {
            for name in names.split(',') {
                let known = classes::ALL.iter().any(|class| class.name() == name);
                assert!(known, "{bug}: no class is called {name}");
            }
        }
    }

    #[cfg(planted)]
    #[test]
    fn every_bug_has_a_class_and_is_in_order() {
        let planted = testing::planted().into_iter().map(|(bug, _)| bug);
        assert!(planted.eq(NOTICED_BY.iter().map(|(bug, _)| *bug)));
    }
}

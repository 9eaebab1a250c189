//! Planted bugs: each leaves out one guard, so that it can be seen that the tests and the fault
//! campaign notice.
//!
//! A build with `--cfg planted` has all of them, asleep; the environment variable `FIRSTSEEN_PLANTED`
//! wakes the one that it names. In any other build [`planted`] is a constant, and nothing is left of it.
//! The traps are those of `ARCHITECTURE.md`, "Traps".

/// Declares the bugs, by the trap that their guard is there for.
macro_rules! bugs {
    ($($trap:literal { $(#[doc = $doc:literal] $bug:ident = $name:literal,)+ })+) => {
        /// A guard that is left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($(#[doc = $doc] $bug,)+)+
        }

        #[cfg(any(test, planted))]
        impl Bug {
            /// All of them.
            pub(crate) const ALL: &[Bug] = &[$($(Bug::$bug,)+)+];

            /// What `FIRSTSEEN_PLANTED` calls it.
            pub(crate) fn name(self) -> &'static str {
                match self { $($(Bug::$bug => $name,)+)+ }
            }

            /// The trap that it falls into.
            #[cfg(any(test, feature = "testing"))]
            pub(crate) fn trap(self) -> &'static str {
                match self { $($(Bug::$bug => concat!($trap, ":", $doc),)+)+ }
            }
        }
    };
}

bugs! {
    "trap 1, a duplicate before the first is durable" {
        /// A duplicate is acknowledged without waiting for the log.
        DuplicateUnawaited = "duplicate-unawaited",
        /// A duplicate waits for what is staged, and not for a winner that has yet to stage.
        WinnerUnawaited = "winner-unawaited",
        /// `Sync` acknowledges what is only written.
        AcknowledgedUnsynced = "acknowledged-unsynced",
        /// What was replayed is told of before it is durable.
        ReplayUnsynced = "replay-unsynced",
    }
    "trap 2, an arbiter that is none" {
        /// A slot is looked at and then stored to, not compared and swapped.
        SlotStored = "slot-stored",
        /// A maybe of the window filter is taken for a duplicate.
        FilterDecides = "filter-decides",
    }
    "trap 3, checked and then inserted" {
        /// A batch is checked as a whole before any of it is inserted.
        BatchCheckedFirst = "batch-checked-first",
    }
    "trap 4, rotation between a look and an insertion" {
        /// A call leaves the gate after it has looked, and inserts into what it finds then.
        ViewUnpinned = "view-unpinned",
    }
    "trap 5, out of the table before behind the filter" {
        /// The ids of a table that is sealed are not put into the window filter.
        SealUnfiltered = "seal-unfiltered",
        /// A table is asked on a filter hit only, before the filter has its ids.
        SealMarkedFirst = "seal-marked-first",
        /// What is sealed while a larger filter is built goes into the old one alone.
        GrowingFilterMissed = "growing-filter-missed",
        /// A refreshed filter leaves the youngest run out.
        RefreshSkipsRun = "refresh-skips-run",
        /// A refreshed filter leaves the tables out that are behind it and not yet in a run.
        RefreshSkipsTable = "refresh-skips-table",
        /// A run's own filter misses one id of 64.
        RunFilterLies = "run-filter-lies",
    }
    "trap 7, the same bits for two jobs" {
        /// A run's filter takes the very bits of the window filter.
        RunFilterCorrelated = "run-filter-correlated",
    }
    "trap 8, a hole in the log" {
        /// What is staged while others write is acknowledged with what they wrote.
        AcknowledgedUnwritten = "acknowledged-unwritten",
        /// The rest of a short write is not written.
        ShortWriteIgnored = "short-write-ignored",
        /// After a failed write the log goes on behind the gap.
        FailureForgotten = "failure-forgotten",
        /// Of several segments that were written to only the last is synced.
        EarlierSegmentUnsynced = "earlier-segment-unsynced",
        /// A segment is replayed though the one before it has lost its end.
        HolePassedOver = "hole-passed-over",
    }
    "trap 9, bytes that were not written here" {
        /// A frame verifies wherever it stands.
        FrameUnsalted = "frame-unsalted",
        /// The payload of a frame is not held against its checksum.
        FrameUnchecked = "frame-unchecked",
        /// Damage below what later frames say was durable is taken for a torn tail.
        RotTakenForTorn = "rot-taken-for-torn",
        /// The end of the log is not held against the manifest.
        KnownEndUnchecked = "known-end-unchecked",
    }
    "trap 10, the order of data, name, list and removal" {
        /// The folder is not synced after a segment was created.
        SegmentNameUnsynced = "segment-name-unsynced",
        /// A run is listed before its bytes are durable.
        RunUnsynced = "run-unsynced",
        /// A manifest takes its place before its bytes are durable.
        ManifestUnsynced = "manifest-unsynced",
        /// Files are removed before the name of the manifest that lists them no more is durable.
        ManifestNameUnsynced = "manifest-name-unsynced",
        /// Files are removed before the manifest that lists them no more is written.
        RemovedFirst = "removed-first",
        /// The log is removed once it is replayed, before a run has its ids.
        LogRemovedOnceReplayed = "log-removed-once-replayed",
    }
    "trap 11, a sync that failed" {
        /// A failed sync is tried again, and believed.
        SyncRetried = "sync-retried",
        /// What was not acknowledged is not cut off after a failure.
        FailureNotCutOff = "failure-not-cut-off",
    }
    "trap 12, a full disk" {
        /// Room for the log is not set aside before ids are inserted.
        LogRoomUnreserved = "log-room-unreserved",
        /// Nothing is set aside for the manifest and the state.
        ReserveNotKept = "reserve-not-kept",
    }
    "trap 14, the clock" {
        /// Store time follows a clock that runs back.
        ClockRunsBack = "clock-runs-back",
        /// A wall clock that jumps ahead is believed.
        ClockJumpBelieved = "clock-jump-believed",
        /// An event from the far future is believed.
        FutureEventBelieved = "future-event-believed",
        /// A store that nobody calls does not age.
        IdleUnaged = "idle-unaged",
        /// A generation is dropped when its first tick has expired, not its last.
        ExpiredEarly = "expired-early",
        /// A record counts from the start of its tick, not from its end.
        TickStartCounts = "tick-start-counts",
    }
    "trap 15, crafted ids" {
        /// Every store has the same key.
        IdentityUnkeyed = "identity-unkeyed",
    }
    "trap 16, the end of a lease" {
        /// Whoever has outlived its lease commits.
        LeaseUnfenced = "lease-unfenced",
        /// Giving ids back frees them whoever holds them by now.
        ClaimOfOthersFreed = "claim-of-others-freed",
        /// Fencing tokens start anew at a reopening.
        FenceUnreserved = "fence-unreserved",
    }
    "trap 17, seen and not done" {
        /// Ids that are rolled back count as seen.
        RollbackMarksSeen = "rollback-marks-seen",
        /// Ids that are rolled back stay claimed.
        RollbackKeepsClaim = "rollback-keeps-claim",
        /// A call that is refused leaves its ids in the table.
        RefusedKept = "refused-kept",
        /// The ids of a commit are durable before what it brings with them.
        IdsCommittedFirst = "ids-committed-first",
        /// A state file is installed before the log has what it rests on.
        StateAheadOfLog = "state-ahead-of-log",
        /// Outcomes are not replayed with their ids.
        OutcomeNotReplayed = "outcome-not-replayed",
        /// What is prepared is not in the state file.
        PreparedNotKept = "prepared-not-kept",
        /// What was prepared stays so when it is committed.
        PreparedSettledTwice = "prepared-settled-twice",
    }
    "trap 18, a cap that counts not all" {
        /// A cap on disk space does not count the log.
        CapForgetsLog = "cap-forgets-log",
        /// The files of a log that was sealed are open until the next sync.
        SealedLogHeld = "sealed-log-held",
    }
    "trap 20, two tables in opposite order" {
        /// An insertion does not ask whether its id is claimed.
        ClaimsUnasked = "claims-unasked",
        /// An insertion goes beside whoever claims alone.
        LoneUnspread = "lone-unspread",
        /// A claim asks the table before it holds what an insertion holds.
        TableAskedFirst = "table-asked-first",
    }
    "trap 21, a filter that nobody asks" {
        /// The window filter is written and not asked.
        FilterUnasked = "filter-unasked",
    }
}

/// Whether the guard is to be left out.
#[cfg(not(planted))]
#[inline(always)]
pub(crate) const fn planted(_bug: Bug) -> bool {
    false
}

/// Whether the guard is to be left out.
#[cfg(planted)]
pub(crate) fn planted(bug: Bug) -> bool {
    static AWAKE: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *AWAKE.get_or_init(awake) == Some(bug)
}

/// Comes between two steps that a planted bug takes apart. They are so close that else only an interrupted
/// thread would show what is wrong with that.
pub(crate) fn pause() {
    (0..32).for_each(|_| std::hint::spin_loop());
}

/// The bug that `FIRSTSEEN_PLANTED` names. A name that there is not ends the process: else whoever
/// mistypes one would be told that nothing notices it.
#[cfg(planted)]
fn awake() -> Option<Bug> {
    use std::io::Write as _;

    let name = std::env::var_os("FIRSTSEEN_PLANTED").filter(|name| !name.is_empty())?;
    let found = Bug::ALL.iter().copied().find(|bug| name == bug.name());
    if found.is_none() {
        // Not by `eprintln!`, which a test keeps to itself.
        let mut out = std::io::stderr();
        let _ = writeln!(out, "FIRSTSEEN_PLANTED: no bug is called {}", name.display());
        std::process::abort();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_own_and_in_kebab_case() {
        for (i, bug) in Bug::ALL.iter().enumerate() {
            let name = bug.name();
            assert!(name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase()), "{name}");
            assert!(Bug::ALL[..i].iter().all(|other| other.name() != name), "{name}");
            assert!(bug.trap().starts_with("trap "), "{name}");
        }
    }

    #[cfg(not(planted))]
    #[test]
    fn a_plain_build_has_none() {
        assert!(Bug::ALL.iter().all(|&bug| !planted(bug)));
    }
}

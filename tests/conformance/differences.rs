//! In what the backends differ, and why. All else is the same, and the themes ask for it.

use firstseen::Backend;

/// A database of sled can be open in one process only, so the offline tools take the lock of such a
/// store: they are refused while it is open, where they read files beside its owner.
pub const OFFLINE_TOOLS_TAKE_THE_LOCK: &[Backend] = &[Backend::Sled];

/// A run that is a file gets a second name in a checkpoint. Runs in a database are copied.
pub const CHECKPOINT_SHARES_RUNS: &[Backend] = &[Backend::Mapped];

/// Files are removed when nothing needs them. Sled keeps the space of what was removed, and uses it
/// again.
pub const GIVES_SPACE_BACK: &[Backend] = &[Backend::Mapped];

/// The log is a file of its own, so a store goes on without a run that was lost. Who loses the file of a
/// database has lost everything, and there is nothing to go on with.
pub const LOSES_A_FILE_AT_A_TIME: &[Backend] = &[Backend::Mapped];

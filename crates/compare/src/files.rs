//! The files of a folder of measurements.

pub(crate) const LIMITS: &str = "limits.jsonl";
pub(crate) const SUSTAINED: &str = "sustained.jsonl";
pub(crate) const RECOVERY: &str = "recovery.jsonl";
pub(crate) const THREADS: &str = "threads.jsonl";
pub(crate) const PEERS: &str = "peers.jsonl";
pub(crate) const COMMAND: &str = "command.jsonl";

//! The files of a folder of measurements.

pub(crate) const PEERS: &str = "peers.jsonl";
pub(crate) const COMMAND: &str = "command.jsonl";

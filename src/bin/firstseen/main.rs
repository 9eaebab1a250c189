//! The `firstseen` command.
fn main() {}

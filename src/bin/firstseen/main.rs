//! The `firstseen` command.
#![allow(dead_code)]

mod duration;
mod record;

fn main() {}

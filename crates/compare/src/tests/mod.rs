//! What is told of peers is right, and is the same when it is read back.

mod lines;
mod peers;
pub(crate) mod sample;
mod tables;

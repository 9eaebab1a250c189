//! What the targets share.

pub mod oracle;
pub mod world;

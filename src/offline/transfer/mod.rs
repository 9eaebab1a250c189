//! A store as a stream of bytes, and back: see `docs/FORMAT-export.md`.

mod export;
mod import;

pub(crate) use export::{export_in, export_snapshot};
pub(super) use import::import_in;

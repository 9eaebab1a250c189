//! The option `--backend`: where a store keeps its log and its runs.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use firstseen::Backend;

/// Reads the name of a backend, and tells help and completions which there are.
pub(crate) fn parser() -> impl TypedValueParser<Value = Backend> {
    let values = [
        PossibleValue::new("mapped").help("Files of its own, read through mappings"),
        PossibleValue::new("sled")
            .help("A database of sled; needs a build with the cargo feature `sled`"),
    ];
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Backend>())
}

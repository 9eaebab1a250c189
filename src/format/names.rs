//! Every file name of a store, built and parsed here and nowhere else.

use std::path::{Path, PathBuf};

use super::NUMBER_END;

/// Identity and key of the store. Written once, at creation.
pub(crate) const STORE: &str = "STORE";
/// The list of live files.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// The next manifest while it is being written; meaningless after a crash.
pub(crate) const MANIFEST_NEW: &str = "MANIFEST.new";
/// Held locked while the store is open.
pub(crate) const LOCK: &str = "LOCK";
/// Space set aside so that a manifest can be written, and so space freed, on a full disk.
pub(crate) const RESERVE: &str = "RESERVE";

/// The folder of the database, in a store that is kept in sled.
pub(crate) const SLED: &str = "sled";

/// What a file in a store's folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A segment of the log.
    Segment(u64),
    /// A sorted run.
    Run(u64),
    /// The application state at one point of the log.
    State(u64),
    /// The values beside the run of that number.
    Values(u64),
    /// The folder of a database.
    Database,
    /// One of the files with a fixed name.
    Fixed,
    /// Not ours.
    Foreign,
}

/// The path of log segment `number`.
pub(crate) fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.log"))
}

/// The path of run `number`.
pub(crate) fn run(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.run"))
}

/// The path of state file `number`.
pub(crate) fn state(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.state"))
}

/// The path of the values beside run `number`.
pub(crate) fn values(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.val"))
}

/// What the file called `name` is.
pub(crate) fn parse(name: &str) -> Kind {
    if [STORE, MANIFEST, MANIFEST_NEW, LOCK, RESERVE].contains(&name) {
        return Kind::Fixed;
    }
    if name == SLED {
        return Kind::Database;
    }
    let Some((digits, extension)) = name.split_once('.') else {
        return Kind::Foreign;
    };
    if digits.len() < 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Kind::Foreign;
    }
    match (digits.parse(), extension) {
        (Ok(NUMBER_END..), _) => Kind::Foreign,
        (Ok(number), "log") => Kind::Segment(number),
        (Ok(number), "run") => Kind::Run(number),
        (Ok(number), "state") => Kind::State(number),
        (Ok(number), "val") => Kind::Values(number),
        _ => Kind::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(path: &Path) -> Kind {
        parse(path.file_name().unwrap().to_str().unwrap())
    }

    #[test]
    fn names_round_trip() {
        let dir = Path::new("/store");
        for number in [0, 1, 999_999_999_999, NUMBER_END - 1] {
            assert_eq!(kind_of(&segment(dir, number)), Kind::Segment(number));
            assert_eq!(kind_of(&run(dir, number)), Kind::Run(number));
            assert_eq!(kind_of(&state(dir, number)), Kind::State(number));
            assert_eq!(kind_of(&values(dir, number)), Kind::Values(number));
        }
        assert_eq!(parse(MANIFEST), Kind::Fixed);
        assert_eq!(parse(SLED), Kind::Database);
    }

    #[test]
    fn other_names_are_foreign() {
        for name in [
            "",
            "1.log",
            "000000000001",
            "000000000001.txt",
            "1.state",
            "+00000000001.log",
            "notes",
            "18446744073709551615.log",
        ] {
            assert_eq!(parse(name), Kind::Foreign, "{name}");
        }
    }
}

//! Who owns a partition: a number that rises with every owner, and a name that nobody else draws.
//!
//! An owner writes its tenure into its store, then commits it to the group, as the metadata of the
//! partition's offset, where the broker refuses whoever is not the owner. So the group says which store has
//! all that was done: the one that knows the group's tenure. Any other is stale: a copy from before, or
//! the store of an owner that went on without knowing that it was none any more.

use std::fmt;

use firstseen::Store;

use crate::error::{Error, Result};

/// Where a store keeps it. The state's keys that begin so are the consumer's own.
const KEY: &[u8] = b"\0firstseen-kafka\0tenure";

/// The word with which its metadata begins.
const MARK: &str = "firstseen1";

/// One owner's time with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    number: u64,
    name: u64,
}

impl Tenure {
    /// The next one after those.
    pub(crate) fn after(group: Option<&Tenure>, kept: Option<&Kept>) -> std::io::Result<Tenure> {
        let last = [group, kept.map(|kept| &kept.current)];
        let last = last.into_iter().flatten().map(|tenure| tenure.number).max();
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(std::io::Error::other)?;
        Ok(Tenure { number: last.unwrap_or(0) + 1, name: u64::from_le_bytes(name) })
    }

    /// The least number that the next owner can have. Where the group names the last, that alone counts: a store may
    /// know the number of one who never became owner, and the store of the next does not.
    pub(crate) fn least_after(group: Option<&Tenure>, kept: Option<&Kept>) -> u64 {
        group.or(kept.map(|kept| &kept.current)).map_or(0, |tenure| tenure.number) + 1
    }

    /// Above that of every earlier owner of the partition: another system that keeps the highest it has
    /// seen can refuse an owner that was replaced without knowing it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// As it is committed with an offset, with the token of the transaction that committed it, if one did.
    pub(crate) fn metadata(&self, token: Option<&str>) -> String {
        match token {
            Some(token) => format!("{MARK} {self} {token}"),
            None => format!("{MARK} {self}"),
        }
    }

    /// The tenure and the token in an offset's metadata; `None` if it is somebody else's.
    pub(crate) fn parse(metadata: &str) -> Option<(Tenure, Option<&str>)> {
        let mut words = metadata.split(' ');
        if words.next() != Some(MARK) {
            return None;
        }
        let tenure = Tenure::parse_word(words.next()?)?;
        Some((tenure, words.next()))
    }

    fn parse_word(word: &str) -> Option<Tenure> {
        let (number, name) = word.split_once('-')?;
        Some(Tenure { number: number.parse().ok()?, name: u64::from_str_radix(name, 16).ok()? })
    }
}

/// As in `7-00c0ffee00c0ffee`.
impl fmt::Display for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.number, self.name)
    }
}

/// What a store knows of its owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The last to have had it.
    current: Tenure,
    /// The one before: what the group says if the last never got to commit its own.
    previous: Option<Tenure>,
}

impl Kept {
    /// What a store keeps.
    pub(crate) fn read(store: &Store) -> Result<Option<Kept>> {
        let Some(bytes) = store.state(KEY)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split(' ').map(Tenure::parse_word);
        match (words.next().flatten(), words.next()) {
            (Some(current), None) => Ok(Some(Kept { current, previous: None })),
            (Some(current), Some(Some(previous))) => {
                Ok(Some(Kept { current, previous: Some(previous) }))
            }
            _ => Err(Error::Metadata { found: text.into_owned() }),
        }
    }

    /// Writes into a store that `tenure` has it now, durably, and from where it reads `source`, if it has not read
    /// it yet. What the group said before stays known until the group says otherwise.
    pub(crate) fn write(
        store: &Store,
        tenure: &Tenure,
        group: Option<&Tenure>,
        (source, next): (&str, u64),
    ) -> Result<()> {
        let begun = store.progress(source)?.is_some();
        let mut tx = store.begin::<&[u8]>(&[])?;
        if !begun {
            tx.set_progress(source, next);
        }
        let text = match group {
            Some(previous) => format!("{tenure} {previous}"),
            None => tenure.to_string(),
        };
        tx.put_state(KEY, text.into_bytes());
        tx.commit()?;
        store.sync()?;
        Ok(())
    }
}

/// How a store stands to what the group says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody has owned the partition: there is nothing that could be missing.
    Untouched,
    /// It has all that was done.
    Current,
    /// Somebody else has done something that it does not know.
    Stale,
}

/// How a store that keeps `kept` stands to a group that says `group`, and has committed an offset if
/// `committed`.
pub(crate) fn standing(kept: Option<&Kept>, group: Option<&Tenure>, committed: bool) -> Standing {
    match (kept, group) {
        // Somebody has read it who keeps no store, or none since.
        (_, None) if committed => Standing::Stale,
        (None, None) => Standing::Untouched,
        // Its first owner died before it committed anything, or the group's offsets have expired.
        (Some(_), None) => Standing::Current,
        (Some(kept), Some(group)) if kept.current == *group => Standing::Current,
        (Some(kept), Some(group)) if kept.previous.as_ref() == Some(group) => Standing::Current,
        (_, Some(_)) => Standing::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenure(number: u64) -> Tenure {
        Tenure { number, name: number * 7 }
    }

    #[test]
    fn metadata_comes_back() {
        let mine = tenure(12);
        assert_eq!(Tenure::parse(&mine.metadata(None)), Some((mine.clone(), None)));
        assert_eq!(Tenure::parse(&mine.metadata(Some("9"))), Some((mine, Some("9"))));
        for foreign in ["", "firstseen1", "firstseen1 x", "firstseen1 1-", "other 1-1"] {
            assert_eq!(Tenure::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_next_is_above_all() {
        let kept = Kept { current: tenure(5), previous: None };
        assert_eq!(Tenure::after(None, None).unwrap().number(), 1);
        assert_eq!(Tenure::after(Some(&tenure(3)), Some(&kept)).unwrap().number(), 6);
        assert_eq!(Tenure::after(Some(&tenure(8)), Some(&kept)).unwrap().number(), 9);
        assert_eq!(Tenure::least_after(Some(&tenure(3)), Some(&kept)), 4);
        assert_eq!(Tenure::least_after(None, Some(&kept)), 6);
        assert_eq!(Tenure::least_after(None, None), 1);
        let (one, other) = (Tenure::after(None, None).unwrap(), Tenure::after(None, None).unwrap());
        assert_ne!(one, other, "two that draw at the same time are told apart");
    }

    #[test]
    fn a_store_keeps_two() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(Kept::read(&store).unwrap(), None);
        Kept::write(&store, &tenure(1), None, ("t/0", 7)).unwrap();
        assert_eq!(Kept::read(&store).unwrap(), Some(Kept { current: tenure(1), previous: None }));
        Kept::write(&store, &tenure(2), Some(&tenure(1)), ("t/0", 9)).unwrap();
        let kept = Kept::read(&store).unwrap().unwrap();
        assert_eq!(kept, Kept { current: tenure(2), previous: Some(tenure(1)) });
        assert_eq!(store.progress("t/0").unwrap(), Some(7), "the first is where it begins");
        assert_eq!(standing(Some(&kept), Some(&tenure(2)), true), Standing::Current);
        assert_eq!(standing(Some(&kept), Some(&tenure(1)), true), Standing::Current);
        assert_eq!(standing(Some(&kept), Some(&tenure(3)), true), Standing::Stale);
        assert_eq!(standing(Some(&kept), None, false), Standing::Current);
        assert_eq!(standing(Some(&kept), None, true), Standing::Stale);
        assert_eq!(standing(None, Some(&tenure(1)), true), Standing::Stale);
        assert_eq!(standing(None, None, true), Standing::Stale);
        assert_eq!(standing(None, None, false), Standing::Untouched);
    }
}

//! A change of the data: what is logged, sent and applied.

use std::fmt;
use std::str::FromStr;

use firstseen::Record;

use crate::support::Failure;
use crate::support::random::Rng;

const KEYS: u64 = 200;

/// A change of one key. Values are text; to apply an [`Append`](Change::Append) twice shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put { key: String, value: String },
    Append { key: String, value: String },
    Delete { key: String },
}

impl Change {
    /// The change that the application makes at a position. It follows from the position alone, so that
    /// the truth can be told afterwards.
    pub fn made_at(position: u64, seed: u64) -> Change {
        let mut rng = Rng::new(seed, position);
        let key = format!("key-{}", rng.below(KEYS));
        match rng.below(8) {
            0 => Change::Delete { key },
            1..=3 => Change::Put { key, value: format!("put-{position}") },
            _ => Change::Append { key, value: format!(",{position}") },
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Change::Put { key, .. } | Change::Append { key, .. } | Change::Delete { key } => key,
        }
    }

    /// The value of the key after the change.
    pub fn apply(&self, before: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match self {
            Change::Put { value, .. } => Some(value.clone().into_bytes()),
            Change::Append { value, .. } => {
                Some([&before.unwrap_or_default(), value.as_bytes()].concat())
            }
            Change::Delete { .. } => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Put { key, value } => write!(f, "put {key} {value}"),
            Change::Append { key, value } => write!(f, "append {key} {value}"),
            Change::Delete { key } => write!(f, "delete {key}"),
        }
    }
}

impl FromStr for Change {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Change, Failure> {
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["put", key, value] => Ok(Change::Put { key: key.into(), value: value.into() }),
            ["append", key, value] => Ok(Change::Append { key: key.into(), value: value.into() }),
            ["delete", key] => Ok(Change::Delete { key: key.into() }),
            _ => Err(format!("`{text}` is no change").into()),
        }
    }
}

/// A change with its position in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub position: u64,
    pub id: String,
    pub change: Change,
}

impl Logged {
    pub fn new(position: u64, change: Change) -> Logged {
        Logged { position, id: id(position), change }
    }
}

impl Record for Logged {
    fn position(&self) -> u64 {
        self.position
    }

    fn id(&self) -> &[u8] {
        self.id.as_bytes()
    }
}

/// The id of the change at a position.
pub fn id(position: u64) -> String {
    format!("change-{position}")
}

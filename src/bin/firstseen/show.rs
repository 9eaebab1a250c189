//! Facts about a store, shown to a reader or as JSON.

use std::io::{self, Write};
use std::time::Duration;

use firstseen::Timestamp;
use firstseen::offline::{Inspection, Verified};
use serde_json::{Map, Value};

use crate::duration;
use crate::fail::Result;
use crate::state;

/// One fact: its name, and its value for programs and for readers.
pub(crate) struct Fact {
    name: &'static str,
    value: Value,
    text: String,
}

impl Fact {
    /// A count of things.
    pub(crate) fn count(name: &'static str, count: u64) -> Fact {
        Fact { name, value: count.into(), text: count.to_string() }
    }

    /// A number of bytes.
    pub(crate) fn bytes(name: &'static str, bytes: u64) -> Fact {
        let text = format!("{bytes} ({})", indicatif::HumanBytes(bytes));
        Fact {
            name,
            value: bytes.into(),
            text: if bytes < 1024 { bytes.to_string() } else { text },
        }
    }

    /// A word or a path.
    pub(crate) fn text(name: &'static str, text: impl Into<String>) -> Fact {
        let text = text.into();
        Fact { name, value: text.clone().into(), text }
    }

    /// A length of time; seconds in JSON.
    pub(crate) fn duration(name: &'static str, length: Duration) -> Fact {
        Fact { name, value: length.as_secs_f64().into(), text: duration::display(length) }
    }

    /// A point in time.
    fn time(name: &'static str, time: Timestamp) -> Fact {
        Fact::text(name, rfc3339(time))
    }
}

/// Prints facts: a line each, or one JSON object.
pub(crate) fn print(facts: Vec<Fact>, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let object: Map<String, Value> =
            facts.into_iter().map(|fact| (fact.name.to_owned(), fact.value)).collect();
        writeln!(out, "{}", Value::Object(object))?;
    } else {
        for Fact { name, text, .. } in facts {
            let label = name.trim_end_matches("_seconds").replace('_', " ");
            writeln!(out, "{label:<20} {text}")?;
        }
    }
    Ok(out.flush()?)
}

/// What the manifest of a store says.
pub(crate) fn inspection(found: &Inspection) -> Vec<Fact> {
    let mut facts = vec![
        Fact::text("identity", found.identity.to_string()),
        Fact::text("backend", found.backend.to_string()),
        Fact::text("time_source", found.time_source.to_string()),
        Fact::duration("window_seconds", found.window),
        Fact::time("created", found.created),
        Fact::time("high_water", found.high_water),
        Fact::count("records", found.ids()),
        Fact::count("records_in_log", found.ids_in_log),
        Fact::count("generations", found.generations.len() as u64),
        Fact::count("runs", found.runs),
        Fact::count("log_segments", found.log_segments),
        Fact::bytes("bytes", found.total_bytes),
        Fact::bytes("torn_bytes", found.torn_bytes),
        Fact::count("forgotten", found.forgotten),
        Fact::count("values", found.values),
        Fact::bytes("values_bytes", found.values_bytes),
        sources(found),
        Fact::count("state_keys", found.state_keys),
        Fact::bytes("state_bytes", found.state_bytes),
        prepared(found),
    ];
    match found.complete_since {
        Timestamp::MIN => {}
        Timestamp::MAX => facts.push(Fact::text("complete_since", "unknown: catching up")),
        since => facts.push(Fact::time("complete_since", since)),
    }
    facts
}

/// Sources and their progress; to a reader, how many there are.
fn sources(found: &Inspection) -> Fact {
    let progress = found.sources.iter();
    let value = progress.map(|(name, next)| (name.clone(), (*next).into())).collect();
    let text = found.sources.len().to_string();
    Fact { name: "sources", value: Value::Object(value), text }
}

/// What is prepared and not settled; to a reader, how much and since when.
fn prepared(found: &Inspection) -> Fact {
    let count = found.in_doubt.len();
    let text = match found.in_doubt.iter().map(|prepared| prepared.since).min() {
        Some(since) => format!("{count}, the oldest since {}", rfc3339(since)),
        None => count.to_string(),
    };
    Fact { name: "prepared", value: found.in_doubt.iter().map(state::prepared).collect(), text }
}

/// What a check of every byte found.
pub(crate) fn verified(found: &Verified) -> Vec<Fact> {
    let mut facts = vec![
        Fact::count("files", found.files),
        Fact::bytes("bytes", found.bytes),
        Fact::count("records", found.records),
        Fact::count("damages", found.damages),
        Fact::bytes("torn_bytes", found.torn_bytes),
    ];
    if let Some(backend) = found.backend {
        facts.insert(0, Fact::text("backend", backend.to_string()));
    }
    facts
}

/// A time as RFC 3339, in UTC; beyond the year 9999, as seconds.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(found) => found.to_string(),
        Err(_) => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_700_000_000_500)), "2023-11-14T22:13:20.5Z");
        assert_eq!(rfc3339(Timestamp::MAX), "18446744073709.551615");
    }
}

//! Lines of JSON, read back: whatever is wrong with one is told with its file and its number.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::peer::Result;

/// What the lines are called that tell how those below them were made.
pub(crate) const ABOUT: &str = "about";

/// One line.
#[derive(Debug)]
pub(crate) struct Record {
    /// `FILE:LINE`.
    place: String,
    fields: Value,
}

/// The measurements of a file; `None` if there is no such file. Lines that tell how others were made
/// are left out.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Record>>> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, &path.display().to_string()).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// The same, of a text that was read from `file`.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", at + 1);
        let fields = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
        let record = Record { place, fields };
        if record.text("what")? != ABOUT {
            records.push(record);
        }
    }
    Ok(records)
}

impl Record {
    pub(crate) fn text(&self, key: &str) -> Result<&str> {
        self.fields[key].as_str().ok_or_else(|| self.wrong(&format!("`{key}` is no text")).into())
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64> {
        self.number_in(&[key])
    }

    /// The number that is reached through the keys, one inside the other.
    pub(crate) fn number_in(&self, keys: &[&str]) -> Result<f64> {
        let value = keys.iter().fold(&self.fields, |value, key| &value[*key]);
        value
            .as_f64()
            .ok_or_else(|| self.wrong(&format!("`{}` is no number", keys.join("."))).into())
    }

    /// A number that may be told to be missing.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<f64>> {
        match self.fields.get(key) {
            Some(Value::Null) => Ok(None),
            _ => self.number(key).map(Some),
        }
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize> {
        let count = self.fields[key].as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.wrong(&format!("`{key}` is no count")).into())
    }

    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        let list =
            self.fields[key].as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
        list.ok_or_else(|| self.wrong(&format!("`{key}` is no list of numbers")).into())
    }

    /// What is wrong, and where.
    pub(crate) fn wrong(&self, what: &str) -> String {
        format!("{}: {what}", self.place)
    }
}

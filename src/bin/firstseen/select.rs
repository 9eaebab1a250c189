//! What of a record is its id and its time: the options, and the selectors they become.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use clap::Args;

use crate::fail::{Failure, Result};
use crate::record::json::{self, Pointer};
use crate::record::{csv, fields, time};

/// How records are cut, and where in them the id stands.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// The id is this field, counted from 1; several fields make one id
    #[arg(short, long, value_name = "N[,N]", value_delimiter = ',', help_heading = "The id")]
    pub(crate) field: Vec<NonZeroUsize>,

    /// One byte between fields; '\t' is a tab [default: tab, with --csv a comma]
    #[arg(short, long, value_name = "C", value_parser = delimiter, help_heading = "The id")]
    pub(crate) delimiter: Option<u8>,

    /// Records are CSV: fields may be quoted and span lines, the first record names the columns
    #[arg(long, conflicts_with = "null", help_heading = "The id")]
    pub(crate) csv: bool,

    /// The id is this CSV column; give it several times for an id of several columns
    #[arg(short = 'k', long, value_name = "NAME", requires = "csv", help_heading = "The id")]
    pub(crate) column: Vec<String>,

    /// The CSV input has no header; name columns by --field
    #[arg(long, requires = "csv", conflicts_with = "column", help_heading = "The id")]
    pub(crate) no_header: bool,

    /// Records end with NUL, not newline
    #[arg(short = '0', long, help_heading = "The id")]
    pub(crate) null: bool,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        // A carriage return before the newline belongs to the end of the line.
        b"\n" | b"\r" | b"\"" => {
            Err("a newline, \\r or a quote cannot stand between fields".to_owned())
        }
        [byte] => Ok(*byte),
        _ => Err("a delimiter is one byte, or \\t".to_owned()),
    }
}

/// How a stream is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each ends with this byte.
    Ended(u8),
    /// CSV, with this delimiter.
    Csv(u8),
}

impl Framing {
    /// The byte that ends records.
    pub(crate) fn terminator(self) -> u8 {
        match self {
            Framing::Ended(byte) => byte,
            Framing::Csv(_) => b'\n',
        }
    }
}

/// What was asked for, before the header of a CSV file is known.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) framing: Framing,
    /// Whether the first record names the columns.
    pub(crate) header: bool,
    ids: Vec<Wanted>,
    time: Option<Wanted>,
    unit: time::Unit,
}

/// One value of a record, as the command line names it.
#[derive(Debug, Clone)]
enum Wanted {
    Whole,
    Field(usize),
    Column(String),
    Pointer(Pointer),
}

impl Plan {
    /// From the options; `pointers` are those to an id, `time` is in the same terms as the id.
    pub(crate) fn new(
        selection: &Selection,
        pointers: &[Pointer],
        time: Option<&str>,
        unit: time::Unit,
    ) -> Result<Plan> {
        let framing = match (selection.csv, selection.null) {
            (true, _) => Framing::Csv(selection.delimiter.unwrap_or(b',')),
            (_, true) => Framing::Ended(0),
            _ => Framing::Ended(b'\n'),
        };
        if !pointers.is_empty() && (selection.csv || !selection.field.is_empty()) {
            let text = "a JSON pointer and --csv or --field exclude each other";
            return Err(Failure::Usage(text.to_owned()));
        }
        if !selection.field.is_empty() && !selection.column.is_empty() {
            return Err(Failure::Usage("--field and --column exclude each other".to_owned()));
        }
        let delimited =
            selection.csv || !selection.field.is_empty() || (time.is_some() && pointers.is_empty());
        if selection.delimiter.is_some() && !delimited {
            let text = "--delimiter needs --field, --csv, or --time with a field number";
            return Err(Failure::Usage(text.to_owned()));
        }
        let fields = selection.field.iter().map(|field| Wanted::Field(field.get() - 1));
        let columns = selection.column.iter().cloned().map(Wanted::Column);
        let pointers_wanted = pointers.iter().cloned().map(Wanted::Pointer);
        let mut ids: Vec<Wanted> = fields.chain(columns).chain(pointers_wanted).collect();
        if ids.is_empty() {
            ids.push(Wanted::Whole);
        }
        let time = time.map(|name| wanted_time(name, selection, !pointers.is_empty()));
        Ok(Plan {
            framing,
            header: selection.csv && !selection.no_header,
            ids,
            time: time.transpose()?,
            unit,
        })
    }

    /// Whether records carry a time.
    pub(crate) fn is_timed(&self) -> bool {
        self.time.is_some()
    }

    /// The selectors, columns looked up in the header `names`.
    pub(crate) fn resolve(&self, names: &[String], delimiter: u8) -> Result<Selectors> {
        let resolve = |wanted: &Wanted| self.selector(wanted, names, delimiter);
        let time = self.time.as_ref().map(resolve).transpose()?;
        Ok(Selectors {
            ids: self.ids.iter().map(resolve).collect::<Result<_>>()?,
            time: time.map(|selector| (selector, self.unit)),
        })
    }

    fn selector(&self, wanted: &Wanted, names: &[String], delimiter: u8) -> Result<Selector> {
        let at = |index| match self.framing {
            Framing::Csv(delimiter) => Selector::Column { index, delimiter },
            Framing::Ended(_) => Selector::Field { index, delimiter },
        };
        match wanted {
            Wanted::Whole => Ok(Selector::Whole),
            Wanted::Field(index) => Ok(at(*index)),
            Wanted::Pointer(pointer) => Ok(Selector::Pointer(pointer.clone())),
            Wanted::Column(name) => {
                let found = names.iter().position(|column| column == name);
                found.map(at).ok_or_else(|| {
                    let names = names.join(", ");
                    Failure::Run(format!("no column '{name}'; the header names: {names}"))
                })
            }
        }
    }
}

/// The time is named in the same terms as the id.
fn wanted_time(name: &str, selection: &Selection, json: bool) -> Result<Wanted> {
    if json {
        let pointer = name.parse().map_err(|error| Failure::Usage(format!("--time: {error}")))?;
        return Ok(Wanted::Pointer(pointer));
    }
    if selection.csv && !selection.no_header && selection.field.is_empty() {
        return Ok(Wanted::Column(name.to_owned()));
    }
    match name.parse::<NonZeroUsize>() {
        Ok(field) => Ok(Wanted::Field(field.get() - 1)),
        Err(_) => Err(Failure::Usage(format!(
            "--time '{name}' is not a field number; name the time as the id is named"
        ))),
    }
}

/// How to find the id and the time in a record.
#[derive(Debug)]
pub(crate) struct Selectors {
    pub(crate) ids: Vec<Selector>,
    pub(crate) time: Option<(Selector, time::Unit)>,
}

/// How to find one value in a record.
#[derive(Debug)]
pub(crate) enum Selector {
    Whole,
    Field { index: usize, delimiter: u8 },
    Column { index: usize, delimiter: u8 },
    Pointer(Pointer),
}

impl Selector {
    /// The value in a record without its terminator; the error says what is wrong with the record.
    pub(crate) fn pick<'a>(&self, body: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        match self {
            Selector::Whole => Ok(Cow::Borrowed(body)),
            Selector::Field { index, delimiter } => fields::pick(body, *delimiter, *index)
                .map(Cow::Borrowed)
                .ok_or_else(|| format!("no field {}", index + 1)),
            Selector::Column { index, delimiter } => csv::pick(body, *delimiter, *index)
                .ok_or_else(|| format!("no column {}", index + 1)),
            Selector::Pointer(pointer) => json::pick(body, pointer).map_err(|why| match why {
                json::Problem::NotJson { column, why } => format!("not JSON: byte {column}: {why}"),
                json::Problem::Absent => format!("nothing at {pointer}"),
                json::Problem::NotScalar(kind) => {
                    format!("{kind} at {pointer}, not a string or number")
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_or_quotes_a_record_is_no_delimiter() {
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        assert_eq!(delimiter(";"), Ok(b';'));
        for text in ["", "\n", "\r", "\"", "ab", "é"] {
            assert!(delimiter(text).is_err(), "{text:?}");
        }
    }
}

//! Tables of lines that were read back.

use std::fs;

use super::sample;
use crate::files::{COMMAND, PEERS};
use crate::{lines, table, tables};

#[test]
fn tables_of_lines_are_those_of_the_measurements() {
    let folder = tempfile::tempdir().unwrap();
    let (mut written, mut direct) = (Vec::new(), Vec::new());
    for outcome in sample::outcomes() {
        lines::write(&outcome, &mut written).unwrap();
        table::write(&outcome, &mut direct).unwrap();
    }
    fs::write(folder.path().join(PEERS), written).unwrap();
    let mut read = Vec::new();
    tables::write(folder.path(), &mut read).unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), String::from_utf8(direct).unwrap());
}

#[test]
fn a_table_compares_with_its_first_row() {
    let mut table = Vec::new();
    table::write(&sample::outcome(1_200_800, 1024, 1), &mut table).unwrap();
    let head = "| peer | new | finished | cpu | duplicate | cpu | half | finished | cpu | bytes |\n\
                |---|---|---|---|---|---|---|---|---|---|\n";
    let expected = format!(
        "Batch 1024, one thread, 1,200,800 ids in the window, 3 rounds, `L` 91 M lines/s:\n\n\
         {head}\
         | firstseen | 10.0 | 5.00 | 207 | 9.90 | 209 | 9.80 | 4.90 | 211 | 16.5 |\n\
         | bloom+sled | 0.11 (90x) | 0.06 (90x) | 18007 | 0.11 (89x) | 18009 | 0.11 (88x) | 0.06 (88x) | 18011 | 16.5 |\n\
         | redb | 0.12 (80x) | 0.06 (80x) | - | 0.12 (79x) | - | 0.12 (78x) | 0.06 (78x) | - | 16.5 |\n\
         | hashbrown | 30.1 (0.33x) | 15.0 (0.33x) | 74 | 29.2 (0.34x) | 76 | 28.4 (0.35x) | 14.2 (0.35x) | 78 | - |\n\n\
         The same, synced in every call:\n\n\
         {head}\
         | firstseen-sync | 2.50 | 1.25 | 807 | 2.49 | 809 | 2.49 | 1.24 | 811 | 16.5 |\n\n"
    );
    assert_eq!(String::from_utf8(table).unwrap(), expected);
}

#[test]
fn sustained_ids_have_a_table_of_their_own_kind() {
    let mut table = Vec::new();
    table::write(&sample::sustained(4000), &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    let expected = "Batch 1024, one thread, sustained, 4,000 ids in the window, 3 rounds, `L` 90 M lines/s:\n\n\
                    | peer | sustained | finished | cpu | bytes |\n\
                    |---|---|---|---|---|\n\
                    | firstseen | 10.0 | 5.00 | 207 | 16.5 |\n";
    assert!(table.starts_with(expected), "{table}");
}

#[test]
fn a_folder_without_measurements_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = tables::write(folder.path(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains(PEERS) && error.contains(COMMAND), "{error}");
}

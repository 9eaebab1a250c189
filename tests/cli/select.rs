//! Ids by field, column and JSON pointer, and records that have none.

use crate::support::{Folder, dedup, run};

#[test]
fn fields_are_split_at_a_delimiter() {
    let input = b"1,a,x\r\n2,b,x\r\n1,a,y\r\n";
    assert_eq!(dedup("-f 1 -d ,", input).ok().text(), "1,a,x\r\n2,b,x\r\n");
    // The \r of the line end does not belong to the last field.
    assert_eq!(dedup("-f 3 -d ,", b"1,x\r\n1,x,z\r\n2,y,z\n3\n").code, 1);
    assert_eq!(dedup("-f 2 -d ,", b"1,x\r\n2,x\n").ok().text(), "1,x\r\n");
    assert_eq!(dedup("-f 2", b"1\tx\n2\tx\n").ok().text(), "1\tx\n");
}

#[test]
fn several_fields_are_joined_without_ambiguity() {
    let input = b"a,bc\nab,c\na,bc\n";
    assert_eq!(dedup("-f 1,2 -d ,", input).ok().text(), "a,bc\nab,c\n");
}

#[test]
fn csv_is_read_with_its_quotes_and_printed_as_it_is() {
    let input =
        b"\"order id\",note\r\n7,\"two\r\nlines, \"\"quoted\"\"\"\r\n\"7\",again\r\n8,\"x\r\ny\"";
    let ran = run(&["dedup", "--csv", "--column", "order id"], input).ok();
    let expected = "\"order id\",note\r\n7,\"two\r\nlines, \"\"quoted\"\"\"\r\n8,\"x\r\ny\"";
    assert_eq!(ran.text(), expected);
    assert!(ran.err.contains("3 records"), "{}", ran.err);
}

#[test]
fn csv_columns_can_be_counted_and_headers_absent() {
    let input = b"a;1\nb;1\na;2\n";
    assert_eq!(dedup("--csv --no-header -d ; -f 1", input).ok().text(), "a;1\nb;1\n");
    assert_eq!(dedup("--csv -d ; -f 1", b"x;y\nx;1\nx;2\n").ok().text(), "x;y\nx;1\n");
}

#[test]
fn the_header_heads_every_output_once() {
    let folder = Folder::new();
    let first = folder.write("first", b"id,n\n1,a\n");
    let second = folder.write("second", b"id,n\n1,b\n2,c\n");
    let duplicates = folder.arg("duplicates");
    let args = ["dedup", "--csv", "-k", "id", "--duplicates", &duplicates, &first, &second];
    assert_eq!(run(&args, b"").ok().text(), "id,n\n1,a\n2,c\n");
    assert_eq!(folder.read("duplicates"), b"id,n\n1,b\n");

    let other = folder.write("other", b"n,id\nx,9\n");
    let ran = run(&["dedup", "--csv", "-k", "id", &first, &other], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("header"), "{}", ran.err);
}

#[test]
fn a_missing_column_is_named_with_those_that_exist() {
    let ran = dedup("--csv -k order", b"id,ts\n1,2\n");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no column 'order'; the header names: id, ts"), "{}", ran.err);
}

#[test]
fn json_pointers_find_strings_and_numbers() {
    let input = br#"{"order":{"id":"a"},"n":1}
{"n":2,"order":{"id":"\u0061"}}
{"order":{"id":7}}
{"order":{"id":"7"}}
{"order":{"id":12345678901234567890123}}
{"order":{"id":12345678901234567890124}}
"#;
    let ran = dedup("--json /order/id", input).ok();
    let expected =
        [0, 2, 4, 5].map(|n| input.split_inclusive(|b| *b == b'\n').nth(n).expect("line"));
    assert_eq!(ran.out, expected.concat());
    let two = b"{\"a\":1,\"b\":[2]}\n{\"a\":12,\"b\":[\"\"]}\n{\"b\":[2],\"a\":1}\n";
    assert_eq!(dedup("--json /a --json /b/0", two).ok().text().lines().count(), 2);
}

const BROKEN: &[u8] = b"{\"id\":1}\n{\"id\":2\n{\"x\":1}\n{\"id\":\"\"}\n{\"id\":1}\n{\"id\":3}\n";

#[test]
fn a_record_without_an_id_stops_the_run_by_default() {
    let folder = Folder::new();
    let db = folder.arg("db");
    let ran = dedup(&format!("--json /id --db {db}"), BROKEN);
    assert_eq!((ran.code, ran.text()), (1, "{\"id\":1}\n"));
    assert!(ran.err.starts_with("firstseen: standard input: line 2: not JSON"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
    // What was printed before it is remembered.
    assert_eq!(dedup(&format!("--json /id --db {db}"), b"{\"id\":1}\n").ok().text(), "");
}

#[test]
fn records_without_an_id_can_be_left_out_or_passed() {
    let ran = dedup("--json /id --on-error skip", BROKEN).ok();
    assert_eq!(ran.text(), "{\"id\":1}\n{\"id\":3}\n");
    for place in ["line 2: not JSON", "line 3: nothing at /id", "line 4: the id is empty"] {
        assert!(ran.err.contains(place), "{}", ran.err);
    }
    assert!(ran.err.contains("3 skipped"), "{}", ran.err);

    let ran = dedup("--json /id --on-error pass", BROKEN).ok();
    assert_eq!(ran.text(), "{\"id\":1}\n{\"id\":2\n{\"x\":1}\n{\"id\":\"\"}\n{\"id\":3}\n");
    assert!(ran.err.contains("3 passed"), "{}", ran.err);
}

#[test]
fn line_numbers_count_lines_not_records() {
    let input = b"id,note\n1,\"a\nb\nc\"\n,empty\n";
    let ran = dedup("--csv -k id", input);
    assert!(ran.err.contains("line 5: the id is empty"), "{}", ran.err);
    let folder = Folder::new();
    let first = folder.write("first", b"a\tb\na\tc\n");
    let second = folder.write("second", b"a\td\ne\n");
    let ran = run(&["dedup", "-f", "2", &first, &second], b"");
    assert!(ran.err.contains("second: line 2: no field 2"), "{}", ran.err);
}

#[test]
fn only_the_first_of_many_complaints_are_printed() {
    let ran = dedup("-f 2 --on-error skip", &b"x\n".repeat(50_000)).ok();
    assert_eq!(ran.err.lines().count(), 12, "{}", ran.err);
    assert!(ran.err.contains("50000 skipped"), "{}", ran.err);
    for (records, lines) in [(10, 11), (11, 12), (30, 12)] {
        let ran = dedup("-f 2 --on-error skip", &b"x\n".repeat(records)).ok();
        assert_eq!(ran.err.lines().count(), lines, "{}", ran.err);
        assert_eq!(ran.err.contains("only counted"), records > 10, "{}", ran.err);
    }
}

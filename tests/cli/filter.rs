//! What `dedup` prints: order and bytes, outputs, summaries, exit codes.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::{Folder, dedup, firstseen, run};

#[test]
fn first_seen_lines_are_printed_in_order() {
    let ran = dedup("", b"b\na\nb\nc\na\n").ok();
    assert_eq!(ran.text(), "b\na\nc\n");
    assert!(ran.err.contains("5 records, 3 unique, 2 duplicates"), "{}", ran.err);
}

#[test]
fn bytes_are_passed_through_untouched() {
    let input = b"\xff\xfe\x00x\r\n\xc3\n\r\n\n\xff\xfe\x00x\n\nlast";
    let ran = dedup("", input).ok();
    // A line is known by its content: with \r\n and with \n it is the same.
    assert_eq!(ran.out, b"\xff\xfe\x00x\r\n\xc3\n\r\nlast");
}

#[test]
fn a_last_line_without_newline_stays_so() {
    assert_eq!(dedup("", b"a\nb").ok().out, b"a\nb");
    assert_eq!(dedup("", b"a\na").ok().out, b"a\n");
    assert_eq!(dedup("", b"").ok().out, b"");
}

#[test]
fn an_unended_line_of_one_file_does_not_run_into_the_next_file() {
    let folder = Folder::new();
    let first = folder.write("first", b"a\nb");
    let second = folder.write("second", b"b\nc");
    let ran = run(&["dedup", &first, &second], b"").ok();
    assert_eq!(ran.out, b"a\nb\nc");
}

#[test]
fn records_may_end_with_nul() {
    let ran = dedup("-0", b"a\nb\0c\0a\nb\0").ok();
    assert_eq!(ran.out, b"a\nb\0c\0");
}

#[test]
fn records_longer_than_a_block_are_records() {
    let long = vec![b'x'; 3 << 20];
    let input = [&long[..], b"\n", &long, b"y\n", &long, b"\n"].concat();
    let ran = dedup("", &input).ok();
    assert_eq!(ran.out, [&long[..], b"\n", &long, b"y\n"].concat());
}

#[test]
fn a_record_that_is_too_long_is_named_by_its_line() {
    let input = [&b"a\nb\n"[..], &vec![b'x'; 65 << 20]].concat();
    let ran = dedup("", &input);
    assert_eq!((ran.code, ran.text()), (1, "a\nb\n"));
    let said =
        "firstseen: cannot read standard input from line 3 on: a record longer than 64 MiB\n";
    assert_eq!(ran.err, said);
}

#[test]
fn many_batches_keep_the_order() {
    let lines = |range: std::ops::Range<u32>| -> Vec<u8> {
        range.flat_map(|n| format!("{:x}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    };
    let input = [lines(0..60_000), lines(10_000..70_000)].concat();
    assert_eq!(dedup("", &input).ok().out, lines(0..70_000));
}

#[test]
fn duplicates_can_be_kept_or_shown() {
    let folder = Folder::new();
    let input = b"a\nb\na\na\n";
    let duplicates = folder.arg("duplicates");
    let ran = dedup(&format!("--duplicates {duplicates}"), input).ok();
    assert_eq!((ran.text(), &folder.read("duplicates")[..]), ("a\nb\n", &b"a\na\n"[..]));
    assert_eq!(dedup("--only-duplicates", input).ok().text(), "a\na\n");
}

#[test]
fn counts_and_summaries_can_be_read_by_programs() {
    let input = b"a\nb\na\n";
    assert_eq!(dedup("--count", input).ok().text(), "3\trecords\n2\tunique\n1\tduplicates\n");
    assert_eq!(dedup("--count --summary json", input).ok().json()["unique"], 2);
    let ran = dedup("--summary json", input).ok();
    let summary: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
    assert_eq!((&summary["records"], &summary["duplicates"]), (&3.into(), &1.into()));
    assert_eq!(summary["bytes"], 6);
    assert_eq!(dedup("--summary none", input).ok().err, "");
}

#[test]
fn exit_codes_tell_what_happened() {
    assert_eq!(dedup("--exit-code", b"a\na\n").code, 3);
    assert_eq!(dedup("--exit-code", b"a\nb\n").code, 0);
    assert_eq!(dedup("--no-such-option", b"").code, 2);
    assert_eq!(dedup("--json /id --field 1", b"").code, 2);
    assert_eq!(dedup("--window 5", b"").code, 2);
    assert_eq!(dedup("-d ,", b"a,b\n").code, 2, "it would be ignored");
    assert_eq!(dedup("-d , --json /id", b"").code, 2);
    dedup("-d , --time 2", b"a,1767398400\n").ok();
    let ran = dedup("no-such-file", b"");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("firstseen: cannot open no-such-file: "), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
}

#[test]
fn an_output_may_not_be_an_input() {
    let folder = Folder::new();
    let file = folder.write("log", b"a\n");
    let ran = run(&["dedup", &file, "--duplicates", &file], b"");
    assert_eq!((ran.code, &folder.read("log")[..]), (2, &b"a\n"[..]));
}

#[cfg(unix)]
#[test]
fn an_output_may_not_be_what_the_shell_has_opened() {
    let folder = Folder::new();
    let file = folder.write("log", b"a\na\n");
    let open = || std::fs::File::options().read(true).append(true).open(&file).expect("opens");
    let with = |stdin: Stdio, stdout: Stdio| {
        let args = ["dedup", "--duplicates", &file];
        let output = firstseen().args(args).stdin(stdin).stdout(stdout).output().expect("runs");
        output.status.code()
    };
    assert_eq!(with(open().into(), Stdio::null()), Some(2));
    assert_eq!(with(Stdio::null(), open().into()), Some(2));
    assert_eq!(folder.read("log"), b"a\na\n");
}

#[test]
fn a_closed_output_is_no_failure() {
    let mut command = firstseen();
    command.arg("dedup").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    for n in 0..1_000_000 {
        if writeln!(stdin, "line {n}").is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_slow_input_flows() {
    let mut command = firstseen();
    command.arg("dedup").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for line in ["one", "two", "three"] {
        // The next line is only written when this one came out.
        stdin.write_all(format!("{line}\n{line}\n").as_bytes()).expect("written");
        assert_eq!(lines.next().expect("a line").expect("text"), line);
    }
    drop(stdin);
    assert!(child.wait().expect("ends").success());
}

#[test]
fn compressed_files_are_read_by_their_suffix() {
    let folder = Folder::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"a\nb\n").expect("memory");
    let member = gzip.finish().expect("memory");
    let first = folder.write("a.gz", &[&member[..], &member].concat());
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let frame = ruzstd::encoding::compress_to_vec(&b"b\nc\n"[..], level);
    let second = folder.write("b.zst", &[&frame[..], &frame].concat());
    assert_eq!(run(&["dedup", &first, &second], b"").ok().text(), "a\nb\nc\n");

    let torn = folder.write("torn.gz", &member[..member.len() - 4]);
    let ran = run(&["dedup", &torn], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("torn.gz"), "{}", ran.err);
}

#[test]
fn nothing_is_left_behind_without_a_db() {
    let folder = Folder::new();
    let ran = firstseen()
        .args(["dedup", "no-such-file"])
        .env("TMPDIR", folder.path(""))
        .output()
        .expect("runs");
    assert_eq!(ran.status.code(), Some(1));
    let left = std::fs::read_dir(folder.path("")).expect("a folder").count();
    assert_eq!(left, 0);
}

//! What the sources promise about themselves: who may import whom, where `unsafe` lives, how long a
//! file gets, and where the names of files on disk are.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the crate, lowest first. A module imports modules of lower floors; of its own floor
/// only where `true` stands, or its own children.
const FLOORS: &[(bool, &[&str])] = &[
    (true, &["error", "time", "key", "verdict", "config", "sync", "planted"]),
    (false, &["sys", "mem", "format"]),
    (false, &["identity", "filter", "index", "log", "run"]),
    (false, &["backend"]),
    (false, &["window", "compaction", "claim", "state"]),
    (false, &["store"]),
    (true, &["lib", "offline"]),
];

/// The files that may say `unsafe`, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("crates/compare/src/peers/lmdb.rs", "a peer that maps a file of its own"),
    ("crates/torture/src/real/host/shutdown.rs", "an ioctl that stops a file system"),
    ("src/mem/prefetch.rs", "instructions without a safe door"),
    ("src/mem/words.rs", "tables in huge pages"),
    ("src/sync/gate.rs", "a reader-writer lock without a shared line"),
    ("src/sync/loom_tests.rs", "cells whose accesses loom checks"),
    ("src/sys/disk/write_out.rs", "a call of the system without a safe door"),
    ("src/sys/mmap.rs", "mapping files"),
    ("tests/allocations.rs", "an allocator that counts"),
];

/// Where the standard file system is used: the storage on real files, its mappings, the command.
const FILE_SYSTEM: &[&str] = &["src/sys/disk/", "src/sys/mmap.rs", "src/bin/"];

const LINES_MAX: usize = 600;
const LINES_MEDIAN: std::ops::RangeInclusive<usize> = 80..=190;

struct Source {
    /// From the package's folder, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The text without comments, and without what only tests see.
    fn code(&self) -> String {
        let mut code = String::new();
        if self.path.contains("tests") {
            return code;
        }
        let mut lines = self.text.lines().map(without_comment).peekable();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]" || line.trim().starts_with("#[cfg(all(test") {
                // The item that follows, up to its closing brace if it has one.
                let indent = line.len() - line.trim_start().len();
                let item = lines.find(|line| !line.trim_start().starts_with("#["));
                if item.is_some_and(|item| item.ends_with('{')) {
                    let end = format!("{:indent$}}}", "");
                    lines.by_ref().find(|line| *line == end);
                }
                continue;
            }
            code.push_str(line);
            code.push('\n');
        }
        code
    }

    /// The module of the crate's root that it belongs to.
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").expect("a source of the crate");
        inside.split('/').next().expect("a name").trim_end_matches(".rs")
    }

    /// How many `super` lead from its module to the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.strip_prefix("src/").expect("a source of the crate");
        inside.trim_end_matches("/mod.rs").split('/').count()
    }
}

fn without_comment(line: &str) -> &str {
    let mut start = 0;
    while let Some(at) = line[start..].find("//").map(|at| at + start) {
        if line[..at].matches('"').count().is_multiple_of(2) {
            return line[..at].trim_end();
        }
        start = at + 2;
    }
    line.trim_end()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` with one of the extensions, by path.
fn files(dir: &str, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![package().join(dir)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(&*name, "target" | ".git" | "corpus" | "artifacts" | "seeds") {
                    folders.push(path);
                }
            } else if extensions.iter().any(|extension| name.ends_with(extension)) {
                let text = fs::read_to_string(&path).unwrap();
                let path =
                    path.strip_prefix(package()).unwrap().to_string_lossy().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn sources() -> Vec<Source> {
    files("src", &[".rs"])
}

/// The first names of the paths that follow `prefix` in `code`, groups included.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || matches!(before, '_' | ':' | '$') {
            continue;
        }
        names.extend(first_names(&code[at + prefix.len()..]));
    }
    names
}

/// `a::b` gives a; `{a::b, c}` gives a and c.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, modules)| modules.contains(&module))
}

/// Fails with all complaints at once.
fn assert_none(complaints: &str) {
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn imports_go_downward() {
    let mut wrong = String::new();
    for source in sources().iter().filter(|source| !source.path.starts_with("src/bin/")) {
        let module = source.module();
        if module == "testing" || module == "lib" {
            continue;
        }
        let Some(floor) = floor_of(module) else {
            writeln!(wrong, "{}: module `{module}` has no floor", source.path).unwrap();
            continue;
        };
        let code = source.code();
        let mut imported = names_after(&code, "crate::");
        let over_root = "super::".repeat(source.depth());
        imported
            .extend(names_after(&code, &over_root).into_iter().filter(|n| floor_of(n).is_some()));
        for name in imported.iter().filter(|name| *name != module) {
            let allowed = floor_of(name)
                .is_some_and(|other| other < floor || (other == floor && FLOORS[floor].0));
            if !allowed {
                writeln!(wrong, "{}: `{module}` may not import `{name}`", source.path).unwrap();
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_words_import_each_other_without_a_circle() {
    let (_, words) = FLOORS[0];
    let mut edges: Vec<(String, String)> = Vec::new();
    for source in sources().iter().filter(|source| words.contains(&source.module())) {
        let names = names_after(&source.code(), "crate::");
        let module = source.module().to_owned();
        edges.extend(names.into_iter().filter(|n| *n != module).map(|n| (module.clone(), n)));
    }
    let mut left: Vec<&str> = words.to_vec();
    while !left.is_empty() {
        let before = left.len();
        let needs =
            |word: &str| edges.iter().any(|(from, to)| from == word && left.contains(&to.as_str()));
        let rest: Vec<&str> = left.iter().copied().filter(|word| needs(word)).collect();
        assert!(rest.len() < before, "{rest:?} import each other");
        left = rest;
    }
}

#[test]
fn unsafe_code_is_where_it_is_said_to_be_and_says_why() {
    let mut wrong = String::new();
    let mut with_unsafe = Vec::new();
    let all = ["src", "tests", "benches", "crates"].map(|dir| files(dir, &[".rs"]));
    for source in all.iter().flatten().filter(|source| source.path != "tests/tidy.rs") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let code = without_comment(line);
            let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if !words.into_iter().any(|word| word == "unsafe") {
                continue;
            }
            with_unsafe.push(source.path.as_str());
            let said = lines[i.saturating_sub(6)..i].iter().any(|line| line.contains("SAFETY:"));
            let documented = lines[i.saturating_sub(30)..i].iter().any(|l| l.contains("# Safety"));
            let said = said || (code.contains("unsafe fn") && documented);
            if !said {
                writeln!(wrong, "{}:{}: unsafe without its reason", source.path, i + 1).unwrap();
            }
        }
    }
    with_unsafe.dedup();
    for path in &with_unsafe {
        if !UNSAFE.iter().any(|(allowed, _)| allowed == path) {
            writeln!(wrong, "{path}: unsafe is not for this file").unwrap();
        }
    }
    for (path, _) in UNSAFE {
        if !with_unsafe.contains(path) {
            writeln!(wrong, "{path}: no unsafe any more, strike it from UNSAFE").unwrap();
        }
    }
    assert_none(&wrong);
}

#[test]
fn files_hold_one_idea_each() {
    let mut wrong = String::new();
    let all = ["src", "tests", "benches", "crates", "fuzz"].map(|dir| files(dir, &[".rs"]));
    for source in all.iter().flatten() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            writeln!(wrong, "{}: {lines} lines, more than {LINES_MAX}", source.path).unwrap();
        }
    }
    let mut lengths: Vec<usize> = all[0].iter().map(|s| s.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if !LINES_MEDIAN.contains(&median) {
        writeln!(wrong, "the median source file has {median} lines, not {LINES_MEDIAN:?}").unwrap();
    }
    assert_none(&wrong);
}

#[test]
fn nothing_is_left_for_later() {
    let markers = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"], ["HA", "CK"]].map(|two| two.concat());
    let mut wrong = String::new();
    for source in files("", &[".rs", ".md", ".toml", ".sh"]) {
        for (i, line) in source.text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| markers.iter().any(|marker| word == marker)) {
                writeln!(wrong, "{}:{}: {}", source.path, i + 1, line.trim()).unwrap();
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn names_of_files_are_in_one_place() {
    let fixed =
        ["STORE", "MANIFEST", "MANIFEST.new", "LOCK", "RESERVE"].map(|n| format!("\"{n}\""));
    let mut wrong = String::new();
    for source in sources().iter().filter(|s| s.path != "src/format/names.rs") {
        let code = source.code();
        for name in
            fixed.iter().map(String::as_str).chain([".log\"", ".run\"", ".val\"", ".state\""])
        {
            if code.contains(name) {
                writeln!(wrong, "{}: {name} belongs into format/names.rs", source.path).unwrap();
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_file_system_has_one_door() {
    let mut wrong = String::new();
    for source in sources() {
        let door = FILE_SYSTEM.iter().any(|door| source.path.starts_with(door));
        let code = source.code();
        if !door && (code.contains("std::fs") || code.contains("File::open(")) {
            writeln!(wrong, "{}: files are reached through sys::Storage", source.path).unwrap();
        }
    }
    assert_none(&wrong);
}

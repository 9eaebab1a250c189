//! What is depended on: where it comes from, under which licences, and without what is known to be
//! wrong with it. Needs no network where cargo has fetched what the lock files name.
//!
//! `cargo deny check` says the same of licences and sources by the same `deny.toml`, and knows today's
//! advisories; here is what was known when the list was last looked at.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Flaws of packages that we use, and the first versions without: the last of them, all that are newer,
/// and newer ones compatible with one of the others.
const ADVISORIES: &[(&str, &str, &[&str])] = &[
    ("RUSTSEC-2019-0017", "once_cell", &["1.0.1"]),
    ("RUSTSEC-2020-0059", "futures-util", &["0.3.7"]),
    ("RUSTSEC-2020-0070", "lock_api", &["0.4.2"]),
    ("RUSTSEC-2021-0003", "smallvec", &["0.6.14", "1.6.1"]),
    ("RUSTSEC-2021-0124", "tokio", &["1.13.1"]),
    ("RUSTSEC-2022-0006", "thread_local", &["1.1.4"]),
    ("RUSTSEC-2022-0013", "regex", &["1.5.5"]),
    ("RUSTSEC-2022-0041", "crossbeam-utils", &["0.8.7"]),
    ("RUSTSEC-2022-0046", "rocksdb", &["0.19.0"]),
    ("RUSTSEC-2022-0078", "bumpalo", &["3.11.1"]),
    ("RUSTSEC-2022-0090", "libsqlite3-sys", &["0.25.1"]),
    ("RUSTSEC-2023-0031", "spin", &["0.9.8"]),
    ("RUSTSEC-2023-0070", "self_cell", &["0.10.3", "1.0.2"]),
    ("RUSTSEC-2024-0006", "shlex", &["1.3.0"]),
    ("RUSTSEC-2024-0402", "hashbrown", &["0.14.5", "0.15.1"]),
    ("RUSTSEC-2025-0047", "slab", &["0.4.11"]),
    ("RUSTSEC-2025-0055", "tracing-subscriber", &["0.3.20"]),
    ("RUSTSEC-2026-0097", "rand", &["0.7.3", "0.8.6", "0.9.3", "0.10.1"]),
    ("RUSTSEC-2026-0186", "memmap2", &["0.9.11"]),
    ("RUSTSEC-2026-0204", "crossbeam-epoch", &["0.9.20"]),
    ("RUSTSEC-2026-0205", "scc", &["3.8.4"]),
];

/// What is no longer maintained, or flawed without hurting us, and the one package that may bring it.
const BEHIND: &[(&str, &str, &str)] = &[
    ("fxhash", "sled", "RUSTSEC-2025-0057: unmaintained; a feature that is off by default"),
    ("instant", "sled", "RUSTSEC-2024-0384: unmaintained; likewise"),
    ("bincode", "probabilistic-collections", "RUSTSEC-2025-0141: unmaintained; tests and benches"),
    // Wants a logger of our own that asks for random numbers, with a feature that is off.
    ("rand 0.7.3", "probabilistic-collections", "RUSTSEC-2026-0097; tests and benches"),
];

/// A package of a lock file.
#[derive(Debug)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The packages of both lock files, for all systems and features.
fn locked() -> Vec<Locked> {
    let text = read("Cargo.lock") + "\n" + &read("fuzz/Cargo.lock");
    let packages = text.split("[[package]]").skip(1);
    let packages = packages.map(|package| {
        let value = |key: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| {
                Some(line.strip_prefix(key)?.trim_matches(['"', ' ', '=']).to_owned())
            })
        };
        Locked {
            name: value("name").expect("a name"),
            version: value("version").expect("a version"),
            source: value("source"),
        }
    });
    packages.collect()
}

/// What cargo knows of the packages of the workspace and all that they use, for all systems.
fn metadata() -> Value {
    let ask = |more: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--format-version", "1", "--locked", "--all-features"]).args(more);
        cargo.current_dir(root()).output().expect("cargo runs")
    };
    // What other systems want may not be here yet.
    let mut output = ask(&["--offline"]);
    if !output.status.success() {
        output = ask(&[]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON from cargo")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The numbers of a version.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map_while(|part| part.parse().ok());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Whether cargo takes one version for the other's successor.
fn compatible(a: [u64; 3], b: [u64; 3]) -> bool {
    a[0] == b[0] && (a[0] > 0 || a[1] == b[1])
}

/// Whether an SPDX expression is satisfied by the licences that are allowed.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = &words[..];
    any(&mut words, allowed) && words.is_empty()
}

/// Alternatives; `AND` binds them stronger than `OR`.
fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut satisfied = all(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        satisfied |= all(words, allowed);
    }
    satisfied
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut satisfied = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        satisfied &= one(words, allowed);
    }
    satisfied
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    let (name, rest) = match **words {
        ["(", ref rest @ ..] => {
            *words = rest;
            let inner = any(words, allowed);
            *words = words.strip_prefix(&[")"]).expect("a bracket that is closed");
            return inner;
        }
        [name, "WITH", exception, ref rest @ ..] => (format!("{name} WITH {exception}"), rest),
        [name, ref rest @ ..] => (name.to_owned(), rest),
        [] => return false,
    };
    *words = rest;
    allowed.contains(&name)
}

/// What `deny.toml` allows.
fn allowed_licences() -> Vec<String> {
    let deny = read("deny.toml");
    let (_, list) = deny.split_once("allow = [").expect("a list of licences");
    let (list, _) = list.split_once(']').expect("its end");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Fails with all complaints at once.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_package_is_from_the_registry_or_ours() {
    let ours = [
        "firstseen",
        "firstseen-compare",
        "firstseen-fuzz",
        "firstseen-kafka",
        "firstseen-torture",
    ];
    let wrong = locked().into_iter().filter(|package| match &package.source {
        Some(source) => source != REGISTRY,
        None => !ours.contains(&&*package.name),
    });
    assert_none(&wrong.map(|package| format!("{package:?}")).collect::<Vec<_>>());
}

#[test]
fn no_package_has_a_known_flaw() {
    let mut wrong = Vec::new();
    for package in locked() {
        let version = numbers(&package.version);
        for (id, _, patched) in ADVISORIES.iter().filter(|(_, name, _)| *name == package.name) {
            let patched: Vec<_> = patched.iter().map(|version| numbers(version)).collect();
            let mut fine = patched.iter().map(|&p| version >= p && compatible(version, p));
            if version < *patched.last().expect("a version") && !fine.any(|fine| fine) {
                wrong.push(format!("{id}: {} {}", package.name, package.version));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_licence_is_allowed() {
    let (metadata, allowed) = (metadata(), allowed_licences());
    let packages = list(&metadata, "packages");
    assert!(packages.len() > 100 && allowed.len() > 5);
    let wrong = packages.iter().filter(|package| !satisfied(text(package, "license"), &allowed));
    let wrong = wrong.map(|p| format!("{}: {}", text(p, "name"), text(p, "license")));
    assert_none(&wrong.collect::<Vec<_>>());
}

#[test]
fn what_is_not_maintained_comes_only_where_it_is_said_to() {
    let metadata = metadata();
    for (package, door, why) in BEHIND {
        let found = reached(&metadata, None);
        assert!(
            found.iter().any(|name| is(name, package)),
            "{package}: gone, strike it from BEHIND"
        );
        let around = reached(&metadata, Some(door));
        assert!(!around.iter().any(|name| is(name, package)), "{package} without {door}; {why}");
    }
    // Who takes the crate as it is has none of it.
    let crate_itself = list(&metadata, "packages").iter().find(|p| text(p, "name") == "firstseen");
    let crate_itself = crate_itself.expect("the crate");
    let mut on: Vec<&str> = vec!["default"];
    for at in 0.. {
        let Some(feature) = on.get(at) else { break };
        on.extend(list(&crate_itself["features"], feature).iter().filter_map(Value::as_str));
    }
    assert!(on.contains(&"cli") && !on.iter().any(|feature| feature.contains("sled")), "{on:?}");
    let shipped = list(crate_itself, "dependencies").iter().filter(|d| d["kind"].is_null());
    assert!(shipped.into_iter().all(|d| text(d, "name") != "probabilistic-collections"));
}

/// Whether `found`, a name and a version, is what is meant, with or without a version.
fn is(found: &str, meant: &str) -> bool {
    found == meant || found.split(' ').next() == Some(meant)
}

/// The names and versions of all that the workspace needs, without what only `door` brings.
fn reached(metadata: &Value, door: Option<&str>) -> HashSet<String> {
    let packages = list(metadata, "packages");
    let nodes = list(&metadata["resolve"], "nodes");
    let mut left: Vec<&str> =
        list(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let (mut seen, mut names) = (HashSet::new(), HashSet::new());
    while let Some(id) = left.pop() {
        let package = packages.iter().find(|package| text(package, "id") == id);
        let package = package.expect("a package of its own");
        if !seen.insert(id) || door == Some(text(package, "name")) {
            continue;
        }
        names.insert(format!("{} {}", text(package, "name"), text(package, "version")));
        let node =
            nodes.iter().find(|node| text(node, "id") == id).expect("a node of each package");
        left.extend(list(node, "dependencies").iter().filter_map(Value::as_str));
    }
    names
}

#[test]
fn expressions_are_understood() {
    let allowed = ["MIT", "Zlib", "A WITH e"].map(str::to_owned);
    for expression in ["MIT", "GPL-3.0 OR MIT", "X/MIT", "(X OR MIT) AND Zlib", "A WITH e OR X"] {
        assert!(satisfied(expression, &allowed), "{expression}");
    }
    for expression in ["", "X", "MIT AND X", "(MIT OR X) AND X", "A", "X WITH e", "MIT MIT"] {
        assert!(!satisfied(expression, &allowed), "{expression}");
    }
    assert_eq!(numbers("0.9.0+wasi-snapshot"), [0, 9, 0]);
    assert!(compatible([1, 2, 3], [1, 9, 0]) && !compatible([0, 8, 6], [0, 9, 3]));
}

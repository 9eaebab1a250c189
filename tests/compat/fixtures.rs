//! The files of the fixtures: written, read, and changed with their checksums made right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Where the fixtures of version 1 are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// What is no part of a fixture: a process id, and zeros.
const LEFT_OUT: [&str; 2] = ["LOCK", "RESERVE"];

/// The files of a store by their names, folders included.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let name = name.into_string().unwrap();
        if path.is_dir() {
            let inside = self::files(&path).into_iter();
            files.extend(inside.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if !LEFT_OUT.contains(&name.as_str()) {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// The files of a fixture.
pub fn load(name: &str) -> BTreeMap<String, Vec<u8>> {
    let packed = files(&folder().join(name)).into_iter();
    let unpacked = packed.filter_map(|(name, bytes)| {
        Some((name.strip_suffix(".gz")?.to_owned(), unpack(bytes.as_slice())))
    });
    unpacked.collect()
}

/// Lays a fixture into a new folder.
pub fn lay(name: &str, dir: &Path) {
    for (name, bytes) in load(name) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub fn answers(name: &str) -> String {
    fs::read_to_string(folder().join(name).join("answers.txt")).unwrap()
}

pub fn stream() -> Vec<u8> {
    unpack(File::open(folder().join("export.fse.gz")).unwrap())
}

fn unpack(packed: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Writes a file of a fixture.
pub fn pack(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut packer = GzEncoder::new(File::create(path).unwrap(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap();
}

/// Writes all files of the store in `dir` as a fixture, in place of what it had.
pub fn store(name: &str, dir: &Path, answers: &str) {
    let to = folder().join(name);
    let _ = fs::remove_dir_all(&to);
    for (name, bytes) in files(dir) {
        pack(&to.join(format!("{name}.gz")), &bytes);
    }
    fs::write(to.join("answers.txt"), answers).unwrap();
}

/// The number in the name of a file; zero where it has none.
pub fn number(name: &str) -> u64 {
    name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

//! Running the binary.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The binary.
pub(crate) fn firstseen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_firstseen"))
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Ran {
    /// Standard output as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("text")
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).expect("JSON on standard output")
    }

    /// The same, if the run ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().expect("not killed"),
        }
    }
}

/// Runs the binary with this standard input.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S], input: &[u8]) -> Ran {
    let mut command = firstseen();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // Apart, for the output is read at the same time; it may end before it has read all.
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the binary runs");
    let _ = feeder.join().expect("no panic");
    output.into()
}

/// Runs `dedup` with these options, split at blanks.
#[track_caller]
pub(crate) fn dedup(options: &str, input: &[u8]) -> Ran {
    let mut args = vec!["dedup"];
    args.extend(options.split_whitespace());
    run(&args, input)
}

/// A folder for the files of one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(TempDir::new().expect("a folder"))
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same, as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    /// Writes a file and gives its path as an argument.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.arg(name)
    }

    /// The bytes of a file.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("read")
    }
}

/// The lines of a file or output that have their end, and the torn rest.
pub(crate) fn whole_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes[..end].split_inclusive(|byte| *byte == b'\n').collect()
}

/// A file of the repository.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder with a store in `db` that has seen these lines, made by `dedup` with these options.
pub(crate) fn with_store(options: &str, lines: &[u8]) -> (Folder, String) {
    let folder = Folder::new();
    let db = folder.arg("db");
    dedup(&format!("--db {db} {options}"), lines).ok();
    (folder, db)
}

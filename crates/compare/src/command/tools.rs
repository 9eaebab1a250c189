//! The tools, and how each is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::path;

/// How a tool is called.
struct Call {
    name: &'static str,
    program: &'static str,
    /// `folder` is for what it keeps.
    args: fn(folder: &Path) -> Vec<OsString>,
    /// What is still known of a printed line, in the words of firstseen's own durability.
    durability: &'static str,
    /// How to come by it.
    get: &'static str,
}

/// All of them, ours first: the table compares the others with the first that is asked for.
static CALLS: [Call; 5] = [
    Call {
        name: "firstseen",
        program: "firstseen",
        // Remembers across runs and kills, which nobody else does.
        args: |folder| {
            let mut args = words(&["dedup", "--summary", "none", "--db"]);
            args.push(folder.join("seen").into());
            args
        },
        durability: "Buffered",
        get: "build it with `cargo build --release`, or name it with --firstseen",
    },
    Call {
        name: "sort -u",
        program: "sort",
        args: |_| words(&["-u"]),
        durability: "memory only",
        get: "it comes with the system",
    },
    Call {
        name: "awk",
        program: "awk",
        args: |_| words(&["!seen[$0]++"]),
        durability: "memory only",
        get: "it comes with the system",
    },
    Call {
        name: "runiq",
        program: "runiq",
        // The default, and its fastest: keeps hashes of lines.
        args: |_| words(&["-f", "quick", "-"]),
        durability: "memory only",
        get: "`cargo install runiq`",
    },
    Call {
        name: "huniq",
        program: "huniq",
        args: |_| Vec::new(),
        durability: "memory only",
        get: "`cargo install huniq`",
    },
];

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|call| call.name)
}

/// A tool that is there.
pub(super) struct Tool {
    call: &'static Call,
    program: PathBuf,
}

/// The tool of that name, or how to come by it. `firstseen` is the one to take, if not the one beside
/// this program or on the path.
pub(super) fn find(name: &str, firstseen: Option<&Path>) -> Result<Tool, &'static str> {
    let call = CALLS.iter().find(|call| call.name == name).ok_or("nobody knows it")?;
    let ours = || firstseen.map(Path::to_owned).or_else(beside);
    let ours = if call.name == "firstseen" { ours() } else { None };
    let program = ours.or_else(|| path::find(call.program)).ok_or(call.get)?;
    Ok(Tool { call, program })
}

/// The `firstseen` that was built beside this program.
fn beside() -> Option<PathBuf> {
    let mut program = env::current_exe().ok()?.with_file_name("firstseen");
    program.set_extension(env::consts::EXE_EXTENSION);
    program.is_file().then_some(program)
}

impl Tool {
    pub(super) fn name(&self) -> &'static str {
        self.call.name
    }

    pub(super) fn durability(&self) -> &'static str {
        self.call.durability
    }

    /// Reads lines from its input and prints each once.
    pub(super) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args((self.call.args)(folder));
        // Bytes, not letters of a language: `sort` is twice as fast.
        command.env("LC_ALL", "C").env("TMPDIR", folder);
        command
    }
}

//! Where the examples of a package are that its tests run.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The executable of an example, beside those of the tests. Cargo builds it before them, but not if it was
/// asked for one test alone.
pub fn executable(example: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
    let path = profile.join("examples").join(format!("{example}{}", env::consts::EXE_SUFFIX));
    if !path.exists() {
        let release = profile.ends_with("release").then_some("--release");
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--example", example]).args(release);
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    }
    path
}

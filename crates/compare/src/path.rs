//! Programs on the path.

use std::env;
use std::path::PathBuf;

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let file = |folder: PathBuf| folder.join(program).with_extension(env::consts::EXE_EXTENSION);
    env::split_paths(&path).map(file).find(|file| file.is_file())
}

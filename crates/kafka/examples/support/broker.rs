//! A real broker in a folder of its own, which goes away with the value.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use firstseen_kafka::BoxError;

/// The exit code of the script if java or mvn is missing.
const UNAVAILABLE: u8 = 69;

/// Why there is no broker.
#[derive(Debug)]
pub struct BrokerError {
    code: Option<i32>,
    said: String,
}

impl BrokerError {
    /// Whether what the broker needs is not installed.
    pub fn is_unavailable(&self) -> bool {
        self.code == Some(UNAVAILABLE.into())
    }
}

/// The exit code of an example that failed: 69 if what the broker needs is not installed, 2 otherwise.
pub fn exit_code(error: &BoxError) -> ExitCode {
    let unavailable = error.downcast_ref().is_some_and(BrokerError::is_unavailable);
    ExitCode::from(if unavailable { UNAVAILABLE } else { 2 })
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for BrokerError {}

/// See the module documentation.
#[derive(Debug)]
pub struct Broker {
    folder: PathBuf,
    brokers: String,
}

impl Broker {
    /// Starts one that keeps its data in `folder`, and waits until it answers.
    pub fn start(folder: &Path) -> Result<Broker, BrokerError> {
        let mut broker = Broker { folder: folder.to_path_buf(), brokers: String::new() };
        broker.brokers = broker.tell("start")?;
        Ok(broker)
    }

    /// Where it listens, as in `127.0.0.1:9092`; the same after it was started again.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Gives a command to the script, `kill` or `start`, and returns what it says.
    pub fn tell(&self, command: &str) -> Result<String, BrokerError> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("broker/broker.sh");
        let mut script = Command::new(script);
        script.arg(command).arg(&self.folder).stdin(Stdio::null());
        if command == "start" {
            script.args(["--owner", &std::process::id().to_string()]);
        }
        let failed = |error: std::io::Error| BrokerError { code: None, said: error.to_string() };
        let output = script.output().map_err(failed)?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(said(&output.stdout)),
            false => Err(BrokerError { code: output.status.code(), said: said(&output.stderr) }),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nobody needs its data any more.
        if let Err(error) = self.tell("kill") {
            eprintln!("the broker in {} does not end: {error}", self.folder.display());
        }
    }
}

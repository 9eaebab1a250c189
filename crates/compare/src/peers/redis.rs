//! Redis over a unix socket: `SET id "" NX EX window` for each id, a batch in one pipeline.
//!
//! The server is a process of its own, started in the peer's folder and killed with the peer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::path;
use crate::peer::{Durability, Entry, Id, Opened, Peer, Result, Setup};

const SERVER: &str = "redis-server";

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// What a `SET` that set and one that did not are answered with: as many bytes each.
const SET: &[u8; 5] = b"+OK\r\n";
const NOT_SET: &[u8; 5] = b"$-1\r\n";

/// Ids sent before their answers are read. More would fill the buffers of the socket on both sides.
const PIPELINE: usize = 1024;

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new("redis", Durability::Buffered, open).unless(missing)]
}

fn missing() -> Option<&'static str> {
    path::find(SERVER).is_none().then_some("there is no redis-server on the path")
}

fn open(setup: &Setup) -> Result<Opened> {
    let socket = setup.folder.join("socket");
    let child = Command::new(SERVER)
        .args(["--port", "0", "--unixsocket", "socket", "--daemonize", "no"])
        // Each command is in the append-only file, written but not synced, before it is answered.
        .args(["--appendonly", "yes", "--appendfsync", "no"])
        // No snapshots beside that.
        .args(["--save", ""])
        .current_dir(setup.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let redis = Redis { child, socket, folder: setup.folder.to_owned() };
    redis.wait_for()?;
    Ok(Opened::Shared(Box::new(redis)))
}

struct Redis {
    child: Child,
    socket: PathBuf,
    folder: PathBuf,
}

impl Redis {
    fn wait_for(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > START => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It is gone already, or dies now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

thread_local! {
    /// A connection for each thread and server.
    static CONNECTIONS: RefCell<HashMap<PathBuf, UnixStream>> = RefCell::default();
}

impl Peer for Redis {
    fn check_and_insert(&self, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
        CONNECTIONS.with_borrow_mut(|connections| {
            if !connections.contains_key(&self.socket) {
                // Those of other servers are gone with them.
                connections.clear();
                connections.insert(self.socket.clone(), UnixStream::connect(&self.socket)?);
            }
            let connection = &connections[&self.socket];
            new.clear();
            ids.chunks(PIPELINE).try_for_each(|ids| set_all(connection, ids, new))
        })
    }

    /// Syncs what has been written. That is all Redis puts off.
    fn finish(&self) -> Result<()> {
        sync_below(&self.folder)
    }

    fn in_this_process(&self) -> bool {
        false
    }
}

/// Sends a pipeline, and reads its answers.
fn set_all(mut connection: &UnixStream, ids: &[Id], new: &mut Vec<bool>) -> Result<()> {
    let mut commands = Vec::with_capacity(ids.len() * 80);
    for id in ids {
        commands.extend_from_slice(b"*6\r\n$3\r\nSET\r\n$16\r\n");
        commands.extend_from_slice(id);
        commands.extend_from_slice(b"\r\n$0\r\n\r\n$2\r\nNX\r\n$2\r\nEX\r\n$5\r\n86400\r\n");
    }
    connection.write_all(&commands)?;
    let mut answers = vec![0; ids.len() * SET.len()];
    connection.read_exact(&mut answers)?;
    for answer in answers.chunks_exact(SET.len()) {
        new.push(match answer {
            _ if answer == SET => true,
            _ if answer == NOT_SET => false,
            _ => return Err(String::from_utf8_lossy(&answers).into()),
        });
    }
    Ok(())
}

fn sync_below(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            match File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                // The server renames its files now and then.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

//! The connection from the source to the replica: lines of text over TCP on this machine.
//!
//! | line | from | says |
//! |---|---|---|
//! | `source NAME` | source | who it is: a replica may have come to a port that another program has by now |
//! | `change POSITION CHANGE` | source | a change |
//! | `sent` | source | the batch is complete |
//! | `ack POSITION` | replica | everything below the position is applied and committed |
//! | `end` | source | there will be no more |

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::change::Logged;
use crate::support::Failure;

/// Where the source says how it is reached.
const ADDRESS: &str = "source.address";

/// How long a replica waits to be told who it has reached.
const GREETING_MAX: Duration = Duration::from_secs(1);

/// The source's door.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    name: String,
}

impl Door {
    pub fn open(dir: &Path) -> io::Result<Door> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = format!("{}-{now}", std::process::id());
        let port = listener.local_addr()?.port();
        // A name that is changed in one step: nobody reads half an address.
        let new = dir.join(format!("{ADDRESS}.new"));
        fs::write(&new, format!("{port} {name}"))?;
        fs::rename(new, dir.join(ADDRESS))?;
        Ok(Door { listener, name })
    }

    /// Waits for a replica.
    pub fn accept(&self) -> io::Result<Link> {
        let (stream, _) = self.listener.accept()?;
        let mut link = Link::new(stream)?;
        link.say(&format!("source {}\n", self.name))?;
        Ok(link)
    }
}

/// An end of the connection. Its errors are [`io::Error`]: the other end is gone.
#[derive(Debug)]
pub struct Link {
    lines: BufReader<TcpStream>,
}

/// What the source sends at once.
#[derive(Debug)]
pub enum Sent {
    Batch(Vec<Logged>),
    End,
}

impl Link {
    fn new(stream: TcpStream) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        Ok(Link { lines: BufReader::new(stream) })
    }

    /// Connects to the source that wrote its address last.
    pub fn connect(dir: &Path) -> io::Result<Link> {
        let address = fs::read_to_string(dir.join(ADDRESS))?;
        let (port, name) = address.split_once(' ').ok_or(ErrorKind::InvalidData)?;
        let port: u16 = port.parse().map_err(|_| ErrorKind::InvalidData)?;
        let mut link = Link::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)?;
        link.lines.get_ref().set_read_timeout(Some(GREETING_MAX))?;
        if link.hear()? != format!("source {name}") {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        link.lines.get_ref().set_read_timeout(None)?;
        Ok(link)
    }

    pub fn send(&mut self, batch: &[Logged]) -> io::Result<()> {
        let line = |logged: &Logged| format!("change {} {}\n", logged.position, logged.change);
        self.say(&(batch.iter().map(line).collect::<String>() + "sent\n"))
    }

    pub fn send_end(&mut self) -> io::Result<()> {
        self.say("end\n")
    }

    pub fn receive(&mut self) -> Result<Sent, Failure> {
        let mut batch = Vec::new();
        loop {
            let line = self.hear()?;
            match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                ["change", position, change] => {
                    batch.push(Logged::new(position.parse()?, change.parse()?));
                }
                ["sent"] => return Ok(Sent::Batch(batch)),
                ["end"] => return Ok(Sent::End),
                _ => return Err(format!("the source said `{line}`").into()),
            }
        }
    }

    pub fn acknowledge(&mut self, position: u64) -> io::Result<()> {
        self.say(&format!("ack {position}\n"))
    }

    pub fn receive_ack(&mut self) -> Result<u64, Failure> {
        let line = self.hear()?;
        match line.strip_prefix("ack ") {
            Some(position) => Ok(position.parse()?),
            None => Err(format!("the replica said `{line}`").into()),
        }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.lines.get_mut().write_all(text.as_bytes())
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        // A line that was cut short says nothing.
        let line = line.strip_suffix('\n').ok_or(ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }
}

/// Whether it is a [`Link`] that failed: the other end has died and comes again.
pub fn is_lost(error: &Failure) -> bool {
    error.is::<io::Error>()
}

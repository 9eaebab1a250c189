//! A file of the operating system, as plainly as can be: its "mapping" is a copy.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Mutex;

use firstseen::internals::{File, Region};

#[derive(Debug)]
pub(crate) struct PlainFile(Mutex<fs::File>);

impl PlainFile {
    pub(crate) fn create(path: &Path) -> io::Result<PlainFile> {
        fs::File::create_new(path).map(|file| PlainFile(Mutex::new(file)))
    }

    pub(crate) fn open(path: &Path) -> io::Result<PlainFile> {
        fs::File::open(path).map(|file| PlainFile(Mutex::new(file)))
    }

    fn at<T>(&self, offset: u64, f: impl FnOnce(&mut fs::File) -> io::Result<T>) -> io::Result<T> {
        let mut file = self.0.lock().expect("no panic inside");
        file.seek(io::SeekFrom::Start(offset))?;
        f(&mut file)
    }
}

impl File for PlainFile {
    fn len(&self) -> io::Result<u64> {
        self.at(0, |file| Ok(file.metadata()?.len()))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.at(offset, |file| file.read(buf))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.at(offset, |file| file.write(buf))
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.at(0, |file| file.set_len(offset + len))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.at(0, |file| file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: usize) -> io::Result<Region> {
        let mut bytes = vec![0; len];
        self.at(0, |file| file.read_exact(&mut bytes))?;
        Ok(Region::from(bytes))
    }
}

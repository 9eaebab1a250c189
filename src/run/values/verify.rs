//! Reads every byte of a values file and reports every damage.

use super::super::open::read_exact;
use super::Values;
use super::reader::{read_directory, read_part};
use crate::error::{Corruption, Error, Result};
use crate::format::run::Flaw;
use crate::format::value::file::{FOOTER, Footer, HEADER, check_header};
use crate::key::Fingerprint;

impl Values {
    /// Reads the whole file and reports what is not as it was written; more than checksums: the
    /// order of all entries, their count, and that the directory is that of the blocks.
    ///
    /// # Errors
    ///
    /// Only of the medium. Damage goes to `each_damage`, and does not stop the reading.
    pub(crate) fn verify(&self, each_damage: &mut dyn FnMut(Corruption)) -> Result<()> {
        let len = self.file.len().map_err(|e| Error::io("measure", &self.path, e))?;
        let mut tell = |flaw: Flaw| each_damage(flaw.of(&self.path));
        if len != self.len {
            tell(Flaw::new(len, "length of a values file", self.len, len));
        }
        let header = read_part(&*self.file, &self.path, 0, HEADER)?;
        if let Err(flaw) = check_header(&header, &self.store, self.number) {
            tell(flaw);
        }
        self.verify_blocks(&mut tell)?;
        let directory = read_directory(&*self.file, &self.path, &self.footer)?;
        match self.footer.decode_directory(&directory, self.salt) {
            Ok(starts) if *starts == *self.starts => {}
            Ok(_) => {
                let at = self.footer.directory;
                tell(Flaw::new(at, "values directory", "what it was when opened", "another"));
            }
            Err(flaw) => tell(flaw),
        }
        let at = self.len - FOOTER as u64;
        let footer = read_part(&*self.file, &self.path, at, FOOTER)?;
        match Footer::decode(&footer, self.salt, self.len) {
            Ok(footer) if footer == self.footer => {}
            Ok(footer) => {
                let (expected, found) = (format!("{:?}", self.footer), format!("{footer:?}"));
                tell(Flaw::new(at, "values footer", expected, found));
            }
            Err(flaw) => tell(flaw),
        }
        Ok(())
    }

    fn verify_blocks(&self, tell: &mut dyn FnMut(Flaw)) -> Result<()> {
        let (mut entries, mut last, mut whole) = (0, None, true);
        let mut bytes = Vec::new();
        for block in 0..self.starts.len() {
            let (offset, end) = self.bounds(block);
            bytes.resize((end - offset) as usize, 0);
            read_exact(&*self.file, &self.path, &mut bytes, offset)?;
            match self.count(&bytes, block, last) {
                Ok((count, id)) => (entries, last) = (entries + count, id),
                Err(flaw) => {
                    whole = false;
                    tell(flaw);
                }
            }
        }
        if whole && entries != self.footer.entries {
            let at = self.len - FOOTER as u64 + 8;
            tell(Flaw::new(at, "entries of a values file", entries, self.footer.entries));
        }
        Ok(())
    }

    /// How many entries a block has, and the last of them.
    fn count(
        &self,
        bytes: &[u8],
        block: usize,
        mut last: Option<Fingerprint>,
    ) -> Result<(u64, Option<Fingerprint>), Flaw> {
        let mut count = 0;
        for entry in self.block(bytes, block, last)? {
            last = Some(entry?.id);
            count += 1;
        }
        Ok((count, last))
    }
}

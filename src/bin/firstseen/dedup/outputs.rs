//! The outputs of a run, and which record goes where.

use std::io;
use std::path::Path;

use firstseen::Verdict;

use super::args::DedupArgs;
use super::report::Counts;
use crate::batch::Batch;
use crate::fail::{Failure, Result};
use crate::input::is_stdin;
use crate::sink::Sink;

/// Where first-seen, duplicate and late records go; nowhere if there is no sink.
pub(crate) struct Outputs {
    stdout: Option<Sink>,
    /// Whether standard output shows duplicates, not first-seen records.
    inverted: bool,
    duplicates: Option<Sink>,
    late: Option<Sink>,
}

impl Outputs {
    /// Opens what the options name.
    pub(crate) fn open(args: &DedupArgs, terminator: u8) -> Result<Outputs> {
        let sync = super::must_sync(args);
        let create = |path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path| Sink::create(path, terminator, sync)).transpose()
        };
        let duplicates = create(&args.duplicates)?;
        let late = create(&args.late)?;
        let stdout = if args.count { None } else { Some(Sink::stdout(terminator, sync)?) };
        Ok(Outputs { stdout, inverted: args.only_duplicates, duplicates, late })
    }

    /// Whether records go to standard output.
    pub(crate) fn prints(&self) -> bool {
        self.stdout.is_some()
    }

    /// Puts the header at the head of every output.
    pub(crate) fn put_header(&mut self, header: &[u8]) {
        for sink in self.all() {
            sink.put(header);
        }
    }

    /// Sends the judged records of a batch where they belong and flushes. There may be fewer
    /// verdicts than ids, if the store failed in the middle: the records after those are left out.
    pub(crate) fn emit(
        &mut self,
        block: &[u8],
        batch: &Batch,
        verdicts: &[Verdict],
        counts: &mut Counts,
    ) -> Result<()> {
        let mut verdicts = verdicts.iter();
        for record in &batch.records {
            let range = record.start as usize..record.end as usize;
            let sink = if !record.judged {
                &mut self.stdout
            } else {
                let Some(verdict) = verdicts.next() else {
                    break;
                };
                if verdict.is_new() {
                    counts.unique += 1;
                    if self.inverted { &mut None } else { &mut self.stdout }
                } else if verdict.is_late() {
                    counts.late += 1;
                    &mut self.late
                } else {
                    counts.duplicates += 1;
                    if let Some(sink) = &mut self.duplicates {
                        sink.take(block, range.clone());
                    }
                    if self.inverted { &mut self.stdout } else { &mut None }
                }
            };
            if let Some(sink) = sink {
                sink.take(block, range);
            }
        }
        for sink in self.all() {
            sink.leave(block, batch.open_ended);
            sink.flush()?;
        }
        Ok(())
    }

    /// Flushes what is left, such as a header without records.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.all().try_for_each(Sink::flush)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Sink> {
        let files = [&mut self.stdout, &mut self.duplicates, &mut self.late];
        files.into_iter().flatten()
    }
}

/// Refuses to write over what is read, or to write two outputs to one file.
pub(crate) fn check_paths(args: &DedupArgs) -> Result<()> {
    let same = |a: &Path, b: &Path| {
        a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
    };
    // A device such as /dev/null may well stand for several.
    let is_file = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.is_file());
    if let (Some(duplicates), Some(late)) = (&args.duplicates, &args.late)
        && (duplicates == late || (is_file(late) && same(duplicates, late)))
    {
        let text = "--duplicates and --late name the same file";
        return Err(Failure::Usage(text.to_owned()));
    }
    for output in args.duplicates.iter().chain(&args.late) {
        if let Some(input) = args.files.iter().find(|input| is_file(output) && same(input, output))
        {
            let text = format!("{} is both input and output", input.display());
            return Err(Failure::Usage(text));
        }
        let reads_stdin = args.files.is_empty() || args.files.iter().any(|file| is_stdin(file));
        if reads_stdin && is_stream(output, io::stdin()) {
            let text = format!("{} is both standard input and output", output.display());
            return Err(Failure::Usage(text));
        }
        if !args.count && is_stream(output, io::stdout()) {
            let text = format!("{} is standard output as well", output.display());
            return Err(Failure::Usage(text));
        }
    }
    Ok(())
}

/// Whether `path` is the file that the shell has opened as this stream.
#[cfg(unix)]
fn is_stream(path: &Path, stream: impl std::os::fd::AsFd) -> bool {
    use std::os::unix::fs::MetadataExt;
    let opened = stream.as_fd().try_clone_to_owned();
    let opened = opened.and_then(|stream| std::fs::File::from(stream).metadata());
    let (Ok(opened), Ok(named)) = (opened, path.metadata()) else {
        return false;
    };
    named.is_file() && (opened.dev(), opened.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn is_stream<S>(_: &Path, _: S) -> bool {
    false
}

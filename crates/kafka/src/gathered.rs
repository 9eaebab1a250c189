//! Messages of one partition that wait to be worked on, cut into batches as they come.
//!
//! A client gives as many as it has; what is beyond the size of a batch waits behind it.

use std::collections::VecDeque;
use std::time::Instant;

use crate::batch::Batch;
use crate::message::Message;
use crate::settings::Settings;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Batch,
    behind: VecDeque<Batch>,
    /// Empty, with room.
    spare: Batch,
    /// When the oldest message came.
    since: Option<Instant>,
}

impl Gathered {
    /// Adds a message.
    pub(crate) fn push(&mut self, message: &Message<'_>, settings: &Settings) {
        self.since.get_or_insert_with(Instant::now);
        let last = self.behind.back_mut().unwrap_or(&mut self.first);
        if !is_full(last, settings) {
            return last.push(message);
        }
        if last.next_offset().is_some_and(|next| next <= message.offset) {
            let mut batch = std::mem::take(&mut self.spare);
            batch.push(message);
            self.behind.push_back(batch);
        }
    }

    /// The batch that is worked on next.
    pub(crate) fn first(&self) -> &Batch {
        &self.first
    }

    /// Whether the first batch need not wait for more messages.
    pub(crate) fn is_full(&self, settings: &Settings) -> bool {
        is_full(&self.first, settings)
    }

    /// One past the last offset; `None` if there is no message.
    pub(crate) fn next_offset(&self) -> Option<u64> {
        self.behind.back().unwrap_or(&self.first).next_offset()
    }

    /// When the oldest message came; `None` if there is none.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Bytes of all messages.
    pub(crate) fn bytes(&self) -> usize {
        self.first.bytes() + self.behind.iter().map(Batch::bytes).sum::<usize>()
    }

    /// Takes the first batch out: it was worked on.
    pub(crate) fn drop_first(&mut self) {
        self.first.clear();
        match self.behind.pop_front() {
            Some(next) => self.spare = std::mem::replace(&mut self.first, next),
            None => self.since = None,
        }
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.behind.clear();
        self.drop_first();
    }
}

fn is_full(batch: &Batch, settings: &Settings) -> bool {
    batch.len() >= settings.batch_messages || batch.bytes() >= settings.batch_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    #[test]
    fn batches_are_cut_and_come_in_order() {
        let settings = Settings::new("x").batch_messages(3).batch_bytes(100);
        let mut gathered = Gathered::default();
        let push = |gathered: &mut Gathered, offset, payload: &[u8]| {
            let (key, payload, headers) = (None, Some(payload), Headers::default());
            gathered.push(&Message { offset, time: None, key, payload, headers }, &settings);
        };
        for offset in [0, 1, 2, 2, 3, 4, 5, 4, 6] {
            push(&mut gathered, offset, b"ab");
        }
        assert_eq!(gathered.bytes(), 14);
        let since = gathered.since();
        for expected in [[0, 1, 2], [3, 4, 5]] {
            assert!(gathered.is_full(&settings) && gathered.since() == since);
            let offsets: Vec<u64> = gathered.first().iter().map(|message| message.offset).collect();
            assert_eq!(offsets, expected);
            gathered.drop_first();
        }
        assert_eq!(gathered.first().len(), 1);
        assert!(!gathered.is_full(&settings));
        push(&mut gathered, 7, &[0; 100]);
        assert!(gathered.is_full(&settings), "by bytes");
        push(&mut gathered, 8, b"x");
        gathered.clear();
        assert!(gathered.first().is_empty() && gathered.since().is_none() && gathered.bytes() == 0);
    }
}

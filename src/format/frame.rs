//! A frame: the unit of the log, whole or not there at all. One call writes one frame.
//!
//! The header's checksum is seeded with the frame's offset, so a frame left over at another place
//! never verifies, and it covers the checksum of the payload. A frame of zeros is never valid.

use super::checksum::Salt;
use super::{commit, put_u32, put_u64, u32_at, u64_at};
use crate::key::{Fingerprint, Record};
use crate::planted::{Bug, planted};
use crate::time::Timestamp;

/// Length of a frame's header.
pub(crate) const HEADER: usize = 40;
/// Frames start at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The longest payload. Longer ones in a file are damage.
pub(crate) const PAYLOAD_MAX: usize = 64 << 20;

/// What a frame's payload means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Fingerprints seen first in the tick that the header names.
    Ids,
    /// Fingerprints, then one byte each: the tick in which it was seen first.
    TimedIds,
    /// Fingerprints to be forgotten.
    Forget,
    /// What a transaction brought: see `format::commit`. Ids were seen first in the header's tick.
    Commit,
    /// What a transaction will bring if it is committed.
    Prepare,
    /// A prepared transaction that was given up.
    Abort,
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            FrameKind::Ids => 1,
            FrameKind::TimedIds => 2,
            FrameKind::Forget => 3,
            FrameKind::Commit => 4,
            FrameKind::Prepare => 5,
            FrameKind::Abort => 6,
        }
    }

    fn from_code(code: u8) -> Option<FrameKind> {
        match code {
            1 => Some(FrameKind::Ids),
            2 => Some(FrameKind::TimedIds),
            3 => Some(FrameKind::Forget),
            4 => Some(FrameKind::Commit),
            5 => Some(FrameKind::Prepare),
            6 => Some(FrameKind::Abort),
            _ => None,
        }
    }
}

/// Bytes that a frame with a payload of `len` bytes takes in the log.
pub(crate) fn frame_len(len: usize) -> usize {
    (HEADER + len).next_multiple_of(ALIGN)
}

/// The most that a call about `ids` ids can add to the log.
pub(crate) fn call_len_max(ids: usize) -> usize {
    frame_len(ids * (Fingerprint::BYTES + 1))
}

/// A frame being put together: payload first, header when its place is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    ids: usize,
    /// Its length, once it is sealed.
    len: usize,
}

impl FrameBuffer {
    /// Starts an empty frame, in the memory that it has.
    pub(crate) fn start(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        (self.ids, self.len) = (0, 0);
    }

    /// Adds a fingerprint.
    pub(crate) fn push(&mut self, fingerprint: Fingerprint) {
        self.bytes.extend_from_slice(&fingerprint.as_u128().to_le_bytes());
        self.ids += 1;
    }

    /// Adds bytes of a payload that is not fingerprints alone.
    pub(crate) fn extend(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
    }

    /// How many fingerprints it has.
    pub(crate) fn ids(&self) -> usize {
        self.ids
    }

    /// Completes the frame but for its place. `ticks` holds one tick for each id, or is empty when
    /// all share `tick`.
    pub(crate) fn seal(&mut self, kind: FrameKind, time: Timestamp, tick: u8, ticks: &[u8]) {
        self.bytes.extend_from_slice(ticks);
        let len = self.bytes.len() - HEADER;
        self.len = frame_len(len);
        self.bytes.resize(self.len, 0);
        let sum = payload_sum(&self.bytes[HEADER..]);
        put_u64(&mut self.bytes, 8, sum);
        put_u32(&mut self.bytes, 16, u32::try_from(len).expect("payloads are bounded"));
        self.bytes[20] = kind.code();
        self.bytes[21] = tick;
        put_u64(&mut self.bytes, 24, time.as_micros());
    }

    /// Puts the frame at `offset` of a segment whose first `synced` bytes are durable, and gives out its bytes: whoever
    /// wants their memory leaves another in its place.
    pub(crate) fn place(&mut self, salt: Salt, offset: u64, synced: u64) -> &mut Vec<u8> {
        put_u64(&mut self.bytes, 32, synced);
        let sum = header_sum(salt, offset, &self.bytes[8..HEADER]);
        put_u64(&mut self.bytes, 0, sum);
        &mut self.bytes
    }

    /// Length of the sealed frame, also when its bytes were given away.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// A verified header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// What the payload means; `None` if a newer version wrote it.
    pub(crate) kind: Option<FrameKind>,
    /// Length of the payload in bytes.
    pub(crate) len: usize,
    /// Store time at the end of the call.
    pub(crate) time: Timestamp,
    /// The tick of all ids of an [`FrameKind::Ids`] frame.
    pub(crate) tick: u8,
    /// How much of the segment was durable when the frame was written.
    pub(crate) synced: u64,
    payload_sum: u64,
}

impl FrameHeader {
    /// Reads the header at `offset`; `None` if no frame starts there.
    pub(crate) fn decode(bytes: &[u8; HEADER], salt: Salt, offset: u64) -> Option<FrameHeader> {
        let len = u32_at(bytes, 16) as usize;
        if u64_at(bytes, 0) != header_sum(salt, offset, &bytes[8..]) || len > PAYLOAD_MAX {
            return None;
        }
        Some(FrameHeader {
            kind: FrameKind::from_code(bytes[20]),
            len,
            time: Timestamp::from_micros(u64_at(bytes, 24)),
            tick: bytes[21],
            synced: u64_at(bytes, 32),
            payload_sum: u64_at(bytes, 8),
        })
    }

    /// Bytes of payload and padding that follow the header.
    pub(crate) fn padded_len(&self) -> usize {
        frame_len(self.len) - HEADER
    }

    /// Whether `payload`, with its padding, is what was written.
    pub(crate) fn verifies(&self, payload: &[u8]) -> bool {
        payload.len() == self.padded_len()
            && (payload_sum(payload) == self.payload_sum || planted(Bug::FrameUnchecked))
    }

    /// The fingerprints and ticks in a verified payload; what is only prepared has none. Payloads whose
    /// length makes no sense for their kind give `None`.
    pub(crate) fn records<'a>(
        &self,
        payload: &'a [u8],
    ) -> Option<impl Iterator<Item = Record> + 'a> {
        let mut payload = &payload[..self.len];
        let each = match self.kind? {
            FrameKind::TimedIds => Fingerprint::BYTES + 1,
            FrameKind::Ids | FrameKind::Forget => Fingerprint::BYTES,
            FrameKind::Commit => {
                payload = commit::id_bytes(payload)?;
                Fingerprint::BYTES
            }
            FrameKind::Prepare | FrameKind::Abort => {
                payload = &[];
                Fingerprint::BYTES
            }
        };
        if !payload.len().is_multiple_of(each) {
            return None;
        }
        let (ids, ticks) = payload.split_at(payload.len() / each * Fingerprint::BYTES);
        let tick = self.tick;
        let ticks = move |i: usize| ticks.get(i).copied().unwrap_or(tick);
        Some(fingerprints(ids).enumerate().map(move |(i, id)| (id, ticks(i))))
    }
}

fn header_sum(salt: Salt, offset: u64, bytes: &[u8]) -> u64 {
    match planted(Bug::FrameUnsalted) {
        false => salt.sum(offset, bytes),
        true => payload_sum(bytes),
    }
}

fn payload_sum(payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(payload)
}

fn fingerprints(bytes: &[u8]) -> impl Iterator<Item = Fingerprint> + '_ {
    bytes.chunks_exact(Fingerprint::BYTES).map(|chunk| {
        let bits = u128::from_le_bytes(chunk.try_into().expect("sixteen bytes"));
        Fingerprint::from_u128(bits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt() -> Salt {
        Salt::new(&[1; 16], b"FSLOG\0\0\0", 3)
    }

    fn frame(kind: FrameKind, ids: u128, ticks: &[u8]) -> FrameBuffer {
        let mut frame = FrameBuffer::default();
        frame.start();
        (0..ids).for_each(|id| frame.push(Fingerprint::from_u128(id << 100 | id)));
        frame.seal(kind, Timestamp::from_secs(9), 77, ticks);
        frame
    }

    fn read(bytes: &[u8], offset: u64) -> Option<Vec<Record>> {
        let header = FrameHeader::decode(bytes[..HEADER].try_into().unwrap(), salt(), offset)?;
        let payload = &bytes[HEADER..];
        header.verifies(payload).then(|| header.records(payload).unwrap().collect())
    }

    #[test]
    fn frames_round_trip() {
        let mut uniform = frame(FrameKind::Ids, 3, &[]);
        let records = read(uniform.place(salt(), 128, 0), 128).unwrap();
        assert_eq!(records[2], (Fingerprint::from_u128(2 << 100 | 2), 77));
        let mut timed = frame(FrameKind::TimedIds, 3, &[5, 6, 7]);
        let ticks: Vec<u8> =
            read(timed.place(salt(), 128, 0), 128).unwrap().iter().map(|r| r.1).collect();
        assert_eq!(ticks, [5, 6, 7]);
        assert!(timed.len().is_multiple_of(ALIGN));
    }

    #[test]
    fn damage_and_wrong_places_are_noticed() {
        let mut frame = frame(FrameKind::TimedIds, 2, &[1, 2]);
        let bytes = frame.place(salt(), 256, 128).to_vec();
        assert!(read(&bytes, 264).is_none());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged, 256).is_none(), "bit {bit}");
        }
        assert!(FrameHeader::decode(&[0; HEADER], salt(), 0).is_none());
    }
}

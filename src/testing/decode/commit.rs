//! Payloads of commits, and state files. What decodes is applied, too: no bytes may panic there.

use super::{NUMBER, STORE, name};
use crate::error::Result;
use crate::format::checksum::Salt;
use crate::format::commit::{
    Commit, Flaw, Item, Prepare, abort_payload, decode_abort, push_ids, push_item,
};
use crate::format::put_u64;
use crate::format::snapshot::{self, PreparedEntry, Snapshot};
use crate::key::Fingerprint;
use crate::state::{PreparedData, State};
use crate::time::Timestamp;

/// An item in plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PlainItem {
    Progress { source: String, next: u64 },
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    Value { index: u32, payload: Option<u128>, outcome: Option<Vec<u8>> },
    Token(Vec<u8>),
    RawId { index: u32, id: Vec<u8> },
    Fence(u64),
}

impl PlainItem {
    fn as_item(&self) -> Item<'_> {
        match self {
            PlainItem::Progress { source, next } => Item::Progress { source, next: *next },
            PlainItem::Put { key, value } => Item::Put { key, value },
            PlainItem::Delete { key } => Item::Delete { key },
            PlainItem::Value { index, payload, outcome } => Item::Value {
                index: *index,
                payload: payload.map(Fingerprint::from_u128),
                outcome: outcome.as_deref(),
            },
            PlainItem::Token(token) => Item::Token(token),
            PlainItem::RawId { index, id } => Item::RawId { index: *index, id },
            PlainItem::Fence(fence) => Item::Fence(*fence),
        }
    }

    fn from_item(item: Item<'_>) -> PlainItem {
        match item {
            Item::Progress { source, next } => PlainItem::Progress { source: source.into(), next },
            Item::Put { key, value } => PlainItem::Put { key: key.into(), value: value.into() },
            Item::Delete { key } => PlainItem::Delete { key: key.into() },
            Item::Value { index, payload, outcome } => PlainItem::Value {
                index,
                payload: payload.map(Fingerprint::as_u128),
                outcome: outcome.map(<[u8]>::to_vec),
            },
            Item::Token(token) => PlainItem::Token(token.into()),
            Item::RawId { index, id } => PlainItem::RawId { index, id: id.into() },
            Item::Fence(fence) => PlainItem::Fence(fence),
        }
    }
}

/// The payload of a commit, a prepare or an abort in plain values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainCommit {
    /// Fingerprints.
    pub ids: Vec<u128>,
    /// What is with them.
    pub items: Vec<PlainItem>,
}

impl PlainCommit {
    /// The bytes of the payload.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_ids(&mut out, self.ids.iter().copied().map(Fingerprint::from_u128));
        self.items.iter().for_each(|item| push_item(&mut out, &item.as_item()));
        out
    }

    fn plain(commit: &Commit<'_>) -> PlainCommit {
        PlainCommit {
            ids: commit.ids().map(Fingerprint::as_u128).collect(),
            items: commit.items().map(PlainItem::from_item).collect(),
        }
    }

    /// Decodes the payload of a commit.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn read(bytes: &[u8]) -> Result<PlainCommit> {
        let commit = Commit::decode(bytes).map_err(corrupt)?;
        let mut state = State::default();
        state.apply(&commit);
        let once = state.encode(&STORE, NUMBER);
        state.apply(&commit);
        assert_eq!(state.encode(&STORE, NUMBER), once);
        Ok(PlainCommit::plain(&commit))
    }

    /// Decodes the payload of a prepare.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn read_prepare(bytes: &[u8]) -> Result<PlainCommit> {
        let prepare = Prepare::decode(bytes).map_err(corrupt)?;
        let mut state = State::default();
        let data = PreparedData::new(&prepare, Timestamp::MIN);
        state.prepare(data.clone());
        assert_eq!(state.abort(prepare.token()), Some(data.clone()));
        assert!(state.is_empty());
        state.prepare(data);
        let settlement = prepare.settlement();
        state.apply(&Commit::decode(&settlement).expect("it settles what decoded"));
        assert_eq!(state.in_doubt().count(), 0);
        Ok(PlainCommit::plain(prepare.commit()))
    }

    /// Decodes the payload of an abort.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn read_abort(bytes: &[u8]) -> Result<PlainCommit> {
        let token = decode_abort(bytes).map_err(corrupt)?;
        assert_eq!(abort_payload(token), bytes);
        Ok(PlainCommit { ids: Vec::new(), items: vec![PlainItem::Token(token.into())] })
    }
}

fn corrupt(flaw: Flaw) -> crate::Error {
    flaw.corruption(name(), 0, "commit").into()
}

/// A state file in plain values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainState {
    /// Name and position.
    pub sources: Vec<(String, u64)>,
    /// Key and value.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Time and payload. The payload has a token.
    pub prepared: Vec<(u64, PlainCommit)>,
}

impl PlainState {
    /// The bytes of the file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let payloads: Vec<Vec<u8>> = self.prepared.iter().map(|(.., p)| p.write()).collect();
        let prepared = self.prepared.iter().zip(&payloads).map(|((time, _), payload)| {
            let prepare = Prepare::decode(payload).expect("a payload with a token");
            PreparedEntry { time: Timestamp::from_micros(*time), prepare }
        });
        Snapshot {
            sources: self.sources.iter().map(|(source, next)| (&**source, *next)).collect(),
            entries: self.entries.iter().map(|(key, value)| (&**key, &**value)).collect(),
            prepared: prepared.collect(),
        }
        .encode(&STORE, NUMBER)
    }

    /// Decodes a state file.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn read(bytes: &[u8]) -> Result<PlainState> {
        let snapshot = Snapshot::decode(bytes, &STORE, NUMBER, name())?;
        assert_eq!(State::restore(&snapshot).encode(&STORE, NUMBER), bytes);
        let prepared = snapshot
            .prepared
            .iter()
            .map(|p| (p.time.as_micros(), PlainCommit::plain(p.prepare.commit())));
        Ok(PlainState {
            sources: snapshot.sources.iter().map(|&(name, next)| (name.into(), next)).collect(),
            entries: snapshot.entries.iter().map(|&(k, v)| (k.into(), v.into())).collect(),
            prepared: prepared.collect(),
        })
    }
}

/// Makes the checksum right.
pub fn reseal_state(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(8) {
        let sum = Salt::new(&STORE, snapshot::MAGIC, NUMBER).sum(0, &bytes[..at]);
        put_u64(bytes, at, sum);
    }
}

//! Payloads: round trips, limits, and bytes that are no payload.

use proptest::prelude::*;

use super::*;

fn id(n: u128) -> Fingerprint {
    Fingerprint::from_u128(n << 100 | n)
}

fn payload(ids: u128, items: &[Item<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    push_ids(&mut out, (0..ids as usize).map(|n| id(n as u128)));
    items.iter().for_each(|item| push_item(&mut out, item));
    let len: usize = items.iter().map(Item::encoded_len).sum();
    assert_eq!(out.len(), payload_len(ids as usize, len));
    out
}

const ALL: [Item<'_>; 9] = [
    Item::Token(b"t"),
    Item::Progress { source: "orders/3", next: u64::MAX },
    Item::Put { key: b"", value: b"" },
    Item::Put { key: b"total", value: b"\x00\xff" },
    Item::Delete { key: b"old" },
    Item::Value { index: 0, payload: Some(Fingerprint::from_u128(7 << 77)), outcome: None },
    Item::Value { index: 1, payload: None, outcome: Some(b"") },
    Item::Value { index: 2, payload: Some(Fingerprint::from_u128(1)), outcome: Some(b"paid") },
    Item::RawId { index: 2, id: b"order-2" },
];

#[test]
fn payloads_round_trip() {
    let bytes = payload(3, &ALL);
    let prepare = Prepare::decode(&bytes).unwrap();
    assert_eq!(prepare.token(), b"t");
    assert_eq!(prepare.commit().items().collect::<Vec<_>>(), ALL);
    assert_eq!(prepare.commit().ids().collect::<Vec<_>>(), [id(0), id(1), id(2)]);
    let settlement = prepare.settlement();
    let commit = Commit::decode(&settlement).unwrap();
    assert_eq!((commit.token(), commit.len()), (Some(&b"t"[..]), 3));
    assert_eq!(commit.items().collect::<Vec<_>>(), ALL[..8]);
    let settlement = prepare.settlement_with(&|source, _| (source == "orders/3").then_some(7));
    let next = Commit::decode(&settlement).unwrap().items().nth(1);
    assert_eq!(next, Some(Item::Progress { source: "orders/3", next: 7 }));
    let settlement = prepare.settlement_with(&|_, _| None);
    let rest: Vec<_> = Commit::decode(&settlement).unwrap().items().collect();
    assert_eq!((rest[0], &rest[1..]), (ALL[0], &ALL[2..8]));
    assert_eq!(decode_abort(&abort_payload(b"t")), Ok(&b"t"[..]));
}

#[test]
fn a_payload_in_the_wrong_place_is_refused() {
    assert!(Commit::decode(&payload(3, &ALL)).is_err(), "bytes of ids are not for a commit");
    let plain = payload(1, &ALL[1..5]);
    assert!(Commit::decode(&plain).is_ok());
    assert!(Prepare::decode(&plain).is_err(), "no token");
    assert!(decode_abort(&plain).is_err());
    assert!(decode_abort(&payload(1, &ALL[..1])).is_err(), "an abort has no ids");
    assert!(decode_abort(&payload(0, &[])).is_err());
    let twice = Prepare::decode(&payload(0, &[Item::Token(b"a"), Item::Token(b"b")])).unwrap_err();
    assert_eq!(twice.at, payload_len(0, Item::Token(b"a").encoded_len()));
}

#[test]
fn limits_hold_to_the_byte() {
    let (key, value) = (vec![b'k'; KEY_MAX + 1], vec![0; VALUE_MAX + 1]);
    let name = std::str::from_utf8(&key).unwrap();
    let (key_max, name_max, value_max) = (&key[1..], &name[1..], &value[1..]);
    let outcome = |outcome| Item::Value { index: 0, payload: None, outcome: Some(outcome) };
    let pairs = [
        (Item::Put { key: key_max, value: value_max }, Item::Put { key: &key, value: b"" }),
        (Item::Put { key: b"", value: b"" }, Item::Put { key: b"", value: &value }),
        (Item::Delete { key: key_max }, Item::Delete { key: &key }),
        (Item::Token(key_max), Item::Token(&key)),
        (Item::Token(b"t"), Item::Token(b"")),
        (Item::Progress { source: name_max, next: 0 }, Item::Progress { source: name, next: 0 }),
        (Item::Progress { source: "n", next: 0 }, Item::Progress { source: "", next: 0 }),
        (outcome(value_max), outcome(&value)),
        (Item::RawId { index: 0, id: &value }, Item::RawId { index: 1, id: b"" }),
    ];
    for (right, wrong) in pairs {
        let (right_bytes, wrong_bytes) = (payload(1, &[right]), payload(1, &[wrong]));
        let right_items = Commit::split(&right_bytes).unwrap().items().collect::<Vec<_>>();
        assert_eq!(right_items, [right]);
        let flaw = Commit::split(&wrong_bytes).unwrap_err();
        assert!((24..36).contains(&flaw.at), "{flaw:?}");
    }
    let whole = Item::RawId { index: 0, id: &vec![0; COMMIT_MAX - payload_len(1, ITEM_HEADER)] };
    assert!(Commit::split(&payload(1, &[whole])).is_ok());
    assert!(Commit::split(&payload(1, &[whole, Item::Delete { key: b"" }])).is_err());
}

#[test]
fn what_says_nothing_or_is_not_text_is_refused() {
    let bytes = payload(1, &[Item::Progress { source: "abc", next: 0 }]);
    let at = payload_len(1, ITEM_HEADER);
    let mut damaged = bytes.clone();
    damaged[at] = 0xff;
    assert_eq!(Commit::decode(&damaged).unwrap_err().at, at);
    let only_flag = payload(1, &[Item::Value { index: 0, payload: None, outcome: Some(b"") }]);
    let mut damaged = only_flag.clone();
    damaged[payload_len(1, 1)] = 0;
    assert_eq!(Commit::decode(&damaged).unwrap_err().at, payload_len(1, 1));
    let path = Path::new("7.log");
    let error = Commit::decode(&damaged).unwrap_err().corruption(path, 1000, "commit");
    assert_eq!((error.offset, &*error.path), (1000 + payload_len(1, 1) as u64, path));
}

/// What was understood, encoded again.
fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    let commit = Commit::split(bytes).ok()?;
    let mut out = Vec::new();
    push_ids(&mut out, commit.ids());
    commit.items().for_each(|item| push_item(&mut out, &item));
    Some(out)
}

#[test]
fn of_every_flipped_bit_and_every_cut_nothing_goes_unnoticed() {
    let bytes = payload(3, &ALL);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(again(&damaged).is_none_or(|out| out == damaged), "bit {bit}");
    }
    let mut at = payload_len(3, 0);
    let ends: Vec<usize> = ALL
        .iter()
        .map(|item| {
            at += item.encoded_len();
            at
        })
        .chain([payload_len(3, 0)])
        .collect();
    for len in 0..bytes.len() {
        assert_eq!(Commit::split(&bytes[..len]).is_ok(), ends.contains(&len), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn invented_bytes_are_refused_or_have_one_meaning(
        ids in 0_u8..3,
        items in proptest::collection::vec(
            (0_u8..8, 0_u8..3, 0_u16..18, 0_u32..18, 0_u32..3, any::<[u8; 40]>()), 0..4),
        tail in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = payload(ids.into(), &[]);
        for (kind, flags, key, value, index, content) in items {
            bytes.extend([kind, flags]);
            bytes.extend(key.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes.extend(index.to_le_bytes());
            bytes.extend(&content[..usize::from(key) + value as usize]);
        }
        bytes.extend(tail);
        if let Some(out) = again(&bytes) {
            prop_assert_eq!(out, bytes);
        }
    }
}

//! What a run promises, whole: written, read back in both modes, and damaged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::memory_file::MemoryFile;
use super::reader::Lookup;
use super::*;
use crate::error::{Corruption, Error, Result};
use crate::format::run::{PAGE_U64, Page, SUM_AT, Shape, seal};
use crate::format::{PAGE, put_u64, u64_at};
use crate::key::Fingerprint;
use crate::time::Timestamp;

const STORE: StoreId = [0x5a; 16];
const MODES: [ReadMode; 2] = [ReadMode::Mapped, ReadMode::Positioned];

/// Where many more are expected than a test writes, there is next to no filter.
fn spec(expected: u64) -> RunSpec {
    RunSpec {
        store: STORE,
        number: 7,
        generation: 3,
        ticks: Ticks { base: Timestamp::from_secs(1_700_000_000), micros: 1_000_000 },
        expected,
        filter_bits_per_id: if expected <= 2_000_000 { 10 } else { 0 },
    }
}

fn write(records: impl IntoIterator<Item = (u128, u8)>, expected: u64) -> (Vec<u8>, RunSummary) {
    let file = MemoryFile::default();
    let summary = write_to(&file, records, expected);
    (file.bytes(), summary)
}

fn write_to(
    file: &MemoryFile,
    records: impl IntoIterator<Item = (u128, u8)>,
    expected: u64,
) -> RunSummary {
    let path = Path::new("7.run");
    let mut writer = RunWriter::new(Box::new(file.clone()), path, spec(expected)).unwrap();
    let mut records = records.into_iter().map(|(bits, tick)| (Fingerprint::from_u128(bits), tick));
    // Slices of every length below 50, as they come.
    for length in (0..50).cycle() {
        let slice: Vec<_> = records.by_ref().take(length).collect();
        writer.extend(&slice).unwrap();
        if slice.len() < length {
            break;
        }
    }
    writer.finish().unwrap()
}

fn open(bytes: &[u8], mode: ReadMode) -> Result<Run> {
    let file = Box::new(MemoryFile::holding(bytes.to_vec()));
    Run::open(file, PathBuf::from("7.run"), &STORE, 7, mode)
}

/// The file sees to it that nothing is written there any more.
#[test]
fn a_long_run_is_on_its_way_to_the_medium_before_it_is_synced() {
    const MOST_LEFT: u64 = 9 << 20;
    let (file, count) = (MemoryFile::default(), 1 << 20);
    let records = (0..count).map(|n| (n << 107, 0));
    let bytes = write_to(&file, records, count as u64).bytes;
    let out = file.written_out();
    let told: u64 = out.iter().map(|out| out.end - out.start).sum();
    assert!(out.len() > 1 && told + MOST_LEFT >= bytes, "{told} of {bytes}: {out:?}");
    assert!(out.iter().all(|out| out.end <= bytes));
}

/// The sync at the end need not tell of it.
#[test]
fn a_medium_that_fails_before_the_sync_fails_the_run() {
    let file = Box::new(MemoryFile::failing());
    let mut writer = RunWriter::new(file, Path::new("7.run"), spec(1 << 20)).unwrap();
    let records: Vec<_> = (0..1 << 20).map(|n| (Fingerprint::from_u128(n << 107), 0)).collect();
    let told = records.chunks(4_096).map(|records| writer.extend(records)).find_map(Result::err);
    assert!(matches!(told, Some(Error::Io { .. })), "{told:?}");
}

fn damages(run: &Run) -> Vec<Corruption> {
    let mut damages = Vec::new();
    let read = run.verify(&mut |damage| damages.push(damage)).unwrap();
    assert_eq!(read, run.bytes());
    damages
}

/// The `n` th of a set of evenly spread numbers (SplitMix64, twice).
fn spread(n: u64) -> u128 {
    let half = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::from(half(2 * n + 1)) << 64 | u128::from(half(2 * n + 2))
}

fn sorted_spread(count: u64) -> Vec<(u128, u8)> {
    let mut records: Vec<_> = (0..count).map(|n| (spread(n), n as u8)).collect();
    records.sort_unstable();
    records
}

/// Many at once get what each gets alone.
#[track_caller]
fn assert_each_is_found(run: &Run, ids: &[Fingerprint]) {
    let asked: Vec<u32> = (0..ids.len() as u32).rev().collect();
    let mut found = Vec::new();
    run.get_each(ids, &asked, |i, lookup| found.push((i, lookup))).unwrap();
    let alone = asked.iter().map(|&i| (i, run.get(ids[i as usize]).unwrap()));
    assert_eq!(found, alone.collect::<Vec<_>>());
    let mut maybe = vec![u32::MAX];
    run.filter_each(ids, &asked, &mut maybe).unwrap();
    let alone = asked.iter().filter(|&&i| run.filter_may_contain(ids[i as usize]).unwrap());
    let expected: Vec<_> = [u32::MAX].into_iter().chain(alone.copied()).collect();
    assert_eq!(maybe, expected, "behind what was there before");
}

/// Everything a run answers, against the records it was made of.
fn check_run(records: &BTreeMap<u128, u8>, expected: u64, absent: &[u128]) {
    let (bytes, summary) = write(records.iter().map(|(&b, &t)| (b, t)), expected);
    assert_eq!(summary.records, records.len() as u64);
    assert_eq!(summary.bytes, bytes.len() as u64);
    for mode in MODES {
        let run = open(&bytes, mode).unwrap();
        assert_eq!((run.records(), run.bytes()), (summary.records, summary.bytes));
        assert_eq!(run.spec(), spec(expected));
        assert_eq!(run.tick_range(), (summary.earliest, summary.latest));
        for (&bits, &tick) in records {
            let fingerprint = Fingerprint::from_u128(bits);
            assert!(run.filter_may_contain(fingerprint).unwrap());
            assert_eq!(run.get(fingerprint).unwrap().tick, Some(tick), "{fingerprint}");
        }
        let beside =
            records.keys().flat_map(|b| [b.wrapping_sub(1), b.wrapping_add(1), b ^ 1 << 64]);
        let mut ids: Vec<_> = records.keys().map(|&bits| Fingerprint::from_u128(bits)).collect();
        for bits in beside.chain(absent.iter().copied()) {
            let fingerprint = Fingerprint::from_u128(bits);
            let found = run.get(fingerprint).unwrap().tick;
            assert_eq!(found, records.get(&bits).copied(), "{bits:032x}");
            ids.push(fingerprint);
        }
        assert_each_is_found(&run, &ids);
        assert!(plain(run.cursor()).into_iter().eq(records.iter().map(|(&b, &t)| (b, t))));
        for &bits in absent.iter().chain(records.keys().nth(records.len() / 2)) {
            let hi = (bits >> 64) as u64;
            let rest = records.range(u128::from(hi) << 64..).map(|(&b, &t)| (b, t));
            assert!(plain(run.cursor_from(hi)).into_iter().eq(rest));
        }
        assert_eq!(damages(&run), []);
    }
}

/// All records, of which none is damaged, as plain numbers.
fn plain(records: impl Records) -> Vec<(u128, u8)> {
    let (records, read) = records.read_all();
    read.unwrap();
    records.into_iter().map(|(id, tick)| (id.as_u128(), tick)).collect()
}

/// Fingerprints as a keyed hash never gives them: close together, in a few places.
fn clustered() -> impl Strategy<Value = BTreeMap<u128, u8>> {
    let places = prop_oneof![Just(0), Just(u128::MAX), Just(0xabcd << 64), any::<u128>()];
    let cluster = (places, 0..127_u32, prop::collection::vec(any::<u128>(), 1..700));
    prop::collection::vec(cluster, 1..4).prop_map(|clusters| {
        let numbers = clusters.into_iter().flat_map(|(place, shift, offsets)| {
            offsets.into_iter().map(move |offset| place.wrapping_add(offset >> shift))
        });
        numbers.map(|bits| (bits, (bits >> 3) as u8)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_set_is_answered_exactly(
        records in prop_oneof![
            prop::collection::btree_map(any::<u128>(), any::<u8>(), 0..4),
            prop::collection::btree_map(any::<u128>(), any::<u8>(), 0..2_000),
            clustered(),
        ],
        expected in prop_oneof![0..3_000_u64, Just(10_000_000), Just(1 << 50)],
        absent in prop::collection::vec(any::<u128>(), 8),
    ) {
        check_run(&records, expected, &absent);
    }

    /// Somebody who computes checksums gets an error or an answer, never a panic or a hang.
    #[test]
    fn bytes_with_good_checksums_do_not_panic(
        count in 0..900_u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..128_usize, any::<u8>()), 1..6),
    ) {
        let (mut bytes, summary) = write(sorted_spread(count), count);
        let footer = summary.bytes as usize - PAGE;
        for (page, at, value) in changes {
            let page = page.index(bytes.len() / PAGE) * PAGE;
            bytes[page + at] = value;
            reseal(&mut bytes, page);
        }
        reseal(&mut bytes, footer);
        for mode in MODES {
            let Ok(run) = open(&bytes, mode) else { continue };
            for n in 0..40 {
                let _ = run.filter_may_contain(Fingerprint::from_u128(spread(n)));
                let _ = run.get(Fingerprint::from_u128(spread(n)));
            }
            assert!(run.cursor().read_all().0.len() as u64 <= run.records());
            let _ = run.verify(&mut |_| {});
        }
    }
}

fn reseal(bytes: &mut [u8], page: usize) {
    let salt = crate::format::checksum::Salt::new(&STORE, &crate::format::run::MAGIC, 7);
    let bytes: &mut Page = (&mut bytes[page..page + PAGE]).try_into().unwrap();
    seal(bytes, salt, page as u64);
}

#[test]
fn a_run_yields_no_more_records_than_it_says() {
    let (mut bytes, summary) = write(sorted_spread(300), 300);
    let footer = summary.bytes as usize - PAGE;
    bytes[footer + 8..footer + 16].copy_from_slice(&summary.pages.to_le_bytes());
    reseal(&mut bytes, footer);
    for mode in MODES {
        let run = open(&bytes, mode).unwrap();
        let (read, ended) = run.cursor().read_all();
        assert!(read.len() as u64 <= summary.pages, "{} read", read.len());
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("records of a run"), "{error}");
    }
}

#[test]
fn the_ends_of_the_space_can_be_kept() {
    let ends = [0, 1, u128::from(u64::MAX), 1 << 64, u128::MAX - 1, u128::MAX];
    check_run(&ends.map(|bits| (bits, 9)).into(), 6, &[]);
    check_run(&BTreeMap::new(), 0, &[0, u128::MAX]);
}

#[test]
fn ids_of_one_top_half_cross_pages() {
    let records: BTreeMap<_, _> = (0..3_000).map(|n| ((77 << 64) + n * n, n as u8)).collect();
    let (bytes, summary) = write(records.iter().map(|(&b, &t)| (b, t)), 3_000);
    assert!(summary.pages > 100, "{summary:?}");
    let run = open(&bytes, ReadMode::Mapped).unwrap();
    for id in [0, 1, 2, 5, 1_500 * 1_500, 1_500 * 1_500 + 1, 2_999 * 2_999, 1 << 63] {
        let lookup = run.get(Fingerprint::from_u128((77 << 64) + id)).unwrap();
        assert_eq!(lookup.tick, records.get(&((77 << 64) + id)).copied());
        assert!(lookup.pages <= 3 + summary.pages.ilog2(), "{lookup:?} for {id}");
    }
    check_run(&records, 3_000, &[78 << 64, 76 << 64]);
}

#[test]
#[should_panic(expected = "ascend")]
fn a_record_out_of_order_is_our_own_mistake() {
    write([(2, 0), (2, 0)], 2);
}

#[test]
fn two_million_ids_take_16_5_bytes_each_and_one_page_a_hit() {
    let records = sorted_spread(2_000_000);
    let (bytes, summary) = write(records.iter().copied(), 2_000_000);
    let per_id = summary.bytes as f64 / 2e6;
    println!("2000000 ids: {per_id:.3} bytes each");
    assert!(per_id <= 16.5, "{per_id} bytes an id");
    for mode in MODES {
        let run = open(&bytes, mode).unwrap();
        for &(bits, tick) in records.iter().step_by(97) {
            let lookup = run.get(Fingerprint::from_u128(bits)).unwrap();
            assert_eq!(lookup, Lookup { tick: Some(tick), pages: 1 });
        }
        let absent = (2_000_000..2_200_000).map(spread).map(Fingerprint::from_u128);
        let passed = absent.filter(|&f| run.filter_may_contain(f).unwrap()).count();
        let rate = passed as f64 / 200_000.0;
        assert!((0.005..0.013).contains(&rate), "{rate} false positives");
        // Over many pages of the filter, and in numbers that fill the groups and do not.
        let ids: Vec<_> = (1_999_000..2_001_000).map(spread).map(Fingerprint::from_u128).collect();
        for n in [0, 1, 31, 32, 33, 64, 65, 2_000] {
            assert_each_is_found(&run, &ids[ids.len() - n..]);
        }
        let memory = run.memory() as f64 / 2e6;
        assert!(memory < if mode == ReadMode::Mapped { 0.04 } else { 1.4 }, "{memory} bytes an id");
    }
}

/// From 10 M ids on, 16 bytes each or less: by the layout's arithmetic, and with the pages of a
/// sample of the space as they are really closed.
#[test]
fn ten_million_ids_take_16_bytes_each() {
    let sizes = [10_000_000, 12_000_000, 16_700_000, 20_000_000, 100_000_000, 1_000_000_000_u64];
    for expected in sizes {
        let sample = 300_000;
        let share = u128::from(expected / sample);
        let records = sorted_spread(sample).into_iter().map(|(bits, tick)| (bits / share, tick));
        let (_, summary) = write(records, expected);
        let pages = summary.pages as f64 * PAGE as f64 / sample as f64;
        let filter = 10.0 / 8.0 * 64.0 / 63.0;
        let directory = summary.pages as f64 / sample as f64 * 8.0 * 512.0 / 511.0;
        let per_id = pages + filter + directory;
        println!("{expected} ids: {per_id:.3} bytes each, {pages:.3} in pages");
        assert!(per_id <= 16.0, "{per_id} bytes an id at {expected}");
        let full = PAGE as f64 / Shape::for_expected(expected).capacity() as f64;
        assert!(pages < full * 1.02, "{pages} of {full} bytes an id at {expected}");
    }
}

/// A flipped byte anywhere is seen: at opening, or by `verify`; and until then no lookup, and no
/// cursor, gives another answer than before.
#[test]
fn every_flipped_byte_is_seen() {
    let records = sorted_spread(300);
    let (bytes, _) = write(records.iter().copied(), 300);
    let ids: Vec<_> = records.iter().map(|&(bits, _)| Fingerprint::from_u128(bits)).collect();
    let asked: Vec<u32> = (0..ids.len() as u32).collect();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let mode = MODES[at / 8 % 2];
        // Of runs that nothing else has been read of, and so none of it checked.
        for mode in MODES {
            let Ok(run) = open(&damaged, mode) else { continue };
            let mut maybe = Vec::new();
            let sifted = run.filter_each(&ids, &asked, &mut maybe);
            assert!(sifted.is_err() || maybe == asked, "byte {at}");
            let mut ticks = Vec::new();
            let looked = run.get_each(&ids, &asked, |_, lookup| ticks.push(lookup.tick));
            let written = records.iter().map(|&(_, tick)| Some(tick));
            assert!(looked.is_err() || ticks.iter().copied().eq(written), "byte {at}");
        }
        match open(&damaged, mode) {
            Err(Error::Corrupt(damage)) => assert_eq!(damage.path, Path::new("7.run")),
            Err(other) => panic!("byte {at}: {other}"),
            Ok(run) => {
                let found = damages(&run);
                assert_eq!(found.len(), 1, "byte {at}: {found:?}");
                assert_eq!(found[0].offset / PAGE_U64, (at / PAGE) as u64, "{found:?}");
                for &(bits, tick) in records.iter().step_by(60) {
                    let fingerprint = Fingerprint::from_u128(bits);
                    assert!(run.filter_may_contain(fingerprint).unwrap_or(true));
                    let found = run.get(fingerprint).map_or(Some(tick), |lookup| lookup.tick);
                    assert_eq!(found, Some(tick), "byte {at}");
                }
                let (read, _) = run.cursor().read_all();
                let read = read.into_iter().map(|(id, tick)| (id.as_u128(), tick));
                assert!(read.zip(&records).all(|(read, &written)| read == written), "byte {at}");
            }
        }
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let (bytes, _) = write(sorted_spread(700), 700);
    for len in 0..bytes.len() {
        let error = open(&bytes[..len], ReadMode::Mapped).unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)), "{len}: {error}");
    }
    for more in [1, PAGE] {
        let longer = [&bytes[..], &vec![0; more]].concat();
        assert!(matches!(open(&longer, ReadMode::Mapped), Err(Error::Corrupt(_))));
    }
}

#[test]
fn pages_of_another_place_run_or_store_are_refused() {
    let (bytes, _) = write(sorted_spread(2_000), 2_000);
    let elsewhere = |store, number| {
        let file = Box::new(MemoryFile::holding(bytes.clone()));
        Run::open(file, PathBuf::from("7.run"), store, number, ReadMode::Mapped).unwrap_err()
    };
    let store = elsewhere(&[1; 16], 7).to_string();
    assert!(store.contains("store id of a run: expected 0101"), "{store}");
    let number = elsewhere(&STORE, 8).to_string();
    assert!(number.contains("number of a run: expected 8, found 7"), "{number}");
    let data = open(&bytes, ReadMode::Mapped).unwrap().page_offset(0) as usize;
    let mut swapped = bytes.clone();
    swapped.copy_within(data..data + PAGE, data + PAGE);
    assert_eq!(damages(&open(&swapped, ReadMode::Positioned).unwrap()).len(), 1);
}

#[test]
fn another_version_is_told_apart() {
    let (mut bytes, _) = write([], 0);
    bytes[8] = 9;
    reseal(&mut bytes, 0);
    let error = open(&bytes, ReadMode::Mapped).unwrap_err();
    assert!(matches!(error, Error::Version { found: 9, supported: 1, .. }), "{error}");
}

/// Sizes from the file that do not add up to its length are never believed.
#[test]
fn hostile_sizes_are_refused() {
    let (bytes, _) = write(sorted_spread(300), 300);
    let footer = bytes.len() - PAGE;
    let sizes = [0, 1, 64, 1 << 20, 1 << 52, u64::MAX / PAGE_U64, u64::MAX - 1, u64::MAX];
    for at in [56, 72, 80, 88, footer + 8, footer + 16, footer + 24, footer + 32] {
        for size in sizes {
            let mut hostile = bytes.clone();
            put_u64(&mut hostile, at, size);
            reseal(&mut hostile, at / PAGE * PAGE);
            match open(&hostile, ReadMode::Positioned) {
                Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error}"),
                Ok(run) => assert!(at == 56 || hostile == bytes || run.records() < 1 << 20),
            }
        }
    }
}

#[test]
fn merging_runs_gives_each_id_once_with_its_first_tick() {
    let all = sorted_spread(30_000);
    let part = |k: usize| all.iter().skip(k).step_by(3).map(move |&(b, t)| (b, t / (k as u8 + 1)));
    let mut parts: Vec<Vec<_>> = (0..3).map(|k| part(k).collect()).collect();
    let later: Vec<_> = parts[1].iter().map(|&(b, t)| (b, t.saturating_add(1))).collect();
    parts.push(later);
    let runs: Vec<_> = parts
        .iter()
        .zip(MODES.iter().cycle())
        .map(|(records, &mode)| open(&write(records.iter().copied(), 10_000).0, mode).unwrap())
        .collect();
    let merged = plain(Merge::new(runs.iter().map(Run::cursor).collect()));
    let mut expected = parts[..3].concat();
    expected.sort_unstable();
    assert!(merged == expected);
}

/// The worked example of docs/FORMAT.md: bytes that change only together with it.
#[test]
fn the_example_of_the_format() {
    let records = [(5 << 64 | 1, 0x11), (5 << 64 | 2, 0x22), (1 << 122, 0x33)];
    let (bytes, _) = write(records, 3);
    let sums: Vec<_> = bytes.chunks(PAGE).map(|page| u64_at(page, SUM_AT)).collect();
    let expected = [
        0xf32e_e911_32b2_58f3,
        0x140a_a2f0_6dd1_f85f,
        0x5497_c5cd_829c_2d67,
        0xcf02_1b44_9343_785a,
        0xf597_a95a_c519_96b2,
    ];
    assert_eq!(sums, expected);
    let page = &bytes[2 * PAGE..3 * PAGE];
    assert_eq!((u64_at(page, 0), &page[8..14]), (5, &[3, 0, 2, 0x10, 0, 0][..]));
    assert_eq!(page[42..44], [0x11, 1]);
    assert_eq!(page[58..60], [0x22, 2]);
    assert_eq!(page[74..90], [0x33, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb, 255, 255, 255, 255, 255, 255]);
}

#[test]
fn a_run_opened_in_order_gives_all_records_and_holds_no_filter() {
    let records = sorted_spread(20_000);
    let (bytes, _) = write(records.iter().copied(), 20_000);
    let file = Box::new(MemoryFile::holding(bytes));
    let run = Run::open_in_order(file, PathBuf::from("7.run"), &STORE, 7).unwrap();
    assert_eq!(plain(run.cursor()), records);
    let (bits, tick) = records[77];
    assert!(run.filter_may_contain(Fingerprint::from_u128(bits ^ 1)).unwrap());
    assert_eq!(run.get(Fingerprint::from_u128(bits)).unwrap().tick, Some(tick));
    let ids: Vec<_> = (19_950..20_050).map(spread).map(Fingerprint::from_u128).collect();
    assert_each_is_found(&run, &ids);
    assert!(run.memory() < 20_000);
    assert_eq!(damages(&run), []);
}

/// The pages told of: each once, in ascending order, and how many of them at a time.
fn told(file: &MemoryFile) -> (Vec<u64>, Vec<u64>) {
    let told = file.take_told();
    let pages = told.iter().flat_map(|range| range.start / PAGE_U64..range.end / PAGE_U64);
    (pages.collect(), told.iter().map(|range| (range.end - range.start) / PAGE_U64).collect())
}

#[test]
fn what_will_be_read_is_told_once_and_in_few_words() {
    let (bytes, _) = write(sorted_spread(150_000), 150_000);
    let file = MemoryFile::holding(bytes);
    let [mapped, positioned] = MODES.map(|mode| {
        Run::open(Box::new(file.clone()), PathBuf::from("7.run"), &STORE, 7, mode).unwrap()
    });
    let mut ids: Vec<_> = (0..400).map(|n| Fingerprint::from_u128(spread(n * 300))).collect();
    ids.sort_unstable();
    let asked: Vec<u32> = (0..400).collect();

    assert_eq!(mapped.announce_filter(&ids, &asked), 2);
    let filter_pages = mapped.header.filter_pages();
    assert_eq!(told(&file), ((1..=filter_pages).collect(), vec![32, filter_pages - 32]));
    assert_eq!(positioned.announce_filter(&ids, &asked), 0, "it is held");

    for run in [&mapped, &positioned] {
        let reads = run.announce_pages(&ids, &asked);
        let (pages, together) = told(&file);
        assert_eq!(reads, together.len());
        let page =
            |id: &Fingerprint| run.page_offset(run.starts.last_at_most(id.hi).unwrap()) / PAGE_U64;
        let mut expected: Vec<_> = ids.iter().map(page).collect();
        expected.dedup();
        assert_eq!(pages, expected);
    }
    // Ids below the first one are on no page.
    let below = [Fingerprint { hi: 0, lo: 0 }];
    assert_eq!(mapped.announce_pages(&below, &[0]), 0);
    // Whatever the order, each page is told of.
    assert_eq!(mapped.announce_filter(&ids, &[399, 0]), 2);
    assert_eq!(told(&file).0, [filter_pages, 1]);
}

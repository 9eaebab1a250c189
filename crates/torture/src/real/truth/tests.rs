//! The truth finds what is wrong, in stories that are told to it.

use std::path::Path;

use super::{Answer, End, Truth};
use crate::case::{Counts, Promise};
use crate::real::setting::{Scene, Setting};
use firstseen::Durability;

fn setting(durability: Durability) -> Setting {
    let mut setting = Setting::draw(Scene::Power, 1, 0, Path::new("store"));
    setting.durability = durability;
    setting
}

/// Tells one life of a store, which ends by a power cut at 1,000, and what is found then.
fn told(durability: Durability, lines: &[&str], found: &[(u64, Answer)]) -> Promise {
    let mut truth = Truth::new(None, false);
    truth.begin_life(&setting(durability));
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    truth.end_life(&lines, End::Cut(1_000), &mut Counts::default())?;
    let line = truth.next_line();
    found.iter().try_for_each(|&(id, answer)| truth.ids.found(id, answer, line, 2_000))?;
    truth.judge_cut()
}

fn assert_wrong(told: Promise, what: &str) {
    let wrong = told.expect_err(what);
    assert!(wrong.contains(what), "{wrong}");
}

const ONE: [&str; 2] = ["begin 1 10 insert 7+1", "end 1 20 verdicts N"];
use Answer::{Absent, Known};

#[test]
fn what_was_synced_is_there() {
    told(Durability::Sync, &ONE, &[(7, Known)]).unwrap();
    assert_wrong(told(Durability::Sync, &ONE, &[(7, Absent)]), "forgotten");
    told(Durability::Buffered, &ONE, &[(7, Absent)]).unwrap();
    let synced = [ONE[0], ONE[1], "begin 2 30 sync", "end 2 40 done"];
    assert_wrong(told(Durability::Buffered, &synced, &[(7, Absent)]), "forgotten");
}

#[test]
fn what_returned_after_the_cut_counts_for_nothing() {
    let late = ["begin 1 10 insert 7+1", "end 1 1000 verdicts N"];
    told(Durability::Sync, &late, &[(7, Absent)]).unwrap();
    told(Durability::Sync, &late, &[(7, Known)]).unwrap();
    assert_wrong(told(Durability::Sync, &late, &[(7, Known), (8, Known)]), "invented");
}

#[test]
fn a_cut_leaves_a_prefix() {
    let two = [ONE[0], ONE[1], "begin 2 30 insert 9+1", "end 2 40 verdicts N"];
    let buffered = |found: &[_]| told(Durability::Buffered, &two, found);
    buffered(&[(7, Known), (9, Known)]).unwrap();
    buffered(&[(7, Known), (9, Absent)]).unwrap();
    buffered(&[(7, Absent), (9, Absent)]).unwrap();
    assert_wrong(buffered(&[(7, Absent), (9, Known)]), "a hole");
    // Of two that overlap either may be gone.
    let both = [ONE[0], two[2], ONE[1], two[3]];
    told(Durability::Buffered, &both, &[(7, Absent), (9, Known)]).unwrap();
}

/// A call of unknown fate in a life before may have brought it in, before all of this life's.
#[test]
fn what_may_be_there_from_a_life_before_is_no_witness_of_this_ones_order() {
    let two_lives = |verdict: &str| {
        let mut truth = Truth::new(None, false);
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        truth.begin_life(&setting(Durability::Buffered));
        let first = lines(&["begin 1 1 insert 9+1"]);
        truth.end_life(&first, End::Death, &mut Counts::default())?;
        truth.begin_life(&setting(Durability::Buffered));
        let again = lines(&[ONE[0], ONE[1], "begin 2 30 insert 9+1", verdict]);
        truth.end_life(&again, End::Cut(1_000), &mut Counts::default())?;
        let line = truth.next_line();
        truth.ids.found(7, Absent, line, 2_000)?;
        truth.ids.found(9, Known, line, 2_000)?;
        truth.judge_cut()
    };
    two_lives("end 2 40 verdicts D").unwrap();
    // It was not there before.
    assert_wrong(two_lives("end 2 40 verdicts N"), "a hole");
}

#[test]
fn an_interval_loses_no_more_than_it_says() {
    let every = Durability::Interval(std::time::Duration::from_micros(100));
    let two = |later| [ONE[0].to_owned(), ONE[1].to_owned(), later, "end 2 999 verdicts N".into()];
    let lost = |at: u64| {
        let mut truth = Truth::new(None, false);
        truth.begin_life(&setting(every));
        let lines = two(format!("begin 2 {at} insert 9+1"));
        truth.end_life(&lines, End::Cut(1_000_000), &mut Counts::default())?;
        truth.ids.found(7, Absent, 99, 2_000_000)?;
        truth.judge_cut()
    };
    lost(100).unwrap();
    assert_wrong(lost(900_000), "later another call");
}

#[test]
fn one_call_wins() {
    let twice = [ONE[0], "begin 2 11 insert 7+1", ONE[1], "end 2 21 verdicts N"];
    assert_wrong(told(Durability::Sync, &twice, &[]), "new twice");
    let again = [ONE[0], ONE[1], "begin 2 30 insert 7+1", "end 2 40 verdicts D"];
    told(Durability::Sync, &again, &[(7, Known)]).unwrap();
    let invented = ["begin 1 10 insert 7+1", "end 1 20 verdicts D"];
    assert_wrong(told(Durability::Sync, &invented, &[]), "invented");
    let claimed = [ONE[0], ONE[1], "begin 2 30 claim 7+1", "end 2 40 verdicts N"];
    assert_wrong(told(Durability::Sync, &claimed, &[]), "can be claimed");
}

#[test]
fn what_is_prepared_stays_in_doubt() {
    let prepared = [
        "open 5 ",
        "begin 1 10 claim 7+2",
        "end 1 20 verdicts NN",
        "begin 2 30 prepare 1 t",
        "end 2 40 done",
    ];
    let settled = [&prepared[..], &["begin 3 50 settle t true", "end 3 60 done"]].concat();
    let in_doubt = |durability, lines: &[&str], tokens: &[&str]| {
        let mut truth = Truth::new(None, false);
        truth.begin_life(&setting(durability));
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        truth.end_life(&lines, End::Cut(1_000), &mut Counts::default())?;
        truth.in_doubt(&tokens.iter().map(|&token| token.to_owned()).collect::<Vec<_>>())
    };
    in_doubt(Durability::Buffered, &prepared, &["t"]).unwrap();
    assert_wrong(in_doubt(Durability::Buffered, &prepared, &[]), "is not in doubt");
    assert_wrong(in_doubt(Durability::Buffered, &prepared, &["t", "u"]), "never prepared");
    in_doubt(Durability::Buffered, &settled, &["t"]).unwrap();
    assert_wrong(in_doubt(Durability::Sync, &settled, &["t"]), "was settled");
}

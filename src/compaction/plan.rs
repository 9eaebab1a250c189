//! Which runs to merge.

/// How many small runs of a generation that still grows are worth merging.
const SMALL_RUNS: usize = 8;

/// What the plan needs to know of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunInfo {
    pub(crate) number: u64,
    pub(crate) generation: u64,
    pub(crate) records: u64,
}

/// The runs to merge next, by number; empty if there is nothing worth it.
///
/// All runs of the youngest ended generation that has several: fewer run filters on a hit, for one
/// more writing of each id. And the small runs of the growing generation, `active`, once there are
/// many: they come from frequent reopening.
pub(crate) fn plan_merge(runs: &[RunInfo], active: u64, table_limit: u64) -> Vec<u64> {
    let of = |generation: u64| runs.iter().filter(move |run| run.generation == generation);
    let ended = runs
        .iter()
        .map(|run| run.generation)
        .filter(|&generation| generation < active && of(generation).count() > 1)
        .max();
    if let Some(generation) = ended {
        return of(generation).map(|run| run.number).collect();
    }
    let small = of(active).filter(|run| run.records <= table_limit / SMALL_RUNS as u64);
    let small: Vec<u64> = small.map(|run| run.number).collect();
    if small.len() >= SMALL_RUNS { small } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(list: &[(u64, u64, u64)]) -> Vec<RunInfo> {
        let run = |&(number, generation, records)| RunInfo { number, generation, records };
        list.iter().map(run).collect()
    }

    #[test]
    fn the_youngest_ended_generation_is_merged_whole() {
        let runs = runs(&[(1, 1, 9), (2, 1, 9), (3, 2, 9), (4, 2, 9), (5, 3, 9), (6, 3, 9)]);
        assert_eq!(plan_merge(&runs, 3, 10), [3, 4]);
        assert_eq!(plan_merge(&runs, 4, 10), [5, 6]);
        assert_eq!(plan_merge(&runs[..1], 4, 10), [0; 0]);
    }

    #[test]
    fn only_many_small_runs_of_a_growing_generation_are_merged() {
        let mut list: Vec<_> = (1..=7).map(|n| (n, 1, 10)).collect();
        list.push((8, 1, 90));
        assert!(plan_merge(&runs(&list), 1, 100).is_empty());
        list.push((9, 1, 12));
        assert_eq!(plan_merge(&runs(&list), 1, 100), [1, 2, 3, 4, 5, 6, 7, 9]);
    }
}

//! The bugs that are planted in this build.

/// Name, and trap with the guard that is left out, of every bug that `FIRSTSEEN_PLANTED` can wake. None in
/// a build without `--cfg planted`.
#[must_use]
pub fn planted() -> Vec<(&'static str, &'static str)> {
    #[cfg(planted)]
    let bugs = crate::planted::Bug::ALL.iter().map(|bug| (bug.name(), bug.trap())).collect();
    #[cfg(not(planted))]
    let bugs = Vec::new();
    bugs
}

//! Asking for cache lines before they are read.

/// Ids of a batch.
pub(crate) const BATCH: usize = 1024;

/// How far ahead cache lines are asked for, in ids.
pub(crate) const AHEAD: usize = 64;

/// `visit` for each item in order, `prefetch` for each item that is `AHEAD` further on.
#[inline(always)]
pub(crate) fn rolling<T: Copy>(items: &[T], prefetch: impl Fn(T), mut visit: impl FnMut(T)) {
    let (first, later) = items.split_at(items.len().min(AHEAD));
    first.iter().for_each(|&item| prefetch(item));
    for (&item, &ahead) in items.iter().zip(later) {
        prefetch(ahead);
        visit(item);
    }
    items[later.len()..].iter().for_each(|&item| visit(item));
}

//! How engines without expiry forget: there are two trees. An id is looked up in both and written into the younger,
//! until that has a window of ids; then the older is emptied and becomes the younger. So nothing is removed singly,
//! and an id is known for one window to two. With a tree for each half of a window, three of them, LMDB and fjall were a
//! tenth slower.

use std::cell::Cell;

/// How many trees there are.
pub(super) const TREES: usize = 2;

/// The trees, whose roles go round.
pub(super) struct Generations<T> {
    trees: Vec<T>,
    /// Ids in a window.
    window: usize,
    /// How many windows are full.
    full: Cell<usize>,
    /// How many ids had come when the younger tree's window began.
    began: Cell<usize>,
}

impl<T> Generations<T> {
    pub(super) fn new<E>(
        window: usize,
        make: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<Generations<T>, E> {
        let trees = (0..TREES).map(make).collect::<Result<_, E>>()?;
        Ok(Generations { trees, window, full: Cell::new(0), began: Cell::new(0) })
    }

    pub(super) fn all(&self) -> &[T] {
        &self.trees
    }

    pub(super) fn younger(&self) -> &T {
        &self.trees[self.full.get() % TREES]
    }

    /// Has the trees change roles if with `inserted` ids in all the younger is full. Returned are the one that is to be
    /// emptied, and the one that is full. It is with the end of a batch that it is full, so it has a window of ids or
    /// some more.
    pub(super) fn advance(&self, inserted: usize) -> Option<(&T, &T)> {
        if inserted - self.began.get() < self.window {
            return None;
        }
        let full = self.younger();
        self.began.set(inserted);
        self.full.set(self.full.get() + 1);
        Some((self.younger(), full))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn an_id_is_known_for_one_window_to_two() {
        const WINDOW: usize = 100;
        for batch in [1, 7, 99, 100, 101, 250] {
            let empty = |_| Ok::<_, Infallible>(RefCell::new(Vec::new()));
            let generations = Generations::new(WINDOW, empty).unwrap();
            for first in (0..2_000).step_by(batch) {
                let next = first + batch;
                generations.younger().borrow_mut().extend(first..next);
                if let Some((older, _)) = generations.advance(next) {
                    older.borrow_mut().clear();
                }
                let trees = generations.all().iter();
                let known: Vec<usize> = trees.flat_map(|tree| tree.borrow().clone()).collect();
                let from = next.saturating_sub(WINDOW);
                assert!((from..next).all(|id| known.contains(&id)), "batches of {batch}");
                let most = TREES * (WINDOW + batch);
                assert!(known.iter().all(|id| id + most >= next), "batches of {batch}");
            }
        }
    }
}

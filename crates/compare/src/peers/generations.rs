//! How engines without expiry forget: each part of the window has a tree of its own. An id is looked up in all of
//! them and written into the youngest; what is too old goes with its whole tree.

use std::cell::Cell;

/// Into how many parts a window is divided. More would keep less of what is past, and have more trees be asked.
const PARTS: usize = 2;

/// One more than that: an id is remembered for a window wherever in its part it came.
const KEPT: usize = PARTS + 1;

/// The trees, whose roles go round.
pub(super) struct Generations<T> {
    trees: Vec<T>,
    /// Ids in a part.
    span: usize,
    /// How many parts are full.
    full: Cell<usize>,
}

impl<T> Generations<T> {
    pub(super) fn new<E>(
        window: usize,
        make: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<Self, E> {
        let trees = (0..KEPT).map(make).collect::<Result<_, E>>()?;
        Ok(Generations { trees, span: window.div_ceil(PARTS).max(1), full: Cell::new(0) })
    }

    /// How many trees there are.
    pub(super) const fn count() -> usize {
        KEPT
    }

    pub(super) fn all(&self) -> &[T] {
        &self.trees
    }

    pub(super) fn youngest(&self) -> &T {
        &self.trees[self.full.get() % KEPT]
    }

    /// Has `empty` clear the oldest tree, which becomes the youngest, if with so many ids the part is full. A batch
    /// is far smaller than a part, or some ids are kept for longer.
    pub(super) fn advance<E>(
        &self,
        inserted: usize,
        empty: impl FnOnce(&T) -> Result<(), E>,
    ) -> Result<(), E> {
        if inserted / self.span > self.full.get() {
            self.full.set(self.full.get() + 1);
            empty(self.youngest())?;
        }
        Ok(())
    }
}

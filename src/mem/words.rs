//! A zeroed array of atomic words, as large as a window needs.
//!
//! The memory is anonymous, mapped and not allocated: it is zero without being written, so it costs
//! nothing until touched, and running out of it is an error and not an abort. Large arrays start on
//! a huge page and ask for huge pages: a random access then misses the cache and not the TLB as well.
#![cfg_attr(not(any(loom, miri)), allow(unsafe_code))]

use std::fmt;
use std::io;
use std::ops::Deref;

use crate::sync::AtomicU64;

/// A fixed number of words, all zero at first, the first of them at the start of a cache line.
///
/// Under loom and Miri the words come from the heap, with the alignment that it gives.
pub struct Words {
    storage: storage::Storage,
}

impl Words {
    /// `len` zeroed words. Fails where the system has no room for them.
    pub fn zeroed(len: usize) -> io::Result<Words> {
        storage::Storage::zeroed(len).map(|storage| Words { storage })
    }

    /// The memory that the words take once all are touched.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<u64>()
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        self.storage.words()
    }
}

/// Kind and length; never the words.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.len())
    }
}

#[cfg(not(any(loom, miri)))]
mod storage {
    use std::io;
    use std::ptr::NonNull;

    use memmap2::MmapMut;

    use crate::sync::AtomicU64;

    /// Size and alignment of a huge page.
    const HUGE: usize = 2 << 20;

    /// Arrays of at least this many bytes start on a huge page; what that skips is never touched.
    const HUGE_FROM: usize = 2 * HUGE;

    pub(super) struct Storage {
        /// Points into `_map` at properly aligned words, which only this value hands out.
        words: NonNull<[AtomicU64]>,
        /// Owns the memory: unmapped when dropped, at the same address until then.
        _map: MmapMut,
    }

    // SAFETY: the pointer is to memory that this value owns, as a `Box<[AtomicU64]>` would.
    unsafe impl Send for Storage {}
    // SAFETY: shared access gives out `&[AtomicU64]` only, which is `Sync`.
    unsafe impl Sync for Storage {}

    impl Storage {
        pub(super) fn zeroed(len: usize) -> io::Result<Storage> {
            let bytes = len.checked_mul(size_of::<u64>()).ok_or(io::ErrorKind::OutOfMemory)?;
            let slack = if bytes >= HUGE_FROM { HUGE } else { 0 };
            let mapped = bytes.checked_add(slack).ok_or(io::ErrorKind::OutOfMemory)?;
            let mut map = MmapMut::map_anon(mapped.max(1))?;
            let start = if slack > 0 { map.as_ptr().align_offset(HUGE) } else { 0 };
            assert!(start <= slack, "the aligned start lies within the slack");
            #[cfg(target_os = "linux")]
            if slack > 0 {
                // A system without huge pages refuses; the memory is as good, only slower.
                let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes);
            }
            // SAFETY: `start <= slack` and `start + bytes <= mapped`, so the result is in the map.
            let first = unsafe { map.as_mut_ptr().add(start) }.cast::<AtomicU64>();
            assert!(first.addr().is_multiple_of(64), "maps start on a page");
            let first = NonNull::new(first).expect("a mapping is never at address zero");
            Ok(Storage { words: NonNull::slice_from_raw_parts(first, len), _map: map })
        }

        #[inline]
        pub(super) fn words(&self) -> &[AtomicU64] {
            // SAFETY: `words` spans `len` aligned words inside `_map`, which lives as long as
            // `self`; anonymous memory starts as zeros, a valid `AtomicU64`; and nothing reaches
            // the memory but through the slices made here, so all access to it is atomic.
            unsafe { self.words.as_ref() }
        }
    }
}

#[cfg(any(loom, miri))]
mod storage {
    use std::io;

    use crate::sync::AtomicU64;

    pub(super) struct Storage(Box<[AtomicU64]>);

    impl Storage {
        pub(super) fn zeroed(len: usize) -> io::Result<Storage> {
            Ok(Storage((0..len).map(|_| AtomicU64::new(0)).collect()))
        }

        pub(super) fn words(&self) -> &[AtomicU64] {
            &self.0
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn words_are_zero_aligned_and_writable_to_both_ends() {
        for len in [0, 1, 8, 511, 513, (4 << 20) / 8, (4 << 20) / 8 + 1] {
            let words = Words::zeroed(len).unwrap();
            assert_eq!(words.len(), len);
            assert_eq!(words.bytes(), len * 8);
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
            for end in [words.first(), words.last()].into_iter().flatten() {
                end.store(7, Ordering::Relaxed);
            }
            if cfg!(not(miri)) {
                let align = if len * 8 >= 4 << 20 { 2 << 20 } else { 64 };
                assert!(words.as_ptr().addr().is_multiple_of(align));
            }
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn too_much_memory_is_an_error() {
        assert!(Words::zeroed(usize::MAX / 16).is_err());
        assert!(Words::zeroed(usize::MAX).is_err());
    }

    #[test]
    fn threads_share_the_words() {
        let words = Words::zeroed(64).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for word in words.iter() {
                        word.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 2));
    }
}

//! Hints that a cache line is needed soon.
//!
//! A hint never faults and never changes what a program computes, so it is safe for any reference.
//! Where the processor has none, and under Miri, it does nothing.
#![allow(unsafe_code)]

/// The line that `place` starts in will be read.
#[inline(always)]
pub fn read<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    to_second_level(place);
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: the instruction has no effect but on caches.
    unsafe {
        let place = std::ptr::from_ref(place);
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) place, options(nostack, preserves_flags, nomem));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = place;
}

/// The line that `place` starts in will be written, or read and then written.
#[inline(always)]
pub fn write<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    to_second_level(place);
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: the instruction has no effect but on caches.
    unsafe {
        let place = std::ptr::from_ref(place);
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) place, options(nostack, preserves_flags, nomem));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = place;
}

/// Fetches into the second level: measured faster than into the first, where a group of lines
/// crowds out what the loop itself works with, and no slower than `prefetchw` for writes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn to_second_level<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: the instruction is part of every x86_64 and has no effect but on caches.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(place).cast()) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn hints_change_nothing() {
        let lines = [[7_u64; 8]; 4];
        for line in &lines {
            super::read(line);
            super::write(line);
        }
        assert_eq!(lines, [[7; 8]; 4]);
    }
}

//! What needs `unsafe` here: the allocator that counts, and taking a descriptor as somebody's own.

#![allow(unsafe_code, reason = "neither has a safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Off while times are taken: what is left is to look at it, the same for all.
static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    if COUNTING.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: all is done by `System`; counting touches no memory but the counter.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Counts from now on, or no longer.
pub(crate) fn count_allocations(on: bool) {
    COUNTING.store(on, Ordering::Relaxed);
}

/// The allocations and reallocations that were counted, of all threads.
pub(crate) fn allocations() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// An end of a library that takes descriptors by number.
pub(crate) fn adopt<T: FromRawFd>(descriptor: OwnedFd) -> T {
    // SAFETY: the descriptor is open and owned, and is given away here. It is a socket of the kind that the caller's library makes itself,
    // whose other end only the same library in the same program holds (`main.rs` makes both).
    unsafe { T::from_raw_fd(descriptor.into_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allocation_more_is_noticed() {
        count_allocations(true);
        let before = allocations();
        drop(std::hint::black_box(Box::new(1)));
        let noticed = allocations() > before;
        count_allocations(false);
        assert!(noticed);
    }
}

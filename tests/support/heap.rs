//! An allocator that counts what the whole process holds. A test file installs it with `#[global_allocator]`.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one hands everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
pub(crate) struct Heap;

impl Heap {
    /// What `work` returns, and the most bytes that were held at one moment of it, beyond those held before.
    pub(crate) fn peak<V>(work: impl FnOnce() -> V) -> (V, usize) {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let value = work();
        (value, PEAK.load(Ordering::Relaxed) - before)
    }

    /// The bytes that are held now.
    pub(crate) fn live() -> usize {
        LIVE.load(Ordering::Relaxed)
    }

    fn add(bytes: usize) {
        PEAK.fetch_max(LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to `System` unchanged; counting touches no allocation.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Heap::add(layout.size());
        // SAFETY: the caller's promises are those that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may be there at one time.
        Heap::add(size);
        // SAFETY: as above.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        moved
    }
}

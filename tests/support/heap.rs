//! An allocator that counts what the whole process holds. A test file installs it with `#[global_allocator]`.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement; this one hands everything on to the system's")]
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(true);
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

    /// Counts from now on, or no longer: where times are taken, what is left is to look whether it counts.
    pub(crate) fn count(on: bool) {
        COUNTING.store(on, Ordering::Relaxed);
    }

    fn add(bytes: usize) {
        if COUNTING.load(Ordering::Relaxed) {
            PEAK.fetch_max(LIVE.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
        }
    }

    fn subtract(bytes: usize) {
        if COUNTING.load(Ordering::Relaxed) {
            LIVE.fetch_sub(bytes, Ordering::Relaxed);
        }
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
        Heap::subtract(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may be there at one time.
        Heap::add(size);
        // SAFETY: as above.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        Heap::subtract(layout.size());
        moved
    }
}

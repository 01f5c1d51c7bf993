//! How much stack the running thread has left. `pthread_getattr_np(3)`

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Where a thread's stack is thought to end when the C library cannot say, below the first caller's frame.
///
/// Chosen, not tuned: small enough for the smallest stack that a Rust thread is given in practice (64 KiB).
const UNKNOWN: usize = 28 * 1024;

/// An address in the caller's frame, give or take a frame.
#[inline(always)]
pub(crate) fn here() -> usize {
    let local = 0_u8;
    std::hint::black_box(&raw const local).addr()
}

/// The lowest address that the running stack may grow to. The stack grows down on every target this library builds on.
///
/// Asked once per thread: for the main thread the C library reads `/proc/self/maps`, so it is asked when a channel is made, before a
/// program forbids itself to open files. Where it cannot be told, and on a stack that is not the thread's own (as coroutine libraries
/// and signal handlers use), 28 KiB are taken to be left.
pub(crate) fn end() -> usize {
    thread_local! {
        static STACK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }
    let here = here();
    let (start, end) = STACK.with(|known| {
        if known.get() == (0, 0) {
            known.set(ask().map_or((0, 0), |stack| (stack.start, stack.end)));
        }
        known.get()
    });
    if (start..end).contains(&here) { start } else { here.saturating_sub(UNKNOWN) }
}

fn ask() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: a plain call; it asks about the calling thread.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: `attributes` has the size that the call fills in when it returns 0.
    if unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut lowest, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the call above returned 0, so `attributes` is initialised; the two out-pointers are valid.
    let stack = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size) };
    // SAFETY: as above.
    let guards = unsafe { libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard) };
    // SAFETY: initialised above, and not used after this.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    // Older C libraries count the guard pages as stack; taking them off where they are not counted costs a page.
    let start = lowest.addr() + guard;
    (stack == 0 && guards == 0 && guard < size).then(|| start..lowest.addr() + size)
}

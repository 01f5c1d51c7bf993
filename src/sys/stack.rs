//! How much stack the running thread has left. `getauxval(3)`, `pthread_getattr_np(3)`

use std::cell::Cell;
use std::mem::{MaybeUninit, size_of};
use std::ops::Range;

/// Where a thread's stack is thought to end when the C library cannot say, below the first caller's frame.
///
/// Chosen, not tuned: small enough for the smallest stack that a Rust thread is given in practice (64 KiB).
const UNKNOWN: usize = 28 * 1024;

/// The most that the main thread's stack is thought to grow to, whatever its limit. Chosen, not tuned.
///
/// The kernel maps nothing else where the limit that held at `exec` lets the stack grow, nor within 1 MiB below (`mmap_base` in
/// `arch/x86/mm/mmap.c`, `stack_guard_gap`), so no guard has to be left. Of a limit that was raised later this much is believed: where addresses are
/// not random 128 MiB are free, and almost always many GiB where they are.
const MOST: usize = 64 << 20;

/// An address in the caller's frame, give or take a frame.
#[inline(always)]
pub(crate) fn here() -> usize {
    let local = 0_u8;
    std::hint::black_box(&raw const local).addr()
}

thread_local! {
    /// Where this thread's stack begins and ends, when it is known.
    static STACK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// The lowest address that the running stack may grow to. The stack grows down on every target this library builds on.
///
/// Asked once per thread, and when a channel is made or adopted at the latest: the program may soon forbid itself the calls. Where it cannot
/// be told, and on a stack that is not the thread's own (as coroutine libraries and signal handlers use), 28 KiB are taken to be left.
#[inline]
pub(crate) fn end() -> usize {
    let here = here();
    let (start, end) = STACK.get();
    if (start..end).contains(&here) { start } else { ask(here) }
}

#[cold]
fn ask(here: usize) -> usize {
    if STACK.get() == (0, 0) {
        STACK.set(main().filter(|stack| stack.contains(&here)).or_else(own).map_or((0, 0), |stack| (stack.start, stack.end)));
    }
    let (start, end) = STACK.get();
    if (start..end).contains(&here) { start } else { here.saturating_sub(UNKNOWN) }
}

/// The stack that the kernel made for the main thread, as far as it may grow by its soft limit. A stack is told by its addresses, not by its
/// thread: a process that another thread forked goes on with that one's.
///
/// The C library would read `/proc/self/maps` for it: 110 µs the first time (Linux 6.18, measured), and a program may have no `/proc`. But on top of
/// the stack stand the path of the program, to which a pointer is at hand, and a word of zeros (`bprm_mm_init` in `fs/exec.c`).
fn main() -> Option<Range<usize>> {
    // SAFETY: a plain call, which answers 0 where it knows nothing.
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) } as usize;
    // SAFETY: as above.
    let page = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
    let top = path.checked_next_multiple_of(page).filter(|top| path != 0 && *top != path)?;
    // SAFETY: not null; the kernel has put the path there, or a dynamic loader that was itself told which program to load. Either way its first
    // page is mapped to the end for as long as the process lives, and nobody writes there.
    let end_of_page = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(path), top - path) };
    // A loader's path has other words above it, and one that goes on in the next page is not looked at.
    if end_of_page.iter().position(|byte| *byte == 0)? + 1 + size_of::<usize>() != end_of_page.len() {
        return None;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to the struct that the call fills in.
    super::check(unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) }).ok()?;
    let limit = usize::try_from(limit.rlim_cur).map_or(MOST, |limit| limit.min(MOST));
    // It grows by whole pages.
    Some(top.checked_sub(limit / page * page)?..top)
}

/// The stack that the C library made, or knows of, for this thread.
fn own() -> Option<Range<usize>> {
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

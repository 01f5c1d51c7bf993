//! A clock that costs less than the standard library's. `clock_gettime(2)`

use super::check;
use std::time::Duration;

/// The monotonic clock as it was at the kernel's last tick: up to 4 ms ago where it ticks 250 times a second, 10 ms at most (`CONFIG_HZ`).
///
/// It is read from memory, without a system call and without the processor's counter: 7 ns where `Instant::now` takes 28 (AMD Zen 3, Linux 6.18,
/// 2026-11-28).
pub(crate) fn ticks() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec. It cannot fail, on any kernel since 2.6.32; if it did, no time would pass.
    let _ = check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) });
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn it_ticks() {
        let (start, watchdog) = (ticks(), Instant::now());
        while ticks() == start {
            assert!(watchdog.elapsed() < Duration::from_secs(10));
        }
        assert!(ticks() > start);
    }
}

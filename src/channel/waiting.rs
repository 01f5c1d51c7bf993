//! How a receive waits: asleep in the kernel, or awake for a moment first.
//!
//! Waking a process that sleeps on another processor takes tens of microseconds, several times what the message itself takes. A receive that
//! looks again and again for about as long as that finds an answer that comes soon without anybody being woken. Where the other side
//! runs on the same processor, or answers late, or the machine is loaded, looking is in the way; so [`Waiting::Adaptive`] goes by what
//! looking has come to before. Knows time and outcomes: no sockets.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How an end waits for a message, where it waits.
///
/// It concerns `recv` and its forms with a deadline, iterators, and calls of a protocol, of this end in this process. It does not concern a
/// [`Select`](crate::select::Select), which waits for many, nor a `send` that waits for room. `docs/performance.md` has what each costs.
///
/// ```
/// use breezeway::{Channel, Waiting};
///
/// let (ours, theirs) = Channel::<u32>::pair()?;
/// let ours = ours.with_waiting(Waiting::Adaptive);
/// # theirs.send(1)?;
/// # ours.recv()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Asleep from the start. The default: it costs the least processor time, whatever the other side does.
    #[default]
    Block,
    /// Awake for up to 50 µs, as long as that finds the message a quarter of the time at least; asleep after that, and from the start
    /// where it does not. Every now and then, at the least every 1,024th wait, it is tried again. For ends whose other side answers soon: where it
    /// has a processor of its own, and is not late, a round trip takes a third of the time or less. Its worst case is a peer that answers in just
    /// under 50 µs: that costs all of them in processor time.
    Adaptive,
    /// Awake for up to this long each time, then asleep. For programs that have a processor to spare: the other side must not need it.
    Spin(Duration),
}

/// How long `Adaptive` looks: about what it saves, the waking of a sleeper between two processors (46 to 69 µs, 2 × AMD EPYC, Linux 6.18,
/// 2026-11-22). Whoever looks as long as sleeping would have cost loses at most a factor of two.
const LOOK: Duration = Duration::from_micros(50);
/// Looking took this long without an end: the processor was given to somebody else in between, who waits for it again.
const TAKEN_AWAY: Duration = Duration::from_micros(500);
/// Successes are averaged over about this many waits, in units of which one is `ONE`.
const AVERAGED: u32 = 8;
const ONE: u32 = 1 << 16;
/// Below this average it does not pay.
const WORTH: u32 = ONE / 4;
/// The most waits between two trials. Chosen: a trial that fails costs 50 µs, a thousandth of that is nothing.
const RAREST: u32 = 1024;

/// One end's way of waiting, and what it has learned. One thread receives, so there is no race worth a lock.
#[derive(Debug)]
pub(super) struct Policy {
    /// 0: block; 1: adaptive; above: spin for two nanoseconds less.
    mode: AtomicU64,
    average: AtomicU32,
    /// Waits until the next trial, and from that to the next.
    until: AtomicU32,
    interval: AtomicU32,
}

impl Policy {
    pub(super) const fn new() -> Policy {
        Policy { mode: AtomicU64::new(0), average: AtomicU32::new(ONE), until: AtomicU32::new(0), interval: AtomicU32::new(1) }
    }

    pub(super) fn set(&self, waiting: Waiting) {
        let mode = match waiting {
            Waiting::Block => 0,
            Waiting::Adaptive => 1,
            Waiting::Spin(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_add(2),
        };
        self.mode.store(mode, Ordering::Relaxed);
    }

    /// Whether a wait is anything else than sleep.
    #[inline]
    pub(super) fn blocks(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == 0
    }

    /// Looks again and again, for as long as it pays and there is time; `None` where it is time to sleep. `look` is `None` where there is nothing yet.
    pub(super) fn look<T>(&self, deadline: Option<Instant>, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let time = self.time()?;
        // What is there already has not been waited for, and teaches nothing.
        if let Some(found) = look() {
            return Some(found);
        }
        let start = Instant::now();
        let time = deadline.map_or(time, |deadline| time.min(deadline.saturating_duration_since(start)));
        loop {
            std::hint::spin_loop();
            let found = look();
            let taken = start.elapsed();
            if found.is_some() || taken >= time {
                self.learn(found.is_some() && taken < TAKEN_AWAY.max(time), taken);
                return found;
            }
        }
    }

    /// How long to look this time.
    fn time(&self) -> Option<Duration> {
        match self.mode.load(Ordering::Relaxed) {
            0 => None,
            1 if self.average.load(Ordering::Relaxed) >= WORTH => Some(LOOK),
            1 => match self.until.load(Ordering::Relaxed).checked_sub(1) {
                Some(left) => {
                    self.until.store(left, Ordering::Relaxed);
                    None
                }
                None => Some(LOOK),
            },
            spin => Some(Duration::from_nanos(spin - 2)),
        }
    }

    fn learn(&self, paid: bool, taken: Duration) {
        let average = self.average.load(Ordering::Relaxed);
        let average = average - average / AVERAGED + if paid { ONE / AVERAGED } else { 0 };
        let (average, interval) = match () {
            // Somebody else wants the processor: nothing is gained before he is gone.
            () if taken >= TAKEN_AWAY => (0, RAREST),
            () if paid || average >= WORTH => (average, 0),
            () => (average, (self.interval.load(Ordering::Relaxed) * 2).clamp(1, RAREST)),
        };
        self.average.store(average, Ordering::Relaxed);
        self.interval.store(interval, Ordering::Relaxed);
        self.until.store(interval, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits so often, of which those that are awake find what they wait for, or not; how many were awake. No clock is asked.
    fn waits(policy: &Policy, count: usize, found: bool) -> usize {
        (0..count).filter(|_| policy.time().map(|_| policy.learn(found, Duration::ZERO)).is_some()).count()
    }

    fn adaptive() -> Policy {
        let policy = Policy::new();
        policy.set(Waiting::Adaptive);
        policy
    }

    #[test]
    fn blocking_is_asleep_from_the_start() {
        let policy = Policy::new();
        assert!(policy.blocks());
        assert_eq!(waits(&policy, 10, true), 0);
    }

    #[test]
    fn what_is_there_already_is_no_wait() {
        assert_eq!(adaptive().look(None, || Some(7)), Some(7));
    }

    #[test]
    fn as_long_as_it_pays_every_wait_is_awake() {
        assert_eq!(waits(&adaptive(), 1000, true), 1000);
    }

    #[test]
    fn where_it_does_not_pay_waits_are_asleep_but_for_rare_trials() {
        let policy = adaptive();
        let awake = waits(&policy, 100_000, false);
        // At first as many as the average needs to fall, then at doubling distances, then every 1,024th.
        let most = 2 * AVERAGED as usize + 10 + 100_000 / RAREST as usize;
        assert!(awake > 0);
        assert!(awake <= most, "{awake} of at most {most}");
    }

    #[test]
    fn what_begins_to_pay_is_found_out_by_the_next_trials() {
        let policy = adaptive();
        waits(&policy, 10_000, false);
        waits(&policy, RAREST as usize + 1, true);
        assert!(waits(&policy, 100, true) == 100);
    }

    #[test]
    fn where_somebody_else_wants_the_processor_trials_are_rare_at_once() {
        let policy = adaptive();
        assert!(policy.time().is_some());
        // Found all the same: that is not what counts.
        policy.learn(true, TAKEN_AWAY);
        assert_eq!(waits(&policy, RAREST as usize, true), 0);
        assert_eq!(waits(&policy, 1, true), 1);
    }

    #[test]
    fn a_deadline_ends_the_looking() {
        let policy = Policy::new();
        policy.set(Waiting::Spin(Duration::from_secs(3600)));
        assert_eq!(policy.look(Some(Instant::now()), || None::<()>), None);
    }
}

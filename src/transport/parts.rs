//! The fast road of a message that fits in no packet: it goes as several packets, one behind the other, each a part.
//!
//! Parts of two messages must not mix, so a process sends them only while it has the [`Right`] to: a lock on the socket, which the kernel
//! takes off a process that dies. Who does not get it at once sends in memory; so does who finds that nobody takes the parts, so that a
//! large message needs no receiver at work any more than a small one. A message of which the last part was not sent is one that was never
//! sent: the next one's parts withdraw it. Its descriptors travel with the last part, so that what is withdrawn holds none.

use super::{NotSent, NotTransmitted, Wait, count, transmit};
use crate::packet::Packet;
use crate::sys::{lock, message, poll, socket};
use crate::wire::part::{Place, WITHDRAWN};
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a part. docs/performance.md has what other sizes cost.
const PART: usize = 512 * 1024;
/// Where the kernel has no memory in one piece, it has it for this much, and 16 KiB more (`SKB_MAX_ALLOC`); where a queue does not take several
/// of these, memory is faster.
const SMALL: usize = 64 * 1024;
/// So many parts at least take the send queue, the last of which is left to packets of other kinds.
const QUEUED: usize = 4;

/// How long a receiver may take nothing before the message goes in memory, which nobody has to take at once: about as long as that takes for so
/// many bytes.
fn patience(bytes: usize) -> Duration {
    Duration::from_millis(10 + (bytes >> 20) as u64)
}

/// Sends the parts of `whole`, which is a packet. `None` if it has to go in memory: another process sends parts, or nobody receives them, or
/// the system does not have it.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    Leave { right, wait }: Leave<'_>,
    whole: &[IoSlice<'_>],
    descriptors: &[OwnedFd],
) -> Option<Result<(), NotSent>> {
    let queue = socket::send_buffer(socket).ok()?;
    let part = PART.min(queue / QUEUED);
    if part < SMALL {
        return None;
    }
    let mut message = UnderWay { held: right.take(socket)?, id: new_id(), begun: false, sent: 0, part, queue };
    let result = message.send(whole, descriptors, wait);
    if result.is_none() && message.begun {
        message.withdraw();
    }
    result
}

/// A message of which parts are sent.
struct UnderWay<'a> {
    held: Held<'a>,
    id: u64,
    /// Whether the receiver knows of it.
    begun: bool,
    /// Bytes sent.
    sent: usize,
    /// Bytes of a part.
    part: usize,
    queue: usize,
}

impl UnderWay<'_> {
    fn send(&mut self, whole: &[IoSlice<'_>], descriptors: &[OwnedFd], wait: Wait) -> Option<Result<(), NotSent>> {
        let (socket, total) = (self.held.socket, whole.iter().map(|part| part.len()).sum::<usize>());
        loop {
            // The first has no bytes: the receiver makes room, into which the others go without a copy.
            let bytes = if self.begun { self.part.min(total - self.sent) } else { 0 };
            let is_last = self.sent + bytes == total;
            let descriptors = if is_last { descriptors } else { &[] };
            let head = Place { id: self.id, offset: self.sent as u64 }.encode(count(descriptors.len()), total as u64);
            let mut parts = [IoSlice::new(&[]); 4 + Packet::MAX_BLOBS];
            let [first, rest @ ..] = &mut parts;
            *first = IoSlice::new(&head);
            let filled = 1 + gather(whole, self.sent, bytes, rest);
            let parts = parts.split_at(filled).0;
            let attempt = || transmit(socket, parts, descriptors, Wait::Not);
            match if self.has_room(bytes)? { self.held.step(attempt)? } else { Err(NotSent::Full.into()) } {
                Ok(()) if is_last => return Some(Ok(())),
                Ok(()) => (self.begun, self.sent) = (true, self.sent + bytes),
                Err(NotTransmitted::For(NotSent::Full)) => {
                    let until = Wait::Until(Instant::now() + patience(total)).until_at_most(wait.deadline());
                    // What is ready and has no room is broken, and would be ready for ever.
                    if wait.is_over() || !until.ready(socket, poll::Interest::Write).ok()? || !self.has_room(bytes)? {
                        return None;
                    }
                }
                Err(NotTransmitted::For(reason)) => return Some(Err(reason)),
                Err(NotTransmitted::Refused(error)) if error.raw_os_error() == Some(message::ENOBUFS) && self.part > SMALL => {
                    self.part = SMALL;
                }
                // The other road may be open, or says what is wrong.
                Err(NotTransmitted::Refused(_)) => return None,
            }
        }
    }

    /// Whether a part of so many bytes leaves room for a packet in memory, should it come to that.
    fn has_room(&self, bytes: usize) -> Option<bool> {
        Some(socket::unreceived(self.held.socket).ok()? + bytes <= self.queue - self.part)
    }

    /// Tells the receiver that no more parts will come, so that it need not keep what it has. If that cannot be sent now, the next message in
    /// parts tells it.
    fn withdraw(&self) {
        let head = Place { id: self.id, offset: WITHDRAWN }.encode(0, 0);
        let _ = transmit::<OwnedFd>(self.held.socket, &[IoSlice::new(&head)], &[], Wait::Not);
    }
}

/// The slices of `whole` from a byte on, so many bytes of them.
fn gather<'p>(whole: &'p [IoSlice<'_>], mut from: usize, mut bytes: usize, slots: &mut [IoSlice<'p>]) -> usize {
    let pieces = whole.iter().filter_map(|part| {
        let (_, there) = part.split_at(from.min(part.len()));
        from -= part.len() - there.len();
        let (piece, _) = there.split_at(bytes.min(there.len()));
        bytes -= piece.len();
        (!piece.is_empty()).then_some(IoSlice::new(piece))
    });
    slots.iter_mut().zip(pieces).map(|(slot, piece)| *slot = piece).count()
}

/// What no other message on the same socket is called. A process that has forked and its child do not agree on the next.
fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one((std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Whether this end may send parts.
///
/// The lock behind it is the process's, and is gone when any descriptor of the socket is closed here. So only an end has the right that is the
/// socket's only descriptor in this process as far as this library makes them, and it forgoes it before it is duplicated. Another one can still come, in a message
/// from a fork that has the end too, or by hand (`AsFd`). Where that is closed while a message is being sent, the next part takes the lock
/// again, or finds that another process has it. Only who takes the lock and gives it back between two parts withdraws the message
/// unnoticed; its receiver gets a fault.
#[derive(Debug)]
pub(crate) struct Right {
    granted: Mutex<bool>,
    taken: AtomicBool,
}

impl Right {
    pub(crate) const fn new(granted: bool) -> Right {
        Right { granted: Mutex::new(granted), taken: AtomicBool::new(false) }
    }

    pub(crate) fn grant(&self) {
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Gives it up for good. When this returns, no part is sent any more, and a message that is under way goes in memory.
    pub(crate) fn forgo(&self) {
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// What a send needs to send parts, which may wait for each other so long.
    pub(crate) fn leave(&self, wait: Wait) -> Leave<'_> {
        Leave { right: self, wait }
    }

    /// Takes it, if nobody else in this process has it. Whether another process has it, each step finds.
    fn take<'a>(&'a self, socket: BorrowedFd<'a>) -> Option<Held<'a>> {
        if !*self.granted.lock().unwrap_or_else(PoisonError::into_inner) || self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(Held { right: self, socket })
    }
}

/// A right, and the time that the whole send has: one attempt of it may have none, where what is waited for is more than the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leave<'a> {
    right: &'a Right,
    wait: Wait,
}

/// The right, taken.
struct Held<'a> {
    right: &'a Right,
    socket: BorrowedFd<'a>,
}

impl Held<'_> {
    /// Does something for which the right is needed, and which does not wait; `None` if it has been given up meanwhile, or another process
    /// has it.
    fn step<V>(&self, work: impl FnOnce() -> V) -> Option<V> {
        let granted = self.right.granted.lock().unwrap_or_else(PoisonError::into_inner);
        (*granted && lock::try_lock(self.socket).is_ok_and(|locked| locked)).then(work)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = lock::unlock(self.socket);
        self.right.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_packet_are_its_bytes_in_order() {
        let whole = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body"), IoSlice::new(b"blob")];
        let piece = |from, bytes| {
            let mut slots = [IoSlice::new(&[]); 4];
            let filled = gather(&whole, from, bytes, &mut slots);
            slots.split_at(filled).0.iter().map(|slot| std::str::from_utf8(slot).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(piece(0, 12), ["head", "body", "blob"]);
        assert_eq!(piece(3, 6), ["d", "body", "b"]);
        assert_eq!(piece(4, 2), ["bo"]);
        assert_eq!(piece(11, 9), ["b"]);
        assert_eq!(piece(5, 0), [""; 0]);
    }
}

//! Byte buffers that a thread uses again and again.
//!
//! Each thread keeps one spare buffer, with room for any packet, and one that fits what it lately received, so that slices of it pin little else.
//! A buffer that is dropped becomes one of the two, unless it is very large; of those that very large messages arrived in, the process keeps the last. So a thread that sends and receives allocates once,
//! an idle channel holds no buffer at all, and nesting (a `Serialize` that sends) costs an allocation and nothing worse. Bytes of an
//! earlier message are never visible: a buffer is as long as what was written into it, whatever its capacity.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::mem;
use std::sync::{Mutex, PoisonError};

thread_local! {
    static KEPT: Kept = const { Kept { spare: Cell::new(Vec::new()), fitting: Cell::new(Vec::new()) } };
}

struct Kept {
    spare: Cell<Vec<u8>>,
    fitting: Cell<Vec<u8>>,
}

/// Where in a page the bytes of a large buffer start.
///
/// The copy loop of the kernel and of the C library is up to 15 times slower when the target lies 1 to 28 bytes past the source,
/// modulo 4,096 (AMD Zen 3, 2026-11-22). Kernel pages start at 0 and `malloc` gives large blocks offset 16, which is that case; 64 never is.
const PAGE_OFFSET: usize = 64;
const PAGE: usize = 4096;
/// Below this a buffer is not worth a page of padding.
const LARGE: usize = 8 * 1024;

/// A thread gives a larger buffer back to the system: room for the body of any packet, grown by doubling.
const LARGEST: usize = 9 << 20;

/// The last of the process's buffers for very large messages: pages that are there already are what makes receiving one fast.
static LAST_LARGE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// A larger one is given back to the system: room for a message of the default limit.
const LARGE_KEPT: usize = (64 << 20) + 2 * PAGE;

/// A growing string of bytes.
pub(crate) struct Buffer {
    /// The first `start` bytes are padding.
    bytes: Vec<u8>,
    start: usize,
    /// Whether it is one for a very large message.
    large: bool,
}

impl Buffer {
    /// An empty buffer: the thread's spare one, or a new one.
    #[inline]
    pub(crate) fn new() -> Buffer {
        // A thread that is ending has no spare any more.
        Buffer::empty(KEPT.try_with(|kept| kept.spare.take()).unwrap_or_default())
    }

    /// Two empty buffers: one that fits what this thread lately received (without room where there is none), and one with room for `room` bytes,
    /// which are not touched before they are written.
    #[inline]
    pub(crate) fn two(room: usize) -> Result<(Buffer, Buffer), TryReserveError> {
        let (fitting, spare) = KEPT.try_with(|kept| (kept.fitting.take(), kept.spare.take())).unwrap_or_default();
        Ok((Buffer::empty(fitting), Buffer::empty(spare).or_with_room(room)?))
    }

    /// The same, or another one with room for `room` bytes.
    #[inline]
    pub(crate) fn or_with_room(self, room: usize) -> Result<Buffer, TryReserveError> {
        if self.bytes.capacity() - self.start >= room { Ok(self) } else { Buffer::made(room) }
    }

    /// A new one with room for `room` bytes.
    #[cold]
    fn made(room: usize) -> Result<Buffer, TryReserveError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room.saturating_add(PAGE))?;
        Ok(Buffer::empty(bytes))
    }

    /// An empty buffer with room for `room` bytes, more than a thread keeps, and for at most twice as many: what is kept of it keeps little else.
    pub(crate) fn large(room: usize) -> Result<Buffer, TryReserveError> {
        let room = room.max(LARGEST).saturating_add(PAGE);
        let mut bytes = mem::take(&mut *LAST_LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        if !(room..room.saturating_mul(2)).contains(&bytes.capacity()) {
            bytes = Vec::new();
            bytes.try_reserve_exact(room)?;
        }
        let mut buffer = Buffer::empty(bytes);
        buffer.large = true;
        Ok(buffer)
    }

    /// The parts, in a buffer that fits them.
    pub(crate) fn holding(parts: [&[u8]; 3]) -> Result<Buffer, TryReserveError> {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut buffer = Buffer::made(len)?;
        parts.into_iter().for_each(|part| buffer.extend(part));
        Ok(buffer)
    }

    /// An empty buffer of its own, which leaves the thread its spare one: for what is kept.
    pub(crate) fn own() -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, large: false }
    }

    #[inline]
    fn empty(mut bytes: Vec<u8>) -> Buffer {
        let past = bytes.as_ptr().addr() % PAGE;
        let start = if bytes.capacity() < LARGE { 0 } else { (PAGE + PAGE_OFFSET - past) % PAGE };
        // One that was used before is padded already.
        if bytes.len() != start {
            bytes.resize(start, 0);
        }
        Buffer { bytes, start, large: false }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The bytes of memory that it takes.
    pub(crate) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start.saturating_add(len));
    }

    /// Writes over bytes that are there.
    #[inline]
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let there = self.bytes.get_mut(self.start.saturating_add(at)..).and_then(|behind| behind.get_mut(..bytes.len()));
        if let Some(there) = there {
            there.copy_from_slice(bytes);
        }
    }

    /// Takes the first bytes out; what is behind them moves to the front.
    pub(crate) fn remove_front(&mut self, count: usize) {
        self.bytes.drain(self.start..self.start.saturating_add(count).min(self.bytes.len()));
    }

    /// Leaves the first bytes out, and moves nothing.
    pub(crate) fn skip(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
    }

    /// The vector behind it, for a call that appends within the spare capacity.
    pub(crate) fn spare(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        if self.large && bytes.capacity() <= LARGE_KEPT {
            bytes.clear();
            *LAST_LARGE.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
            return;
        }
        if bytes.capacity() == 0 || bytes.capacity() > LARGEST {
            return;
        }
        bytes.truncate(self.start);
        // A thread that is ending keeps none.
        let _ = KEPT.try_with(|kept| {
            // Of two, the larger one is the spare. The other fits what came last, whatever came before it.
            let before = kept.spare.take();
            let (larger, other) = if before.capacity() < bytes.capacity() { (bytes, before) } else { (before, bytes) };
            kept.spare.set(larger);
            if other.capacity() > 0 {
                kept.fitting.set(other);
            }
        });
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting() -> Buffer {
        Buffer::empty(KEPT.with(|kept| kept.fitting.take()))
    }

    fn with_room(room: usize) -> Result<Buffer, TryReserveError> {
        Buffer::new().or_with_room(room)
    }

    #[test]
    fn a_buffer_used_again_shows_nothing_of_what_it_held() {
        let mut buffer = Buffer::new();
        buffer.extend(b"secret");
        let address = buffer.as_slice().as_ptr();
        drop(buffer);
        let again = Buffer::new();
        assert_eq!(again.bytes.as_ptr(), address, "the spare buffer is used again");
        assert_eq!(again.as_slice(), b"");
    }

    #[test]
    fn the_larger_of_two_buffers_is_the_spare_and_the_last_of_the_others_fits() {
        assert_eq!(fitting().room(), 0);
        let (large, small) = (with_room(1 << 20).unwrap(), Buffer::holding([b"a small ", b"message", b""]).unwrap());
        assert_eq!(small.as_slice(), b"a small message");
        let (rooms, address) = ((large.room(), small.room()), small.as_slice().as_ptr());
        // In either order.
        drop(small);
        drop(large);
        let (large, small) = (Buffer::new(), fitting());
        assert_eq!((large.room(), small.room()), rooms);
        drop(large);
        drop(small);
        assert_eq!(fitting().as_slice().as_ptr(), address, "again, and without what it held");
        let other = Buffer::holding([&[7; 10_000], &[], &[]]).unwrap();
        let room = other.room();
        drop(other);
        assert_eq!(fitting().room(), room);
        assert_eq!(fitting().room(), room, "until another comes");
    }

    #[test]
    fn a_large_buffer_starts_at_its_page_offset_and_stays_there() {
        for _ in 0..3 {
            let mut buffer = with_room(1 << 20).unwrap();
            buffer.extend(&[7; 1 << 20]);
            assert_eq!(buffer.as_slice().as_ptr().addr() % PAGE, PAGE_OFFSET);
            assert_eq!((buffer.len(), buffer.as_slice().len()), (1 << 20, 1 << 20));
        }
    }

    #[test]
    fn the_front_of_a_buffer_can_be_left_out_and_taken_out() {
        let mut buffer = with_room(1 << 20).unwrap();
        buffer.extend(b"12345");
        buffer.overwrite(1, b"xy");
        assert_eq!(buffer.as_slice(), b"1xy45");
        buffer.skip(2);
        assert_eq!((buffer.as_slice(), buffer.len()), (b"y45".as_slice(), 3));
        buffer.remove_front(1);
        assert_eq!(buffer.as_slice(), b"45");
        buffer.truncate(1);
        buffer.overwrite(1, b"beyond");
        assert_eq!(buffer.as_slice(), b"4");
        buffer.skip(7);
        assert_eq!(buffer.as_slice(), b"");
        drop(buffer);
        let again = Buffer::new();
        assert_eq!((again.as_slice(), again.as_slice().as_ptr().addr() % PAGE), (b"".as_slice(), PAGE_OFFSET));
    }

    #[test]
    fn a_buffer_larger_than_any_packet_is_not_kept() {
        let mut large = Buffer::new();
        large.extend(&vec![7; LARGEST + 1]);
        drop(large);
        assert_eq!(Buffer::new().bytes.capacity(), 0);
        drop(with_room(LARGEST / 2).unwrap());
        assert!(Buffer::new().bytes.capacity() >= LARGEST / 2, "a smaller one is");
    }

    #[test]
    fn a_buffer_for_a_very_large_message_is_used_again_for_one_that_fits_it() {
        let address = |buffer: &Buffer| buffer.as_slice().as_ptr();
        let mut first = Buffer::large(20 << 20).unwrap();
        first.extend(b"secret");
        let there = address(&first);
        std::thread::spawn(|| drop(first)).join().unwrap();
        let again = Buffer::large(15 << 20).unwrap();
        assert_eq!((address(&again), again.as_slice()), (there, b"".as_slice()));
        let other = Buffer::large(15 << 20).unwrap();
        assert_ne!(address(&other), there, "there is one");
        drop(again);
        let small = Buffer::large(5 << 20).unwrap();
        assert!(small.room() <= 10 << 20, "it would keep four times as much");
        assert_eq!(address(&small).addr() % PAGE, PAGE_OFFSET);
        drop(Buffer::large(LARGE_KEPT + PAGE).unwrap());
        assert!(LAST_LARGE.lock().unwrap().capacity() < LARGE_KEPT, "more than that is not kept");
    }

    #[test]
    fn a_room_that_no_machine_has_is_an_error() {
        assert!(with_room(usize::MAX).is_err());
        assert!(Buffer::large(usize::MAX).is_err());
    }
}

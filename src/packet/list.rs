//! Lists of what travels beside a body, in memory that a thread uses again and again, as it does [`Buffer`](super::Buffer)s.
//!
//! A list that stays empty touches nothing. The capacity kept is that of the longest list: 64 blobs, and what `Limits` allows of descriptors,
//! 256 KiB of them at most.

use bytes::Bytes;
use std::cell::Cell;
use std::mem;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::thread::LocalKey;

/// What can be listed: each type has its spare list.
pub(crate) trait Spare: Sized + 'static {
    const SPARE: &'static LocalKey<Cell<Vec<Self>>>;
}

thread_local! {
    static DESCRIPTORS: Cell<Vec<OwnedFd>> = const { Cell::new(Vec::new()) };
    static BLOBS: Cell<Vec<Bytes>> = const { Cell::new(Vec::new()) };
}

impl Spare for OwnedFd {
    const SPARE: &'static LocalKey<Cell<Vec<OwnedFd>>> = &DESCRIPTORS;
}

impl Spare for Bytes {
    const SPARE: &'static LocalKey<Cell<Vec<Bytes>>> = &BLOBS;
}

/// Descriptors, or blobs.
#[derive(Debug)]
pub(crate) struct List<T: Spare>(Vec<T>);

impl<T: Spare> List<T> {
    #[inline]
    pub(crate) const fn new() -> List<T> {
        List(Vec::new())
    }

    pub(crate) fn push(&mut self, value: T) {
        self.extend([value]);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Puts others where the first one was.
    pub(crate) fn replace_first(&mut self, mut with: List<T>) {
        drop(self.0.splice(..self.0.len().min(1), with.0.drain(..)));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The elements, for good.
    pub(crate) fn into_vec(mut self) -> Vec<T> {
        mem::take(&mut self.0)
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.0
    }

    #[cold]
    fn keep(&mut self) {
        self.0.clear();
        // A thread that is ending has no spare any more.
        let _ = T::SPARE.try_with(|spare| spare.set(mem::take(&mut self.0)));
    }
}

impl<T: Spare> Default for List<T> {
    fn default() -> List<T> {
        List::new()
    }
}

impl<T: Spare> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        if self.0.capacity() == 0 {
            self.0 = T::SPARE.try_with(Cell::take).unwrap_or_default();
        }
        self.0.extend(values);
    }
}

impl<T: Spare> Deref for List<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Spare> Drop for List<T> {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() > 0 {
            self.keep();
        }
    }
}

/// A list of which each element is taken once.
#[derive(Debug)]
pub(crate) struct Slots<T: Spare>(Vec<Option<T>>);

impl<T: Spare> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots(Vec::new())
    }
}

impl<T: Spare> Slots<T> {
    /// `None` where there is no such element; `Some(None)` where it has been taken.
    pub(crate) fn take(&mut self, index: u32) -> Option<Option<T>> {
        Some(self.0.get_mut(usize::try_from(index).ok()?)?.take())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes all that have not been taken.
    #[inline]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.0.drain(..).flatten()
    }

    /// How many have not been taken.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

/// Both ways the memory stays the same: an `Option` of a descriptor or of `Bytes` is no larger, and std collects in place
/// (`tests/counts.rs` would notice if it did not).
impl<T: Spare> From<List<T>> for Slots<T> {
    #[inline]
    fn from(mut list: List<T>) -> Slots<T> {
        let values = mem::take(&mut list.0);
        Slots(if values.capacity() == 0 { Vec::new() } else { values.into_iter().map(Some).collect() })
    }
}

impl<T: Spare> Drop for Slots<T> {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() > 0 {
            self.0.clear();
            // Nothing is left to map; it is the memory that is wanted.
            List(mem::take(&mut self.0).into_iter().map_while(|slot| slot).collect()).keep();
        }
    }
}

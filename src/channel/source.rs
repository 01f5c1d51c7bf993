//! What can be waited for together with others, and how an end leaves those who wait for it.
//!
//! Whoever waits for an end does not keep it open. So the end knows where it is registered, and leaves there before its socket is
//! closed or given away: `EPOLL_CTL_DEL` must come before `close`. It also leaves when its user has been told `Closed`. Sending and
//! receiving messages does not look at any of this.

use super::{Channel, End, Receiver};
use std::sync::{Mutex, PoisonError, Weak};

/// What can be added to a [`Select`](crate::select::Select): a [`Receiver`], a [`Channel`] or a [`Child`](crate::process::Child).
pub trait Source: Sealed {}

/// Keeps `Source` to the ends of this library.
pub trait Sealed {
    /// What is waited for.
    #[doc(hidden)]
    fn waitable(&self) -> Waitable<'_>;
}

/// An end, seen by those who wait for it.
pub struct Waitable<'a>(pub(crate) &'a End);

impl<T> Source for Receiver<T> {}
impl<T> Sealed for Receiver<T> {
    fn waitable(&self) -> Waitable<'_> {
        Waitable(self.end())
    }
}

impl<S, R> Source for Channel<S, R> {}
impl<S, R> Sealed for Channel<S, R> {
    fn waitable(&self) -> Waitable<'_> {
        Waitable(self.end())
    }
}

/// Where ends are registered, each under a number that is never used twice.
pub(crate) trait Registry: Send + Sync {
    /// Forgets what has this number, whose descriptors are open until this returns. Does nothing if it has been forgotten already, or
    /// in a fork of the process where it was registered: there it is the parent's.
    fn forget(&self, token: u64);

    /// What has this number holds messages that the kernel does not know of, or holds none any more. In a fork it does nothing either.
    fn holds(&self, token: u64, some: bool);
}

/// Where an end is registered: nowhere, mostly.
#[derive(Debug, Default)]
pub(crate) struct Registered(Mutex<Vec<(Weak<dyn Registry>, u64)>>);

impl Registered {
    /// Tells everybody whether the end holds messages.
    pub(super) fn tell(&self, some: bool) {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.iter().filter_map(|(registry, token)| Some((registry.upgrade()?, *token)));
        known.for_each(|(registry, token)| registry.holds(token, some));
    }

    /// Remembers a place. It is one at most per registry.
    pub(crate) fn enter(&self, registry: Weak<dyn Registry>, token: u64) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it has been and is no longer.
        places.retain(|(place, _)| place.strong_count() > 0 && !std::ptr::addr_eq(place.as_ptr(), registry.as_ptr()));
        places.push((registry, token));
    }

    /// Leaves everywhere.
    #[cold]
    pub(super) fn leave(&self) {
        // Not locked meanwhile: a registry that goes with this may hold anything.
        let places = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        places
            .iter()
            .filter_map(|(registry, token)| Some((registry.upgrade()?, token)))
            .for_each(|(registry, token)| registry.forget(*token));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.leave();
    }
}

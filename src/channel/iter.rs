//! Messages as iterators. Items are `Result`s: a bad message is an item, and only the end of the channel ends the iteration.

use super::end::{End, OneReader};
use super::{Channel, Receiver};
use crate::error::Fault;
use crate::limits::Limits;
use crate::transport::{NotReceived, Wait};
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

fn next<T: DeserializeOwned>(end: &End, limits: &Limits, wait: Wait) -> Option<Result<T, Fault>> {
    match end.receive(limits, wait) {
        Ok(message) => Some(Ok(message)),
        Err(NotReceived::Fault(fault)) => Some(Err(*fault)),
        Err(NotReceived::Empty | NotReceived::Closed) => None,
    }
}

macro_rules! iterators {
    ($($(#[$doc:meta])* $name:ident: $wait:ident;)+) => {$(
        $(#[$doc])*
        #[must_use = "iterators do nothing until they are asked for an item"]
        pub struct $name<'a, T> {
            end: &'a End,
            limits: Limits,
            /// As little `Send` as a reference to the end itself.
            messages: PhantomData<(fn() -> T, &'a OneReader)>,
        }

        impl<'a, T> $name<'a, T> {
            pub(super) fn new(end: &'a End, limits: Limits) -> Self {
                $name { end, limits, messages: PhantomData }
            }
        }

        impl<T: DeserializeOwned> Iterator for $name<'_, T> {
            type Item = Result<T, Fault>;

            fn next(&mut self) -> Option<Self::Item> {
                next(self.end, &self.limits, Wait::$wait)
            }
        }

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}

iterators! {
    /// Messages of an end, waiting for each, until the channel ends: made by `iter`.
    Iter: Forever;
    /// Messages of an end that are there now: made by `try_iter`.
    TryIter: Not;
}

/// Messages of a receiver that is used up: made by `into_iter`.
#[must_use = "iterators do nothing until they are asked for an item"]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("receiver", &self.receiver).finish()
    }
}

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = Result<T, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.iter().next()
    }
}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = Result<T, Fault>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, Fault>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, S, R: DeserializeOwned> IntoIterator for &'a Channel<S, R> {
    type Item = Result<R, Fault>;
    type IntoIter = Iter<'a, R>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

//! What a wait has found.

use super::Token;
use crate::sys::epoll::MOST;
use std::fmt;
use std::iter::Copied;
use std::slice;

/// The members that are ready, 64 at most, and 64 more that hold messages of a batch: if more are, the next wait reports others first.
///
/// It is empty when the time was over, or when only a [`Waker`](super::Waker) called. Nothing is allocated for it.
#[derive(Clone)]
#[must_use = "what is ready is in here"]
pub struct Ready {
    /// As many as the kernel tells, and as many that hold messages of which it does not know.
    tokens: [Token; 2 * MOST],
    count: usize,
    woken: bool,
}

impl Ready {
    pub(super) fn nothing() -> Ready {
        Ready { tokens: [Token(0); 2 * MOST], count: 0, woken: false }
    }

    /// There is room for one token per key that the kernel tells, and as many more.
    pub(super) fn push(&mut self, token: Token) {
        if let Some(free) = self.tokens.get_mut(self.count) {
            *free = token;
            self.count += 1;
        }
    }

    /// Whether there are as many as the kernel tells at most.
    pub(super) fn is_full(&self) -> bool {
        self.count >= MOST
    }

    pub(super) fn set_woken(&mut self) {
        self.woken = true;
    }

    /// Each member that is ready, once.
    #[must_use]
    pub fn as_slice(&self) -> &[Token] {
        self.tokens.split_at(self.count).0
    }

    /// Each member that is ready, once.
    pub fn iter(&self) -> Copied<slice::Iter<'_, Token>> {
        self.as_slice().iter().copied()
    }

    /// Whether this member is ready.
    #[must_use]
    pub fn contains(&self, token: Token) -> bool {
        self.as_slice().contains(&token)
    }

    /// How many members are ready.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a [`Waker`](super::Waker) has called since a wait last said so.
    #[must_use]
    pub fn woken(&self) -> bool {
        self.woken
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("tokens", &self.as_slice()).field("woken", &self.woken).finish()
    }
}

impl<'a> IntoIterator for &'a Ready {
    type Item = Token;
    type IntoIter = Copied<slice::Iter<'a, Token>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The members that are ready: made by `into_iter`.
#[derive(Clone, Debug)]
pub struct IntoIter {
    ready: Ready,
    next: usize,
}

impl Iterator for IntoIter {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let token = self.ready.as_slice().get(self.next).copied();
        self.next += 1;
        token
    }
}

impl IntoIterator for Ready {
    type Item = Token;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { ready: self, next: 0 }
    }
}

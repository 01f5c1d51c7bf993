//! The parent's ends of forked children, so that a later child does not keep an earlier one's channel open.
//!
//! A fork inherits every descriptor. If the second child kept a copy of the parent's end to the first, the first would not learn of the
//! end when the parent drops it. So the ends inside [`Child`](super::Child) handles are listed, and a new child puts a dead socket in the
//! place of each: the number stays owned and open, as the handle's copy in the child's memory believes, and nothing is behind it. What the end
//! has received is dropped too.

use crate::channel::End;
use crate::sys;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

static PARENT_ENDS: Mutex<Vec<Weak<End>>> = Mutex::new(Vec::new());

/// The list, locked. It is locked across a fork, so that the child finds it whole.
pub(super) struct Siblings(MutexGuard<'static, Vec<Weak<End>>>);

impl Siblings {
    pub(super) fn lock() -> Siblings {
        Siblings(PARENT_ENDS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lists the parent's end of a child that has just been forked.
    pub(super) fn add(&mut self, end: Weak<End>) {
        self.0.retain(|end| end.strong_count() > 0);
        self.0.push(end);
    }

    /// Takes an end off the list, because it is somebody's own channel from now on.
    pub(super) fn remove(&mut self, end: &Arc<End>) {
        self.0.retain(|listed| !std::ptr::eq(listed.as_ptr(), Arc::as_ptr(end)));
    }

    /// In a new child: closes them all.
    pub(super) fn close_all(mut self) {
        let ends: Vec<_> = self.0.drain(..).filter_map(|end| end.upgrade()).collect();
        if ends.is_empty() {
            return;
        }
        // The child has just closed what was the parent's of its own channel, so there are free descriptors. If the kernel has no
        // memory for a socket, the ends stay open, which is what a plain fork does.
        if let Ok((dead, peer)) = sys::socket::seqpacket_pair() {
            drop(peer);
            for end in ends {
                end.clear();
                let _ = sys::fd::replace(end.as_fd(), dead.as_fd());
            }
        }
    }
}

//! Ending a wait from elsewhere.

use crate::sys::event;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Ends a wait of its [`Select`](super::Select) from another thread or from a signal handler.
///
/// [`wake`](Waker::wake) is one `write`, never waits, and is remembered: if nobody waits, the next wait ends at once. Calls that come before a
/// wait has looked count as one. Where several threads wait, one of them is woken.
///
/// It holds a descriptor of its own: when the `Select` has gone, waking does nothing. In a fork it wakes the parent.
///
/// **A signal handler may call `wake`**, on a waker that it reaches without a lock, and nothing else of this library: not clone it, nor drop
/// it, nor use a channel. `errno` is left as it was.
///
/// ```
/// use breezeway::select::{Select, Waker};
/// use std::sync::OnceLock;
///
/// static WAKER: OnceLock<Waker> = OnceLock::new();
///
/// // For sigaction(2).
/// extern "C" fn on_signal(_: i32) {
///     if let Some(waker) = WAKER.get() {
///         waker.wake();
///     }
/// }
///
/// let select = Select::new()?;
/// // Set before the handler is.
/// WAKER.get_or_init(|| select.waker());
/// # on_signal(0);
/// assert!(select.wait()?.woken());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn new(eventfd: Arc<OwnedFd>) -> Waker {
        Waker(eventfd)
    }

    /// Ends the wait that is under way, or the next.
    pub fn wake(&self) {
        event::notify(self.0.as_fd());
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("fd", &self.0.as_fd()).finish()
    }
}

//! Waiting for many things at once: ends of channels of different types, children, plain descriptors and deadlines.
//!
//! A [`Select`] says *which* of its members are ready, by a [`Token`] that each was given. What is there is then received from the end
//! itself, with its own type: poll, then `try_recv` until `Empty`; `docs/readiness.md` has that contract for every other poller too.
//! A [`ReceiverSet`] owns receivers of one type and does both.
//!
//! ```
//! use breezeway::{channel, select::Select};
//! use std::time::{Duration, Instant};
//!
//! let (numbers, number) = channel::<u32>()?;
//! let (texts, text) = channel::<String>()?;
//! let select = Select::new()?;
//! let (on_number, on_text) = (select.add(&number)?, select.add(&text)?);
//! let late = select.add_deadline(Instant::now() + Duration::from_secs(60));
//!
//! texts.send("hello".into())?;
//! for token in &select.wait()? {
//!     if token == on_number {
//!         number.try_iter().for_each(|number| println!("{number:?}"));
//!     } else if token == on_text {
//!         assert_eq!(text.try_recv()?, "hello");
//!     } else {
//!         assert_eq!(token, late);
//!     }
//! }
//! # drop(numbers);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! It is one epoll descriptor, an eventfd and a timerfd. It knows ends and descriptors, and no messages. Stands on the channels.

mod members;
mod ready;
mod receivers;
mod waker;

pub use crate::channel::Source;
pub use ready::{IntoIter, Ready};
pub use receivers::{AddError, Received, ReceiverSet, SetError};
pub use waker::Waker;

use crate::channel::{End, Ready as Wanted, Registry};
use crate::error::SystemError;
use crate::sys::epoll::For;
use members::{Members, Until};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A member of a [`Select`]: a number that no other member of any `Select` of this process has, has had or will have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0)
    }
}

/// What a plain descriptor is waited for. That it is broken, or that nobody is at its other end any more, is reported in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// That reading would not wait.
    Readable,
    /// That writing would not wait.
    Writable,
    /// Either.
    Both,
}

/// A set of ends, descriptors and deadlines to wait for.
///
/// **Ends are borrowed for the call that adds them and no longer.** They are used, moved and dropped as if they were members of nothing, and
/// leave by themselves: when they are dropped, become a descriptor, travel in a message, or have told their user `Closed`. So a member
/// whose channel has ended is reported until its user has received everything and then `Closed`, and never again. What is reported is
/// always a member: a descriptor number that was closed and used again reports nothing of what it was before.
///
/// A member is reported as long as it is ready, in every wait: receive until `Empty`. Where many are ready they take turns.
///
/// All methods take `&self`, from any thread, and count for a wait that is under way. Where several threads wait, each thing that happens
/// wakes one of them at least, and more than one may be told of the same member.
///
/// **In a fork of the process that made it, a `Select` is refused** with an error: the kernel would go on sharing it with the parent.
/// Dropping it there does nothing to the parent's. Make another in the child; ends that the child inherited can be added to that.
///
/// Takes three descriptors, and one more for each plain descriptor that is added.
#[derive(Debug)]
pub struct Select {
    members: Arc<Members>,
}

impl Select {
    /// A set without members.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn new() -> Result<Select, SystemError> {
        Ok(Select { members: Arc::new(Members::new()?) })
    }

    /// Adds an end: a [`Receiver`](crate::Receiver), a [`Channel`](crate::Channel) or a [`Child`](crate::process::Child). It is ready when
    /// there is something to receive, and when its channel has ended; that of a child ends with the child, whoever else holds its end.
    ///
    /// Where the kernel has no pidfds (before Linux 5.3), a child's end is ready when its socket is.
    ///
    /// # Errors
    ///
    /// - `AlreadyExists` in `epoll_ctl`: it is a member already.
    /// - `Unsupported`: this is a fork of the process that made the set.
    /// - What else `epoll_ctl` says: no memory, or more members than `/proc/sys/fs/epoll/max_user_watches`.
    pub fn add(&self, source: &impl Source) -> Result<Token, SystemError> {
        self.watch(source.waitable().0, Wanted::READ)
    }

    /// The same of an end that is waited for otherwise than for reading: also, or only, for writing or for its peer to go.
    pub(crate) fn watch(&self, end: &End, wanted: Wanted) -> Result<Token, SystemError> {
        let token = self.members.add_end(end, For::Socket(wanted))?;
        let registry: Weak<Members> = Arc::downgrade(&self.members);
        end.registered().enter(registry, token.0);
        if !end.is_empty() {
            self.members.holds(token, true);
        }
        Ok(token)
    }

    /// Adds a plain descriptor: a listener, a pipe, a terminal, a [`Sender`](crate::Sender) to wait for room, another `Select`.
    ///
    /// A duplicate of it is kept **until it is removed**, so it may be closed here meanwhile, and what it is stays open: a peer that
    /// waits for the end of a pipe waits for the removal.
    ///
    /// # Errors
    ///
    /// - `PermissionDenied` in `epoll_ctl`: it is of a kind that is always ready, such as a file.
    /// - `Unsupported`: this is a fork of the process that made the set.
    /// - What else `fcntl` and `epoll_ctl` say: no descriptor is free, or no memory.
    pub fn add_fd(&self, fd: impl AsFd, interest: Interest) -> Result<Token, SystemError> {
        let what = match interest {
            Interest::Readable => For::Reading,
            Interest::Writable => For::Writing,
            Interest::Both => For::Both,
        };
        self.members.add_fd(fd.as_fd(), what)
    }

    /// Adds a moment. It is reported once, when it has come, and is then no member any more.
    ///
    /// In a fork of the process that made the set the token means nothing.
    pub fn add_deadline(&self, deadline: Instant) -> Token {
        self.members.add_deadline(deadline)
    }

    /// Removes a member; `false` if it is none any more, or never was. Waits that begin from now on do not report it.
    pub fn remove(&self, token: Token) -> bool {
        self.members.remove(token)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What ends a wait from elsewhere.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.members.waker()
    }

    /// Waits until a member is ready or a [`Waker`] calls. Without members it waits for the waker, or for a member that another thread adds.
    ///
    /// Two system calls (`getpid` and `epoll_wait`), and no allocation. A signal does not end it.
    ///
    /// # Errors
    ///
    /// - `Unsupported`: this is a fork of the process that made the set.
    /// - What else `epoll_wait` says.
    pub fn wait(&self) -> Result<Ready, SystemError> {
        self.members.wait(Until::Forever)
    }

    /// Waits at most `timeout`; when that is over, what it returns is empty.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Select::wait), and what `ppoll` says.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Ready, SystemError> {
        self.members.wait(Until::after(timeout))
    }

    /// Waits until `deadline` at most; when that has passed, what it returns is empty.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Select::wait), and what `ppoll` says.
    pub fn wait_deadline(&self, deadline: Instant) -> Result<Ready, SystemError> {
        self.members.wait(Until::Moment(deadline))
    }

    /// What is ready now. Never waits.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Select::wait).
    pub fn try_wait(&self) -> Result<Ready, SystemError> {
        self.members.wait(Until::Now)
    }
}

/// Readable while any member is ready, or a waker has called: to wait for it in another `Select`, or in somebody else's reactor. Then call
/// [`try_wait`](Select::try_wait).
impl AsFd for Select {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.members.as_fd()
    }
}

/// What must hold whatever the members are.
const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Select>();
    shared_between_threads::<Waker>();
};

impl Registry for Members {
    fn forget(&self, token: u64) {
        self.remove(Token(token));
    }

    fn holds(&self, token: u64, some: bool) {
        Members::holds(self, Token(token), some);
    }
}

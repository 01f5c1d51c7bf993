//! A sender for those who send in a loop: it collects messages, and sends them a packet at a time.

use super::Sender;
use crate::codec::batch::Batch;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::packet::Buffer;
use crate::sys::clock;
use crate::transport::{NotSent, Wait};
use serde::Serialize;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a message waits while others are sent behind it. Chosen, not tuned.
const INTERVAL: Duration = Duration::from_millis(10);

/// How many forks lead to this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Says that this process is a fork: what buffered senders hold is the parent's, which sends it.
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A sender that collects messages and sends many in one packet: made by [`Sender::buffered`].
///
/// A message is encoded at once, and is sent with those around it:
///
/// - when a packet is full (16 KiB, or `Limits::max_message` where that is less),
/// - by [`flush`](BufferedSender::flush),
/// - **when the next one is sent** and the first of those that wait has waited for the [interval](BufferedSender::with_interval). There is no thread
///   and no timer: what nothing follows waits for a `flush`,
/// - when this is dropped. That waits for room as `send` does (a thread that panics only tries), and its error goes nowhere: `flush` first
///   to see it.
///
/// A message with descriptors or blobs (`Bytes` of 4 KiB and more), or larger than a packet, travels alone: what waits is flushed, and then it is sent. So the
/// order is always that of the calls, and everything that this has sent is in front of what the same thread sends by the [`Sender`] after a flush.
/// The receiver sees no difference. Until a program at the other end has said hello, every message is sent alone.
///
/// **What waits is lost with the process**, and with a channel whose other end closes. A fork forgets what its copy holds: the parent sends it.
///
/// It keeps its buffer, up to 32 KiB.
///
/// ```
/// let (sender, receiver) = breezeway::channel::<u32>()?;
/// let mut buffered = sender.buffered();
/// for number in 0..1000 {
///     buffered.send(number)?;
/// }
/// buffered.flush()?;
/// assert_eq!(receiver.try_iter().filter_map(Result::ok).sum::<u32>(), 499_500);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "what is dropped at once collects nothing"]
pub struct BufferedSender<T> {
    sender: Sender<T>,
    batch: Batch,
    interval: Duration,
    /// When the first message of the batch was put in, or was last tried to be sent for its age, by [`clock::ticks`].
    since: Duration,
    forks: u32,
}

impl<T> BufferedSender<T> {
    pub(super) fn new(sender: Sender<T>) -> BufferedSender<T> {
        let forks = FORKS.load(Ordering::Relaxed);
        BufferedSender { sender, batch: Batch::new(Buffer::own), interval: INTERVAL, since: clock::ticks(), forks }
    }

    /// Lets a message wait at most so long while others are sent behind it. Default: 10 ms, chosen, not tuned. `Duration::MAX` means that
    /// only size counts.
    ///
    /// Time is counted in ticks of the kernel's timer, because every `send` looks at it: a message may wait a tick more or less, which is 4 ms on
    /// most machines and 10 ms at most.
    pub fn with_interval(mut self, interval: Duration) -> BufferedSender<T> {
        self.interval = interval;
        self
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.is_a_forks_copy() { 0 } else { self.batch.len() }
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends what waits, in one packet. Waits while the channel is full. Nothing is done where nothing waits.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and all of it still waits: another flush tries again, and a drop gives it up.
    ///
    /// - `Closed`: nobody can receive any more.
    /// - `Fault`: what the kernel says.
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.flush_within(Wait::Forever).map_err(|error| error.into_send_error(()))
    }

    /// Sends what waits if there is room for it now. Never waits.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedSender::flush), and `Full`.
    pub fn try_flush(&mut self) -> Result<(), TrySendError> {
        self.flush_within(Wait::Not).map_err(|error| error.into_try_send_error(()))
    }

    /// Sends what waits. Waits at most `timeout` while the channel is full; one attempt is made in any case.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedSender::flush), and `Timeout`.
    pub fn flush_timeout(&mut self, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.flush_within(Wait::at_most(timeout)).map_err(|error| error.into_send_timeout_error(()))
    }

    /// Sends what waits. Waits until `deadline` while the channel is full; one attempt is made in any case.
    ///
    /// # Errors
    ///
    /// As [`flush`](BufferedSender::flush), and `Timeout`.
    pub fn flush_deadline(&mut self, deadline: Instant) -> Result<(), SendTimeoutError> {
        self.flush_within(Wait::Until(deadline)).map_err(|error| error.into_send_timeout_error(()))
    }

    fn flush_within(&mut self, wait: Wait) -> Result<(), NotSent> {
        self.forget_what_is_the_parents();
        self.sender.end().flush(&mut self.batch, wait).map(|_| ())
    }

    fn is_a_forks_copy(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }

    fn forget_what_is_the_parents(&mut self) {
        if self.is_a_forks_copy() {
            self.batch.clear();
            self.forks = FORKS.load(Ordering::Relaxed);
        }
    }
}

impl<T: Serialize> BufferedSender<T> {
    /// Adds a message, and sends those before it where a packet is full or one has waited long enough. Waits while the channel is full, if it
    /// has to send.
    ///
    /// No allocation and no system call but one `sendmsg` a packet. (Looking at the kernel's tick is none on most machines.)
    ///
    /// # Errors
    ///
    /// Each gives the message back. Those that wait still wait, or were sent; none was lost.
    ///
    /// - `Closed`: nobody can receive any more. Seen when something is sent.
    /// - `Fault`: the message cannot be sent as it is, or what the kernel says of those before it.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        self.add(&message, Wait::Forever).map_err(|error| error.into_send_error(message))
    }

    /// Adds a message if there is room for it now: in a packet that is not full, or in the channel. Never waits.
    ///
    /// # Errors
    ///
    /// Those of [`send`](BufferedSender::send), and `Full`.
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        self.add(&message, Wait::Not).map_err(|error| error.into_try_send_error(message))
    }

    /// Adds a message as [`send`](BufferedSender::send) does. Waits at most `timeout` while the channel is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](BufferedSender::send), and `Timeout`.
    pub fn send_timeout(&mut self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.add(&message, Wait::at_most(timeout)).map_err(|error| error.into_send_timeout_error(message))
    }

    /// Adds a message as [`send`](BufferedSender::send) does. Waits until `deadline` while the channel is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](BufferedSender::send), and `Timeout`.
    pub fn send_deadline(&mut self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.add(&message, Wait::Until(deadline)).map_err(|error| error.into_send_timeout_error(message))
    }

    fn add(&mut self, message: &T, wait: Wait) -> Result<(), NotSent> {
        self.forget_what_is_the_parents();
        if !self.batch.is_empty() && clock::ticks().saturating_sub(self.since) >= self.interval {
            match self.flush_within(Wait::Not) {
                // They wait for as long as a full channel lets them; to be tried again when the interval has passed again.
                Ok(()) | Err(NotSent::Full) => self.since = clock::ticks(),
                Err(why) => return Err(why),
            }
        }
        let begins = self.batch.is_empty();
        let (gone, result) = self.sender.end().add(&mut self.batch, message, &self.sender.limits(), wait);
        if begins || gone > 0 {
            self.since = clock::ticks();
        }
        result
    }
}

impl<T> Drop for BufferedSender<T> {
    fn drop(&mut self) {
        let wait = if std::thread::panicking() { Wait::Not } else { Wait::Forever };
        let _ = self.flush_within(wait);
    }
}

impl<T> fmt::Debug for BufferedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedSender").field("sender", &self.sender).field("len", &self.len()).finish()
    }
}

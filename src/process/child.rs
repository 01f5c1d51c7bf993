//! A process with a channel to it.

use super::fork::{ForkError, Safety, fork};
use super::handle::Process;
use super::outcome::Outcome;
use super::siblings::Siblings;
use crate::channel::{Channel, Greeting, Peer, Sealed, Source, Waitable};
use crate::error::SystemError;
use crate::sys::socket::Direction;
use std::fmt;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Termination};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A child process, and the parent's end of the channel to it: it sends `S` and receives `R` as a [`Channel`] does.
///
/// When the child dies, sending and receiving say `Closed` as soon as what it had sent has been received; [`wait`](Child::wait) says how
/// it died. Dropping the handle closes the channel, kills the process and reaps it; see [`Process`].
#[must_use = "dropping a child kills it: wait for it, or detach it"]
pub struct Child<S, R> {
    channel: Channel<S, R>,
    process: Process,
    pipes: Pipes,
}

/// Our ends of the pipes that a `Command` was told to make for its program's stdio.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// A child that is a fork of this process: made by [`Child::spawn`].
pub type ForkedProcess<S, R> = Child<S, R>;

impl<S, R> Child<S, R> {
    /// Forks this process; the child runs `child` with its end of a channel, and ends when that returns.
    ///
    /// What `child` returns is what a `main` may return: `()`, a `Result` (an error is printed to stderr, exit code 1) or an `ExitCode`.
    /// A panic in it reaches the parent as [`Outcome::Panicked`], exit code 101.
    ///
    /// - **Captured values are dropped in both processes**: in the parent right after the fork, in the child when `child` is done. What
    ///   a destructor does outside the process's memory (flushing a file, removing a directory, killing a child) is done twice.
    /// - The child is a copy: it may use what it captured, open descriptors included. No destructor of the parent's other values runs in
    ///   it, and what stdout had buffered comes out once.
    /// - **It inherits every descriptor** and keeps those that it does not use open until it ends. So a child that captured the receiver of
    ///   a `channel()` also holds the sender that stayed in the parent, and will not see the channel end while it holds that: end it with
    ///   [`Sender::close`](crate::Sender::close), which counts for every copy, or send the receiver to the child in a message instead.
    /// - The parent's ends of *other* children's channels are the exception: as long as they are in a `Child` handle, they are closed in
    ///   the new child. A handle that the closure captured therefore reads as closed; to hand such a channel to a sibling, take it out
    ///   with [`into_parts`](Child::into_parts).
    /// - In a test, libtest's threads are in the way: a test that forks needs `harness = false`.
    ///
    /// # Errors
    ///
    /// - [`ForkError::Threads`]: this process has other threads.
    /// - [`ForkError::AsyncRuntime`]: with the feature `tokio`, this thread is inside a runtime.
    /// - [`ForkError::System`]: what the kernel says.
    ///
    /// ```no_run
    /// use breezeway::{Channel, process::ForkedProcess};
    ///
    /// let child = ForkedProcess::spawn(|channel: Channel<usize, String>| {
    ///     for line in &channel {
    ///         channel.send(line?.len())?;
    ///     }
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// child.send("four".into())?;
    /// assert_eq!(child.recv()?, 4);
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn<T: Termination>(child: impl FnOnce(Channel<R, S>) -> T + 'static) -> Result<Child<S, R>, ForkError> {
        Child::fork(Safety::Checked, child)
    }

    /// [`spawn`](Child::spawn) without its checks, for programs that know what their threads do. What stdout has buffered when the
    /// closure ends is not written out.
    ///
    /// # Safety
    ///
    /// Until it ends, the child may only do what is async-signal-safe (signal-safety(7)) with anything that another thread of this process
    /// may have been using at the moment of the fork: locks, stdout, an allocator that is not glibc's. Before the closure runs, this
    /// library itself allocates and sets the panic hook there; no other thread may be changing that hook, or forking.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Child::spawn), without `Threads` and `AsyncRuntime`.
    #[allow(unsafe_code, reason = "a declaration; what it promises is used in `sys`")]
    pub unsafe fn spawn_unchecked<T: Termination>(child: impl FnOnce(Channel<R, S>) -> T + 'static) -> Result<Child<S, R>, ForkError> {
        Child::fork(Safety::Promised, child)
    }

    fn fork<T: Termination>(safety: Safety, child: impl FnOnce(Channel<R, S>) -> T) -> Result<Child<S, R>, ForkError> {
        let (ours, theirs) = Channel::two_way()?;
        let end = Arc::downgrade(ours.end());
        let mut ours = Some(ours);
        let process = fork(safety, Some(end), || drop(ours.take()), move || child(theirs))?;
        Ok(Child::new(ours.unwrap_or_else(|| unreachable!("taken in the child only")), process, Pipes::default(), None))
    }

    /// A child that has just been started, and, if it is another program, the greeting that it will find. Its channel ends when it does.
    pub(super) fn new(channel: Channel<S, R>, process: Process, pipes: Pipes, greeting: Option<Greeting>) -> Child<S, R> {
        channel.end().know(Peer::new(process.shared_pidfd(), greeting));
        Child { channel, process, pipes }
    }

    /// The channel, which is also what the handle dereferences to.
    pub fn channel(&self) -> &Channel<S, R> {
        &self.channel
    }

    /// Takes channel and process apart, to split the channel, to give it away, or to wait for the process while using it.
    pub fn into_parts(self) -> (Channel<S, R>, Process) {
        Siblings::lock().remove(self.channel.end());
        (self.channel, self.process)
    }

    /// Closes the channel and waits until the child has ended, so that a child that waits for a message on it, or for room to send one,
    /// ends too. (Not one that waits for something else: an end that it captured, say.) What the child has sent and nobody has received
    /// is lost, and its further sends fail: receive first.
    ///
    /// # Errors
    ///
    /// What `waitid` says.
    pub fn wait(self) -> Result<Outcome, SystemError> {
        let (channel, mut process) = self.into_parts();
        // A program with other types waits to be told which.
        let _ = channel.wait_ready(Duration::ZERO);
        // Not only closed: somebody else may hold a copy, and the child must learn of the end all the same.
        channel.end().socket().shutdown(Direction::Both);
        drop(channel);
        process.wait()
    }

    /// How the child ended, or `None` while it has not. Never waits, and leaves the channel open.
    ///
    /// A channel is closed a moment before its process has ended: after `Closed`, use [`wait`](Child::wait) or
    /// [`wait_timeout`](Child::wait_timeout).
    ///
    /// # Errors
    ///
    /// What `waitid` says.
    pub fn try_wait(&mut self) -> Result<Option<Outcome>, SystemError> {
        let _ = self.channel.wait_ready(Duration::ZERO);
        self.process.try_wait()
    }

    /// Waits at most `timeout` for the child to end, and leaves the channel open; `None` if it has not ended.
    ///
    /// # Errors
    ///
    /// As [`Process::wait_timeout`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Outcome>, SystemError> {
        let start = Instant::now();
        // A program with other types ends when it has been told which, so that is listened to first.
        let _ = self.channel.wait_ready(timeout);
        self.process.wait_timeout(timeout.saturating_sub(start.elapsed()))
    }

    /// Kills the child with `SIGKILL`. What it sent can still be received.
    ///
    /// # Errors
    ///
    /// As [`Process::kill`].
    pub fn kill(&mut self) -> Result<(), SystemError> {
        self.process.kill()
    }

    /// The child's process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The child's pidfd; see [`Process::pidfd`].
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.process.pidfd()
    }

    /// The pipe to the program's stdin, where its command said `stdin(Stdio::piped())`; once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.pipes.stdin.take()
    }

    /// The pipe from the program's stdout, where its command said `stdout(Stdio::piped())`; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.pipes.stdout.take()
    }

    /// The pipe from the program's stderr, where its command said `stderr(Stdio::piped())`; once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.pipes.stderr.take()
    }

    /// Closes the channel and lets the child go on; see [`Process::detach`].
    pub fn detach(self) {
        self.into_parts().1.detach();
    }
}

impl<S, R> fmt::Debug for Child<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("channel", &self.channel).field("process", &self.process).finish()
    }
}

/// Ready when there is something to receive, and when the child has ended.
impl<S, R> Source for Child<S, R> {}
impl<S, R> Sealed for Child<S, R> {
    fn waitable(&self) -> Waitable<'_> {
        Waitable(self.channel.end())
    }
}

impl<S, R> Deref for Child<S, R> {
    type Target = Channel<S, R>;

    fn deref(&self) -> &Channel<S, R> {
        &self.channel
    }
}

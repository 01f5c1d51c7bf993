//! A fork with a bare [`Socket`] to it instead of a channel, for programs that mix message types or move packets themselves.

use super::fork::{ForkError, Safety, fork};
use super::handle::Process;
use super::outcome::JoinError;
use crate::socket::Socket;
use crate::sys::socket::Direction;
use std::process::Termination;

/// A child that is a fork of this process, and the parent's socket to it.
///
/// Dropping the handle kills the process and reaps it; see [`Process`].
///
/// ```no_run
/// use breezeway::process::raw::ForkedProcess;
/// use breezeway::socket::{Family, Protocol, SocketType, socketpair};
///
/// let sockets = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None)?;
/// let mut child = ForkedProcess::spawn(|mut socket| socket.send("hello"), sockets)?;
/// assert_eq!(child.socket.receive::<String>()?, "hello");
/// child.join()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a child kills it: join it"]
pub struct ForkedProcess {
    /// The parent's socket.
    pub socket: Socket,
    /// The process.
    pub process: Process,
}

impl ForkedProcess {
    /// Forks this process; the child runs `child` with the left socket, the parent keeps the right one. Each closes the other's.
    ///
    /// All else is as in [`Child::spawn`](super::Child::spawn), but this socket is not closed in later forks.
    ///
    /// # Errors
    ///
    /// As [`Child::spawn`](super::Child::spawn). Both sockets are closed.
    pub fn spawn<T: Termination>(child: impl FnOnce(Socket) -> T + 'static, sockets: (Socket, Socket)) -> Result<ForkedProcess, ForkError> {
        let (left, right) = sockets;
        let mut right = Some(right);
        let process = fork(Safety::Checked, None, || drop(right.take()), move || child(left))?;
        let socket = right.unwrap_or_else(|| unreachable!("taken in the child only"));
        Ok(ForkedProcess { socket, process })
    }

    /// Closes the socket and waits until the child has ended.
    ///
    /// # Errors
    ///
    /// - [`JoinError::Failed`]: the child did not exit with code 0.
    /// - [`JoinError::System`]: waiting failed.
    pub fn join(self) -> Result<(), JoinError> {
        let ForkedProcess { socket, mut process } = self;
        // Not only closed: a child that was forked later may hold a copy.
        socket.shutdown(Direction::Both);
        socket.close();
        let outcome = process.wait()?;
        if outcome.success() { Ok(()) } else { Err(JoinError::Failed(outcome)) }
    }
}

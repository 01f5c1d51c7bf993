//! Receivers of one type, received from together.

use super::members::Until;
use super::{Ready, Select, Token};
use crate::channel::Receiver;
use crate::error::{RecvError, SystemError, TryRecvError};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// Receivers of one type, from which messages are received as they come, one at a time.
///
/// Members take turns, so that one that floods keeps none of the others waiting. A member whose channel has ended says `Closed`, once, and is then out of the set. A member with a fault stays.
///
/// ```
/// use breezeway::{channel, select::ReceiverSet};
///
/// let mut set = ReceiverSet::new()?;
/// let (sender, receiver) = channel::<u32>()?;
/// let token = set.add(receiver)?;
/// sender.send(7)?;
/// drop(sender);
/// assert!(matches!(set.recv()?, (from, Ok(7)) if from == token));
/// assert!(matches!(set.recv()?, (from, Err(error)) if from == token && error.is_closed()));
/// assert!(set.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ReceiverSet<T> {
    select: Select,
    members: HashMap<Token, Member<T>>,
    /// Members that may have a message, each once, the next one first; and some that have been removed since.
    turns: VecDeque<Token>,
    /// Turns taken since the others were last looked at.
    taken: usize,
}

struct Member<T> {
    receiver: Receiver<T>,
    /// Whether it is among the turns.
    has_turn: bool,
}

/// What came, and from whom: a message, a fault, or that the member's channel has ended.
pub type Received<T> = (Token, Result<T, RecvError>);

/// After how many turns the members that were not ready are looked at again. Chosen, not tuned.
const LOOK: usize = 64;

/// Why nothing was received from any member.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The set has no members, so nothing can come.
    #[error("the set has no receivers")]
    Empty,
    /// A system call failed. Nothing was received.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<SetError> for io::Error {
    fn from(error: SetError) -> io::Error {
        match error {
            SetError::Empty => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            SetError::System(error) => error.into(),
        }
    }
}

/// A receiver that could not be added to a set. It is given back.
#[derive(thiserror::Error)]
#[error("the receiver could not be added to the set")]
pub struct AddError<T> {
    /// The receiver, as it was.
    pub receiver: Receiver<T>,
    /// Why not.
    pub source: SystemError,
}

impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddError").field("receiver", &self.receiver).field("source", &self.source).finish()
    }
}

impl<T> From<AddError<T>> for io::Error {
    fn from(error: AddError<T>) -> io::Error {
        error.source.into()
    }
}

impl<T> ReceiverSet<T> {
    /// A set without members.
    ///
    /// # Errors
    ///
    /// As [`Select::new`].
    pub fn new() -> Result<ReceiverSet<T>, SystemError> {
        Ok(ReceiverSet { select: Select::new()?, members: HashMap::new(), turns: VecDeque::new(), taken: 0 })
    }

    /// Takes a receiver into the set. What waits in it is received like what comes later.
    ///
    /// # Errors
    ///
    /// As [`Select::add`]; the receiver is given back.
    pub fn add(&mut self, receiver: Receiver<T>) -> Result<Token, AddError<T>> {
        match self.select.add(&receiver) {
            Ok(token) => {
                self.members.insert(token, Member { receiver, has_turn: false });
                Ok(token)
            }
            Err(source) => Err(AddError { receiver, source }),
        }
    }

    /// Gives a receiver back, with what waits in it; `None` if it is no member any more, or never was.
    pub fn remove(&mut self, token: Token) -> Option<Receiver<T>> {
        let member = self.members.remove(&token)?;
        self.select.remove(token);
        Some(member.receiver)
    }

    /// How many receivers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn give_turns(&mut self, ready: &Ready) {
        for token in ready {
            if let Some(member) = self.members.get_mut(&token).filter(|member| !member.has_turn) {
                member.has_turn = true;
                self.turns.push_back(token);
            }
        }
    }
}

impl<T: DeserializeOwned> ReceiverSet<T> {
    /// Receives the next message of any member, or learns that a member's channel has ended. Waits for it.
    ///
    /// # Errors
    ///
    /// Of the set; what is wrong with one member is in the inner `Result`.
    ///
    /// - `Empty`: there are no members.
    /// - `System`: waiting failed, or this is a fork of the process that made the set.
    pub fn recv(&mut self) -> Result<Received<T>, SetError> {
        loop {
            if let Some(received) = self.next(Until::Forever)? {
                return Ok(received);
            }
        }
    }

    /// Receives if there is something now; `None` if not. Never waits.
    ///
    /// # Errors
    ///
    /// As [`recv`](ReceiverSet::recv).
    pub fn try_recv(&mut self) -> Result<Option<Received<T>>, SetError> {
        self.next(Until::Now)
    }

    /// Receives. Waits at most `timeout` for it; `None` when that is over. Nothing is lost by giving up.
    ///
    /// # Errors
    ///
    /// As [`recv`](ReceiverSet::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, SetError> {
        self.next(Until::after(timeout))
    }

    /// Receives. Waits until `deadline` for it; `None` when that has passed. Nothing is lost by giving up.
    ///
    /// # Errors
    ///
    /// As [`recv`](ReceiverSet::recv).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Option<Received<T>>, SetError> {
        self.next(Until::Moment(deadline))
    }

    /// A member is received from until it is empty, in turns with others; only when all are is there a wait.
    fn next(&mut self, until: Until) -> Result<Option<Received<T>>, SetError> {
        if self.members.is_empty() {
            return Err(SetError::Empty);
        }
        loop {
            let waits = self.turns.is_empty();
            if waits || self.taken >= LOOK {
                let ready = self.select.members.wait(if waits { until } else { Until::Now })?;
                self.taken = 0;
                if waits && ready.is_empty() {
                    return Ok(None);
                }
                self.give_turns(&ready);
            }
            while let Some(token) = self.turns.pop_front() {
                if let Some(received) = self.take_turn(token) {
                    return Ok(Some((token, received)));
                }
            }
        }
    }

    fn take_turn(&mut self, token: Token) -> Option<Result<T, RecvError>> {
        let member = self.members.get_mut(&token)?;
        self.taken += 1;
        let received = match member.receiver.try_recv() {
            Err(TryRecvError::Empty) => {
                member.has_turn = false;
                return None;
            }
            Err(TryRecvError::Closed) => {
                self.members.remove(&token);
                return Some(Err(RecvError::Closed));
            }
            Err(TryRecvError::Fault(fault)) => Err(fault.into()),
            Ok(message) => Ok(message),
        };
        self.turns.push_back(token);
        Some(received)
    }
}

impl<T> fmt::Debug for ReceiverSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.iter().map(|(token, member)| (token, &member.receiver))).finish()
    }
}

//! The verbs of sending and receiving, which an end of either kind has: written once, given to each.

/// `send` and its forms, for an end with `end(&self)` and `limits`.
macro_rules! sending_verbs {
    ($message:ident) => {
        /// Sends a message. Waits while the channel is full.
        ///
        /// The message is taken because what it carries moves: once the call has returned, its files and sockets are closed here and
        /// open there. Two processes that only send to each other wait for each other for ever once both directions are full; where
        /// that can happen, use a form with a deadline, or receive in between.
        ///
        /// One system call, and no allocation beyond what the message's own `Serialize` does; for each descriptor a `dup` and a `close`.
        /// What fits in no packet (about 4 MiB) takes six calls more, and a copy of it in memory that is there until it is received.
        /// A sender that waits is woken when the queue is three quarters empty, which is the kernel's rule: a receiver that takes a
        /// few messages and then waits for this sender may wait for ever.
        ///
        /// # Errors
        ///
        /// Each gives the message back, and nothing of it was sent.
        ///
        /// - `Closed`: nobody can receive any more.
        /// - `Fault`: the message cannot be sent as it is.
        pub fn send(&self, message: $message) -> Result<(), $crate::error::SendError<$message>>
        where
            $message: serde::Serialize,
        {
            self.end().send(&message, &self.limits, $crate::transport::Wait::Forever).map_err(|error| error.into_send_error(message))
        }

        /// Sends a copy of a message, for types that can be cloned. Waits while the channel is full.
        ///
        /// Nothing is cloned but descriptors, which are duplicated.
        ///
        /// # Errors
        ///
        /// As [`send`](Self::send).
        pub fn send_ref(&self, message: &$message) -> Result<(), $crate::error::SendError>
        where
            $message: serde::Serialize + Clone,
        {
            self.end().send(message, &self.limits, $crate::transport::Wait::Forever).map_err(|error| error.into_send_error(()))
        }

        /// Sends a message if there is room for it now. Never waits. A message that fits in no packet is copied, if there is room.
        ///
        /// # Errors
        ///
        /// Those of [`send`](Self::send), and `Full` when there is no room.
        pub fn try_send(&self, message: $message) -> Result<(), $crate::error::TrySendError<$message>>
        where
            $message: serde::Serialize,
        {
            self.end().send(&message, &self.limits, $crate::transport::Wait::Not).map_err(|error| error.into_try_send_error(message))
        }

        /// Sends a message. Waits at most `timeout` while the channel is full; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`send`](Self::send), and `Timeout`.
        pub fn send_timeout(&self, message: $message, timeout: std::time::Duration) -> Result<(), $crate::error::SendTimeoutError<$message>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send(&message, &self.limits, $crate::transport::Wait::at_most(timeout))
                .map_err(|error| error.into_send_timeout_error(message))
        }

        /// Sends a message. Waits until `deadline` while the channel is full; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`send`](Self::send), and `Timeout`.
        pub fn send_deadline(
            &self,
            message: $message,
            deadline: std::time::Instant,
        ) -> Result<(), $crate::error::SendTimeoutError<$message>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send(&message, &self.limits, $crate::transport::Wait::Until(deadline))
                .map_err(|error| error.into_send_timeout_error(message))
        }
    };
}

/// `recv` and its forms, for an end with `end(&self)` and `limits`.
macro_rules! receiving_verbs {
    ($message:ident) => {
        /// Receives a message. Waits for it.
        ///
        /// One system call, and no allocation beyond what the message's own fields need. What fits in no packet takes eight calls more, and its
        /// large byte strings are slices of memory that stays mapped until the last of them is dropped.
        ///
        /// # Errors
        ///
        /// - `Closed`: every sender is gone, and everything that they sent has been received.
        /// - `Fault`: what arrived is no message of this type within the [`Limits`](crate::Limits). It is gone, its descriptors are
        ///   closed, and the next message can be received.
        pub fn recv(&self) -> Result<$message, $crate::error::RecvError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive(&self.limits, $crate::transport::Wait::Forever).map_err(Into::into)
        }

        /// Receives a message if there is one now. Never waits for one. (Closing what came with a message that is refused may take the time
        /// that some kinds of files take to close; a socket that was told to linger is told not to.)
        ///
        /// # Errors
        ///
        /// Those of [`recv`](Self::recv), and `Empty`.
        pub fn try_recv(&self) -> Result<$message, $crate::error::TryRecvError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive(&self.limits, $crate::transport::Wait::Not).map_err(Into::into)
        }

        /// Receives a message. Waits at most `timeout` for it; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`recv`](Self::recv), and `Timeout`.
        pub fn recv_timeout(&self, timeout: std::time::Duration) -> Result<$message, $crate::error::RecvTimeoutError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive(&self.limits, $crate::transport::Wait::at_most(timeout)).map_err(Into::into)
        }

        /// Receives a message. Waits until `deadline` for it; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`recv`](Self::recv), and `Timeout`.
        pub fn recv_deadline(&self, deadline: std::time::Instant) -> Result<$message, $crate::error::RecvTimeoutError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive(&self.limits, $crate::transport::Wait::Until(deadline)).map_err(Into::into)
        }

        /// Messages until the channel ends, waiting for each. A fault is an item like any other and ends nothing; one that will not go
        /// away by itself (`Fault::System`: no memory for the receive buffer, say) comes again and again.
        pub fn iter(&self) -> $crate::channel::Iter<'_, $message> {
            $crate::channel::Iter::new(self.end(), self.limits)
        }

        /// The messages that are there now, without waiting.
        pub fn try_iter(&self) -> $crate::channel::TryIter<'_, $message> {
            $crate::channel::TryIter::new(self.end(), self.limits)
        }
    };
}

pub(super) use {receiving_verbs, sending_verbs};

use crate::error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::transport::{NotReceived, NotSent};

impl NotSent {
    pub(super) fn into_send_error<T>(self, message: T) -> SendError<T> {
        match self {
            // Waiting for ever does not end with a full queue.
            NotSent::Full | NotSent::Closed => SendError::Closed(message),
            NotSent::Fault(fault) => SendError::Fault(message, fault),
        }
    }

    pub(super) fn into_try_send_error<T>(self, message: T) -> TrySendError<T> {
        match self {
            NotSent::Full => TrySendError::Full(message),
            NotSent::Closed => TrySendError::Closed(message),
            NotSent::Fault(fault) => TrySendError::Fault(message, fault),
        }
    }

    pub(super) fn into_send_timeout_error<T>(self, message: T) -> SendTimeoutError<T> {
        match self {
            NotSent::Full => SendTimeoutError::Timeout(message),
            NotSent::Closed => SendTimeoutError::Closed(message),
            NotSent::Fault(fault) => SendTimeoutError::Fault(message, fault),
        }
    }
}

impl From<NotReceived> for RecvError {
    fn from(error: NotReceived) -> RecvError {
        match error {
            // Waiting for ever does not end with nothing.
            NotReceived::Empty | NotReceived::Closed => RecvError::Closed,
            NotReceived::Fault(fault) => RecvError::Fault(fault),
        }
    }
}

impl From<NotReceived> for TryRecvError {
    fn from(error: NotReceived) -> TryRecvError {
        match error {
            NotReceived::Empty => TryRecvError::Empty,
            NotReceived::Closed => TryRecvError::Closed,
            NotReceived::Fault(fault) => TryRecvError::Fault(fault),
        }
    }
}

impl From<NotReceived> for RecvTimeoutError {
    fn from(error: NotReceived) -> RecvTimeoutError {
        match error {
            NotReceived::Empty => RecvTimeoutError::Timeout,
            NotReceived::Closed => RecvTimeoutError::Closed,
            NotReceived::Fault(fault) => RecvTimeoutError::Fault(fault),
        }
    }
}

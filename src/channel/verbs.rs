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
        /// What fits in no packet (about 4 MiB) goes in several of 512 KiB, three calls each, while the receiver takes them. Where it takes none for 10 ms, and 1 ms for each
        /// MiB, or another process is sending such a message by the same end, it goes in memory that its packet carries: six calls more than a small one, and a copy.
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

        /// Sends a message if there is room for it now. Never waits. A message that fits in no packet is copied into memory, if there is room.
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

        /// Sends many messages in few packets: as many as fit into 16 KiB travel together. Returns how many there were. Waits while the
        /// channel is full, and for the iterator.
        ///
        /// The receiver gets them one by one and in order, as if each had been sent by [`send`](Self::send), and in the same order with
        /// what else this thread sends. A message with descriptors or blobs (`Bytes` of 4 KiB and more), or larger than a packet, travels
        /// alone in its place. A packet leaves when it is full or the iterator has ended: for one that takes its time between messages there is
        /// [`Sender::buffered`](crate::Sender::buffered).
        ///
        /// One system call a packet, and no allocation beyond what the messages' own `Serialize` does but a list of those that are in
        /// the packet, to be given back if it cannot be sent.
        ///
        /// ```
        /// let (sender, receiver) = breezeway::channel::<u64>()?;
        /// assert_eq!(sender.send_all(0..1000)?, 1000);
        /// let mut numbers = Vec::new();
        /// assert_eq!(receiver.recv_batch(&mut numbers, 600)?, 600);
        /// assert_eq!(receiver.recv()?, 600);
        /// # Ok::<(), std::io::Error>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`SendAllError`](crate::SendAllError) says exactly how many were sent, and gives back those that were taken from the iterator
        /// and were not. What is left in the iterator stays with a caller who lends it: `send_all(&mut messages)`.
        ///
        /// - `Closed`: nobody can receive any more.
        /// - `Fault`: the first of those given back cannot be sent as it is. All before it were sent.
        ///
        /// # Panics
        ///
        /// Where the iterator, or a message's `Serialize`, does. Messages that were taken and not yet sent are dropped then.
        pub fn send_all(&self, messages: impl IntoIterator<Item = $message>) -> Result<usize, $crate::error::SendAllError<$message>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send_all(messages, &self.limits, $crate::transport::Wait::Forever)
                .map_err(|stopped| stopped.into_error($crate::transport::NotSent::into_send_error))
        }

        /// Sends as many of these messages as there is room for now. Never waits, but for the iterator.
        ///
        /// # Errors
        ///
        /// Those of [`send_all`](Self::send_all), and `Full`.
        pub fn try_send_all(
            &self,
            messages: impl IntoIterator<Item = $message>,
        ) -> Result<usize, $crate::error::SendAllError<$message, $crate::error::TrySendError>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send_all(messages, &self.limits, $crate::transport::Wait::Not)
                .map_err(|stopped| stopped.into_error($crate::transport::NotSent::into_try_send_error))
        }

        /// Sends these messages. Waits at most `timeout` while the channel is full; one attempt is made in any case. The time that the iterator
        /// takes counts and ends nothing.
        ///
        /// # Errors
        ///
        /// Those of [`send_all`](Self::send_all), and `Timeout`.
        pub fn send_all_timeout(
            &self,
            messages: impl IntoIterator<Item = $message>,
            timeout: std::time::Duration,
        ) -> Result<usize, $crate::error::SendAllError<$message, $crate::error::SendTimeoutError>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send_all(messages, &self.limits, $crate::transport::Wait::at_most(timeout))
                .map_err(|stopped| stopped.into_error($crate::transport::NotSent::into_send_timeout_error))
        }

        /// Sends these messages. Waits until `deadline` while the channel is full; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`send_all`](Self::send_all), and `Timeout`.
        pub fn send_all_deadline(
            &self,
            messages: impl IntoIterator<Item = $message>,
            deadline: std::time::Instant,
        ) -> Result<usize, $crate::error::SendAllError<$message, $crate::error::SendTimeoutError>>
        where
            $message: serde::Serialize,
        {
            self.end()
                .send_all(messages, &self.limits, $crate::transport::Wait::Until(deadline))
                .map_err(|stopped| stopped.into_error($crate::transport::NotSent::into_send_timeout_error))
        }
    };
}

/// `recv` and its forms, for an end with `end(&self)` and `limits`.
macro_rules! receiving_verbs {
    ($message:ident) => {
        /// Receives a message. Waits for it.
        ///
        /// One system call, and no allocation beyond what the message's own fields need. What fits in no packet takes two calls for each MiB, or nine where it comes in
        /// memory, and its large byte strings are slices of one buffer, or of memory that stays mapped, until the last of them is dropped.
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

        /// Receives many messages at once: waits for the first as [`recv`](Self::recv) does, then appends to `messages` what is there, up to
        /// `max` in all. Returns how many; 0 only for a `max` of 0.
        ///
        /// One system call a packet, however many messages are in it, and one that finds nothing where they are fewer than `max`.
        ///
        /// # Errors
        ///
        /// Those of [`recv`](Self::recv), and `messages` is as it was. A fault behind messages that were received is reported by the next
        /// receive.
        pub fn recv_batch(&self, messages: &mut Vec<$message>, max: usize) -> Result<usize, $crate::error::RecvError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive_many(messages, max, &self.limits, $crate::transport::Wait::Forever).map_err(Into::into)
        }

        /// Receives the messages that are there now, up to `max`. Never waits.
        ///
        /// # Errors
        ///
        /// Those of [`recv_batch`](Self::recv_batch), and `Empty`.
        pub fn try_recv_batch(&self, messages: &mut Vec<$message>, max: usize) -> Result<usize, $crate::error::TryRecvError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive_many(messages, max, &self.limits, $crate::transport::Wait::Not).map_err(Into::into)
        }

        /// Receives many messages at once. Waits at most `timeout` for the first; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`recv_batch`](Self::recv_batch), and `Timeout`.
        pub fn recv_batch_timeout(
            &self,
            messages: &mut Vec<$message>,
            max: usize,
            timeout: std::time::Duration,
        ) -> Result<usize, $crate::error::RecvTimeoutError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive_many(messages, max, &self.limits, $crate::transport::Wait::at_most(timeout)).map_err(Into::into)
        }

        /// Receives many messages at once. Waits until `deadline` for the first; one attempt is made in any case.
        ///
        /// # Errors
        ///
        /// Those of [`recv_batch`](Self::recv_batch), and `Timeout`.
        pub fn recv_batch_deadline(
            &self,
            messages: &mut Vec<$message>,
            max: usize,
            deadline: std::time::Instant,
        ) -> Result<usize, $crate::error::RecvTimeoutError>
        where
            $message: serde::de::DeserializeOwned,
        {
            self.end().receive_many(messages, max, &self.limits, $crate::transport::Wait::Until(deadline)).map_err(Into::into)
        }

        /// Whether messages have been received from the kernel, as parts of one packet, and not been taken from this end yet: `try_recv` gives
        /// one at once, **and the descriptor is not readable for them**. No system call.
        ///
        /// While it is so, the end does not become a descriptor or travel in a message, since these would not go with it. It holds a
        /// receive buffer meanwhile.
        #[must_use]
        pub fn has_buffered(&self) -> bool {
            !self.end().is_empty()
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

use super::batch::Stopped;
use crate::error::{RecvError, RecvTimeoutError, SendAllError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::transport::{NotReceived, NotSent};

impl<T> Stopped<T> {
    pub(super) fn into_error<E: std::error::Error>(self, why: impl FnOnce(NotSent, ()) -> E) -> SendAllError<T, E> {
        SendAllError { sent: self.sent, unsent: self.unsent, source: why(self.why, ()) }
    }
}

impl NotSent {
    pub(super) fn into_send_error<T>(self, message: T) -> SendError<T> {
        match self {
            // Waiting for ever does not end with a full queue.
            NotSent::Full | NotSent::Closed => SendError::Closed(message),
            NotSent::Fault(fault) => SendError::Fault(message, *fault),
        }
    }

    pub(super) fn into_try_send_error<T>(self, message: T) -> TrySendError<T> {
        match self {
            NotSent::Full => TrySendError::Full(message),
            NotSent::Closed => TrySendError::Closed(message),
            NotSent::Fault(fault) => TrySendError::Fault(message, *fault),
        }
    }

    pub(super) fn into_send_timeout_error<T>(self, message: T) -> SendTimeoutError<T> {
        match self {
            NotSent::Full => SendTimeoutError::Timeout(message),
            NotSent::Closed => SendTimeoutError::Closed(message),
            NotSent::Fault(fault) => SendTimeoutError::Fault(message, *fault),
        }
    }
}

impl From<NotReceived> for RecvError {
    fn from(error: NotReceived) -> RecvError {
        match error {
            // Waiting for ever does not end with nothing.
            NotReceived::Empty | NotReceived::Closed => RecvError::Closed,
            NotReceived::Fault(fault) => RecvError::Fault(*fault),
        }
    }
}

impl From<NotReceived> for TryRecvError {
    fn from(error: NotReceived) -> TryRecvError {
        match error {
            NotReceived::Empty => TryRecvError::Empty,
            NotReceived::Closed => TryRecvError::Closed,
            NotReceived::Fault(fault) => TryRecvError::Fault(*fault),
        }
    }
}

impl From<NotReceived> for RecvTimeoutError {
    fn from(error: NotReceived) -> RecvTimeoutError {
        match error {
            NotReceived::Empty => RecvTimeoutError::Timeout,
            NotReceived::Closed => RecvTimeoutError::Closed,
            NotReceived::Fault(fault) => RecvTimeoutError::Fault(*fault),
        }
    }
}

//! Many messages in few packets: [`send_all`](End::send_all) at once, [`receive_many`](End::receive_many) at once.

use super::end::End;
use crate::codec::batch::{Batch, Pushed};
use crate::error::Fault;
use crate::limits::Limits;
use crate::packet::Buffer;
use crate::transport::{NotReceived, NotSent, Wait};
use serde::{Serialize, de::DeserializeOwned};

/// Messages that a caller of `send_all` may have to be given back, of which room is made in advance. Chosen, not tuned.
const KEPT: usize = 1024;

/// Sending stopped in front of the first of these messages, which are all that were asked for and did not leave.
pub(super) struct Stopped<T> {
    pub(super) sent: usize,
    pub(super) unsent: Vec<T>,
    pub(super) why: NotSent,
}

impl End {
    pub(super) fn send_all<T: Serialize>(
        &self,
        messages: impl IntoIterator<Item = T>,
        limits: &Limits,
        wait: Wait,
    ) -> Result<usize, Stopped<T>> {
        let messages = messages.into_iter();
        let (mut batch, mut sent) = (Batch::new(Buffer::new), 0);
        let mut unsent = Vec::with_capacity(messages.size_hint().0.min(KEPT));
        for message in messages {
            let (gone, result) = self.add(&mut batch, &message, limits, wait);
            unsent.push(message);
            unsent.drain(..gone);
            sent += gone;
            let Err(why) = result else { continue };
            // What stands in front of a message that cannot be sent has nothing to do with it.
            let why = match if matches!(why, NotSent::Fault(_)) { self.flush(&mut batch, wait) } else { Ok(0) } {
                Ok(gone) => {
                    unsent.drain(..gone);
                    sent += gone;
                    why
                }
                Err(why) => why,
            };
            return Err(Stopped { sent, unsent, why });
        }
        match self.flush(&mut batch, wait) {
            Ok(gone) => Ok(sent + gone),
            Err(why) => Err(Stopped { sent, unsent, why }),
        }
    }

    /// Puts a message into a batch, and sends what must go first: how many have left, of those that were in the batch and this one, and what
    /// stopped it. A message that was not put in is not sent either.
    pub(super) fn add<T: Serialize>(&self, batch: &mut Batch, message: &T, limits: &Limits, wait: Wait) -> (usize, Result<(), NotSent>) {
        if batch.is_empty() {
            if self.is_meeting() {
                // What may be sent is not settled yet. Who waits for other programs is told by each send.
                return match self.send(message, limits, wait) {
                    Ok(()) => (1, Ok(())),
                    Err(why) => (0, Err(why)),
                };
            }
            match self.sending_limits(limits, wait) {
                Ok(limits) => batch.begin(limits),
                Err(why) => return (0, Err(why)),
            }
        }
        match batch.push(message, Some(self.pair_id())) {
            Ok(Pushed::In) => (0, Ok(())),
            Ok(Pushed::Next) => match self.flush(batch, wait) {
                Ok(gone) => (gone, Ok(())),
                Err(why) => {
                    batch.take_back();
                    (0, Err(why))
                }
            },
            Ok(Pushed::Alone(packet)) => match self.flush(batch, wait) {
                Err(why) => (0, Err(why)),
                Ok(gone) => match self.send_packet(&packet, wait) {
                    Ok(()) => (gone + 1, Ok(())),
                    Err(why) => (gone, Err(why)),
                },
            },
            Err(fault) => (0, Err(fault.into())),
        }
    }

    /// Sends a batch: how many messages have left. After an error it is what it was.
    pub(super) fn flush(&self, batch: &mut Batch, wait: Wait) -> Result<usize, NotSent> {
        if batch.is_empty() {
            return Ok(0);
        }
        let (kind, body) = batch.packet();
        self.send_body(kind, body, wait)?;
        Ok(batch.sent())
    }

    /// Receives one message as `receive` does, and then what is there, up to so many in all.
    pub(super) fn receive_many<T: DeserializeOwned>(
        &self,
        messages: &mut Vec<T>,
        most: usize,
        limits: &Limits,
        wait: Wait,
    ) -> Result<usize, NotReceived> {
        if most == 0 {
            return Ok(0);
        }
        messages.push(self.receive(limits, wait)?);
        let mut count = 1;
        while count < most {
            if self.is_empty() {
                match self.receive_new(limits, Wait::Not) {
                    Ok(message) => messages.push(message),
                    // Told by the next call, which finds it too.
                    Err(NotReceived::Empty | NotReceived::Closed) => break,
                    Err(NotReceived::Fault(fault)) if matches!(*fault, Fault::System(_)) => break,
                    Err(NotReceived::Fault(fault)) => {
                        self.turn()?.put_fault(fault);
                        break;
                    }
                }
                count += 1;
                continue;
            }
            let mut turn = self.turn()?;
            while let Some(next) = turn.next(limits) {
                match next {
                    Ok(message) => messages.push(message),
                    Err(fault) => {
                        turn.put_fault(fault);
                        return Ok(count);
                    }
                }
                count += 1;
                if count == most {
                    break;
                }
            }
        }
        Ok(count)
    }
}

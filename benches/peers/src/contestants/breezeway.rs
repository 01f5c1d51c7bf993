//! This project, with `Bytes` in a derived message, as its docs/performance.md has it for long strings of bytes.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::message;
use crate::side::{Carry, Side, Typed, Work};
use breezeway::process::CommandExt;
use breezeway::{BufferedSender, Bytes, Channel, Hello, Limits, Message, Receiver, Waiting};
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

message!(
    #[derive(Clone, Message)]
    Msg,
    Bytes,
    fill
);

/// Writes in place what nobody else holds, and makes what is part of a received message anew.
fn fill(id: u64, body: &mut Bytes) {
    *body = match std::mem::take(body).try_into_mut() {
        Ok(mut own) => {
            own.fill(id as u8);
            own.freeze()
        }
        Err(shared) => vec![id as u8; shared.len()].into(),
    };
}

/// A message of 64 MiB by the others' encodings is four bytes more by this one, and that is the default limit.
fn limits() -> Limits {
    Limits::new().max_message(65 << 20)
}

fn hello() -> Hello {
    Hello::new().limits(limits())
}

/// Between two processes that are not each other's children.
pub(crate) fn contestant() -> Contestant {
    waiting("breezeway", "bincode, with `Bytes`; blocks", |meeting| between(meeting, Waiting::Block))
}

/// The same, awake for as long as that pays.
pub(crate) fn adaptive() -> Contestant {
    waiting("breezeway, `Adaptive`", "bincode, with `Bytes`; awake for up to 50 µs as long as that pays", |meeting| {
        between(meeting, Waiting::Adaptive)
    })
}

/// The same, awake until a message comes, or a turn is over.
pub(crate) fn spin() -> Contestant {
    const AWAKE: Duration = Duration::from_millis(1);
    waiting("breezeway, `Spin`", "bincode, with `Bytes`; awake for up to 1 ms", |meeting| between(meeting, Waiting::Spin(AWAKE)))
}

fn waiting(name: &'static str, how: &'static str, build: fn(&Meeting) -> Result<Box<dyn Side>>) -> Contestant {
    Contestant { name, how, package: Some("breezeway"), link: Link::Packets, build, unfit: any }
}

fn between(meeting: &Meeting, waiting: Waiting) -> Result<Box<dyn Side>> {
    side(Box::new(Channel::try_from(meeting.socket()?)?.with_waiting(waiting).with_limits(limits())), meeting)
}

/// Between a program and the one that it has started, whose end it notices too.
pub(crate) fn child() -> Contestant {
    let build = |meeting: &Meeting| {
        if meeting.near {
            let mut command = Command::new(std::env::current_exe()?);
            side(command.args(&meeting.far).with_channel::<Msg, Msg>().hello(hello()).spawn()?, meeting)
        } else {
            side(Box::new(breezeway::process::inherited_with(hello())?), meeting)
        }
    };
    Contestant {
        name: "breezeway, child",
        how: "the channel to a child, whose end it notices; bincode, with `Bytes`; blocks",
        package: Some("breezeway"),
        link: Link::Parent,
        build,
        unfit: any,
    }
}

/// One way as the documentation has it for a loop. What is collected is sent before an answer is waited for.
pub(crate) fn buffered() -> Contestant {
    let build = |meeting: &Meeting| {
        let (sender, receiver) = Channel::<Msg>::try_from(meeting.socket()?)?.with_limits(limits()).split();
        Ok(Typed::side(Buffered { sender: sender.buffered(), receiver }, meeting.size))
    };
    let unfit = |work, _| (work == Work::RoundTrip).then_some("there and back there is nothing to collect");
    let how = "bincode, with `Bytes`; collects what it sends one way; blocks";
    Contestant { name: "breezeway, buffered", how, package: Some("breezeway"), link: Link::Packets, build, unfit }
}

struct Buffered {
    sender: BufferedSender<Msg>,
    receiver: Receiver<Msg>,
}

impl Carry for Buffered {
    type Message = Msg;

    fn send(&mut self, message: Msg) -> Result<Option<Msg>> {
        self.sender.send(message)?;
        Ok(None)
    }

    fn receive(&mut self) -> Result<Msg> {
        self.settle()?;
        Ok(self.receiver.recv()?)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.sender.flush()?)
    }
}

fn side(channel: impl Deref<Target = Channel<Msg>> + 'static, meeting: &Meeting) -> Result<Box<dyn Side>> {
    Ok(Typed::side(Ours(channel), meeting.size))
}

struct Ours<C>(C);

impl<C: Deref<Target = Channel<Msg>>> Carry for Ours<C> {
    type Message = Msg;

    fn send(&mut self, message: Msg) -> Result<Option<Msg>> {
        self.0.send_ref(&message)?;
        Ok(Some(message))
    }

    fn receive(&mut self) -> Result<Msg> {
        Ok(self.0.recv()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Load;

    #[test]
    fn a_body_is_written_afresh_and_what_others_hold_is_not() {
        let mut message = Msg::request(1 << 10);
        message.fill(1);
        let held = message.clone();
        message.fill(2);
        assert_eq!((held.read(1 << 10).unwrap(), message.read(1 << 10).unwrap()), (Some(1), Some(2)));
    }
}

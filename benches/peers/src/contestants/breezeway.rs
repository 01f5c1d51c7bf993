//! This project, with a `Vec<u8>` in a derived message, as its README.md has it.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::message;
use crate::side::{Carry, Side, Typed};
use breezeway::process::CommandExt;
use breezeway::{Channel, Message, Waiting};
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

message!(
    #[derive(Clone, Message)]
    Msg,
    Vec<u8>
);

/// Between two processes that are not each other's children.
pub(crate) fn contestant() -> Contestant {
    waiting("breezeway", "bincode; blocks", |meeting| between(meeting, Waiting::Block))
}

/// The same, awake for as long as that pays.
pub(crate) fn adaptive() -> Contestant {
    waiting("breezeway, `Adaptive`", "bincode; awake for up to 50 µs as long as that pays", |meeting| between(meeting, Waiting::Adaptive))
}

/// The same, awake until a message comes, or a turn is over.
pub(crate) fn spin() -> Contestant {
    const AWAKE: Duration = Duration::from_millis(1);
    waiting("breezeway, `Spin`", "bincode; awake for up to 1 ms", |meeting| between(meeting, Waiting::Spin(AWAKE)))
}

fn waiting(name: &'static str, how: &'static str, build: fn(&Meeting) -> Result<Box<dyn Side>>) -> Contestant {
    Contestant { name, how, package: Some("breezeway"), link: Link::Packets, build, unfit: any }
}

fn between(meeting: &Meeting, waiting: Waiting) -> Result<Box<dyn Side>> {
    side(Box::new(Channel::try_from(meeting.socket()?)?.with_waiting(waiting)), meeting)
}

/// Between a program and the one that it has started, whose end it notices too.
pub(crate) fn child() -> Contestant {
    let build = |meeting: &Meeting| {
        if meeting.near {
            side(Command::new(std::env::current_exe()?).args(&meeting.far).spawn_with_channel::<Msg, Msg>()?, meeting)
        } else {
            side(Box::new(breezeway::process::inherited()?), meeting)
        }
    };
    Contestant {
        name: "breezeway, child",
        how: "the channel to a child, whose end it notices; bincode; blocks",
        package: Some("breezeway"),
        link: Link::Parent,
        build,
        unfit: any,
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

//! This project, with a `Vec<u8>` in a derived message, as its README.md has it.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::message;
use crate::side::{Carry, Side, Typed};
use breezeway::process::CommandExt;
use breezeway::{Channel, Message};
use std::ops::Deref;
use std::process::Command;

message!(
    #[derive(Clone, Message)]
    Msg,
    Vec<u8>
);

/// Between two processes that are not each other's children.
pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| side(Box::new(Channel::try_from(meeting.socket()?)?), meeting);
    Contestant { name: "breezeway", how: "bincode; blocks", package: Some("breezeway"), link: Link::Packets, build, unfit: any }
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

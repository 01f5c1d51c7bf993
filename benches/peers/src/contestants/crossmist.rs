//! crossmist: <https://docs.rs/crossmist/1.1.2>. A `Duplex`, and its own derive, for which `Vec<u8>` is bytes.

use super::Contestant;
use crate::Result;
use crate::kernel::adopt;
use crate::meeting::{Link, Meeting};
use crate::message::message;
use crate::side::{Carry, Side, Typed, Work};
use crossmist::{Duplex, Object};
use std::panic;

message!(
    #[derive(Object)]
    Msg,
    Vec<u8>
);

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> { Ok(Typed::side(Ends(adopt(meeting.socket()?)), meeting.size)) };
    Contestant { name: "crossmist", how: "its own encoding; blocks", package: Some("crossmist"), link: Link::Packets, build, unfit }
}

/// Tries whether a number can be sent: how crossmist 1.1.2 tells plain data from other objects depends on the compiler.
fn unfit(_: Work, _: usize) -> Option<&'static str> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let sent = panic::catch_unwind(|| crossmist::duplex::<u32, u32>()?.0.send(&1));
    panic::set_hook(hook);
    let works = matches!(sent, Ok(Ok(())));
    (!works).then_some("does not work with this compiler, because it cannot tell plain data from other objects")
}

struct Ends(Duplex<Msg, Msg>);

impl Carry for Ends {
    type Message = Msg;

    fn send(&mut self, message: Msg) -> Result<Option<Msg>> {
        self.0.send(&message)?;
        Ok(Some(message))
    }

    fn receive(&mut self) -> Result<Msg> {
        Ok(self.0.recv()?.ok_or("the other side has ended")?)
    }
}

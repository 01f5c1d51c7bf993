//! unix-ipc: <https://docs.rs/unix-ipc/0.2.2>. A sender and a receiver on each side, of one socket pair.

use super::{Contestant, any};
use crate::Result;
use crate::kernel::adopt;
use crate::meeting::{Link, Meeting};
use crate::message::Serde;
use crate::side::{Carry, Side, Typed};
use unix_ipc::{Receiver, Sender};

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        Ok(Typed::side(Channel(adopt(meeting.socket()?), adopt(meeting.socket()?)), meeting.size))
    };
    Contestant {
        name: "unix-ipc",
        how: "bincode 1, with serde_bytes; blocks",
        package: Some("unix-ipc"),
        link: Link::Stream,
        build,
        unfit: any,
    }
}

struct Channel(Sender<Serde>, Receiver<Serde>);

impl Carry for Channel {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        self.0.send(message)?;
        Ok(None)
    }

    fn receive(&mut self) -> Result<Serde> {
        Ok(self.1.recv()?)
    }
}

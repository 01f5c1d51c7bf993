//! ipc-channel: <https://docs.rs/ipc-channel/0.23.1>. Its messages are serde's, for which `serde_bytes` makes bytes of
//! what would else be a sequence of numbers (<https://docs.rs/serde_bytes>).

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::Serde;
use crate::side::{Carry, Side, Typed};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use std::io::{Read, Write};
use std::net::Shutdown;

/// What the far side has made for the near one: where to send, and where to receive.
type Ends = (IpcSender<Serde>, IpcReceiver<Serde>);

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let mut other = meeting.talk()?;
        let ends = if meeting.near {
            let (server, name) = IpcOneShotServer::<Ends>::new()?;
            other.write_all(name.as_bytes())?;
            other.shutdown(Shutdown::Write)?;
            Channel(server.accept()?.1)
        } else {
            let mut name = String::new();
            other.read_to_string(&mut name)?;
            let ((to_far, at_far), (to_near, at_near)) = (ipc::channel()?, ipc::channel()?);
            IpcSender::<Ends>::connect(name)?.send((to_far, at_near))?;
            Channel((to_near, at_far))
        };
        Ok(Typed::side(ends, meeting.size))
    };
    Contestant {
        name: "ipc-channel",
        how: "postcard, with serde_bytes; blocks",
        package: Some("ipc-channel"),
        link: Link::Stream,
        build,
        unfit: any,
    }
}

struct Channel(Ends);

impl Carry for Channel {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        self.0.0.send(message)?;
        Ok(None)
    }

    fn receive(&mut self) -> Result<Serde> {
        Ok(self.0.1.recv()?)
    }
}

//! A local socket of interprocess, and bincode.
//!
//! <https://docs.rs/interprocess/2.4.7/interprocess/local_socket/index.html>: its examples read through a
//! `BufReader`.

use super::stream::Stream;
use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::side::{Side, Typed};
use interprocess::TryClone;
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, prelude::*};

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let name = meeting.name.as_str().to_ns_name::<GenericNamespaced>()?;
        let stream = if meeting.near {
            let listener = ListenerOptions::new().name(name).create_sync()?;
            meeting.wait()?;
            listener.accept()?
        } else {
            meeting.wait()?;
            LocalSocketStream::connect(name)?
        };
        Ok(Typed::side(Stream::new(stream.try_clone()?, stream), meeting.size))
    };
    Contestant {
        name: "interprocess + bincode",
        how: "bincode, buffered; blocks",
        package: Some("interprocess"),
        link: Link::Stream,
        build,
        unfit: any,
    }
}

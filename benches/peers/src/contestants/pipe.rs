//! Two pipes of the standard library, and bincode: <https://doc.rust-lang.org/std/io/fn.pipe.html>.

use super::stream::Stream;
use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::side::{Side, Typed};
use std::io::{PipeReader, PipeWriter};

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let (reader, writer) = meeting.pipes()?;
        Ok(Typed::side(Stream::new(PipeReader::from(reader), PipeWriter::from(writer)), meeting.size))
    };
    Contestant { name: "pipe + bincode", how: "bincode, buffered; blocks", package: None, link: Link::Pipes, build, unfit: any }
}

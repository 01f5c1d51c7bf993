//! Typed messages on a byte stream: bincode into a buffered writer, which is flushed after each, and out of a buffered reader.
//!
//! bincode reads and writes streams by itself (<https://docs.rs/bincode/2.0.1/bincode/serde/index.html>); buffers are what its
//! documentation and that of `std::io` ask for.

use crate::Result;
use crate::message::Serde;
use crate::side::Carry;
use std::io::{BufReader, BufWriter, Read, Write};

/// What a pipe or socket takes at once, at most, before the other side has read. Chosen, not tuned.
const BUFFER: usize = 64 << 10;

pub(super) struct Stream<R, W: Write> {
    reader: BufReader<R>,
    writer: BufWriter<W>,
}

impl<R: Read, W: Write> Stream<R, W> {
    pub(super) fn new(reader: R, writer: W) -> Stream<R, W> {
        Stream { reader: BufReader::with_capacity(BUFFER, reader), writer: BufWriter::with_capacity(BUFFER, writer) }
    }
}

impl<R: Read, W: Write> Carry for Stream<R, W> {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        bincode::serde::encode_into_std_write(&message, &mut self.writer, bincode::config::standard())?;
        self.writer.flush()?;
        Ok(Some(message))
    }

    fn receive(&mut self) -> Result<Serde> {
        Ok(bincode::serde::decode_from_std_read(&mut self.reader, bincode::config::standard())?)
    }
}

//! The rules for parts that arrive one after the other (M51 to M54 and M56 of `docs/wire-format.md`), written down once more, and naively.

use breezeway::ProtocolError;

/// A receiver without limits.
#[derive(Default)]
pub(crate) struct Model {
    arriving: Option<(u64, Vec<u8>, u64)>,
    refused: Option<u64>,
}

/// What comes of a packet.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Nothing,
    /// A packet that is whole, header and all.
    Whole(Vec<u8>),
    Refused(ProtocolError),
}

impl Model {
    /// What is unfinished: its number, how much of it is there, and of how much.
    pub(crate) fn arriving(&self) -> Option<(u64, u64, u64)> {
        self.arriving.as_ref().map(|(id, whole, total)| (*id, whole.len() as u64, *total))
    }

    /// Takes a part.
    pub(crate) fn part(&mut self, id: u64, offset: u64, total: u64, bytes: &[u8]) -> Outcome {
        let refused = |expected| Outcome::Refused(ProtocolError::Part { expected, found: offset, total });
        if let Some((arriving, whole, of)) = self.arriving.as_mut().filter(|(arriving, ..)| *arriving == id) {
            if offset == u64::MAX {
                self.arriving = None;
                return Outcome::Nothing;
            }
            if offset == whole.len() as u64 && total == *of && offset + bytes.len() as u64 <= total {
                whole.extend(bytes);
                return self.finish();
            }
            let expected = whole.len() as u64;
            self.refused = Some(*arriving);
            self.arriving = None;
            return refused(expected);
        }
        if self.arriving.is_none() && self.refused == Some(id) || offset == u64::MAX {
            return Outcome::Nothing;
        }
        if offset > 0 {
            if self.arriving.is_none() {
                self.refused = Some(id);
            }
            return refused(0);
        }
        self.arriving = None;
        self.refused = Some(id);
        if total < 16 {
            return Outcome::Refused(ProtocolError::ShortHeader { expected: 16, found: total as usize });
        }
        if bytes.len() as u64 > total {
            return refused(0);
        }
        self.refused = None;
        self.arriving = Some((id, bytes.to_vec(), total));
        self.finish()
    }

    fn finish(&mut self) -> Outcome {
        match self.arriving.take_if(|(_, whole, total)| whole.len() as u64 == *total) {
            Some((_, whole, _)) => Outcome::Whole(whole),
            None => Outcome::Nothing,
        }
    }
}

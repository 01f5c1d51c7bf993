//! Parts to a message: what [`parts`](super::parts) sends, put together again.
//!
//! At most one message is unfinished, and takes the bytes that have arrived and no descriptors. Room for all of them is reserved when it begins, within
//! the limits; parts go where they belong without a copy. Whatever else arrives meanwhile is handed out at once.

use super::{NotReceived, Wait, no_buffer, open, receive_kind, receive_parts, receive_room, unpack};
use crate::error::{Fault, ProtocolError};
use crate::limits::Limits;
use crate::packet::{Buffer, List, Packet};
use crate::sys::message::Arrival;
use crate::sys::socket;
use crate::wire::part::{PART, Place, WITHDRAWN};
use crate::wire::{HEADER, Header, Kind};
use std::os::fd::{BorrowedFd, OwnedFd};

/// What an end receives, that which is expected first.
pub(crate) const ALL: [Kind; 3] = [Kind::Message, Kind::Batch, Kind::Part];

/// Packets that a receive takes which may not wait, before it says that there is nothing, where they are small. Chosen, not tuned: a peer that sends
/// parts without an end does not keep it for ever.
const AT_ONCE: usize = 1024;
/// So many bytes count as a packet more. The largest message is received at once all the same.
const COUNTED: usize = 16 * 1024;

/// What has arrived of a message.
#[derive(Debug, Default)]
pub(crate) struct Assembly(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// Boxed, because most ends never have one.
    Unfinished(Box<Unfinished>),
    /// The message has been refused, and the rest of it is passed over.
    Refused { id: u64 },
}

#[derive(Debug)]
struct Unfinished {
    id: u64,
    /// Bytes of the packet that was too long to be sent.
    total: usize,
    /// Those that are here.
    whole: Buffer,
    /// What came with the last part.
    descriptors: List<OwnedFd>,
}

impl Assembly {
    /// Whether a message is unfinished.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.0, State::Unfinished(_))
    }

    /// The bytes of the unfinished message.
    fn arrived(&self) -> usize {
        if let State::Unfinished(unfinished) = &self.0 { unfinished.whole.len() } else { 0 }
    }

    /// Receives packets, of which the first may be there, until a message is whole or another packet arrives.
    pub(crate) fn receive(
        &mut self,
        mut first: Option<(Header, Packet)>,
        socket: BorrowedFd<'_>,
        limits: &Limits,
        wait: Wait,
    ) -> Result<(Kind, Packet), NotReceived> {
        let mut left = AT_ONCE.saturating_add(limits.max_message / COUNTED * 2);
        loop {
            let before = self.arrived();
            let came = match first.take() {
                Some(packet) => Some(packet),
                None => self.next(socket, limits, wait)?,
            };
            let bytes = came.as_ref().map_or_else(|| self.arrived() - before, |(_, packet)| packet.body.as_slice().len());
            match came {
                Some((header, packet)) if header.kind != Kind::Part => return Ok((header.kind, packet)),
                Some((header, packet)) => self.begin(header, packet, limits)?,
                None => {}
            }
            if matches!(&self.0, State::Unfinished(unfinished) if unfinished.whole.len() == unfinished.total) {
                return Ok((Kind::Message, self.finish(limits)?));
            }
            left = left.saturating_sub(1 + bytes / COUNTED);
            if wait.is_over() && (left == 0 || !matches!(wait, Wait::Not)) {
                return Err(NotReceived::Empty);
            }
        }
    }

    /// Receives one packet; `None` if it was the unfinished message's next part.
    fn next(&mut self, socket: BorrowedFd<'_>, limits: &Limits, wait: Wait) -> Result<Option<(Header, Packet)>, NotReceived> {
        let State::Unfinished(unfinished) = &mut self.0 else { return receive_kind(&ALL, socket, limits, wait).map(Some) };
        let (before, mut head) = (unfinished.whole.len(), [0; PART]);
        let mut far = Buffer::new().or_with_room(receive_room(limits)).map_err(|_| no_buffer())?;
        let mut descriptors = List::new();
        let received = receive_parts(socket, &mut head, [unfinished.whole.spare(), far.spare()], &mut descriptors, wait);
        let unpacked = match received {
            Ok(arrival) if far.len() == 0 && unfinished.is_next(before, &arrival, head) => {
                let id = unfinished.id;
                let accepted = unfinished.accept(&arrival, head, &mut descriptors);
                return match accepted {
                    Ok(()) => Ok(None),
                    Err(fault) => {
                        socket::close_at_once(&descriptors);
                        self.0 = State::Refused { id };
                        Err(fault.into())
                    }
                };
            }
            Ok(arrival) => {
                // Something else has come, to where it does not belong.
                let (header, numbers) = halves(head);
                let numbers = numbers.split_at(arrival.bytes.clamp(HEADER, PART) - HEADER).0;
                let here = unfinished.whole.as_slice().get(before..).unwrap_or_default();
                let payload = Buffer::holding([numbers, here, far.as_slice()]).map_err(|_| no_buffer().into());
                payload.and_then(|payload| unpack(&ALL, &arrival, header, payload, &mut descriptors, limits))
            }
            Err(error) => Err(error),
        };
        unfinished.whole.truncate(before);
        match unpacked {
            Ok((header, (body, blobs))) => Ok(Some((header, Packet { body, blobs, descriptors }))),
            Err(error) => {
                socket::close_at_once(&descriptors);
                Err(error)
            }
        }
    }

    /// Takes a part that is not the unfinished message's next, and closes what came beside it for no message.
    fn begin(&mut self, header: Header, packet: Packet, limits: &Limits) -> Result<(), Fault> {
        let Packet { body, mut descriptors, .. } = packet;
        let result = self.turn_to(header, body.as_slice(), &mut descriptors, limits);
        socket::close_at_once(&descriptors);
        result
    }

    /// The part withdraws the unfinished message, by itself or because it begins another, or is out of place.
    fn turn_to(&mut self, header: Header, body: &[u8], descriptors: &mut List<OwnedFd>, limits: &Limits) -> Result<(), Fault> {
        let found = HEADER.saturating_add(body.len());
        let (place, bytes) = Place::decode(body).ok_or(ProtocolError::ShortHeader { expected: PART, found })?;
        let expected = match &self.0 {
            State::Refused { id } if *id == place.id => return Ok(()),
            _ if place.offset == WITHDRAWN => {
                if matches!(&self.0, State::Unfinished(unfinished) if unfinished.id == place.id) {
                    self.0 = State::Nothing;
                }
                return Ok(());
            }
            State::Unfinished(unfinished) if unfinished.id == place.id => unfinished.whole.len() as u64,
            _ if place.offset == 0 => {
                self.0 = State::Refused { id: place.id };
                let unfinished = Unfinished::begin(place.id, header, bytes, descriptors, limits)?;
                self.0 = State::Unfinished(Box::new(unfinished));
                return Ok(());
            }
            State::Unfinished(_) => return Err(out_of_place(0, place, header).into()),
            State::Refused { .. } | State::Nothing => 0,
        };
        self.0 = State::Refused { id: place.id };
        Err(out_of_place(expected, place, header).into())
    }

    /// Takes the message, all of which is here.
    fn finish(&mut self, limits: &Limits) -> Result<Packet, NotReceived> {
        let State::Unfinished(unfinished) = std::mem::take(&mut self.0) else { return Err(ProtocolError::Empty.into()) };
        let Unfinished { mut whole, mut descriptors, .. } = *unfinished;
        let opened = match whole.as_slice().first_chunk() {
            Some(header) => Header::decode(*header, &[Kind::Message]).map_err(NotReceived::from),
            None => Err(ProtocolError::ShortHeader { expected: HEADER, found: whole.len() }.into()),
        };
        whole.skip(HEADER);
        match opened.and_then(|header| open(header, whole, &mut descriptors, limits)) {
            Ok((body, blobs)) => Ok(Packet { body, blobs, descriptors }),
            Err(fault) => {
                socket::close_at_once(&descriptors);
                Err(fault)
            }
        }
    }
}

impl Unfinished {
    fn begin(id: u64, header: Header, bytes: &[u8], descriptors: &mut List<OwnedFd>, limits: &Limits) -> Result<Unfinished, Fault> {
        let most = limits.max_message.saturating_add(HEADER);
        match usize::try_from(header.body).unwrap_or(usize::MAX) {
            total if total > most => Err(Fault::TooLarge { limit: limits.max_message }),
            total if total < HEADER => Err(ProtocolError::ShortHeader { expected: HEADER, found: total }.into()),
            total if bytes.len() > total => Err(out_of_place(0, Place { id, offset: 0 }, header).into()),
            total if bytes.len() < total && !descriptors.is_empty() => {
                Err(ProtocolError::PartDescriptors { descriptors: descriptors.len() }.into())
            }
            total => {
                let mut whole = Buffer::large(total).map_err(|_| Fault::Memory(no_buffer()))?;
                whole.extend(bytes);
                Ok(Unfinished { id, total, whole, descriptors: std::mem::take(descriptors) })
            }
        }
    }

    /// Whether what has arrived behind the bytes before it is the next part.
    fn is_next(&self, before: usize, arrival: &Arrival, head: [u8; PART]) -> bool {
        let (header, numbers) = halves(head);
        let header = Header::decode(header, &[Kind::Part]);
        arrival.bytes >= PART
            && !arrival.cut
            && header.is_ok_and(|header| header.body == self.total as u64)
            && self.whole.len() <= self.total
            && Place::decode(&numbers).is_some_and(|(place, _)| place == Place { id: self.id, offset: before as u64 })
    }

    /// Looks at what came beside the part.
    fn accept(&mut self, arrival: &Arrival, head: [u8; PART], descriptors: &mut List<OwnedFd>) -> Result<(), Fault> {
        if arrival.descriptors_cut {
            return Err(Fault::FdTableFull);
        }
        let announced = Header::decode(halves(head).0, &[Kind::Part])?.descriptors.into();
        match descriptors.len() {
            found if found != announced => return Err(ProtocolError::DescriptorCount { announced, found }.into()),
            0 => {}
            descriptors if self.whole.len() < self.total => return Err(ProtocolError::PartDescriptors { descriptors }.into()),
            _ => self.descriptors = std::mem::take(descriptors),
        }
        Ok(())
    }
}

/// A part's header, and the two numbers behind it.
fn halves(head: [u8; PART]) -> ([u8; HEADER], [u8; PART - HEADER]) {
    let mut both = ([0; HEADER], [0; PART - HEADER]);
    let (header, numbers) = head.split_at(HEADER);
    both.0.copy_from_slice(header);
    both.1.copy_from_slice(numbers);
    both
}

fn out_of_place(expected: u64, place: Place, header: Header) -> ProtocolError {
    ProtocolError::Part { expected, found: place.offset, total: header.body }
}

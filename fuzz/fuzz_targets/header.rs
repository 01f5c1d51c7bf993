//! Whole packets of arbitrary bytes, each with up to three descriptors: the receiver says what the specification says, read naively.
//!
//! The first byte of the input is how many descriptors travel with the packet.

#![no_main]

use breezeway::testing::RawPeer;
use breezeway::{DecodeError, Fault, ProtocolError, Receiver, TryRecvError};
use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::fd::AsFd;

thread_local! {
    static ENDS: (RawPeer, Receiver<()>, File) = {
        let (peer, receiver) = RawPeer::of_receiver().unwrap();
        (peer, receiver, File::open("/dev/null").unwrap())
    };
}

fuzz_target!(|input: &[u8]| {
    let Some((descriptors, packet)) = input.split_first() else { return };
    // Parts are the other target's.
    if packet.get(1) == Some(&5) {
        return;
    }
    let descriptors = usize::from(descriptors % 4);
    ENDS.with(|(peer, receiver, file)| {
        peer.send(packet, &vec![file.as_fd(); descriptors]).unwrap();
        let expected = match parts(packet, descriptors) {
            Err(expected) => vec![Some(expected)],
            Ok(body) if packet[1] == 4 => batch(body),
            // A message of no bytes uses neither body nor descriptors nor blobs.
            Ok(body) => vec![match (body.len(), descriptors, usize::from(packet[6])) {
                (0, 0, 0) => None,
                (0, 0, count) => Some(Expected::Decode(DecodeError::BlobsUnused { count })),
                (0, count, _) => Some(Expected::Decode(DecodeError::DescriptorsUnused { count })),
                (count, ..) => Some(Expected::Decode(DecodeError::TrailingBytes { count })),
            }],
        };
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(receiver.has_buffered(), index > 0);
            match (receiver.try_recv(), expected) {
                (Ok(()), None) => {}
                (Err(TryRecvError::Fault(Fault::Protocol(found))), Some(Expected::Protocol(error))) => assert_eq!(found, *error),
                (Err(TryRecvError::Fault(Fault::Decode(found))), Some(Expected::Decode(error))) => assert_eq!(found, *error),
                (Err(TryRecvError::Fault(Fault::TooManyDescriptors { count, limit: 253 })), Some(Expected::TooMany(announced))) => {
                    assert_eq!(count, *announced);
                }
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
        assert!(!receiver.has_buffered());
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    });
});

#[derive(Debug)]
enum Expected {
    Protocol(ProtocolError),
    Decode(DecodeError),
    /// Only what is nested can be more than a packet carries.
    TooMany(usize),
}

impl From<ProtocolError> for Expected {
    fn from(error: ProtocolError) -> Expected {
        Expected::Protocol(error)
    }
}

/// What comes of each message of a batch, all of which should have no bytes.
fn batch(mut left: &[u8]) -> Vec<Option<Expected>> {
    let mut all = Vec::new();
    while !left.is_empty() {
        let length = if left.len() < 4 { 0 } else { number(&left[..4]) as usize };
        if 4 + length > left.len() {
            all.push(Some(Expected::Protocol(ProtocolError::ShortFrame { announced: 4 + length as u64, found: left.len() })));
            break;
        }
        all.push((length > 0).then_some(Expected::Decode(DecodeError::TrailingBytes { count: length })));
        left = &left[4 + length..];
    }
    all
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

/// The body, or what is wrong.
fn parts(packet: &[u8], descriptors: usize) -> Result<&[u8], Expected> {
    if packet.is_empty() {
        return Err(ProtocolError::Empty.into());
    }
    let Some((header, payload)) = packet.split_at_checked(16) else {
        return Err(ProtocolError::ShortHeader { expected: 16, found: packet.len() }.into());
    };
    if header[0] != 1 {
        return Err(ProtocolError::Version { expected: 1, found: header[0] }.into());
    }
    let is_batch = header[1] == 4;
    if header[1] != 1 && !is_batch {
        return Err(ProtocolError::Kind { expected: 1, found: header[1] }.into());
    }
    let flags = number(&header[2..4]) as u16;
    if flags > 3 {
        return Err(ProtocolError::Flags { found: flags & !3 }.into());
    }
    let blobs = number(&header[6..8]) as usize;
    if blobs > 64 {
        return Err(ProtocolError::BlobCount { announced: blobs, limit: 64 }.into());
    }
    let (announced, body) = (number(&header[4..6]) as usize, number(&header[8..16]));
    if is_batch && (announced > 0 || blobs > 0) {
        return Err(ProtocolError::NotAlone { descriptors: announced, blobs }.into());
    }
    if is_batch && body == 0 {
        return Err(ProtocolError::EmptyBatch.into());
    }
    let found = payload.len();
    let (in_memory, nested) = (flags & 1 == 1, flags & 2 == 2);
    if nested && announced == 0 {
        return Err(ProtocolError::EmptyNest.into());
    }
    if in_memory && found > 0 {
        return Err(ProtocolError::LongBody { announced: 0, found }.into());
    }
    let count = announced;
    let announced = if nested { 1 } else { count } + usize::from(in_memory);
    if announced != descriptors {
        return Err(ProtocolError::DescriptorCount { announced, found: descriptors }.into());
    }
    if count > 253 {
        return Err(Expected::TooMany(count));
    }
    // What travels here is `/dev/null`.
    if nested {
        return Err(ProtocolError::NotNested.into());
    }
    if in_memory {
        return Err(ProtocolError::NotMemory.into());
    }
    let front = body + 8 * blobs as u128;
    let short = |sum: u128| ProtocolError::ShortBody { announced: u64::try_from(sum).unwrap_or(u64::MAX), found }.into();
    if front > found as u128 {
        return Err(short(front));
    }
    let total = front + payload[body as usize..front as usize].chunks(8).map(number).sum::<u128>();
    match total.cmp(&(found as u128)) {
        std::cmp::Ordering::Greater => Err(short(total)),
        std::cmp::Ordering::Less => Err(ProtocolError::LongBody { announced: total as u64, found }.into()),
        std::cmp::Ordering::Equal => Ok(&payload[..body as usize]),
    }
}

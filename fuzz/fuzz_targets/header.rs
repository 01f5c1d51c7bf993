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
    let descriptors = usize::from(descriptors % 4);
    ENDS.with(|(peer, receiver, file)| {
        peer.send(packet, &vec![file.as_fd(); descriptors]).unwrap();
        let fault = match receiver.try_recv() {
            Ok(()) => None,
            Err(TryRecvError::Fault(fault)) => Some(fault),
            Err(error) => panic!("{error:?}"),
        };
        let body = match expected(packet, descriptors) {
            Ok(parts) => parts,
            Err(error) => {
                assert!(matches!(&fault, Some(Fault::Protocol(found)) if *found == error), "{fault:?} instead of {error:?}");
                return;
            }
        };
        // A message of no bytes uses neither body nor descriptors nor blobs.
        let blobs = usize::from(packet[6]);
        let error = match (body, descriptors, blobs) {
            (0, 0, 0) => None,
            (0, 0, count) => Some(DecodeError::BlobsUnused { count }),
            (0, count, _) => Some(DecodeError::DescriptorsUnused { count }),
            (count, ..) => Some(DecodeError::TrailingBytes { count }),
        };
        match (fault, error) {
            (None, None) => {}
            (Some(Fault::Decode(found)), Some(error)) => assert_eq!(found, error),
            (fault, error) => panic!("{fault:?} instead of {error:?}"),
        }
    });
});

/// The length of the body, or what is wrong.
fn expected(packet: &[u8], descriptors: usize) -> Result<usize, ProtocolError> {
    let le = |bytes: &[u8]| bytes.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    if packet.is_empty() {
        return Err(ProtocolError::Empty);
    }
    let Some((header, payload)) = packet.split_at_checked(16) else {
        return Err(ProtocolError::ShortHeader { expected: 16, found: packet.len() });
    };
    if header[0] != 1 {
        return Err(ProtocolError::Version { expected: 1, found: header[0] });
    }
    if header[1] != 1 {
        return Err(ProtocolError::Kind { expected: 1, found: header[1] });
    }
    let flags = le(&header[2..4]) as u16;
    if flags > 1 {
        return Err(ProtocolError::Flags { found: flags & !1 });
    }
    let blobs = le(&header[6..8]) as usize;
    if blobs > 64 {
        return Err(ProtocolError::BlobCount { announced: blobs, limit: 64 });
    }
    let found = payload.len();
    if flags == 1 && found > 0 {
        return Err(ProtocolError::LongBody { announced: 0, found });
    }
    let announced = le(&header[4..6]) as usize + usize::from(flags);
    if announced != descriptors {
        return Err(ProtocolError::DescriptorCount { announced, found: descriptors });
    }
    if flags == 1 {
        // What travels here is `/dev/null`.
        return Err(ProtocolError::NotMemory);
    }
    let body = le(&header[8..16]);
    let front = body + 8 * blobs as u128;
    let short = |sum: u128| ProtocolError::ShortBody { announced: u64::try_from(sum).unwrap_or(u64::MAX), found };
    if front > found as u128 {
        return Err(short(front));
    }
    let total = front + payload[body as usize..front as usize].chunks(8).map(le).sum::<u128>();
    match total.cmp(&(found as u128)) {
        std::cmp::Ordering::Greater => Err(short(total)),
        std::cmp::Ordering::Less => Err(ProtocolError::LongBody { announced: total as u64, found }),
        std::cmp::Ordering::Equal => Ok(body as usize),
    }
}

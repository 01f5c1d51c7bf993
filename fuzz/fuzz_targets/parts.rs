//! Parts of messages, and packets between them: a message is there exactly when all of its parts have come, and everything else is what the
//! specification says, read naively.
//!
//! The input is packets: a byte for what it is, a number, an offset from where the message is, a total, a length, and so many bytes.

#![no_main]

use assembly::{Model, Outcome};
use breezeway::testing::{RawPeer, packet};
use breezeway::{Fault, Receiver, TryRecvError};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/assembly.rs"]
mod assembly;

fuzz_target!(|input: &[u8]| {
    let (peer, receiver): (RawPeer, Receiver<()>) = RawPeer::of_receiver().unwrap();
    let (mut model, mut input) = (Model::default(), input);
    while let Some((&[what, id, shift, total, length], rest)) = input.split_first_chunk() {
        let (bytes, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        if what % 8 == 0 {
            peer.send(&packet(&[], &[], 0), &[]).unwrap();
            assert!(receiver.try_recv().is_ok(), "a message between parts");
            continue;
        }
        let id = u64::from(id % 4);
        let there = model.arriving().filter(|(arriving, ..)| *arriving == id);
        // Mostly where it belongs.
        let offset = match (what % 8, there) {
            (1, _) => u64::MAX,
            (2, _) => 0,
            (3, Some((_, there, _))) => there.wrapping_add(u64::from(shift)).wrapping_sub(128),
            (_, Some((_, there, _))) => there,
            (_, None) => u64::from(shift / 250),
        };
        let total = there.map(|(_, _, total)| total).filter(|_| shift != 7).unwrap_or(total.into());
        let numbers = [total, id, offset].map(u64::to_le_bytes).concat();
        peer.send(&[&[1, 5, 0, 0, 0, 0, 0, 0], numbers.as_slice(), bytes].concat(), &[]).unwrap();
        match (model.part(id, offset, total, bytes), receiver.try_recv()) {
            (Outcome::Nothing, Err(TryRecvError::Empty)) => {}
            (Outcome::Refused(expected), Err(TryRecvError::Fault(Fault::Protocol(found)))) => assert_eq!(found, expected),
            (Outcome::Whole(whole), Ok(())) => assert_eq!(whole[..8], [1, 1, 0, 0, 0, 0, 0, 0]),
            (Outcome::Whole(_), Err(TryRecvError::Fault(Fault::Protocol(_) | Fault::Decode(_)))) => {}
            (expected, found) => panic!("{found:?} instead of {expected:?}"),
        }
    }
});

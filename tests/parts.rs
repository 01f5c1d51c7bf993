//! Large messages that go in parts: whole or not at all, from any number of processes, with room for one of them at a receiver.

#[path = "support/assembly.rs"]
mod assembly;
#[path = "support/calls.rs"]
mod calls;
mod support;

use assembly::{Model, Outcome};
use breezeway::process::ForkedProcess;
use breezeway::select::Select;
use breezeway::socket::Socket;
use breezeway::testing::{FdLedger, RawPeer, batch_packet, packet};
use breezeway::{
    Blob, Channel, DecodeError, EncodeError, Fault, Fd, IntoFdError, Limits, ProtocolError, Receiver, SendError, SendFault, Sender,
    TryRecvError, channel,
};
use calls::{mark, record};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;
use support::{peak_resident_bytes, queued, resident_bytes, set_limit, set_send_buffer, some_file};

trials!(
    a_large_message_is_a_head_and_its_parts,
    parts_make_a_message,
    whole_packets_stand_between_parts,
    a_new_head_withdraws_what_is_unfinished,
    parts_out_of_place_are_refused,
    a_refused_message_costs_one_error,
    descriptors_travel_with_the_last_part,
    what_the_parts_make_is_looked_at_like_any_packet,
    the_end_withdraws_what_is_unfinished,
    random_packets_leave_what_the_rules_say,
    lies_about_sizes_are_errors_in_little_memory,
    heads_without_end_keep_no_receiver,
    what_a_child_sent_behind_many_parts_is_received,
    refused_parts_do_not_linger,
    nothing_is_kept_for_a_receiver_that_is_gone,
    an_end_with_an_unfinished_message_stays_where_it_is,
    a_part_is_readable_and_no_message,
    who_cannot_wait_sends_in_memory,
    nobody_has_to_receive,
    a_broken_socket_is_not_waited_for,
    a_deadline_is_that_of_every_part,
    one_of_two_senders_sends_parts,
    a_killed_sender_leaves_the_right_to_others,
    an_end_that_is_duplicated_goes_on_in_memory,
    an_end_that_comes_back_takes_no_right_away,
    several_processes_send_large_messages_at_once,
    small_queues_and_programs_have_the_road_too,
    the_calls_of_a_large_message,
    a_large_buffer_is_used_again;
    programs: a_program
);

const MIB: usize = 1 << 20;
const LARGE: usize = 6 * MIB;
/// Bytes of a part as this library sends it.
const PART: usize = MIB / 2;

/// A part as a peer writes it.
fn part(id: u64, offset: u64, total: u64, bytes: &[u8], descriptors: u16) -> Vec<u8> {
    let [low, high] = descriptors.to_le_bytes();
    [&[1, 5, 0, 0, low, high, 0, 0], &total.to_le_bytes()[..], &id.to_le_bytes(), &offset.to_le_bytes(), bytes].concat()
}

/// All parts of a packet, of so many bytes each.
fn parts(id: u64, packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let total = packet.len() as u64;
    packet
        .chunks(size)
        .scan(0, |offset, bytes| Some(part(id, std::mem::replace(offset, *offset + bytes.len() as u64), total, bytes, 0)))
        .collect()
}

fn of_text(text: &str) -> Vec<u8> {
    packet(&[&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), &[], 0)
}

fn is_empty<T>(received: Result<T, TryRecvError>) -> bool {
    matches!(received, Err(TryRecvError::Empty))
}

fn fault<T>(received: Result<T, TryRecvError>) -> Fault {
    match received {
        Err(TryRecvError::Fault(fault)) => fault,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was received"),
    }
}

fn protocol<T>(received: Result<T, TryRecvError>) -> ProtocolError {
    match fault(received) {
        Fault::Protocol(error) => error,
        fault => panic!("{fault:?}"),
    }
}

/// A sender that may send parts, and the other side as a bare socket.
fn bare<T>() -> (Sender<T>, Socket) {
    let (sender, receiver) = channel::<T>().unwrap();
    (sender, Socket::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap())
}

/// M51
fn a_large_message_is_a_head_and_its_parts() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, socket) = bare::<(Fd<File>, Blob)>();
    let blob: Vec<u8> = (0..LARGE).map(|index| (index / 255) as u8).collect();
    let attempt = || {
        let receive = || {
            let mut packets: Vec<(Vec<u8>, usize)> = Vec::new();
            while packets.iter().map(|(bytes, _)| bytes.len() - 32).sum::<usize>() < LARGE + 32 {
                let packet = socket.receive_packet(8 * MIB).unwrap().unwrap();
                if packet.bytes.len() == 16 {
                    return None;
                }
                packets.push((packet.bytes, packet.descriptors.len()));
            }
            Some(packets)
        };
        thread::scope(|scope| {
            let receiving = scope.spawn(receive);
            sender.send((Fd(some_file()), blob.clone().into())).unwrap();
            receiving.join().unwrap()
        })
    };
    // On a machine that is busy the receiver may seem to be at something else, and the message is in memory.
    let packets = std::iter::repeat_with(attempt).flatten().next().unwrap();
    let [index, body, table] = [0_u32.to_le_bytes().to_vec(), 0_u32.to_le_bytes().to_vec(), (LARGE as u64).to_le_bytes().to_vec()];
    let whole = [vec![1, 1, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0], index, body, table, blob].concat();
    let id = u64::from_le_bytes(packets[0].0[16..24].try_into().unwrap());
    let mut expected = vec![(part(id, 0, whole.len() as u64, &[], 0), 0)];
    expected.extend(parts(id, &whole, PART).into_iter().map(|bytes| (bytes, 0)));
    let (last, descriptors) = expected.last_mut().unwrap();
    (last[4], *descriptors) = (1, 1);
    assert!(
        packets == expected,
        "{:?} instead of {:?}",
        expected.iter().map(|(bytes, count)| (bytes.len(), *count)).collect::<Vec<_>>(),
        packets.iter().map(|(bytes, count)| (bytes.len(), *count)).collect::<Vec<_>>()
    );
    assert_eq!(expected.len(), 14);
}

/// M51, M52
fn parts_make_a_message() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let text = "the whole message".repeat(20);
    let whole = of_text(&text);
    for size in [1, 7, 16, 17, 100, whole.len() - 1, whole.len(), whole.len() + 1] {
        let parts = parts(size as u64, &whole, size);
        let (last, others) = parts.split_last().unwrap();
        for part in others {
            peer.send(part, &[]).unwrap();
            assert!(is_empty(receiver.try_recv()), "parts of {size}");
        }
        peer.send(last, &[]).unwrap();
        assert_eq!(receiver.try_recv().unwrap(), text, "parts of {size}");
        for part in [vec![part(!(size as u64), 0, whole.len() as u64, &[], 0)], parts].concat() {
            // After an empty head their id is another's.
            let mut part = part;
            part[16..24].copy_from_slice(&(!(size as u64)).to_le_bytes());
            peer.send(&part, &[]).unwrap();
        }
        assert_eq!(receiver.recv().unwrap(), text, "parts of {size} after a head");
    }
}

/// M56
fn whole_packets_stand_between_parts() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<(Vec<Fd<File>>, Blob)>().unwrap();
    let message = |files: &[u32], bytes: usize| {
        let body =
            [&(files.len() as u64).to_le_bytes()[..], &files.iter().flat_map(|file| file.to_le_bytes()).collect::<Vec<_>>(), &[0; 4]];
        packet(&body.concat(), &[&vec![7; bytes]], files.len() as u16)
    };
    let large = message(&[], 5 * MIB);
    // In front of the end of a buffer for the large one, and beyond it.
    for between in [1, 100, 70_000, 2 * MIB, 4 * MIB] {
        let small = message(&[0], between);
        for part in parts(between as u64, &large, MIB) {
            peer.send(&small, &[some_file().as_fd()]).unwrap();
            let (files, bytes) = receiver.try_recv().unwrap();
            assert_eq!(files.len(), 1);
            assert!(bytes[..] == vec![7; between]);
            assert!(!receiver.has_buffered());
            peer.send(&part, &[]).unwrap();
        }
        // The last has come, and stands behind nothing.
        let (files, bytes) = receiver.try_recv().unwrap();
        assert!(files.is_empty() && bytes[..] == vec![7; 5 * MIB]);
    }
    // A batch too, of which the rest is taken before the parts go on, and what is no message.
    let (peer, receiver) = RawPeer::of_receiver::<u8>().unwrap();
    let [first, second] =
        [0, 10].map(|offset| part(1, offset, 17, &packet(&[5], &[], 0)[offset as usize..][..10 - offset as usize * 3 / 10], 0));
    peer.send(&first, &[]).unwrap();
    peer.send(&batch_packet(&[&[1], &[2]]), &[]).unwrap();
    peer.send(&[1, 9, 0], &[]).unwrap();
    peer.send(&packet(&[3, 4], &[], 0), &[]).unwrap();
    peer.send(&second, &[]).unwrap();
    assert_eq!((receiver.try_recv().unwrap(), receiver.has_buffered(), receiver.try_recv().unwrap()), (1, true, 2));
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::ShortHeader { expected: 16, found: 3 });
    assert!(matches!(fault(receiver.try_recv()), Fault::Decode(DecodeError::TrailingBytes { count: 1 })));
    assert_eq!(receiver.try_recv().unwrap(), 5);
}

/// M52
fn a_new_head_withdraws_what_is_unfinished() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let (first, second) = (of_text("first"), of_text("second, which is longer"));
    peer.send(&parts(1, &first, 10)[0], &[]).unwrap();
    for part in parts(2, &second, 10) {
        peer.send(&part, &[]).unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap(), "second, which is longer");
    // And what comes of the first is of no message.
    peer.send(&parts(1, &first, 10)[1], &[]).unwrap();
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::Part { expected: 0, found: 10, total: first.len() as u64 });
    assert!(is_empty(receiver.try_recv()));
    // By itself, twice, and while nothing or something else is unfinished.
    let withdraw = |id| {
        peer.send(&part(id, u64::MAX, 0, &[], 0), &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
    };
    let begin = |id, whole: &[u8]| {
        peer.send(&parts(id, whole, 10)[0], &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
    };
    begin(3, &first);
    withdraw(3);
    withdraw(3);
    begin(4, &second);
    withdraw(3);
    parts(4, &second, 10)[1..].iter().for_each(|part| peer.send(part, &[]).unwrap());
    assert_eq!(receiver.try_recv().unwrap(), "second, which is longer");
    begin(5, &first);
    withdraw(5);
    assert!(OwnedFd::try_from(receiver).is_ok(), "nothing is kept");
}

/// M53, M54
fn parts_out_of_place_are_refused() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let whole = of_text("a message in its parts");
    let total = whole.len() as u64;
    let wrong = |part: Vec<u8>| {
        peer.send(&part, &[]).unwrap();
        protocol(receiver.try_recv())
    };
    let out_of_place = |expected, found, total| ProtocolError::Part { expected, found, total };
    assert_eq!(wrong(part(1, 5, total, &[1], 0)), out_of_place(0, 5, total), "of no message");
    let begin = |id| {
        peer.send(&parts(id, &whole, 10)[0], &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
    };
    let mut id = 1;
    for (wrong_part, error) in [
        (part(0, 11, total, &whole[11..], 0), out_of_place(10, 11, total)),
        (part(0, 9, total, &whole[9..], 0), out_of_place(10, 9, total)),
        (part(0, 0, total, &whole, 0), out_of_place(10, 0, total)),
        (part(0, 10, total + 1, &whole[10..], 0), out_of_place(10, 10, total + 1)),
        (part(0, 10, total, &[&whole[10..], &[0]].concat(), 0), out_of_place(10, 10, total)),
        (part(0, 10, total, &[7; 100_000], 0), out_of_place(10, 10, total)),
        (part(0, 10, total, &vec![7; 4 * MIB], 0), out_of_place(10, 10, total)),
        (part(0, u64::MAX - 1, u64::MAX, &[1], 0), out_of_place(10, u64::MAX - 1, u64::MAX)),
    ] {
        id += 1;
        begin(id);
        let with_id = |mut part: Vec<u8>| {
            part[16..24].copy_from_slice(&u64::to_le_bytes(id));
            part
        };
        assert_eq!(wrong(with_id(wrong_part)), error);
        // The rest of it is passed over.
        for part in parts(id, &whole, 10) {
            peer.send(&part, &[]).unwrap();
        }
        assert!(is_empty(receiver.try_recv()));
        // One of another message harms this one no more than any packet.
        begin(id + 100);
        assert_eq!(wrong(part(id + 200, 10, total, &whole[10..], 0)), out_of_place(0, 10, total));
        for part in &parts(id + 100, &whole, 10)[1..] {
            peer.send(part, &[]).unwrap();
        }
        assert_eq!(receiver.try_recv().unwrap(), "a message in its parts");
    }
    // Broken in itself: the message goes on.
    begin(90);
    assert_eq!(wrong(part(0, 0, 0, &[], 0)[..31].to_vec()), ProtocolError::ShortHeader { expected: 32, found: 31 });
    assert_eq!(wrong(part(0, 0, 0, &[], 0)[..16].to_vec()), ProtocolError::ShortHeader { expected: 32, found: 16 });
    let changed = |position: usize| {
        let mut part = part(90, 10, total, &whole[10..], 0);
        part[position] = 2;
        part
    };
    assert_eq!(wrong(changed(2)), ProtocolError::Flags { found: 2 });
    assert_eq!(wrong(changed(6)), ProtocolError::BlobCount { announced: 2, limit: 0 });
    assert_eq!(wrong(changed(4)), ProtocolError::DescriptorCount { announced: 2, found: 0 });
    // The last looks like the next part, and is the message's.
    peer.send(&parts(91, &whole, 100)[0], &[]).unwrap();
    assert_eq!(receiver.try_recv().unwrap(), "a message in its parts");
    // A message of less than a header, and a head with more than its message.
    assert_eq!(wrong(part(92, 0, 15, &[1; 15], 0)), ProtocolError::ShortHeader { expected: 16, found: 15 });
    assert_eq!(wrong(part(93, 0, 16, &[1; 17], 0)), out_of_place(0, 0, 16));
}

/// M52, M53
fn a_refused_message_costs_one_error() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(1000));
    thread::scope(|scope| {
        scope.spawn(|| {
            for size in [LARGE, LARGE, 10] {
                sender.send(vec![7; size].into()).unwrap();
            }
        });
        let refused = receiver.iter().map_while(|result| match result {
            Err(Fault::TooLarge { limit: 1000 }) => Some(()),
            result => {
                assert_eq!(result.unwrap().len(), 10);
                None
            }
        });
        // On a machine that is busy the receiver may seem to be at something else: then the message comes in memory too.
        assert!((2..=4).contains(&refused.count()));
    });
    // At the limit, and above it.
    let (peer, receiver) = RawPeer::of_receiver::<Vec<u8>>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(1000));
    let whole = |size: usize| packet(&[(size as u64 - 8).to_le_bytes().to_vec(), vec![7; size - 8]].concat(), &[], 0);
    for size in [300, 5000] {
        parts(size as u64, &whole(1000), size).iter().for_each(|part| peer.send(part, &[]).unwrap());
        assert_eq!(receiver.try_recv().unwrap().len(), 992);
        parts(!size as u64, &whole(1001), size).iter().for_each(|part| peer.send(part, &[]).unwrap());
        assert!(matches!(fault(receiver.try_recv()), Fault::TooLarge { limit: 1000 }));
        assert!(is_empty(receiver.try_recv()));
    }
    // A part that no room was made for, which says that it is of a small message.
    peer.send(&part(9, 0, 100, &[7; 5 * MIB / 2], 0), &[]).unwrap();
    assert!(matches!(fault(receiver.try_recv()), Fault::TooLarge { .. } | Fault::Protocol(ProtocolError::Part { .. })));
    peer.send(&whole(1000), &[]).unwrap();
    assert_eq!(receiver.try_recv().unwrap().len(), 992);
}

/// M55
fn descriptors_travel_with_the_last_part() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<(Fd<File>, String)>().unwrap();
    let file = some_file();
    let whole = packet(&[&[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], &b"abc"[..]].concat(), &[], 1);
    let total = whole.len() as u64;
    let open = FdLedger::open().unwrap();
    for (at, id) in [(0, 1), (10, 2)] {
        peer.send(&part(id, 0, total, &whole[..at], 0), &[]).unwrap();
        peer.send(&part(id + 10 * u64::from(at == 0), at as u64, total, &whole[at..20], 1), &[file.as_fd()]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::PartDescriptors { descriptors: 1 });
        open.check().unwrap();
    }
    for (announced, there) in [(0, 1), (2, 1), (1, 0)] {
        peer.send(&part(5 + announced, 0, total, &whole[..10], 0), &[]).unwrap();
        peer.send(&part(5 + announced, 10, total, &whole[10..], announced as u16), &vec![file.as_fd(); there]).unwrap();
        let error = ProtocolError::DescriptorCount { announced: announced as usize, found: there };
        assert_eq!(protocol(receiver.try_recv()), error);
        open.check().unwrap();
    }
    // As many as came, and others than the message has.
    peer.send(&part(20, 0, total, &whole, 2), &[file.as_fd(), file.as_fd()]).unwrap();
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::DescriptorCount { announced: 1, found: 2 });
    open.check().unwrap();
    for split in [0, 10] {
        peer.send(&part(21 + split, 0, total, &whole[..split as usize], 0), &[]).unwrap();
        peer.send(&part(21 + split, split, total, &whole[split as usize..], 1), &[file.as_fd()]).unwrap();
        assert_eq!(receiver.try_recv().unwrap().1, "abc");
    }
    // A full table loses the message.
    for split in [0, 10] {
        peer.send(&part(31 + split, 0, total, &whole[..split as usize], 0), &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
        peer.send(&part(31 + split, split, total, &whole[split as usize..], 1), &[file.as_fd()]).unwrap();
        set_limit(libc::RLIMIT_NOFILE, 0);
        assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull));
        support::no_descriptor_limit();
        assert!(is_empty(receiver.try_recv()));
    }
}

/// M51
fn what_the_parts_make_is_looked_at_like_any_packet() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
    let good = packet(&[1, 2, 3, 4], &[], 0);
    let mut id = 0;
    let mut make = |position: usize, byte: u8| {
        let mut packet = good.clone();
        packet[position] = byte;
        id += 1;
        parts(id, &packet, 9).iter().for_each(|part| peer.send(part, &[]).unwrap());
        let result = receiver.try_recv();
        assert!(is_empty(receiver.try_recv()));
        result
    };
    assert_eq!(make(0, 1).unwrap(), 0x0403_0201);
    assert_eq!(protocol(make(0, 2)), ProtocolError::Version { expected: 1, found: 2 });
    for kind in [2, 3, 4, 5] {
        assert_eq!(protocol(make(1, kind)), ProtocolError::Kind { expected: 1, found: kind }, "nothing but a message goes in parts");
    }
    assert_eq!(protocol(make(2, 1)), ProtocolError::LongBody { announced: 0, found: 4 }, "what is in memory is not in parts");
    assert_eq!(protocol(make(4, 1)), ProtocolError::DescriptorCount { announced: 1, found: 0 });
    assert_eq!(protocol(make(8, 5)), ProtocolError::ShortBody { announced: 5, found: 4 });
    assert_eq!(protocol(make(8, 3)), ProtocolError::LongBody { announced: 3, found: 4 });
}

/// M56
fn the_end_withdraws_what_is_unfinished() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    peer.send(&parts(1, &of_text("never whole"), 10)[0], &[]).unwrap();
    peer.send(&of_text("whole"), &[]).unwrap();
    drop(peer);
    assert_eq!(receiver.recv().unwrap(), "whole");
    assert!(receiver.recv().unwrap_err().is_closed());
    assert!(OwnedFd::try_from(receiver).is_ok(), "nothing is kept");
}

/// M51 to M54, M56
fn random_packets_leave_what_the_rules_say() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut state = seed;
    let mut random = move |below: u64| {
        // Xorshift64*.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    };
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let whole = |id: u64| of_text(&"x".repeat(id as usize * 7));
    let (mut model, mut counts) = (Model::default(), HashMap::<&str, usize>::new());
    let mut next = 1;
    for _ in 0..40_000 {
        let (expected, count) = if random(5) == 0 {
            peer.send(&of_text("between"), &[]).unwrap();
            (Outcome::Whole(of_text("between")), "between")
        } else {
            // Mostly what an honest sender would send.
            let (id, at, total) = match model.arriving() {
                Some(arriving) if random(10) > 0 => arriving,
                _ => {
                    next = next % 6 + 1;
                    (next, 0, whole(next).len() as u64)
                }
            };
            let packet = whole(id);
            let end = (at + random(20)).min(packet.len() as u64);
            let bytes = packet.get(at as usize..end as usize).unwrap_or_default();
            let (at, total) = (if random(15) == 0 { random(total) } else { at }, if random(20) == 0 { random(50) } else { total });
            // What it would become is text of the right length, or nothing: a total that is a lie is met by no honest header.
            if at + bytes.len() as u64 == total && total != packet.len() as u64 {
                continue;
            }
            peer.send(&part(id, at, total, bytes, 0), &[]).unwrap();
            (model.part(id, at, total, bytes), "")
        };
        let found = match receiver.try_recv() {
            Ok(text) => Outcome::Whole(of_text(&text)),
            Err(TryRecvError::Empty) => Outcome::Nothing,
            other => Outcome::Refused(protocol(other)),
        };
        assert_eq!(found, expected);
        let kind = match found {
            Outcome::Nothing => "nothing",
            Outcome::Whole(_) if count.is_empty() => "message",
            Outcome::Whole(_) => count,
            Outcome::Refused(_) => "refused",
        };
        *counts.entry(kind).or_default() += 1;
    }
    assert!(["nothing", "message", "between", "refused"].iter().all(|kind| counts[kind] > 500), "{counts:?}");
}

/// M37, M52
fn lies_about_sizes_are_errors_in_little_memory() {
    let _ledger = FdLedger::open().unwrap();
    set_limit(libc::RLIMIT_AS, 256 << 20);
    let (peer, receiver) = RawPeer::of_receiver::<Blob>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(1 << 40));
    for (id, total) in [1 << 29, 1 << 36, (1 << 40) + 16, (1 << 40) + 17, 1 << 63, u64::MAX].into_iter().enumerate() {
        peer.send(&part(id as u64, 0, total, &[1; 100], 0), &[]).unwrap();
        peer.send(&part(id as u64, 100, total, &[1; 100], 0), &[]).unwrap();
        match fault(receiver.try_recv()) {
            Fault::Memory(error) if total <= (1 << 40) + 16 => assert_eq!(error.source.kind(), std::io::ErrorKind::OutOfMemory),
            Fault::TooLarge { limit } if total > (1 << 40) + 16 => assert_eq!(limit, 1 << 40),
            fault => panic!("{total}: {fault:?}"),
        }
        assert!(is_empty(receiver.try_recv()));
    }
    // Room for what is announced takes no memory before it comes, and there is one at a time.
    let before = resident_bytes();
    for id in 10..200 {
        peer.send(&part(id, 0, 64 << 20, &[1; 100], 0), &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
    }
    assert!(resident_bytes() < before + 4 * MIB);
}

fn heads_without_end_keep_no_receiver() {
    for bytes in [0, MIB] {
        let (peer, receiver) = RawPeer::of_receiver::<Blob>().unwrap();
        let bytes = vec![0; bytes];
        let send = move |id| peer.send(&part(id, 0, 2 << 20, &bytes, 0), &[]).is_ok();
        let flood = thread::spawn(move || (0..).find(|&id| !send(id)));
        // Were it to go on until there is nothing, it might never come back.
        for _ in 0..3 {
            assert!(is_empty(receiver.try_recv()));
            let result = receiver.recv_timeout(Duration::from_millis(1));
            assert!(matches!(result, Err(breezeway::RecvTimeoutError::Timeout)), "{result:?}");
        }
        drop(receiver);
        flood.join().unwrap();
    }
}

/// More than one look takes, when there is nothing to wait for any more.
fn what_a_child_sent_behind_many_parts_is_received() {
    let child = ForkedProcess::<(), u8>::spawn(|channel: Channel<u8, ()>| {
        let socket = Socket::try_from(OwnedFd::try_from(channel).unwrap()).unwrap();
        for _ in 0..3000 {
            socket.send_packet(&[IoSlice::new(&part(1, u64::MAX, 0, &[], 0))], &[]).unwrap();
        }
        socket.send_packet(&[IoSlice::new(&packet(&[7], &[], 0))], &[]).unwrap();
    })
    .unwrap();
    let (channel, mut child) = child.into_parts();
    let channel = channel.with_limits(Limits::new().max_message(1000));
    assert!(child.wait().unwrap().success());
    assert_eq!(channel.recv().unwrap(), 7);
    assert!(channel.recv().unwrap_err().is_closed());
}

fn refused_parts_do_not_linger() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let whole = of_text("a message in its parts");
    let total = whole.len() as u64;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let send = |bytes: &[u8]| {
        // Data that nobody reads, and a wish to wait for it for an hour when closed: longer than the watchdog.
        let lingering = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _accepted = listener.accept().unwrap();
        lingering.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &lingering, &[0; 65536]).is_ok() {}
        support::linger(lingering.as_fd(), 3600);
        peer.send(bytes, &[lingering.as_fd()]).unwrap();
        drop(lingering);
        receiver.try_recv()
    };
    assert_eq!(protocol(send(&part(1, 0, total, &whole[..10], 1))), ProtocolError::PartDescriptors { descriptors: 1 });
    assert!(is_empty(send(&part(1, 10, total, &whole[10..], 1))), "passed over");
    assert!(is_empty(send(&part(2, u64::MAX, 0, &[], 1))), "withdrawn");
    assert_eq!(protocol(send(&part(0, 0, 0, &[], 1)[..20])), ProtocolError::ShortHeader { expected: 32, found: 20 });
    assert_eq!(protocol(send(&part(3, 9, total, &[], 1))), ProtocolError::Part { expected: 0, found: 9, total });
    peer.send(&part(4, 0, total, &whole[..10], 0), &[]).unwrap();
    assert!(is_empty(receiver.try_recv()));
    assert_eq!(protocol(send(&part(5, 9, total, &[], 1))), ProtocolError::Part { expected: 0, found: 9, total });
    assert_eq!(protocol(send(&part(4, 9, total, &[], 1))), ProtocolError::Part { expected: 10, found: 9, total });
}

fn nothing_is_kept_for_a_receiver_that_is_gone() {
    let (ours, theirs) = Channel::<Blob>::pair().unwrap();
    let ours = Socket::try_from(OwnedFd::try_from(ours).unwrap()).unwrap();
    // More than the process keeps for the next one.
    let (_sender, receiver) = theirs.with_limits(Limits::new().max_message(200 * MIB)).split();
    let before = resident_bytes();
    let bytes = vec![7; 4 * MIB];
    for offset in [0, 4 * MIB, 8 * MIB] {
        ours.send_packet(&[IoSlice::new(&part(7, offset as u64, 100 << 20, &bytes, 0))], &[]).unwrap();
        assert!(is_empty(receiver.try_recv()));
    }
    assert!(resident_bytes() > before + 12 * MIB, "it is there");
    drop((receiver, bytes));
    assert!(resident_bytes() < before + 10 * MIB);
}

#[derive(breezeway::Message)]
struct Moved {
    receiver: Receiver<String>,
}

fn an_end_with_an_unfinished_message_stays_where_it_is() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let whole = of_text("it has begun");
    let [first, second] = <[Vec<u8>; 2]>::try_from(parts(1, &whole, 20)).unwrap();
    peer.send(&first, &[]).unwrap();
    assert!(is_empty(receiver.try_recv()));
    assert!(!receiver.has_buffered(), "there is nothing to take");
    let Err(IntoFdError::NotEmpty(receiver)) = OwnedFd::try_from(receiver) else { panic!("it has become a descriptor") };
    let (sender, _other) = channel::<Moved>().unwrap();
    let (Moved { receiver }, fault) = match sender.send(Moved { receiver }) {
        Err(SendError::Fault(moved, fault)) => (moved, fault),
        result => panic!("{:?}", result.map_err(drop)),
    };
    assert!(matches!(fault, SendFault::Encode(EncodeError::NotEmpty)), "{fault:?}");
    peer.send(&second, &[]).unwrap();
    assert_eq!(receiver.try_recv().unwrap(), "it has begun");
    assert!(OwnedFd::try_from(receiver).is_ok());
}

fn a_part_is_readable_and_no_message() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    let select = Select::new().unwrap();
    let token = select.add(&receiver).unwrap();
    for part in parts(1, &of_text("part by part"), 10) {
        peer.send(&part, &[]).unwrap();
        assert_eq!(select.wait().unwrap().iter().collect::<Vec<_>>(), [token]);
        match receiver.try_recv() {
            Ok(text) => assert_eq!(text, "part by part"),
            Err(TryRecvError::Empty) => assert!(select.try_wait().unwrap().is_empty()),
            error => panic!("{error:?}"),
        }
    }
}

/// Whether the next packet is one in memory.
fn is_in_memory(socket: &Socket) -> bool {
    let packet = socket.receive_packet(8 * MIB).unwrap().unwrap();
    packet.bytes.len() == 16 && packet.bytes[1] == 1 && packet.bytes[2] == 1
}

fn who_cannot_wait_sends_in_memory() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, socket) = bare::<Blob>();
    sender.try_send(vec![1; LARGE].into()).unwrap();
    assert!(is_in_memory(&socket));
    // An end that came from elsewhere may not be the only one in this process.
    let (socket, other) = breezeway::socket::socketpair(
        breezeway::socket::Family::Unix,
        breezeway::socket::SocketType::SeqPacket,
        breezeway::socket::Protocol::None,
    )
    .unwrap();
    let sender = Sender::<Blob>::try_from(OwnedFd::from(other)).unwrap();
    sender.send(vec![1; LARGE].into()).unwrap();
    assert!(is_in_memory(&socket));
}

fn nobody_has_to_receive() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<(u32, Blob)>().unwrap();
    for number in 0..3 {
        sender.send((number, vec![number as u8; LARGE].into())).unwrap();
    }
    sender.send_timeout((3, vec![3; LARGE].into()), Duration::from_millis(1)).unwrap();
    for number in 0..4 {
        let (found, blob) = receiver.try_recv().unwrap();
        assert_eq!((found, blob[0], blob.len()), (number, number as u8, LARGE));
    }
    assert!(is_empty(receiver.try_recv()));
    assert!(OwnedFd::try_from(receiver).is_ok(), "of what was sent in parts before nothing is kept");
    // Both sides at once.
    let (left, right) = Channel::<Blob>::pair().unwrap();
    left.send(vec![1; 20 * MIB].into()).unwrap();
    right.send(vec![2; 20 * MIB].into()).unwrap();
    assert_eq!((left.recv().unwrap()[0], right.recv().unwrap()[0]), (2, 1));
}

/// The kernel calls it ready for ever, and what is queued takes no room away from anybody any more.
fn a_broken_socket_is_not_waited_for() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, ours) = Channel::<Blob>::pair().unwrap();
    let peer = Socket::try_from(OwnedFd::try_from(peer).unwrap()).unwrap();
    // More than the parts may have of it, so that not even the first is tried.
    ours.try_send(vec![1; 7 * MIB / 2].into()).unwrap();
    support::shutdown_both(peer.as_fd());
    assert!(ours.send_timeout(vec![2; LARGE].into(), Duration::ZERO).unwrap_err().is_closed());
    assert!(ours.send(vec![2; LARGE].into()).unwrap_err().is_closed());
}

/// Also where a child's death is waited for beside the socket, by attempts that do not wait.
fn a_deadline_is_that_of_every_part() {
    let (go, told) = channel::<()>().unwrap();
    let child = ForkedProcess::<Blob, ()>::spawn(move |_: Channel<(), Blob>| assert!(told.recv().is_ok())).unwrap();
    let (sender, _receiver) = channel::<Blob>().unwrap();
    let past = std::time::Instant::now();
    let send = || {
        mark();
        sender.send_deadline(vec![1; LARGE].into(), past).unwrap();
        mark();
    };
    let send_to_child = || {
        mark();
        child.send_deadline(vec![1; LARGE].into(), past).unwrap();
        mark();
    };
    for calls in record([&send, &send_to_child], |_, _| {}) {
        let count = |number| calls.iter().filter(|call| call.number == number).count();
        assert!(count(libc::SYS_sendmsg) > 3, "parts were sent: {calls:?}");
        assert_eq!(count(libc::SYS_ppoll), 0, "{calls:?}");
    }
    go.send(()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A sender in the middle of a large message: its head and a part are there.
fn in_the_middle(socket: &Socket) {
    for expected in [32, 32 + PART] {
        assert_eq!(socket.receive_packet(8 * MIB).unwrap().unwrap().bytes.len(), expected);
    }
}

fn one_of_two_senders_sends_parts() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, socket) = bare::<Blob>();
    let child = ForkedProcess::<(), ()>::spawn({
        let sender = sender.clone();
        move |channel: Channel<()>| {
            sender.send(vec![1; 32 * MIB].into()).unwrap();
            drop(channel);
        }
    })
    .unwrap();
    in_the_middle(&socket);
    // Another process, and another thread, which find that the right is taken.
    sender.send(vec![2; LARGE].into()).unwrap();
    assert_eq!(messages_under_way(&socket, 2), 1);
    assert!(child.wait().unwrap().success());
    thread::scope(|scope| {
        scope.spawn(|| sender.send(vec![3; 32 * MIB].into()).unwrap());
        in_the_middle(&socket);
        sender.send(vec![4; LARGE].into()).unwrap();
        assert_eq!(messages_under_way(&socket, 2), 1);
    });
}

/// Receives until so many messages are whole, and says of how many parts were under way at one moment. Who has sent some may go on in memory,
/// where it has to wait too long, and withdraws them.
fn messages_under_way(socket: &Socket, mut messages: usize) -> usize {
    let (mut under_way, mut most) = (HashSet::new(), 0);
    while messages > 0 {
        let bytes = socket.receive_packet(8 * MIB).unwrap().unwrap().bytes;
        if bytes[1] == 1 {
            messages -= 1;
            continue;
        }
        let [total, id, offset] = [8, 16, 24].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        if offset == u64::MAX {
            under_way.remove(&id);
            continue;
        }
        under_way.insert(id);
        most = most.max(under_way.len());
        if offset + bytes.len() as u64 - 32 == total {
            under_way.remove(&id);
            messages -= 1;
        }
    }
    most
}

fn a_killed_sender_leaves_the_right_to_others() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    let mut child = ForkedProcess::<(), ()>::spawn({
        let sender = sender.clone();
        move |channel: Channel<()>| {
            // Nobody receives it whole.
            sender.send(vec![1; 60 * MIB].into()).unwrap();
            drop(channel);
        }
    })
    .unwrap();
    while queued(receiver.as_fd()) < MIB {
        thread::yield_now();
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    thread::scope(|scope| {
        scope.spawn(|| sender.send(vec![2; 20 * MIB].into()).unwrap());
        let blob = receiver.recv().unwrap();
        // It may have gone on in memory before it was killed.
        let blob = if blob[0] == 1 { receiver.recv().unwrap() } else { blob };
        assert_eq!((blob[0], blob.len()), (2, 20 * MIB));
    });
}

fn an_end_that_is_duplicated_goes_on_in_memory() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, socket) = bare::<Blob>();
    let (other, received) = channel::<Carrier>().unwrap();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send(vec![1; 32 * MIB].into()).unwrap());
        in_the_middle(&socket);
        // The duplicate that travels is closed here, which takes the process's lock off.
        other.send(Carrier { sender: sender.clone() }).unwrap();
        let mut parts = 0;
        while socket.receive_packet(8 * MIB).unwrap().unwrap().bytes[1] == 5 {
            parts += 1;
        }
        assert!(parts < 16, "{parts}: what was in the queue, and no more");
        sending.join().unwrap();
    });
    let carried = received.recv().unwrap().sender;
    carried.send(vec![2; LARGE].into()).unwrap();
    assert!(is_in_memory(&socket));
    sender.send(vec![3; LARGE].into()).unwrap();
    assert!(is_in_memory(&socket));
}

/// From a fork that had it too. When it is closed the process's lock is gone.
fn an_end_that_comes_back_takes_no_right_away() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    let (back, returned) = channel::<Carrier>().unwrap();
    let (go, told) = channel::<()>().unwrap();
    let first = ForkedProcess::<(), ()>::spawn({
        let sender = sender.clone();
        move |_: Channel<()>| back.send(Carrier { sender }).unwrap()
    })
    .unwrap();
    let again = returned.recv().unwrap().sender;
    assert!(first.wait().unwrap().success());
    let second = ForkedProcess::<(), ()>::spawn({
        let sender = sender.clone();
        move |_: Channel<()>| {
            told.recv().unwrap();
            sender.send(vec![2; 60 * MIB].into()).unwrap();
        }
    })
    .unwrap();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send(vec![1; 32 * MIB].into()).unwrap());
        while queued(receiver.as_fd()) < MIB {
            thread::yield_now();
        }
        drop(again);
        go.send(()).unwrap();
        let mut found = [(); 2].map(|()| receiver.recv().unwrap()).map(|blob| (blob[0], blob.len()));
        found.sort_unstable();
        assert_eq!(found, [(1, 32 * MIB), (2, 60 * MIB)]);
        sending.join().unwrap();
    });
    assert!(second.wait().unwrap().success());
}

#[derive(breezeway::Message)]
struct Carrier {
    sender: Sender<Blob>,
}

/// Whole or not at all, and in the order of each: of four processes one is killed and one gives up.
fn several_processes_send_large_messages_at_once() {
    support::more_time(Duration::from_secs(60));
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<(u32, u32, Blob)>().unwrap();
    let before = peak_resident_bytes();
    let mut children: Vec<ForkedProcess<(), ()>> = (0..4)
        .map(|process| {
            let sender = sender.clone();
            ForkedProcess::spawn(move |_: Channel<()>| {
                for number in 0..if process == 0 { u32::MAX } else { 30 } {
                    let size = [100, LARGE, 12 * MIB, 70_000, 20 * MIB][number as usize % 5];
                    let message = (process, number, vec![(process * 50 + number % 50) as u8; size].into());
                    if process == 1 {
                        let _ = sender.send_timeout(message, Duration::from_micros(500));
                    } else {
                        sender.send(message).unwrap();
                    }
                }
            })
            .unwrap()
        })
        .collect();
    drop(sender);
    let mut next = [0; 4];
    for message in &receiver {
        let (process, number, blob) = message.unwrap();
        assert_eq!(blob.len(), [100, LARGE, 12 * MIB, 70_000, 20 * MIB][number as usize % 5]);
        let byte = (process * 50 + number % 50) as u8;
        let chunk = [byte; 4096];
        assert!(blob.chunks(chunk.len()).all(|found| *found == chunk[..found.len()]), "{process} {number}");
        let next = &mut next[process as usize];
        assert!(number >= *next && (process == 1 || number == *next), "{process}: {number} after {next}");
        *next = number + 1;
        if process == 0 && number == 11 {
            children[0].kill().unwrap();
        }
    }
    assert!(next[0] > 11 && next[2..] == [30, 30], "{next:?}");
    assert!(peak_resident_bytes() < before + 100 * MIB, "one unfinished message, one that was received, and a packet");
    for (process, child) in children.into_iter().enumerate() {
        assert_eq!(child.wait().unwrap().success(), process != 0);
    }
}

fn a_program() {
    let channel = breezeway::process::inherited::<Blob, Blob>().unwrap();
    while let Ok(blob) = channel.recv() {
        channel.send(blob).unwrap();
    }
}

/// As a program's peer sees it, and where a queue is as long as on older kernels.
fn small_queues_and_programs_have_the_road_too() {
    use breezeway::process::CommandExt;
    let _ledger = FdLedger::open().unwrap();
    let child = support::program("a_program").spawn_with_channel::<Blob, Blob>().unwrap();
    for _ in 0..2 {
        child.send(vec![5; 3 * LARGE].into()).unwrap();
        assert!(child.recv().unwrap().iter().all(|byte| *byte == 5));
    }
    assert!(child.wait().unwrap().success());
    let (sender, receiver) = channel::<Blob>().unwrap();
    set_send_buffer(sender.as_fd(), 212_992);
    thread::scope(|scope| {
        scope.spawn(|| sender.send(vec![6; LARGE].into()).unwrap());
        assert_eq!(receiver.recv().unwrap().len(), LARGE);
    });
}

/// Exact, so that a change is noticed; where nobody has to wait.
fn the_calls_of_a_large_message() {
    let (sender, receiver) = channel::<Blob>().unwrap();
    let send = || {
        let message = Blob::from(vec![1; LARGE]);
        mark();
        sender.send(message).unwrap();
        mark();
    };
    let receive = || {
        mark();
        assert_eq!(receiver.recv().unwrap().len(), LARGE);
        mark();
    };
    let count = |calls: &[calls::Call], number| calls.iter().filter(|call| call.number == number).count();
    // On a machine that is busy the receiver may seem to be at something else.
    let mut attempts = std::iter::repeat_with(|| record([&send, &receive], |_, _| {}));
    let [sent, received] = attempts.find(|[sent, _]| count(sent, libc::SYS_memfd_create) == 0).unwrap();
    // The packet that is too large; a head, and thirteen parts, and for each a look at the queue and the lock, which is given back.
    assert_eq!(count(&sent, libc::SYS_sendmsg), 1 + 14);
    assert_eq!(count(&sent, libc::SYS_fcntl), 14 + 1);
    assert_eq!(count(&received, libc::SYS_recvmsg), 14);
    let others = received.iter().filter(|call| ![libc::SYS_recvmsg, libc::SYS_mmap, libc::SYS_brk].contains(&call.number)).count();
    assert_eq!(others, 0, "{received:?}");
}

fn a_large_buffer_is_used_again() {
    let (peer, receiver) = RawPeer::of_receiver::<Blob>().unwrap();
    let whole = packet(&[0; 4], &[&vec![1; 20 * MIB]], 0);
    let address = |id| {
        let mut blob = None;
        for part in parts(id, &whole, 2 * MIB) {
            peer.send(&part, &[]).unwrap();
            blob = receiver.try_recv().ok();
        }
        blob.unwrap().as_ptr()
    };
    let [first, second] = [1, 2].map(address);
    assert_eq!(first, second);
}

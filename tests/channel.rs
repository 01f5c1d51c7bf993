//! What sending and receiving promise: waiting, limits, errors, and what an end can be made of.

mod support;

use breezeway::process::ForkedProcess;
use breezeway::socket::{Family, Protocol, Socket, SocketType, socketpair};
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{
    AdoptFault, Blob, Bytes, Channel, DecodeError, Fault, Fd, IntoFdError, Limits, Message, Receiver, RecvError, RecvTimeoutError,
    SendError, SendFault, SendTimeoutError, Sender, TryRecvError, TrySendError, Waiting, channel,
};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

trials!(
    messages_arrive_in_order_in_both_directions,
    receiving_has_every_form_of_waiting,
    sending_has_every_form_of_waiting,
    a_failed_send_gives_the_message_back,
    a_fault_ends_nothing,
    iterators_yield_faults_and_stop_at_the_end,
    many_threads_send_at_once,
    a_deadline_finds_room_that_poll_does_not_tell_of,
    refused_sockets_do_not_linger,
    a_dropped_half_lets_go_of_what_was_queued,
    a_blob_is_bytes_to_every_other_serializer,
    a_signal_interrupts_nothing,
    somebody_elses_o_nonblock_changes_nothing,
    a_message_above_the_limit_is_told_with_its_size,
    limits_hold_for_what_arrives,
    a_bare_packet_above_the_packet_size_is_told_with_its_size,
    bytes_of_every_size_arrive,
    received_bytes_pin_only_themselves,
    received_bytes_pin_at_most_four_times_themselves,
    no_bytes_of_an_earlier_message_come_back,
    an_end_becomes_a_descriptor_and_back,
    what_is_no_end_is_given_back,
    options_of_a_foreign_socket_are_switched_off,
    no_end_lands_on_a_closed_standard_descriptor,
    errors_are_ordinary_errors,
    errors_say_nothing_of_the_message,
    everything_is_debug_without_its_message,
    raw_packets_carry_parts_and_descriptors,
    a_raw_packet_says_what_was_cut,
    typed_messages_travel_on_a_bare_socket,
);

fn messages_arrive_in_order_in_both_directions() {
    let _ledger = FdLedger::open().unwrap();
    let child = ForkedProcess::spawn(|channel: Channel<(u32, String), u32>| {
        for number in &channel {
            let number = number.unwrap();
            channel.send((number, number.to_string())).unwrap();
        }
    })
    .unwrap();
    // As many as are sure to be under way at once without filling both directions.
    for batch in 0..50 {
        (0..100).for_each(|number| child.send(batch * 100 + number).unwrap());
        for number in batch * 100..batch * 100 + 100 {
            assert_eq!(child.recv().unwrap(), (number, number.to_string()));
        }
    }
    assert!(child.wait().unwrap().success());
}

const SOON: Duration = Duration::from_millis(20);

fn past() -> Instant {
    // The monotonic clock starts at boot, so this is in the past of any test.
    Instant::now().checked_sub(Duration::from_millis(1)).unwrap()
}

fn receiving_has_every_form_of_waiting() {
    for waiting in [Waiting::Block, Waiting::Adaptive, Waiting::Spin(SOON / 2), Waiting::Spin(Duration::MAX)] {
        receives_in_every_form(waiting);
    }
}

fn receives_in_every_form(waiting: Waiting) {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let receiver = receiver.with_waiting(waiting);
    assert!(receiver.try_recv().unwrap_err().is_empty());
    assert!(receiver.recv_timeout(Duration::ZERO).unwrap_err().is_timeout());
    assert!(receiver.recv_deadline(past()).unwrap_err().is_timeout());
    let begin = Instant::now();
    assert!(receiver.recv_timeout(SOON).unwrap_err().is_timeout());
    assert!(begin.elapsed() >= SOON);
    (1..=5).for_each(|message| sender.send(message).unwrap());
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(receiver.try_recv().unwrap(), 2);
    assert_eq!(receiver.recv_timeout(Duration::ZERO).unwrap(), 3, "what is there is received, whatever the time");
    assert_eq!(receiver.recv_deadline(past()).unwrap(), 4);
    assert_eq!(receiver.recv_timeout(Duration::MAX).unwrap(), 5);
    // Waiting does not miss what comes meanwhile.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || (receiver.recv_timeout(Duration::from_secs(3600)).unwrap(), receiver));
        sender.send(6).unwrap();
        let (message, receiver) = waiter.join().unwrap();
        assert_eq!(message, 6);
        drop(sender);
        assert!(receiver.recv_timeout(Duration::MAX).unwrap_err().is_closed());
        assert!(receiver.recv_deadline(past()).unwrap_err().is_closed());
    });
}

fn sending_has_every_form_of_waiting() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.try_send(0).unwrap();
    sender.send_timeout(1, Duration::ZERO).unwrap();
    sender.send_timeout(2, Duration::MAX).unwrap();
    sender.send_deadline(3, past()).unwrap();
    let mut sent = 4;
    let full = loop {
        match sender.try_send(sent) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(full.is_full());
    assert_eq!(full.into_message(), sent);
    assert!(sender.send_timeout(sent, Duration::ZERO).unwrap_err().is_timeout());
    assert!(sender.send_deadline(sent, past()).unwrap_err().is_timeout());
    let begin = Instant::now();
    assert_eq!(sender.send_timeout(sent, SOON).unwrap_err().into_message(), sent);
    assert!(begin.elapsed() >= SOON);
    // A send that waits goes on when there is room, and nothing was lost or sent twice.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sender.send(sent).unwrap();
            sender.send_timeout(sent + 1, Duration::from_secs(3600)).unwrap();
        });
        (0..sent + 2).for_each(|message| assert_eq!(receiver.recv().unwrap(), message));
    });
    while sender.try_send(0).is_ok() {}
    drop(receiver);
    assert!(sender.try_send(0).unwrap_err().is_closed());
    assert!(sender.send_timeout(0, Duration::MAX).unwrap_err().is_closed());
    assert!(sender.send_deadline(0, past()).unwrap_err().is_closed());
}

#[derive(Message)]
struct Carries {
    file: std::fs::File,
    refuses: Option<Refuses>,
}

#[derive(Message)]
struct Carried(Receiver<u32>);

#[derive(Message)]
struct Refuses(#[message(opaque = "v1")] Never);

#[derive(Deserialize)]
struct Never;

impl Serialize for Never {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

fn a_failed_send_gives_the_message_back() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let message = Carries { file: support::some_file(), refuses: Some(Refuses(Never)) };
    let number = message.file.as_raw_fd();
    let mut back = sender.send(message).unwrap_err().into_message();
    assert_eq!(back.file.as_raw_fd(), number, "the same open file");
    back.refuses = None;
    sender.send(back).unwrap();
    receiver.recv().unwrap();
    drop(receiver);
    let back = sender.send(Carries { file: support::some_file(), refuses: None }).unwrap_err().into_message();
    back.file.metadata().unwrap();
}

fn a_fault_ends_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<bool>().unwrap();
    for round in 0..3 {
        peer.send(b"rubbish", &[]).unwrap();
        peer.send(&packet(&[7], &[], 0), &[]).unwrap();
        peer.send(&packet(&[round % 2], &[], 0), &[]).unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Protocol(_)))));
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Fault(Fault::Decode(_)))));
        assert_eq!(receiver.recv_timeout(Duration::MAX).unwrap(), round % 2 == 1);
    }
}

fn iterators_yield_faults_and_stop_at_the_end() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<bool>().unwrap();
    let say = || [&[1][..], &[2], &[0]].iter().for_each(|body| peer.send(&packet(body, &[], 0), &[]).unwrap());
    let text = |item: Result<bool, Fault>| item.map_or("fault".to_owned(), |value| value.to_string());
    let expected = ["true", "fault", "false"];
    say();
    assert_eq!(receiver.try_iter().map(text).collect::<Vec<_>>(), expected);
    assert_eq!(receiver.try_iter().count(), 0);
    say();
    assert_eq!(receiver.iter().take(3).map(text).collect::<Vec<_>>(), expected);
    say();
    drop(peer);
    assert_eq!((&receiver).into_iter().map(text).collect::<Vec<_>>(), expected);
    assert!(receiver.iter().next().is_none());
    assert!(receiver.into_iter().next().is_none());
}

fn many_threads_send_at_once() {
    let _ledger = FdLedger::open().unwrap();
    // Derived, so that the body is one run of bytes: element by element it takes a debug build a second.
    #[derive(Message)]
    struct Parcel(usize, u32, Vec<u8>);
    let (sender, receiver) = channel::<Parcel>().unwrap();
    let (threads, messages) = (8, 500);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let sender = sender.clone();
            scope.spawn(move || {
                (0..messages).for_each(|number| assert!(sender.send(Parcel(thread, number, vec![thread as u8; 2000])).is_ok()))
            });
        }
        drop(sender);
        let mut next = vec![0; threads];
        for message in &receiver {
            let Parcel(thread, number, body) = message.unwrap();
            assert_eq!(number, next[thread], "in each sender's order");
            assert!(body.len() == 2000 && body.iter().all(|byte| usize::from(*byte) == thread), "whole");
            next[thread] += 1;
        }
        assert_eq!(next, vec![messages; threads]);
    });
}

fn a_deadline_finds_room_that_poll_does_not_tell_of() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let queued = (0..).take_while(|message| sender.try_send(*message).is_ok()).count();
    // Half of it is free, and the kernel says writable at three quarters.
    receiver.try_iter().take(queued / 2).for_each(|message| assert!(message.is_ok()));
    sender.send_timeout(7, SOON).unwrap();
    sender.send_deadline(8, past()).unwrap();
}

fn refused_sockets_do_not_linger() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<u8>().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (bytes, count) in [(packet(&[7], &[], 1), 1), (packet(&[7], &[], 2), 1), (packet(&[7, 7], &[], 1), 1), (vec![], 1)] {
        // Data that nobody reads, and a wish to wait for it for an hour when closed: longer than the watchdog.
        let lingering = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _accepted = listener.accept().unwrap();
        lingering.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &lingering, &[0; 65536]).is_ok() {}
        support::linger(lingering.as_fd(), 3600);
        peer.send(&bytes, &vec![lingering.as_fd(); count]).unwrap();
        support::linger(lingering.as_fd(), 3600);
        drop(lingering);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Fault(_))));
    }
}

fn a_dropped_half_lets_go_of_what_was_queued() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = Channel::<Fd<std::fs::File>>::pair().unwrap();
    let (sender, receiver) = theirs.split();
    let (watched, end) = channel::<u32>().unwrap();
    let carried = std::fs::File::from(OwnedFd::try_from(watched).unwrap());
    ours.send(Fd(carried)).unwrap();
    assert!(end.try_recv().unwrap_err().is_empty());
    drop(receiver);
    assert!(end.try_recv().unwrap_err().is_closed(), "the last sender was queued there");
    drop(sender);
}

fn a_blob_is_bytes_to_every_other_serializer() {
    for length in [0, 10, 4095, 4096, 100_000] {
        let blob = Blob::from(vec![7; length]);
        let config = bincode::config::legacy();
        let encoded = bincode::serde::encode_to_vec(&blob, config).unwrap();
        assert_eq!(bincode::serde::decode_from_slice::<Blob, _>(&encoded, config).unwrap().0, blob, "{length}");
        assert_eq!(serde_json::from_value::<Vec<u8>>(serde_json::to_value(&blob).unwrap()).unwrap(), blob.to_vec());
    }
}

fn a_signal_interrupts_nothing() {
    let _ledger = FdLedger::open().unwrap();
    support::catch(libc::SIGUSR1);
    let (to, from) = Channel::<u32>::pair().unwrap();
    let done = AtomicBool::new(false);
    let receiving = support::Thread::this();
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            // Often enough to hit every kind of wait; each message lets the receiver go on.
            for message in 0..300 {
                (0..20).for_each(|_| receiving.signal(libc::SIGUSR1));
                to.send(message).unwrap();
            }
            while to.try_send(0).is_ok() {}
            while !done.load(Ordering::Acquire) {
                receiving.signal(libc::SIGUSR1);
                std::thread::yield_now();
            }
        });
        for message in 0..300 {
            let received = if message % 2 == 0 { from.recv().unwrap() } else { from.recv_timeout(Duration::from_secs(3600)).unwrap() };
            assert_eq!(received, message);
        }
        while from.try_send(0).is_ok() {}
        assert!(from.send_timeout(0, SOON).unwrap_err().is_timeout());
        from.try_iter().for_each(|message| assert_eq!(message.unwrap(), 0));
        assert!(from.recv_timeout(SOON).unwrap_err().is_timeout());
        done.store(true, Ordering::Release);
    });
}

fn somebody_elses_o_nonblock_changes_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = Channel::<u32>::pair().unwrap();
    support::set_nonblocking(ours.as_fd());
    support::set_nonblocking(theirs.as_fd());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            assert_eq!(theirs.recv().unwrap(), 1, "waits although the description does not block");
            theirs
        });
        ours.send(1).unwrap();
        let theirs = waiter.join().unwrap();
        let mut sent = 0;
        while theirs.try_send(sent).is_ok() {
            sent += 1;
        }
        scope.spawn(move || theirs.send(sent).unwrap());
        (0..=sent).for_each(|message| assert_eq!(ours.recv().unwrap(), message));
    });
}

fn a_message_above_the_limit_is_told_with_its_size() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<(u32, Blob)>().unwrap();
    let sender = sender.with_limits(Limits::new().max_message(10_000));
    // A number, the blob's index, its entry in the table.
    let fits = 10_000 - 4 - 4 - 8;
    sender.send((1, vec![0; fits].into())).unwrap();
    let error = sender.send((2, vec![0; fits + 1].into())).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::TooLarge { size: 10_001, limit: 10_000 })), "{error:?}");
    assert_eq!(error.into_message().1.len(), fits + 1);
    assert_eq!(receiver.recv().unwrap().0, 1);
    assert!(receiver.try_recv().unwrap_err().is_empty());
    // The same without blobs; only counted beyond the limit.
    let (sender, _receiver) = channel::<String>().unwrap();
    let error = sender.with_limits(Limits::new().max_message(100)).send("x".repeat(1 << 20)).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::TooLarge { size, limit: 100 }) if *size == (1 << 20) + 8));
}

fn limits_hold_for_what_arrives() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<String>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(1000));
    for length in [992, 993, 5000, 100_000, 992] {
        sender.send("x".repeat(length)).unwrap();
        match receiver.recv() {
            Ok(text) => assert_eq!((text.len(), length), (992, 992)),
            Err(RecvError::Fault(Fault::TooLarge { limit: 1000 })) => assert!(length > 992),
            Err(error) => panic!("{error:?}"),
        }
    }
    let (peer, receiver) = RawPeer::of_receiver::<Option<Option<Option<bool>>>>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_depth(2));
    peer.send(&packet(&[1, 1, 1, 1], &[], 0), &[]).unwrap();
    peer.send(&packet(&[1, 1, 0], &[], 0), &[]).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Decode(DecodeError::TooDeep { limit: 2 })))));
    assert_eq!(receiver.recv().unwrap(), Some(Some(None)));
}

/// A bare packet is a packet: what fits in none is told with what would fit.
fn a_bare_packet_above_the_packet_size_is_told_with_its_size() {
    let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    support::set_send_buffer(left.as_fd(), 2304);
    let send = |length: usize| left.send_packet(&[IoSlice::new(&[0; 16]), IoSlice::new(&vec![7; length])], &[]);
    let error = send(8000).unwrap_err().downcast::<SendFault>().unwrap();
    assert!(matches!(error, SendFault::TooLarge { size: 8000, limit: 4560 }), "{error:?}");
    send(4560).unwrap();
    assert_eq!(right.receive_packet(8000).unwrap().unwrap().bytes.len(), 16 + 4560);
}

#[derive(Message, PartialEq, Debug, Clone)]
struct Bodies {
    bytes: Bytes,
    vec: Vec<u8>,
    more: Vec<Bytes>,
    last: Option<Bytes>,
}

fn bytes_of_every_size_arrive() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let body = |length: usize| (0..length).map(|index| (index * 7 % 251) as u8).collect::<Vec<u8>>();
    for length in [0, 1, 100, 4095, 4096, 4097, 65_536, 500_000, 1 << 20] {
        let bodies = Bodies { bytes: body(length).into(), vec: body(length), more: vec![], last: Some(body(length / 2).into()) };
        sender.send(bodies.clone()).unwrap();
        assert_eq!(receiver.recv().unwrap(), bodies, "{length}");
    }
    // More large ones than a packet has room for beside the body: the rest goes inside it.
    let more = (0..100).map(|index| Bytes::from(body(5000 + index))).collect();
    let bodies = Bodies { bytes: Bytes::new(), vec: vec![], more, last: None };
    sender.send(bodies.clone()).unwrap();
    assert_eq!(receiver.recv().unwrap(), bodies);
}

fn received_bytes_pin_only_themselves() {
    let (sender, receiver) = channel::<Vec<Blob>>().unwrap();
    let before = support::resident_bytes();
    let kept: Vec<Blob> = (0..500)
        .map(|_| {
            sender.send(vec![vec![1; 100_000].into(), vec![2; 4096].into(), vec![3; 10].into()]).unwrap();
            let mut all = receiver.recv().unwrap();
            all.remove(0);
            all
        })
        .flat_map(|mut small| [small.remove(0), small.remove(0)])
        .collect();
    let grown = support::resident_bytes().saturating_sub(before);
    assert!(kept.iter().all(|blob| blob.len() <= 4096));
    // 500 × 4 KiB and book-keeping are kept; the 50 MB that arrived beside them are not.
    assert!(grown < 10_000_000, "{grown} bytes");
}

/// A byte string of a quarter of the receive buffer keeps that buffer, also where an earlier message has filled all of it.
fn received_bytes_pin_at_most_four_times_themselves() {
    const LENGTH: usize = 1_200_000;
    let (sender, receiver) = channel::<Blob>().unwrap();
    let before = support::resident_bytes();
    let kept: Vec<Blob> = (0..20)
        .flat_map(|_| {
            sender.send(vec![1; LENGTH].into()).unwrap();
            let kept = receiver.recv().unwrap();
            sender.send(vec![2; 4_000_000].into()).unwrap();
            assert_eq!(receiver.recv().unwrap().len(), 4_000_000);
            Some(kept)
        })
        .collect();
    let grown = support::resident_bytes().saturating_sub(before);
    assert!(kept.iter().all(|blob| blob.len() == LENGTH && blob.iter().all(|byte| *byte == 1)));
    assert!(grown < 20 * 4 * LENGTH + 10_000_000, "{grown} bytes");
}

fn no_bytes_of_an_earlier_message_come_back() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<String>().unwrap();
    peer.send(&packet(&[&14_u64.to_le_bytes()[..], b"a long secret!"].concat(), &[], 0), &[]).unwrap();
    assert_eq!(receiver.recv().unwrap(), "a long secret!");
    // It says that it has 14 bytes as well, and has 2.
    peer.send(&packet(&[&14_u64.to_le_bytes()[..], b"a "].concat(), &[], 0), &[]).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Decode(DecodeError::Truncated { missing: 12 })))));
    // And on the way out: the second packet is as long as the second message.
    let (peer, sender) = RawPeer::of_sender().unwrap();
    sender.send("a long secret!".to_owned()).unwrap();
    sender.send("short".to_owned()).unwrap();
    assert_eq!(peer.receive().unwrap().unwrap().bytes.len(), 16 + 8 + 14);
    assert_eq!(peer.receive().unwrap().unwrap().bytes, packet(&[&5_u64.to_le_bytes()[..], b"short"].concat(), &[], 0));
}

fn an_end_becomes_a_descriptor_and_back() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let number = sender.as_fd().as_raw_fd();
    sender.send(1).unwrap();
    let fd = OwnedFd::try_from(sender).unwrap();
    assert_eq!(fd.as_raw_fd(), number, "the socket itself");
    let sender = Sender::<u32>::try_from(fd).unwrap();
    let clone = sender.clone();
    let fd = OwnedFd::try_from(sender).unwrap();
    assert_ne!(fd.as_raw_fd(), number, "a clone remains, so it is a duplicate");
    clone.send(2).unwrap();
    Sender::<u32>::try_from(fd).unwrap().send(3).unwrap();
    let receiver = Receiver::<u32>::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
    assert_eq!((&receiver).into_iter().take(3).map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
    let (ours, theirs) = Channel::<u32>::pair().unwrap();
    let theirs = Channel::<u32>::try_from(OwnedFd::try_from(theirs).unwrap()).unwrap();
    theirs.send(4).unwrap();
    assert_eq!(ours.recv().unwrap(), 4);
    let (half, _other) = ours.split();
    assert!(matches!(OwnedFd::try_from(half), Err(IntoFdError::SplitHalf(_))));
    // Where no duplicate can be had, the end is given back and works.
    let other = clone.clone();
    support::set_limit(libc::RLIMIT_NOFILE, 0);
    let error = OwnedFd::try_from(clone).unwrap_err();
    assert!(matches!(error, IntoFdError::Duplicate(..)));
    support::no_descriptor_limit();
    error.into_end().send(5).unwrap();
    other.send(6).unwrap();
    assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (5, 6));
}

fn what_is_no_end_is_given_back() {
    let _ledger = FdLedger::open().unwrap();
    let refused = |fd: OwnedFd| {
        let number = fd.as_raw_fd();
        let error = Receiver::<u32>::try_from(fd).unwrap_err();
        assert_eq!(error.fd.as_raw_fd(), number, "the descriptor itself");
        assert_eq!(io::Error::from(Sender::<u32>::try_from(error.fd).unwrap_err()).kind(), ErrorKind::InvalidInput);
        error.source
    };
    assert!(matches!(refused(support::some_file().into()), AdoptFault::NotASocket));
    let (stream, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(matches!(refused(stream.into()), AdoptFault::NotSeqpacket));
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(refused(tcp.into()), AdoptFault::NotSeqpacket));
    assert!(matches!(refused(support::unconnected_seqpacket()), AdoptFault::NotConnected));
}

fn options_of_a_foreign_socket_are_switched_off() {
    let _ledger = FdLedger::open().unwrap();
    let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    for option in [libc::SO_PASSCRED, libc::SO_TIMESTAMP] {
        support::set_option(right.as_fd(), option, 1);
    }
    let receiver = Receiver::<u32>::try_from(OwnedFd::from(right)).unwrap();
    for option in [libc::SO_PASSCRED, libc::SO_TIMESTAMP] {
        assert_eq!(support::option(receiver.as_fd(), option), 0);
    }
    Sender::<u32>::try_from(OwnedFd::from(left)).unwrap().send(1).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
}

fn no_end_lands_on_a_closed_standard_descriptor() {
    support::close_standard_descriptors();
    let (sender, receiver) = channel::<Fd<OwnedFd>>().unwrap();
    let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    let ours = [sender.as_fd(), receiver.as_fd(), left.as_fd(), right.as_fd()];
    assert!(ours.iter().all(|fd| fd.as_raw_fd() > 2));
    sender.send(Fd(left.into())).unwrap();
    let received = receiver.recv().unwrap();
    assert!(received.as_raw_fd() > 2, "nor does what arrives");
    let socket = Socket::try_from(received.into_inner()).unwrap();
    assert!(socket.as_fd().as_raw_fd() > 2);
    let child = ForkedProcess::spawn(|channel: Channel<i32>| {
        println!("this is written to nothing, and to no channel");
        channel.send(channel.as_fd().as_raw_fd()).unwrap();
    })
    .unwrap();
    assert!(child.recv().unwrap() > 2);
    assert!(child.wait().unwrap().success());
}

fn errors_are_ordinary_errors() {
    fn ordinary<E: Error + Send + Sync + 'static>() {}
    ordinary::<SendError>();
    ordinary::<SendError<String>>();
    ordinary::<TrySendError<String>>();
    ordinary::<SendTimeoutError<String>>();
    ordinary::<RecvError>();
    ordinary::<TryRecvError>();
    ordinary::<RecvTimeoutError>();
    ordinary::<Fault>();
    ordinary::<SendFault>();
    ordinary::<breezeway::AdoptError>();
    ordinary::<IntoFdError<Sender<*const ()>>>();
    ordinary::<breezeway::process::ForkError>();
    ordinary::<breezeway::process::JoinError>();
    ordinary::<breezeway::testing::Leak>();

    let (sender, receiver) = channel::<String>().unwrap();
    let kind = |error: io::Error| error.kind();
    assert_eq!(kind(receiver.try_recv().unwrap_err().into()), ErrorKind::WouldBlock);
    assert_eq!(kind(receiver.recv_timeout(Duration::ZERO).unwrap_err().into()), ErrorKind::TimedOut);
    let strict = sender.clone().with_limits(Limits::new().max_message(10));
    let too_large = strict.send("too long for that".into()).unwrap_err();
    assert_eq!(too_large.to_string().split(':').next().unwrap(), "the message is 25 bytes encoded and at most 10 can be sent");
    assert_eq!(kind(too_large.into()), ErrorKind::InvalidInput);
    while sender.try_send("x".into()).is_ok() {}
    assert_eq!(kind(sender.try_send("x".into()).unwrap_err().into()), ErrorKind::WouldBlock);
    assert_eq!(kind(sender.send_timeout("x".into(), Duration::ZERO).unwrap_err().into()), ErrorKind::TimedOut);
    // A message that is not `Sync` leaves an error that is.
    let (carrier, arrivals) = channel::<Carried>().unwrap();
    drop(arrivals);
    let error = carrier.send(Carried(channel().unwrap().1)).unwrap_err().without_message();
    let _: Box<dyn Error + Send + Sync> = error.into();
    drop(receiver);
    let closed: io::Error = sender.send("x".into()).unwrap_err().into();
    assert!(closed.get_ref().unwrap().downcast_ref::<SendError>().unwrap().is_closed(), "the error is in there");
    assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
    let (peer, receiver) = RawPeer::of_receiver::<bool>().unwrap();
    peer.send(b"x", &[]).unwrap();
    let fault = receiver.recv().unwrap_err();
    assert_eq!(fault.to_string(), "the packet breaks the wire format: 1 bytes are no header, which has 16");
    assert!(fault.source().is_none(), "nothing is said twice");
    assert_eq!(kind(fault.into()), ErrorKind::InvalidData);
    peer.send(&packet(&[2], &[], 0), &[]).unwrap();
    let fault: io::Error = receiver.recv().unwrap_err().into();
    assert_eq!(fault.to_string(), "the message does not decode: a value that is not a bool (0 or 1)");
    drop(peer);
    assert_eq!(kind(receiver.recv().unwrap_err().into()), ErrorKind::UnexpectedEof);
}

fn errors_say_nothing_of_the_message() {
    let _ledger = FdLedger::open().unwrap();
    let secret = "hunter2";
    let (sender, receiver) = channel::<String>().unwrap();
    let strict = sender.with_limits(Limits::new().max_message(3));
    let error = strict.send(secret.into()).unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.fault()).contains(secret));
    drop(receiver);
    #[derive(Debug, Deserialize)]
    enum Known {
        #[allow(dead_code, reason = "only decoded")]
        Known(std::num::NonZeroU8, char),
    }
    let (peer, receiver) = RawPeer::of_receiver::<Known>().unwrap();
    let bodies: [&[u8]; 4] = [&[0x77, 0x77, 0, 0], &[0, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0xff], &[0, 0, 0, 0, 1, b'x', 0x77]];
    for body in bodies {
        peer.send(&packet(body, &[], 0), &[]).unwrap();
        let error = receiver.recv().unwrap_err();
        let text = format!("{error} {error:?}").to_lowercase();
        assert!(!text.contains("77") && !text.contains("119") && !text.contains("30583") && !text.contains("255"), "{text}");
    }
}

fn everything_is_debug_without_its_message() {
    struct Mute;
    let (sender, receiver) = channel::<Mute>().unwrap();
    assert!(format!("{sender:?} {receiver:?}").starts_with("Sender { fd: BorrowedFd { fd: "));
    let (channel, _other) = Channel::<Mute>::pair().unwrap();
    assert!(format!("{channel:?}").starts_with("Channel { fd: "));
    assert_eq!(format!("{:?} {:?}", SendError::Closed(Mute), TrySendError::Full(Mute)), "Closed(..) Full(..)");
    let fault = SendFault::TooLarge { size: 2, limit: 1 };
    assert_eq!(format!("{:?}", SendTimeoutError::Fault(Mute, fault)), "Fault(TooLarge { size: 2, limit: 1 })");
    assert_eq!(format!("{:?}", IntoFdError::SplitHalf(Mute)), "SplitHalf(..)");
    fn debug<T: std::fmt::Debug>() {}
    debug::<breezeway::process::Child<Mute, Mute>>();
    debug::<breezeway::IntoIter<Mute>>();
    debug::<breezeway::Iter<'_, Mute>>();
    debug::<breezeway::TryIter<'_, Mute>>();
}

fn raw_packets_carry_parts_and_descriptors() {
    let _ledger = FdLedger::open().unwrap();
    let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    let file = support::some_file();
    left.send_packet(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"packet")], &[file.as_fd(), left.as_fd()]).unwrap();
    left.send_packet(&[IoSlice::new(b"another")], &[]).unwrap();
    let packet = right.receive_packet(100).unwrap().unwrap();
    assert_eq!((packet.bytes.as_slice(), packet.descriptors.len(), packet.truncated), (&b"one packet"[..], 2, false));
    assert_eq!(right.receive_packet(100).unwrap().unwrap().bytes, b"another");
    let many = vec![file.as_fd(); 254];
    assert_eq!(left.send_packet(&[IoSlice::new(b"x")], &many).unwrap_err().kind(), ErrorKind::InvalidInput);
    left.send_packet(&vec![IoSlice::new(b"x"); 1024], &many[..253]).unwrap();
    assert_eq!(right.receive_packet(1024).unwrap().unwrap().descriptors.len(), 253);
    assert_eq!(left.send_packet(&vec![IoSlice::new(b"x"); 1025], &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    drop(packet);
    left.close();
    assert!(right.receive_packet(100).unwrap().is_none());
    assert_eq!(right.send_packet(&[IoSlice::new(b"x")], &[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

fn a_raw_packet_says_what_was_cut() {
    let _ledger = FdLedger::open().unwrap();
    let (left, right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    left.send_packet(&[IoSlice::new(&[7; 1000])], &[left.as_fd()]).unwrap();
    let packet = right.receive_packet(10).unwrap().unwrap();
    assert_eq!((packet.bytes.as_slice(), packet.truncated, packet.descriptors.len()), (&[7; 10][..], true, 1));
    left.send_packet(&[IoSlice::new(b"x")], &[left.as_fd(), left.as_fd(), left.as_fd()]).unwrap();
    let free = FdLedger::open().unwrap();
    let lowest_free = support::some_file().as_raw_fd();
    support::set_limit(libc::RLIMIT_NOFILE, lowest_free as u64 + 1);
    let packet = right.receive_packet(10).unwrap().unwrap();
    support::no_descriptor_limit();
    assert!(packet.descriptors_lost && packet.descriptors.len() < 3, "{packet:?}");
    drop(packet);
    free.check().unwrap();
}

fn typed_messages_travel_on_a_bare_socket() {
    let _ledger = FdLedger::open().unwrap();
    let (mut left, mut right) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    let text = String::from("by reference");
    left.send(&text).unwrap();
    left.send(7_u32).unwrap();
    left.send(Fd(support::some_file())).unwrap();
    assert_eq!(right.receive::<String>().unwrap(), "by reference");
    assert_eq!(right.receive::<u32>().unwrap(), 7);
    right.receive::<Fd<std::fs::File>>().unwrap();
    left.send(7_u32).unwrap();
    assert_eq!(right.receive::<u64>().unwrap_err().kind(), ErrorKind::InvalidData);
    left.close();
    assert_eq!(right.receive::<u32>().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(right.send(1).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

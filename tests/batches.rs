//! Many messages in one packet are what they would be alone: in order, whole, each once, each within its own limits, and seen by whoever waits.

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::process::{CommandExt, ForkedProcess, inherited_with};
use breezeway::select::{ReceiverSet, Select};
use breezeway::socket::{Family, Protocol, SocketType, socketpair};
use breezeway::testing::{FdLedger, RawPeer, batch_packet, packet};
use breezeway::{
    Bytes, Channel, DecodeError, EncodeError, Fault, Hello, IntoFdError, Limits, Message, ProtocolError, Receiver, RecvError, SendError,
    SendFault, Sender, TryRecvError, channel,
};
use calls::{EPOLL_WAIT, mark, record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use support::{peak_resident_bytes, program, queued, set_send_buffer, some_file};

trials!(
    batched_and_lone_messages_arrive_in_order,
    a_full_channel_takes_a_part_and_says_which,
    a_message_that_cannot_be_sent_stops_in_front_of_itself,
    nothing_is_sent_to_nobody,
    an_iterator_that_is_lent_keeps_the_rest,
    a_bad_message_in_a_batch_costs_only_itself,
    a_message_without_an_end_costs_the_rest_of_its_batch,
    a_panic_in_a_deserialize_costs_only_its_message,
    a_deserialize_that_receives_on_its_own_end_is_refused,
    many_are_received_as_they_are_there,
    a_sender_killed_among_batches_loses_none_that_it_sent,
    what_a_dead_child_sent_at_once_is_received,
    a_poller_does_not_see_the_rest_of_a_batch,
    a_select_reports_an_end_until_its_batch_is_taken,
    a_wait_costs_no_more_while_a_batch_is_there,
    ends_with_batches_take_turns,
    a_set_receives_all_of_a_batch,
    an_end_that_holds_messages_does_not_become_a_descriptor,
    an_end_that_holds_messages_does_not_travel,
    a_split_leaves_the_rest_of_a_batch_to_the_receiver,
    a_receiver_in_a_fork_brings_what_it_holds,
    a_buffered_sender_sends_by_size_by_hand_and_on_drop,
    a_buffered_sender_sends_with_the_next_call_after_its_interval,
    a_flush_that_fails_loses_nothing,
    a_buffered_sender_keeps_the_order_around_what_travels_alone,
    a_fork_forgets_what_its_parent_has_buffered,
    batches_of_two_senders_stay_whole,
    a_batch_travels_in_memory_where_packets_are_small,
    each_packet_keeps_to_the_limits,
    programs_keep_to_the_limits_that_they_agreed_on,
    a_socket_takes_single_messages_only,
    a_million_messages_of_nothing_take_bounded_memory;
    programs: takes_little
);

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

fn is_readable(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&NOW)).unwrap();
    !fds[0].revents().is_empty()
}

/// Received messages that are numbers.
fn numbers(receiver: &Receiver<u64>) -> Vec<u64> {
    receiver.try_iter().map(Result::unwrap).collect()
}

/// A receiver that has taken the first of three messages of a batch.
fn holding() -> (Sender<u64>, Receiver<u64>) {
    let (sender, receiver) = channel().unwrap();
    assert_eq!(sender.send_all([1, 2, 3]).unwrap(), 3);
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(receiver.has_buffered());
    (sender, receiver)
}

#[derive(Message)]
enum Mixed {
    Number(u32),
    Text(u32, String),
    Vector(u32, Vec<u8>),
    Blob(u32, Bytes),
    Files(u32, Vec<File>),
}

impl Mixed {
    /// Small ones for the most part, and now and then what travels alone: with files, with a blob, larger than a batch.
    fn of(number: u32) -> Mixed {
        let size = number as usize * 7 % 300;
        match number % 20 {
            3 => Mixed::Files(number, vec![some_file(), some_file()]),
            7 => Mixed::Blob(number, Bytes::from(vec![number as u8; 5000])),
            11 => Mixed::Blob(number, Bytes::from(vec![number as u8; size])),
            13 if number % 3 == 0 => Mixed::Vector(number, vec![number as u8; 100_000]),
            15 => Mixed::Vector(number, vec![number as u8; 20_000]),
            17..20 => Mixed::Text(number, "x".repeat(size)),
            _ => Mixed::Number(number),
        }
    }

    #[track_caller]
    fn check(&self, expected: u32) {
        let size = expected as usize * 7 % 300;
        let found = match self {
            Mixed::Number(number) => *number,
            Mixed::Text(number, text) => {
                assert_eq!(text.len(), size);
                *number
            }
            Mixed::Vector(number, bytes) => {
                assert!(bytes.iter().all(|&byte| byte == *number as u8) && bytes.len() >= 20_000);
                *number
            }
            Mixed::Blob(number, bytes) => {
                assert!(bytes.iter().all(|&byte| byte == *number as u8) && [5000, size].contains(&bytes.len()));
                *number
            }
            Mixed::Files(number, files) => {
                assert!(files.iter().all(|file| file.metadata().unwrap().is_file()) && files.len() == 2);
                *number
            }
        };
        assert_eq!(found, expected);
    }
}

fn batched_and_lone_messages_arrive_in_order() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Mixed>().unwrap();
    let all = 3000;
    let child = support::spawn_unchecked::<(), ()>(move |_| {
        let mut next = 0;
        while next < all {
            // Alone, in turns with as many as make several packets.
            sender.send(Mixed::of(next)).unwrap();
            let until = (next + 1 + next % 700).min(all);
            let count = sender.send_all((next + 1..until).map(Mixed::of)).unwrap();
            assert_eq!(count, (next + 1..until).len());
            next = until.max(next + 1);
        }
    });
    let (mut next, mut batch) = (0, Vec::new());
    while next < all {
        if next % 3 == 0 {
            receiver.recv().unwrap().check(next);
            next += 1;
            continue;
        }
        let count = receiver.recv_batch(&mut batch, next as usize % 50 + 1).unwrap();
        assert_eq!(count, batch.len());
        batch.drain(..).for_each(|message| {
            message.check(next);
            next += 1;
        });
    }
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
    assert!(child.wait().unwrap().success());
}

fn a_full_channel_takes_a_part_and_says_which() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let mut source = 0..10_000_000;
    let error = sender.try_send_all(&mut source).unwrap_err();
    assert!(error.source.is_full());
    assert!(error.sent > 10_000);
    let first = error.sent as u64;
    let after = first + error.unsent.len() as u64;
    assert_eq!(error.unsent, (first..after).collect::<Vec<_>>());
    assert_eq!(source.next(), Some(after), "what was not taken stays in the iterator");
    let timeout = sender.send_all_timeout([7, 8], Duration::ZERO).unwrap_err();
    assert!(timeout.source.is_timeout());
    assert_eq!((timeout.sent, timeout.unsent), (0, vec![7, 8]));
    assert_eq!(numbers(&receiver), (0..first).collect::<Vec<_>>());
    // The queue has room again.
    assert_eq!(sender.try_send_all(error.unsent).unwrap() as u64, after - first);
    assert_eq!(numbers(&receiver), (first..after).collect::<Vec<_>>());
}

/// A number that some values of do not encode, or decode.
#[derive(Debug, PartialEq)]
struct Picky(u64);

const UNSENDABLE: u64 = 1 << 40;
const UNRECEIVABLE: u64 = 1 << 41;
const PANICS: u64 = 1 << 42;

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == UNSENDABLE { Err(ser::Error::custom("not this one")) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Picky, D::Error> {
        match u64::deserialize(deserializer)? {
            UNRECEIVABLE => Err(de::Error::custom("nor this one")),
            PANICS => panic!("this one panics"),
            number => Ok(Picky(number)),
        }
    }
}

fn a_message_that_cannot_be_sent_stops_in_front_of_itself() {
    let (sender, receiver) = channel::<Picky>().unwrap();
    // Before the first packet is full, and behind several.
    for before in [0, 1, 2, 3000, 20_000] {
        let mut source = (0..before).chain([UNSENDABLE]).chain(before..).map(Picky);
        let error = sender.send_all(&mut source).unwrap_err();
        assert!(matches!(error.source.fault(), Some(SendFault::Encode(EncodeError::Serialize(_)))), "{:?}", error.source);
        assert_eq!((error.sent as u64, error.unsent), (before, vec![Picky(UNSENDABLE)]));
        let received: Vec<_> = receiver.try_iter().map(|message| message.unwrap().0).collect();
        assert_eq!(received, (0..before).collect::<Vec<_>>());
        assert_eq!(source.next(), Some(Picky(before)));
    }
    let (sender, receiver) = channel::<String>().unwrap();
    let sender = sender.with_limits(Limits::new().max_message(1000));
    let error = sender.send_all(["a".to_owned(), "b".repeat(2000), "c".to_owned()]).unwrap_err();
    assert!(matches!(error.source, SendError::Fault((), SendFault::TooLarge { size: 2008, limit: 1000 })));
    assert_eq!((error.sent, error.unsent.len()), (1, 1));
    assert_eq!(receiver.try_iter().map(Result::unwrap).collect::<Vec<_>>(), ["a"]);
}

fn nothing_is_sent_to_nobody() {
    let (sender, receiver) = channel::<u64>().unwrap();
    assert_eq!(sender.send_all([]).unwrap(), 0);
    drop(receiver);
    let error = sender.send_all([1, 2, 3]).unwrap_err();
    assert!(error.source.is_closed());
    assert_eq!((error.sent, error.unsent), (0, vec![1, 2, 3]));
    assert_eq!(std::io::Error::from(sender.send_all([1]).unwrap_err()).kind(), std::io::ErrorKind::BrokenPipe);
    let mut buffered = sender.buffered();
    buffered.send(1).unwrap();
    assert!(buffered.flush().unwrap_err().is_closed());
    assert_eq!(buffered.len(), 1);
}

fn an_iterator_that_is_lent_keeps_the_rest() {
    let (sender, receiver) = channel::<Picky>().unwrap();
    let mut source = [1, 2, UNSENDABLE, 4].map(Picky).into_iter();
    let error = sender.send_all(&mut source).unwrap_err();
    assert_eq!((error.sent, error.unsent), (2, vec![Picky(UNSENDABLE)]));
    assert_eq!(sender.send_all(source).unwrap(), 1);
    assert_eq!(receiver.try_iter().map(|message| message.unwrap().0).collect::<Vec<_>>(), [1, 2, 4]);
}

fn a_bad_message_in_a_batch_costs_only_itself() {
    let _ledger = FdLedger::open().unwrap();
    let bad = || {
        let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
        // The second is short, the fourth long.
        peer.send(&batch_packet(&[&[1, 0, 0, 0], &[2, 0, 0], &[3, 0, 0, 0], &[4, 0, 0, 0, 0], &[5, 0, 0, 0]]), &[]).unwrap();
        peer.send(&packet(&[6, 0, 0, 0], &[], 0), &[]).unwrap();
        peer.send(&packet(&[7, 0], &[], 0), &[]).unwrap();
        peer.send(&packet(&[8, 0, 0, 0], &[], 0), &[]).unwrap();
        (peer, receiver)
    };
    let found = |result: Result<u32, TryRecvError>| match result {
        Ok(number) => number,
        Err(TryRecvError::Fault(Fault::Decode(DecodeError::Truncated { missing }))) => 100 + missing as u32,
        Err(TryRecvError::Fault(Fault::Decode(DecodeError::TrailingBytes { count }))) => 200 + count as u32,
        Err(error) => panic!("{error:?}"),
    };
    let (_peer, receiver) = bad();
    assert_eq!([(); 8].map(|()| found(receiver.try_recv())), [1, 101, 3, 201, 5, 6, 102, 8]);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    // Many at once end in front of a fault, which is what comes next: in the batch, and behind it.
    let (_peer, receiver) = bad();
    let mut all = Vec::new();
    for (count, fault) in [(1, 101), (1, 201), (2, 102), (1, 0)] {
        assert_eq!(receiver.try_recv_batch(&mut all, 100).unwrap(), count);
        if fault > 0 {
            assert!(receiver.has_buffered(), "a fault waits too");
            let there = all.len();
            let error = receiver.try_recv_batch(&mut all, 100).unwrap_err();
            assert_eq!((found(Err(error)), all.len()), (fault, there));
        }
    }
    assert_eq!(all, [1, 3, 5, 6, 8]);
    assert!(receiver.try_recv_batch(&mut all, 100).unwrap_err().is_empty());
    assert_eq!(receiver.recv_batch(&mut all, 0).unwrap(), 0, "nothing is waited for");
}

/// M63, M64
fn a_message_without_an_end_costs_the_rest_of_its_batch() {
    let _ledger = FdLedger::open().unwrap();
    for (position, byte, announced, found) in [(24, 5, 9, 8), (27, 1, 0x0100_0008, 8), (24, 0, 0, 0)] {
        let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
        let mut bytes = batch_packet(&[&[1, 0, 0, 0], &[2, 0, 0, 0]]);
        bytes[position] = byte;
        if announced == 0 {
            // Another number of bytes, which is the header's: a length that is cut off itself.
            bytes.truncate(16 + 8 + 3);
            bytes[8] = 11;
        }
        peer.send(&bytes, &[]).unwrap();
        peer.send(&packet(&[3, 0, 0, 0], &[], 0), &[]).unwrap();
        assert_eq!(receiver.try_recv().unwrap(), 1);
        let (announced, found) = if announced == 0 { (4, 3) } else { (announced, found) };
        match receiver.try_recv() {
            Err(TryRecvError::Fault(Fault::Protocol(error))) => assert_eq!(error, ProtocolError::ShortFrame { announced, found }),
            other => panic!("{other:?}"),
        }
        assert!(!receiver.has_buffered());
        assert_eq!(receiver.try_recv().unwrap(), 3);
    }
}

fn a_panic_in_a_deserialize_costs_only_its_message() {
    let (sender, receiver) = channel::<Picky>().unwrap();
    assert_eq!(sender.send_all([1, PANICS, 3, UNRECEIVABLE, 5, PANICS].map(Picky)).unwrap(), 6);
    let receive = || catch_unwind(AssertUnwindSafe(|| receiver.try_recv())).map_or(100, |result| result.map_or(101, |message| message.0));
    assert_eq!([(); 6].map(|()| receive()), [1, 100, 3, 101, 5, 100]);
    assert!(!receiver.has_buffered());
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}

thread_local! {
    static OWN: RefCell<Option<Receiver<Recursive>>> = const { RefCell::new(None) };
}

/// Receives another one from its own channel while it is decoded.
struct Recursive(u64, Option<Result<Box<Recursive>, Fault>>);

impl Serialize for Recursive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recursive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Recursive, D::Error> {
        let number = u64::deserialize(deserializer)?;
        let another = OWN.with_borrow(|own| own.as_ref().unwrap().try_recv());
        let another = match another {
            Ok(another) => Some(Ok(Box::new(another))),
            Err(TryRecvError::Fault(fault)) => Some(Err(fault)),
            Err(_) => None,
        };
        Ok(Recursive(number, another))
    }
}

fn a_deserialize_that_receives_on_its_own_end_is_refused() {
    let (sender, receiver) = channel::<Recursive>().unwrap();
    OWN.set(Some(receiver));
    let number = |number| Recursive(number, None);
    let receive = || OWN.with_borrow(|own| own.as_ref().unwrap().recv().unwrap());
    // In a packet of its own nothing is held, so it gets the next one, and that one the first of a batch, of which nothing may be taken.
    sender.send(number(1)).unwrap();
    sender.send_all([2, 3].map(number)).unwrap();
    sender.send_all([4, 5].map(number)).unwrap();
    let Recursive(1, Some(Ok(second))) = receive() else { panic!("another") };
    assert!(matches!(*second, Recursive(2, Some(Err(Fault::System(_))))));
    for expected in 3..=5 {
        let Recursive(found, Some(Err(Fault::System(_)))) = receive() else { panic!("the last of a batch is refused too") };
        assert_eq!(found, expected, "and nothing is lost");
    }
    OWN.take();
}

fn many_are_received_as_they_are_there() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let mut all = Vec::new();
    assert!(receiver.try_recv_batch(&mut all, 10).unwrap_err().is_empty());
    assert!(receiver.recv_batch_timeout(&mut all, 10, Duration::ZERO).unwrap_err().is_timeout());
    // Batches and lone messages, across the limit of a call and not beyond it.
    sender.send_all(0..5).unwrap();
    sender.send(5).unwrap();
    sender.send_all(6..20).unwrap();
    for (most, count) in [(3, 3), (4, 4), (100, 13)] {
        assert_eq!(receiver.recv_batch(&mut all, most).unwrap(), count);
    }
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    sender.send_all([20, 21]).unwrap();
    drop(sender);
    assert_eq!(receiver.recv_batch(&mut all, 100).unwrap(), 2, "the end is for the next call");
    assert!(receiver.recv_batch(&mut all, 100).unwrap_err().is_closed());
}

fn a_sender_killed_among_batches_loses_none_that_it_sent() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u64>().unwrap();
    let mut child = support::spawn_unchecked::<(), ()>(move |_| _ = sender.send_all(0..));
    let mut next = 0;
    while next < 100_000 {
        assert_eq!(receiver.recv().unwrap(), next);
        next += 1;
    }
    child.kill().unwrap();
    let rest: Vec<_> = receiver.iter().map(Result::unwrap).collect();
    assert_eq!(rest, (next..next + rest.len() as u64).collect::<Vec<_>>());
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
}

fn what_a_dead_child_sent_at_once_is_received() {
    // Where the child's end has a copy, only its death ends the channel.
    let child = support::spawn_unchecked::<(), u64>(|parent| {
        parent.send_all(0..5000).unwrap();
    });
    child.recv().unwrap();
    let (channel, mut process) = child.into_parts();
    assert!(process.wait().unwrap().success());
    assert!(channel.has_buffered());
    assert_eq!(channel.iter().map(Result::unwrap).collect::<Vec<_>>(), (1..5000).collect::<Vec<_>>());
}

fn a_poller_does_not_see_the_rest_of_a_batch() {
    let (sender, receiver) = channel().unwrap();
    assert!(!receiver.has_buffered());
    sender.send_all([1_u64, 2, 3]).unwrap();
    assert!(is_readable(&receiver) && !receiver.has_buffered());
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(!is_readable(&receiver) && receiver.has_buffered());
    assert_eq!(receiver.recv().unwrap(), 2);
    assert!(receiver.has_buffered());
    assert_eq!(receiver.recv().unwrap(), 3);
    assert!(!receiver.has_buffered());
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
}

fn a_select_reports_an_end_until_its_batch_is_taken() {
    let select = Select::new().unwrap();
    let outer = Select::new().unwrap();
    let on_select = outer.add_fd(&select, breezeway::select::Interest::Readable).unwrap();
    let (_quiet, quiet) = channel::<u64>().unwrap();
    let on_quiet = select.add(&quiet).unwrap();
    let deadline = select.add_deadline(std::time::Instant::now() + Duration::from_secs(3600));
    // A member that comes with messages, and one that gets them.
    let (sender, receiver) = holding();
    let token = select.add(&receiver).unwrap();
    for _ in 0..2 {
        for left in [2_u64, 3] {
            for _ in 0..3 {
                assert_eq!(select.wait().unwrap().as_slice(), [token]);
                assert_eq!(select.try_wait().unwrap().as_slice(), [token]);
                assert_eq!(select.wait_timeout(Duration::from_secs(60)).unwrap().as_slice(), [token]);
                assert_eq!(outer.wait().unwrap().as_slice(), [on_select]);
            }
            assert_eq!(receiver.recv().unwrap(), left);
        }
        assert!(select.try_wait().unwrap().is_empty());
        assert!(outer.try_wait().unwrap().is_empty());
        sender.send_all([1, 2, 3]).unwrap();
        assert_eq!(select.wait().unwrap().as_slice(), [token]);
        assert_eq!(receiver.recv().unwrap(), 1);
    }
    // One that is ready by the kernel's word too is reported once.
    sender.send(4).unwrap();
    assert_eq!(select.wait().unwrap().as_slice(), [token]);
    // Out of the set, and in another.
    assert!(select.remove(token));
    assert!(select.try_wait().unwrap().is_empty());
    let token = select.add(&receiver).unwrap();
    assert_eq!(select.wait().unwrap().as_slice(), [token]);
    drop(sender);
    assert_eq!(numbers(&receiver), [2, 3, 4]);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
    assert!(select.try_wait().unwrap().is_empty());
    // One that goes while it holds something.
    let (_sender, receiver) = holding();
    select.add(&receiver).unwrap();
    drop(receiver);
    assert!(select.try_wait().unwrap().is_empty());
    // A deadline is found beside it, and is set again when it is taken.
    let (_sender, receiver) = holding();
    let token = select.add(&receiver).unwrap();
    let soon = select.add_deadline(std::time::Instant::now());
    let found = select.wait().unwrap();
    assert!(found.contains(token) && found.contains(soon) && found.len() == 2);
    let soon = select.add_deadline(std::time::Instant::now() + Duration::from_millis(20));
    assert_eq!(numbers(&receiver), [2, 3]);
    assert_eq!(select.wait().unwrap().as_slice(), [soon]);
    assert!(select.remove(on_quiet) && select.remove(deadline));
}

fn a_wait_costs_no_more_while_a_batch_is_there() {
    let numbers_of = |count: usize, receiver: &Receiver<u64>| (0..count).map(|_| receiver.recv().unwrap()).collect::<Vec<_>>();
    let (sender, receiver) = holding();
    let [calls] = record(
        [&|| {
            let select = Select::new().unwrap();
            let token = select.add(&receiver).unwrap();
            mark();
            (0..100).for_each(|_| assert_eq!(select.wait().unwrap().as_slice(), [token]));
            assert_eq!(numbers_of(2, &receiver), [2, 3]);
            sender.send_all([1, 2, 3]).unwrap();
            assert_eq!(numbers_of(3, &receiver), [1, 2, 3]);
            mark();
        }],
        |_, _| {},
    );
    let calls: Vec<_> = calls.iter().map(|call| call.number).collect();
    let changed = [libc::SYS_getpid, libc::SYS_timerfd_settime];
    let taken = [&changed[..], &[libc::SYS_sendmsg, libc::SYS_recvmsg], &changed, &changed].concat();
    assert_eq!(calls, [[libc::SYS_getpid, EPOLL_WAIT].repeat(100), taken].concat());
    // What a fork does with its copy is its own affair.
    let select = Select::new().unwrap();
    let token = select.add(&receiver).unwrap();
    assert!(support::returns_in_a_fork(|| assert_eq!(numbers_of(2, &receiver), [2, 3])));
    assert_eq!(select.wait().unwrap().as_slice(), [token]);
}

fn ends_with_batches_take_turns() {
    let select = Select::new().unwrap();
    let held: Vec<_> = (0..300).map(|_| holding()).collect();
    let ready: Vec<_> = (0..100).map(|_| channel::<u64>().unwrap()).collect();
    ready.iter().for_each(|(sender, _)| sender.send(1).unwrap());
    let all: BTreeSet<_> = held.iter().chain(&ready).map(|(_, receiver)| select.add(receiver).unwrap()).collect();
    let mut seen = BTreeSet::new();
    // 400 members, by 64.
    for _ in 0..7 {
        let found = select.wait().unwrap();
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "each once");
        seen.extend(found);
    }
    assert!(seen == all, "{} of {}", seen.len(), all.len());
}

fn a_set_receives_all_of_a_batch() {
    let mut set = ReceiverSet::new().unwrap();
    let (sender, receiver) = holding();
    let first = set.add(receiver).unwrap();
    let (other, receiver) = channel().unwrap();
    let second = set.add(receiver).unwrap();
    other.send_all(10..2000).unwrap();
    let (mut one, mut two) = (2, 10);
    for _ in 0..2 + 1990 {
        let (token, number) = set.recv().unwrap();
        let expected = if token == first { &mut one } else { &mut two };
        assert!(token == first || token == second);
        assert_eq!(number.unwrap(), *expected);
        *expected += 1;
    }
    assert!(set.try_recv().unwrap().is_none());
    drop(sender);
    assert!(matches!(set.recv().unwrap(), (token, Err(RecvError::Closed)) if token == first));
}

fn an_end_that_holds_messages_does_not_become_a_descriptor() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = holding();
    let Err(error @ IntoFdError::NotEmpty(_)) = OwnedFd::try_from(receiver) else { panic!("it was converted, or lost") };
    assert_eq!(format!("{error:?}"), "NotEmpty(..)");
    let receiver = error.into_end();
    assert_eq!(numbers(&receiver), [2, 3]);
    sender.send_all([4, 5]).unwrap();
    let again = Receiver::<u64>::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
    assert_eq!(numbers(&again), [4, 5], "what is in the socket goes with it");

    let (near, far) = Channel::<u64>::pair().unwrap();
    near.send_all([1, 2]).unwrap();
    assert_eq!(far.recv().unwrap(), 1);
    let Err(IntoFdError::NotEmpty(far)) = OwnedFd::try_from(far) else { panic!("it was converted, or lost") };
    assert_eq!(far.recv().unwrap(), 2);
    OwnedFd::try_from(far).unwrap();
}

#[derive(Message)]
struct Carrier {
    receiver: Option<Receiver<u64>>,
    channel: Option<Channel<u64>>,
}

fn an_end_that_holds_messages_does_not_travel() {
    let _ledger = FdLedger::open().unwrap();
    let (carriers, carried) = channel::<Carrier>().unwrap();
    let (sender, receiver) = holding();
    let error = carriers.send(Carrier { receiver: Some(receiver), channel: None }).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::Encode(EncodeError::NotEmpty))));
    let receiver = error.into_message().receiver.unwrap();
    assert_eq!(numbers(&receiver), [2, 3]);
    sender.send_all([4, 5]).unwrap();
    carriers.send(Carrier { receiver: Some(receiver), channel: None }).unwrap();
    assert_eq!(numbers(&carried.recv().unwrap().receiver.unwrap()), [4, 5]);

    let (near, far) = Channel::<u64>::pair().unwrap();
    near.send_all([1, 2]).unwrap();
    assert_eq!(far.recv().unwrap(), 1);
    let error = carriers.send_all([Carrier { receiver: None, channel: Some(far) }]).unwrap_err();
    assert!(matches!(error.source.fault(), Some(SendFault::Encode(EncodeError::NotEmpty))));
    let far = error.unsent.into_iter().next().unwrap().channel.unwrap();
    assert_eq!(far.recv().unwrap(), 2);
}

fn a_split_leaves_the_rest_of_a_batch_to_the_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (near, far) = Channel::<u64>::pair().unwrap();
    near.send_all([1, 2, 3]).unwrap();
    assert_eq!(far.recv().unwrap(), 1);
    let (sender, receiver) = far.split();
    assert!(receiver.has_buffered());
    assert_eq!(receiver.recv().unwrap(), 2);
    drop(receiver);
    sender.send(4).unwrap();
    assert_eq!(near.recv().unwrap(), 4);
}

fn a_receiver_in_a_fork_brings_what_it_holds() {
    let (sender, receiver) = holding();
    let child = ForkedProcess::<(), Vec<u64>>::spawn(move |parent| parent.send(numbers(&receiver))).unwrap();
    assert_eq!(child.recv().unwrap(), [2, 3]);
    assert!(child.wait().unwrap().success());
    // The parent's copy went with the closure.
    assert!(sender.send(4).unwrap_err().is_closed());
}

fn a_buffered_sender_sends_by_size_by_hand_and_on_drop() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, sender) = RawPeer::of_sender::<u64>().unwrap();
    let mut buffered = sender.buffered().with_interval(Duration::MAX);
    assert!(buffered.is_empty());
    // A message takes 12 bytes, so 1,365 are a packet of 16 KiB.
    (0..1365).for_each(|number| buffered.send(number).unwrap());
    assert_eq!((buffered.len(), queued(peer.as_fd())), (1365, 0));
    buffered.send(1365).unwrap();
    assert_eq!((buffered.len(), queued(peer.as_fd())), (1, 16 + 1365 * 12));
    peer.receive().unwrap().unwrap();
    buffered.flush().unwrap();
    assert!(buffered.is_empty());
    assert_eq!(peer.receive().unwrap().unwrap().bytes, packet(&1365_u64.to_le_bytes(), &[], 0), "one message is no batch");
    buffered.flush().unwrap();
    assert_eq!(queued(peer.as_fd()), 0, "nothing is nothing");
    buffered.send(1).unwrap();
    buffered.send(2).unwrap();
    drop(buffered);
    assert_eq!(peer.receive().unwrap().unwrap().bytes, batch_packet(&[&1_u64.to_le_bytes(), &2_u64.to_le_bytes()]));
    // In a thread that panics too.
    let mut buffered = sender.buffered();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        buffered.send(3).unwrap();
        panic!("while it holds a message");
    }));
    assert!(panicked.is_err());
    assert_eq!(peer.receive().unwrap().unwrap().bytes, packet(&3_u64.to_le_bytes(), &[], 0));
}

fn a_buffered_sender_sends_with_the_next_call_after_its_interval() {
    let (sender, receiver) = channel::<u64>().unwrap();
    // It has always passed.
    let mut buffered = sender.buffered().with_interval(Duration::ZERO);
    for number in 0..10 {
        buffered.send(number).unwrap();
        assert_eq!(buffered.len(), 1, "those before it have gone");
        assert_eq!(numbers(&receiver), (0..number).skip(number.saturating_sub(1) as usize).collect::<Vec<_>>());
    }
    buffered.flush().unwrap();
    assert_eq!(numbers(&receiver), [9]);
    // It never passes, and it has not passed.
    let mut patient = sender.buffered().with_interval(Duration::from_secs(3600));
    (0..10).for_each(|number| patient.send(number).unwrap());
    assert_eq!(patient.len(), 10);
    // A full channel keeps nobody waiting for this, and nothing is lost.
    assert!(sender.try_send_all(0..).unwrap_err().source.is_full());
    let mut buffered = sender.buffered().with_interval(Duration::ZERO);
    (1000..1010).for_each(|number| buffered.try_send(number).unwrap());
    assert_eq!(buffered.len(), 10);
    numbers(&receiver);
    buffered.try_flush().unwrap();
    assert_eq!(numbers(&receiver), (1000..1010).collect::<Vec<_>>());
    drop(patient);
}

fn a_flush_that_fails_loses_nothing() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let mut buffered = sender.buffered().with_interval(Duration::MAX);
    let mut next = 0;
    let refused = loop {
        match buffered.try_send(next) {
            Ok(()) => next += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.is_full());
    assert_eq!(refused.into_message(), next, "the message comes back");
    let waiting = buffered.len();
    assert!(buffered.try_flush().unwrap_err().is_full());
    assert!(buffered.flush_timeout(Duration::ZERO).unwrap_err().is_timeout());
    assert!(buffered.send_timeout(next, Duration::ZERO).unwrap_err().is_timeout());
    assert_eq!(buffered.len(), waiting);
    let mut all = numbers(&receiver);
    buffered.send(next).unwrap();
    buffered.flush_deadline(std::time::Instant::now()).unwrap();
    all.extend(numbers(&receiver));
    assert_eq!(all, (0..=next).collect::<Vec<_>>());
    // A message that cannot be sent costs itself.
    let (sender, receiver) = channel::<Picky>().unwrap();
    let mut buffered = sender.buffered();
    buffered.send(Picky(1)).unwrap();
    assert_eq!(buffered.send(Picky(UNSENDABLE)).unwrap_err().into_message(), Picky(UNSENDABLE));
    buffered.send(Picky(2)).unwrap();
    drop(buffered);
    assert_eq!(receiver.try_iter().map(|message| message.unwrap().0).collect::<Vec<_>>(), [1, 2]);
}

fn a_buffered_sender_keeps_the_order_around_what_travels_alone() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Mixed>().unwrap();
    let child = support::spawn_unchecked::<(), ()>(move |_| {
        let mut buffered = sender.buffered();
        (0..3000).for_each(|number| buffered.send(Mixed::of(number)).unwrap());
    });
    let mut next = 0;
    for message in &receiver {
        message.unwrap().check(next);
        next += 1;
    }
    assert_eq!(next, 3000);
    assert!(child.wait().unwrap().success());
}

fn a_fork_forgets_what_its_parent_has_buffered() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let mut buffered = sender.buffered().with_interval(Duration::MAX);
    buffered.send(1).unwrap();
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        assert!(buffered.is_empty());
        buffered.send(2).unwrap();
        assert_eq!(buffered.len(), 1);
    })
    .unwrap();
    // The parent's copy was dropped, and flushed by that.
    assert!(child.wait().unwrap().success());
    let all: BTreeSet<_> = numbers(&receiver).into_iter().collect();
    assert_eq!(all, BTreeSet::from([1, 2]));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    drop(sender);
}

fn batches_of_two_senders_stay_whole() {
    let (peer, sender) = RawPeer::of_sender::<(u8, u64)>().unwrap();
    let threads: Vec<_> = (0..2_u8)
        .map(|who| {
            let sender = sender.clone();
            std::thread::spawn(move || sender.send_all((0..100_000).map(|number| (who, number))).unwrap())
        })
        .collect();
    drop(sender);
    let mut next = [0_u64; 2];
    while let Some(packet) = peer.receive().unwrap() {
        // Each message is a length, who sent it, and its number.
        let frames: Vec<_> = packet.bytes[16..].chunks(13).collect();
        let who = frames[0][4];
        for frame in frames {
            assert_eq!((frame.len(), &frame[..4], frame[4]), (13, [9, 0, 0, 0].as_slice(), who));
            assert_eq!(frame[5..], next[usize::from(who)].to_le_bytes());
            next[usize::from(who)] += 1;
        }
    }
    assert_eq!(next, [100_000; 2]);
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 100_000));
}

fn a_batch_travels_in_memory_where_packets_are_small() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u64>().unwrap();
    set_send_buffer(sender.as_fd(), 2304);
    assert_eq!(sender.send_all(0..5000).unwrap(), 5000);
    assert!(queued(receiver.as_fd()) < 1000, "headers alone");
    assert_eq!(receiver.recv().unwrap(), 0);
    assert!(receiver.has_buffered());
    assert_eq!(numbers(&receiver), (1..5000).collect::<Vec<_>>());
}

fn each_packet_keeps_to_the_limits() {
    let limits = Limits::new().max_message(100);
    let (peer, sender) = RawPeer::of_sender::<u64>().unwrap();
    let sender = sender.with_limits(limits);
    assert_eq!(sender.send_all(0..20).unwrap(), 20);
    // Eight of 12 bytes are 96.
    for count in [8, 8, 4] {
        assert_eq!(peer.receive().unwrap().unwrap().bytes.len(), 16 + count * 12);
    }
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    let (sender, receiver) = (sender.with_limits(limits), receiver.with_limits(limits));
    // As long as may be alone, and longer than a batch may be.
    let sizes = [0, 92, 84, 1, 92, 40, 40, 40];
    assert_eq!(sender.send_all(sizes.map(|size| vec![7; size])).unwrap(), sizes.len());
    let found: Vec<_> = receiver.try_iter().map(|message| message.unwrap().len()).collect();
    assert_eq!(found, sizes);
    // A receiver's limits hold for each message that it takes.
    let (sender, receiver) = channel::<String>().unwrap();
    sender.send_all(["a".to_owned(), "b".repeat(50), "c".to_owned()]).unwrap();
    assert_eq!(receiver.recv().unwrap(), "a");
    let receiver = receiver.with_limits(Limits::new().max_message(20));
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::TooLarge { limit: 20 }))));
    assert_eq!(receiver.recv().unwrap(), "c");
}

fn takes_little() {
    let hello = Hello::new().limits(Limits::new().max_message(1000));
    let parent = inherited_with::<u64, u64>(hello).unwrap();
    let mut next = 0;
    for number in &parent {
        assert_eq!(number.unwrap(), next);
        next += 1;
        if next == 20_000 {
            parent.send(next).unwrap();
        }
    }
}

fn programs_keep_to_the_limits_that_they_agreed_on() {
    for wait in [true, false] {
        let child = program("takes_little").spawn_with_channel::<u64, u64>().unwrap();
        if wait {
            child.wait_ready(Duration::from_secs(10)).unwrap();
        }
        // Without waiting, what leaves before the program's hello is there travels alone.
        assert_eq!(child.send_all(0..20_000).unwrap(), 20_000);
        assert_eq!(child.recv().unwrap(), 20_000);
        assert!(child.wait().unwrap().success());
    }
}

fn a_socket_takes_single_messages_only() {
    let (mut socket, other) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    let sender = Sender::<u32>::try_from(OwnedFd::from(other)).unwrap();
    sender.send_all([1, 2]).unwrap();
    sender.send_all([3]).unwrap();
    let error = socket.receive::<u32>().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let found = error.get_ref().unwrap().to_string();
    assert!(found.contains("kind 4, expected 1"), "{found}");
    assert_eq!(socket.receive::<u32>().unwrap(), 3);
}

fn a_million_messages_of_nothing_take_bounded_memory() {
    let (peer, receiver) = RawPeer::of_receiver::<()>().unwrap();
    let count = 1_000_000;
    peer.send(&batch_packet(&vec![&[][..]; count]), &[]).unwrap();
    receiver.recv().unwrap();
    let before = peak_resident_bytes();
    let (allocated, ()) = allocations::during(|| (1..count / 2).for_each(|_| receiver.try_recv().unwrap()));
    assert_eq!(allocated, 0);
    let (mut units, mut taken) = (Vec::new(), count / 2);
    while receiver.has_buffered() {
        let found = receiver.try_recv_batch(&mut units, 1000).unwrap();
        assert!(found <= 1000);
        taken += found;
    }
    assert_eq!(taken, count);
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    assert!(peak_resident_bytes() - before < 1 << 20);
    // Each takes a large part of what a message may take: within its own budget, and one at a time.
    let (peer, receiver) = RawPeer::of_receiver::<Vec<()>>().unwrap();
    let units = 2000_u64.to_le_bytes();
    peer.send(&batch_packet(&[&units[..]; 300]), &[]).unwrap();
    assert_eq!(receiver.try_iter().map(|units| units.unwrap().len()).sum::<usize>(), 300 * 2000);
    let too_many = 2_000_000_u64.to_le_bytes();
    peer.send(&batch_packet(&[&too_many, &too_many, &7_u64.to_le_bytes()]), &[]).unwrap();
    for _ in 0..2 {
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Fault(Fault::Decode(DecodeError::TooExpansive { .. })))));
    }
    assert_eq!(receiver.try_recv().unwrap().len(), 7);
}

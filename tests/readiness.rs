//! The contract of docs/readiness.md, kept by pollers that know nothing of this library but `AsFd`, `try_recv` and `try_send`.

#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::process::{CommandExt, ForkedProcess, inherited};
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{Bytes, Channel, Hello, Message, Receiver, Sender, TryRecvError, channel};
use calls::{mark, record};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;

trials!(
    a_poller_gets_everything_that_four_processes_send_on_one_channel,
    a_poller_gets_everything_that_four_processes_send_on_four_channels,
    a_spin_is_noticed,
    a_poller_of_changes_that_drains_misses_nothing,
    a_hang_up_is_no_reason_to_stop,
    a_fault_ends_nothing,
    readable_may_be_nothing_and_looking_does_not_wait,
    a_hello_is_readable_and_no_message,
    a_full_sender_becomes_writable,
    writability_does_not_tell_of_a_receiver_that_has_gone,
    a_dead_child_is_seen_by_its_pidfd;
    programs: leave_a_grandchild, hold_on
);

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What `poll` says at once, of reading.
fn look(fd: impl AsFd) -> PollFlags {
    look_for(fd, PollFlags::IN)
}

fn look_for(fd: impl AsFd, flags: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(&fd, flags)];
    poll(&mut fds, Some(&NOW)).unwrap();
    fds[0].revents()
}

/// xorshift64, by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Message)]
struct Parcel {
    sender: usize,
    number: u32,
    content: Content,
}

#[derive(Message)]
enum Content {
    Nothing,
    Text(String),
    Vector(Vec<u8>),
    Blob(Bytes),
    Files(Vec<File>),
}

impl Content {
    /// Small ones for the most part, and now and then up to a megabyte.
    fn of(random: &mut Random) -> Content {
        let size = if random.below(30) == 0 { 1 << 20 } else { 5000 };
        let size = random.below(size) as usize;
        let byte = random.below(26) as u8 + b'a';
        match random.below(20) {
            0 => Content::Nothing,
            1 => Content::Files((0..random.below(4)).map(|_| support::some_file()).collect()),
            2..6 => Content::Text(char::from(byte).to_string().repeat(size)),
            6..10 => Content::Blob(Bytes::from(vec![byte; size])),
            _ => Content::Vector(vec![byte; size]),
        }
    }

    fn is_like(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Nothing, Content::Nothing) => true,
            (Content::Text(one), Content::Text(other)) => one == other,
            (Content::Vector(one), Content::Vector(other)) => one == other,
            (Content::Blob(one), Content::Blob(other)) => one == other,
            (Content::Files(one), Content::Files(other)) => one.len() == other.len(),
            _ => false,
        }
    }
}

const SENDERS: usize = 4;
const MESSAGES: u32 = 400;
const SEED: u64 = 0x5eed_0004;

fn random(sender: usize) -> Random {
    Random(SEED + sender as u64)
}

/// Polls until every channel has ended: what the four have sent is there, each once and in order.
fn drain(receivers: Vec<Receiver<Parcel>>) {
    let mut open: Vec<_> = receivers.into_iter().map(Some).collect();
    let mut expected: [_; SENDERS] = std::array::from_fn(|sender| (0, random(sender)));
    while open.iter().any(Option::is_some) {
        let mut fds: Vec<_> = open.iter().flatten().map(|receiver| PollFd::new(receiver, PollFlags::IN)).collect();
        poll(&mut fds, None).unwrap();
        let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for slot in open.iter_mut().filter(|slot| slot.is_some()).zip(ready).filter_map(|(slot, ready)| ready.then_some(slot)) {
            while let Some(receiver) = slot {
                match receiver.try_recv() {
                    Ok(Parcel { sender, number, content }) => {
                        let (count, random) = &mut expected[sender];
                        assert_eq!(number, *count, "of sender {sender}");
                        *count += 1;
                        assert!(content.is_like(&Content::of(random)), "of sender {sender}, number {number}");
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Closed) => *slot = None,
                    Err(TryRecvError::Fault(fault)) => panic!("{fault:?}"),
                }
            }
        }
    }
    assert_eq!(expected.map(|(count, _)| count), [MESSAGES; SENDERS]);
}

/// Four processes send, and a fifth polls these many channels for it.
fn poll_from_four_processes(channels: usize) {
    println!("seed {SEED:#x}");
    let _ledger = FdLedger::open().unwrap();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..channels).map(|_| channel::<Parcel>().unwrap()).unzip();
    // Every process has a copy of every end, and drops what is not its own.
    let (senders, receivers) = (RefCell::new(senders), RefCell::new(receivers));
    let receive = || {
        senders.take();
        let receivers = receivers.take();
        mark();
        drain(receivers);
        mark();
    };
    let send = |sender: usize| {
        receivers.take();
        let to = senders.take().swap_remove(sender % channels);
        let mut random = random(sender);
        for number in 0..MESSAGES {
            assert!(to.send(Parcel { sender, number, content: Content::of(&mut random) }).is_ok());
        }
    };
    let (one, two, three, four) = (|| send(0), || send(1), || send(2), || send(3));
    let [calls, ..] = record([&receive, &one, &two, &three, &four], |_, _| {
        senders.take();
        receivers.take();
    });
    let messages = MESSAGES as usize * SENDERS;
    println!("{messages} messages, {} calls", calls.len());
    is_no_spin(calls.len(), messages);
}

/// All of them: what the memory and the files of a message cost is in there too.
fn is_no_spin(calls: usize, messages: usize) {
    assert!(calls <= 2 * messages + 50, "{calls} calls for {messages} messages");
}

fn a_poller_gets_everything_that_four_processes_send_on_one_channel() {
    poll_from_four_processes(1);
}

fn a_poller_gets_everything_that_four_processes_send_on_four_channels() {
    poll_from_four_processes(4);
}

fn a_spin_is_noticed() {
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.send(1).unwrap();
    let spin = || {
        mark();
        // One message, and then looking without waiting.
        (0..100).for_each(|_| drop((look(&receiver), receiver.try_recv())));
        mark();
    };
    let [calls] = record([&spin], |_, _| {});
    assert!(std::panic::catch_unwind(|| is_no_spin(calls.len(), 1)).is_err());
}

fn a_poller_of_changes_that_drains_misses_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let changes = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&changes, &receiver, epoll::EventData::new_u64(1), epoll::EventFlags::IN | epoll::EventFlags::ET).unwrap();
    let look = || {
        let mut events = Vec::with_capacity(1);
        epoll::wait(&changes, rustix::buffer::spare_capacity(&mut events), Some(&NOW)).unwrap() == 1
    };
    // The control: one message per change, and the second lies there unseen.
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert!(look());
    assert_eq!(receiver.try_recv().unwrap(), 1);
    assert!(!look());
    // Until `Empty`: after it, whatever comes is a change.
    for number in 2..100 {
        assert_eq!(receiver.try_recv().unwrap(), number);
        assert!(receiver.try_recv().unwrap_err().is_empty());
        assert!(!look());
        sender.send(number + 1).unwrap();
        assert!(look());
    }
    drop(sender);
    assert!(look(), "so is the end");
    assert_eq!(receiver.try_recv().unwrap(), 100);
    assert!(receiver.try_recv().unwrap_err().is_closed());
}

fn a_hang_up_is_no_reason_to_stop() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    (0..3).for_each(|number| sender.send(number).unwrap());
    drop(sender);
    for number in 0..3 {
        assert!(look(&receiver).contains(PollFlags::IN | PollFlags::HUP), "both at once");
        assert_eq!(receiver.try_recv().unwrap(), number);
    }
    assert!(look(&receiver).contains(PollFlags::HUP));
    assert!(receiver.try_recv().unwrap_err().is_closed());

    // With a message of ours unread at the peer, which is an error to the kernel.
    let (near, far) = Channel::<u32>::pair().unwrap();
    near.send(1).unwrap();
    far.send(2).unwrap();
    drop(far);
    assert!(look(&near).contains(PollFlags::IN | PollFlags::HUP | PollFlags::ERR));
    assert_eq!(near.try_recv().unwrap(), 2);
    assert!(near.try_recv().unwrap_err().is_closed());
}

fn a_fault_ends_nothing() {
    let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
    for bytes in [b"not ours".to_vec(), vec![], packet(&[1], &[], 0), packet(&7_u32.to_le_bytes(), &[], 0)] {
        peer.send(&bytes, &[]).unwrap();
    }
    for _ in 0..3 {
        assert!(look(&receiver).contains(PollFlags::IN));
        assert!(receiver.try_recv().unwrap_err().fault().is_some());
    }
    assert_eq!(receiver.try_recv().unwrap(), 7);
    assert!(look(&receiver).is_empty());
}

fn readable_may_be_nothing_and_looking_does_not_wait() {
    // Two who poll the same socket: both are told, and one of them finds nothing.
    let (sender, receiver) = channel::<u32>().unwrap();
    let other = Receiver::<u32>::try_from(receiver.as_fd().try_clone_to_owned().unwrap()).unwrap();
    sender.send(1).unwrap();
    assert!(look(&receiver).contains(PollFlags::IN) && look(&other).contains(PollFlags::IN));
    assert_eq!(other.try_recv().unwrap(), 1);
    assert!(receiver.try_recv().unwrap_err().is_empty());
    assert!(look(&receiver).is_empty());
}

fn full(sender: &Sender<u32>) -> u32 {
    (0..).find(|&number| sender.try_send(number).is_err_and(|error| error.is_full())).unwrap()
}

fn a_full_sender_becomes_writable() {
    let (sender, receiver) = channel::<u32>().unwrap();
    let writable = || look_for(&sender, PollFlags::OUT).contains(PollFlags::OUT);
    assert!(writable());
    let sent = full(&sender);
    assert!(!writable());
    let mut received = 0;
    while !writable() {
        received = receiver.try_recv().unwrap() + 1;
    }
    // The kernel's rule: when three quarters are free. There had been room long before.
    assert!(received >= sent / 2 && received < sent, "{received} of {sent}");
    assert!(sender.try_send(0).is_ok());
    assert_eq!(receiver.try_iter().count() as u32, sent - received + 1);
}

fn writability_does_not_tell_of_a_receiver_that_has_gone() {
    let (near, far) = Channel::<u32>::pair().unwrap();
    let (_to_near, receiver) = far.split();
    drop(receiver);
    assert!(look_for(&near, PollFlags::OUT) == PollFlags::OUT);
    assert!(near.try_send(1).unwrap_err().is_closed());
    // One that waits for room is told all the same, when everybody has gone.
    let (sender, receiver) = channel::<u32>().unwrap();
    full(&sender);
    drop(receiver);
    assert!(look_for(&sender, PollFlags::OUT).contains(PollFlags::HUP));
    assert!(sender.try_send(1).unwrap_err().is_closed());
}

/// Starts a program that holds this one's end, says a word, and ends.
fn leave_a_grandchild() {
    // Before the end is taken every program inherits it.
    let grandchild = support::program("hold_on").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    grandchild.stdout.unwrap().read_exact(&mut [0]).unwrap();
    inherited::<u32, ()>().unwrap().send(1).unwrap();
    std::process::exit(0);
}

/// Until it is killed with the test.
fn hold_on() {
    print!(".");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

fn a_dead_child_is_seen_by_its_pidfd() {
    let mut child = support::program("leave_a_grandchild").spawn_with_channel::<(), u32>().unwrap();
    assert_eq!(child.recv().unwrap(), 1);
    let mut fds = [PollFd::new(child.channel(), PollFlags::IN), PollFd::from_borrowed_fd(child.pidfd().unwrap(), PollFlags::IN)];
    poll(&mut fds, None).unwrap();
    assert_eq!(fds.map(|fd| fd.revents()), [PollFlags::empty(), PollFlags::IN]);
    assert!(child.try_recv().unwrap_err().is_closed());
    assert!(child.try_wait().unwrap().unwrap().success());
    // Where nobody else holds the end the socket says it too.
    let child = ForkedProcess::spawn(|_: Channel<u32, ()>| ()).unwrap();
    poll(&mut [PollFd::new(child.channel(), PollFlags::IN)], None).unwrap();
    assert!(child.try_recv().unwrap_err().is_closed());
}

/// That of another program, which an end hears in whatever it does.
fn a_hello_is_readable_and_no_message() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, end) = RawPeer::of_program::<u32, u32>(Hello::new()).unwrap();
    assert!(look(&end).is_empty());
    // It means the same both ways, so that its own is what it wants to hear.
    let hello = peer.receive().unwrap().unwrap().bytes;
    peer.send(&hello, &[]).unwrap();
    assert_eq!(look(&end), PollFlags::IN);
    assert!(matches!(end.try_recv(), Err(TryRecvError::Empty)));
    assert!(look(&end).is_empty());
    peer.send(&packet(&[7, 0, 0, 0], &[], 0), &[]).unwrap();
    assert_eq!(look(&end), PollFlags::IN);
    assert_eq!(end.try_recv().unwrap(), 7);
}

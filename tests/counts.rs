//! What a message costs, counted: system calls by tracing the processes that make them, heap allocations by an allocator that counts.
//!
//! The counts are of the steady state: a message or two goes first, because a thread's buffers are made for its first message.

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::protocol::{Call, Stop};
use breezeway::select::Select;
use breezeway::{Blob, Bytes, Channel, Fd, Message, RecvTimeoutError, Sender, TryRecvError, Waiting, channel};
use calls::{EPOLL_WAIT, mark, record};
use libc::{
    SYS_accept4, SYS_bind, SYS_close, SYS_connect, SYS_fcntl, SYS_fstatfs, SYS_getpid, SYS_getsockname, SYS_getsockopt, SYS_ioctl,
    SYS_listen, SYS_madvise, SYS_memfd_create, SYS_mmap, SYS_munmap, SYS_newfstatat, SYS_ppoll, SYS_prlimit64, SYS_recvmsg, SYS_sendmsg,
    SYS_setsockopt, SYS_shutdown, SYS_socket, SYS_writev,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use support::some_file;

trials!(
    a_small_message_is_one_sendmsg_and_one_recvmsg,
    a_cloned_sender_of_a_one_way_channel_makes_one_sendmsg_per_message,
    a_descriptor_adds_one_dup_and_one_close_at_the_sender_and_one_look_at_the_receiver,
    an_end_in_a_message_adds_one_dup_and_one_close_at_the_sender,
    looking_at_an_empty_channel_is_one_recvmsg,
    waiting_with_a_deadline_is_recvmsg_ppoll_recvmsg,
    giving_up_at_a_deadline_is_recvmsg_and_ppoll,
    what_is_there_is_one_recvmsg_however_an_end_waits,
    awake_a_wait_is_recvmsg_again_and_again_and_then_sleep,
    an_adaptive_end_whose_messages_are_late_sleeps_like_any_other,
    what_fits_in_no_packet_is_made_sealed_looked_at_and_mapped,
    descriptors_that_fit_beside_no_packet_are_put_into_a_socket_and_taken_out_of_it,
    a_call_is_the_two_messages_that_it_is,
    a_call_of_one_among_many_is_a_look_and_two_messages,
    a_call_with_a_deadline_waits_as_a_receive_with_one,
    many_messages_at_once_are_one_call_a_packet,
    looking_for_more_than_there_is_is_one_recvmsg,
    one_system_call_more_is_noticed,
    a_plain_serde_message_without_heap_fields_allocates_nothing,
    a_derived_message_without_heap_fields_allocates_nothing,
    a_message_with_a_file_allocates_nothing,
    each_heap_field_is_one_allocation_at_the_receiver,
    large_blobs_are_one_allocation_at_the_receiver,
    many_messages_at_once_allocate_a_list,
    a_buffered_sender_allocates_nothing,
    waiting_in_a_select_allocates_nothing,
    blobs_in_memory_share_one_allocation,
    one_allocation_more_is_noticed,
);

/// Messages counted, after one that is not.
const COUNTED: usize = 100;

#[derive(Debug, Message, PartialEq)]
struct Tiny {
    id: u64,
    value: u32,
}

fn numbers(calls: &[calls::Call]) -> Vec<libc::c_long> {
    // Newer C libraries have gone back to `fstat`.
    calls.iter().map(|call| if call.number == libc::SYS_fstat { FSTAT } else { call.number }).collect()
}

/// Calls `each` once to warm up, then `COUNTED` times between marks.
fn counted(each: impl Fn()) {
    each();
    mark();
    (0..COUNTED).for_each(|_| each());
    mark();
}

fn a_small_message_is_one_sendmsg_and_one_recvmsg() {
    let (near, far) = Channel::<Tiny>::pair().unwrap();
    let ping = || {
        counted(|| {
            near.send(Tiny { id: 1, value: 2 }).unwrap();
            assert_eq!(near.recv().unwrap().value, 3);
        });
    };
    let pong = || {
        counted(|| {
            let Tiny { id, value } = far.recv().unwrap();
            far.send(Tiny { id, value: value + 1 }).unwrap();
        });
    };
    let [pings, pongs] = record([&ping, &pong], |_, _| {});
    assert_eq!(numbers(&pings), [SYS_sendmsg, SYS_recvmsg].repeat(COUNTED));
    assert_eq!(numbers(&pongs), [SYS_recvmsg, SYS_sendmsg].repeat(COUNTED));
}

fn a_cloned_sender_of_a_one_way_channel_makes_one_sendmsg_per_message() {
    let (sender, receiver) = channel::<Tiny>().unwrap();
    let clone = sender.clone();
    let send = || {
        counted(|| {
            sender.send(Tiny { id: 1, value: 2 }).unwrap();
            clone.send(Tiny { id: 3, value: 4 }).unwrap();
        });
    };
    let receive = || {
        counted(|| {
            assert_eq!(receiver.recv().unwrap().id, 1);
            assert_eq!(receiver.recv().unwrap().id, 3);
        });
    };
    let [sent, received] = record([&send, &receive], |_, _| {});
    assert_eq!(numbers(&sent), [SYS_sendmsg; 2].repeat(COUNTED));
    assert_eq!(numbers(&received), [SYS_recvmsg; 2].repeat(COUNTED));
}

#[derive(Message)]
struct Delivery {
    id: u64,
    file: File,
}

/// Sends values made before the marks, and keeps what is received until after them.
fn calls_per_message<T: Serialize + DeserializeOwned>(
    make: impl Fn() -> T,
    expected: &[libc::c_long],
    expected_on_receipt: &[libc::c_long],
) {
    let (sender, receiver) = channel::<T>().unwrap();
    let send = || {
        let messages: Vec<T> = (0..COUNTED).map(|_| make()).collect();
        sender.send(make()).unwrap();
        mark();
        for message in messages {
            assert!(sender.send(message).is_ok());
        }
        mark();
    };
    let receive = || {
        let mut messages = Vec::with_capacity(COUNTED);
        receiver.recv().unwrap();
        mark();
        (0..COUNTED).for_each(|_| messages.push(receiver.recv().unwrap()));
        mark();
    };
    let [sent, received] = record([&send, &receive], |_, _| {});
    assert_eq!(numbers(&sent), expected.repeat(COUNTED));
    assert_eq!(numbers(&received), expected_on_receipt.repeat(COUNTED));
}

/// How the C library asks the kernel what a file is.
const FSTAT: libc::c_long = libc::SYS_newfstatat;

fn a_descriptor_adds_one_dup_and_one_close_at_the_sender_and_one_look_at_the_receiver() {
    // The second close is of the file itself, which has moved.
    let expected = [SYS_fcntl, SYS_sendmsg, SYS_close, SYS_close];
    calls_per_message(|| Fd(some_file()), &expected, &[SYS_recvmsg, FSTAT]);
    calls_per_message(|| Delivery { id: 7, file: some_file() }, &expected, &[SYS_recvmsg, FSTAT]);
    // Anything goes, so nothing is looked at.
    calls_per_message(|| Fd(std::os::fd::OwnedFd::from(some_file())), &expected, &[SYS_recvmsg]);
}

#[derive(Clone, Message)]
struct Invitation {
    to: Sender<u32>,
}

fn an_end_in_a_message_adds_one_dup_and_one_close_at_the_sender() {
    let (sender, receiver) = channel::<Invitation>().unwrap();
    let invitation = Invitation { to: channel().unwrap().0 };
    let send = || counted(|| sender.send_ref(&invitation).unwrap());
    let [sent] = record([&send], |_, _| {});
    assert_eq!(numbers(&sent), [SYS_fcntl, SYS_sendmsg, SYS_close].repeat(COUNTED));
    assert_eq!(receiver.try_iter().filter(Result::is_ok).count(), 1 + COUNTED);
}

#[breezeway::protocol]
trait Counted {
    fn echo(value: u64) -> u64;
    /// A mark in the service's process.
    fn mark();
}

#[derive(Default)]
struct Service {
    stop: OnceCell<Stop>,
    marked: Cell<bool>,
}

impl CountedService for Service {
    fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
        value
    }

    fn mark(&self, _: &Call<'_>) {
        mark();
        // The second is the end: this test's process has the client too, so it is not closed.
        if self.marked.replace(true) {
            self.stop.get().unwrap().stop(Duration::ZERO);
        }
    }
}

fn a_call_is_the_two_messages_that_it_is() {
    let (client, end) = Counted::pair().unwrap();
    let end = RefCell::new(Some(end));
    let call = || {
        client.echo(0).unwrap();
        client.mark().unwrap();
        counted(|| assert_eq!(client.echo(7).unwrap(), 7));
        client.mark().unwrap();
    };
    let serve = || {
        let server = Counted::server(Service::default());
        server.service().stop.set(server.stop_handle()).unwrap();
        server.serve(end.take().unwrap()).unwrap();
    };
    let [called, served] = record([&call, &serve], |_, _| {});
    assert_eq!(numbers(&called), [SYS_sendmsg, SYS_recvmsg].repeat(COUNTED));
    // From the answer to the first mark to the call of the second; between the client's marks is one call less.
    assert_eq!(numbers(&served), [SYS_sendmsg, SYS_recvmsg].repeat(COUNTED + 2));
}

fn a_call_of_one_among_many_is_a_look_and_two_messages() {
    let (clients, arrivals) = breezeway::protocol::clients();
    let [client, other] = [(); 2].map(|()| {
        let (client, end) = Counted::pair().unwrap();
        clients.add(end).unwrap();
        client
    });
    let arrivals = RefCell::new(Some(arrivals));
    let call = || {
        other.echo(0).unwrap();
        client.mark().unwrap();
        (0..COUNTED as u64).for_each(|value| assert_eq!(client.echo(value).unwrap(), value));
        client.mark().unwrap();
    };
    let serve = || {
        let server = Counted::server(Service::default());
        server.service().stop.set(server.stop_handle()).unwrap();
        server.serve_all(arrivals.take().unwrap()).unwrap();
    };
    let [_, served] = record([&call, &serve], |_, _| {});
    let round = [SYS_sendmsg, SYS_getpid, EPOLL_WAIT, SYS_recvmsg];
    assert_eq!(numbers(&served), round.repeat(COUNTED + 1));
}

fn a_call_with_a_deadline_waits_as_a_receive_with_one() {
    let (client, end) = Counted::pair().unwrap();
    // Long enough that it is not over before the first look.
    let client = client.with_timeout(Duration::from_millis(200));
    let give_up = || {
        let call = || assert!(client.echo(1).unwrap_err().is_timeout());
        call();
        mark();
        (0..10).for_each(|_| call());
        mark();
    };
    let [called] = record([&give_up], |_, _| {});
    // The last `recvmsg` looks at what came meanwhile, and the last `sendmsg` cancels.
    let once = [SYS_sendmsg, SYS_recvmsg, SYS_ppoll, SYS_recvmsg, SYS_sendmsg];
    assert_eq!(numbers(&called), once.repeat(10));
    drop(end);
}

fn looking_at_an_empty_channel_is_one_recvmsg() {
    let (_sender, receiver) = channel::<Tiny>().unwrap();
    let look = || counted(|| assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty))));
    let [looks] = record([&look], |_, _| {});
    assert_eq!(numbers(&looks), [SYS_recvmsg].repeat(COUNTED));
}

fn waiting_with_a_deadline_is_recvmsg_ppoll_recvmsg() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let wait = || counted(|| assert_eq!(receiver.recv_timeout(Duration::from_secs(60)).unwrap(), 7));
    sender.send(7).unwrap();
    // The message comes when the receiver has found nothing and is about to wait.
    let [waits] = record([&wait], |_, call| {
        if call.number == SYS_ppoll {
            sender.send(7).unwrap();
        }
    });
    assert_eq!(numbers(&waits), [SYS_recvmsg, SYS_ppoll, SYS_recvmsg].repeat(COUNTED));
}

fn giving_up_at_a_deadline_is_recvmsg_and_ppoll() {
    let (_sender, receiver) = channel::<u64>().unwrap();
    let give_up = || counted(|| assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout))));
    let [calls] = record([&give_up], |_, _| {});
    assert_eq!(numbers(&calls), [SYS_recvmsg, SYS_ppoll].repeat(COUNTED));
}

fn what_is_there_is_one_recvmsg_however_an_end_waits() {
    for waiting in [Waiting::Block, Waiting::Adaptive, Waiting::Spin(Duration::from_secs(60))] {
        let (sender, receiver) = channel::<u64>().unwrap();
        let receiver = receiver.with_waiting(waiting);
        (0..=COUNTED).for_each(|_| sender.send(7).unwrap());
        let take = || counted(|| assert_eq!(receiver.recv().unwrap(), 7));
        let [calls] = record([&take], |_, _| {});
        assert_eq!(numbers(&calls), [SYS_recvmsg].repeat(COUNTED), "{waiting:?}");
    }
}

fn awake_a_wait_is_recvmsg_again_and_again_and_then_sleep() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let receiver = receiver.with_waiting(Waiting::Spin(Duration::from_secs(60)));
    let wait = || counted(|| assert_eq!(receiver.recv().unwrap(), 7));
    sender.send(7).unwrap();
    // Every message comes at the third look.
    let mut looks = 0;
    let [waits] = record([&wait], |_, _| {
        looks += 1;
        if looks % 3 == 0 {
            sender.send(7).unwrap();
        }
    });
    assert_eq!(numbers(&waits), [SYS_recvmsg; 3].repeat(COUNTED));
    // With no time to be awake, it looks twice, and sleeps.
    let receiver = receiver.with_waiting(Waiting::Spin(Duration::ZERO));
    let give_up = || counted(|| assert!(matches!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout))));
    let [calls] = record([&give_up], |_, _| {});
    assert_eq!(numbers(&calls), [SYS_recvmsg, SYS_recvmsg, SYS_recvmsg, SYS_ppoll].repeat(COUNTED));
}

fn an_adaptive_end_whose_messages_are_late_sleeps_like_any_other() {
    let (_sender, receiver) = channel::<u64>().unwrap();
    let receiver = receiver.with_waiting(Waiting::Adaptive);
    let give_up = || receiver.recv_timeout(Duration::from_micros(100));
    let late = || {
        // It finds out in about ten waits; until the next trial there are more than a hundred by then.
        (0..300).for_each(|_| assert!(give_up().is_err()));
        mark();
        (0..COUNTED).for_each(|_| assert!(give_up().is_err()));
        mark();
    };
    let [calls] = record([&late], |_, _| {});
    assert_eq!(numbers(&calls), [SYS_recvmsg, SYS_ppoll].repeat(COUNTED));
}

fn what_fits_in_no_packet_is_made_sealed_looked_at_and_mapped() {
    let (sender, receiver) = channel::<Blob>().unwrap();
    let blob = Blob::from(vec![7; 5 << 20]);
    let _owner = blob.clone();
    let send = || counted(|| sender.try_send(blob.clone()).unwrap());
    let receive = || counted(|| assert_eq!(receiver.recv().unwrap().len(), 5 << 20));
    let [sent, received] = record([&send, &receive], |_, _| {});
    let making = [SYS_prlimit64, SYS_memfd_create, SYS_writev, SYS_fcntl];
    assert_eq!(numbers(&sent), [&[SYS_sendmsg, SYS_sendmsg], making.as_slice(), &[SYS_sendmsg, SYS_close]].concat().repeat(COUNTED));
    let looking = [SYS_fcntl, SYS_fcntl, SYS_fstatfs, SYS_newfstatat];
    assert_eq!(
        numbers(&received),
        [&[SYS_recvmsg], looking.as_slice(), &[SYS_mmap, SYS_madvise, SYS_close, SYS_munmap]].concat().repeat(COUNTED)
    );
}

fn descriptors_that_fit_beside_no_packet_are_put_into_a_socket_and_taken_out_of_it() {
    let limits = breezeway::Limits::new().max_descriptors(1000);
    let calls = |count: usize| {
        let (sender, receiver) = channel::<Vec<Fd<std::os::fd::OwnedFd>>>().unwrap();
        let (sender, receiver) = (sender.with_limits(limits), receiver.with_limits(limits));
        let message = (0..count).map(|_| Fd(std::os::fd::OwnedFd::from(some_file()))).collect();
        let message = Cell::new(Some(message));
        let send = || {
            sender.send(vec![]).unwrap();
            mark();
            sender.send(message.take().unwrap()).unwrap();
            mark();
        };
        let receive = || {
            assert!(receiver.recv().unwrap().is_empty());
            mark();
            let message = receiver.recv().unwrap();
            mark();
            assert_eq!(message.len(), count);
        };
        let [sent, received] = record([&send, &receive], |_, _| {});
        // Each is duplicated, and both are closed.
        let sent = numbers(&sent);
        assert_eq!(sent[..count], vec![SYS_fcntl; count]);
        assert_eq!(sent[sent.len() - 2 * count..], vec![SYS_close; 2 * count]);
        (sent[count..sent.len() - 2 * count].to_vec(), numbers(&received))
    };
    assert_eq!(calls(253), (vec![SYS_sendmsg], vec![SYS_recvmsg]));
    let making = [SYS_socket, SYS_bind, SYS_listen, SYS_getsockname, SYS_socket, SYS_connect, SYS_setsockopt];
    let looking = [SYS_recvmsg, SYS_getsockopt, SYS_getsockopt, SYS_getsockopt, SYS_shutdown, SYS_accept4];
    // The last look finds the end, and what it looked for: whether that is a packet of no bytes.
    let taking = |packets| [vec![SYS_recvmsg; packets + 1], vec![SYS_ppoll, SYS_ioctl, SYS_close, SYS_close]].concat();
    for (count, packets) in [(254, 2), (506, 2), (507, 3)] {
        let (sent, received) = calls(count);
        // The connection is closed when it is filled, the socket that the packet carries when it is sent.
        assert_eq!(sent, [making.as_slice(), &vec![SYS_sendmsg; packets], &[SYS_close, SYS_sendmsg, SYS_close]].concat());
        assert_eq!(received, [looking.as_slice(), &taking(packets)].concat());
    }
}

/// 64 bytes encoded.
#[derive(Clone, Copy, Debug, Message, PartialEq)]
struct Line([u64; 8]);

const MANY: usize = 10_000;

fn lines() -> impl Iterator<Item = Line> {
    (0..MANY as u64).map(|number| Line([number; 8]))
}

fn many_messages_at_once_are_one_call_a_packet() {
    // With its length a message takes 68 bytes, and 240 of them fit into 16 KiB.
    const PACKETS: usize = MANY.div_ceil(240);
    let all = || {
        let (sender, receiver) = channel::<Line>().unwrap();
        let mut received = Vec::with_capacity(MANY);
        sender.send(Line([0; 8])).unwrap();
        receiver.recv().unwrap();
        mark();
        assert_eq!(sender.send_all(lines()).unwrap(), MANY);
        assert_eq!(receiver.recv_batch(&mut received, MANY).unwrap(), MANY);
        // Again, with a sender that is told one by one, and a receiver that takes one by one.
        let mut buffered = sender.buffered().with_interval(Duration::MAX);
        lines().for_each(|line| buffered.send(line).unwrap());
        drop(buffered);
        lines().for_each(|line| assert_eq!(receiver.recv().unwrap(), line));
        mark();
        assert!(received.into_iter().eq(lines()));
    };
    let [calls] = record([&all], |_, _| {});
    // A call more would be one that waits, or asks the time.
    assert_eq!(numbers(&calls), [[SYS_sendmsg; PACKETS], [SYS_recvmsg; PACKETS], [SYS_sendmsg; PACKETS], [SYS_recvmsg; PACKETS]].concat());
}

fn looking_for_more_than_there_is_is_one_recvmsg() {
    let (sender, receiver) = channel::<u64>().unwrap();
    let receive = || {
        counted(|| {
            sender.send_all(0..3).unwrap();
            assert_eq!(receiver.try_recv_batch(&mut Vec::new(), 4).unwrap(), 3);
        });
    };
    let [calls] = record([&receive], |_, _| {});
    assert_eq!(numbers(&calls), [SYS_sendmsg, SYS_recvmsg, SYS_recvmsg].repeat(COUNTED));
}

fn one_system_call_more_is_noticed() {
    let (sender, _receiver) = channel::<Tiny>().unwrap();
    let send = || {
        counted(|| {
            sender.send(Tiny { id: 1, value: 2 }).unwrap();
            assert_ne!(std::process::id(), 0);
        });
    };
    let [sent] = record([&send], |_, _| {});
    assert_eq!(numbers(&sent), [SYS_sendmsg, SYS_getpid].repeat(COUNTED));
}

/// Allocations per message of the sender and of the receiver, the same for each of many messages.
fn allocations<T: Serialize + DeserializeOwned>(make: impl Fn() -> T) -> (usize, usize) {
    allocations_on(Channel::<T>::pair().unwrap(), make)
}

fn allocations_on<T: Serialize + DeserializeOwned>((near, far): (Channel<T>, Channel<T>), make: impl Fn() -> T) -> (usize, usize) {
    let there = || {
        let message = make();
        let (sent, result) = allocations::during(|| near.send(message));
        assert!(result.is_ok());
        let (received, result) = allocations::during(|| far.recv());
        assert!(result.is_ok());
        (sent, received)
    };
    there();
    let steady = there();
    (1..COUNTED).for_each(|_| assert_eq!(there(), steady));
    steady
}

#[derive(Serialize, Deserialize)]
enum Plain {
    Numbers { all: [u64; 6], pair: (u8, i64), maybe: Option<u32>, nested: Option<Option<char>> },
    Stop,
}

fn a_plain_serde_message_without_heap_fields_allocates_nothing() {
    let numbers = || Plain::Numbers { all: [1; 6], pair: (2, -3), maybe: Some(4), nested: Some(None) };
    assert_eq!(allocations(numbers), (0, 0));
    assert_eq!(allocations(|| Plain::Stop), (0, 0));
    assert_eq!(allocations(|| 7_u32), (0, 0));
}

#[derive(Message)]
enum Derived {
    Numbers { all: [u64; 6], key: [u8; 32], pair: (u8, i64), maybe: Option<u32>, result: Result<Tiny, i8> },
    Took(Duration),
    Stop,
}

fn a_derived_message_without_heap_fields_allocates_nothing() {
    let result = || Ok(Tiny { id: 5, value: 6 });
    let numbers = || Derived::Numbers { all: [1; 6], key: [2; 32], pair: (2, -3), maybe: Some(4), result: result() };
    assert_eq!(allocations(numbers), (0, 0));
    assert_eq!(allocations(|| Derived::Took(Duration::from_millis(1))), (0, 0));
    assert_eq!(allocations(|| Derived::Stop), (0, 0));
}

#[derive(Message)]
struct Files {
    one: File,
    two: Option<File>,
    three: [File; 3],
}

fn a_message_with_a_file_allocates_nothing() {
    assert_eq!(allocations(|| Fd(some_file())), (0, 0));
    assert_eq!(allocations(|| Delivery { id: 7, file: some_file() }), (0, 0));
    let files = || Files { one: some_file(), two: Some(some_file()), three: [some_file(), some_file(), some_file()] };
    assert_eq!(allocations(files), (0, 0));
}

#[derive(Message)]
struct Heap {
    name: String,
    numbers: Vec<u32>,
    bytes: Vec<u8>,
    shared: Bytes,
    boxed: Box<Tiny>,
    map: HashMap<u32, u64>,
    sorted: BTreeMap<u32, u64>,
    none: Option<String>,
    empty: Vec<String>,
}

fn heap() -> Heap {
    Heap {
        name: "name".into(),
        numbers: vec![1, 2, 3],
        bytes: vec![4; 100],
        shared: Bytes::from(vec![5; 100]),
        boxed: Box::new(Tiny { id: 6, value: 7 }),
        map: HashMap::from([(8, 9)]),
        sorted: BTreeMap::from([(10, 11)]),
        none: None,
        empty: Vec::new(),
    }
}

fn each_heap_field_is_one_allocation_at_the_receiver() {
    assert_eq!(allocations(|| String::from("text")), (0, 1));
    assert_eq!(allocations(|| vec![1_u32; 1000]), (0, 1));
    assert_eq!(allocations(|| (String::from("text"), vec![1_u64; 3], Box::new(1_u8))), (0, 3));
    // Seven of them hold something.
    assert_eq!(allocations(heap), (0, 7));
}

#[derive(Message)]
struct Picture {
    pixels: Bytes,
    thumbnail: Bytes,
}

fn large_blobs_are_one_allocation_at_the_receiver() {
    let shared = Bytes::from(vec![1; 100_000]);
    let _owner = shared.clone();
    assert_eq!(allocations(|| Picture { pixels: shared.clone(), thumbnail: Bytes::from_static(b"small") }), (0, 2));
    // Slices of a buffer that is used again share what counts them.
    assert_eq!(allocations(|| Picture { pixels: shared.clone(), thumbnail: shared.clone() }), (0, 1));
    let half = Bytes::from(vec![1; 2 << 20]);
    let _other_owner = half.clone();
    let large = |thumbnail: &Bytes| allocations(|| Picture { pixels: half.clone(), thumbnail: thumbnail.clone() });
    assert_eq!(large(&Bytes::new()), (0, 1));
    assert_eq!(large(&half.slice(..(2 << 20) - 1000)), (0, 1));
    assert_eq!(large(&shared), (0, 2));
    // The first clone of a `Bytes` made of a vector allocates its count of references.
    assert_eq!(allocations(|| Fresh(Bytes::from(vec![1; 100_000]))), (1, 1));
}

fn blobs_in_memory_share_one_allocation() {
    let shared = |length| {
        let bytes = Bytes::from(vec![1; length]);
        (bytes.clone(), bytes)
    };
    let (large, _owner) = shared(100_000);
    let (small, _other_owner) = shared(5000);
    let pair = || {
        let pair = Channel::<Picture>::pair().unwrap();
        support::set_send_buffer(pair.0.as_fd(), 2304);
        pair
    };
    assert_eq!(allocations_on(pair(), || Picture { pixels: large.clone(), thumbnail: large.clone() }), (0, 1));
    assert_eq!(allocations_on(pair(), || Picture { pixels: large.clone(), thumbnail: small.clone() }), (0, 2));
}

fn many_messages_at_once_allocate_a_list() {
    let (sender, receiver) = channel::<Line>().unwrap();
    let mut received = Vec::with_capacity(MANY);
    for round in 0..3 {
        let (count, sent) = allocations::during(|| sender.send_all(lines()).unwrap());
        assert_eq!((count, sent), (usize::from(round == 0) * count + usize::from(round > 0), MANY));
        // Half of them at once, half one by one.
        let (count, taken) = allocations::during(|| receiver.recv_batch(&mut received, MANY / 2).unwrap());
        assert_eq!((count, taken), (usize::from(round == 0) * count, MANY / 2));
        let (count, ()) = allocations::during(|| (MANY / 2..MANY).for_each(|_| received.push(receiver.recv().unwrap())));
        assert_eq!(count, 0);
        assert!(received.drain(..).eq(lines()));
    }
    // The messages' own.
    let (sender, receiver) = channel::<String>().unwrap();
    sender.send_all((0..100).map(|number| number.to_string())).unwrap();
    let mut received = Vec::with_capacity(100);
    assert_eq!(allocations::during(|| receiver.recv_batch(&mut received, 100).unwrap()), (100, 100));
}

fn a_buffered_sender_allocates_nothing() {
    let (sender, receiver) = channel::<Line>().unwrap();
    let mut buffered = sender.buffered();
    for round in 0..3 {
        let (count, ()) = allocations::during(|| lines().for_each(|line| buffered.send(line).unwrap()));
        assert_eq!(count, usize::from(round == 0) * count);
        buffered.flush().unwrap();
        assert!(receiver.try_iter().map(Result::unwrap).eq(lines()));
    }
}

#[derive(Message)]
struct Fresh(Bytes);

/// A number that needs a box to be encoded, and none to be decoded.
#[derive(Deserialize)]
struct Wasteful(u64);

impl Serialize for Wasteful {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        std::hint::black_box(Box::new(self.0)).serialize(serializer)
    }
}

fn waiting_in_a_select_allocates_nothing() {
    let select = Select::new().unwrap();
    let channels: Vec<_> = (0..100).map(|_| channel::<u64>().unwrap()).collect();
    channels.iter().for_each(|(sender, receiver)| {
        select.add(receiver).unwrap();
        sender.send(7).unwrap();
    });
    for _ in 0..COUNTED {
        select.add_deadline(Instant::now());
        let (count, ready) = allocations::during(|| select.wait().unwrap());
        assert_eq!((count, ready.len()), (0, 64));
        let (count, ready) = allocations::during(|| select.wait_timeout(Duration::from_secs(60)).unwrap());
        assert_eq!((count, ready.len()), (0, 64));
    }
}

fn one_allocation_more_is_noticed() {
    assert_eq!(allocations(|| Wasteful(1)), (1, 0));
}

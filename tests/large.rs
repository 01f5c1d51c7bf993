//! Messages that fit in no packet: they are sent and received as any other, and cost what they must.

#[path = "support/calls.rs"]
mod calls;
#[path = "support/fragmented.rs"]
mod fragmented;
#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::process::ForkedProcess;
use breezeway::testing::{FdLedger, RawPeer};
use breezeway::{
    Blob, Bytes, Channel, Fault, Fd, Limits, Message, RecvError, SendError, SendFault, SendTimeoutError, TryRecvError, TrySendError,
    channel,
};
use std::error::Error;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;
use support::{set_limit, some_file};

trials!(
    messages_of_every_size_arrive_in_their_order,
    a_large_message_carries_descriptors,
    the_send_queue_of_an_older_kernel_is_not_noticed,
    a_kernel_without_large_pieces_of_memory_is_not_noticed,
    a_kernel_that_does_not_know_of_programs_in_memory_is_not_noticed,
    several_processes_send_all_sizes_at_once,
    a_full_queue_costs_no_copy,
    a_send_that_gives_up_leaves_nothing,
    a_closed_channel_is_told,
    a_message_larger_than_a_file_may_be_is_refused_before_the_signal,
    a_full_descriptor_table_gives_the_message_back,
    a_sandbox_without_memory_files_is_told,
    a_receiver_without_address_space_loses_one_message,
    lies_about_sizes_are_errors_in_little_memory,
    any_number_of_descriptors_beside_the_memory,
    nothing_lands_on_closed_standard_streams,
    a_message_of_bytes_is_there_once_on_each_side,
    a_gibibyte_passes_with_a_raised_limit,
);

#[derive(Message, PartialEq, Debug, Clone)]
struct Load {
    number: u32,
    vec: Vec<u8>,
    bytes: Bytes,
    more: Vec<Bytes>,
}

/// Bytes that differ from place to place and from seed to seed.
fn bytes(seed: usize, length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..65_537_usize).map(|index| (index.wrapping_mul(31) >> 5 ^ index ^ seed) as u8).collect();
    let mut all = Vec::with_capacity(length + block.len());
    while all.len() < length {
        all.extend_from_slice(&all.len().to_le_bytes());
        all.extend_from_slice(&block);
    }
    all.truncate(length);
    all
}

const MIB: usize = 1 << 20;
/// What certainly fits in no packet.
const LARGE: usize = 5 * MIB;

fn messages_of_every_size_arrive_in_their_order() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Load>().unwrap();
    let sizes = [0, 1, 4096, 70_000, MIB, 4 * MIB - 100, 4 * MIB + 5000, 4 * MIB + 80_000, LARGE, 16 * MIB + 1, 64 * MIB - 10_000];
    for (number, length) in sizes.into_iter().enumerate() {
        let half = length / 2;
        for (vec, blob) in [(length, 0), (0, length), (half, length - half)] {
            let more = vec![Bytes::from(vec![9; 5000]), Bytes::new()];
            let load = Load { number: number as u32, vec: bytes(number, vec), bytes: bytes(!number, blob).into(), more };
            // Nobody receives while it is sent: what fits in no packet does not wait for that either.
            sender.send_ref(&load).unwrap();
            assert!(receiver.recv().unwrap() == load, "{vec} and {blob} bytes");
        }
    }
    // A large message is one of the queue's like any other.
    let one = |number, length| Load { number, vec: vec![], bytes: vec![1; length].into(), more: vec![] };
    for (number, length) in [5, LARGE, 7, 2 * LARGE, LARGE, 0].into_iter().enumerate() {
        sender.try_send(one(number as u32, length)).unwrap();
    }
    drop(sender);
    let lengths: Vec<(u32, usize)> = receiver.iter().map(|load| load.unwrap()).map(|load| (load.number, load.bytes.len())).collect();
    assert_eq!(lengths, [(0, 5), (1, LARGE), (2, 7), (3, 2 * LARGE), (4, LARGE), (5, 0)]);
}

#[derive(Message)]
struct Attached {
    first: File,
    bytes: Bytes,
    last: Option<File>,
}

fn a_large_message_carries_descriptors() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Attached>().unwrap();
    for length in [10, LARGE, 10] {
        sender.send(Attached { first: some_file(), bytes: vec![3; length].into(), last: Some(some_file()) }).unwrap();
        let Attached { mut first, bytes, last } = receiver.recv().unwrap();
        assert_eq!((bytes.len(), last.is_some()), (length, true));
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert!(text.contains("breezeway"));
        assert!(support::is_cloexec(first.as_fd()) && support::is_cloexec(last.unwrap().as_fd()));
    }
}

/// The peer's view of a packet: whether it is a header and memory.
fn is_in_memory(packet: &breezeway::socket::RawPacket) -> bool {
    packet.bytes.len() == 16 && packet.bytes[2] == 1 && packet.descriptors.len() == 1
}

/// Where `wmem_max` is 208 KiB; and less, as another holder of the socket may have set it.
fn the_send_queue_of_an_older_kernel_is_not_noticed() {
    let _ledger = FdLedger::open().unwrap();
    for half in [212_992, 2304] {
        let (sender, receiver) = channel::<Blob>().unwrap();
        support::set_send_buffer(sender.as_fd(), half);
        let (peer, raw) = RawPeer::of_sender::<Blob>().unwrap();
        support::set_send_buffer(raw.as_fd(), half);
        let fits = support::option(raw.as_fd(), libc::SO_SNDBUF) as usize - 32 - 16 - 12;
        for (length, in_memory) in [(100, false), (fits, false), (fits + 1, true), (3 * MIB, true)] {
            for _ in 0..2 {
                sender.send(bytes(5, length).into()).unwrap();
                assert!(receiver.recv().unwrap().0 == bytes(5, length), "{length} bytes");
                sender.try_send(bytes(6, length).into()).unwrap();
                assert!(receiver.try_recv().unwrap().0 == bytes(6, length), "{length} bytes");
            }
            raw.send(vec![0; length].into()).unwrap();
            assert_eq!(is_in_memory(&peer.receive().unwrap().unwrap()), in_memory, "{length} bytes of {fits}");
        }
    }
}

fn a_kernel_without_large_pieces_of_memory_is_not_noticed() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    fragmented::largest_packet(85_696);
    let mut refused = 0;
    for length in [85_696 - 16 - 12, 85_696 - 16 - 11, MIB] {
        sender.send(bytes(7, length).into()).unwrap();
        assert!(receiver.recv().unwrap().0 == bytes(7, length));
        sender.try_send(bytes(8, length).into()).unwrap();
        sender.send_timeout(bytes(9, length).into(), Duration::from_secs(5)).unwrap();
        assert!(receiver.recv().unwrap().0 == bytes(8, length));
        assert!(receiver.recv().unwrap().0 == bytes(9, length));
        // Those that may wait try a part of that size too, and then smaller ones.
        refused += if length + 28 > 85_696 { 5 } else { 0 };
        assert_eq!(fragmented::refused(), refused, "it was as the test says");
    }
    // Where not even a header passes, there is no road left.
    fragmented::largest_packet(15);
    let error = sender.send(vec![1; 100_000].into()).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::System(error)) if error.source.raw_os_error() == Some(libc::ENOBUFS)), "{error:?}");
}

fn a_kernel_that_does_not_know_of_programs_in_memory_is_not_noticed() {
    const MFD_NOEXEC_SEAL: libc::c_uint = 8;
    let (sender, receiver) = channel::<Blob>().unwrap();
    support::forbid_argument(libc::SYS_memfd_create, 1, (libc::MFD_CLOEXEC | MFD_NOEXEC_SEAL).into(), libc::EINVAL);
    sender.send(vec![7; LARGE].into()).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), LARGE);
}

#[derive(Message)]
struct Numbered {
    process: u32,
    number: u32,
    sum: u64,
    bytes: Bytes,
    vec: Vec<u8>,
    file: Option<File>,
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Four processes, of which one is killed, and one gives up on messages all the time: whole or not at all, and in the order of each.
fn several_processes_send_all_sizes_at_once() {
    support::more_time(Duration::from_secs(60));
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Numbered>().unwrap();
    let mut children: Vec<ForkedProcess<(), ()>> = (0..4)
        .map(|process| {
            let sender = sender.clone();
            ForkedProcess::spawn(move |_: Channel<()>| {
                let sizes = [10, 5000, 100_000, 3 * MIB, LARGE, 0, 70_000, 6 * MIB];
                for number in 0..if process == 0 { u32::MAX } else { 40 } {
                    let body = bytes(number as usize, sizes[number as usize % sizes.len()]);
                    let sum = sum(&body);
                    let (vec, bytes) = if number % 3 == 0 { (body, Bytes::new()) } else { (vec![], body.into()) };
                    let message = Numbered { process, number, sum, bytes, vec, file: (number % 5 == 0).then(some_file) };
                    if process != 1 {
                        sender.send(message).unwrap();
                        continue;
                    }
                    match sender.send_timeout(message, Duration::from_micros(u64::from(number) * 10)) {
                        Ok(()) | Err(SendTimeoutError::Timeout(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
            .unwrap()
        })
        .collect();
    drop(sender);
    let mut next = [0; 4];
    for message in &receiver {
        let Numbered { process, number, sum: expected, bytes, vec, file } = message.unwrap();
        assert_eq!(sum(if vec.is_empty() { &bytes } else { &vec }), expected, "{process} {number}");
        assert_eq!(file.is_some(), number % 5 == 0);
        let next = &mut next[process as usize];
        // Who gives up leaves some out.
        assert!(if process == 1 { number >= *next } else { number == *next }, "{process}: {number} instead of {next}");
        *next = number + 1;
        if process == 0 && number == 20 {
            children[0].kill().unwrap();
        }
    }
    assert!(next[0] > 20 && next[2..] == [40, 40], "{next:?}");
    for (process, child) in children.into_iter().enumerate() {
        assert_eq!(child.wait().unwrap().success(), process != 0);
    }
}

/// A sender of which the queue is full.
fn full() -> (breezeway::Sender<Blob>, breezeway::Receiver<Blob>, usize) {
    let (sender, receiver) = channel::<Blob>().unwrap();
    let queued = (0..).take_while(|_| sender.try_send(vec![0; 100_000].into()).is_ok()).count();
    (sender, receiver, queued)
}

fn a_full_queue_costs_no_copy() {
    let (sender, receiver, queued) = full();
    let give_up = || {
        let message = Blob::from(vec![1; LARGE]);
        calls::mark();
        let result = sender.try_send(message);
        calls::mark();
        assert!(matches!(result, Err(TrySendError::Full(blob)) if blob.len() == LARGE));
    };
    let [calls] = calls::record([&give_up], |_, _| {});
    // The packet that is too large, and a look whether there is room for a small one.
    let numbers: Vec<_> = calls.iter().map(|call| call.number).collect();
    assert_eq!(numbers, [libc::SYS_sendmsg, libc::SYS_sendmsg]);
    // Room is taken as soon as it is there: `poll` tells of it much later.
    receiver.recv().unwrap();
    sender.try_send(vec![2; LARGE].into()).unwrap();
    assert_eq!(receiver.try_iter().map(|blob| blob.unwrap().len()).collect::<Vec<_>>(), [vec![100_000; queued - 1], vec![LARGE]].concat());
}

fn a_send_that_gives_up_leaves_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver, queued) = full();
    let open = FdLedger::open().unwrap();
    for time in [Duration::ZERO, Duration::from_millis(20)] {
        match sender.send_timeout(vec![1; LARGE].into(), time) {
            Err(SendTimeoutError::Timeout(blob)) => assert_eq!(blob.len(), LARGE),
            result => panic!("{result:?}"),
        }
        open.check().unwrap();
    }
    assert_eq!(receiver.try_iter().filter(|blob| blob.as_ref().unwrap().len() == 100_000).count(), queued);
    sender.send(vec![2; LARGE].into()).unwrap();
    assert_eq!(receiver.recv().unwrap()[0], 2);
}

fn a_closed_channel_is_told() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    sender.send(vec![1; LARGE].into()).unwrap();
    drop(receiver);
    let large = || Blob::from(vec![2; LARGE]);
    assert!(matches!(sender.try_send(large()), Err(TrySendError::Closed(blob)) if blob.len() == LARGE));
    assert!(matches!(sender.send(large()), Err(SendError::Closed(blob)) if blob.len() == LARGE));
    assert!(matches!(sender.send_timeout(large(), Duration::ZERO), Err(SendTimeoutError::Closed(blob)) if blob.len() == LARGE));
}

fn a_message_larger_than_a_file_may_be_is_refused_before_the_signal() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    set_limit(libc::RLIMIT_FSIZE, LARGE as u64);
    let open = FdLedger::open().unwrap();
    let error = sender.send(vec![7; LARGE].into()).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::TooLarge { size, limit: LARGE }) if *size == LARGE + 12), "{error:?}");
    assert_eq!(error.into_message().len(), LARGE);
    open.check().unwrap();
    // As much as a file may be passes, and what fits in a packet is none.
    sender.send(vec![7; LARGE - 12].into()).unwrap();
    set_limit(libc::RLIMIT_FSIZE, 0);
    sender.send(vec![8; MIB].into()).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), LARGE - 12);
    assert_eq!(receiver.recv().unwrap().len(), MIB);
}

fn a_full_descriptor_table_gives_the_message_back() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    set_limit(libc::RLIMIT_NOFILE, 64);
    let file = some_file();
    let filling: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
    let error = sender.try_send(vec![7; LARGE].into()).unwrap_err();
    let Some(SendFault::Memory { size, source }) = error.fault() else { panic!("{error:?}") };
    assert_eq!((*size, source.call, source.source.raw_os_error()), (LARGE + 12, "memfd_create", Some(libc::EMFILE)));
    // The same at the receiver, where the memory is lost.
    let message = error.into_message();
    drop(filling);
    support::no_descriptor_limit();
    sender.send_ref(&message).unwrap();
    set_limit(libc::RLIMIT_NOFILE, 64);
    let filling: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::FdTableFull))));
    drop(filling);
    support::no_descriptor_limit();
    sender.send(message).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), LARGE);
}

fn a_sandbox_without_memory_files_is_told() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    for (call, name, error) in [
        (libc::SYS_fcntl, "fcntl", libc::EPERM),
        (libc::SYS_writev, "writev", libc::EACCES),
        (libc::SYS_memfd_create, "memfd_create", libc::ENOSYS),
        (libc::SYS_prlimit64, "getrlimit", libc::EPERM),
    ] {
        let open = FdLedger::open().unwrap();
        if call == libc::SYS_fcntl {
            support::forbid_argument(call, 1, libc::F_ADD_SEALS as u64, error);
        } else {
            support::forbid(call, error);
        }
        let failed = sender.send(vec![7; LARGE].into()).unwrap_err();
        let Some(fault @ SendFault::Memory { source, .. }) = failed.fault() else { panic!("{failed:?}") };
        assert_eq!((source.call, source.source.raw_os_error()), (name, Some(error)));
        assert_eq!(
            fault.to_string(),
            "the message is 5242892 bytes encoded, which fits in no packet, and memory to send it in could not be made: \
             allow `memfd_create`, `writev` and `fcntl`, close descriptors, or send it in parts"
        );
        assert!(fault.source().is_some());
        open.check().unwrap();
        sender.send(vec![8; MIB].into()).unwrap();
        assert_eq!(receiver.recv().unwrap().len(), MIB, "what fits in a packet passes");
    }
    assert_eq!(std::io::Error::from(sender.send(vec![7; LARGE].into()).unwrap_err()).kind(), ErrorKind::PermissionDenied);
}

fn a_receiver_without_address_space_loses_one_message() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    sender.try_send(vec![6; LARGE].into()).unwrap();
    receiver.recv().unwrap();
    sender.try_send(vec![7; 32 * MIB].into()).unwrap();
    sender.try_send(vec![8; LARGE].into()).unwrap();
    let open = FdLedger::open().unwrap();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    set_limit(libc::RLIMIT_AS, pages * 4096 + (16 << 20));
    match receiver.recv() {
        Err(RecvError::Fault(fault @ Fault::Memory(_))) => assert_eq!(std::io::Error::from(fault).kind(), ErrorKind::OutOfMemory),
        result => panic!("{result:?}"),
    }
    open.check().unwrap();
    assert_eq!(receiver.recv().unwrap().len(), LARGE);
}

/// M19, M21, M37, M48: claims that nothing backs, in a process that may have 256 MiB of address space.
fn lies_about_sizes_are_errors_in_little_memory() {
    let _ledger = FdLedger::open().unwrap();
    set_limit(libc::RLIMIT_AS, 256 << 20);
    let (peer, receiver) = RawPeer::of_receiver::<Load>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(1 << 40));
    let refused = |body: u64, blobs: u8, memory: &dyn AsFd| {
        peer.send(&[[1, 1, 1, 0, 0, 0, blobs, 0], body.to_le_bytes()].concat(), &[memory.as_fd()]).unwrap();
        match receiver.try_recv() {
            Err(TryRecvError::Fault(fault)) => fault,
            result => panic!("{result:?}"),
        }
    };
    let sealed = |bytes: &[u8]| raw::memfd(bytes, raw::ALL_SEALS);
    let claim = |length: u64| [[1, 0, 0, 0].as_slice(), &length.to_le_bytes(), &vec![0; 6 * MIB]].concat();
    for length in [1 << 24, 1 << 36, 1 << 60, u64::MAX] {
        let body = claim(length);
        assert!(matches!(refused(body.len() as u64, 0, &sealed(&body)), Fault::Decode(_)), "{length}");
        assert!(matches!(refused(length, 0, &sealed(&body)), Fault::Protocol(_)), "{length}");
        assert!(matches!(refused(length, 64, &sealed(&body)), Fault::Protocol(_)), "{length}");
    }
    for size in [1_u64 << 30, 1 << 39, 1 << 41] {
        let memory = raw::memfd_with(libc::MFD_ALLOW_SEALING);
        memory.set_len(size).unwrap();
        raw::seal(&memory, raw::ALL_SEALS);
        let fault = refused(size, 0, &memory);
        assert!(matches!(fault, Fault::Protocol(_) | Fault::TooLarge { .. }), "{size}: {fault:?}");
    }
    let body = [[7, 0, 0, 0].as_slice(), &[0; 8], &[255; 4], &[0; 8], &[0; 8]].concat();
    peer.send(&[[1, 1, 1, 0, 0, 0, 0, 0], (body.len() as u64).to_le_bytes()].concat(), &[sealed(&body).as_fd()]).unwrap();
    assert_eq!(receiver.try_recv().unwrap().number, 7);
}

fn any_number_of_descriptors_beside_the_memory() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<(Vec<Fd<File>>, Blob)>().unwrap();
    let files = |count: usize| (0..count).map(|_| Fd(some_file())).collect::<Vec<_>>();
    let limits = breezeway::Limits::new().max_descriptors(1000);
    let (sender, receiver) = (sender.with_limits(limits), receiver.with_limits(limits));
    for (count, size) in [(252, LARGE), (253, LARGE), (254, LARGE), (1000, LARGE), (253, MIB), (254, MIB)] {
        let files = files(count);
        sender.send((files, vec![7; size].into())).unwrap();
        let (files, blob) = receiver.recv().unwrap();
        assert_eq!((files.len(), blob.len()), (count, size));
    }
}

/// The memory of a message under way is nobody's standard output.
fn nothing_lands_on_closed_standard_streams() {
    raw::close_stdio();
    let (sender, receiver) = channel::<Blob>().unwrap();
    let send = || {
        calls::mark();
        sender.send(vec![7; LARGE].into()).unwrap();
        calls::mark();
    };
    let [calls] = calls::record([&send], |_, _| {});
    let numbers: Vec<_> = calls.iter().map(|call| call.number).collect();
    let made = numbers.iter().position(|number| *number == libc::SYS_memfd_create).unwrap();
    assert_eq!(numbers[made + 1..made + 4], [libc::SYS_fcntl, libc::SYS_close, libc::SYS_writev], "moved, before it is written to");
    assert_eq!(receiver.recv().unwrap().len(), LARGE);
}

/// 64 MiB of bytes: the sender has its own, the receiver the mapping. The rest is in neither.
fn a_message_of_bytes_is_there_once_on_each_side() {
    let _ledger = FdLedger::open().unwrap();
    let size = 64 * MIB - 12;
    let most = size + size / 10 + 8 * MIB;
    let child = ForkedProcess::spawn(move |channel: Channel<u64, Blob>| {
        channel.recv().unwrap();
        let before = support::peak_resident_bytes();
        let blob = channel.recv().unwrap();
        assert!(blob.len() == size && blob.chunks(4096).all(|chunk| chunk == &[7; 4096][..chunk.len()]));
        channel.send((support::peak_resident_bytes() - before) as u64).unwrap();
    })
    .unwrap();
    child.send(vec![7; 100].into()).unwrap();
    let before = support::peak_resident_bytes();
    child.send(vec![7; size].into()).unwrap();
    let (ours, theirs) = (support::peak_resident_bytes() - before, child.recv().unwrap() as usize);
    assert!(ours <= most, "{ours} bytes at the sender");
    assert!(theirs <= most, "{theirs} bytes at the receiver");
    assert!(theirs >= size, "which has read them all");
    assert!(child.wait().unwrap().success());
}

fn a_gibibyte_passes_with_a_raised_limit() {
    support::more_time(Duration::from_secs(60));
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Blob>().unwrap();
    let limits = Limits::new().max_message(2 << 30);
    let size = 1 << 30;
    let error = sender.send(vec![0; size].into()).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::TooLarge { limit: 0x400_0000, .. })), "{error:?}");
    sender.with_limits(limits).send(error.into_message()).unwrap();
    assert_eq!(receiver.with_limits(limits).recv().unwrap().len(), size);
}

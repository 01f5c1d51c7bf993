//! Shared memory: what one process fills, any may read, and nobody can change any more.

#[path = "support/calls.rs"]
mod calls;
#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::process::ForkedProcess;
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{Bytes, Channel, DecodeError, Fault, Message, RecvError, SharedBytes, SharedMemory, channel};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use support::set_limit;

trials!(
    what_is_filled_in_place_arrives,
    shared_bytes_of_any_size_cost_the_same_calls,
    nobody_can_change_what_is_frozen,
    a_fork_is_refused_and_does_no_harm,
    a_fork_made_while_filling_does_no_harm,
    a_fork_reads_what_was_frozen,
    the_mapping_lives_as_long_as_the_last_clone,
    pages_that_were_never_touched_are_zeros,
    a_missing_page_that_is_hidden_is_zeros_and_no_signal,
    an_older_kernel_copies_what_it_cannot_bring_in,
    nobody_waits_for_a_peer_that_holds_its_memory_up,
    memory_that_cannot_be_made_is_an_error,
    memory_without_room_to_map_it_costs_one_message,
    no_other_serializer_carries_it,
);

const MIB: usize = 1 << 20;

fn frozen(bytes: &[u8]) -> SharedBytes {
    let mut memory = SharedMemory::new(bytes.len()).unwrap();
    memory.fill(|to| to.copy_from_slice(bytes)).unwrap();
    memory.freeze().unwrap()
}

#[derive(Message)]
struct Picture {
    name: String,
    pixels: SharedBytes,
    more: Option<Vec<SharedBytes>>,
}

/// With serde's own derives.
#[derive(Serialize, Deserialize)]
struct Plain {
    number: u32,
    bytes: SharedBytes,
}

fn what_is_filled_in_place_arrives() {
    let _ledger = FdLedger::open().unwrap();
    let mut memory = SharedMemory::new(3 * MIB).unwrap();
    assert_eq!((memory.len(), memory.is_empty()), (3 * MIB, false));
    let at_first = memory.fill(|bytes| bytes.iter().all(|byte| *byte == 0)).unwrap();
    assert!(at_first);
    memory.fill(|bytes| bytes.chunks_mut(4096).enumerate().for_each(|(index, page)| page.fill(index as u8))).unwrap();
    let pixels = memory.freeze().unwrap();
    let page = |index: usize| [index as u8; 4096];
    assert!(pixels.chunks(4096).enumerate().all(|(index, found)| found == page(index)));
    let (sender, receiver) = channel::<Picture>().unwrap();
    sender
        .send(Picture { name: "one".into(), pixels: pixels.clone(), more: Some(vec![pixels.clone(), frozen(b"small"), frozen(b"")]) })
        .unwrap();
    drop(pixels);
    let Picture { name, pixels, more: Some(more) } = receiver.recv().unwrap() else { panic!("none") };
    assert_eq!((name.as_str(), pixels.len()), ("one", 3 * MIB));
    assert!(pixels.chunks(4096).enumerate().all(|(index, found)| found == page(index)));
    assert!(*more[0] == *pixels && *more[1] == *b"small" && more[2].is_empty());
    assert!(support::is_cloexec(pixels.as_fd()));
    // What has arrived is sent on as it came.
    let (sender, receiver) = channel::<Plain>().unwrap();
    sender.send(Plain { number: 7, bytes: pixels }).unwrap();
    let Plain { number: 7, bytes } = receiver.recv().unwrap() else { panic!("another") };
    let (start, length) = (bytes.as_ptr(), bytes.len());
    let bytes = Bytes::from(bytes);
    assert_eq!((bytes.as_ptr(), bytes.len()), (start, length), "without a copy");
    let (sender, receiver) = channel::<SharedBytes>().unwrap();
    sender.send(frozen(b"alone")).unwrap();
    assert_eq!(*receiver.recv().unwrap(), *b"alone");
    assert_eq!(format!("{:?} {:?}", frozen(b"secret"), SharedMemory::new(3).unwrap()), "SharedBytes(6 bytes) SharedMemory(3 bytes)");
}

fn shared_bytes_of_any_size_cost_the_same_calls() {
    let calls = |size: usize| {
        let shared = SharedMemory::new(size).unwrap().freeze().unwrap();
        let (sender, receiver) = channel::<SharedBytes>().unwrap();
        let pass = || {
            calls::mark();
            sender.send_ref(&shared).unwrap();
            let received = receiver.recv().unwrap();
            calls::mark();
            assert_eq!(received.len(), size);
        };
        let [made] = calls::record([&pass], |_, _| {});
        made.iter().map(|call| call.number).collect::<Vec<_>>()
    };
    let small = calls(64 << 10);
    assert_eq!(small, calls(64 * MIB));
    use libc::{SYS_close, SYS_fcntl, SYS_fstatfs, SYS_madvise, SYS_mmap, SYS_newfstatat, SYS_recvmsg, SYS_sendmsg};
    let looking = [SYS_fcntl, SYS_fcntl, SYS_fstatfs, SYS_newfstatat, SYS_mmap, SYS_madvise];
    let wanted = [[SYS_fcntl, SYS_sendmsg, SYS_close, SYS_recvmsg].as_slice(), &looking].concat();
    // The first message's buffer is made too, by `mmap`.
    assert_eq!(small.iter().filter(|call| **call != SYS_mmap).count(), wanted.len() - 1);
    assert!(wanted.iter().all(|call| small.contains(call)), "{small:?}");
}

fn nobody_can_change_what_is_frozen() {
    use std::os::unix::fs::FileExt;
    let _ledger = FdLedger::open().unwrap();
    let shared = frozen(&[7; 10_000]);
    let file = File::from(shared.as_fd().try_clone_to_owned().unwrap());
    let again = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    for file in [file, again] {
        assert!(file.write_at(b"x", 5000).is_err());
        assert!(file.set_len(5).is_err() && file.set_len(20_000).is_err());
    }
    assert!(shared.iter().all(|byte| *byte == 7));
}

/// Both would write at the same time: the child is refused, and takes nothing from the parent, which can freeze while the child lives.
fn a_fork_is_refused_and_does_no_harm() {
    let _ledger = FdLedger::open().unwrap();
    let mut memory = SharedMemory::new(MIB).unwrap();
    memory.fill(|bytes| bytes.fill(1)).unwrap();
    let cell = std::rc::Rc::new(std::cell::RefCell::new(Some(memory)));
    let theirs = std::rc::Rc::clone(&cell);
    let child = ForkedProcess::spawn(move |parent: Channel<String, ()>| {
        let mut memory = theirs.take().unwrap();
        let filled = memory.fill(|bytes| bytes.fill(2)).unwrap_err();
        let frozen = memory.freeze().unwrap_err();
        assert_eq!((filled.kind(), frozen.kind()), (ErrorKind::Unsupported, ErrorKind::Unsupported));
        parent.send(filled.to_string()).unwrap();
        parent.recv().unwrap_err();
    })
    .unwrap();
    assert_eq!(
        child.recv().unwrap(),
        "shared memory belongs to the process that made it until it is frozen: fill and freeze it there, or make it after the fork"
    );
    let mut memory = cell.take().unwrap();
    memory.fill(|bytes| bytes[0] = 3).unwrap();
    let shared = memory.freeze().unwrap();
    assert!(shared[0] == 3 && shared[1..].iter().all(|byte| *byte == 1));
    assert!(child.wait().unwrap().success());
}

fn a_fork_made_while_filling_does_no_harm() {
    let _ledger = FdLedger::open().unwrap();
    let mut memory = SharedMemory::new(MIB).unwrap();
    let child = memory
        .fill(|bytes| {
            bytes.fill(1);
            let child = ForkedProcess::spawn(|parent: Channel<(), ()>| drop(parent.recv())).unwrap();
            bytes.fill(2);
            child
        })
        .unwrap();
    let shared = memory.freeze().unwrap();
    assert!(shared.iter().all(|byte| *byte == 2));
    assert!(child.wait().unwrap().success());
}

fn a_fork_reads_what_was_frozen() {
    let _ledger = FdLedger::open().unwrap();
    let shared = frozen(&[9; 100_000]);
    let theirs = shared.clone();
    let child = ForkedProcess::spawn(move |parent: Channel<SharedBytes, ()>| {
        assert!(theirs.iter().all(|byte| *byte == 9));
        parent.send(theirs).unwrap();
    })
    .unwrap();
    assert!(*child.recv().unwrap() == *shared);
    assert!(child.wait().unwrap().success());
}

/// How many mappings of memory files this process has.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains("/memfd:breezeway")).count()
}

fn the_mapping_lives_as_long_as_the_last_clone() {
    let ledger = FdLedger::open().unwrap();
    {
        let memory = SharedMemory::new(MIB).unwrap();
        assert_eq!(mappings(), 1);
        let shared = memory.freeze().unwrap();
        let (clone, bytes) = (shared.clone(), Bytes::from(shared.clone()));
        drop(shared);
        let slice = bytes.slice(5..10);
        drop((clone, bytes));
        assert_eq!((mappings(), slice.len()), (1, 5));
        drop(SharedMemory::new(MIB).unwrap());
    }
    assert_eq!(mappings(), 0);
    ledger.check().unwrap();
}

fn pages_that_were_never_touched_are_zeros() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<SharedBytes>().unwrap();
    for length in [0, 1, 4095, 4096, 4097, 5 * 4096, MIB + 1] {
        let mut memory = SharedMemory::new(length).unwrap();
        memory.fill(|bytes| bytes.last_mut().map(|last| *last = 1)).unwrap();
        sender.send(memory.freeze().unwrap()).unwrap();
        let received = receiver.recv().unwrap();
        assert_eq!(received.len(), length);
        assert_eq!(received.iter().map(|byte| usize::from(*byte)).sum::<usize>(), length.min(1));
    }
}

fn memory_that_cannot_be_made_is_an_error() {
    let _ledger = FdLedger::open().unwrap();
    for length in [usize::MAX, isize::MAX as usize] {
        assert!(SharedMemory::new(length).is_err());
    }
    set_limit(libc::RLIMIT_FSIZE, 10_000);
    assert_eq!(SharedMemory::new(10_001).unwrap_err().kind(), ErrorKind::FileTooLarge, "before the signal");
    assert_eq!(SharedMemory::new(10_000).unwrap().freeze().unwrap().len(), 10_000);
    set_limit(libc::RLIMIT_NOFILE, 64);
    let filling: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert_eq!(SharedMemory::new(1).unwrap_err().raw_os_error(), Some(libc::EMFILE));
    drop(filling);
    let memory = SharedMemory::new(1).unwrap();
    support::forbid_argument(libc::SYS_fcntl, 1, libc::F_ADD_SEALS as u64, libc::EPERM);
    assert_eq!(memory.freeze().unwrap_err().kind(), ErrorKind::PermissionDenied);
    support::forbid(libc::SYS_madvise, libc::EPERM);
    assert!(SharedMemory::new(1).is_err(), "a fork would have it");
    support::forbid(libc::SYS_memfd_create, libc::ENOSYS);
    assert_eq!(SharedMemory::new(1).unwrap_err().raw_os_error(), Some(libc::ENOSYS));
    assert_eq!(mappings(), 0);
}

/// Memory of three pages, of which only one is there, with pages behind its end that are counted for the others.
fn with_hidden_holes() -> File {
    let memory = raw::memfd_with(libc::MFD_ALLOW_SEALING);
    std::io::Write::write_all(&mut &memory, &[7; 4096]).unwrap();
    memory.set_len(3 * 4096).unwrap();
    raw::allocate_pages(&memory, 3 * 4096, 8 * 4096);
    raw::seal(&memory, raw::ALL_SEALS);
    memory
}

/// M49, M50: pages are made before anybody looks, so what cannot be made is an error and no signal.
fn a_missing_page_that_is_hidden_is_zeros_and_no_signal() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<SharedBytes>().unwrap();
    let memory = with_hidden_holes();
    peer.send(&packet(&[0; 4], &[], 1), &[memory.as_fd()]).unwrap();
    let received = receiver.recv().unwrap();
    assert!(received[..4096] == [7; 4096] && received[4096..] == [0; 8192]);
    drop(received);
    let unfillable = [libc::EFAULT, libc::ENOMEM];
    for error in unfillable {
        support::forbid_argument(libc::SYS_madvise, 2, libc::MADV_POPULATE_READ as u64, error);
        peer.send(&packet(&[0; 4], &[], 1), &[memory.as_fd()]).unwrap();
        let fault = receiver.recv().unwrap_err();
        let expected = DecodeError::Unmapped { index: 0, length: 3 * 4096 };
        assert!(matches!(&fault, RecvError::Fault(Fault::Decode(error)) if *error == expected), "{fault:?}");
        assert_eq!(mappings(), 0);
    }
}

fn an_older_kernel_copies_what_it_cannot_bring_in() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<SharedBytes>().unwrap();
    let shared = frozen(&[5; 100_001]);
    support::forbid_argument(libc::SYS_madvise, 2, libc::MADV_POPULATE_READ as u64, libc::EINVAL);
    sender.send(shared).unwrap();
    let received = receiver.recv().unwrap();
    assert_eq!(mappings(), 0, "it is a copy");
    assert!(*received == [5; 100_001]);
    // The descriptor is the memory, and travels on.
    sender.send(received).unwrap();
    assert!(*receiver.recv().unwrap() == [5; 100_001]);
    let (sender, receiver) = channel::<Bytes>().unwrap();
    sender.send(vec![3; 5 * MIB].into()).unwrap();
    assert!(receiver.recv().unwrap() == vec![3; 5 * MIB]);
}

/// Whoever shares the description of a file can hold its position, and for ever: by a read into memory that he does not provide.
fn nobody_waits_for_a_peer_that_holds_its_memory_up() {
    let Some(page) = raw::Unprovided::page() else {
        println!("skipped: nobody_waits_for_a_peer_that_holds_its_memory_up: this process may not use userfaultfd");
        return;
    };
    let sealed = raw::memfd(&[7; 4096], raw::ALL_SEALS);
    // Opened anew, it is a file with a position like any other.
    let held = File::open(format!("/proc/self/fd/{}", sealed.as_raw_fd())).unwrap();
    page.read_into(held.try_clone().unwrap());
    let (peer, receiver) = RawPeer::of_receiver::<SharedBytes>().unwrap();
    peer.send(&packet(&[0; 4], &[], 1), &[held.as_fd()]).unwrap();
    assert!(*receiver.recv().unwrap() == [7; 4096]);
    let (peer, receiver) = RawPeer::of_receiver::<[[u64; 32]; 16]>().unwrap();
    peer.send(&[1, 1, 1, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0], &[held.as_fd()]).unwrap();
    assert_eq!(receiver.recv().unwrap()[15][31], 0x0707_0707_0707_0707);
}

/// M50
fn memory_without_room_to_map_it_costs_one_message() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<SharedBytes>().unwrap();
    let (large, small) = (raw::memfd(&vec![7; 64 * MIB], raw::ALL_SEALS), raw::memfd(&[7; 10], raw::ALL_SEALS));
    let send = |memory: &dyn AsFd| {
        peer.send(&packet(&[0; 4], &[], 1), &[memory.as_fd()]).unwrap();
        receiver.recv()
    };
    assert_eq!(send(&small).unwrap().len(), 10);
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    set_limit(libc::RLIMIT_AS, pages * 4096 + (32 << 20));
    let open = FdLedger::open().unwrap();
    match send(&large) {
        Err(RecvError::Fault(Fault::Decode(error))) => assert_eq!(error, DecodeError::Unmapped { index: 0, length: 64 << 20 }),
        result => panic!("{result:?}"),
    }
    open.check().unwrap();
    assert_eq!(send(&small).unwrap().len(), 10);
}

fn no_other_serializer_carries_it() {
    let error = serde_json::to_string(&frozen(b"bytes")).unwrap_err();
    assert!(error.to_string().contains("only travel in a message on a channel"), "{error}");
    assert!(serde_json::from_str::<SharedBytes>("0").is_err());
}

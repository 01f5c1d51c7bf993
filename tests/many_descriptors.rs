//! More descriptors than a packet has room for: they arrive in order, whole or not at all, and nothing is left of them on any path.

#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::process::{Child, CommandExt, ForkedProcess};
use breezeway::testing::{FdLedger, RawPeer};
use breezeway::{Channel, Fault, Fd, Hello, Limits, Message, RecvError, SendError, SendFault, TrySendError, channel};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use support::{program, set_limit, some_file};

trials!(
    any_number_arrives_in_order,
    as_many_as_a_header_counts,
    as_many_as_a_header_counts_from_a_peer,
    what_fits_is_not_nested,
    two_programs_agree_on_how_many,
    a_table_that_is_too_small_costs_the_message,
    too_many_under_way_is_told_and_the_message_goes_later,
    a_socket_that_cannot_be_made_is_told_and_the_message_goes_later,
    a_full_channel_is_full_before_anything_is_made,
    a_receiver_that_goes_leaves_nothing,
    one_descriptor_out_of_order_is_noticed;
    programs: give_back,
);

#[derive(Debug, Message)]
struct Files(Vec<File>);

fn files(count: usize) -> Vec<File> {
    (0..count).map(|_| raw::memfd_with(0)).collect()
}

/// Which file each is.
fn inodes(files: &[File]) -> Vec<u64> {
    files.iter().map(|file| file.metadata().unwrap().ino()).collect()
}

/// A channel whose ends take so many.
fn taking<T: serde::Serialize + serde::de::DeserializeOwned>(count: usize) -> (breezeway::Sender<T>, breezeway::Receiver<T>) {
    let (sender, receiver) = channel().unwrap();
    let limits = Limits::new().max_descriptors(count);
    (sender.with_limits(limits), receiver.with_limits(limits))
}

fn any_number_arrives_in_order() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = taking(1000);
    for count in [253, 254, 506, 507, 1000] {
        let files = files(count);
        let sent = inodes(&files);
        sender.send(Files(files)).unwrap();
        let received = receiver.recv().unwrap().0;
        assert!(inodes(&received) == sent, "{count}: each in its place");
        assert!(received.iter().all(|file| support::is_cloexec(file.as_fd())));
    }
    // As values of the standard library, and with a look at the channel first.
    let (sender, receiver) = taking(1000);
    let files = files(300);
    let sent = inodes(&files);
    sender.try_send(files.into_iter().map(|file| Fd(OwnedFd::from(file))).collect::<Vec<_>>()).unwrap();
    let received: Vec<File> = receiver.try_recv().unwrap().into_iter().map(|Fd(owned)| owned.into()).collect();
    assert_eq!(inodes(&received), sent);
}

fn as_many_as_a_header_counts() {
    support::more_time(Duration::from_secs(60));
    const MOST: usize = 65_535;
    let allowed = support::raise_limit(libc::RLIMIT_NOFILE, 200_000) as usize;
    // The message's own, and the duplicates that are sent.
    let count = MOST.min(allowed / 2 - 50);
    if count < MOST {
        println!("skipped in part: {allowed} descriptors allow a message of {count}");
    }
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = taking(1_000_000);
    let sent = files(count);
    let which = inodes(&sent);
    sender.send(Files(sent)).unwrap();
    let received = receiver.recv().unwrap().0;
    assert!(inodes(&received) == which, "each in its place");
    if count == MOST {
        let one_more = received.into_iter().chain([some_file()]).collect();
        let Err(SendError::Fault(Files(files), SendFault::TooManyDescriptors { count: 65_536, limit: MOST })) =
            sender.send(Files(one_more))
        else {
            panic!("it was sent")
        };
        assert_eq!(files.len(), MOST + 1);
    }
}

/// The peer needs one descriptor for that. Here they are either all received, or the table is full, and then nothing is left.
fn as_many_as_a_header_counts_from_a_peer() {
    support::more_time(Duration::from_secs(60));
    support::raise_limit(libc::RLIMIT_NOFILE, 200_000);
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Files>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_descriptors(65_535));
    let parts: Vec<(&[u8], usize)> = (0..65_535).step_by(253).map(|at| (&[0][..], (65_535 - at).min(253))).collect();
    let nested = raw::nested(&parts, some_file().as_fd()).0;
    let body: Vec<u8> = 65_535_u64.to_le_bytes().into_iter().chain((0..65_535_u32).flat_map(u32::to_le_bytes)).collect();
    let mut bytes = breezeway::testing::packet(&body, &[], 65_535);
    bytes[2] = 2;
    peer.send(&bytes, &[nested.as_fd()]).unwrap();
    match receiver.recv() {
        Ok(files) => assert_eq!(files.0.len(), 65_535),
        Err(RecvError::Fault(Fault::FdTableFull)) => println!("the table was full"),
        Err(error) => panic!("{error:?}"),
    }
}

fn what_fits_is_not_nested() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, sender) = RawPeer::of_sender::<Files>().unwrap();
    let sender = sender.with_limits(Limits::new().max_descriptors(1000));
    for (count, flags, carried) in [(1, 0, 1), (253, 0, 253), (254, 2, 1), (1000, 2, 1)] {
        sender.send(Files(files(count))).unwrap();
        let packet = peer.receive().unwrap().unwrap();
        assert_eq!((packet.bytes[2], packet.descriptors.len()), (flags, carried));
        assert_eq!(usize::from(u16::from_le_bytes([packet.bytes[4], packet.bytes[5]])), count);
        if flags == 2 {
            let refused = raw::connect(&packet.descriptors[0]).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN), "nobody else gets in");
        }
    }
}

/// Sends back what comes, with a limit of its own.
fn give_back() {
    let hello = Hello::new().limits(Limits::new().max_descriptors(1000));
    let channel = breezeway::process::inherited_with::<Files, Files>(hello).unwrap();
    while let Ok(files) = channel.recv() {
        channel.send(files).unwrap();
    }
}

/// M41
fn two_programs_agree_on_how_many() {
    let _ledger = FdLedger::open().unwrap();
    let hello = Hello::new().limits(Limits::new().max_descriptors(2000));
    let child: Child<Files, Files> = program("give_back").with_channel().hello(hello).spawn().unwrap();
    child.wait_ready(Duration::from_secs(5)).unwrap();
    let sent = files(1000);
    let which = inodes(&sent);
    child.send(Files(sent)).unwrap();
    assert_eq!(inodes(&child.recv().unwrap().0), which);
    match child.send(Files(files(1001))) {
        Err(SendError::Fault(Files(files), SendFault::TooManyDescriptors { count: 1001, limit: 1000 })) => assert_eq!(files.len(), 1001),
        other => panic!("{other:?}"),
    }
    assert!(child.wait().unwrap().success());
}

fn a_table_that_is_too_small_costs_the_message() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = taking(1000);
    let open = FdLedger::open().unwrap();
    for allowed in [100, 300, 500] {
        sender.send(Files(files(600))).unwrap();
        set_limit(libc::RLIMIT_NOFILE, allowed);
        assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::FdTableFull))), "{allowed}");
        support::no_descriptor_limit();
        open.check().unwrap();
        sender.send(Files(files(600))).unwrap();
        assert_eq!(receiver.recv().unwrap().0.len(), 600, "the next message");
    }
}

/// Other tests of the same user may have descriptors under way too, for a moment: what is sent in the end is what counts.
fn too_many_under_way_is_told_and_the_message_goes_later() {
    // The kernel exempts root from this limit, so it is only met as somebody else.
    let child = ForkedProcess::spawn(|channel: Channel<String, ()>| {
        support::become_nobody();
        // The message's own 300, their duplicates, and few others.
        set_limit(libc::RLIMIT_NOFILE, 700);
        let (sender, receiver) = taking(1000);
        let mut unsent = Files(files(300));
        let mut under_way = 0;
        let open = FdLedger::open().unwrap();
        let refused = loop {
            match sender.send(unsent) {
                Ok(()) => under_way += 1,
                Err(error) => break error,
            }
            unsent = Files(files(300));
        };
        assert!(matches!(refused.fault(), Some(SendFault::TooManyInFlight)), "{refused:?}");
        let mut message = refused.into_message();
        assert_eq!(message.0.len(), 300);
        open.check().unwrap();
        // The receiver takes what was sent before, and has all of it.
        (0..under_way).for_each(|_| assert_eq!(receiver.recv().unwrap().0.len(), 300));
        while let Err(error) = sender.send(message) {
            assert!(matches!(error.fault(), Some(SendFault::TooManyInFlight)), "{error:?}");
            message = error.into_message();
            std::thread::yield_now();
        }
        assert_eq!(receiver.recv().unwrap().0.len(), 300);
        channel.send("sent in the end".into()).unwrap();
        std::mem::forget(open);
    })
    .unwrap();
    assert_eq!(child.recv().unwrap(), "sent in the end");
    assert!(child.wait().unwrap().success());
}

fn a_socket_that_cannot_be_made_is_told_and_the_message_goes_later() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = taking(1000);
    set_limit(libc::RLIMIT_NOFILE, 1000);
    let mut message = Files(files(254));
    // Room for the duplicates, and for one of the two sockets at the most.
    let mut filling: Vec<File> = std::iter::from_fn(|| some_file().try_clone().ok()).collect();
    while let Ok(file) = message.0[0].try_clone() {
        filling.push(file);
    }
    for free in [254, 255] {
        filling.truncate(filling.len() - free);
        let open = FdLedger::open().unwrap();
        let error = sender.send(message).unwrap_err();
        let Some(SendFault::Nested { count: 254, source }) = error.fault() else { panic!("{error:?}") };
        assert_eq!(source.source.raw_os_error(), Some(libc::EMFILE));
        assert!(error.to_string().contains("close descriptors"), "{error}");
        message = error.into_message();
        drop(open);
        while let Ok(file) = message.0[0].try_clone() {
            filling.push(file);
        }
    }
    drop(filling);
    let which = inodes(&message.0);
    sender.send(message).unwrap();
    assert_eq!(inodes(&receiver.recv().unwrap().0), which);
}

fn a_full_channel_is_full_before_anything_is_made() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = taking(1000);
    let mut sent = 0;
    let mut message = Files(files(300));
    // Small ones fill the queue sooner.
    support::set_send_buffer(sender.as_fd(), 2304);
    let open = FdLedger::open().unwrap();
    // No socket is made where there is no room: none can be made any more.
    let full = loop {
        match sender.try_send(message) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        message = Files(files(300));
    };
    assert!(full.is_full());
    support::forbid(libc::SYS_socket, libc::EPERM);
    let full = sender.try_send(full.into_message()).unwrap_err();
    assert!(full.is_full());
    drop(open);
    (0..sent).for_each(|_| assert_eq!(receiver.try_recv().unwrap().0.len(), 300));
    assert!(receiver.try_recv().unwrap_err().is_empty());
    let Err(TrySendError::Fault(message, SendFault::Nested { count: 300, .. })) = sender.try_send(full.into_message()) else {
        panic!("with room it is tried")
    };
    assert_eq!(message.0.len(), 300);
}

fn a_receiver_that_goes_leaves_nothing() {
    let _ledger = FdLedger::open().unwrap();
    for _ in 0..20 {
        let (sender, receiver) = taking(1000);
        sender.send(Files(files(300))).unwrap();
        drop(receiver);
        let error = sender.send(Files(files(300))).unwrap_err();
        assert!(error.is_closed() && error.into_message().0.len() == 300);
    }
    // What was queued is closed by the kernel: the other end of a pipe sees it.
    let [mut reader, writer] = raw::pipe().map(File::from);
    let (sender, receiver) = taking(1000);
    let writers = (0..299).map(|_| writer.try_clone().unwrap()).chain([writer.try_clone().unwrap()]).collect();
    sender.send(Files(writers)).unwrap();
    drop((writer, receiver, sender));
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0, "no writer is left");
}

/// The comparison notices two that have changed places.
fn one_descriptor_out_of_order_is_noticed() {
    let mut files = files(300);
    let sent = inodes(&files);
    files.swap(10, 290);
    assert_ne!(inodes(&files), sent);
}

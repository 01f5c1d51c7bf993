//! Descriptors in messages: what arrives, what is left behind, and that nothing leaks on any path.

mod support;

use breezeway::process::ForkedProcess;
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{
    Bytes, Channel, DecodeError, EncodeError, Fault, Fd, Limits, Message, Receiver, RecvError, SendError, SendFault, Sender, channel,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

trials!(
    every_type_of_descriptor_is_a_field,
    descriptors_nest_in_every_container,
    what_arrives_is_the_same_file_and_close_on_exec,
    one_file_may_travel_twice,
    the_senders_copy_is_closed_after_a_send_and_kept_by_send_ref,
    ends_travel_and_work_at_the_other_end,
    more_than_the_limit_is_refused_before_anything_is_sent,
    a_descriptor_goes_to_no_other_serializer,
    a_temporary_file_is_sent_as_the_file_it_was,
    a_message_within_a_message_has_its_own_descriptors,
    a_panic_while_encoding_leaks_nothing,
    half_of_a_split_channel_does_not_travel,
    an_end_does_not_travel_on_its_own_channel,
    too_many_under_way_is_an_error_of_its_own,
    a_thousand_of_each_way_leak_nothing,
    one_leak_on_purpose_is_noticed,
);

/// What a descriptor points at: one name for all copies of it.
fn target(fd: impl AsFd) -> String {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).unwrap().to_string_lossy().into_owned()
}

/// Sends a message to ourselves.
fn through<T: Serialize + serde::de::DeserializeOwned>(message: T) -> T {
    let (sender, receiver) = channel().unwrap();
    sender.send(message).unwrap();
    receiver.recv().unwrap()
}

#[derive(Message)]
struct Everything {
    file: File,
    owned: OwnedFd,
    unix_stream: UnixStream,
    unix_listener: UnixListener,
    unix_datagram: UnixDatagram,
    tcp_stream: TcpStream,
    tcp_listener: TcpListener,
    udp_socket: UdpSocket,
    sender: Sender<u32>,
    receiver: Receiver<u32>,
    two_way: Channel<u32, String>,
    wrapped: Fd<File>,
    bytes: Bytes,
    vec: Vec<u8>,
}

impl Everything {
    fn new() -> Everything {
        let tcp_listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let directory = tempfile::tempdir().unwrap();
        Everything {
            file: support::some_file(),
            owned: tempfile::tempfile().unwrap().into(),
            unix_stream: UnixStream::pair().unwrap().0,
            unix_listener: UnixListener::bind(directory.path().join("socket")).unwrap(),
            unix_datagram: UnixDatagram::unbound().unwrap(),
            tcp_stream: TcpStream::connect(tcp_listener.local_addr().unwrap()).unwrap(),
            tcp_listener,
            udp_socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            sender: channel().unwrap().0,
            receiver: channel().unwrap().1,
            two_way: Channel::pair().unwrap().0,
            wrapped: Fd(tempfile::tempfile().unwrap()),
            bytes: Bytes::from_static(b"bytes"),
            vec: vec![1, 2, 3],
        }
    }

    fn descriptors(&self) -> [BorrowedFd<'_>; 12] {
        [
            self.file.as_fd(),
            self.owned.as_fd(),
            self.unix_stream.as_fd(),
            self.unix_listener.as_fd(),
            self.unix_datagram.as_fd(),
            self.tcp_stream.as_fd(),
            self.tcp_listener.as_fd(),
            self.udp_socket.as_fd(),
            self.sender.as_fd(),
            self.receiver.as_fd(),
            self.two_way.as_fd(),
            self.wrapped.as_fd(),
        ]
    }
}

fn every_type_of_descriptor_is_a_field() {
    let _ledger = FdLedger::open().unwrap();
    let everything = Everything::new();
    let sent = everything.descriptors().map(target);
    let received = through(everything);
    assert_eq!(received.descriptors().map(target), sent);
    assert_eq!((received.bytes.as_ref(), received.vec.as_ref()), (&b"bytes"[..], &[1, 2, 3][..]));
}

type Deep = Option<Box<(File, [Option<File>; 2])>>;

#[derive(Message)]
struct Nested {
    option: Option<File>,
    none: Option<File>,
    vec: Vec<File>,
    array: [File; 2],
    tuple: (u8, File, OwnedFd),
    map: BTreeMap<String, File>,
    hash: HashMap<u32, Vec<File>>,
    boxed: Box<File>,
    result: Result<File, String>,
    deep: Vec<Deep>,
}

fn descriptors_nest_in_every_container() {
    let _ledger = FdLedger::open().unwrap();
    let mut names = Vec::new();
    let mut file = || {
        let mut file = tempfile::tempfile().unwrap();
        let name = format!("file {}", names.len());
        file.write_all(name.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        names.push(name);
        file
    };
    let nested = Nested {
        option: Some(file()),
        none: None,
        vec: vec![file(), file()],
        array: [file(), file()],
        tuple: (7, file(), file().into()),
        map: [("a".into(), file()), ("b".into(), file())].into(),
        hash: [(1, vec![file(), file()])].into(),
        boxed: Box::new(file()),
        result: Ok(file()),
        deep: vec![None, Some(Box::new((file(), [None, Some(file())])))],
    };
    let Nested { option, none, vec, array: [array0, array1], tuple, mut map, mut hash, boxed, result, mut deep } = through(nested);
    assert!(none.is_none() && tuple.0 == 7 && deep[0].is_none());
    let (deep0, [deep1, deep2]) = *deep.remove(1).unwrap();
    assert!(deep1.is_none());
    let received = [option.unwrap()]
        .into_iter()
        .chain(vec)
        .chain([array0, array1, tuple.1, tuple.2.into()])
        .chain([map.remove("a").unwrap(), map.remove("b").unwrap()])
        .chain(hash.remove(&1).unwrap())
        .chain([*boxed, result.unwrap(), deep0, deep2.unwrap()]);
    let read = |mut file: File| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(received.map(read).collect::<Vec<_>>(), names, "each file where it was");
}

fn what_arrives_is_the_same_file_and_close_on_exec() {
    let _ledger = FdLedger::open().unwrap();
    let received = through(Everything::new());
    for descriptor in received.descriptors() {
        assert!(support::is_cloexec(descriptor));
        assert!(descriptor.as_raw_fd() > 2);
    }
    // The description is shared: what one reads, the other has passed.
    let (sender, receiver) = channel().unwrap();
    let mut ours = support::some_file();
    sender.send(Fd(ours.try_clone().unwrap())).unwrap();
    let mut theirs: Fd<File> = receiver.recv().unwrap();
    let (mut all, mut rest) = (String::new(), String::new());
    ours.read_to_string(&mut all).unwrap();
    theirs.read_to_string(&mut rest).unwrap();
    assert!(all.contains("breezeway") && rest.is_empty());
}

fn one_file_may_travel_twice() {
    let _ledger = FdLedger::open().unwrap();
    let file = support::some_file();
    let received = through(vec![Fd(file.try_clone().unwrap()), Fd(file)]);
    assert_eq!(target(&*received[0]), target(&*received[1]));
    assert_ne!(received[0].as_raw_fd(), received[1].as_raw_fd());
}

fn the_senders_copy_is_closed_after_a_send_and_kept_by_send_ref() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Sender<u32>>().unwrap();
    let (kept, end) = channel::<u32>().unwrap();
    sender.send_ref(&kept).unwrap();
    receiver.recv().unwrap().send(1).unwrap();
    kept.send(2).unwrap();
    assert_eq!((end.recv().unwrap(), end.recv().unwrap()), (1, 2));
    sender.send(kept).unwrap();
    drop(receiver.recv().unwrap());
    assert!(end.recv().unwrap_err().is_closed(), "no copy is left here");
}

fn ends_travel_and_work_at_the_other_end() {
    let _ledger = FdLedger::open().unwrap();
    let child = ForkedProcess::spawn(|channel: Channel<(), Everything>| {
        let Everything { sender, two_way, .. } = channel.recv().unwrap();
        sender.send(5).unwrap();
        two_way.send(two_way.recv().unwrap().len() as u32).unwrap();
    })
    .unwrap();
    let (sender, receiver) = channel().unwrap();
    let (ours, two_way) = Channel::<String, u32>::pair().unwrap();
    child.send(Everything { sender, two_way, ..Everything::new() }).unwrap();
    assert_eq!(receiver.recv().unwrap(), 5);
    ours.send("seven77".into()).unwrap();
    assert_eq!(ours.recv().unwrap(), 7);
    assert!(receiver.recv().unwrap_err().is_closed());
    assert!(child.wait().unwrap().success());
}

fn more_than_the_limit_is_refused_before_anything_is_sent() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<Vec<Fd<File>>>().unwrap();
    let files = |count| (0..count).map(|_| Fd(support::some_file())).collect::<Vec<_>>();
    let error = sender.send(files(254)).unwrap_err();
    assert!(matches!(error.fault(), Some(SendFault::TooManyDescriptors { count: 254, limit: 253 })), "{error:?}");
    assert_eq!(error.into_message().len(), 254);
    assert!(receiver.try_recv().unwrap_err().is_empty(), "nothing was sent");
    sender.send(files(253)).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), 253);
    let generous = sender.with_limits(Limits::new().max_descriptors(1000));
    assert!(matches!(generous.send(files(1001)), Err(SendError::Fault(_, SendFault::TooManyDescriptors { count: 1001, limit: 1000 }))));
    generous.send(files(254)).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::TooManyDescriptors { count: 254, limit: 253 }))));
    let strict = generous.with_limits(Limits::new().max_descriptors(2));
    assert!(matches!(strict.send(files(3)), Err(SendError::Fault(_, SendFault::TooManyDescriptors { count: 3, limit: 2 }))));
    strict.send(files(2)).unwrap();
    let strict_receiver = receiver.with_limits(Limits::new().max_descriptors(1));
    assert!(matches!(strict_receiver.recv(), Err(RecvError::Fault(Fault::TooManyDescriptors { count: 2, limit: 1 }))));
    strict.send(files(1)).unwrap();
    assert_eq!(strict_receiver.recv().unwrap().len(), 1);
}

fn a_descriptor_goes_to_no_other_serializer() {
    let _ledger = FdLedger::open().unwrap();
    let file = Fd(support::some_file());
    let refused = |error: String| assert!(error.contains("a descriptor can only travel in a message on a channel"), "{error}");
    refused(serde_json::to_string(&file).unwrap_err().to_string());
    refused(serde_json::from_str::<Fd<File>>("0").unwrap_err().to_string());
    refused(bincode::serde::encode_to_vec(&file, bincode::config::legacy()).unwrap_err().to_string());
    let decoded: Result<(Fd<File>, usize), _> = bincode::serde::decode_from_slice(&[0; 4], bincode::config::legacy());
    refused(decoded.map(drop).unwrap_err().to_string());
    // Also while a message is being encoded or decoded.
    let (sender, receiver) = channel::<InJson>().unwrap();
    let error = sender.send(InJson(file)).unwrap_err();
    refused(error.fault().unwrap().to_string());
    drop(receiver);
    let (peer, receiver) = RawPeer::of_receiver::<InJson>().unwrap();
    peer.send(&packet(&[1, 0, 0, 0, 0, 0, 0, 0, b'0'], &[], 0), &[]).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Decode(DecodeError::Custom(text)))) if text.contains("can only travel")));
}

/// A type that puts its file into a text, which no descriptor survives.
struct InJson(Fd<File>);

impl Serialize for InJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InJson, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(InJson).map_err(serde::de::Error::custom)
    }
}

/// A type that opens what it sends while it is being sent, and closes it again at once.
struct Opens(&'static str);

impl Serialize for Opens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fd(File::open(self.0).unwrap()).serialize(serializer)
    }
}

fn a_temporary_file_is_sent_as_the_file_it_was() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, sender) = RawPeer::of_sender::<(Opens, Opens)>().unwrap();
    sender.send((Opens("/proc/self/cmdline"), Opens("/proc/self/status"))).unwrap();
    let packet = peer.receive().unwrap().unwrap();
    let targets: Vec<_> = packet.descriptors.iter().map(target).collect();
    assert!(targets[0].ends_with("/cmdline") && targets[1].ends_with("/status"), "{targets:?}");
}

/// A type that sends another message while it is being sent.
struct Forwards<'a>(&'a Sender<Fd<File>>, Fd<File>);

impl Serialize for Forwards<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.send(Fd(File::open("/proc/self/status").unwrap())).unwrap();
        self.1.serialize(serializer)
    }
}

fn a_message_within_a_message_has_its_own_descriptors() {
    let _ledger = FdLedger::open().unwrap();
    let (inner, inner_end) = channel().unwrap();
    let (peer, outer) = RawPeer::of_sender().unwrap();
    outer.send((Fd(support::some_file()), Forwards(&inner, Fd(File::open("/proc/self/cmdline").unwrap())))).unwrap();
    assert!(target(&*inner_end.recv().unwrap()).ends_with("/status"));
    let targets: Vec<_> = peer.receive().unwrap().unwrap().descriptors.iter().map(target).collect();
    assert!(targets[0].ends_with("/Cargo.toml") && targets[1].ends_with("/cmdline") && targets.len() == 2, "{targets:?}");
}

/// A type whose own code panics in the middle.
#[derive(Debug)]
struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in the middle of encoding")
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Panics, D::Error> {
        panic!("in the middle of decoding")
    }
}

fn a_panic_while_encoding_leaks_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let panics = || sender.send((Fd(support::some_file()), Panics));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    assert!(receiver.try_recv().unwrap_err().is_empty());
    let decoder = Receiver::<(Fd<File>, Panics)>::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
    let sender = Sender::<Fd<File>>::try_from(OwnedFd::try_from(sender).unwrap()).unwrap();
    sender.send(Fd(support::some_file())).unwrap();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decoder.recv())).unwrap_err();
    // The frames of both are gone, so this goes as usual.
    through(Fd(support::some_file()));
}

fn half_of_a_split_channel_does_not_travel() {
    let _ledger = FdLedger::open().unwrap();
    let (sender_carrier, receiver_carrier) = (channel::<Sender<u32>>().unwrap(), channel::<Carried>().unwrap());
    let (ours, theirs) = Channel::<u32>::pair().unwrap();
    let (sender, receiver) = theirs.split();
    let SendError::Fault(sender, SendFault::Encode(EncodeError::SplitHalf)) = sender_carrier.0.send(sender).unwrap_err() else {
        panic!("it went away")
    };
    let SendError::Fault(Carried(receiver), SendFault::Encode(EncodeError::SplitHalf)) =
        receiver_carrier.0.send(Carried(receiver)).unwrap_err()
    else {
        panic!("it went away")
    };
    let sender = OwnedFd::try_from(sender).unwrap_err().into_end();
    let receiver = OwnedFd::try_from(receiver).unwrap_err().into_end();
    sender.send(1).unwrap();
    ours.send(2).unwrap();
    assert_eq!((ours.recv().unwrap(), receiver.recv().unwrap()), (1, 2));
}

#[derive(Message)]
struct Carried(Receiver<u32>);

fn an_end_does_not_travel_on_its_own_channel() {
    let _ledger = FdLedger::open().unwrap();
    #[derive(Message)]
    enum Loop {
        Sender(Sender<Loop>),
        Receiver(Receiver<Loop>),
    }
    let (sender, receiver) = channel::<Loop>().unwrap();
    let over_itself = |error: SendError<Loop>| {
        assert!(matches!(error.fault(), Some(SendFault::Encode(EncodeError::OverItself))));
        error.into_message()
    };
    let Loop::Receiver(receiver) = over_itself(sender.send(Loop::Receiver(receiver)).unwrap_err()) else { panic!("given back") };
    drop(over_itself(sender.send(Loop::Sender(sender.clone())).unwrap_err()));
    // Also for an end that came from elsewhere.
    let sender = Sender::<Loop>::try_from(OwnedFd::try_from(sender).unwrap()).unwrap();
    drop(over_itself(sender.send(Loop::Sender(sender.clone())).unwrap_err()));
    // Another channel of the same type is fine.
    let (other, _end) = channel().unwrap();
    sender.send(Loop::Sender(other)).unwrap();
    assert!(matches!(receiver.recv().unwrap(), Loop::Sender(_)));
}

/// Other tests of the same user may have descriptors under way too, for a moment.
fn send_in_the_end(sender: &Sender<Vec<Fd<File>>>, mut message: Vec<Fd<File>>) {
    while let Err(error) = sender.send(message) {
        assert!(matches!(error.fault(), Some(SendFault::TooManyInFlight)), "{error:?}");
        message = error.into_message();
        std::thread::yield_now();
    }
}

fn too_many_under_way_is_an_error_of_its_own() {
    // The kernel exempts root from this limit, so it is only met as somebody else.
    let child = ForkedProcess::spawn(|channel: Channel<String, ()>| {
        support::become_nobody();
        support::set_limit(libc::RLIMIT_NOFILE, 64);
        let (sender, receiver) = breezeway::channel::<Vec<Fd<File>>>().unwrap();
        let files = || (0..20).map(|_| Fd(File::open("/proc/self/status").unwrap())).collect::<Vec<_>>();
        send_in_the_end(&sender, files());
        let error = std::iter::from_fn(|| Some(sender.send_timeout(files(), Duration::ZERO))).find_map(Result::err).unwrap();
        assert!(matches!(error.fault(), Some(SendFault::TooManyInFlight)), "{error:?}");
        // Once the receiver has taken some, the same message goes.
        let message = error.into_message();
        assert_eq!(receiver.recv().unwrap().len(), 20);
        send_in_the_end(&sender, message);
        channel.send("sent in the end".into()).unwrap();
    })
    .unwrap();
    assert_eq!(child.recv().unwrap(), "sent in the end");
    assert!(child.wait().unwrap().success());
}

/// Each way that a message with descriptors can end, a thousand times.
fn a_thousand_of_each_way_leak_nothing() {
    support::more_time(Duration::from_secs(60));
    let _ledger = FdLedger::open().unwrap();
    const ROUNDS: usize = 1000;
    let file = support::some_file();
    let message = || Fd(file.try_clone().unwrap());

    // Sent and received, in two processes. The answer to nothing comes when the child has closed what came before.
    let echo = ForkedProcess::spawn(|channel: Channel<Option<Fd<File>>>| {
        for file in &channel {
            channel.send(file.unwrap()).unwrap();
        }
    })
    .unwrap();
    let there_and_back = |file| {
        echo.send(file).unwrap();
        echo.recv().unwrap()
    };
    assert!(there_and_back(None).is_none());
    let (ours, theirs) = (FdLedger::open().unwrap(), FdLedger::of(echo.id()).unwrap());
    for _ in 0..ROUNDS {
        assert!(there_and_back(Some(message())).is_some());
    }
    assert!(there_and_back(None).is_none());
    drop((ours, theirs));
    assert!(echo.wait().unwrap().success());

    // Not encoded.
    let (sender, receiver) = channel::<(Fd<File>, Refuses)>().unwrap();
    for _ in 0..ROUNDS {
        assert!(matches!(sender.send((message(), Refuses)), Err(SendError::Fault(_, SendFault::Encode(EncodeError::Serialize(_))))));
    }
    drop((sender, receiver));

    // Not decoded, and not used.
    let (peer, receiver) = RawPeer::of_receiver::<(Fd<File>, bool)>().unwrap();
    for _ in 0..ROUNDS {
        peer.send(&packet(&[0, 0, 0, 0, 2], &[], 1), &[file.as_fd()]).unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Decode(DecodeError::Invalid { .. })))));
        peer.send(&packet(&[0, 0, 0, 0, 1], &[], 2), &[file.as_fd(), file.as_fd()]).unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Fault(Fault::Decode(DecodeError::DescriptorsUnused { count: 1 })))));
    }
    drop((peer, receiver));

    // The receiver goes with a full queue.
    for _ in 0..ROUNDS {
        let (sender, receiver) = channel::<Vec<Fd<File>>>().unwrap();
        for _ in 0..4 {
            sender.send(vec![message(), message()]).unwrap();
        }
        drop(receiver);
        assert!(sender.send(vec![message()]).unwrap_err().is_closed());
    }
    let (sender, receiver) = channel::<Fd<File>>().unwrap();
    while sender.try_send(message()).is_ok() {}
    drop((sender, receiver));

    // The child is killed with messages unread.
    for _ in 0..ROUNDS {
        let mut child = ForkedProcess::spawn(|channel: Channel<Fd<File>>| drop(channel.recv())).unwrap();
        child.send(message()).unwrap();
        child.kill().unwrap();
        while child.send_timeout(message(), Duration::ZERO).is_ok() {}
        let _ = child.wait().unwrap();
    }
}

/// A type that cannot be encoded.
#[derive(Debug, Deserialize)]
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("refused"))
    }
}

fn one_leak_on_purpose_is_noticed() {
    let ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    sender.send(Fd(support::some_file())).unwrap();
    let leaked = receiver.recv().unwrap();
    drop((sender, receiver));
    let leak = ledger.check().unwrap_err();
    assert!(leak.closed.is_empty() && leak.opened.len() == 1 && leak.opened[0].1.ends_with("/Cargo.toml"), "{leak}");
    drop(leaked);
    ledger.check().unwrap();
    // In another process too, and one that took the number of another.
    let child = ForkedProcess::spawn(|channel: Channel<(), Fd<File>>| {
        let _kept = channel.recv().unwrap();
        channel.send(()).unwrap();
        let _ = channel.recv();
    })
    .unwrap();
    let theirs = FdLedger::of(child.id()).unwrap();
    child.send(Fd(support::some_file())).unwrap();
    child.recv().unwrap();
    assert_eq!(theirs.check().unwrap_err().opened.len(), 1);
    std::mem::forget(theirs);
    assert!(child.wait().unwrap().success());
    let file = support::some_file();
    let before = FdLedger::open().unwrap();
    drop(file);
    let other = File::open("/proc/self/status").unwrap();
    let leak = before.check().unwrap_err();
    assert_eq!((leak.opened.len(), leak.closed.len()), (1, 1), "{leak}");
    drop(other);
    let _same = support::some_file();
    drop(before);
}

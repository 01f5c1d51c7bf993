//! Programs that meet: what each says first, what becomes of a peer that says something else, and that the limits agreed on hold. The peer is a
//! bare socket that says literal packets: a child for the tests of the parent's side, a parent for those of the child's.

#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::process::{Child, CommandExt, InheritError, inherited, inherited_with};
use breezeway::socket::{Family, Protocol, Socket, SocketType, socketpair};
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{
    Channel, EncodeError, Fault, Hello, HelloError, IntoFdError, Limits, Message, ProtocolError, RecvError, RecvTimeoutError, SendError,
    SendFault, TryRecvError, TypeMismatch, channel,
};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;
use support::{program, some_file};

trials!(
    a_hello_and_schemas_are_these_bytes,
    a_parent_names_what_is_no_hello,
    a_program_names_what_is_no_hello,
    a_silent_program_is_an_error_within_the_time,
    a_silent_parent_is_an_error_within_the_time,
    a_program_that_ends_without_a_hello_closes_the_channel,
    a_parent_that_is_gone_without_a_hello_is_an_error,
    a_parent_that_said_hello_and_is_gone_is_heard,
    what_is_said_after_the_hello_costs_one_message,
    no_message_waits_for_a_hello,
    a_mismatch_without_schemas_is_told_by_fingerprints,
    the_smaller_limits_hold_for_both,
    an_end_that_waits_for_a_hello_stays_where_it_is,
    waiting_for_a_hello_ends_in_time,
    after_the_hello_a_message_is_one_system_call,
    a_send_that_waits_for_room_ends_with_the_meeting,
    nothing_is_sent_to_a_program_of_other_types,
    a_caller_sleeps_while_nothing_may_be_sent,
    looking_takes_a_few_packets_at_a_time,
    junk_ends_in_time,
    schemas_that_find_no_room_are_sent_later,
    what_has_ended_stays_ended,
    a_failed_meeting_is_the_end_for_both,
    own_limits_cannot_be_raised_later,
    who_does_not_listen_goes_on_sending,
    a_parent_that_only_waits_names_the_difference_too;
    programs: speak, meet
);

/// Makes a packet one of another kind.
fn of_kind(kind: u8, mut packet: Vec<u8>) -> Vec<u8> {
    packet[1] = kind;
    packet
}

const HELLO: u8 = 2;
const SCHEMAS: u8 = 3;

/// The hello of a program that sends the one and receives the other.
fn hello_of(sends: (&str, u64), receives: (&str, u64), max_message: u64, max_descriptors: u32) -> Vec<u8> {
    let mut body = b"breezway\x01".to_vec();
    body.extend(max_message.to_le_bytes());
    body.extend(max_descriptors.to_le_bytes());
    for (name, fingerprint) in [sends, receives] {
        body.extend((name.len() as u64).to_le_bytes());
        body.extend(name.as_bytes());
        body.extend(fingerprint.to_le_bytes());
    }
    of_kind(HELLO, packet(&body, &[], 0))
}

/// That of the right peer of an end that sends `S` and receives `R`.
fn hello<S: Message, R: Message>() -> Vec<u8> {
    hello_of((R::NAME, R::fingerprint()), (S::NAME, S::fingerprint()), 4 << 20, 253)
}

/// One that means other types.
fn other_hello() -> Vec<u8> {
    hello_of(("Other", 1), ("Another\n", 2), 4 << 20, 253)
}

fn send(socket: &Socket, bytes: &[u8]) -> bool {
    socket.send_packet(&[IoSlice::new(bytes)], &[]).is_ok()
}

/// An argument of `speak`: receive a packet before going on.
const LISTEN: &str = "listen";
/// Go on with the next packet again and again, until nobody listens any more.
const FLOOD: &str = "flood";
/// Send the next packet every now and then, until nobody listens any more.
const TRICKLE: &str = "trickle";
/// Do nothing any more, and listen to nobody.
const HOLD: &str = "hold";
/// End at once, instead of when the other end does.
const END: &str = "end";

/// The bare peer as a child: sends each of its arguments, packets in hexadecimal digits, and stays until its parent has closed its end.
fn speak() {
    let socket = support::own_channel();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            LISTEN => drop(socket.receive_packet(4096).unwrap()),
            FLOOD => {
                let bytes = bytes(&arguments.next().unwrap());
                while send(&socket, &bytes) {}
            }
            TRICKLE => {
                let bytes = bytes(&arguments.next().unwrap());
                while send(&socket, &bytes) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            HOLD => loop {
                std::thread::park();
            },
            END => return,
            digits => {
                let _ = send(&socket, &bytes(digits));
            }
        }
    }
    while socket.receive_packet(4 << 20).is_ok_and(|packet| packet.is_some()) {}
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// A child that says this; an end that sends `u32` and receives `String`.
fn child(says: &[&str], hello: Hello) -> Child<u32, String> {
    program("speak").args(says).with_channel().hello(hello).spawn().unwrap()
}

fn child_saying(packets: &[&[u8]]) -> Child<u32, String> {
    let says: Vec<String> = packets.iter().map(|packet| digits(packet)).collect();
    child(&says.iter().map(String::as_str).collect::<Vec<_>>(), Hello::new())
}

/// What `meet` says when its parent has said this: a bare socket, which stays open, or is closed once it has spoken.
fn met(packets: &[&[u8]], stays: bool, timeout: &str) -> String {
    let (ours, theirs) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    packets.iter().for_each(|packet| assert!(send(&ours, packet)));
    let theirs = support::inheritable(theirs.as_fd());
    let mut command = program("meet");
    command.arg(timeout).env("BREEZEWAY_FDS", place(&theirs)).stdout(Stdio::piped());
    let ours = stays.then_some(ours);
    let output = command.output().unwrap();
    drop((ours, theirs));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn place(fd: &OwnedFd) -> String {
    let stat = File::from(fd.try_clone().unwrap()).metadata().unwrap();
    format!("channel={}:{}:{}", fd.as_raw_fd(), stat.dev(), stat.ino())
}

/// Makes this process one that has inherited the socket.
fn inherit(socket: Socket) {
    let inherited = support::inheritable(socket.as_fd());
    support::set_variable("BREEZEWAY_FDS", &place(&inherited));
    // Whoever takes it by its number owns it.
    let _ = inherited.into_raw_fd();
}

/// Meets its parent, and prints what came of it and of the first message.
fn meet() {
    let timeout = Duration::from_millis(std::env::args().nth(1).unwrap().parse().unwrap());
    match inherited_with::<u32, String>(Hello::new().timeout(timeout)) {
        Ok(parent) => println!("{:?}", parent.recv().map_err(|error| error.to_string())),
        Err(error) => println!("{}", told(&error)),
    }
}

/// An error and its causes.
fn told(error: &dyn Error) -> String {
    std::iter::successors(Some(error), |error: &&dyn Error| (*error).source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a receive says that is to find a failed meeting.
fn failed(child: &Child<u32, String>) -> String {
    match child.recv() {
        Err(RecvError::Fault(fault @ Fault::Hello(_))) => told(&fault),
        other => panic!("{other:?}"),
    }
}

/// M39, M42
fn a_hello_and_schemas_are_these_bytes() {
    let text = include_str!("golden/hello.txt");
    let vector = |name: &str| -> Vec<u8> {
        let lines = text.lines().skip_while(|line| *line != format!("{name} 0")).skip(1).take_while(|line| line.starts_with("  "));
        lines.flat_map(|line| bytes(&line.replace(' ', ""))).collect()
    };
    // The control: what is compared with is there.
    assert!(vector("hello").len() > 60 && vector("nothing").is_empty());
    assert_eq!(hello_of(("u32", u32::fingerprint()), ("String", String::fingerprint()), 1000, 5), vector("hello"));

    let (ours, theirs) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    assert!(send(&ours, &other_hello()));
    inherit(theirs);
    let limits = Limits::new().max_message(1000).max_descriptors(5);
    // Nothing more comes.
    support::shutdown_writing(ours.as_fd());
    assert!(inherited_with::<u32, String>(Hello::new().limits(limits)).is_err());
    for name in ["hello", "schemas"] {
        let said = ours.receive_packet(4096).unwrap().unwrap();
        assert_eq!((digits(&said.bytes), said.descriptors.len()), (digits(&vector(name)), 0), "{name}");
    }
    assert!(ours.receive_packet(4096).unwrap().is_none());
}

/// M39, M43: first packets that are no hello, and what is said of them.
fn no_hellos() -> Vec<(Vec<u8>, String)> {
    let good = hello::<u32, String>();
    let body = &good[16..];
    let with = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        bytes
    };
    let body_of = |body: &[u8]| of_kind(HELLO, packet(body, &[], 0));
    let wire = |text: &str| format!("the first packet from the other end is no hello: the packet breaks the wire format: {text}");
    let decode = |text: &str| format!("the first packet from the other end is no hello: the message does not decode: {text}");
    let large = "the first packet from the other end is no hello: a message of more than 1024 bytes arrived: \
                 raise `Limits::max_message` on this end, or send less";
    vec![
        (packet(&[1, 2, 3, 4], &[], 0), wire("kind 1, expected 2")),
        (of_kind(SCHEMAS, good.clone()), wire("kind 3, expected 2")),
        (b"hello".to_vec(), wire("5 bytes are no header, which has 16")),
        (Vec::new(), wire("an empty packet")),
        (with(0, 2), wire("version 2, expected 1")),
        (with(2, 1), wire("reserved flags 0x0001 are set")),
        (with(4, 1), wire("1 descriptors announced, 0 arrived")),
        (with(8, 0xff), wire("255 bytes announced behind the header, 62 arrived")),
        (with(16, b'B'), decode("a value that is not a hello")),
        (body_of(b""), decode("a value that is not a hello")),
        (body_of(b"breezway"), decode("a value that is not a hello")),
        (with(24, 7), "the program at the other end encodes messages by codec 7, this one by codec 1".into()),
        (
            body_of(b"breezway\x07 and what it likes"),
            "the program at the other end encodes messages by codec 7, this one by codec 1".into(),
        ),
        (body_of(&body[..body.len() - 1]), decode("the body ends 1 bytes too early")),
        (body_of(&[body, &[0]].concat()), decode("1 bytes follow the message")),
        (body_of(&[&body[..21], &u64::MAX.to_le_bytes()].concat()), decode("the body ends 18446744073709551615 bytes too early")),
        (hello_of(("\u{7f}", 1), (&"x".repeat(10_000), 2), 0, 0), large.into()),
        (with(45, 0xff), decode("a value that is not a string of UTF-8")),
    ]
}

fn a_parent_names_what_is_no_hello() {
    let _ledger = FdLedger::open().unwrap();
    for (bytes, expected) in no_hellos() {
        let child = child_saying(&[&bytes]);
        assert_eq!(failed(&child), expected, "{bytes:?}");
        assert!(child.recv().unwrap_err().is_closed(), "told once");
        assert!(matches!(child.try_recv(), Err(TryRecvError::Closed)));
        assert!(matches!(child.send(1), Err(SendError::Fault(1, SendFault::Hello(_)))), "sending says why");
        assert!(matches!(child.wait_ready(Duration::ZERO), Err(RecvTimeoutError::Fault(Fault::Hello(_)))), "again and again");
        assert!(child.wait().unwrap().success());
    }
    // The control.
    let child = child_saying(&[&hello::<u32, String>(), &packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0)]);
    assert_eq!(child.recv().unwrap(), "hi");
}

fn a_program_names_what_is_no_hello() {
    let _ledger = FdLedger::open().unwrap();
    for (bytes, expected) in no_hellos() {
        assert_eq!(met(&[&bytes], true, "10000"), expected, "{bytes:?}");
    }
    assert_eq!(met(&[&hello::<u32, String>(), &packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0)], true, "10000"), "Ok(\"hi\")");
}

const SILENT: &str = "the program at the other end has said nothing within 50ms: has it taken its end (`breezeway::process::inherited`)?";

fn soon() -> Hello {
    Hello::new().timeout(Duration::from_millis(50))
}

fn a_silent_program_is_an_error_within_the_time() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(failed(&child(&[], soon())), SILENT);
    // Whoever looks without waiting learns of it too, and so does who only sends.
    let looked = child(&[], soon());
    let fault = loop {
        match looked.try_recv() {
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Fault(fault)) => break fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(&fault), SILENT);
    let sent = child(&[], soon());
    let fault = loop {
        match sent.send(1) {
            Ok(()) => std::thread::yield_now(),
            Err(SendError::Fault(1, fault)) => break fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(&fault), SILENT);
    assert_eq!(failed(&sent), SILENT, "and so does its receiver");
}

fn a_silent_parent_is_an_error_within_the_time() {
    assert_eq!(met(&[], true, "50"), SILENT);
}

fn a_program_that_ends_without_a_hello_closes_the_channel() {
    let _ledger = FdLedger::open().unwrap();
    let child = child(&[END], Hello::new());
    assert!(child.recv().unwrap_err().is_closed());
    assert!(matches!(child.wait_ready(Duration::from_secs(5)), Err(RecvTimeoutError::Closed)));
    assert!(child.wait().unwrap().success());
}

fn a_parent_that_is_gone_without_a_hello_is_an_error() {
    assert_eq!(met(&[], false, "10000"), "the program at the other end has closed the channel without saying hello");
}

fn a_parent_that_said_hello_and_is_gone_is_heard() {
    let said = [hello::<u32, String>(), packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0)];
    assert_eq!(met(&[&said[0], &said[1]], false, "10000"), "Ok(\"hi\")");
    assert_eq!(met(&[&said[0]], false, "10000"), "Err(\"the other end of the channel is closed\")");
}

/// M44
fn what_is_said_after_the_hello_costs_one_message() {
    let _ledger = FdLedger::open().unwrap();
    let (good, message) = (hello::<u32, String>(), packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0));
    let child = child_saying(&[&good, &good, &message, &of_kind(SCHEMAS, message.clone()), &message]);
    for kind in [2, 3] {
        match child.recv() {
            Err(RecvError::Fault(Fault::Protocol(ProtocolError::Kind { expected: 1, found }))) => assert_eq!(found, kind),
            other => panic!("{other:?}"),
        }
        assert_eq!(child.recv().unwrap(), "hi");
    }
    assert!(child.wait().unwrap().success());
}

/// The first question is there before anything has been said to the parent, and the answer right behind the hello.
fn no_message_waits_for_a_hello() {
    let _ledger = FdLedger::open().unwrap();
    let (good, message) = (digits(&hello::<u32, String>()), digits(&packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0)));
    let child = child(&[LISTEN, LISTEN, &good, &message], Hello::new());
    child.send(1).unwrap();
    assert_eq!(child.recv().unwrap(), "hi");
    assert!(child.wait().unwrap().success());
}

/// M40, M42
fn a_mismatch_without_schemas_is_told_by_fingerprints() {
    let _ledger = FdLedger::open().unwrap();
    let other = other_hello();
    let here = u32::fingerprint();
    let expected = format!(
        "`u32` as it is sent here is not `Another\\n` as it is received there: \
         fingerprint {here:016x} here, 0000000000000002 there, whose schema did not come; and `String` differs too"
    );
    let rubbish = of_kind(SCHEMAS, packet(&[0xff; 100], &[], 0));
    // A schema of the right form that is the very same: the other program's word against its own.
    let same = {
        let (name, tree) = (b"u32", u32::schema().tree());
        let (sender, receiver) = Channel::<(breezeway::schema::Tree, breezeway::schema::Tree)>::pair().unwrap();
        sender.send((String::schema().tree(), tree)).unwrap();
        let socket = Socket::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
        let bytes = socket.receive_packet(4096).unwrap().unwrap().bytes;
        assert!(!bytes.windows(name.len()).all(|window| window != name));
        of_kind(SCHEMAS, bytes)
    };
    let message = packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0);
    for packets in [&[&other, &rubbish][..], &[&other, &same], &[&other, &message, &other, &rubbish]] {
        let packets: Vec<&[u8]> = packets.iter().map(|packet| packet.as_slice()).collect();
        assert_eq!(failed(&child_saying(&packets)), expected);
        assert_eq!(met(&packets, true, "10000"), expected);
    }
    // It ends, goes silent, or floods.
    let other = digits(&other);
    assert_eq!(failed(&child(&[&other, END], Hello::new())), expected);
    assert_eq!(failed(&child(&[&other], soon())), expected);
    assert_eq!(failed(&child(&[&other, FLOOD, &digits(&message)], Hello::new())), expected);
    let child = child(&[&other, END], Hello::new());
    let Err(RecvError::Fault(Fault::Hello(HelloError::Types(mismatch)))) = child.recv() else { panic!("no mismatch") };
    let TypeMismatch { fingerprints, difference, .. } = *mismatch;
    assert_eq!((fingerprints, difference), ((here, 2), None));
}

/// M41
fn the_smaller_limits_hold_for_both() {
    let _ledger = FdLedger::open().unwrap();
    let text = |length: u64| [&length.to_le_bytes()[..], &vec![b'x'; length as usize]].concat();
    let peer = hello_of(("String", String::fingerprint()), ("String", String::fingerprint()), 100, 0);
    let says = [peer, packet(&text(92), &[], 0), packet(&text(93), &[], 0), packet(&text(1), &[], 0)].map(|packet| digits(&packet));
    let child: Child<String, String> = program("speak").args(says).spawn_with_channel().unwrap();
    // Above all that it may have: it cannot be raised any more.
    let (channel, mut process) = child.into_parts();
    let channel = channel.with_limits(Limits::new().max_message(1 << 20));
    channel.wait_ready(Duration::from_secs(5)).unwrap();
    channel.send("x".repeat(92)).unwrap();
    match channel.send("x".repeat(93)) {
        Err(SendError::Fault(message, SendFault::TooLarge { size: 101, limit: 100 })) => assert_eq!(message.len(), 93),
        other => panic!("{other:?}"),
    }
    assert_eq!(channel.recv().unwrap().len(), 92);
    assert!(matches!(channel.recv(), Err(RecvError::Fault(Fault::TooLarge { limit: 100 }))));
    assert_eq!(channel.recv().unwrap().len(), 1);
    drop(channel);
    assert!(process.wait().unwrap().success());

    // Its own are the smaller ones here.
    let says = digits(&hello_of(("u8", u8::fingerprint()), ("OneFile", OneFile::fingerprint()), u64::MAX, u32::MAX));
    let limits = Limits::new().max_message(4).max_descriptors(0);
    let child: Child<OneFile, u8> = program("speak").arg(says).with_channel().hello(Hello::new().limits(limits)).spawn().unwrap();
    child.wait_ready(Duration::from_secs(5)).unwrap();
    match child.send(OneFile(some_file())) {
        Err(SendError::Fault(_, SendFault::TooManyDescriptors { count: 1, limit: 0 })) => {}
        other => panic!("{other:?}"),
    }
}

#[derive(Message)]
struct OneFile(#[allow(dead_code, reason = "it is only sent")] File);

#[derive(Message)]
struct Carrier(Channel<u32, String>);

fn an_end_that_waits_for_a_hello_stays_where_it_is() {
    let _ledger = FdLedger::open().unwrap();
    let child = child(&[LISTEN, LISTEN, &digits(&hello::<u32, String>()), &digits(&packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0))], Hello::new());
    let (channel, mut process) = child.into_parts();
    let (carriers, carried) = self::channel::<Carrier>().unwrap();
    let Err(SendError::Fault(Carrier(channel), SendFault::Encode(EncodeError::HelloPending))) = carriers.send(Carrier(channel)) else {
        panic!("it was sent, or lost");
    };
    let Err(IntoFdError::HelloPending(channel)) = OwnedFd::try_from(channel) else { panic!("it was converted, or lost") };
    channel.send(1).unwrap();
    channel.wait_ready(Duration::from_secs(5)).unwrap();
    // Now it is a socket like any other.
    carriers.send(Carrier(channel)).unwrap();
    let channel = carried.recv().unwrap().0;
    let channel = Channel::<u32, String>::try_from(OwnedFd::try_from(channel).unwrap()).unwrap();
    assert_eq!(channel.recv().unwrap(), "hi");
    drop(channel);
    assert!(process.wait().unwrap().success());
}

fn waiting_for_a_hello_ends_in_time() {
    let _ledger = FdLedger::open().unwrap();
    let child = child(&[LISTEN, LISTEN, &digits(&hello::<u32, String>())], Hello::new());
    assert!(matches!(child.wait_ready(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout)));
    assert!(matches!(child.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout)), "no more than it was given");
    child.send(1).unwrap();
    child.wait_ready(Duration::from_secs(5)).unwrap();
    child.wait_ready(Duration::ZERO).unwrap();
    assert!(child.wait().unwrap().success());
    // Within one program nobody waits.
    let (ours, _theirs) = Channel::<u32>::pair().unwrap();
    ours.wait_ready(Duration::ZERO).unwrap();
}

fn after_the_hello_a_message_is_one_system_call() {
    use calls::{mark, record};
    let (ours, theirs) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    assert!(send(&ours, &hello::<u32, String>()));
    inherit(theirs);
    let channel = inherited::<u32, String>().unwrap();
    assert!(matches!(inherited::<u32, String>(), Err(InheritError::Taken { .. })));
    assert!(ours.receive_packet(4096).unwrap().is_some(), "its hello");
    let send_and_receive = || {
        for turn in 0..100 {
            assert!(send(&ours, &packet(b"\x02\0\0\0\0\0\0\0hi", &[], 0)));
            if turn == 1 {
                mark();
            }
            channel.send(1).unwrap();
            channel.recv().unwrap();
            if turn == 1 {
                mark();
            }
        }
    };
    let [calls] = record([&send_and_receive], |_, _| {});
    assert_eq!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), [libc::SYS_sendmsg, libc::SYS_recvmsg]);
}

/// Lets this much time pass.
fn pass(time: Duration) {
    let (_quiet, nothing) = channel::<()>().unwrap();
    assert!(nothing.recv_timeout(time).unwrap_err().is_timeout());
}

/// Sends until it fails.
fn send_on(child: &Child<u32, String>) -> SendFault {
    loop {
        match child.send(1) {
            Ok(()) => {}
            Err(SendError::Fault(1, fault)) => return fault,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn a_send_that_waits_for_room_ends_with_the_meeting() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(told(&send_on(&child(&[HOLD], soon()))), SILENT);
    let fault = send_on(&child(&[&digits(&other_hello()), HOLD], soon()));
    assert!(matches!(fault, SendFault::Hello(HelloError::Types(_))), "{fault:?}");
    let fault = send_on(&child(&[LISTEN, LISTEN, &digits(&packet(b"no hello", &[], 0)), HOLD], Hello::new()));
    assert!(matches!(fault, SendFault::Hello(HelloError::Malformed(_))), "{fault:?}");
}

/// The kinds of the packets that have come.
fn kinds(peer: &RawPeer) -> Vec<u8> {
    let mut kinds = Vec::new();
    while support::queued(peer.as_fd()) > 0 {
        kinds.push(peer.receive().unwrap().unwrap().bytes[1]);
    }
    kinds
}

/// What an end that means a `u8` each way says when it meets somebody who does not: its schemas.
fn schemas_of_bytes() -> Vec<u8> {
    let (peer, end) = RawPeer::of_program::<u8, u8>(Hello::new()).unwrap();
    peer.send(&other_hello(), &[]).unwrap();
    assert!(end.try_recv().unwrap_err().is_empty());
    peer.receive().unwrap();
    peer.receive().unwrap().unwrap().bytes
}

fn nothing_is_sent_to_a_program_of_other_types() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, end) = RawPeer::of_program::<u32, String>(Hello::new()).unwrap();
    end.send(1).unwrap();
    peer.send(&other_hello(), &[]).unwrap();
    assert!(end.try_send(2).unwrap_err().is_full(), "until it is known where they differ");
    assert!(end.send_timeout(3, Duration::from_millis(10)).unwrap_err().is_timeout());
    assert!(end.try_recv().unwrap_err().is_empty());
    assert_eq!(kinds(&peer), [HELLO, 1, SCHEMAS]);
    peer.send(&schemas_of_bytes(), &[]).unwrap();
    assert!(matches!(end.try_send(4), Err(error) if matches!(error.fault(), Some(SendFault::Hello(_)))));
    assert!(matches!(end.try_recv(), Err(TryRecvError::Fault(Fault::Hello(_)))));
    assert_eq!(kinds(&peer), []);
}

#[breezeway::protocol]
trait Store {
    #[oneway]
    fn note(line: String);
}

fn a_caller_sleeps_while_nothing_may_be_sent() {
    use breezeway::protocol::{CallError, Request, Response};
    use calls::{mark, record};
    for silent in [true, false] {
        // To a silent one it is over in that time; the other is waited for.
        let hello = if silent { soon() } else { Hello::new() };
        let (peer, end) = RawPeer::of_program::<Request<StoreRequest>, Response<StoreReply>>(hello).unwrap();
        peer.send(&other_hello(), &[]).unwrap();
        let schemas = schemas_of_bytes();
        let client = StoreClient::new(end);
        let call = || {
            mark();
            let error = client.note("a line".into()).unwrap_err();
            mark();
            let CallError::NotSent(cause) = &error else { panic!("{error:?}") };
            let expected = if silent { "whose schema did not come" } else { "not" };
            assert!(told(cause).contains(expected) && told(cause).contains("StoreRequest"), "{}", told(cause));
        };
        let answer = || {
            while peer.receive().unwrap().unwrap().bytes[1] != SCHEMAS {}
            if !silent {
                // It sleeps by now, and however long this takes.
                pass(Duration::from_millis(100));
                peer.send(&schemas, &[]).unwrap();
            }
        };
        let [calls, _] = record([&call, &answer], |_, _| {});
        assert!((3..=30).contains(&calls.len()), "{} calls while nothing may be sent", calls.len());
    }
}

fn looking_takes_a_few_packets_at_a_time() {
    use calls::{mark, record};
    let (peer, end) = RawPeer::of_program::<u32, String>(Hello::new()).unwrap();
    peer.send(&other_hello(), &[]).unwrap();
    (0..1000).for_each(|_| peer.send(&packet(b"junk", &[], 0), &[]).unwrap());
    let look = || {
        for looking in [|end: &Channel<u32, String>| end.try_recv().is_err(), |end: &Channel<u32, String>| end.try_send(1).is_err()] {
            mark();
            assert!(looking(&end));
            mark();
        }
    };
    let [calls] = record([&look], |_, _| {});
    let taken = calls.iter().filter(|call| call.number == libc::SYS_recvmsg).count();
    assert!((2..=40).contains(&taken), "{taken} packets by two calls that must not wait");
}

fn junk_ends_in_time() {
    let _ledger = FdLedger::open().unwrap();
    // It would go on for longer than the watchdog has patience.
    let junk = digits(&packet(b"junk", &[], 0));
    let fault = failed(&child(&[&digits(&other_hello()), TRICKLE, &junk], soon()));
    assert!(fault.contains("whose schema did not come"), "{fault}");
}

fn schemas_that_find_no_room_are_sent_later() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, end) = RawPeer::of_program::<u32, String>(Hello::new()).unwrap();
    let mut sent = 0;
    while end.try_send(sent).is_ok() {
        sent += 1;
    }
    peer.send(&other_hello(), &[]).unwrap();
    peer.send(&schemas_of_bytes(), &[]).unwrap();
    assert!(end.try_recv().unwrap_err().is_empty(), "the other side has not been told yet");
    let before = kinds(&peer);
    assert_eq!((before[0], before.len()), (HELLO, 1 + sent as usize));
    let Err(RecvError::Fault(Fault::Hello(HelloError::Types(mismatch)))) = end.recv() else { panic!("no mismatch") };
    assert_eq!(mismatch.difference.as_ref().unwrap().to_string(), "message: u32 here, u8 there");
    assert_eq!(kinds(&peer), [SCHEMAS]);
}

fn what_has_ended_stays_ended() {
    let _ledger = FdLedger::open().unwrap();
    // A grandchild holds the end, and says nothing.
    let start = || {
        std::process::Command::new("sh").args(["-c", "sleep 1000 & exit 0"]).with_channel::<u32, String>().hello(soon()).spawn().unwrap()
    };
    let child = start();
    assert!(child.recv().unwrap_err().is_closed());
    pass(Duration::from_millis(60));
    assert!(child.recv().unwrap_err().is_closed(), "and does not turn silent");
    assert!(child.send(1).unwrap_err().is_closed());
    assert!(matches!(child.wait_ready(Duration::ZERO), Err(RecvTimeoutError::Closed)));
    drop(child);
    // Nobody looks before the time is over.
    let (channel, mut process) = start().into_parts();
    assert!(process.wait().unwrap().success());
    pass(Duration::from_millis(60));
    assert!(channel.recv().unwrap_err().is_closed());
    assert!(channel.send(1).unwrap_err().is_closed());
}

/// M43
fn a_failed_meeting_is_the_end_for_both() {
    let _ledger = FdLedger::open().unwrap();
    for said in [packet(b"no hello", &[], 0), other_hello()] {
        let (peer, end) = RawPeer::of_program::<u32, String>(soon()).unwrap();
        peer.send(&said, &[]).unwrap();
        assert!(end.recv().is_err());
        assert!(peer.send(&said, &[]).is_err(), "nobody listens");
        while let Some(packet) = peer.receive().unwrap() {
            assert_ne!(packet.bytes[1], 1);
        }
    }
}

/// M41
fn own_limits_cannot_be_raised_later() {
    let _ledger = FdLedger::open().unwrap();
    let own = Hello::new().limits(Limits::new().max_message(100));
    let (peer, end) = RawPeer::of_program::<String, String>(own).unwrap();
    peer.send(&hello::<String, String>(), &[]).unwrap();
    let end = end.with_limits(Limits::new());
    assert!(end.try_recv().unwrap_err().is_empty());
    assert!(matches!(end.send("x".repeat(93)), Err(SendError::Fault(_, SendFault::TooLarge { size: 101, limit: 100 }))));
    peer.send(&packet(&[&93_u64.to_le_bytes()[..], &[b'x'; 93]].concat(), &[], 0), &[]).unwrap();
    assert!(matches!(end.recv(), Err(RecvError::Fault(Fault::TooLarge { limit: 100 }))));

    let (peer, end) = RawPeer::of_program::<OneFile, OneFile>(Hello::new()).unwrap();
    let peers = hello_of(("OneFile", OneFile::fingerprint()), ("OneFile", OneFile::fingerprint()), 4 << 20, 0);
    peer.send(&peers, &[]).unwrap();
    assert!(end.try_recv().is_err_and(|error| error.is_empty()));
    assert!(matches!(end.send(OneFile(some_file())), Err(SendError::Fault(_, SendFault::TooManyDescriptors { count: 1, limit: 0 }))));
    peer.send(&packet(&[0; 4], &[], 1), &[some_file().as_fd()]).unwrap();
    assert!(matches!(end.recv(), Err(RecvError::Fault(Fault::TooManyDescriptors { count: 1, limit: 0 }))));
}

fn who_does_not_listen_goes_on_sending() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, end) = RawPeer::of_program::<u32, String>(soon()).unwrap();
    let (sender, receiver) = end.split();
    drop(receiver);
    pass(Duration::from_millis(60));
    sender.send(1).unwrap();
    assert_eq!(kinds(&peer), [HELLO, 1]);
}

fn a_parent_that_only_waits_names_the_difference_too() {
    use std::io::Read;
    let _ledger = FdLedger::open().unwrap();
    let mut child = program("meet").arg("10000").stdout(Stdio::piped()).spawn_with_channel::<String, u64>().unwrap();
    let outcome = child.wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(outcome.is_some_and(|outcome| outcome.success()));
    let mut said = String::new();
    child.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "`u32` as it is sent here is not `u64` as it is received there: message: u32 here, u64 there\n");
}

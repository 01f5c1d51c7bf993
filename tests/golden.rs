//! The format on the wire is the one that is written down: every vector of `tests/golden/` is received as the value it stands for, and
//! that value is sent as the same bytes. What the vectors cannot cover, a reference implementation of the body format does.

#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::__private::bench;
use breezeway::socket::{Family, Protocol, SocketType, socketpair};
use breezeway::testing::RawPeer;
use breezeway::{Blob, Bytes, Channel, Fd, Message, Receiver, Sender, channel};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::num::{NonZeroI64, NonZeroU16};
use std::ops::{Range, RangeInclusive};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

struct Vector {
    descriptors: usize,
    bytes: Vec<u8>,
}

/// The vectors of the file that no check has used yet.
struct Vectors(BTreeMap<String, Vector>);

impl Vectors {
    fn read(text: &str) -> Vectors {
        let mut vectors = BTreeMap::new();
        let mut current: Option<&mut Vector> = None;
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if let Some(hex) = line.strip_prefix("  ") {
                let vector = current.as_deref_mut().expect("a name before bytes");
                hex.split(' ').for_each(|word| vector.bytes.extend(word_bytes(word)));
            } else {
                let (name, descriptors) = line.split_once(' ').expect("a name and a number");
                let vector = Vector { descriptors: descriptors.parse().unwrap(), bytes: Vec::new() };
                assert!(vectors.insert(name.to_owned(), vector).is_none(), "two vectors are called {name}");
                current = vectors.get_mut(name);
            }
        }
        Vectors(vectors)
    }

    fn take(&mut self, name: &str) -> Vector {
        self.0.remove(name).unwrap_or_else(|| panic!("no vector is called {name}, or it was used before"))
    }

    /// A value of a derived message.
    fn check<T: breezeway::__private::Field + PartialEq + Debug>(&mut self, name: &str, value: T) {
        self.check_plain(name, Of(value));
    }

    /// A value with serde's own traits.
    fn check_plain<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: T) {
        self.check_by(name, value, |sent, received| assert_eq!(sent, received, "{name}"));
    }

    /// One that can only be compared by other means. What is received is sent on.
    fn check_by<T: Serialize + DeserializeOwned>(&mut self, name: &str, value: T, compare: impl FnOnce(&T, &T)) {
        let vector = self.take(name);
        let (peer, receiver) = RawPeer::of_receiver::<T>().unwrap();
        // What travels must be of the right kinds, so it is the value's own.
        let (mut near, far) = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
        near.send(&value).unwrap();
        let own = far.receive_packet(4 << 20).unwrap().unwrap().descriptors;
        assert_eq!(own.len(), vector.descriptors, "{name}");
        peer.send(&vector.bytes, &own.iter().map(AsFd::as_fd).collect::<Vec<_>>()).unwrap();
        let received = receiver.recv().unwrap_or_else(|error| panic!("{name}: {error}"));
        compare(&value, &received);
        for value in [value, received] {
            let (peer, sender) = RawPeer::of_sender::<T>().unwrap();
            sender.send(value).unwrap();
            let packet = peer.receive().unwrap().unwrap();
            assert_eq!(packet.bytes, vector.bytes, "{name}");
            assert_eq!(packet.descriptors.len(), vector.descriptors, "{name}");
        }
    }

    /// A message in memory: all but the first 16 bytes. It is sent so where packets are small.
    fn check_memory<T: breezeway::__private::Field>(&mut self, name: &str, value: T, equal: impl FnOnce(&T, &T) -> bool) {
        let vector = self.take(name);
        let (header, payload) = vector.bytes.split_at(16);
        let (peer, receiver) = RawPeer::of_receiver::<Of<T>>().unwrap();
        let (file, memory) = (file(), raw::memfd(payload, raw::ALL_SEALS));
        let descriptors: Vec<_> = std::iter::repeat_n(file.as_fd(), vector.descriptors).chain([memory.as_fd()]).collect();
        peer.send(header, &descriptors).unwrap();
        let received = receiver.recv().unwrap();
        assert!(equal(&value, &received.0), "{name}");
        for value in [Of(value), received] {
            let (peer, sender) = RawPeer::of_sender().unwrap();
            support::set_send_buffer(sender.as_fd(), 2304);
            sender.send(value).unwrap();
            let packet = peer.receive().unwrap().unwrap();
            assert_eq!(packet.bytes, header, "{name}");
            assert_eq!(packet.descriptors.len(), vector.descriptors + 1, "{name}");
            let mut sent = Vec::new();
            let mut memory = File::from(packet.descriptors.into_iter().next_back().unwrap());
            memory.rewind().unwrap();
            memory.read_to_end(&mut sent).unwrap();
            assert!(sent == payload, "{name}");
        }
    }

    /// A message whose descriptors are in a socket, the files of which are put there 253 to a packet; of those that it is sent so, too.
    fn check_nested<T: breezeway::__private::Field>(&mut self, name: &str, is_sent: bool) {
        let vector = self.take(name);
        let (peer, receiver) = RawPeer::of_receiver::<Of<T>>().unwrap();
        let limits = breezeway::Limits::new().max_descriptors(1000);
        let receiver = receiver.with_limits(limits);
        let parts: Vec<(&[u8], usize)> =
            (0..vector.descriptors).step_by(253).map(|at| (&[0_u8][..], (vector.descriptors - at).min(253))).collect();
        let nested = raw::nested(&parts, file().as_fd()).0;
        peer.send(&vector.bytes, &[nested.as_fd()]).unwrap();
        let received = receiver.recv().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (peer, sender) = RawPeer::of_sender().unwrap();
        sender.with_limits(limits).send(received).unwrap();
        let packet = peer.receive().unwrap().unwrap();
        assert_eq!(packet.bytes == vector.bytes, is_sent, "{name}");
        assert_eq!(packet.descriptors.len(), if is_sent { 1 } else { vector.descriptors }, "{name}");
    }

    /// Messages that are sent at once, and received one by one.
    fn check_batch<T: breezeway::__private::Field + PartialEq + Debug + Clone>(&mut self, name: &str, values: &[T]) {
        let vector = self.take(name);
        let (peer, receiver) = RawPeer::of_receiver::<Of<T>>().unwrap();
        peer.send(&vector.bytes, &[]).unwrap();
        let received: Vec<_> = receiver.try_iter().map(|value| value.unwrap_or_else(|error| panic!("{name}: {error}")).0).collect();
        assert_eq!(received, values, "{name}");
        let (peer, sender) = RawPeer::of_sender().unwrap();
        assert_eq!(sender.send_all(values.iter().cloned().map(Of)).unwrap(), values.len());
        assert_eq!(peer.receive().unwrap().unwrap().bytes, vector.bytes, "{name}");
        assert_eq!(support::queued(peer.as_fd()), 0, "{name}: one packet");
    }

    /// Descriptors: all that can be said is that they arrive and are numbered so.
    fn check_descriptors<T: breezeway::__private::Field>(&mut self, name: &str, value: T) {
        self.check_by(name, Of(value), |_, _| ());
    }
}

/// The bytes of `0a1b` or of `0a*16`.
fn word_bytes(word: &str) -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{hex} is no byte"));
    match word.split_once('*') {
        Some((hex, count)) => vec![byte(hex); count.parse().unwrap()],
        None => (0..word.len()).step_by(2).map(|at| byte(&word[at..at + 2])).collect(),
    }
}

/// Any field as a whole message: its bytes are the field's.
#[derive(Message, PartialEq, Debug)]
struct Of<T>(T);

#[derive(Message, PartialEq, Debug)]
struct Struct {
    number: u8,
    text: String,
    #[serde(skip)]
    skipped: u32,
}

#[derive(Message, PartialEq, Debug)]
enum Enum {
    Unit,
    Newtype(u8),
    Tuple(u8, u16),
    Struct { yes: bool, text: String },
}

#[derive(Message, PartialEq, Debug)]
enum Discriminant {
    #[allow(dead_code, reason = "only the second is sent")]
    First = 5,
    Second = 77,
}

#[derive(Message)]
struct Everything {
    first: File,
    large: Bytes,
    number: u16,
    small: Bytes,
    larger: Bytes,
    last: File,
}

fn file() -> File {
    File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap()
}

#[test]
fn descriptors_in_a_socket_are_these_bytes() {
    let mut vectors = Vectors::read(include_str!("golden/nested.txt"));
    vectors.check_nested::<(File, File)>("two", false);
    vectors.check_nested::<Vec<File>>("many", true);
    assert!(vectors.0.is_empty(), "never checked: {:?}", vectors.0.keys());
}

#[test]
fn every_vector_of_memory_is_received_and_sent_as_it_is_written() {
    let mut vectors = Vectors::read(include_str!("golden/memory.txt"));
    vectors.check_memory("vec", vec![7_u8; 5000], PartialEq::eq);
    vectors.check_memory("blobs", (3_u16, Bytes::from(vec![7; 5000]), Bytes::from(vec![8; 4096])), PartialEq::eq);
    vectors.check_memory("file", (file(), Bytes::from(vec![9; 6000])), |sent, received| sent.1 == received.1);
    assert!(vectors.0.is_empty());
}

#[test]
fn every_batch_is_received_and_sent_as_it_is_written() {
    let mut vectors = Vectors::read(include_str!("golden/batches.txt"));
    vectors.check_batch("numbers", &[1_u16, 2, 3]);
    vectors.check_batch("units", &[(), ()]);
    vectors.check_batch("texts", &["a".to_owned(), String::new()]);
    vectors.check_batch("one", &[7_u16]);
    assert!(vectors.0.is_empty());
}

/// How they are sent is in `tests/parts.rs`: it takes a message larger than a file of vectors should be.
#[test]
fn parts_are_received_as_they_are_written() {
    let mut vectors = Vectors::read(include_str!("golden/parts.txt"));
    let (peer, receiver) = RawPeer::of_receiver::<Of<(File, String)>>().unwrap();
    for name in ["head", "first", "between", "last"] {
        let vector = vectors.take(name);
        peer.send(&vector.bytes, &vec![file().as_fd(); vector.descriptors]).unwrap();
    }
    assert_eq!([(); 2].map(|()| receiver.try_recv().unwrap().0.1), ["", "abc"]);
    assert!(receiver.try_recv().unwrap_err().is_empty());
    assert!(vectors.0.is_empty());
}

#[test]
fn every_vector_is_received_and_sent_as_it_is_written() {
    let mut vectors = Vectors::read(include_str!("golden/vectors.txt"));
    let v = &mut vectors;
    v.check("bool-false", false);
    v.check("bool-true", true);
    v.check("u8", 0x12_u8);
    v.check("u16", 0x1234_u16);
    v.check("u32", 0x1234_5678_u32);
    v.check("u64", 0x1234_5678_9abc_def0_u64);
    v.check("u128", 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128);
    v.check("i8", -2_i8);
    v.check("i16", -2_i16);
    v.check("i32", -2_i32);
    v.check("i64", -2_i64);
    v.check("i128", -2_i128);
    v.check("usize", 7_usize);
    v.check("isize", -7_isize);
    v.check("nonzero-u16", NonZeroU16::new(513).unwrap());
    v.check("nonzero-i64", NonZeroI64::new(-1).unwrap());
    v.check("f32", 1.5_f32);
    v.check("f64", -0.0_f64);
    v.check_by("f64-nan", f64::from_bits(0x7ff8_0000_0000_0007), |a, b| assert_eq!(a.to_bits(), b.to_bits()));

    v.check("char-1", 'a');
    v.check("char-2", 'é');
    v.check("char-3", '€');
    v.check("char-4", '😀');
    v.check("string", "né".to_owned());
    v.check("string-empty", String::new());
    v.check("box-str", Box::<str>::from("box"));
    v.check("os-string", OsString::from_vec(b"a\xffb".to_vec()));
    v.check("path", PathBuf::from(OsString::from_vec(b"/tmp/\xfe".to_vec())));
    v.check("c-string", CString::new("c").unwrap());

    v.check("unit", ());
    v.check("phantom", PhantomData::<String>);
    v.check("none", None::<u16>);
    v.check("some", Some(0x0102_u16));
    v.check("some-none", Some(None::<u16>));
    v.check("ok", Ok::<u8, String>(7));
    v.check("err", Err::<u8, String>("no".into()));
    v.check("struct", Struct { number: 1, text: "t".into(), skipped: 0 });
    v.check("tuple", (1_u8, 2_u32, true));
    v.check("box", Box::new(9_u32));
    v.check("enum-unit", Enum::Unit);
    v.check("enum-newtype", Enum::Newtype(5));
    v.check("enum-tuple", Enum::Tuple(1, 2));
    v.check("enum-struct", Enum::Struct { yes: false, text: "x".into() });
    v.check("enum-discriminant", Discriminant::Second);

    v.check("array", [1_u16, 2, 3]);
    v.check("byte-array", [1_u8, 2, 3]);
    v.check("vec", vec![1_u16, 2]);
    v.check("vec-empty", Vec::<u64>::new());
    v.check("vec-nested", vec![vec![1_u8], vec![]]);
    v.check("byte-vec", vec![1_u8, 2]);
    v.check("boxed-slice", Box::<[u32]>::from([7]));
    v.check("boxed-bytes", Box::<[u8]>::from([7]));
    v.check("vec-deque", VecDeque::from([1_u8, 2]));
    v.check("linked-list", LinkedList::from([1_u8, 2]));
    v.check_by("binary-heap", Of(BinaryHeap::from([9_u8])), |_, heap| assert_eq!(heap.0.peek(), Some(&9)));
    v.check("b-tree-set", BTreeSet::from([0x0100_u16, 1]));
    v.check("hash-set", HashSet::from(["x".to_owned()]));
    v.check("b-tree-map", BTreeMap::from([("b".to_owned(), 2_u8), ("a".to_owned(), 1)]));
    v.check("hash-map", HashMap::from([(5_u8, "five".to_owned())]));
    v.check("range", Range { start: 1_u8, end: 3 });
    v.check("range-inclusive", RangeInclusive::new(1_u8, 3));

    v.check("duration", Duration::new(2, 999_999_999));
    v.check("system-time", UNIX_EPOCH + Duration::new(1, 5));
    let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    v.check("ipv4", v4);
    v.check("ipv6", v6);
    v.check("ip-v4", IpAddr::from(v4));
    v.check("ip-v6", IpAddr::from(v6));
    v.check("socket-v4", SocketAddrV4::new(v4, 8080));
    v.check("socket-v6", SocketAddrV6::new(v6, 8080, 0, 0));
    v.check("socket-addr-v4", SocketAddr::from((v4, 8080)));
    v.check("socket-addr-v6", SocketAddr::from((v6, 8080)));

    let directory = tempfile::tempdir().unwrap();
    let listening = TcpListener::bind((v4, 0)).unwrap();
    v.check_descriptors("file", file());
    v.check_descriptors("owned-fd", OwnedFd::from(file()));
    v.check_descriptors("unix-stream", UnixStream::pair().unwrap().0);
    v.check_descriptors("unix-listener", UnixListener::bind(directory.path().join("socket")).unwrap());
    v.check_descriptors("unix-datagram", UnixDatagram::unbound().unwrap());
    v.check_descriptors("tcp-stream", TcpStream::connect(listening.local_addr().unwrap()).unwrap());
    v.check_descriptors("tcp-listener", TcpListener::bind((v4, 0)).unwrap());
    v.check_descriptors("udp-socket", UdpSocket::bind((v4, 0)).unwrap());
    v.check_descriptors::<Sender<u8>>("sender", channel().unwrap().0);
    v.check_descriptors::<Receiver<u8>>("receiver", channel().unwrap().1);
    v.check_descriptors::<Channel<u8, u16>>("channel", Channel::pair().unwrap().0);
    v.check_descriptors("two-files", (file(), 9_u8, file()));
    v.check_descriptors("optional-file", vec![Some(file()), None]);

    v.check("bytes-inline", Bytes::from_static(b"abc"));
    v.check("bytes-empty", Bytes::new());
    v.check("bytes-4095", Bytes::from(vec![0x11; 4095]));
    v.check("bytes-4096", Blob::from(vec![0x22; 4096]));
    let everything = Everything {
        first: file(),
        large: vec![0x33; 4096].into(),
        number: 7,
        small: Bytes::from_static(b"in"),
        larger: vec![0x44; 5000].into(),
        last: file(),
    };
    v.check_by("everything", everything, |sent, received| {
        assert_eq!((&sent.large, &sent.small, &sent.larger), (&received.large, &received.small, &received.larger));
        assert_eq!(sent.number, received.number);
    });

    v.check_plain("plain-byte-array", [1_u8, 2, 3]);
    v.check_plain("plain-bytes", Bytes::from_static(b"abc"));
    v.check_plain("plain-path", PathBuf::from("/tmp"));
    v.check_plain("plain-os-string", OsString::from_vec(b"a\xff".to_vec()));
    v.check_plain("plain-duration", Duration::new(2, 3));
    v.check_plain("plain-range", 1_u8..3);
    v.check_by("plain-fd", Fd(file()), |_, _| ());
    v.check_plain("plain-blob", Blob::from(vec![0x55; 4096]));
    v.check_by("plain-sender", channel::<u8>().unwrap().0, |_, _| ());
    v.check_plain("plain-result", Err::<u8, u8>(3));

    assert!(vectors.0.is_empty(), "never checked: {:?}", vectors.0.keys());
}

/// Where serde's own derives are more lenient than this library's, or less.
#[test]
fn plain_types_differ_as_the_specification_says() {
    let twice = [[2, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[5, 0, 5, 1]].concat();
    assert_eq!(bench::decode::<BTreeMap<u8, u8>>(&twice).unwrap(), BTreeMap::from([(5, 1)]));
    assert!(bench::decode::<Of<BTreeMap<u8, u8>>>(&twice).is_err());
    let carried = [1_u64.to_le_bytes().as_slice(), &1_500_000_000_u32.to_le_bytes()].concat();
    assert_eq!(bench::decode::<Duration>(&carried).unwrap(), Duration::from_millis(2500));
    assert!(bench::decode::<Of<Duration>>(&carried).is_err());
    let path = PathBuf::from(OsString::from_vec(b"\xfe".to_vec()));
    assert!(bench::encode(&path).is_err());
    assert!(bench::encode(&Of(path)).is_ok());
    assert!(bench::encode(&Of(UNIX_EPOCH - Duration::new(0, 1))).is_err(), "a time before 1970");
    let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 2, 3);
    assert_eq!(bench::decode::<Of<SocketAddrV6>>(&bench::encode(&Of(scoped)).unwrap()).unwrap().0.scope_id(), 0);
}

/// A changed vector is noticed, in the value and in the bytes.
#[test]
fn the_check_notices_a_changed_byte() {
    let text = "u16 0\n  0101000000000000 0200000000000000\n  3412\n";
    Vectors::read(text).check("u16", 0x1234_u16);
    for wrong in [text.replace("3412", "3413"), text.replace("  3412", "  341200"), text.replace("0101", "0102")] {
        let outcome = std::panic::catch_unwind(|| Vectors::read(&wrong).check("u16", 0x1234_u16));
        assert!(outcome.is_err(), "{wrong}");
    }
}

/// Each numbered rule of the specification is named by a test: in `tests/violations.rs`, and M37 in `tests/bounds.rs`.
#[test]
fn every_rule_of_the_specification_has_a_test() {
    let specification = include_str!("../docs/wire-format.md");
    let rules: BTreeSet<&str> = specification.split("**").filter(|word| is_rule(word)).collect();
    assert!(rules.len() > 30, "{rules:?}");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            named.extend(text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| is_rule(word)).map(str::to_owned));
        }
    }
    let missing: Vec<_> = rules.iter().filter(|rule| !named.contains(**rule)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
    let unknown: Vec<_> = named.iter().filter(|rule| !rules.contains(rule.as_str())).collect();
    assert!(unknown.is_empty(), "the specification has no {unknown:?}");
}

/// `M` and a number.
fn is_rule(word: &str) -> bool {
    word.strip_prefix('M').is_some_and(|number| number.parse::<u8>().is_ok())
}

/// What serde can express, in one type.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Wide {
    Unit,
    Numbers(u8, i16, u32, i64, u128, i128, usize),
    Floats { small: u32, large: u64, flag: bool },
    Text(String, char, Box<str>),
    Option(Option<Box<Wide>>),
    List(Vec<Wide>),
    Map(BTreeMap<String, Wide>),
    Set(BTreeSet<(u16, Option<i8>)>),
    Array([u16; 4], [u8; 3], ()),
    Address(IpAddr, Duration),
    Result(Result<Box<Wide>, String>),
    Bytes(Bytes),
}

fn wide() -> impl Strategy<Value = Wide> {
    let leaf = prop_oneof![
        Just(Wide::Unit),
        any::<(u8, i16, u32, i64, u128, i128, usize)>().prop_map(|(a, b, c, d, e, f, g)| Wide::Numbers(a, b, c, d, e, f, g)),
        any::<(u32, u64, bool)>().prop_map(|(small, large, flag)| Wide::Floats { small, large, flag }),
        any::<(String, char, String)>().prop_map(|(text, letter, boxed)| Wide::Text(text, letter, boxed.into())),
        any::<BTreeSet<(u16, Option<i8>)>>().prop_map(Wide::Set),
        any::<([u16; 4], [u8; 3])>().prop_map(|(numbers, bytes)| Wide::Array(numbers, bytes, ())),
        any::<(IpAddr, Duration)>().prop_map(|(address, duration)| Wide::Address(address, duration)),
        any::<Vec<u8>>().prop_map(|bytes| Wide::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            proptest::option::of(inner.clone()).prop_map(|inner| Wide::Option(inner.map(Box::new))),
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Wide::List),
            proptest::collection::btree_map(any::<String>(), inner.clone(), 0..4).prop_map(Wide::Map),
            proptest::result::maybe_ok(inner, any::<String>()).prop_map(|result| Wide::Result(result.map(Box::new))),
        ]
    })
}

const REFERENCE: bincode::config::Configuration<bincode::config::LittleEndian, bincode::config::Fixint> = bincode::config::legacy();

proptest! {
    #[test]
    fn a_body_is_what_the_reference_makes_of_it(value in wide()) {
        let body = bench::encode(&value).unwrap();
        prop_assert_eq!(&body, &bincode::serde::encode_to_vec(&value, REFERENCE).unwrap());
        prop_assert_eq!(bench::decode::<Wide>(&body).unwrap(), value);
    }

    /// Where a byte is changed, both read the same value, or both refuse; a body with bytes left over is refused by ours alone.
    #[test]
    fn a_changed_body_is_read_as_the_reference_reads_it(value in wide(), at: proptest::sample::Index, byte: u8) {
        let mut body = bench::encode(&value).unwrap();
        let at = at.index(body.len());
        body[at] = byte;
        // Given a length that it cannot trust, the reference allocates it.
        if let Ok(ours) = bench::decode::<Wide>(&body) {
            let (theirs, read) = bincode::serde::decode_from_slice::<Wide, _>(&body, REFERENCE).unwrap();
            prop_assert_eq!(ours, theirs);
            prop_assert_eq!(read, body.len());
        }
    }
}

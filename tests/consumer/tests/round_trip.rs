//! Every message of this crate makes its way through a channel.
#![deny(warnings, missing_docs, clippy::pedantic)]

use bz::{Blob, Bytes, Channel, Field, Message, channel};
use consumer::attributes::{Job, Opaque, Percent, RenamedFields, RenamedVariants, Skipping, SkippingVariant, Transparent, With};
use consumer::descriptors::{AllBytes, Descriptor, Ends, Everywhere};
use consumer::generics::{Bounded, Call, Choice, Conversation, Defaults, Exchange, Expression, Hashed, Id, Tree};
use consumer::names::{r#enum, seen, r#struct, visible};
use consumer::shapes::{Every, Named, Newtype, NothingNamed, NothingUnnamed, Nowhere, Numbered, Tuple, Unit};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::fs::File;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// What arrives at the other end.
fn there<T: Message>(message: T) -> T {
    let (near, far) = Channel::<T>::pair().unwrap();
    near.send(message).unwrap();
    far.recv().unwrap()
}

#[track_caller]
fn arrives<T: Message + PartialEq + Debug + Clone>(message: &T) {
    assert_eq!(there(message.clone()), *message);
}

fn named(text: &str) -> Named {
    Named { number: u64::MAX, text: text.into(), nested: Some(vec![(1, 'x'), (2, 'ß')]) }
}

#[test]
fn every_shape_arrives() {
    arrives(&named("text"));
    arrives(&Newtype("new".into()));
    arrives(&Tuple(1, -2, [3, 4, 5]));
    arrives(&Unit);
    arrives(&NothingNamed {});
    arrives(&NothingUnnamed());
    arrives(&Every::Unit);
    arrives(&Every::NothingUnnamed());
    arrives(&Every::NothingNamed {});
    arrives(&Every::Newtype(named("")));
    arrives(&Every::Tuple(9, Box::new(Every::Tuple(8, Box::new(Every::Unit)))));
    arrives(&Every::Named { result: Ok(1), newtype: Newtype("b".into()) });
    arrives(&Every::Named { result: Err("no".into()), newtype: Newtype(String::new()) });
    arrives(&Numbered::Seven);
    arrives(&Numbered::Three);
    arrives(&Nowhere { never: None });
}

struct Ping;

impl Conversation for Ping {
    type Request = u8;
    type Reply = String;
}

/// No message, and no field.
#[derive(Clone, Debug, PartialEq)]
struct Nothing;

#[test]
fn parameters_are_kept() {
    arrives(&Defaults([1_u8, 2]));
    arrives(&Defaults::<String, 0>([]));
    arrives(&Bounded { map: HashMap::from([("a".to_owned(), 1_u8)]) });
    let map: HashMap<_, _, BuildHasherDefault<DefaultHasher>> = [("a".to_owned(), 1_u8)].into_iter().collect();
    assert_eq!(there(Hashed { map: map.clone() }).map, map);
    arrives(&Choice::<u8, String>::Left(1));
    arrives(&Choice::<u8, String>::Right { value: "r".into() });
    arrives(&Choice::Both(1_u8, "b".to_owned()));
    arrives(&Choice::<u8, String>::Neither);
    arrives(&Id { number: 3, of: PhantomData::<Nothing> });
    let exchange = there(Exchange::<Ping> { request: 1, replies: vec!["pong".into()] });
    assert_eq!((exchange.request, exchange.replies), (1, vec!["pong".to_owned()]));
}

#[test]
fn recursion_has_an_end() {
    arrives(&Tree { leaf: 1_u8, children: vec![Tree { leaf: 2, children: vec![] }, Tree { leaf: 3, children: vec![] }] });
    let arguments = BTreeMap::from([("x".to_owned(), Expression::Sum(vec![]))]);
    arrives(&Expression::Sum(vec![Expression::Value(1_u8), Expression::Call(Box::new(Call { name: "f".into(), arguments }))]));
}

#[test]
fn names_are_not_in_the_way() {
    arrives(&r#struct { r#type: 1, r#fn: "f".into() });
    arrives(&r#enum::r#match { r#loop: 2 });
    arrives(&r#enum::r#move(r#struct { r#type: 3, r#fn: String::new() }));
    let parts = there(visible::all(5));
    assert_eq!((parts.private(), seen(&parts)), (5, 20));
}

#[test]
fn attributes_do_what_they_say() {
    assert_eq!(RenamedFields::NAME, "renamed");
    arrives(&RenamedFields { first_field: 1, second_field: 2 });
    arrives(&RenamedVariants::FirstOne);
    arrives(&RenamedVariants::SecondThing { some_field: 1 });
    arrives(&RenamedVariants::Third(1));
    let skipping = there(Skipping { by_default: 1_u64, sent: 2, by_function: 3 });
    assert_eq!(skipping, Skipping { by_default: 0, sent: 2, by_function: 11 });
    assert_eq!(there(SkippingVariant::Two(1, 2)), SkippingVariant::Two(1, 0));
    arrives(&With { both: vec![1, 2], sent: "s".into(), received: 3 });
    arrives(&Opaque { fixed: 1..2, generic: vec![3_u8..4, 5..6] });
    arrives(&Transparent { list: vec![1_u8, 2], of: PhantomData });
    arrives(&Percent::MOST);
    let (near, far) = Channel::<Percent>::pair().unwrap();
    near.send(Percent::TOO_MANY).unwrap();
    assert!(far.recv().is_err(), "the other end checks it");
    arrives(&Job::from("text".to_owned()));
    arrives(&Job::Stop);
}

/// A file without a name that holds this.
fn file(text: &str) -> File {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("breezeway-consumer-{}-{number}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn text(file: &File) -> String {
    let mut text = [0; 16];
    let length = file.read_at(&mut text, 0).unwrap();
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// Sends a descriptor in every container; `works` is asked of each that arrives.
fn everywhere<D: Field + Debug>(mut make: impl FnMut(&str) -> D, mut works: impl FnMut(&str, D)) {
    let sent = Everywhere {
        plain: make("plain"),
        option: Some(make("option")),
        list: vec![None, Some(make("list"))],
        queue: VecDeque::from([make("queue")]),
        hashed: HashMap::from([("key".to_owned(), make("hashed"))]),
        ordered: BTreeMap::from([(1, make("ordered"))]),
        pair: (7, make("pair")),
        array: [make("first"), make("second")],
        boxed: Box::new(make("boxed")),
        result: Ok(make("result")),
    };
    let mut arrived = there(sent);
    works("plain", arrived.plain);
    works("option", arrived.option.unwrap());
    works("list", arrived.list.pop().unwrap().unwrap());
    assert!(matches!(arrived.list[..], [None]));
    works("queue", arrived.queue.pop_front().unwrap());
    works("hashed", arrived.hashed.remove("key").unwrap());
    works("ordered", arrived.ordered.remove(&1).unwrap());
    assert_eq!(arrived.pair.0, 7);
    works("pair", arrived.pair.1);
    let [first, second] = arrived.array;
    works("first", first);
    works("second", second);
    works("boxed", *arrived.boxed);
    works("result", arrived.result.unwrap());
}

#[test]
fn a_descriptor_arrives_in_every_container() {
    everywhere(file, |name, arrived: File| assert_eq!(text(&arrived), name));
    everywhere(|name| OwnedFd::from(file(name)), |name, arrived| assert_eq!(text(&arrived.into()), name));
    let peers = RefCell::new(HashMap::new());
    let make = |name: &str| {
        let (near, far) = UnixStream::pair().unwrap();
        peers.borrow_mut().insert(name.to_owned(), far);
        near
    };
    everywhere(make, |name, mut arrived: UnixStream| {
        arrived.write_all(name.as_bytes()).unwrap();
        drop(arrived);
        let mut heard = String::new();
        peers.borrow_mut().remove(name).unwrap().read_to_string(&mut heard).unwrap();
        assert_eq!(heard, name);
    });
    let addresses = RefCell::new(HashMap::new());
    let make = |name: &str| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        addresses.borrow_mut().insert(name.to_owned(), listener.local_addr().unwrap());
        listener
    };
    everywhere(make, |name, arrived: TcpListener| {
        let stream = TcpStream::connect(addresses.borrow()[name]).unwrap();
        assert_eq!(arrived.accept().unwrap().1, stream.local_addr().unwrap());
    });
    let tree = there(Tree { leaf: file("root"), children: vec![Tree { leaf: file("leaf"), children: vec![] }] });
    assert_eq!([text(&tree.leaf), text(&tree.children[0].leaf)], ["root", "leaf"]);
}

#[test]
fn every_descriptor_arrives_and_works() {
    let heard = |mut stream: Box<dyn Read>| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    };
    let Descriptor::Any(any) = there(Descriptor::Any(OwnedFd::from(file("any")))) else { panic!("another variant") };
    assert_eq!(text(&File::from(any)), "any");
    let Descriptor::File(arrived) = there(Descriptor::File(file("file"))) else { panic!("another variant") };
    assert_eq!(text(&arrived), "file");

    let (near, far) = UnixStream::pair().unwrap();
    let Descriptor::UnixStream(mut near) = there(Descriptor::UnixStream(near)) else { panic!("another variant") };
    near.write_all(&[1]).unwrap();
    assert_eq!(heard(Box::new(far)), 1);

    let address = SocketAddr::from_abstract_name(format!("breezeway-consumer-{}", std::process::id())).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let Descriptor::UnixListener(listener) = there(Descriptor::UnixListener(listener)) else { panic!("another variant") };
    UnixStream::connect_addr(&address).unwrap().write_all(&[2]).unwrap();
    assert_eq!(heard(Box::new(listener.accept().unwrap().0)), 2);

    let (near, far) = UnixDatagram::pair().unwrap();
    let Descriptor::UnixDatagram(near) = there(Descriptor::UnixDatagram(near)) else { panic!("another variant") };
    near.send(&[3, 3]).unwrap();
    assert_eq!(far.recv(&mut [0; 9]).unwrap(), 2);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let Descriptor::TcpListener(listener) = there(Descriptor::TcpListener(listener)) else { panic!("another variant") };
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let Descriptor::TcpStream(mut stream) = there(Descriptor::TcpStream(stream)) else { panic!("another variant") };
    stream.write_all(&[4]).unwrap();
    assert_eq!(heard(Box::new(listener.accept().unwrap().0)), 4);

    let receiving = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = receiving.local_addr().unwrap();
    let Descriptor::UdpSocket(receiving) = there(Descriptor::UdpSocket(receiving)) else { panic!("another variant") };
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(&[5; 5], address).unwrap();
    assert_eq!(receiving.recv(&mut [0; 9]).unwrap(), 5);
}

#[test]
fn ends_arrive_and_work() {
    let (sender, heard) = channel::<Named>().unwrap();
    let (told, receiver) = channel::<Newtype>().unwrap();
    let (ours, theirs) = Channel::<Tuple, Unit>::pair().unwrap();
    let (one, more) = channel::<u32>().unwrap();
    let ends = there(Ends { sender, receiver, channel: theirs, more: vec![None, Some(one)] });
    ends.sender.send(named("heard")).unwrap();
    assert_eq!(heard.recv().unwrap(), named("heard"));
    told.send(Newtype("told".into())).unwrap();
    assert_eq!(ends.receiver.recv().unwrap(), Newtype("told".into()));
    ours.send(Tuple(1, 2, [3; 3])).unwrap();
    assert_eq!(ends.channel.recv().unwrap(), Tuple(1, 2, [3; 3]));
    ends.channel.send(Unit).unwrap();
    assert_eq!(ours.recv().unwrap(), Unit);
    assert!(ends.more[0].is_none());
    ends.more[1].as_ref().unwrap().send(7).unwrap();
    assert_eq!(more.recv().unwrap(), 7);
    drop(ends);
    assert!(heard.recv().unwrap_err().is_closed() && more.recv().unwrap_err().is_closed());
}

#[test]
fn bytes_arrive() {
    for length in [0, 10, 100_000] {
        let bytes = Bytes::from(vec![7; length]);
        arrives(&AllBytes { copied: bytes.to_vec(), shared: bytes.clone(), blob: Blob(bytes) });
    }
}

//! Schemas: what changes a message's fingerprint and what does not, how two types differ in words, and the JSON for other languages.
//!
//! `BLESS=1 cargo test --test schema` writes `tests/golden/fingerprints.txt` anew: what moves there is a break between programs.
#![allow(missing_docs, dead_code)]

use breezeway::schema::{Tree, first_difference};
use breezeway::{Blob, Bytes, Channel, Fd, Message, Receiver, Sender};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::{Range, RangeInclusive};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Makes a message of any field.
#[derive(Message)]
struct Holds<T> {
    field: T,
}

/// The tree of a message that holds this field.
fn field<T>() -> Tree
where
    Holds<T>: Message,
{
    Holds::<T>::schema().tree()
}

fn message<T: Message>() -> Tree {
    assert_eq!(T::fingerprint(), T::schema().fingerprint());
    T::schema().tree()
}

/// Messages, each in as many versions as it takes.
mod v {
    use super::*;

    macro_rules! versions {
        ($($version:ident { $($item:item)* })+) => {$(
            pub(crate) mod $version {
                use super::*;
                $(#[derive(Message)] $item)*
            }
        )+};
    }

    versions! {
        base {
            pub(crate) struct Point { x: u32, y: u32 }
            pub(crate) struct Pair(u8, u16);
            pub(crate) struct Meters(u32);
            pub(crate) struct Unit;
            pub(crate) struct Empty {}
            pub(crate) struct Line { from: Point, to: Point }
            pub(crate) enum Job { Scan { name: String, size: u64 }, Wait(u32), Stop }
            pub(crate) enum Size { Small, Large }
            pub(crate) struct List { value: u32, next: Option<Box<List>> }
            pub(crate) struct A { b: Option<Box<B>>, x: u8 }
            pub(crate) struct B { a: Vec<A> }
            pub(crate) struct Tree<T> { leaf: T, children: Vec<Tree<T>> }
            pub(crate) struct Reply { to: Sender<Report> }
            pub(crate) struct Report { text: String }
            pub(crate) struct Ask { again: Option<Sender<Ask>> }
        }
        other_names {
            pub(crate) struct Place { x: u32, y: u32 }
            pub(crate) struct Way { from: Place, to: Place }
            pub(crate) enum Work { Scan { name: String, size: u64 }, Wait(u32), Stop }
            pub(crate) struct Chain { value: u32, next: Option<Box<Chain>> }
            /// The same list, in two types that take turns.
            pub(crate) struct Odd { value: u32, next: Option<Box<Even>> }
            pub(crate) struct Even { value: u32, next: Option<Box<Odd>> }
            /// Documented, and with attributes that are not sent.
            #[serde(deny_unknown_fields)]
            pub(crate) struct Documented {
                /// The first.
                #[serde(alias = "left")]
                x: u32,
                /// The second.
                y: u32,
            }
            pub(crate) struct Skips { x: u32, #[serde(skip)] cache: Vec<u8>, y: u32 }
            pub(crate) struct Raw { r#x: u32, r#y: u32 }
            #[serde(rename_all = "lowercase")]
            pub(crate) struct Shouting { #[serde(rename = "x")] left: u32, y: u32 }
            #[serde(rename = "Point")]
            pub(crate) struct RenamedType { x: u32, y: u32 }
            pub(crate) struct Mixed { from: Place, to: super::base::Point }
        }
        fields {
            pub(crate) struct Renamed { x: u32, z: u32 }
            #[serde(rename_all = "UPPERCASE")]
            pub(crate) struct RenamedAll { x: u32, y: u32 }
            pub(crate) struct Reordered { y: u32, x: u32 }
            pub(crate) struct Added { x: u32, y: u32, z: u32 }
            pub(crate) struct Inserted { x: u32, between: u32, y: u32 }
            pub(crate) struct Removed { x: u32 }
            pub(crate) struct Retyped { x: u32, y: i32 }
            pub(crate) struct Hidden { x: u32, #[serde(skip)] y: u32 }
        }
        enums {
            pub(crate) enum Job { Scan { name: String, size: u64 }, Wait(u32), Stop, Pause }
            pub(crate) enum Reordered { Wait(u32), Scan { name: String, size: u64 }, Stop }
            pub(crate) enum Renamed { Scan { name: String, size: u64 }, Sleep(u32), Stop }
            pub(crate) enum Payload { Scan { name: String, size: u64 }, Wait(u64), Stop }
            pub(crate) enum More { Scan { name: String, size: u64 }, Wait(u32, u32), Stop }
            pub(crate) enum Field { Scan { name: String, size: u64, depth: u8 }, Wait(u32), Stop }
            pub(crate) enum Retyped { Scan { name: Vec<u8>, size: u64 }, Wait(u32), Stop }
            pub(crate) enum Style { Scan(String, u64), Wait(u32), Stop }
            pub(crate) enum Fewer { Scan { name: String, size: u64 }, Wait(u32) }
            pub(crate) enum NoWait { Scan { name: String, size: u64 }, Stop }
            pub(crate) enum Numbered { Small = 7, Large = 3 }
            pub(crate) enum Braces { Small(), Large() }
            #[serde(rename_all = "kebab-case")]
            pub(crate) enum Kebab { Small, Large }
            pub(crate) enum Aliased { #[serde(alias = "tiny")] Small, Large }
        }
        recursive {
            pub(crate) struct List { value: u32, next: Option<Box<Other>> }
            pub(crate) struct Other { value: u64, next: Option<Box<List>> }
            pub(crate) struct A { b: Option<Box<B>>, x: u8 }
            pub(crate) struct B { a: Vec<A>, more: u8 }
            pub(crate) struct Ask { again: Option<Receiver<Ask>> }
            pub(crate) struct Reply { to: Sender<Report> }
            pub(crate) struct Report { text: String, code: u8 }
        }
        opaque {
            pub(crate) struct One { #[message(opaque = "v1")] point: Foreign }
            pub(crate) struct Two { #[message(opaque = "v2")] point: Foreign }
            pub(crate) struct OtherType { #[message(opaque = "v1")] point: u8 }
            pub(crate) struct With { #[serde(with = "super::seconds")] point: u8 }
            pub(crate) struct WithVersion { #[serde(with = "super::seconds")] #[message(opaque = "v1")] point: u8 }
            pub(crate) struct HalfWith { #[serde(serialize_with = "super::seconds::serialize")] point: u8 }
            pub(crate) struct Plain { point: u8 }
            pub(crate) enum Variant { #[serde(with = "super::seconds")] Point(u8) }
        }
    }

    #[derive(serde::Serialize, serde::Deserialize, Clone)]
    pub(crate) struct Foreign(u8);

    pub(crate) mod seconds {
        use serde::{Deserialize as _, Deserializer, Serializer};

        pub(crate) fn serialize<S: Serializer>(value: &u8, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u8(*value)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
            u8::deserialize(deserializer)
        }
    }

    #[derive(Message)]
    #[serde(transparent)]
    pub(crate) struct Transparent<T> {
        value: u32,
        of: PhantomData<T>,
    }

    #[derive(Message, Clone)]
    #[serde(into = "u32", from = "u32")]
    pub(crate) struct Proxied(u64);

    impl From<Proxied> for u32 {
        fn from(proxied: Proxied) -> u32 {
            u32::try_from(proxied.0).unwrap_or(u32::MAX)
        }
    }

    impl From<u32> for Proxied {
        fn from(number: u32) -> Proxied {
            Proxied(number.into())
        }
    }
}

use v::{base, enums, fields, opaque, other_names, recursive};

type Alias = Vec<Option<u32>>;

/// Whether two types are the same on the wire, both ways: by their fingerprints and by walking them together.
#[track_caller]
fn compare(rows: &[(&str, Tree, Tree)], same: bool) {
    for (what, left, right) in rows {
        let texts = format!("{what}:\n{}\n{}", left.canonical_text(), right.canonical_text());
        assert_eq!(left.fingerprint() == right.fingerprint(), same, "{texts}");
        let (there, back) = (first_difference(left, right), first_difference(right, left));
        assert_eq!((there.is_none(), back.is_none()), (same, same), "{texts}\n{there:?}");
    }
}

#[test]
fn what_is_the_same_on_the_wire_has_one_fingerprint() {
    let point = message::<base::Point>;
    compare(
        &[
            ("a type's name", point(), message::<other_names::Place>()),
            ("the names of nested types", message::<base::Line>(), message::<other_names::Way>()),
            ("one type twice, and two that are alike", message::<base::Line>(), message::<other_names::Mixed>()),
            ("an enum's name", message::<base::Job>(), message::<other_names::Work>()),
            ("a recursive type's name", message::<base::List>(), message::<other_names::Chain>()),
            ("recursion through two types or one", message::<base::List>(), message::<other_names::Odd>()),
            ("the other of the two", message::<other_names::Even>(), message::<other_names::Odd>()),
            ("doc comments, aliases, unknown fields", point(), message::<other_names::Documented>()),
            ("a skipped field", point(), message::<other_names::Skips>()),
            ("raw identifiers", point(), message::<other_names::Raw>()),
            ("a rename back to the name", point(), message::<other_names::Shouting>()),
            ("a renamed type", point(), message::<other_names::RenamedType>()),
            ("a hidden field and one that is not there", message::<fields::Removed>(), message::<fields::Hidden>()),
            ("discriminants", message::<base::Size>(), message::<enums::Numbered>()),
            ("a unit variant and one without fields", message::<base::Size>(), message::<enums::Braces>()),
            ("an alias of a variant", message::<base::Size>(), message::<enums::Aliased>()),
            ("Box<T> and T", field::<Box<u32>>(), field::<u32>()),
            ("Box<Box<T>> and T", field::<Box<Box<String>>>(), field::<Box<str>>()),
            ("a type's alias", field::<Alias>(), field::<Vec<Option<u32>>>()),
            ("Vec<T> and Box<[T]>", field::<Vec<u32>>(), field::<Box<[u32]>>()),
            ("Vec<T> and VecDeque<T>", field::<Vec<u32>>(), field::<VecDeque<u32>>()),
            ("Vec<T> and LinkedList<T>", field::<Vec<u32>>(), field::<LinkedList<u32>>()),
            ("Vec<T> and BinaryHeap<T>", field::<Vec<u32>>(), field::<BinaryHeap<u32>>()),
            ("Vec<u8> and Box<[u8]>", field::<Vec<u8>>(), field::<Box<[u8]>>()),
            ("Vec<u8> and PathBuf", field::<Vec<u8>>(), field::<PathBuf>()),
            ("PathBuf and OsString", field::<PathBuf>(), field::<OsString>()),
            ("Bytes and Blob", field::<Bytes>(), field::<Blob>()),
            ("usize and u64", field::<usize>(), field::<u64>()),
            ("isize and i64", field::<isize>(), field::<i64>()),
            ("NonZeroUsize and NonZeroU64", field::<NonZeroUsize>(), field::<NonZeroU64>()),
            ("File and Fd<File>", field::<File>(), field::<Fd<File>>()),
            ("OwnedFd and Fd<OwnedFd>", field::<OwnedFd>(), field::<Fd<OwnedFd>>()),
            ("a newtype and what it holds", field::<base::Meters>(), field::<u32>()),
            ("a transparent struct and what it holds", field::<v::Transparent<String>>(), field::<u32>()),
            ("a type that travels as another", field::<v::Proxied>(), field::<u32>()),
            ("a tuple struct and a tuple", field::<base::Pair>(), field::<(u8, u16)>()),
            ("a unit struct and ()", field::<base::Unit>(), field::<()>()),
            ("PhantomData and ()", field::<PhantomData<Vec<File>>>(), field::<()>()),
            ("a generic type and one written out", field::<base::Tree<base::Meters>>(), field::<base::Tree<u32>>()),
            ("hashers", field::<HashSet<u8>>(), field::<HashSet<u8, std::hash::BuildHasherDefault<std::hash::DefaultHasher>>>()),
            ("ends of messages that are alike", field::<Sender<base::Point>>(), field::<Sender<other_names::Place>>()),
            ("opaque types of one version", message::<opaque::One>(), message::<opaque::OtherType>()),
            ("functions with a version, and an opaque type of it", message::<opaque::One>(), message::<opaque::WithVersion>()),
            ("one half by a function", message::<opaque::Plain>(), message::<opaque::HalfWith>()),
        ],
        true,
    );
}

#[test]
fn what_differs_on_the_wire_has_another_fingerprint() {
    let (point, job) = (message::<base::Point>, message::<base::Job>);
    compare(
        &[
            ("a renamed field", point(), message::<fields::Renamed>()),
            ("fields that are all renamed", point(), message::<fields::RenamedAll>()),
            ("fields in another order", point(), message::<fields::Reordered>()),
            ("a field more at the end", point(), message::<fields::Added>()),
            ("a field more in between", point(), message::<fields::Inserted>()),
            ("a field less", point(), message::<fields::Removed>()),
            ("a field that is skipped", point(), message::<fields::Hidden>()),
            ("a field of another type", point(), message::<fields::Retyped>()),
            ("a variant more at the end", job(), message::<enums::Job>()),
            ("variants in another order", job(), message::<enums::Reordered>()),
            ("a renamed variant", job(), message::<enums::Renamed>()),
            ("variants that are all renamed", message::<base::Size>(), message::<enums::Kebab>()),
            ("another payload", job(), message::<enums::Payload>()),
            ("more payload", job(), message::<enums::More>()),
            ("another field of a variant", job(), message::<enums::Field>()),
            ("a variant of another style", job(), message::<enums::Style>()),
            ("a variant less", job(), message::<enums::Fewer>()),
            ("a struct and an enum", point(), job()),
            ("a recursion that is not one", message::<base::List>(), message::<recursive::List>()),
            ("a mutual recursion", message::<base::A>(), message::<recursive::A>()),
            ("where a recursion starts", message::<base::A>(), message::<base::B>()),
            ("an argument of a generic type", field::<base::Tree<u32>>(), field::<base::Tree<String>>()),
            ("a recursive argument", field::<base::Tree<base::Tree<u8>>>(), field::<base::Tree<u8>>()),
            ("numbers of two sizes", field::<u32>(), field::<u64>()),
            ("signed and unsigned", field::<u32>(), field::<i32>()),
            ("char and u32", field::<char>(), field::<u32>()),
            ("bool and u8", field::<bool>(), field::<u8>()),
            ("NonZeroU32 and u32", field::<NonZeroU32>(), field::<u32>()),
            ("String and Vec<u8>", field::<String>(), field::<Vec<u8>>()),
            ("String and PathBuf", field::<String>(), field::<PathBuf>()),
            ("CString and Vec<u8>", field::<CString>(), field::<Vec<u8>>()),
            ("Vec<u8> and Bytes", field::<Vec<u8>>(), field::<Bytes>()),
            ("Vec<u8> and [u8; 4]", field::<Vec<u8>>(), field::<[u8; 4]>()),
            ("Vec<u8> and VecDeque<u8>", field::<Vec<u8>>(), field::<VecDeque<u8>>()),
            ("[u8; 4] and [u8; 5]", field::<[u8; 4]>(), field::<[u8; 5]>()),
            ("[u16; 4] and [u16; 5]", field::<[u16; 4]>(), field::<[u16; 5]>()),
            ("Vec<T> and [T; 4]", field::<Vec<u16>>(), field::<[u16; 4]>()),
            ("[T; 2] and (T, T)", field::<[u16; 2]>(), field::<(u16, u16)>()),
            ("a tuple and its parts in another order", field::<(u8, u16)>(), field::<(u16, u8)>()),
            ("a tuple of one and its part", field::<(u8,)>(), field::<u8>()),
            ("nested tuples", field::<((u8, u8), u8)>(), field::<(u8, (u8, u8))>()),
            ("a struct and a tuple", point(), message::<base::Pair>()),
            ("a struct without fields and ()", field::<base::Empty>(), field::<()>()),
            ("Option<T> and T", field::<Option<u8>>(), field::<u8>()),
            ("Option<T> and Vec<T>", field::<Option<u16>>(), field::<Vec<u16>>()),
            ("Result with its arguments swapped", field::<Result<u8, u16>>(), field::<Result<u16, u8>>()),
            ("Vec<T> and HashSet<T>", field::<Vec<u16>>(), field::<HashSet<u16>>()),
            ("HashSet<T> and BTreeSet<T>", field::<HashSet<u16>>(), field::<BTreeSet<u16>>()),
            ("HashMap and BTreeMap", field::<HashMap<u8, u8>>(), field::<BTreeMap<u8, u8>>()),
            ("a map and a sequence of pairs", field::<HashMap<u8, u8>>(), field::<Vec<(u8, u8)>>()),
            ("a map with key and value swapped", field::<HashMap<u8, u16>>(), field::<HashMap<u16, u8>>()),
            ("Range and RangeInclusive", field::<Range<u8>>(), field::<RangeInclusive<u8>>()),
            ("Range and a tuple", field::<Range<u8>>(), field::<(u8, u8)>()),
            ("Duration and SystemTime", field::<Duration>(), field::<SystemTime>()),
            ("IpAddr and Ipv4Addr", field::<IpAddr>(), field::<Ipv4Addr>()),
            ("File and OwnedFd", field::<File>(), field::<OwnedFd>()),
            ("TcpListener and TcpStream", field::<TcpListener>(), field::<TcpStream>()),
            ("Sender<T> and Sender<U>", field::<Sender<u32>>(), field::<Sender<u64>>()),
            ("Sender<T> and Receiver<T>", field::<Sender<u32>>(), field::<Receiver<u32>>()),
            ("Sender<T> and UnixStream", field::<Sender<u32>>(), field::<UnixStream>()),
            ("Channel<S, R> and Channel<R, S>", field::<Channel<u8, u16>>(), field::<Channel<u16, u8>>()),
            ("ends of messages that differ deep down", message::<base::Reply>(), message::<recursive::Reply>()),
            ("an end of the message itself", message::<base::Ask>(), message::<recursive::Ask>()),
            ("opaque types of two versions", message::<opaque::One>(), message::<opaque::Two>()),
            ("opaque and not", message::<opaque::OtherType>(), message::<opaque::Plain>()),
            ("functions of one's own and none", message::<opaque::With>(), message::<opaque::Plain>()),
            ("functions with a version and without", message::<opaque::With>(), message::<opaque::WithVersion>()),
        ],
        false,
    );
}

/// Names and fingerprints that must never move, with the text that explains them.
#[test]
fn fingerprints_do_not_move() {
    let rows = [
        ("bool", field::<bool>()),
        ("char", field::<char>()),
        ("u8", field::<u8>()),
        ("i128", field::<i128>()),
        ("usize", field::<usize>()),
        ("f64", field::<f64>()),
        ("NonZeroU32", field::<NonZeroU32>()),
        ("unit", field::<()>()),
        ("String", field::<String>()),
        ("PathBuf", field::<PathBuf>()),
        ("CString", field::<CString>()),
        ("Vec<u8>", field::<Vec<u8>>()),
        ("[u8; 16]", field::<[u8; 16]>()),
        ("Bytes", field::<Bytes>()),
        ("Duration", field::<Duration>()),
        ("SystemTime", field::<SystemTime>()),
        ("IpAddr", field::<IpAddr>()),
        ("SocketAddr", field::<SocketAddr>()),
        ("Range<u32>", field::<Range<u32>>()),
        ("RangeInclusive<u32>", field::<RangeInclusive<u32>>()),
        ("Option<String>", field::<Option<String>>()),
        ("Result<u8, String>", field::<Result<u8, String>>()),
        ("Vec<u32>", field::<Vec<u32>>()),
        ("[u32; 3]", field::<[u32; 3]>()),
        ("(u8, u16)", field::<(u8, u16)>()),
        ("HashSet<u32>", field::<HashSet<u32>>()),
        ("BTreeSet<u32>", field::<BTreeSet<u32>>()),
        ("HashMap<String, u32>", field::<HashMap<String, u32>>()),
        ("BTreeMap<String, u32>", field::<BTreeMap<String, u32>>()),
        ("File", field::<File>()),
        ("OwnedFd", field::<OwnedFd>()),
        ("UnixStream", field::<UnixStream>()),
        ("UnixListener", field::<UnixListener>()),
        ("UnixDatagram", field::<UnixDatagram>()),
        ("TcpStream", field::<TcpStream>()),
        ("TcpListener", field::<TcpListener>()),
        ("UdpSocket", field::<UdpSocket>()),
        ("Sender<u32>", field::<Sender<u32>>()),
        ("Receiver<u32>", field::<Receiver<u32>>()),
        ("Channel<u8, String>", field::<Channel<u8, String>>()),
        ("Point", message::<base::Point>()),
        ("Pair", message::<base::Pair>()),
        ("Meters", message::<base::Meters>()),
        ("Empty", message::<base::Empty>()),
        ("Line", message::<base::Line>()),
        ("Job", message::<base::Job>()),
        ("Size", message::<base::Size>()),
        ("Kebab", message::<enums::Kebab>()),
        ("List", message::<base::List>()),
        ("A", message::<base::A>()),
        ("B", message::<base::B>()),
        ("Tree<File>", message::<base::Tree<File>>()),
        ("Tree<(String, Option<u8>)>", message::<base::Tree<(String, Option<u8>)>>()),
        ("Reply", message::<base::Reply>()),
        ("Ask", message::<base::Ask>()),
        ("opaque", message::<opaque::One>()),
        ("with", message::<opaque::With>()),
        ("with, variant", message::<opaque::Variant>()),
    ];
    let lines = rows.map(|(name, tree)| format!("{:016x} {name}: {}\n", tree.fingerprint(), tree.canonical_text()));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fingerprints.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, lines.concat()).unwrap();
    }
    assert_eq!(lines.concat(), std::fs::read_to_string(path).unwrap(), "if a break with every older program is meant, set BLESS=1");
}

mod differences {
    use super::*;

    /// What the first of two types is told about the second.
    #[track_caller]
    fn differ(ours: &Tree, theirs: &Tree, expected: &str) {
        let found = first_difference(ours, theirs).map(|difference| difference.to_string());
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn of_fields() {
        let point = message::<base::Point>();
        differ(&point, &message::<fields::Retyped>(), "Point.y: u32 here, i32 there");
        differ(&point, &message::<fields::Renamed>(), "Point: field y here, field z there");
        differ(&point, &message::<fields::RenamedAll>(), "Point: field x here, field X there");
        differ(&point, &message::<fields::Reordered>(), "Point.x: field 0 here, field 1 there");
        differ(&point, &message::<fields::Added>(), "Point.z: absent here, u32 there");
        differ(&message::<fields::Added>(), &point, "Added.z: u32 here, absent there");
        differ(&point, &message::<fields::Inserted>(), "Point.between: absent here, u32 there");
        differ(&message::<fields::Inserted>(), &point, "Inserted.between: u32 here, absent there");
        differ(&point, &message::<fields::Removed>(), "Point.y: u32 here, absent there");
        differ(&point, &message::<base::Pair>(), "Point: struct Point here, (u8, u16) there");
        differ(&point, &message::<base::Empty>(), "Point.x: u32 here, absent there");
        differ(&message::<base::Pair>(), &field::<u8>(), "Pair: (u8, u16) here, struct Holds there");
        differ(&message::<base::Meters>(), &message::<String>(), "Meters: u32 here, String there");
        differ(&message::<String>(), &message::<usize>(), "message: String here, usize there");
    }

    #[test]
    fn of_variants() {
        let job = message::<base::Job>();
        differ(&job, &message::<enums::Retyped>(), "Job::Scan.name: String here, Vec<u8> there");
        differ(&job, &message::<enums::Payload>(), "Job::Wait.0: u32 here, u64 there");
        differ(&job, &message::<enums::More>(), "Job::Wait: (u32) here, (u32, u32) there");
        differ(&job, &message::<enums::Style>(), "Job::Scan: { name: String, size: u64 } here, (String, u64) there");
        differ(&job, &message::<enums::Field>(), "Job::Scan.depth: absent here, u8 there");
        differ(&message::<enums::Field>(), &job, "Field::Scan.depth: u8 here, absent there");
        differ(&job, &message::<enums::Job>(), "Job::Pause: absent here, variant 3 there");
        differ(&job, &message::<enums::Fewer>(), "Job::Stop: variant 2 here, absent there");
        differ(&job, &message::<enums::NoWait>(), "Job::Wait: variant 1 here, absent there");
        differ(&message::<enums::NoWait>(), &job, "NoWait::Wait: absent here, variant 1 there");
        differ(&job, &message::<enums::Reordered>(), "Job::Scan: variant 0 here, variant 1 there");
        differ(&job, &message::<enums::Renamed>(), "Job: variant Wait here, variant Sleep there");
        differ(&job, &message::<base::Point>(), "Job: enum Job here, struct Point there");
    }

    #[test]
    fn of_types_within_types() {
        differ(&field::<Option<Vec<u8>>>(), &field::<Option<Vec<u16>>>(), "Holds.field: Option<Vec<u8>> here, Option<Vec<u16>> there");
        differ(&field::<[u16; 4]>(), &field::<[u16; 5]>(), "Holds.field: [u16; 4] here, [u16; 5] there");
        differ(&field::<(u8, PathBuf)>(), &field::<(u8, String)>(), "Holds.field.1: PathBuf here, String there");
        differ(&field::<(u8,)>(), &field::<u8>(), "Holds.field: (u8,) here, u8 there");
        differ(&field::<Vec<base::Point>>(), &field::<Vec<fields::Retyped>>(), "Holds.field[].y: u32 here, i32 there");
        differ(&field::<Option<base::Point>>(), &field::<Option<fields::Renamed>>(), "Holds.field?: field y here, field z there");
        differ(&field::<HashMap<u8, base::Point>>(), &field::<HashMap<u8, fields::Retyped>>(), "Holds.field[value].y: u32 here, i32 there");
        differ(
            &field::<Result<base::Point, String>>(),
            &field::<Result<fields::Retyped, String>>(),
            "Holds.field::Ok.y: u32 here, i32 there",
        );
        differ(&field::<HashMap<u8, u16>>(), &field::<BTreeMap<u8, u16>>(), "Holds.field: HashMap<u8, u16> here, BTreeMap<u8, u16> there");
        differ(&field::<File>(), &field::<Fd<TcpListener>>(), "Holds.field: File here, TcpListener there");
        differ(&field::<breezeway::SharedBytes>(), &field::<std::os::fd::OwnedFd>(), "Holds.field: SharedBytes here, OwnedFd there");
        differ(&field::<Vec<base::Job>>(), &field::<Vec<v::enums::Retyped>>(), "Holds.field[]::Scan.name: String here, Vec<u8> there");
        differ(&field::<Option<base::Size>>(), &field::<Option<same_name::Size>>(), "Holds.field?: enum Size here, struct Size there");
        differ(&message::<opaque::One>(), &message::<opaque::Two>(), "One.point: opaque \"v1\" here, opaque \"v2\" there");
    }

    mod same_name {
        #[derive(breezeway::Message)]
        pub(super) struct Size {
            bytes: u8,
        }
    }

    #[test]
    fn of_ends() {
        differ(&field::<Sender<u32>>(), &field::<Sender<u64>>(), "Holds.field: Sender<u32> here, Sender<u64> there");
        differ(&field::<Sender<u32>>(), &field::<Receiver<u32>>(), "Holds.field: Sender<u32> here, Receiver<u32> there");
        differ(
            &field::<Channel<u8, String>>(),
            &field::<Channel<u8, Bytes>>(),
            "Holds.field: Channel<u8, String> here, Channel<u8, Bytes> there",
        );
        differ(&message::<base::Reply>(), &message::<recursive::Reply>(), "Reply.to<sent>.code: absent here, u8 there");
        differ(&message::<base::Ask>(), &message::<recursive::Ask>(), "Ask.again: Option<Sender<Ask>> here, Option<Receiver<Ask>> there");
    }

    #[test]
    fn of_recursive_types() {
        differ(&message::<base::List>(), &message::<recursive::List>(), "List.next?.value: u32 here, u64 there");
        differ(&message::<base::A>(), &message::<recursive::A>(), "A.b?.more: absent here, u8 there");
        differ(&field::<base::Tree<u32>>(), &field::<base::Tree<String>>(), "Holds.field.leaf: u32 here, String there");
        differ(&field::<base::Tree<base::Tree<u8>>>(), &field::<base::Tree<u8>>(), "Holds.field.leaf: struct Tree here, u8 there");
    }

    #[test]
    fn in_the_order_of_the_fields() {
        #[derive(Message)]
        struct Ours {
            first: base::Point,
            second: u8,
        }
        #[derive(Message)]
        struct Theirs {
            first: fields::Retyped,
            third: u8,
        }
        differ(&message::<Ours>(), &message::<Theirs>(), "Ours.first.y: u32 here, i32 there");
        let difference = first_difference(&message::<Ours>(), &message::<Theirs>()).unwrap();
        assert_eq!((difference.path(), difference.here(), difference.there()), ("Ours.first.y", "u32", "i32"));
    }

    #[test]
    fn with_names_that_a_peer_made_up() {
        let mut theirs = serde_json::to_value(message::<fields::Removed>()).unwrap();
        let name = "\u{1b}[2J\n".to_owned() + &"x".repeat(1000);
        theirs["nodes"][0]["kind"] = json!({ "Struct": [name] });
        let theirs: Tree = serde_json::from_value(theirs).unwrap();
        let expected = format!("Removed: field x here, field \\u{{1b}}[2J\\n{}… there", "x".repeat(59));
        differ(&message::<fields::Removed>(), &theirs, &expected);
    }

    #[test]
    fn far_down() {
        let chain = |last: &str| {
            let link = |child: u32| json!({ "name": "Link", "kind": { "Struct": ["next"] }, "children": [child] });
            let mut nodes: Vec<Value> = (1..4096).map(link).collect();
            nodes.push(json!({ "name": "", "kind": { "Scalar": last }, "children": [] }));
            serde_json::from_value::<Tree>(json!({ "name": "Link", "nodes": nodes })).unwrap()
        };
        differ(&chain("u8"), &chain("u16"), &format!("Link…{}: u8 here, u16 there", ".next".repeat(12)));
        assert_eq!(first_difference(&chain("u8"), &chain("u8")), None);
        assert_ne!(chain("u8").fingerprint(), chain("u16").fingerprint());
    }
}

mod trees {
    use super::*;

    #[test]
    fn arrive_as_they_were_sent() {
        let (sender, receiver) = breezeway::channel::<Tree>().unwrap();
        for tree in [message::<base::Job>(), message::<base::A>(), field::<base::Tree<File>>(), message::<enums::Kebab>()] {
            sender.send(tree.clone()).unwrap();
            let received = receiver.recv().unwrap();
            assert_eq!((received.name(), &received), (tree.name(), &tree));
        }
    }

    #[test]
    fn that_do_not_fit_together_are_refused() {
        let node = |kind: Value, children: Value| json!({ "name": "", "kind": kind, "children": children });
        let tree = |nodes: Value| serde_json::from_value::<Tree>(json!({ "name": "", "nodes": nodes }));
        assert!(tree(json!([node(json!("Option"), json!([0]))])).is_ok());
        assert!(tree(json!([])).is_err(), "no node");
        assert!(tree(json!([node(json!("Option"), json!([1]))])).is_err(), "no such node");
        assert!(tree(json!([node(json!("Option"), json!([]))])).is_err(), "a child less");
        assert!(tree(json!([node(json!("String"), json!([0]))])).is_err(), "a child more");
        assert!(tree(json!([node(json!({ "Struct": ["a"] }), json!([]))])).is_err(), "a field without a type");
        assert!(tree(json!([node(json!({ "Tuple": u32::MAX }), json!([0]))])).is_err(), "a large tuple");
        let variants: Vec<_> = (0..4).map(|_| json!(["A", { "Tuple": u32::MAX }])).collect();
        assert!(tree(json!([node(json!({ "Enum": variants }), json!([0]))])).is_err(), "large variants");
        let many = vec![node(json!("String"), json!([])); 4097];
        assert!(tree(json!(many)).is_err(), "too many nodes");
        assert!(tree(json!(many[1..])).is_ok());
    }

    #[test]
    fn a_hostile_tree_on_a_channel_is_an_error() {
        #[derive(serde::Serialize)]
        struct Forged(String, Vec<(String, u32, Vec<u32>)>);
        let (sender, receiver) = breezeway::channel::<Forged>().unwrap();
        let receiver = Receiver::<Tree>::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
        // Kind 8 is an option: of itself, of nothing that is there, and not at all.
        sender.send(Forged("ok".into(), vec![(String::new(), 8, vec![0])])).map_err(drop).unwrap();
        assert_eq!(receiver.recv().unwrap().canonical_text(), "option(^0)");
        for children in [vec![1], vec![], vec![0, 0]] {
            sender.send(Forged("bad".into(), vec![(String::new(), 8, children)])).map_err(drop).unwrap();
            assert!(receiver.recv().is_err());
        }
    }

    /// Small random graphs, so that many are alike: hash and walk must agree, and every walk must end.
    #[test]
    fn the_walk_finds_a_difference_exactly_where_the_fingerprints_differ() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut tree = || {
            let count = 1 + random(6);
            let nodes: Vec<Value> = (0..count)
                .map(|_| {
                    let mut child = || random(count);
                    let (kind, children) = match child() % 5 {
                        0 => (json!({ "Scalar": "u8" }), vec![]),
                        1 => (json!("Option"), vec![child()]),
                        2 => (json!({ "Tuple": 2 }), vec![child(), child()]),
                        3 => (json!({ "Struct": ["a", "b"] }), vec![child(), child()]),
                        _ => (json!({ "Enum": [["A", { "Tuple": 1 }], ["B", { "Struct": ["c"] }]] }), vec![child(), child()]),
                    };
                    json!({ "name": "", "kind": kind, "children": children })
                })
                .collect();
            serde_json::from_value::<Tree>(json!({ "name": "", "nodes": nodes })).unwrap()
        };
        let mut alike = 0;
        for round in 0..20_000 {
            let (left, right) = (tree(), tree());
            let same = left.fingerprint() == right.fingerprint();
            assert_eq!(first_difference(&left, &right).is_none(), same, "round {round}: {left:?}\n{right:?}");
            alike += u32::from(same && left != right);
        }
        assert!(alike > 100, "only {alike} pairs were alike without being equal");
    }

    #[test]
    fn a_type_that_is_only_itself_has_a_schema() {
        #[derive(Message)]
        struct Endless(Box<Endless>);
        assert_eq!(Endless::schema().canonical_text(), "cut");
    }

    /// 2^64 leaves, and 65 types.
    #[test]
    fn a_type_that_is_used_twice_is_described_once() {
        #[derive(Message)]
        struct Twice<T>(Vec<T>, Vec<T>);
        type Four<T> = Twice<Twice<Twice<Twice<T>>>>;
        type Sixteen<T> = Four<Four<Four<Four<T>>>>;
        type Most = Sixteen<Sixteen<Sixteen<Sixteen<u8>>>>;
        assert!(Most::schema().canonical_text().len() < 2000);
        assert_eq!(first_difference(&message::<Most>(), &message::<Most>()), None);
    }
}

mod json {
    use super::*;

    fn parsed<T: Message>() -> Value {
        serde_json::from_str(&T::schema().to_json()).unwrap()
    }

    #[test]
    fn of_an_enum() {
        let expected = json!({
            "name": "Job",
            "fingerprint": format!("{:016x}", base::Job::fingerprint()),
            "nodes": [
                { "kind": "enum", "name": "Job", "variants": [
                    { "name": "Scan", "fields": [{ "name": "name", "type": 1 }, { "name": "size", "type": 2 }] },
                    { "name": "Wait", "elements": [3] },
                    { "name": "Stop", "elements": [] },
                ] },
                { "kind": "string" },
                { "kind": "scalar", "scalar": "u64" },
                { "kind": "scalar", "scalar": "u32" },
            ],
        });
        assert_eq!(parsed::<base::Job>(), expected);
    }

    #[test]
    fn of_every_kind() {
        #[derive(Message)]
        struct Every {
            bytes: (Vec<u8>, [u8; 4], Bytes, PathBuf),
            some: Option<Result<u8, String>>,
            many: (Vec<u16>, HashSet<u16>, BTreeSet<u16>, [u16; 2]),
            maps: (HashMap<u8, u16>, BTreeMap<u8, u16>),
            ends: (Sender<u8>, Receiver<u8>, Channel<u8, u16>, File),
            size: usize,
            #[message(opaque = "v \"1\"")]
            opaque: v::Foreign,
        }
        let json = parsed::<Every>();
        let nodes = json["nodes"].as_array().unwrap();
        let of_kind = |kind: &str| nodes.iter().find(|node| node["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {json}"));
        let scalar = |name: &str| nodes.iter().position(|node| node["scalar"] == name).unwrap();
        let (u8, u16) = (scalar("u8"), scalar("u16"));
        assert_eq!(nodes[0]["fields"][0], json!({ "name": "bytes", "type": 1 }));
        assert_eq!(of_kind("byte-array"), &json!({ "kind": "byte-array", "length": 4 }));
        assert_eq!(of_kind("array"), &json!({ "kind": "array", "length": 2, "element": u16 }));
        assert_eq!(of_kind("opaque"), &json!({ "kind": "opaque", "version": "v \"1\"" }));
        assert_eq!(of_kind("descriptor"), &json!({ "kind": "descriptor", "descriptor": "File" }));
        assert_eq!(of_kind("channel"), &json!({ "kind": "channel", "sent": u8, "received": u16 }));
        assert_eq!(of_kind("sender"), &json!({ "kind": "sender", "message": u8 }));
        assert_eq!(of_kind("receiver"), &json!({ "kind": "receiver", "message": u8 }));
        assert_eq!(of_kind("map"), &json!({ "kind": "map", "key": u8, "value": u16 }));
        assert_eq!(of_kind("sorted-map"), &json!({ "kind": "sorted-map", "key": u8, "value": u16 }));
        assert_eq!(of_kind("result")["ok"], json!(u8));
        for kind in ["option", "sequence", "set", "sorted-set"] {
            assert!(of_kind(kind)["element"].is_u64(), "{kind}");
        }
        for kind in ["bytes", "blob", "string", "tuple", "struct"] {
            of_kind(kind);
        }
        assert!(nodes.contains(&json!({ "kind": "bytes", "name": "PathBuf" })));
        assert!(nodes.contains(&json!({ "kind": "scalar", "name": "usize", "scalar": "u64" })));
    }

    #[test]
    fn of_a_recursive_type() {
        assert_eq!(
            parsed::<base::List>()["nodes"],
            json!([
                { "kind": "struct", "name": "List", "fields": [{ "name": "value", "type": 1 }, { "name": "next", "type": 2 }] },
                { "kind": "scalar", "scalar": "u32" },
                { "kind": "option", "element": 0 },
            ])
        );
    }
}

/// The names that serde itself gives, for every rule there is.
mod names {
    use super::*;

    macro_rules! rules {
        ($($rule:literal),+) => {
            #[test]
            fn are_those_of_serde_under_every_rule() {
                $({
                    #[derive(serde::Serialize)]
                    #[serde(rename_all = $rule)]
                    struct Plain { plain: u8, two_words: u8, with_1_digit: u8, _leading: u8, r#type: u8 }
                    #[derive(Message)]
                    #[serde(rename_all = $rule)]
                    struct Derived { plain: u8, two_words: u8, with_1_digit: u8, _leading: u8, r#type: u8 }
                    let plain = Plain { plain: 0, two_words: 0, with_1_digit: 0, _leading: 0, r#type: 0 };
                    // In the order of the fields, which a map would lose.
                    let text = serde_json::to_string(&plain).unwrap();
                    let expected: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
                    assert_eq!(members(&Derived::schema().to_json(), "fields"), expected, $rule);

                    #[derive(serde::Serialize)]
                    #[serde(rename_all = $rule)]
                    #[allow(clippy::upper_case_acronyms)]
                    enum Variants { Plain, TwoWords, With1Digit, ABC }
                    #[derive(Message)]
                    #[serde(rename_all = $rule)]
                    #[allow(clippy::upper_case_acronyms)]
                    enum DerivedVariants { Plain, TwoWords, With1Digit, ABC }
                    let expected = [Variants::Plain, Variants::TwoWords, Variants::With1Digit, Variants::ABC]
                        .map(|variant| serde_json::to_value(variant).unwrap());
                    assert_eq!(members(&DerivedVariants::schema().to_json(), "variants"), expected, $rule);
                })+
            }
        };
    }

    rules!("lowercase", "UPPERCASE", "PascalCase", "camelCase", "snake_case", "SCREAMING_SNAKE_CASE", "kebab-case", "SCREAMING-KEBAB-CASE");

    fn members(json: &str, of: &str) -> Vec<String> {
        let json: Value = serde_json::from_str(json).unwrap();
        json["nodes"][0][of].as_array().unwrap().iter().map(|member| member["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn in_variants_go_by_the_nearest_rule() {
        #[derive(Message)]
        #[serde(rename_all = "kebab-case", rename_all_fields = "SCREAMING_SNAKE_CASE")]
        enum Renamed {
            FirstThing {
                some_field: u8,
            },
            #[serde(rename_all = "camelCase")]
            TheSecond {
                some_field: u8,
                #[serde(rename(serialize = "sent", deserialize = "received"))]
                other: u8,
            },
            #[serde(rename(deserialize = "received"))]
            Third,
        }
        assert_eq!(
            Renamed::schema().canonical_text(),
            r#"enum{"first-thing"{"SOME_FIELD":u8},"the-second"{"someField":u8,"sent":u8},"third"}"#
        );
    }
}

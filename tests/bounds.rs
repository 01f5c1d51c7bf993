//! Decoding stays within bounds (M37 of `docs/wire-format.md`): whatever a body says, it ends in a value or a typed error after bounded work, memory and stack.
//!
//! Each test runs on the main stack and on threads of 128 and 64 KiB, in a process that may have 256 MiB of address space.

#[path = "support/heap.rs"]
mod heap;
mod support;

use breezeway::__private::bench;
use breezeway::testing::{RawPeer, packet};
use breezeway::{DecodeError, Fault, Limits, Message, RecvError};
use heap::Heap;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::CString;
use std::fmt::Debug;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[global_allocator]
static HEAP: Heap = Heap;

/// For what takes a debug build seconds of work, and a busy machine several times that. Nothing in it waits.
const WORK: Duration = Duration::from_secs(60);

trials!(
    lengths_that_nothing_backs_are_refused,
    collections_of_nothing_are_refused,
    nesting_is_refused,
    nesting_without_a_depth_limit_ends_with_the_stack,
    large_levels_end_with_the_stack_at_worst,
    nested_claims_of_room_are_bounded,
    sixteen_mebibytes_of_zeros_are_refused,
    work_is_bounded_by_the_budget,
    the_expansion_limit_is_kept,
    honest_messages_pass,
    a_main_stack_is_used_to_its_limit_and_not_beyond,
    a_main_stack_is_found_under_a_loader,
    a_fork_of_a_thread_ends_with_that_threads_stack,
    a_stack_that_cannot_be_asked_about_is_taken_to_be_small,
    idle_channels_hold_nothing,
    the_controls_notice;
    programs: use_the_stack
);

const ADDRESS_SPACE: u64 = 256 << 20;

/// What decoding may hold at one moment, in bytes: a collection that grows is there twice, once with half its room; room made in
/// advance comes on top.
fn bound(body: &[u8], limits: &Limits) -> usize {
    3 * budget(body.len(), limits) + (2 << 20)
}

fn budget(len: usize, limits: &Limits) -> usize {
    limits.max_expansion * len + 64 * 1024
}

fn on_every_stack(test: fn()) {
    support::set_limit(libc::RLIMIT_AS, ADDRESS_SPACE);
    test();
    for kib in [128, 64] {
        std::thread::Builder::new().stack_size(kib << 10).spawn(test).unwrap().join().unwrap_or_else(|_| panic!("on {kib} KiB"));
    }
}

/// Receives a body through a socket, holding the decoder to its memory bound.
fn receive<T: DeserializeOwned>(body: &[u8], limits: Limits) -> Result<T, DecodeError> {
    let (peer, receiver) = RawPeer::of_receiver::<T>().unwrap();
    let receiver = receiver.with_limits(limits);
    // Makes the receive buffer, which the thread keeps.
    peer.send(b"short", &[]).unwrap();
    assert!(receiver.recv().is_err());
    peer.send(&packet(body, &[], 0), &[]).unwrap();
    let (received, peak) = Heap::peak(|| receiver.recv());
    let name = std::any::type_name::<T>();
    assert!(peak <= bound(body, &limits), "{name} of {} bytes held {peak} bytes", body.len());
    match received {
        Ok(value) => Ok(value),
        Err(RecvError::Fault(Fault::Decode(error))) => Err(error),
        Err(error) => panic!("{name}: {error:?}"),
    }
}

#[track_caller]
fn refused<T: DeserializeOwned>(body: &[u8], error: &DecodeError) {
    match receive::<T>(body, Limits::new()) {
        Ok(_) => panic!("{} was received", std::any::type_name::<T>()),
        Err(found) => assert_eq!(found, *error, "{}", std::any::type_name::<T>()),
    }
}

fn too_expansive(body: &[u8]) -> DecodeError {
    DecodeError::TooExpansive { limit: budget(body.len(), &Limits::new()) }
}

/// A length, and `filler` zeros behind it.
fn claim(length: u64, filler: usize) -> Vec<u8> {
    let mut body = length.to_le_bytes().to_vec();
    body.resize(8 + filler, 0);
    body
}

/// A value of no bytes that counts how often it is decoded.
struct Tick;

static TICKS: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Tick {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Tick, D::Error> {
        TICKS.fetch_add(1, Ordering::Relaxed);
        Ok(Tick)
    }
}

impl Serialize for Tick {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// The same types and tests with the derive of this library and with serde's own.
macro_rules! shapes {
    ($module:ident, derived: $derived:literal, $derive:meta $(, $ticks:meta)?) => {
        mod $module {
            use super::*;

            #[$derive]
            struct Of<T>(T);

            #[$derive]
            #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
            struct Skip {
                #[serde(skip)]
                _number: u64,
            }

            #[$derive]
            #[derive(Debug, PartialEq)]
            enum Thin {
                Nil,
                Cons(Box<Thin>),
            }

            #[$derive]
            enum Fat {
                Nil,
                Cons(Box<Fat>),
                Large([u64; 32]),
                Named { text: String, more: Option<Box<Fat>>, tail: [u64; 32] },
            }

            #[$derive]
            struct Sequence(Vec<Sequence>);

            #[$derive]
            struct Large {
                parts: Vec<Large>,
                padding: Option<[u64; 28]>,
            }

            #[$derive]
            struct Map(HashMap<u8, Map>);

            #[$derive]
            struct Tree(BTreeMap<u8, Tree>);

            #[$derive]
            struct Ticks {
                $(#[$ticks])?
                list: Vec<Tick>,
            }

            pub(super) fn lengths() {
                const HUGE: u64 = 1 << 36;
                let huge = DecodeError::Truncated { missing: HUGE as usize };
                for filler in [0, 1000] {
                    let missing = DecodeError::Truncated { missing: HUGE as usize - filler };
                    refused::<Of<String>>(&claim(HUGE, filler), &missing);
                    refused::<Of<CString>>(&claim(HUGE, filler), &missing);
                    refused::<Of<Box<str>>>(&claim(HUGE, filler), &missing);
                    // Bytes by this library's derive, numbers by serde's.
                    let bytes = if $derived { missing } else { DecodeError::Truncated { missing: 1 } };
                    refused::<Of<Vec<u8>>>(&claim(HUGE, filler), &bytes);
                    refused::<Of<Vec<u64>>>(&claim(HUGE, filler), &DecodeError::Truncated { missing: 8 });
                    refused::<Of<VecDeque<u64>>>(&claim(HUGE, filler), &DecodeError::Truncated { missing: 8 });
                    refused::<Of<HashMap<u64, u64>>>(&claim(HUGE, 0), &DecodeError::Truncated { missing: 8 });
                }
                refused::<Of<Vec<String>>>(&claim(1 << 36, 0), &DecodeError::Truncated { missing: 8 });
                refused::<Of<Option<String>>>(&[[1].as_slice(), &HUGE.to_le_bytes()].concat(), &huge);
                refused::<Of<String>>(&claim(u64::MAX, 0), &DecodeError::Truncated { missing: usize::MAX });
            }

            pub(super) fn nothing() {
                for filler in [0, 100_000] {
                    let body = claim(1 << 60, filler);
                    let limit = too_expansive(&body);
                    refused::<Of<Vec<()>>>(&body, &limit);
                    refused::<Of<VecDeque<()>>>(&body, &limit);
                    refused::<Of<LinkedList<()>>>(&body, &limit);
                    refused::<Of<BinaryHeap<()>>>(&body, &limit);
                    refused::<Of<Vec<Skip>>>(&claim(1 << 28, filler), &limit);
                    refused::<Of<LinkedList<Skip>>>(&claim(1 << 28, filler), &limit);
                    refused::<Of<Vec<((), ())>>>(&body, &limit);
                    refused::<Of<Vec<[Skip; 3]>>>(&body, &limit);
                    // By this library's derive the second is refused; serde's own throws all but the last away.
                    let twice = |expected: &str| if $derived { DecodeError::Invalid { expected: expected.into() } } else { limit.clone() };
                    refused::<Of<HashMap<(), ()>>>(&body, &twice("a map with no key twice"));
                    refused::<Of<BTreeMap<(), Skip>>>(&body, &twice("a map with keys in ascending order"));
                    refused::<Of<BTreeSet<()>>>(&body, &twice("a set in ascending order"));
                    refused::<Of<HashSet<Skip>>>(&body, &twice("a set with no element twice"));
                    refused::<Of<HashMap<(), HashMap<(), ()>>>>(&claim(1 << 60, 0), &DecodeError::Truncated { missing: 8 });
                }
            }

            pub(super) fn nesting() {
                let stairs = |step: &[u8]| step.repeat(20_000 / step.len());
                let one = 1_u64.to_le_bytes();
                deep::<Thin>(&stairs(&[1, 0, 0, 0]));
                deep::<Fat>(&stairs(&[1, 0, 0, 0]));
                // A `Named` of no text, within its own `more`.
                deep::<Fat>(&stairs(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
                deep::<Sequence>(&stairs(&one));
                deep::<Large>(&stairs(&one));
                deep::<Map>(&stairs(&[1, 0, 0, 0, 0, 0, 0, 0, 7]));
                deep::<Tree>(&stairs(&[1, 0, 0, 0, 0, 0, 0, 0, 7]));
            }

            pub(super) fn nesting_without_limit() {
                let limits = Limits::new().max_depth(usize::MAX).max_expansion(100_000);
                let ends_with_the_stack = |error: Option<DecodeError>| assert_eq!(error, Some(DecodeError::StackExhausted));
                let stairs = |step: &[u8]| step.repeat((1 << 20) / step.len());
                ends_with_the_stack(decode::<Thin>(&stairs(&[1, 0, 0, 0]), limits));
                ends_with_the_stack(decode::<Fat>(&stairs(&[1, 0, 0, 0]), limits));
                ends_with_the_stack(decode::<Fat>(&stairs(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), limits));
                ends_with_the_stack(decode::<Sequence>(&stairs(&1_u64.to_le_bytes()), limits));
                ends_with_the_stack(decode::<Large>(&stairs(&1_u64.to_le_bytes()), limits));
                ends_with_the_stack(decode::<Map>(&stairs(&[1, 0, 0, 0, 0, 0, 0, 0, 7]), limits));
                ends_with_the_stack(decode::<Tree>(&stairs(&[1, 0, 0, 0, 0, 0, 0, 0, 7]), limits));
            }

            pub(super) fn claims_of_room() {
                let many = (1_u64 << 60).to_le_bytes();
                deep::<Sequence>(&many.repeat(2_000));
                deep::<Large>(&many.repeat(2_000));
                let keyed = [many.as_slice(), &[7]].concat();
                deep::<Map>(&keyed.repeat(2_000));
                deep::<Tree>(&keyed.repeat(2_000));
            }

            pub(super) fn zeros() {
                let mut zeros = vec![0; 16 << 20];
                let limits = Limits::new().max_message(16 << 20);
                let left = |taken: usize| DecodeError::TrailingBytes { count: (16 << 20) - taken };
                let check = |found: Option<DecodeError>, error: DecodeError| assert_eq!(found, Some(error));
                check(decode::<Of<u64>>(&zeros, limits), left(8));
                check(decode::<Of<Vec<u64>>>(&zeros, limits), left(8));
                check(decode::<Of<String>>(&zeros, limits), left(8));
                check(decode::<Thin>(&zeros, limits), left(4));
                check(decode::<Large>(&zeros, limits), left(9));
                check(decode::<Map>(&zeros, limits), left(8));
                // And as many elements as there can be, of a sixteenth of it.
                zeros.truncate(1 << 20);
                zeros[..8].copy_from_slice(&(1_u64 << 32).to_le_bytes());
                let tight = limits.max_expansion(1);
                let too_expansive = || DecodeError::TooExpansive { limit: budget(zeros.len(), &tight) };
                check(decode::<Of<Vec<String>>>(&zeros, tight), too_expansive());
                check(decode::<Of<Vec<Thin>>>(&zeros, tight), too_expansive());
                check(decode::<Of<Vec<Option<String>>>>(&zeros, tight), too_expansive());
                check(decode::<Of<Vec<Large>>>(&zeros, tight), too_expansive());
                check(decode::<Of<LinkedList<()>>>(&zeros, tight), too_expansive());
            }

            pub(super) fn work() {
                let body = claim(u64::MAX, 1 << 20);
                let before = TICKS.load(Ordering::Relaxed);
                refused::<Ticks>(&body, &too_expansive(&body));
                let ticks = TICKS.load(Ordering::Relaxed) - before;
                let most = budget(body.len(), &Limits::new()) / 32;
                assert!((most / 2..=most).contains(&ticks), "{ticks} elements");
            }

            pub(super) fn honest() {
                fn passes<T: Serialize + DeserializeOwned>(value: T) {
                    let body = bench::encode(&value).unwrap();
                    let back = receive::<T>(&body, Limits::new()).unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<T>()));
                    assert_eq!(bench::encode(&back).unwrap(), body);
                }
                passes(Of(vec![7_u8; 100_000]));
                passes(Of((0..100_000).collect::<Vec<u32>>()));
                passes(Of((0..100_000).map(|number| number.to_string()).collect::<Vec<String>>()));
                passes(Of(vec![None::<String>; 10_000]));
                passes(Of(vec![Vec::<u64>::new(); 10_000]));
                passes(Of(vec![Vec::<Option<[u64; 30]>>::new(); 10_000]));
                passes(Of((0..10_000).map(|_| HashMap::<u64, u64>::new()).collect::<Vec<_>>()));
                passes(Of((0..10_000_u64).map(|key| (key, key.to_string())).collect::<BTreeMap<_, _>>()));
                passes(Of((0..10_000_u32).map(|key| (key, vec![key])).collect::<LinkedList<_>>()));
                passes(Of(vec![(); 1_000]));
                passes(Of((0..1_000).map(|_| Skip::default()).collect::<Vec<_>>()));
                passes(Fat::Named { text: "x".into(), more: Some(Box::new(Fat::Large([7; 32]))), tail: [1; 32] });
                passes((0..20).fold(Thin::Nil, |tail, _| Thin::Cons(Box::new(tail))));
            }

            /// A hundred levels pass on a main stack.
            pub(super) fn honest_nesting() {
                let thin = [[1, 0, 0, 0].repeat(100), vec![0; 4]].concat();
                assert!(receive::<Thin>(&thin, Limits::new()).is_ok());
                assert!(receive::<Fat>(&thin, Limits::new()).is_ok());
                let sequence = [1_u64.to_le_bytes().repeat(60), vec![0; 8]].concat();
                assert!(receive::<Sequence>(&sequence, Limits::new()).is_ok());
            }

            pub(super) fn expansion() {
                let body = bench::encode(&Of(vec![None::<String>; 10_000])).unwrap();
                let limits = Limits::new().max_expansion(10);
                let error = DecodeError::TooExpansive { limit: budget(body.len(), &limits) };
                assert_eq!(receive::<Of<Vec<Option<String>>>>(&body, limits).err(), Some(error));
                let maps: Vec<(u64, HashMap<u64, ()>)> = (0..20_000).map(|key| (key, HashMap::new())).collect();
                let body = bench::encode(&Of(maps)).unwrap();
                let limits = Limits::new().max_expansion(1);
                let error = DecodeError::TooExpansive { limit: budget(body.len(), &limits) };
                assert_eq!(receive::<Of<HashMap<u64, HashMap<u64, ()>>>>(&body, limits).err(), Some(error));
                assert!(receive::<Of<HashMap<u64, HashMap<u64, ()>>>>(&body, Limits::new()).is_ok());
            }
        }
    };
}

shapes!(derived, derived: true, derive(Message), message(opaque = "v1"));
shapes!(plain, derived: false, derive(Serialize, Deserialize));

/// Refused for its nesting: by the limit, or on a small stack by that.
fn deep<T: DeserializeOwned>(body: &[u8]) {
    let name = std::any::type_name::<T>();
    match receive::<T>(body, Limits::new()) {
        Err(DecodeError::TooDeep { limit: 128 }) => {}
        Err(DecodeError::StackExhausted) if on_a_thread() => {}
        Err(error) => panic!("{name}: {error:?}"),
        Ok(_) => panic!("{name} was received"),
    }
}

/// Decodes without a socket, which carries no 16 MiB.
fn decode<T: DeserializeOwned>(body: &[u8], limits: Limits) -> Option<DecodeError> {
    let (decoded, peak) = Heap::peak(|| bench::decode_within::<T>(body, &limits));
    assert!(peak <= bound(body, &limits), "{} of {} bytes held {peak} bytes", std::any::type_name::<T>(), body.len());
    match decoded {
        Ok(_) => None,
        Err(Fault::Decode(error)) => Some(error),
        Err(error) => panic!("{error:?}"),
    }
}

fn on_a_thread() -> bool {
    std::thread::current().name() != Some("main")
}

fn lengths_that_nothing_backs_are_refused() {
    on_every_stack(|| {
        derived::lengths();
        plain::lengths();
    });
}

fn collections_of_nothing_are_refused() {
    support::more_time(WORK);
    on_every_stack(|| {
        derived::nothing();
        plain::nothing();
    });
}

fn nesting_is_refused() {
    on_every_stack(|| {
        derived::nesting();
        plain::nesting();
    });
}

fn nesting_without_a_depth_limit_ends_with_the_stack() {
    on_every_stack(|| {
        derived::nesting_without_limit();
        plain::nesting_without_limit();
    });
}

/// Levels of several KiB each, of which a debug build has many copies on the stack.
fn large_levels_end_with_the_stack_at_worst() {
    fn chains<const N: usize>() {
        #[derive(Message)]
        struct Node<const N: usize> {
            data: [u8; N],
            next: Option<Box<Node<N>>>,
        }
        #[derive(Message)]
        enum Flat<const N: usize> {
            End,
            Next([u8; N], Box<Flat<N>>),
        }
        let data = [(N as u64).to_le_bytes().to_vec(), vec![7; N]].concat();
        let nodes = [[data.as_slice(), &[1]].concat().repeat(60), data.clone(), vec![0]].concat();
        let flats = [[&[1, 0, 0, 0], data.as_slice()].concat().repeat(60), vec![0; 4]].concat();
        let at_worst = |error: Option<DecodeError>| assert!(matches!(error, None | Some(DecodeError::StackExhausted)), "{error:?}");
        at_worst(decode::<Node<N>>(&nodes, Limits::new()));
        at_worst(decode::<Flat<N>>(&flats, Limits::new()));
    }
    for kib in [64, 128, 256, 512, 2048, 8192] {
        // What is more than a 32nd of its stack can overflow it without anybody's help.
        let all = move || {
            let fits = |size: usize| size * 32 <= kib << 10;
            chains::<300>();
            if fits(2048) {
                chains::<2048>()
            }
            if fits(4096) {
                chains::<4096>()
            }
            if fits(8192) {
                chains::<8192>()
            }
            if fits(16384) {
                chains::<16384>()
            }
        };
        std::thread::Builder::new().stack_size(kib << 10).spawn(all).unwrap().join().unwrap_or_else(|_| panic!("on {kib} KiB"));
    }
}

/// Large elements, of which each collection makes room for some before it knows that there are none.
#[derive(Serialize, Deserialize)]
struct Padded {
    #[serde(skip)]
    _pad: Pad,
    kids: Vec<Padded>,
}

struct Pad(#[allow(dead_code, reason = "takes room")] [u8; 1000]);

impl Default for Pad {
    fn default() -> Pad {
        Pad([0; 1000])
    }
}

fn nested_claims_of_room_are_bounded() {
    // Each claims as many as the rest of the body could hold, and then has one.
    let claims: Vec<u8> = (0..100).flat_map(|_| 1000_u64.to_le_bytes()).chain([0; 300]).collect();
    assert!(decode::<Padded>(&claims, Limits::new()).is_some());
    on_every_stack(|| {
        derived::claims_of_room();
        plain::claims_of_room();
    });
}

fn sixteen_mebibytes_of_zeros_are_refused() {
    on_every_stack(|| {
        derived::zeros();
        plain::zeros();
    });
}

fn work_is_bounded_by_the_budget() {
    on_every_stack(|| {
        derived::work();
        plain::work();
    });
}

fn the_expansion_limit_is_kept() {
    on_every_stack(|| {
        derived::expansion();
        plain::expansion();
    });
}

fn honest_messages_pass() {
    support::more_time(WORK);
    support::set_limit(libc::RLIMIT_AS, ADDRESS_SPACE);
    derived::honest_nesting();
    plain::honest_nesting();
    on_every_stack(|| {
        derived::honest();
        plain::honest();
    });
}

/// Uses the main stack as far as it is thought to go, and `BEYOND` bytes more; says where it ends and where the kernel's mapping of it does.
fn use_the_stack() {
    fn dig(to: usize) {
        let room = [0_u8; 1024];
        if std::hint::black_box(&room).as_ptr().addr() > to {
            dig(to);
        }
        std::hint::black_box(&room);
    }
    let end = bench::stack_end();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let (_, top) = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| line.split(' ').next()?.split_once('-')).unwrap();
    let top = usize::from_str_radix(top, 16).unwrap();
    println!("{}", top - end);
    // A larger one takes seconds to fill.
    if top - end <= 8 << 20 {
        derived::nesting_without_limit();
        plain::nesting_without_limit();
    }
    let beyond: usize = std::env::var("BEYOND").map_or(0, |bytes| bytes.parse().unwrap());
    // The last frame is a kibibyte and what a debug build adds to it.
    dig(end + 4096 - beyond);
    println!("used");
}

/// What `use_the_stack` finds out under a soft limit: bytes of stack, and whether it survived using them.
fn stack_under(limit: u64, command: &mut Command) -> (usize, bool) {
    support::set_limit(libc::RLIMIT_STACK, limit);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let size = said.lines().next().unwrap_or_else(|| panic!("{limit}: {}", String::from_utf8_lossy(&output.stderr)));
    (size.parse().unwrap(), output.status.success() && said.ends_with("used\n"))
}

const MIB: u64 = 1 << 20;

fn a_main_stack_is_used_to_its_limit_and_not_beyond() {
    support::more_time(WORK);
    let use_the_stack = || support::program("use_the_stack");
    for (limit, size) in
        [(64 << 10, 64 << 10), (100_000, 24 * 4096), (132 << 10, 132 << 10), (MIB, MIB), (8 * MIB, 8 * MIB), (64 * MIB, 64 * MIB)]
    {
        assert_eq!(stack_under(limit, &mut use_the_stack()), (size as usize, true), "{limit}");
        // The control: there the kernel has no more to give.
        assert_eq!(stack_under(limit, use_the_stack().env("BEYOND", "16384")), (size as usize, false), "{limit}");
    }
    for limit in [65 * MIB, 1 << 40, u64::MAX] {
        assert_eq!(stack_under(limit, &mut use_the_stack()), (64 << 20, true), "{limit}");
    }
}

/// A loader that is told which program to load shows a path that is not on top of the stack.
fn a_main_stack_is_found_under_a_loader() {
    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    if !std::path::Path::new(LOADER).exists() {
        eprintln!("skipped: loader: there is no {LOADER}");
        return;
    }
    let loaded = || {
        let mut command = Command::new(LOADER);
        command
            .arg(std::env::current_exe().unwrap())
            .envs(support::program("use_the_stack").get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env_remove("BREEZEWAY_TRIAL").env("LARGE", "x".repeat(100_000));
        command
    };
    let (size, used) = stack_under(MIB, &mut loaded());
    assert!(used && (512 << 10..=1 << 20).contains(&size), "{size}");
    assert!(!stack_under(MIB, loaded().env("BEYOND", "150000")).1, "the control");
}

/// Its process has one thread, and runs on that thread's stack.
fn a_fork_of_a_thread_ends_with_that_threads_stack() {
    let in_a_fork = || {
        assert!(support::returns_in_a_fork(|| {
            derived::nesting_without_limit();
            plain::nesting_without_limit();
        }));
        assert!(!support::returns_in_a_fork(|| assert!(bench::stack_end() == 0)), "the control");
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(in_a_fork).unwrap().join().unwrap();
}

fn a_stack_that_cannot_be_asked_about_is_taken_to_be_small() {
    support::forbid(libc::SYS_prlimit64, libc::EPERM);
    let here = 0_u8;
    let left = (&raw const here).addr() - bench::stack_end();
    assert!((20 << 10..30 << 10).contains(&left), "{left}");
    // Which is enough for something that is not nested.
    assert!(receive::<u64>(&[7, 0, 0, 0, 0, 0, 0, 0], Limits::new()).is_ok());
}

/// Whatever went over a channel, it holds a few words; what a thread keeps is one buffer, and the process one for the last very large message.
fn idle_channels_hold_nothing() {
    const COUNT: usize = 1000;
    let sizes = [10, 100_000, 4 << 20, 5 << 20, 20 << 20];
    let before = Heap::live();
    let channels: Vec<_> = (0..COUNT).map(|_| breezeway::Channel::<String>::pair().unwrap()).collect();
    let made = Heap::live() - before;
    assert!(made / COUNT < 1000, "{made} bytes in {COUNT} channels");
    for (index, (near, far)) in channels.iter().enumerate() {
        let size = if index < 50 { sizes[index % sizes.len()] } else { 10 };
        near.send("x".repeat(size)).unwrap();
        assert_eq!(far.recv().unwrap().len(), size);
    }
    let held = Heap::live() - before - made;
    assert!(held < (10 << 20) + (21 << 20), "{held} bytes are held beside the channels");
}

/// What the other tests rely on: the allocator counts, the address space is limited, a thread has the stack it was given.
fn the_controls_notice() {
    let (kept, peak) = Heap::peak(|| {
        drop(Vec::<u8>::with_capacity(1 << 20));
        vec![0_u8; 1000]
    });
    assert!((1 << 20..(1 << 20) + 4096).contains(&peak), "{peak}");
    drop(kept);
    on_every_stack(|| assert!(Vec::<u8>::new().try_reserve_exact(1 << 30).is_err(), "no GiB in 256 MiB"));
    // What a decoder without bounds would do.
    let (length, body) = (1_u64 << 20, claim(1 << 20, 0));
    let (list, peak) = Heap::peak(|| bincode::serde::decode_from_slice::<LinkedList<()>, _>(&body, bincode::config::legacy()).unwrap().0);
    assert_eq!(list.len() as u64, length);
    assert!(peak > bound(&body, &Limits::new()));
}

//! A peer in Python, written from `docs/wire-format.md` alone (`tests/peers/peer.py`), is understood and understands. Skipped, and says
//! so, where there is no `python3`.

mod support;

use breezeway::testing::{FdLedger, RawPeer, batch_packet, packet};
use breezeway::{Bytes, Channel, Message};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use support::some_file;

fn main() -> ExitCode {
    // `match` came with Python 3.10.
    let version = Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).status();
    if !version.is_ok_and(|status| status.success()) {
        println!("skipped: python_peer: there is no python3 of 3.10 or later");
        return ExitCode::SUCCESS;
    }
    support::main(&[("questions_are_answered", questions_are_answered), ("violations_are_named", violations_are_named)])
}

#[derive(Message)]
enum Question {
    Sum(Vec<u32>, i64, f64),
    Text(String, char, Option<String>),
    Read { name: PathBuf, file: File },
    Double(Bytes, Bytes),
    Swap(BTreeMap<String, i64>),
    Open(PathBuf),
}

#[derive(Message, Debug)]
enum Answer {
    Sum(u64, f64),
    Text(String, char, Option<String>),
    Contents(Bytes),
    Doubled(Bytes, Bytes),
    Swapped(BTreeMap<i64, String>),
    Opened(bool, File),
    Refused(String),
}

/// The peer, with this as its channel.
fn start(channel: OwnedFd) -> Child {
    Command::new("python3").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/peer.py")).stdin(Stdio::from(channel)).spawn().unwrap()
}

fn questions_are_answered() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = Channel::<Question, Answer>::pair().unwrap();
    let mut peer = start(theirs.try_into().unwrap());
    let ask = |question: Question| {
        ours.send(question).unwrap();
        ours.recv().unwrap()
    };
    assert!(matches!(ask(Question::Sum((0..1000).collect(), -500, 0.5)), Answer::Sum(499_000, real) if real == -0.5));
    // Several questions in one packet, and their answers.
    let sums = ours.send_all((1..=100).map(|number| Question::Sum(vec![number], 0, 0.0))).unwrap();
    assert_eq!(sums, 100);
    assert!((1..=100).all(|number| matches!(ours.recv().unwrap(), Answer::Sum(sum, _) if sum == number)));
    match ask(Question::Text("né€😀".into(), 'é', Some("two".into()))) {
        Answer::Text(text, letter, maybe) => assert_eq!((text.as_str(), letter, maybe.as_deref()), ("😀€én", 'É', Some("twotwo"))),
        answer => panic!("{answer:?}"),
    }
    assert!(matches!(ask(Question::Text(String::new(), 'é', None)), Answer::Text(text, 'É', None) if text.is_empty()));
    let mut text = b"some name:".to_vec();
    some_file().read_to_end(&mut text).unwrap();
    assert!(matches!(ask(Question::Read { name: "some name".into(), file: some_file() }), Answer::Contents(bytes) if bytes == text));
    for (one, other) in [(0, 5), (2048, 4095), (4096, 2047), (100_000, 1_000_000)] {
        match ask(Question::Double(vec![1; one].into(), vec![2; other].into())) {
            Answer::Doubled(first, second) => assert_eq!((first, second), (vec![1; 2 * one].into(), vec![2; 2 * other].into())),
            answer => panic!("{answer:?}"),
        }
    }
    let pairs = [("a", 3), ("b", -7), ("c", 0)];
    match ask(Question::Swap(pairs.map(|(key, value)| (key.to_owned(), value)).into())) {
        Answer::Swapped(swapped) => assert_eq!(swapped, pairs.map(|(key, value)| (value, key.to_owned())).into()),
        answer => panic!("{answer:?}"),
    }
    match ask(Question::Open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into())) {
        Answer::Opened(true, mut file) => {
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            file.read_to_end(&mut theirs).unwrap();
            some_file().read_to_end(&mut ours).unwrap();
            assert_eq!(theirs, ours);
        }
        answer => panic!("{answer:?}"),
    }
    drop(ours);
    assert!(peer.wait().unwrap().success());
}

/// The specification is read in the same way on both sides.
fn violations_are_named() {
    let _ledger = FdLedger::open().unwrap();
    let (raw, theirs) = RawPeer::of_channel::<Answer, Question>().unwrap();
    let answers = Channel::<Question, Answer>::try_from(raw.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let mut peer = start(theirs.try_into().unwrap());
    let file = some_file();
    let refused = |bytes: &[u8], descriptors: usize, name: &str| {
        raw.send(bytes, &vec![file.as_fd(); descriptors]).unwrap();
        match answers.recv() {
            Ok(Answer::Refused(found)) => assert_eq!(found, name),
            answer => panic!("{answer:?} instead of {name}"),
        }
        answers.send(Question::Sum(vec![1], 2, 0.0)).unwrap();
        assert!(matches!(answers.recv().unwrap(), Answer::Sum(3, _)), "after {name}");
    };
    let text = [[1, 0, 0, 0].as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0, b'x'], "é".as_bytes(), &[0]].concat();
    let good = packet(&text, &[], 0);
    let with = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        bytes
    };
    refused(&good[..15], 1, "ShortHeader");
    refused(&with(0, 2), 0, "Version");
    refused(&with(1, 0), 1, "Kind");
    refused(&with(3, 1), 0, "Flags");
    refused(&with(6, 65), 0, "BlobCount");
    refused(&with(4, 2), 1, "DescriptorCount");
    refused(&batch_packet(&[]), 0, "EmptyBatch");
    let mut batch = batch_packet(&[&text]);
    batch[16] += 1;
    refused(&batch, 0, "ShortFrame");
    refused(&batch_packet(&[&text[..3]]), 0, "Truncated");
    batch[4] = 1;
    refused(&batch, 1, "NotAlone");
    refused(&good, 3, "DescriptorCount");
    refused(&good[..good.len() - 1], 0, "ShortBody");
    refused(&[good.as_slice(), &[0]].concat(), 0, "LongBody");
    refused(&with(15, 0xff), 0, "ShortBody");
    refused(&with(16, 9), 0, "Invalid");
    refused(&with(20, 200), 0, "Truncated");
    refused(&with(27, 0x80), 0, "Truncated");
    refused(&with(28, 0xff), 0, "Invalid");
    refused(&with(29, 0x80), 0, "Invalid");
    refused(&with(31, 2), 0, "Invalid");
    refused(&packet(&[text.as_slice(), &[0]].concat(), &[], 0), 0, "TrailingBytes");
    refused(&packet(&text, &[], 2), 2, "DescriptorsUnused");
    refused(&packet(&text, &[b"a"], 0), 0, "BlobsUnused");
    let read = |index: u8| packet(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index, 0, 0, 0], &[], 1);
    refused(&read(1), 1, "DescriptorIndex");
    let double = |one: u8, other: u8| packet(&[3, 0, 0, 0, one, 0, 0, 0, other, 0, 0, 0], &[b"a", b"b"], 0);
    refused(&double(0, 2), 0, "BlobIndex");
    refused(&double(1, 1), 0, "BlobTwice");
    raw.send(&double(1, 0), &[]).unwrap();
    assert!(matches!(answers.recv().unwrap(), Answer::Doubled(one, other) if one == b"bb"[..] && other == b"aa"[..]));
    drop((raw, answers));
    assert!(peer.wait().unwrap().success());
}

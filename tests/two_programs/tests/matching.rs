//! Two programs that declare the same messages, each in its own way, talk.

use breezeway::process::{CommandExt, Outcome};
use breezeway::testing::FdLedger;
use breezeway::{Bytes, Channel, Message, Sender, channel};
use std::ffi::OsString;
use std::fs::File;
use std::process::{Command, Stdio};

#[derive(Message)]
enum Job {
    #[serde(rename = "read")]
    Read { name: OsString, file: Option<File> },
    #[serde(rename = "echo")]
    Send(Bytes),
    #[serde(rename = "count")]
    Count {
        to: u32,
        #[serde(rename = "sink")]
        numbers: Sender<u32>,
    },
    #[serde(rename = "talk")]
    Talk(Box<Channel<String, String>>),
}

#[derive(Message, Debug, PartialEq)]
enum Report {
    Length(u64),
    Echo(Bytes),
    Done,
}

#[test]
fn matching_types_from_different_sources_talk() {
    let _ledger = FdLedger::open().unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_two-programs"));
    let worker = worker.arg("matching").stdout(Stdio::null()).spawn_with_channel::<Job, Report>().unwrap();
    let file = File::open("Cargo.toml").unwrap();
    let length = file.metadata().unwrap().len();
    worker.send(Job::Read { name: "four".into(), file: Some(file) }).unwrap();
    assert_eq!(worker.recv().unwrap(), Report::Length(length + 4));
    for size in [0, 100, 100_000] {
        worker.send(Job::Send(vec![7; size].into())).unwrap();
        assert_eq!(worker.recv().unwrap(), Report::Echo(vec![7; size].into()));
    }
    let (numbers, received) = channel().unwrap();
    worker.send(Job::Count { to: 1000, numbers }).unwrap();
    assert_eq!(received.iter().map(Result::unwrap).collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    assert_eq!(worker.recv().unwrap(), Report::Done);
    let (ours, theirs) = Channel::pair().unwrap();
    worker.send(Job::Talk(theirs.into())).unwrap();
    ours.send("loud".into()).unwrap();
    assert_eq!(ours.recv().unwrap(), "LOUD");
    assert_eq!(worker.recv().unwrap(), Report::Done);
    assert_eq!(worker.wait().unwrap(), Outcome::Exited(0));
}

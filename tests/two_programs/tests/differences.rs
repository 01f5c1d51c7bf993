//! Where two programs mean different messages, both say so, and name the first difference.

use breezeway::process::CommandExt;
use breezeway::testing::FdLedger;
use breezeway::{HelloError, Message, RecvError, SendFault, Sender, TypeMismatch};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

/// What this side and the worker say; `None` where nothing differs.
type Said = Option<(String, String)>;

fn differ<S: Message, R: Message>(case: &str) -> Said {
    let mut worker =
        Command::new(env!("CARGO_BIN_EXE_two-programs")).arg(case).stdout(Stdio::piped()).spawn_with_channel::<S, R>().unwrap();
    let here = match worker.recv() {
        Err(RecvError::Fault(fault)) => fault.to_string(),
        Err(RecvError::Closed) => String::new(),
        Ok(_) => panic!("{case}: no worker sends anything"),
    };
    if !here.is_empty() {
        assert!(worker.recv().is_err_and(|error| error.is_closed()), "{case}: told once, and then the end");
    }
    let mut there = String::new();
    worker.take_stdout().unwrap().read_to_string(&mut there).unwrap();
    let _ = worker.wait().unwrap();
    let there = there.trim_end().to_owned();
    if here.is_empty() && there == "no difference" { None } else { Some((here, there)) }
}

/// Declares each case's types as this program has them, with where they differ from the worker's, as each side says it.
macro_rules! cases {
    ($($case:ident { $($item:item)+ } $subject:literal $direction:ident: $here:literal, $there:literal;)+) => {
        $(mod $case {
            #[allow(unused_imports, reason = "each case uses what it needs")]
            use super::*;
            $(#[derive(Message)] #[allow(dead_code, reason = "only their schemas are of interest")] $item)+
        })+

        fn all() -> Vec<(&'static str, Said, Said)> {
            vec![$((stringify!($case), differ::<$case::Job, $case::Report>(stringify!($case)), expected::$direction($subject, $here, $there))),+]
        }
    };
}

/// Whole sentences around what differs.
mod expected {
    use super::Said;

    fn sentence(subject: &str, ours: &str, theirs: &str, difference: &str) -> String {
        format!("`{subject}` as it is {ours} here is not `{subject}` as it is {theirs} there: {difference}")
    }

    pub(super) fn sent(subject: &str, here: &str, there: &str) -> Said {
        Some((sentence(subject, "sent", "received", here), sentence(subject, "received", "sent", there)))
    }

    pub(super) fn received(subject: &str, here: &str, there: &str) -> Said {
        Some((sentence(subject, "received", "sent", here), sentence(subject, "sent", "received", there)))
    }

    /// Where both types differ, each side names the one that it sends.
    pub(super) fn both(subject: &str, here: &str, there: &str) -> Said {
        let (ours, theirs) = subject.split_once('/').unwrap();
        let here = format!("{}; and `{theirs}` differs too", sentence(ours, "sent", "received", here));
        let there = format!("{}; and `{ours}` differs too", sentence(theirs, "sent", "received", there));
        Some((here, there))
    }
}

cases! {
    field_type { pub(crate) enum Job { Scan { name: String, file: File }, Stop } pub(crate) struct Report(u64); }
        "Job" sent: "Job::Scan.name: String here, Vec<u8> there", "Job::Scan.name: Vec<u8> here, String there";
    field_name { pub(crate) struct Job { id: u32, name: String } pub(crate) struct Report(u64); }
        "Job" sent: "Job: field name here, field title there", "Job: field title here, field name there";
    field_added { pub(crate) struct Job { id: u32, name: String } pub(crate) struct Report(u64); }
        "Job" sent: "Job.size: absent here, u64 there", "Job.size: u64 here, absent there";
    field_removed { pub(crate) struct Job { id: u32, name: String } pub(crate) struct Report(u64); }
        "Job" sent: "Job.name: String here, absent there", "Job.name: absent here, String there";
    fields_reordered { pub(crate) struct Job { id: u32, name: String } pub(crate) struct Report(u64); }
        "Job" sent: "Job.id: field 0 here, field 1 there", "Job.name: field 0 here, field 1 there";
    tuple_longer { pub(crate) struct Job(u8, u16); pub(crate) struct Report(u64); }
        "Job" sent: "Job: (u8, u16) here, (u8, u16, u32) there", "Job: (u8, u16, u32) here, (u8, u16) there";
    variant_name { pub(crate) enum Job { Stop, Scan } pub(crate) struct Report(u64); }
        "Job" sent: "Job: variant Stop here, variant Halt there", "Job: variant Halt here, variant Stop there";
    variant_added { pub(crate) enum Job { Stop, Scan } pub(crate) struct Report(u64); }
        "Job" sent: "Job::Pause: absent here, variant 2 there", "Job::Pause: variant 2 here, absent there";
    variants_reordered { pub(crate) enum Job { Stop, Scan } pub(crate) struct Report(u64); }
        "Job" sent: "Job::Stop: variant 0 here, variant 1 there", "Job::Scan: variant 0 here, variant 1 there";
    variant_shape { pub(crate) enum Job { Scan(String), Stop } pub(crate) struct Report(u64); }
        "Job" sent: "Job::Scan: (String) here, { name: String } there", "Job::Scan: { name: String } here, (String) there";
    variant_field { pub(crate) enum Job { Scan { from: u32, to: u32 } } pub(crate) struct Report(u64); }
        "Job" sent: "Job::Scan.to: u32 here, i64 there", "Job::Scan.to: i64 here, u32 there";
    nested { pub(crate) struct Job { parts: Vec<Option<Part>> } pub(crate) struct Part { place: Place } pub(crate) struct Place { x: i64, y: f64 } pub(crate) struct Report(u64); }
        "Job" sent: "Job.parts[]?.place.y: f64 here, f32 there", "Job.parts[]?.place.y: f32 here, f64 there";
    generic { pub(crate) struct Job { pair: Pair<u8, u16> } pub(crate) struct Pair<A, B> { a: A, b: B } pub(crate) struct Report(u64); }
        "Job" sent: "Job.pair.b: u16 here, i16 there", "Job.pair.b: i16 here, u16 there";
    recursive { pub(crate) struct Job { next: Option<Box<Job>>, weight: u32 } pub(crate) struct Report(u64); }
        "Job" sent: "Job.weight: u32 here, i32 there", "Job.weight: i32 here, u32 there";
    map { pub(crate) struct Job { names: HashMap<String, u32> } pub(crate) struct Report(u64); }
        "Job" sent: "Job.names: HashMap<String, u32> here, HashMap<String, u64> there", "Job.names: HashMap<String, u64> here, HashMap<String, u32> there";
    map_kind { pub(crate) struct Job { names: HashMap<String, u32> } pub(crate) struct Report(u64); }
        "Job" sent: "Job.names: HashMap<String, u32> here, BTreeMap<String, u32> there", "Job.names: BTreeMap<String, u32> here, HashMap<String, u32> there";
    array { pub(crate) struct Job { bytes: [u8; 32] } pub(crate) struct Report(u64); }
        "Job" sent: "Job.bytes: [u8; 32] here, [u8; 16] there", "Job.bytes: [u8; 16] here, [u8; 32] there";
    descriptor { pub(crate) struct Job { source: File } pub(crate) struct Report(u64); }
        "Job" sent: "Job.source: File here, TcpStream there", "Job.source: TcpStream here, File there";
    end_of_a_channel { pub(crate) struct Job { answers: Sender<String> } pub(crate) struct Report(u64); }
        "Job" sent: "Job.answers: Sender<String> here, Sender<Vec<u8>> there", "Job.answers: Sender<Vec<u8>> here, Sender<String> there";
    end_kind { pub(crate) struct Job { answers: Sender<String> } pub(crate) struct Report(u64); }
        "Job" sent: "Job.answers: Sender<String> here, Receiver<String> there", "Job.answers: Receiver<String> here, Sender<String> there";
    opaque { pub(crate) struct Job { #[message(opaque = "v1")] version: String } pub(crate) struct Report(u64); }
        "Job" sent: "Job.version: opaque \"v1\" here, opaque \"v2\" there", "Job.version: opaque \"v2\" here, opaque \"v1\" there";
    received { pub(crate) struct Job(u8); pub(crate) enum Report { Lines(u64), Failed(String) } }
        "Report" received: "Report::Lines.0: u64 here, u32 there", "Report::Lines.0: u32 here, u64 there";
    other_type { pub(crate) struct Job(u64); pub(crate) struct Report(u64); }
        "Job" sent: "Job: u64 here, struct Task there", "Job: struct Task here, u64 there";
    both { pub(crate) struct Job(u8); pub(crate) struct Report(u64); }
        "Job/Report" both: "Job: u8 here, i8 there", "Report: i64 here, u64 there";
}

#[test]
fn each_difference_is_named_on_both_sides() {
    let _ledger = FdLedger::open().unwrap();
    let cases = all();
    assert!(cases.len() >= 20);
    for (case, found, expected) in cases {
        assert_eq!(found, expected, "{case}");
    }
    // The control: these differ in nothing.
    assert_eq!(
        differ::<array::Report, u32>("answer").map(|said| said.0),
        Some("`Report` as it is sent here is not `Vec8` as it is received there: Report: u64 here, Vec<u8> there".to_owned())
    );

    #[derive(Message)]
    struct Bytes(#[allow(dead_code, reason = "only its schema is of interest")] Vec<u8>);
    assert_eq!(differ::<Bytes, u32>("answer"), None);

    // Who only sends learns of it by sending.
    let worker =
        Command::new(env!("CARGO_BIN_EXE_two-programs")).arg("nested").stdout(Stdio::null()).spawn_with_channel::<u32, u64>().unwrap();
    let mismatch: Box<TypeMismatch> = loop {
        match worker.send(7) {
            Ok(()) => std::thread::yield_now(),
            Err(error) => match error.fault() {
                Some(SendFault::Hello(HelloError::Types(mismatch))) => break mismatch.clone(),
                _ => panic!("{error}"),
            },
        }
    };
    assert_eq!((mismatch.here.as_str(), mismatch.there.as_str(), mismatch.sent), ("u32", "Job", true));
    assert_eq!(mismatch.fingerprints.0, u32::fingerprint());
    let _ = worker.wait().unwrap();
}

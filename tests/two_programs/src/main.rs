//! The worker: takes its end with the types of one case, declared here, and says on stdout how that went. `tests/` has the parent's types.

use breezeway::process::inherited;
use breezeway::protocol::ServiceEnd;
use breezeway::{Bytes, Channel, Message, Receiver, Sender};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;

/// Declares each case's types, and finds a case by its name.
macro_rules! cases {
    ($($case:ident { $($item:item)+ })+) => {
        $(mod $case {
            #[allow(unused_imports, reason = "each case uses what it needs")]
            use super::*;
            $(#[derive(Message)] #[allow(dead_code, reason = "only their schemas are of interest")] $item)+
        })+

        /// Takes the end as the case has its types; what came of it.
        fn meet(case: &str) -> Result<(), String> {
            match case {
                $(stringify!($case) => inherited::<$case::Report, $case::Job>().map(drop).map_err(|error| error.to_string()),)+
                "matching" => matching::work().map_err(|error| error.to_string()),
                "answer" => inherited::<u32, Vec8>().map(drop).map_err(|error| error.to_string()),
                other => Err(format!("no case is called {other}")),
            }
        }
    };
}

#[derive(Message)]
struct Vec8(#[allow(dead_code, reason = "as above")] Vec<u8>);

cases! {
    field_type { pub(crate) enum Job { Scan { name: Vec<u8>, file: File }, Stop } pub(crate) struct Report(u64); }
    field_name { pub(crate) struct Job { id: u32, title: String } pub(crate) struct Report(u64); }
    field_added { pub(crate) struct Job { id: u32, name: String, size: u64 } pub(crate) struct Report(u64); }
    field_removed { pub(crate) struct Job { id: u32 } pub(crate) struct Report(u64); }
    fields_reordered { pub(crate) struct Job { name: String, id: u32 } pub(crate) struct Report(u64); }
    tuple_longer { pub(crate) struct Job(u8, u16, u32); pub(crate) struct Report(u64); }
    variant_name { pub(crate) enum Job { Halt, Scan } pub(crate) struct Report(u64); }
    variant_added { pub(crate) enum Job { Stop, Scan, Pause } pub(crate) struct Report(u64); }
    variants_reordered { pub(crate) enum Job { Scan, Stop } pub(crate) struct Report(u64); }
    variant_shape { pub(crate) enum Job { Scan { name: String }, Stop } pub(crate) struct Report(u64); }
    variant_field { pub(crate) enum Job { Scan { from: u32, to: i64 } } pub(crate) struct Report(u64); }
    nested { pub(crate) struct Job { parts: Vec<Option<Part>> } pub(crate) struct Part { place: Place } pub(crate) struct Place { x: i64, y: f32 } pub(crate) struct Report(u64); }
    generic { pub(crate) struct Job { pair: Pair<u8, i16> } pub(crate) struct Pair<A, B> { a: A, b: B } pub(crate) struct Report(u64); }
    recursive { pub(crate) struct Job { next: Option<Box<Job>>, weight: i32 } pub(crate) struct Report(u64); }
    map { pub(crate) struct Job { names: HashMap<String, u64> } pub(crate) struct Report(u64); }
    map_kind { pub(crate) struct Job { names: BTreeMap<String, u32> } pub(crate) struct Report(u64); }
    array { pub(crate) struct Job { bytes: [u8; 16] } pub(crate) struct Report(u64); }
    descriptor { pub(crate) struct Job { source: TcpStream } pub(crate) struct Report(u64); }
    end_of_a_channel { pub(crate) struct Job { answers: Sender<Vec<u8>> } pub(crate) struct Report(u64); }
    end_kind { pub(crate) struct Job { answers: Receiver<String> } pub(crate) struct Report(u64); }
    opaque { pub(crate) struct Job { #[message(opaque = "v2")] version: String } pub(crate) struct Report(u64); }
    received { pub(crate) struct Job(u8); pub(crate) enum Report { Lines(u32), Failed(String) } }
    other_type { pub(crate) struct Task { id: u32 } pub(crate) struct Job(Task); pub(crate) struct Report(u64); }
    both { pub(crate) struct Job(i8); pub(crate) struct Report(i64); }
}

/// Types that are other sources of the same: what differs does not count.
mod matching {
    use super::*;

    /// A name in the file system.
    type Name = PathBuf;

    /// Something to do.
    #[derive(Message)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Task<N = Name> {
        /// To be read.
        Read {
            name: N,
            file: Option<Box<File>>,
        },
        /// To be sent back.
        Echo(Wrapped),
        /// An end to send numbers on.
        Count {
            to: u32,
            sink: Sender<u32>,
        },
        Talk(Channel<String, String>),
    }

    #[derive(Message)]
    pub(crate) struct Wrapped(Bytes);

    #[derive(Message)]
    pub(crate) enum Answer {
        Length(usize),
        Echo(Bytes),
        #[serde(rename = "Done")]
        Finished,
    }

    pub(crate) fn work() -> std::io::Result<()> {
        let parent = inherited::<Answer, Task>()?;
        for task in &parent {
            parent.send(match task? {
                Task::Read { name, file } => {
                    let length = file.map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
                    Answer::Length(length as usize + name.as_os_str().len())
                }
                Task::Echo(Wrapped(bytes)) => Answer::Echo(bytes),
                Task::Count { to, sink } => {
                    (0..to).try_for_each(|number| sink.send(number))?;
                    Answer::Finished
                }
                Task::Talk(channel) => {
                    channel.send(channel.recv()?.to_uppercase())?;
                    Answer::Finished
                }
            })?;
        }
        Ok(())
    }
}

/// Declares a protocol as this program has it in each case, and takes the end that serves it.
macro_rules! protocols {
    ($($case:ident { $($item:item)+ })+) => {
        $(mod $case { $($item)+ })+

        fn serve(case: &str) -> Option<Result<(), String>> {
            match case {
                $(stringify!($case) => {
                    let end = inherited().map(|end: ServiceEnd<$case::Store>| drop(end));
                    Some(end.map_err(|error| error.to_string()))
                })+
                _ => None,
            }
        }
    };
}

protocols! {
    method_absent {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u64; }
    }
    method_added {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u64; #[oneway] fn note(line: String); }
    }
    method_renamed {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u64; fn remove(key: String); }
    }
    methods_reordered {
        #[breezeway::protocol]
        pub(super) trait Store { fn set(key: String, value: u64); fn get(key: String) -> u64; }
    }
    argument_added {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String, version: u32) -> u64; }
    }
    argument_type {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: Vec<u8>) -> u64; }
    }
    argument_part {
        #[derive(breezeway::Message)]
        pub(super) struct Key { name: String, part: i32 }
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: Key) -> u64; }
    }
    result_type {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u32; }
    }
    error_type {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> Result<u64, u8>; }
    }
    stream_type {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u64; fn watch() -> breezeway::protocol::Stream<u32>; }
    }
    oneway_added {
        #[breezeway::protocol]
        pub(super) trait Store { fn get(key: String) -> u64; #[oneway] fn note(line: String); }
    }
    answer_later {
        #[breezeway::protocol]
        pub(super) trait Store { #[later] fn get(key: String) -> u64; }
    }
}

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    match serve(&case).unwrap_or_else(|| meet(&case)) {
        Ok(()) => println!("no difference"),
        Err(error) => println!("{error}"),
    }
}

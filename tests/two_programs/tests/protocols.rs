//! Where two programs mean different methods, both say so, and name the first that differs.

use breezeway::process::CommandExt;
use breezeway::protocol::CallError;
use breezeway::testing::FdLedger;
use std::error::Error;
use std::io::Read;
use std::process::{Command, Stdio};

/// Declares a protocol as this program has it in each case; calls it; and compares what both sides say.
macro_rules! cases {
    ($($case:ident { $($item:item)+ } ($argument:expr) $here:literal, $there:literal;)+) => {
        $(mod $case { $($item)+ })+

        fn all() -> Vec<(&'static str, Said, Said)> {
            vec![$((stringify!($case), {
                let mut worker = worker(stringify!($case)).spawn_with_channel().unwrap();
                let mut stdout = worker.take_stdout().unwrap();
                let (channel, mut process) = worker.into_parts();
                let client = $case::StoreClient::new(channel);
                let call = || client.get($argument).err().filter(|error| !error.is_closed()).map(last).unwrap_or_default();
                let here = call();
                assert_eq!(call(), here, "whoever calls later is told the same");
                let mut there = String::new();
                stdout.read_to_string(&mut there).unwrap();
                let _ = process.wait().unwrap();
                Said(here, there.trim_end().to_owned())
            }, Said($here.to_owned(), $there.to_owned()))),+]
        }
    };
}

#[derive(Debug, PartialEq)]
struct Said(String, String);

fn worker(case: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_two-programs"));
    command.arg(case).stdout(Stdio::piped());
    command
}

/// What lies behind an error, in its own words.
fn last(error: CallError<impl std::fmt::Debug + std::fmt::Display + 'static>) -> String {
    let mut source = error.source();
    let mut text = error.to_string();
    while let Some(error) = source {
        (text, source) = (error.to_string(), error.source());
    }
    text
}

cases! {
    method_absent { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; fn set(key: String, value: u64); } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::set: variant 1 here, absent there; and `StoreReply` differs too",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::set: absent here, variant 1 there; and `StoreRequest` differs too";
    method_added { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::note: absent here, variant 1 there",
        "`StoreRequest` as it is received here is not `StoreRequest` as it is sent there: StoreRequest::note: variant 1 here, absent there";
    method_renamed { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; fn delete(key: String); } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest: variant delete here, variant remove there; and `StoreReply` differs too",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply: variant remove here, variant delete there; and `StoreRequest` differs too";
    methods_reordered { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; fn set(key: String, value: u64); } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::get: variant 0 here, variant 1 there; and `StoreReply` differs too",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::set: variant 0 here, variant 1 there; and `StoreRequest` differs too";
    argument_added { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::get.version: absent here, u32 there",
        "`StoreRequest` as it is received here is not `StoreRequest` as it is sent there: StoreRequest::get.version: u32 here, absent there";
    argument_type { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; } } ("a".into())
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::get.key: String here, Vec<u8> there",
        "`StoreRequest` as it is received here is not `StoreRequest` as it is sent there: StoreRequest::get.key: Vec<u8> here, String there";
    argument_part { #[derive(breezeway::Message)] pub(super) struct Key { pub(super) name: String, pub(super) part: u32 } #[breezeway::protocol] pub(super) trait Store { fn get(key: Key) -> u64; } } (argument_part::Key { name: "a".into(), part: 1 })
        "`StoreRequest` as it is sent here is not `StoreRequest` as it is received there: StoreRequest::get.key.part: u32 here, i32 there",
        "`StoreRequest` as it is received here is not `StoreRequest` as it is sent there: StoreRequest::get.key.part: i32 here, u32 there";
    result_type { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; } } ("a".into())
        "`StoreReply` as it is received here is not `StoreReply` as it is sent there: StoreReply::get.0: u64 here, u32 there",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::get.0: u32 here, u64 there";
    error_type { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> Result<u64, String>; } } ("a".into())
        "`StoreReply` as it is received here is not `StoreReply` as it is sent there: StoreReply::get.0: Result<u64, String> here, Result<u64, u8> there",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::get.0: Result<u64, u8> here, Result<u64, String> there";
    stream_type { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; fn watch() -> breezeway::protocol::Stream<u64>; } } ("a".into())
        "`StoreReply` as it is received here is not `StoreReply` as it is sent there: StoreReply::watch.0<received>::next.0: u64 here, u32 there",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::watch.0<received>::next.0: u32 here, u64 there";
    oneway_added { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; fn note(line: String); } } ("a".into())
        "`StoreReply` as it is received here is not `StoreReply` as it is sent there: StoreReply::note: variant 1 here, absent there",
        "`StoreReply` as it is sent here is not `StoreReply` as it is received there: StoreReply::note: absent here, variant 1 there";
    answer_later { #[breezeway::protocol] pub(super) trait Store { fn get(key: String) -> u64; } } ("a".into())
        "",
        "no difference";
}

#[test]
fn a_method_that_differs_is_named_on_both_sides() {
    let _ledger = FdLedger::open().unwrap();
    // The last differs in nothing that travels: the control.
    for (case, found, expected) in all() {
        assert_eq!(found, expected, "{case}");
    }
}

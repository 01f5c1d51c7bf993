//! Run it: `cargo run --example key_value [--clients N] [--help]`
//!
//! A store in a process of its own, and client processes that share it: values as bytes, values as files, and a stream of what changes.

use breezeway::process::ForkedProcess;
use breezeway::protocol::{self, Call, CallError, Clients, Feed, ServiceEnd, Stream};
use breezeway::{Bytes, Message};
use lexopt::{Arg, ValueExt};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const HELP: &str = "\
A key-value store in one process, and several client processes.

Usage: key_value [--clients N]

  --clients N  how many client processes there are, from 1 to 16 (default 3)
  -h, --help   this text
";

/// Where values are kept, by key.
#[breezeway::protocol]
trait Store {
    /// What is kept under a key.
    fn get(key: String) -> Option<Bytes>;
    /// Keeps a value, and gives the one that was there.
    fn set(key: String, value: Bytes) -> Option<Bytes>;
    /// What is kept under a key as a file, which only the caller has.
    fn open(key: String) -> Result<File, NotOpened>;
    /// Each key that is set from now on, if it begins like this.
    fn watch(prefix: String) -> Stream<String>;
    /// A line for the log.
    #[oneway]
    fn note(line: String);
    /// One more client.
    #[oneway]
    fn connect(client: ServiceEnd<Store>);
}

/// Why a value did not become a file.
#[derive(Message, Debug, thiserror::Error)]
enum NotOpened {
    #[error("there is no such key")]
    Missing,
    #[error("the file could not be made: {0}")]
    Failed(String),
}

/// The service.
struct Memory {
    clients: Clients<Store>,
    values: Mutex<BTreeMap<String, Bytes>>,
    watchers: Mutex<Vec<(String, Feed<String>)>>,
}

impl Memory {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<(String, Feed<String>)>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreService for Memory {
    fn get(&self, _: &Call, key: String) -> Option<Bytes> {
        self.values().get(&key).cloned()
    }

    fn set(&self, _: &Call, key: String, value: Bytes) -> Option<Bytes> {
        // A watcher that is gone, or that is so slow that there is no room, is not sent anything any more.
        self.watchers().retain(|(prefix, feed)| !key.starts_with(prefix) || feed.try_send(key.clone()).is_ok());
        self.values().insert(key, value)
    }

    fn open(&self, _: &Call, key: String) -> Result<File, NotOpened> {
        let value = self.values().get(&key).cloned().ok_or(NotOpened::Missing)?;
        let write = || {
            let mut file = tempfile::tempfile()?;
            file.write_all(&value)?;
            file.rewind()?;
            Ok(file)
        };
        write().map_err(|error: io::Error| NotOpened::Failed(error.to_string()))
    }

    fn watch(&self, _: &Call, prefix: String, feed: Feed<String>) {
        self.watchers().push((prefix, feed));
    }

    fn note(&self, call: &Call, line: String) {
        println!("store: client {}: {line}", call.client());
    }

    fn connect(&self, _: &Call, client: ServiceEnd<Store>) {
        // Given back only when nobody is served any more.
        drop(self.clients.add(client));
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let clients = match arguments() {
        Ok(Some(clients)) => clients,
        Ok(None) => {
            io::stdout().write_all(HELP.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            eprintln!("key_value: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };

    // It is a fork of this process, so it is made before there is anything to inherit.
    let (channel, mut keeper) = ForkedProcess::spawn(keep)?.into_parts();
    let store = StoreClient::new(channel).with_timeout(PATIENCE);
    let changes = store.watch("client".into())?;
    store.note("watching".into())?;

    for number in 1..=clients {
        let (client, end) = Store::pair()?;
        store.connect(end)?;
        // In turn, so that what they say comes in order.
        let client = ForkedProcess::<(), ()>::spawn(move |_| use_store(number, &client.with_timeout(PATIENCE)))?;
        let outcome = client.wait()?;
        if !outcome.success() {
            return Err(format!("client {number} {outcome}").into());
        }
    }

    for key in changes.take(clients) {
        println!("set: {}", key?);
    }
    // Its last client.
    drop(store);
    println!("the store {}", keeper.wait()?);
    Ok(ExitCode::SUCCESS)
}

/// More than any of this takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store's process: one loop for all clients, until the last of them is gone.
fn keep(parent: ServiceEnd<Store>) -> io::Result<()> {
    let (clients, arrivals) = protocol::clients();
    let memory = Memory { clients: clients.weak(), values: Mutex::default(), watchers: Mutex::default() };
    // Nothing has ended yet that could give it back.
    let _ = clients.add(parent);
    drop(clients);
    Ok(Store::server(memory).serve_all(arrivals)?)
}

/// A client's process.
fn use_store(number: usize, store: &StoreClient) -> Result<(), Box<dyn Error>> {
    let key = format!("client {number}");
    store.note("hello".into())?;
    assert_eq!(store.set(key.clone(), format!("kept for client {number}").into())?, None);
    let bytes = store.get(key.clone())?.ok_or("it was set")?;
    let mut text = String::new();
    store.open(key)?.read_to_string(&mut text)?;
    println!("client {number}: {} bytes, and as a file: {text}", bytes.len());

    match store.open("client 0".into()) {
        Err(CallError::Answer(NotOpened::Missing)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("a file of a key that is not there".into()),
    }
}

/// How many clients; `None` if the help is wanted.
fn arguments() -> Result<Option<usize>, lexopt::Error> {
    let mut clients = 3;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("clients") => {
                clients = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(count @ 1..=16) => Ok(count),
                    _ => Err("it is from 1 to 16"),
                })?
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(clients))
}

//! What a channel costs above the system calls that it makes: round trips, and messages one way, against `raw.rs` in turns.
//!
//! ```text
//! cargo bench --bench channel              # a table; about two minutes
//! cargo bench --bench channel -- --one-way # only messages one way
//! cargo bench --bench channel -- --json    # one JSON object a line
//! cargo bench --bench channel -- --quick   # does it run: numbers of no value
//! ```
//!
//! A round trip is one message there and back: each side sums what it received, writes every byte of it afresh, and sends it on. One way, messages
//! are made, sent, received and summed, and a turn ends when the last has been; raw sends them one by one. The two
//! contestants take turns within one run, a few milliseconds each, so that both see the same machine; times are medians, and the ratio
//! is the median of the turns' ratios, with the middle half of them as its spread.

mod raw;
mod turns;

use breezeway::process::ForkedProcess;
use breezeway::{__private::bench, Channel, Message, channel};
use std::hint::black_box;
use std::os::fd::AsFd;
use std::time::Duration;
use turns::{Compared, Result, Trips, Turns, machine};

#[derive(Message)]
struct Tiny {
    id: u64,
    value: u32,
}

#[derive(Message)]
enum Msg64 {
    Ping,
    Request { id: u64, name: String, tags: Vec<u32>, body: Vec<u8> },
}

#[derive(Message)]
struct Bulk {
    body: Vec<u8>,
}

/// A message, and the same bytes without a type.
trait Load: Message {
    const BODY: &'static str;
    /// Bytes of the encoded message.
    const SIZE: usize;

    fn new() -> Self;
    /// Writes every byte of it afresh.
    fn produce(&mut self, id: u64);
    fn sum(&self) -> u64;
    /// What ends a turn of messages one way.
    fn last() -> Self;
    fn is_last(&self) -> bool;

    fn produce_raw(id: u64, bytes: &mut [u8]) {
        bytes.fill(id as u8);
    }

    fn sum_raw(bytes: &[u8]) -> u64 {
        sum(bytes)
    }
}

impl Load for Tiny {
    const BODY: &'static str = "Tiny { u64, u32 }";
    const SIZE: usize = 12;

    fn new() -> Tiny {
        Tiny { id: 0, value: 0 }
    }

    fn produce(&mut self, id: u64) {
        *self = Tiny { id, value: id as u32 };
    }

    fn sum(&self) -> u64 {
        self.id + u64::from(self.value)
    }

    fn last() -> Tiny {
        Tiny { id: u64::MAX, value: 0 }
    }

    fn is_last(&self) -> bool {
        self.id == u64::MAX
    }
}

/// Eight bytes, which make a message of 64.
const NAME: &str = "notes.md";

impl Load for Msg64 {
    const BODY: &'static str = "enum: u64, String, Vec<u32>, Vec<u8>";
    const SIZE: usize = 64;

    fn new() -> Msg64 {
        Msg64::Request { id: 0, name: NAME.into(), tags: vec![0; 2], body: vec![0; 12] }
    }

    fn produce(&mut self, new: u64) {
        if let Msg64::Request { id, name, tags, body } = self {
            *id = new;
            name.clear();
            name.push_str(NAME);
            tags.fill(new as u32);
            body.fill(new as u8);
        }
    }

    fn sum(&self) -> u64 {
        match self {
            Msg64::Ping => 0,
            Msg64::Request { id, name, tags, body } => {
                id + sum(name.as_bytes()) + tags.iter().map(|&tag| u64::from(tag)).sum::<u64>() + sum(body)
            }
        }
    }

    fn last() -> Msg64 {
        Msg64::Ping
    }

    fn is_last(&self) -> bool {
        matches!(self, Msg64::Ping)
    }
}

impl Load for Bulk {
    const BODY: &'static str = "Vec<u8> of 64 KiB";
    const SIZE: usize = 8 + (64 << 10);

    fn new() -> Bulk {
        Bulk { body: vec![0; 64 << 10] }
    }

    fn produce(&mut self, id: u64) {
        self.body.fill(id as u8);
    }

    fn sum(&self) -> u64 {
        sum(&self.body)
    }

    fn last() -> Bulk {
        Bulk { body: Vec::new() }
    }

    fn is_last(&self) -> bool {
        self.body.is_empty()
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

fn same_thread<T: Load>() -> Result<[Trips; 2]> {
    let (near, far) = Channel::<T>::pair()?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let mut buffer = raw::Buffer::new();
    let raw = move |trips| {
        for id in 0..trips {
            for (from, to) in [(&raw_near, &raw_far), (&raw_far, &raw_near)] {
                send_raw::<T>(from, &mut buffer, id)?;
                black_box(receive_raw::<T>(to, &mut buffer)?);
            }
        }
        Ok(())
    };
    let ours = move |trips| {
        let mut message = T::new();
        for id in 0..trips {
            for (from, to) in [(&near, &far), (&far, &near)] {
                message.produce(id);
                from.send(message)?;
                message = to.recv()?;
                black_box(message.sum());
            }
        }
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

/// With the other end in a child process, pinned to a processor of its own or to the same.
fn two_processes<T: Load>(here: usize, there: usize) -> Result<[Trips; 2]> {
    // A plain channel: the one that comes with a child also watches whether the child lives. Both children are killed in the end.
    let (near, far) = Channel::<T>::pair()?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        for (id, message) in (0..).zip(&far) {
            let mut message = message?;
            black_box(message.sum());
            message.produce(id);
            far.send(message)?;
        }
        std::io::Result::Ok(())
    })?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let raw_child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        let mut buffer = raw::Buffer::new();
        for id in 0.. {
            if receive_raw::<T>(&raw_far, &mut buffer)?.is_none() {
                break;
            }
            send_raw::<T>(&raw_far, &mut buffer, id)?;
        }
        std::io::Result::Ok(())
    })?;
    raw::pin(here)?;
    let mut buffer = raw::Buffer::new();
    let raw = move |trips| {
        let _alive = &raw_child;
        for id in 0..trips {
            send_raw::<T>(&raw_near, &mut buffer, id)?;
            black_box(receive_raw::<T>(&raw_near, &mut buffer)?);
        }
        Ok(())
    };
    let ours = move |trips| {
        let _alive = &child;
        let mut message = T::new();
        for id in 0..trips {
            message.produce(id);
            near.send(message)?;
            message = near.recv()?;
            black_box(message.sum());
        }
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

/// How messages are sent one way, and received.
#[derive(Clone, Copy)]
enum Way {
    /// `send`, `recv`.
    Each,
    /// `send_all`, `recv_batch`.
    Batch,
    /// `BufferedSender::send`, `recv`.
    Buffered,
}

/// Messages to a child process on another processor, as many as can be. Raw sends each alone.
fn one_way<T: Load>(way: Way, here: usize, there: usize) -> Result<[Trips; 2]> {
    let (near, far) = channel::<T>()?;
    let (far_done, near_done) = channel::<u64>()?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| -> std::io::Result<()> {
        raw::pin(there)?;
        let (mut sum, mut messages) = (0_u64, Vec::new());
        let mut take = |message: T| {
            sum = sum.wrapping_add(message.sum());
            if message.is_last() { far_done.send(sum) } else { Ok(()) }
        };
        loop {
            match way {
                Way::Each | Way::Buffered => take(far.recv()?)?,
                Way::Batch => {
                    far.recv_batch(&mut messages, 1024)?;
                    messages.drain(..).try_for_each(&mut take)?;
                }
            }
        }
    })?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let raw_child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        let (mut sum, mut buffer) = (0_u64, raw::Buffer::new());
        while let Some(length) = raw_far.receive(&mut buffer)? {
            sum = sum.wrapping_add(T::sum_raw(buffer.body(length)));
            if length == 0 {
                raw_far.send(&mut buffer, 0)?;
            }
        }
        black_box(sum);
        std::io::Result::Ok(())
    })?;
    raw::pin(here)?;
    let mut buffer = raw::Buffer::new();
    let raw = move |count| {
        let _alive = &raw_child;
        (0..count).try_for_each(|id| send_raw::<T>(&raw_near, &mut buffer, id))?;
        raw_near.send(&mut buffer, 0)?;
        raw_near.receive(&mut buffer)?;
        Ok(())
    };
    let ours = move |count| {
        let _alive = &child;
        let mut messages = (0..count).map(|id| {
            let mut message = T::new();
            message.produce(id);
            message
        });
        match way {
            Way::Each => messages.try_for_each(|message| near.send(message).map_err(|error| error.without_message()))?,
            Way::Batch => _ = near.send_all(messages).map_err(|error| error.source)?,
            Way::Buffered => {
                let mut buffered = near.buffered();
                messages.try_for_each(|message| buffered.send(message).map_err(|error| error.without_message()))?;
            }
        }
        near.send(T::last()).map_err(|error| error.without_message())?;
        black_box(near_done.recv()?);
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

fn send_raw<T: Load>(socket: &raw::Socket, buffer: &mut raw::Buffer, id: u64) -> std::io::Result<()> {
    T::produce_raw(id, buffer.body(T::SIZE));
    socket.send(buffer, T::SIZE)
}

fn receive_raw<T: Load>(socket: &raw::Socket, buffer: &mut raw::Buffer) -> std::io::Result<Option<u64>> {
    Ok(socket.receive(buffer)?.map(|length| T::sum_raw(buffer.body(length))))
}

/// Decoding alone: the library's decoder, which trusts nothing, against bincode's, which has no budgets.
fn decoding<T: Load>() -> Result<[Trips; 2]> {
    let config = bincode::config::legacy();
    let body = || -> Result<raw::Buffer> {
        let mut received = raw::Buffer::new();
        received.body(T::SIZE).copy_from_slice(&bench::encode(&T::new())?);
        Ok(received)
    };
    let (mut theirs, mut same) = (body()?, body()?);
    let bincode = move |times| {
        for _ in 0..times {
            black_box(bincode::serde::decode_from_slice::<T, _>(black_box(theirs.body(T::SIZE)), config)?);
        }
        Ok(())
    };
    let ours = move |times| {
        for _ in 0..times {
            black_box(bench::decode::<T>(black_box(same.body(T::SIZE)))?);
        }
        Ok(())
    };
    Ok([Box::new(bincode), Box::new(ours)])
}

struct Options {
    json: bool,
    turns: Turns,
}

impl Options {
    /// Measures two contestants in turns and prints a line.
    fn compare<T: Load>(&self, bench: &str, mode: &str, contestants: [Trips; 2]) -> Result<()> {
        let Compared { raw, ours, low, middle, high } = self.turns.compare(contestants)?;
        let (size, body) = (T::SIZE, T::BODY);
        if self.json {
            let line = serde_json::json!({
                "bench": bench, "mode": mode, "size": size, "body": body,
                "raw": raw.round(), "ours": ours.round(), "ratio": middle, "ratio_low": low, "ratio_high": high,
            });
            println!("{line}");
        } else {
            println!("{bench:<16} {mode:<12} {size:>6} B  {raw:>9.0} ns {ours:>9.0} ns  {middle:>5.2}× ({low:.2}–{high:.2})  {body}");
        }
        Ok(())
    }
}

fn measure<T: Load>(options: &Options, processors: &[usize]) -> Result<()> {
    options.compare::<T>("round trip", "same thread", same_thread::<T>()?)?;
    if let [first, second, ..] = *processors {
        options.compare::<T>("round trip", "two cores", two_processes::<T>(first, second)?)?;
    }
    if let [first, ..] = *processors {
        options.compare::<T>("round trip", "one core", two_processes::<T>(first, first)?)?;
    }
    options.compare::<T>("decode", "bincode", decoding::<T>()?)
}

fn main() -> Result<()> {
    let given = |option| std::env::args().any(|argument| argument == option);
    let (count, milliseconds) = if given("--quick") { (3, 1) } else { (101, 10) };
    let options = Options { json: given("--json"), turns: Turns { count, length: Duration::from_millis(milliseconds) } };
    let machine = machine()?;
    if options.json {
        println!("{}", serde_json::json!({ "machine": machine }));
    } else {
        println!("{machine}\n");
        println!("{:<16} {:<12} {:>8}  {:>12} {:>12}  ratio (middle half)", "bench", "mode", "size", "raw", "ours");
    }
    let processors = raw::processors()?;
    raw::pin(*processors.first().ok_or("no processor")?)?;
    if !given("--one-way") {
        measure::<Tiny>(&options, &processors)?;
        measure::<Msg64>(&options, &processors)?;
        measure::<Bulk>(&options, &processors)?;
    }
    if let [first, second, ..] = *processors {
        for (bench, way) in [("one_way", Way::Each), ("one_way_batch", Way::Batch), ("one_way_buffered", Way::Buffered)] {
            options.compare::<Tiny>(bench, "two cores", one_way::<Tiny>(way, first, second)?)?;
            options.compare::<Msg64>(bench, "two cores", one_way::<Msg64>(way, first, second)?)?;
        }
    }
    Ok(())
}

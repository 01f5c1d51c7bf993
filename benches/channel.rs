//! What a channel costs above the system calls that it makes: against `raw.rs` in turns.
//!
//! ```text
//! cargo bench --bench channel                         # a table; about two minutes
//! cargo bench --bench channel -- --json               # one JSON object a line, the first of which says on what, when and how
//! cargo bench --bench channel -- --quick              # does it run: numbers of no value
//! cargo bench --bench channel -- --only round_trip    # the benchmarks of this name
//! ```
//!
//! A round trip is one message there and back: each side reads what it received, writes it afresh and sends it on. One way, a process sends a number
//! of messages as fast as it can, and another reads them and says when it has them all; many at once, they are made afresh. Of a body every 64th byte is read and, where it is a
//! `Vec<u8>`, written. The two contestants take turns within one run, 10 ms each, so that both see the same machine; times are medians, and
//! the ratio is the median of the turns' ratios, with the middle half of them as its spread.
//!
//! An idle channel is both of its ends, and nothing goes through it. What it takes is counted, not timed: bytes of the heap that are asked for,
//! of the process that are in memory, and of the kernel's caches.

#[path = "../tests/support/heap.rs"]
mod heap;
mod memory;
mod raw;
mod turns;

use breezeway::process::ForkedProcess;
use breezeway::{__private::bench, Bytes, Channel, Limits, Message, Waiting, channel};
use heap::Heap;
use serde_json::json;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use turns::{Compared, Machine, Result, Trips, Turns, machine};

#[global_allocator]
static HEAP: Heap = Heap;

#[derive(Clone, Message)]
struct Tiny {
    id: u64,
    value: u32,
}

#[derive(Clone, Message)]
enum Msg64 {
    Ping,
    Request { id: u64, name: String, tags: Vec<u32>, body: Vec<u8> },
}

/// A body of so many bytes that is copied into the message and out of it.
#[derive(Clone, Message)]
struct InVec<const N: usize> {
    body: Vec<u8>,
}

/// A body of so many bytes that is shared.
#[derive(Clone, Message)]
struct InBytes<const N: usize> {
    body: Bytes,
}

/// A message, and the same bytes without a type.
trait Load: Clone + Message {
    const BODY: &'static str;
    /// Bytes of it, as it is counted: of the encoded message where it is small, of the body where there is one.
    const SIZE: usize;

    fn new() -> Self;
    /// Writes it afresh.
    fn produce(&mut self, id: u64);
    fn sum(&self) -> u64;

    fn produce_raw(id: u64, bytes: &mut [u8]) {
        bytes.fill(id as u8);
    }

    fn sum_raw(bytes: &[u8]) -> u64 {
        sum(bytes)
    }
}

impl Load for Tiny {
    const BODY: &'static str = "tiny";
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
}

/// Eight bytes, which make a message of 64.
const NAME: &str = "notes.md";

impl Load for Msg64 {
    const BODY: &'static str = "msg64";
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
}

impl<const N: usize> Load for InVec<N> {
    const BODY: &'static str = "vec";
    const SIZE: usize = N;

    fn new() -> Self {
        InVec { body: vec![0; N] }
    }

    fn produce(&mut self, id: u64) {
        stamp(id, &mut self.body);
    }

    fn sum(&self) -> u64 {
        look(&self.body)
    }

    fn produce_raw(id: u64, bytes: &mut [u8]) {
        stamp(id, bytes);
    }

    fn sum_raw(bytes: &[u8]) -> u64 {
        look(bytes)
    }
}

impl<const N: usize> Load for InBytes<N> {
    const BODY: &'static str = "bytes";
    const SIZE: usize = N;

    fn new() -> Self {
        InBytes { body: vec![0; N].into() }
    }

    fn produce(&mut self, _: u64) {}

    fn sum(&self) -> u64 {
        look(&self.body)
    }

    fn produce_raw(_: u64, _: &mut [u8]) {}

    fn sum_raw(bytes: &[u8]) -> u64 {
        look(bytes)
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

fn look(bytes: &[u8]) -> u64 {
    bytes.iter().step_by(64).map(|&byte| u64::from(byte)).sum()
}

fn stamp(id: u64, bytes: &mut [u8]) {
    bytes.iter_mut().step_by(64).for_each(|byte| *byte = id as u8);
}

fn same_thread<T: Load>() -> Result<[Trips; 2]> {
    let (near, far) = Channel::<T>::pair()?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let mut buffer = raw::Buffer::new();
    let raw = move |trips| {
        for id in 0..trips {
            for (from, to) in [(&raw_near, &raw_far), (&raw_far, &raw_near)] {
                send_raw::<T>(from, &mut buffer, id)?;
                black_box(receive_raw::<T>(to, &mut buffer, Duration::ZERO)?);
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

/// Where the other side runs, and how both wait.
#[derive(Clone, Copy)]
struct Place {
    mode: &'static str,
    here: usize,
    there: usize,
    waiting: Waiting,
    /// How long the raw contestant stays awake.
    awake: Duration,
}

/// A process beside this one, on its processor, killed in the end.
fn beside(place: Place, work: impl FnOnce() -> Result<()> + 'static) -> Result<ForkedProcess<(), ()>> {
    Ok(ForkedProcess::spawn(move |_| {
        raw::pin(place.there)?;
        work().map_err(|error| io::Error::other(error.to_string()))
    })?)
}

/// How a body travels that fits in no packet.
#[derive(Clone, Copy)]
enum Road {
    /// As the library likes; by hand in several packets.
    Any,
    /// In memory that is made for it. `try_send` takes no other road.
    Memory,
}

fn send<T: Load>(road: Road, channel: &Channel<T>, message: T) -> Result<()> {
    match road {
        Road::Any => Ok(channel.send(message)?),
        Road::Memory => Ok(channel.try_send(message)?),
    }
}

/// One end by hand.
struct Hand<T> {
    road: Road,
    socket: raw::Socket,
    buffer: raw::Buffer,
    awake: Duration,
    /// What has come last, where it comes in memory.
    memory: Option<raw::Memory>,
    load: PhantomData<T>,
}

impl<T: Load> Hand<T> {
    fn new(road: Road, socket: raw::Socket, awake: Duration) -> Hand<T> {
        Hand { road, socket, buffer: raw::Buffer::behind(T::SIZE), awake, memory: None, load: PhantomData }
    }

    fn send(&mut self, id: u64) -> io::Result<()> {
        match (self.road, self.memory.take()) {
            (Road::Any, _) => send_raw::<T>(&self.socket, &mut self.buffer, id),
            (Road::Memory, Some(memory)) => self.socket.send_memory(&mut self.buffer, &memory),
            (Road::Memory, None) => self.socket.send_memory(&mut self.buffer, &vec![0; T::SIZE]),
        }
    }

    fn receive(&mut self) -> io::Result<Option<u64>> {
        match self.road {
            Road::Any => receive_raw::<T>(&self.socket, &mut self.buffer, self.awake),
            Road::Memory => {
                self.memory = self.socket.receive_memory(&mut self.buffer, T::SIZE)?;
                Ok(self.memory.as_deref().map(T::sum_raw))
            }
        }
    }
}

fn there_and_back<T: Load>(road: Road, place: Place) -> Result<[Trips; 2]> {
    // A plain channel: the one that comes with a child also watches whether the child lives.
    let (near, far) = Channel::<T>::pair()?;
    // A message is a little more than its body.
    let limits = Limits::new();
    let limits = limits.max_message(limits.max_message.max(T::SIZE + 1024));
    let set = |end: Channel<T>| end.with_waiting(place.waiting).with_limits(limits);
    let (near, far) = (set(near), set(far));
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let child = beside(place, move || {
        for (id, message) in (0..).zip(&far) {
            let mut message = message?;
            black_box(message.sum());
            message.produce(id);
            send(road, &far, message)?;
        }
        Ok(())
    })?;
    let raw_child = beside(place, move || {
        let mut far = Hand::<T>::new(road, raw_far, place.awake);
        for id in 0.. {
            if black_box(far.receive()?).is_none() {
                break;
            }
            far.send(id)?;
        }
        Ok(())
    })?;
    raw::pin(place.here)?;
    let mut by_hand = Hand::<T>::new(road, raw_near, place.awake);
    let raw = move |trips| {
        let _alive = &raw_child;
        for id in 0..trips {
            by_hand.send(id)?;
            black_box(by_hand.receive()?);
        }
        Ok(())
    };
    let mut message = Some(T::new());
    let ours = move |trips| {
        let _alive = &child;
        for id in 0..trips {
            let mut out = message.take().unwrap_or_else(T::new);
            out.produce(id);
            send(road, &near, out)?;
            let back = near.recv()?;
            black_box(back.sum());
            message = Some(back);
        }
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

/// How many come next, and that they have come: the same for both contestants.
type Control = Channel<u64>;

/// A process that takes as many as it is told, by `take`.
fn taking(place: Place, mut take: impl FnMut(u64) -> Result<()> + 'static) -> Result<(ForkedProcess<(), ()>, Control)> {
    let (control, theirs) = Control::pair()?;
    let child = beside(place, move || {
        for count in &theirs {
            let count = count?;
            take(count)?;
            theirs.send(count)?;
        }
        Ok(())
    })?;
    Ok((child, control))
}

/// How messages are sent one way, and received. Raw sends and receives each alone.
#[derive(Clone, Copy)]
enum Way {
    /// `send_ref`, `recv`.
    Each,
    /// `send_all`, `recv_batch`.
    Batch,
    /// `BufferedSender::send`, `recv`.
    Buffered,
}

fn one_way<T: Load>(way: Way, place: Place) -> Result<[Trips; 2]> {
    let (near, far) = channel::<T>()?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let (child, control) = taking(place, move |count| {
        let (mut left, mut messages) = (count as usize, Vec::new());
        while left > 0 {
            match way {
                Way::Each | Way::Buffered => {
                    black_box(far.recv()?.sum());
                    left -= 1;
                }
                Way::Batch => {
                    left -= far.recv_batch(&mut messages, left.min(1024))?;
                    black_box(messages.drain(..).map(|message| message.sum()).fold(0, u64::wrapping_add));
                }
            }
        }
        Ok(())
    })?;
    let (raw_child, raw_control) = taking(place, {
        let mut buffer = None;
        move |count| {
            let buffer = buffer.get_or_insert_with(raw::Buffer::new);
            for _ in 0..count {
                black_box(receive_raw::<T>(&raw_far, buffer, Duration::ZERO)?);
            }
            Ok(())
        }
    })?;
    raw::pin(place.here)?;
    let mut buffer = raw::Buffer::new();
    let raw = move |count| {
        let _alive = &raw_child;
        raw_control.send(count)?;
        for id in 0..count {
            send_raw::<T>(&raw_near, &mut buffer, id)?;
        }
        raw_control.recv()?;
        Ok(())
    };
    let mut message = T::new();
    let ours = move |count| {
        let _alive = &child;
        control.send(count)?;
        let fresh = (0..count).map(|id| {
            let mut message = T::new();
            message.produce(id);
            message
        });
        match way {
            Way::Each => {
                for id in 0..count {
                    message.produce(id);
                    near.send_ref(&message)?;
                }
            }
            Way::Batch => _ = near.send_all(fresh)?,
            Way::Buffered => {
                let mut buffered = near.buffered();
                for message in fresh {
                    buffered.send(message)?;
                }
                buffered.flush()?;
            }
        }
        control.recv()?;
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

#[derive(Message)]
struct Descriptor {
    descriptor: OwnedFd,
}

fn descriptor(place: Place) -> Result<[Trips; 2]> {
    let (near, far) = Channel::<Descriptor>::pair()?;
    let (raw_near, raw_far) = raw::Socket::pair_like(near.as_fd())?;
    let child = beside(place, move || {
        for message in &far {
            far.send(message?)?;
        }
        Ok(())
    })?;
    let raw_child = beside(place, move || {
        let mut buffer = raw::Buffer::new();
        while let Some(descriptor) = raw_far.receive_descriptor(&mut buffer)? {
            raw_far.send_with(&mut buffer, 4, Some(descriptor.as_fd()))?;
        }
        Ok(())
    })?;
    raw::pin(place.here)?;
    let (mut buffer, mut travelling) = (raw::Buffer::new(), OwnedFd::from(File::open("/dev/null")?));
    let raw = move |trips| {
        let _alive = &raw_child;
        for _ in 0..trips {
            raw_near.send_with(&mut buffer, 4, Some(travelling.as_fd()))?;
            // Closed before the answer comes, as a message is that has been sent.
            travelling = raw_near.receive_descriptor(&mut buffer)?.ok_or("the other side has ended")?;
        }
        Ok(())
    };
    let mut message = Some(Descriptor { descriptor: File::open("/dev/null")?.into() });
    let ours = move |trips| {
        let _alive = &child;
        for _ in 0..trips {
            near.send(message.take().ok_or("no descriptor")?)?;
            message = Some(near.recv()?);
        }
        Ok(())
    };
    Ok([Box::new(raw), Box::new(ours)])
}

fn send_raw<T: Load>(socket: &raw::Socket, buffer: &mut raw::Buffer, id: u64) -> io::Result<()> {
    T::produce_raw(id, buffer.body(T::SIZE));
    socket.send(buffer, T::SIZE)
}

fn receive_raw<T: Load>(socket: &raw::Socket, buffer: &mut raw::Buffer, awake: Duration) -> io::Result<Option<u64>> {
    let mut length = 0;
    while length < T::SIZE {
        let Some(more) = socket.receive_behind(length, buffer, awake)? else { return Ok(None) };
        length += more;
    }
    Ok(Some(T::sum_raw(buffer.body(length))))
}

/// Decoding alone: the library's decoder, which trusts nothing, against bincode's, which has no budgets.
fn decoding<T: Load>() -> Result<[Trips; 2]> {
    let config = bincode::config::legacy();
    let (mut theirs, mut same) = (raw::Buffer::new(), raw::Buffer::new());
    let body = bench::encode(&T::new())?;
    let length = body.len();
    for received in [&mut theirs, &mut same] {
        received.body(length).copy_from_slice(&body);
    }
    let bincode = move |times| {
        for _ in 0..times {
            black_box(bincode::serde::decode_from_slice::<T, _>(black_box(theirs.body(length)), config)?);
        }
        Ok(())
    };
    let ours = move |times| {
        for _ in 0..times {
            black_box(bench::decode::<T>(black_box(same.body(length)))?);
        }
        Ok(())
    };
    Ok([Box::new(bincode), Box::new(ours)])
}

/// Bytes that one of so many takes: of the heap, of the process in memory, and of the kernel. And they.
fn taken<P>(count: usize, make: impl Fn() -> io::Result<P>) -> Result<([f64; 3], Vec<P>)> {
    let (resident, slabs) = (memory::resident()?, memory::slabs()?);
    Heap::count(true);
    let heap = Heap::live();
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        made.push(make()?);
    }
    let heap = Heap::live().wrapping_sub(heap) as u64;
    Heap::count(false);
    let resident = memory::resident()?.saturating_sub(resident);
    let kernel = memory::grown(&slabs, &memory::slabs()?);
    Ok(([heap, resident, kernel].map(|bytes| bytes as f64 / count as f64), made))
}

struct Options {
    json: bool,
    only: Option<String>,
    turns: Turns,
    same: Place,
    one: Place,
    two: Option<Place>,
}

impl Options {
    fn wants(&self, bench: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == bench)
    }

    /// Measures two contestants in turns and prints a line.
    fn compare(&self, bench: &str, mode: &str, size: usize, body: &str, contestants: impl FnOnce() -> Result<[Trips; 2]>) -> Result<()> {
        if !self.wants(bench) {
            return Ok(());
        }
        self.print(bench, mode, size, body, "ns", &self.turns.compare(contestants()?)?);
        Ok(())
    }

    fn print(&self, bench: &str, mode: &str, size: usize, body: &str, unit: &str, compared: &Compared) {
        let Compared { raw, ours, low, middle, high } = compared;
        if self.json {
            let thousandths = |ratio: &f64| (ratio * 1000.0).round() / 1000.0;
            let line = json!({
                "bench": bench, "mode": mode, "size": size, "body": body, "unit": unit, "raw": raw.round(), "ours": ours.round(),
                "ratio": thousandths(middle), "ratio_low": thousandths(low), "ratio_high": thousandths(high),
            });
            println!("{line}");
        } else {
            println!(
                "{bench:<19} {mode:<11} {size:>8} B {body:<10} {raw:>12.0} {unit:<2} {ours:>12.0} {unit:<2}  {middle:>5.2}× ({low:.2}–{high:.2})"
            );
        }
    }

    /// What idle pairs take, by hand and ours. Those by hand live on meanwhile: what they gave back would be taken again.
    fn idle(&self) -> Result<()> {
        if !self.wants("idle_channel") {
            return Ok(());
        }
        let count = memory::make_room(4 * IDLE)? / 4;
        let model = Channel::<Tiny>::pair()?.0;
        let (raw, _sockets) = taken(count, || raw::Socket::pair_like(model.as_fd()))?;
        let (ours, _channels) = taken(count, Channel::<Tiny>::pair)?;
        for ((mode, raw), ours) in ["heap", "resident", "kernel"].into_iter().zip(raw).zip(ours) {
            let ratio = ours / raw;
            self.print("idle_channel", mode, 0, Tiny::BODY, "B", &Compared { raw, ours, low: ratio, middle: ratio, high: ratio });
        }
        Ok(())
    }

    fn small<T: Load>(&self) -> Result<()> {
        self.compare("round_trip", self.same.mode, T::SIZE, T::BODY, same_thread::<T>)?;
        self.compare("round_trip", self.one.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, self.one))?;
        if let Some(two) = self.two {
            self.compare("round_trip", two.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, two))?;
            let adaptive = Place { waiting: Waiting::Adaptive, awake: AWAKE, ..two };
            self.compare("round_trip_adaptive", two.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, adaptive))?;
            let spin = Place { waiting: Waiting::Spin(AWAKE), awake: AWAKE, ..two };
            self.compare("round_trip_spin", two.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, spin))?;
            self.compare("one_way", two.mode, T::SIZE, T::BODY, || one_way::<T>(Way::Each, two))?;
            self.compare("one_way_batch", two.mode, T::SIZE, T::BODY, || one_way::<T>(Way::Batch, two))?;
            self.compare("one_way_buffered", two.mode, T::SIZE, T::BODY, || one_way::<T>(Way::Buffered, two))?;
        }
        self.decode::<T>()
    }

    fn decode<T: Load>(&self) -> Result<()> {
        self.compare("decode", "bincode", T::SIZE, T::BODY, decoding::<T>)
    }

    fn sized<const N: usize>(&self) -> Result<()> {
        self.body::<InBytes<N>>()?;
        self.body::<InVec<N>>()
    }

    fn body<T: Load>(&self) -> Result<()> {
        self.compare("round_trip", self.one.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, self.one))?;
        let Some(two) = self.two else { return Ok(()) };
        self.compare("round_trip", two.mode, T::SIZE, T::BODY, || there_and_back::<T>(Road::Any, two))?;
        self.compare("one_way", two.mode, T::SIZE, T::BODY, || one_way::<T>(Way::Each, two))
    }

    fn large<T: Load>(&self, bench: &str, road: Road, place: Place) -> Result<()> {
        self.compare(bench, place.mode, T::SIZE, T::BODY, || there_and_back::<T>(road, place))
    }
}

/// How long the side that is awake is awake at most: never over while it is its contestant's turn.
const AWAKE: Duration = Duration::from_millis(1);
/// Channels of which none is used.
const IDLE: usize = 1_000;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn main() -> Result<()> {
    let mut arguments = std::env::args();
    let given = |option| std::env::args().any(|argument| argument == option);
    let only = arguments.find(|argument| argument == "--only").and_then(|_| arguments.next());
    Heap::count(false);
    let (count, milliseconds) = if given("--quick") { (3, 1) } else { (101, 10) };
    let processors = raw::processors()?;
    let first = *processors.first().ok_or("no processor")?;
    raw::pin(first)?;
    let one = Place { mode: "one core", here: first, there: first, waiting: Waiting::Block, awake: Duration::ZERO };
    let options = Options {
        json: given("--json"),
        only,
        turns: Turns { count, length: Duration::from_millis(milliseconds) },
        same: Place { mode: "one thread", ..one },
        one,
        two: processors.get(1).map(|&second| Place { mode: "two cores", there: second, ..one }),
    };
    let machine = machine()?;
    if options.json {
        // What cargo adds is not what the user has said.
        let said = std::env::args().skip(1).filter(|argument| argument != "--bench").collect::<Vec<_>>().join(" ");
        let Machine { processor, cores, kernel, rustc, date } = machine;
        let command = format!("cargo bench --bench channel -- {said}");
        println!(
            "{}",
            json!({ "run": { "machine": processor, "cores": cores, "kernel": kernel, "rustc": rustc, "date": date, "command": command } })
        );
    } else {
        println!("{machine}\n");
        println!("{:<19} {:<11} {:>10} {:<10} {:>15} {:>15}  ratio (middle half)", "bench", "mode", "size", "body", "raw", "ours");
    }
    // First, because memory that others have given back would not count.
    options.idle()?;
    options.small::<Tiny>()?;
    options.small::<Msg64>()?;
    options.sized::<64>()?;
    options.sized::<KIB>()?;
    options.sized::<{ 16 * KIB }>()?;
    options.sized::<{ 64 * KIB }>()?;
    options.decode::<InVec<{ 64 * KIB }>>()?;
    options.sized::<{ 256 * KIB }>()?;
    options.sized::<MIB>()?;
    options.sized::<{ 4 * MIB }>()?;
    if let Some(two) = options.two {
        options.large::<InBytes<{ 64 * MIB }>>("round_trip", Road::Any, two)?;
        options.large::<InVec<{ 64 * MIB }>>("round_trip", Road::Any, two)?;
        options.large::<InBytes<{ 64 * MIB }>>("round_trip_memory", Road::Memory, two)?;
        options.compare("descriptor", two.mode, 4, "descriptor", || descriptor(two))?;
    }
    options.compare("descriptor", options.one.mode, 4, "descriptor", || descriptor(options.one))
}

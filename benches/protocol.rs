//! What a call costs above the two messages that it is, and a stream above a plain channel: in turns in the same run.
//!
//! `cargo bench --bench protocol`, with `-- --quick` for a run that only shows that it works. The other side is a fork of this process, on a
//! processor of its own or on the same. Times are medians; the ratio is the median of the turns' ratios, with the middle half as its spread.

mod raw;

use breezeway::process::ForkedProcess;
use breezeway::protocol::{Call, Feed, ServiceEnd, Stream};
use breezeway::{Channel, Message, Sender, channel};
use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[breezeway::protocol]
trait Store {
    fn echo(value: u64) -> u64;
    fn exchange(message: Msg64) -> Msg64;
    fn count(to: u64) -> Stream<u64>;
}

/// 64 bytes with their request around them.
#[derive(Message)]
struct Msg64 {
    name: String,
    tags: Vec<u32>,
    body: Vec<u8>,
}

impl Msg64 {
    fn new(id: u64) -> Msg64 {
        Msg64 { name: "notes.md".into(), tags: vec![id as u32; 2], body: vec![id as u8; 12] }
    }
}

struct Plain;

impl StoreService for Plain {
    fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
        value + 1
    }

    fn exchange(&self, _: &Call<'_>, message: Msg64) -> Msg64 {
        message
    }

    fn count(&self, _: &Call<'_>, to: u64, feed: Feed<u64>) {
        // Nothing else is called meanwhile.
        if (0..to).all(|number| feed.send(number).is_ok()) {
            let _ = feed.finish();
        }
    }
}

/// One contestant: makes so many round trips, or takes so many items.
type Trips = Box<dyn FnMut(u64) -> Result<()>>;

/// What a contestant does for each.
#[derive(Clone, Copy)]
enum Load {
    Echo,
    Exchange,
    Items,
}

/// The client of a service in a child process.
fn calls(load: Load, there: usize) -> Result<Trips> {
    // A plain channel: the one that comes with a child also watches whether the child lives.
    let (client, end) = Store::pair()?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| serve(there, end))?;
    Ok(Box::new(move |count| {
        let _alive = &child;
        match load {
            Load::Echo => {
                for id in 0..count {
                    black_box(client.echo(id)?);
                }
            }
            Load::Exchange => {
                for id in 0..count {
                    black_box(client.exchange(Msg64::new(id))?);
                }
            }
            Load::Items => {
                for number in client.count(count)? {
                    black_box(number?);
                }
            }
        }
        Ok(())
    }))
}

fn serve(there: usize, end: ServiceEnd<Store>) -> io::Result<()> {
    raw::pin(there)?;
    Ok(Store::serve(Plain, end)?)
}

/// The same messages, sent and received by hand.
fn by_hand(load: Load, there: usize) -> Result<Trips> {
    let (near, far) = Channel::<StoreRequest, StoreReply>::pair()?;
    let (sender, receiver) = channel::<u64>()?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| answer(there, &far, &sender))?;
    Ok(Box::new(move |count| {
        let _alive = &child;
        match load {
            Load::Echo => {
                for value in 0..count {
                    near.send(StoreRequest::Echo { value })?;
                    black_box(near.recv()?);
                }
            }
            Load::Exchange => {
                for id in 0..count {
                    near.send(StoreRequest::Exchange { message: Msg64::new(id) })?;
                    black_box(near.recv()?);
                }
            }
            Load::Items => {
                near.send(StoreRequest::Count { to: count })?;
                for _ in 0..count {
                    black_box(receiver.recv()?);
                }
            }
        }
        Ok(())
    }))
}

fn answer(there: usize, far: &Channel<StoreReply, StoreRequest>, sender: &Sender<u64>) -> io::Result<()> {
    raw::pin(there)?;
    for request in far {
        match request? {
            StoreRequest::Echo { value } => far.send(StoreReply::Echo(value + 1))?,
            StoreRequest::Exchange { message } => far.send(StoreReply::Exchange(message))?,
            StoreRequest::Count { to } => (0..to).try_for_each(|number| sender.send(number))?,
        }
    }
    Ok(())
}

/// Nanoseconds each.
fn time(trips: &mut Trips, count: u64) -> Result<f64> {
    let start = Instant::now();
    trips(count)?;
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}

fn compare(what: &str, place: &str, [mut plain, mut ours]: [Trips; 2], turns: usize, turn: Duration) -> Result<()> {
    let mut count = 16;
    while time(&mut plain, count)? * (count as f64) < turn.as_nanos() as f64 {
        count *= 2;
    }
    time(&mut ours, count)?;
    let mut times = Vec::new();
    for turn in 0..turns {
        // Each goes first as often as the other.
        let (first, second) = if turn % 2 == 0 { (&mut plain, &mut ours) } else { (&mut ours, &mut plain) };
        let (first, second) = (time(first, count)?, time(second, count)?);
        times.push(if turn % 2 == 0 { (first, second) } else { (second, first) });
    }
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = times.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let at = |values: &[f64], quarter: usize| values[(values.len() - 1) * quarter / 4];
    let (plain, ours, ratio) = (sorted(|time| time.0), sorted(|time| time.1), sorted(|time| time.1 / time.0));
    let (low, middle, high) = (at(&ratio, 1), at(&ratio, 2), at(&ratio, 3));
    println!("{what:<24} {place:<10} {:>8.0} ns {:>8.0} ns  {middle:>5.2}× ({low:.2}–{high:.2})", at(&plain, 2), at(&ours, 2));
    Ok(())
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (turns, turn) = if quick { (3, 1) } else { (101, 10) };
    let processors = raw::processors()?;
    let (here, other) = (*processors.first().ok_or("no processor")?, *processors.last().ok_or("no processor")?);
    raw::pin(here)?;
    println!("{:<24} {:<10} {:>11} {:>11}  ratio (middle half)", "", "", "by hand", "protocol");
    for (what, load) in [("call, u64", Load::Echo), ("call, 64 B", Load::Exchange), ("stream item, u64", Load::Items)] {
        for (place, there) in [("two cores", other), ("one core", here)] {
            compare(what, place, [by_hand(load, there)?, calls(load, there)?], turns, Duration::from_millis(turn))?;
        }
    }
    Ok(())
}

//! What waiting on many costs: one active channel among a thousand, against epoll and `recvmsg` by hand in turns; and ten thousand idle ones.
//!
//! ```text
//! cargo bench --bench select             # a minute
//! cargo bench --bench select -- --quick  # does it run: numbers of no value
//! ```
//!
//! Contestants take turns within one run; times are medians, and the ratio is the median of the turns' ratios, with the middle half of
//! them as its spread.

mod memory;
mod raw;
mod turns;

use breezeway::process::ForkedProcess;
use breezeway::select::{ReceiverSet, Select};
use breezeway::{Channel, Message, Sender, channel};
use memory::{field, grown, make_room, resident, slabs};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::collections::HashMap;
use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use turns::{Compared, Result, Trips, Turns, machine};

#[derive(Message)]
struct Tiny {
    id: u64,
    value: u32,
}

const TINY: usize = 12;
/// Channels in a set, of which one is active.
const MEMBERS: usize = 1_000;
const ACTIVE: usize = 500;
const IDLE: usize = 10_000;

/// Sockets, and an epoll set of them with their indices.
struct RawSet {
    epoll: OwnedFd,
    sockets: Vec<raw::Socket>,
    events: Vec<Event>,
    buffer: raw::Buffer,
}

impl RawSet {
    fn new(sockets: Vec<raw::Socket>) -> Result<RawSet> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.iter().enumerate() {
            epoll::add(&epoll, socket, EventData::new_u64(index as u64), EventFlags::IN)?;
        }
        Ok(RawSet { epoll, sockets, events: Vec::with_capacity(64), buffer: raw::Buffer::new() })
    }

    fn receive(&mut self) -> Result<()> {
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), None)?;
        for event in self.events.drain(..) {
            black_box(self.sockets[event.data.u64() as usize].receive(&mut self.buffer)?);
        }
        Ok(())
    }
}

/// Everything by hand within one thread: `sendmsg`, `epoll_wait`, `recvmsg`.
fn by_hand() -> Result<Trips> {
    let model = Channel::<Tiny>::pair()?.0;
    let mut pairs = (0..MEMBERS).map(|_| raw::Socket::pair_like(model.as_fd())).collect::<std::io::Result<Vec<_>>>()?;
    let (sockets, others): (Vec<_>, Vec<_>) = pairs.drain(..).unzip();
    let mut set = RawSet::new(sockets)?;
    Ok(Box::new(move |trips| {
        for id in 0..trips {
            set.buffer.body(TINY).fill(id as u8);
            others[ACTIVE].send(&mut set.buffer, TINY)?;
            set.receive()?;
        }
        Ok(())
    }))
}

fn by_select() -> Result<Trips> {
    let select = Select::new()?;
    let (mut senders, mut receivers) = (Vec::new(), HashMap::new());
    for _ in 0..MEMBERS {
        let (sender, receiver) = channel::<Tiny>()?;
        senders.push(sender);
        receivers.insert(select.add(&receiver)?, receiver);
    }
    Ok(Box::new(move |trips| {
        for id in 0..trips {
            senders[ACTIVE].send(Tiny { id, value: 1 })?;
            for token in &select.wait()? {
                let message = receivers[&token].try_recv()?;
                black_box(message.id + u64::from(message.value));
            }
        }
        Ok(())
    }))
}

fn by_set() -> Result<Trips> {
    let (mut set, mut senders) = (ReceiverSet::new()?, Vec::new());
    for _ in 0..MEMBERS {
        let (sender, receiver) = channel::<Tiny>()?;
        senders.push(sender);
        set.add(receiver)?;
    }
    Ok(Box::new(move |trips| {
        for id in 0..trips {
            senders[ACTIVE].send(Tiny { id, value: 1 })?;
            let message = set.recv()?.1?;
            black_box(message.id + u64::from(message.value));
        }
        Ok(())
    }))
}

/// Round trips with another process that has the other end of the active channel, pinned to a processor of its own or to the same.
fn two_processes(here: usize, there: usize) -> Result<[Trips; 2]> {
    let model = Channel::<Tiny>::pair()?.0;
    let (sockets, others): (Vec<_>, Vec<_>) =
        (0..MEMBERS).map(|_| raw::Socket::pair_like(model.as_fd())).collect::<std::io::Result<Vec<_>>>()?.into_iter().unzip();
    let echo = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        let mut buffer = raw::Buffer::new();
        while let Some(length) = others[ACTIVE].receive(&mut buffer)? {
            others[ACTIVE].send(&mut buffer, length)?;
        }
        std::io::Result::Ok(())
    })?;
    let mut set = RawSet::new(sockets)?;
    let raw = move |trips| {
        let _alive = &echo;
        for id in 0..trips {
            set.buffer.body(TINY).fill(id as u8);
            set.sockets[ACTIVE].send(&mut set.buffer, TINY)?;
            set.receive()?;
        }
        Ok(())
    };

    let (ends, others): (Vec<_>, Vec<_>) =
        (0..MEMBERS).map(|_| Channel::<Tiny>::pair()).collect::<std::io::Result<Vec<_>>>()?.into_iter().unzip();
    let echo = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        others[ACTIVE].iter().try_for_each(|message| Ok(others[ACTIVE].send(message?)?)) as std::io::Result<()>
    })?;
    let select = Select::new()?;
    let indices = ends.iter().enumerate().map(|(index, end)| Ok((select.add(end)?, index))).collect::<Result<HashMap<_, _>>>()?;
    let ours = move |trips| {
        let _alive = &echo;
        for id in 0..trips {
            ends[ACTIVE].send(Tiny { id, value: 1 })?;
            for token in &select.wait()? {
                let message = ends[indices[&token]].try_recv()?;
                black_box(message.id + u64::from(message.value));
            }
        }
        Ok(())
    };
    raw::pin(here)?;
    Ok([Box::new(raw), Box::new(ours)])
}

fn print(what: &str, compared: &Compared) {
    let Compared { raw, ours, low, middle, high } = compared;
    println!("{what:<36} {raw:>9.0} ns {ours:>9.0} ns  {middle:>5.2}× ({low:.2}–{high:.2})");
}

/// Memory of idle channels in a select, and how often a thread that waits for them is run.
fn idle(time: Duration) -> Result<()> {
    let count = make_room(IDLE)?;
    // The senders are in another process, as those of real channels are.
    let holder = ForkedProcess::spawn(move |parent: Channel<(), Sender<Tiny>>| {
        let held: Vec<_> = parent.iter().take(count).collect();
        let _ = parent.send(());
        let _ = parent.recv();
        drop(held);
    })?;
    let mut receivers = Vec::with_capacity(count);
    let (rss, slab) = (resident()?, slabs()?);
    for _ in 0..count {
        let (sender, receiver) = channel::<Tiny>()?;
        holder.send(sender)?;
        receivers.push(receiver);
    }
    holder.recv()?;
    let (rss_made, slab_made) = (resident()?, slabs()?);
    let select = Select::new()?;
    for receiver in &receivers {
        select.add(receiver)?;
    }
    let (rss_added, slab_added) = (resident()?, slabs()?);
    let each = |bytes: u64| bytes as f64 / count as f64;
    println!("\n{count} idle channels, in bytes a channel:");
    println!(
        "  made:               {:>6.0} of this process, for one end, {:>6.0} of the kernel, for both",
        each(rss_made.saturating_sub(rss)),
        each(grown(&slab, &slab_made))
    );
    println!(
        "  added to a select:  {:>6.0} of this process, {:>6.0} of the kernel",
        each(rss_added.saturating_sub(rss_made)),
        each(grown(&slab_made, &slab_added))
    );

    let switches = || -> Result<[u64; 2]> {
        Ok([
            field("/proc/thread-self/status", "voluntary_ctxt_switches:")?,
            field("/proc/thread-self/status", "nonvoluntary_ctxt_switches:")?,
        ])
    };
    let before = switches()?;
    assert!(select.wait_timeout(time)?.is_empty());
    let after = switches()?;
    println!(
        "  waited for, {time:?}: {} voluntary context switches (going to sleep is one), {} involuntary",
        after[0] - before[0],
        after[1] - before[1]
    );
    drop(holder);
    Ok(())
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (count, length) = if quick { (3, 1) } else { (101, 10) };
    let turns = Turns { count, length: Duration::from_millis(length) };
    println!("{}", machine()?);
    // First, because memory that others have given back would not count.
    idle(Duration::from_secs(if quick { 1 } else { 5 }))?;

    println!("\n{MEMBERS} channels in one set, one of them active:");
    println!("{:<36} {:>12} {:>12}  ratio (middle half)", "", "by hand", "breezeway");
    let processors = raw::processors()?;
    let first = *processors.first().ok_or("no processor")?;
    raw::pin(first)?;
    print("there, `Select`, one thread", &turns.compare([by_hand()?, by_select()?])?);
    print("there, `ReceiverSet`, one thread", &turns.compare([by_hand()?, by_set()?])?);
    if let Some(&second) = processors.get(1) {
        print("there and back, `Select`, two cores", &turns.compare(two_processes(first, second)?)?);
    }
    print("there and back, `Select`, one core", &turns.compare(two_processes(first, first)?)?);
    Ok(())
}

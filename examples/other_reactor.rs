//! Run it: `cargo run --example other_reactor`
//!
//! A channel in a loop that knows nothing of channels: `epoll` by hand, with a byte stream beside it. The loop is told of changes only, the
//! hardest kind of poller, and the whole contract is two rules: **after an event, `try_recv` until `Empty`**; and take an end out of the set
//! before it goes. `docs/readiness.md` has the reasons. (With nothing else to wait for, `breezeway::select` is shorter.)

use breezeway::process::ForkedProcess;
use breezeway::{Channel, Message, TryRecvError};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

#[derive(Message)]
struct Sample {
    number: u32,
    value: f64,
}

const SAMPLES: u32 = 1_000;
/// What the loop calls its descriptors.
const CHANNEL: u64 = 1;
const STREAM: u64 = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut stream, theirs) = UnixStream::pair()?;
    let child = ForkedProcess::spawn(move |parent: Channel<Sample, ()>| measure(&parent, theirs))?;

    // A stream has to be told not to wait; a channel has `try_recv`.
    stream.set_nonblocking(true)?;
    let set = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&set, child.channel(), EventData::new_u64(CHANNEL), EventFlags::IN | EventFlags::ET)?;
    epoll::add(&set, &stream, EventData::new_u64(STREAM), EventFlags::IN | EventFlags::ET)?;

    let (mut count, mut sum, mut text) = (0, 0.0, Vec::new());
    let mut open = 2;
    let mut events = Vec::with_capacity(8);
    while open > 0 {
        epoll::wait(&set, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            match event.data.u64() {
                CHANNEL => loop {
                    match child.try_recv() {
                        Ok(Sample { number, value }) => {
                            assert_eq!(number, count, "in order");
                            count += 1;
                            sum += value;
                        }
                        Err(TryRecvError::Empty) => break,
                        // After the last message, and not when the loop was told of a hang-up.
                        Err(TryRecvError::Closed) => {
                            epoll::delete(&set, child.channel())?;
                            open -= 1;
                            break;
                        }
                        Err(TryRecvError::Fault(fault)) => println!("not a sample: {fault}"),
                    }
                },
                _ => match stream.read_to_end(&mut text) {
                    Ok(_) => {
                        epoll::delete(&set, &stream)?;
                        open -= 1;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    println!("on the channel came {count} samples, {sum} in all");
    println!("on the stream came: {}", String::from_utf8_lossy(&text).lines().collect::<Vec<_>>().join(", "));
    println!("the child {}", child.wait()?);
    Ok(())
}

/// The child: samples on the channel, and a few words on the stream.
fn measure(parent: &Channel<Sample, ()>, mut words: UnixStream) -> Result<(), Box<dyn Error>> {
    writeln!(words, "the first half is under way")?;
    for number in 0..SAMPLES {
        parent.send(Sample { number, value: 0.5 })?;
        if number + 1 == SAMPLES / 2 {
            writeln!(words, "and now the second")?;
        }
    }
    Ok(())
}

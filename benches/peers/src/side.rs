//! One side of a pair: a process that sends and receives messages by one contestant, as often as it is told.

use crate::Result;
use crate::kernel;
use crate::message::Load;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A contestant in one of the two processes.
pub(crate) trait Side {
    /// Sends a request with this id, every byte of it written afresh, or a ping.
    fn send(&mut self, id: Option<u64>) -> Result<()>;
    /// Waits for a message and reads every byte: the id of a request, nothing for a ping.
    fn receive(&mut self) -> Result<Option<u64>>;
    /// Nothing is sent or received for a while: what was sent has to be on its way.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a library does with its messages.
pub(crate) trait Carry {
    type Message: Load;
    /// Sends it, and gives it back if the library does.
    fn send(&mut self, message: Self::Message) -> Result<Option<Self::Message>>;
    fn receive(&mut self) -> Result<Self::Message>;
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Carries requests of one size, and uses a message again where the library leaves it or has just given one.
pub(crate) struct Typed<C: Carry> {
    carry: C,
    kept: Option<C::Message>,
    size: usize,
}

impl<C: Carry + 'static> Typed<C> {
    pub(crate) fn side(carry: C, size: usize) -> Box<dyn Side> {
        Box::new(Typed { carry, kept: None, size })
    }
}

impl<C: Carry> Side for Typed<C> {
    fn send(&mut self, id: Option<u64>) -> Result<()> {
        let Some(id) = id else { return self.carry.send(C::Message::ping()).map(drop) };
        let mut message = self.kept.take().unwrap_or_else(|| C::Message::request(self.size));
        message.fill(id);
        self.kept = self.carry.send(message)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<u64>> {
        // Whoever receives next has no more use for the one before; its memory may serve again.
        self.kept = None;
        let message = self.carry.receive()?;
        let id = message.read(self.size)?;
        self.kept = id.is_some().then_some(message);
        Ok(id)
    }

    fn settle(&mut self) -> Result<()> {
        self.carry.settle()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    RoundTrip,
    OneWay,
}

/// What both sides of a pair do next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) work: Work,
    pub(crate) messages: u64,
    /// Count allocations; the times are of no use then.
    pub(crate) count: bool,
}

/// What one side has seen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Nanoseconds from the first message sent to the last one received.
    pub(crate) elapsed: u64,
    /// Nanoseconds of the median trip.
    pub(crate) trip: u64,
    /// Nanoseconds of processor time of this process.
    pub(crate) cpu: u64,
    pub(crate) allocations: u64,
}

/// The side that begins. A ping goes first, so that both are awake, and another one last, so that the other one is not waited for in vain.
pub(crate) fn near(side: &mut dyn Side, order: Order) -> Result<Seen> {
    let mut trips = Vec::with_capacity(order.messages as usize);
    side.send(None)?;
    expect(side, None)?;
    let section = Section::begin(order.count);
    match order.work {
        Work::RoundTrip => {
            for id in 0..order.messages {
                let start = Instant::now();
                side.send(Some(id))?;
                expect(side, Some(id))?;
                trips.push(start.elapsed().as_nanos() as u64);
            }
        }
        Work::OneWay => {
            for id in 0..order.messages {
                side.send(Some(id))?;
            }
            expect(side, None)?;
        }
    }
    let seen = section.end();
    side.send(None)?;
    side.settle()?;
    trips.sort_unstable();
    Ok(Seen { trip: trips.get(trips.len() / 2).copied().unwrap_or(0), ..seen })
}

/// The side that answers, or takes all and then says so.
pub(crate) fn far(side: &mut dyn Side, order: Order) -> Result<Seen> {
    expect(side, None)?;
    side.send(None)?;
    let section = Section::begin(order.count);
    for id in 0..order.messages {
        expect(side, Some(id))?;
        if order.work == Work::RoundTrip {
            side.send(Some(id))?;
        }
    }
    let seen = section.end();
    if order.work == Work::OneWay {
        side.send(None)?;
    }
    expect(side, None)?;
    Ok(seen)
}

fn expect(side: &mut dyn Side, expected: Option<u64>) -> Result<()> {
    let found = side.receive()?;
    if found == expected { Ok(()) } else { Err(format!("message {found:?} arrived, and {expected:?} should have").into()) }
}

/// What is measured of one process, from beginning to end.
struct Section {
    start: Instant,
    cpu: u64,
    allocations: u64,
}

impl Section {
    fn begin(count: bool) -> Section {
        kernel::count_allocations(count);
        Section { allocations: kernel::allocations(), cpu: cpu(), start: Instant::now() }
    }

    fn end(self) -> Seen {
        let elapsed = self.start.elapsed().as_nanos() as u64;
        let (cpu, allocations) = (cpu() - self.cpu, kernel::allocations() - self.allocations);
        kernel::count_allocations(false);
        Seen { elapsed, trip: 0, cpu, allocations }
    }
}

/// Nanoseconds of processor time of this process, all threads. `clock_gettime(2)`; what `getrusage(2)` has is the same in microseconds.
fn cpu() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

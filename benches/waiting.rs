//! What each way of waiting costs, and saves: round trips of a 64-byte message, with the other side on a processor of its own, on the same one, on
//! busy ones, and late.
//!
//! ```text
//! cargo bench --bench waiting             # a table; about a minute
//! cargo bench --bench waiting -- --json   # one JSON object a line
//! cargo bench --bench waiting -- --quick  # does it run: numbers of no value
//! ```
//!
//! All contestants take turns within one run. `raw` makes the two calls by hand (`raw.rs`) and sleeps, `raw spin` asks again and again on both
//! sides and sleeps only between turns; the others are the library, both sides waiting as named. Beside the time of a trip stands what it took of
//! this side's processor. Times are medians over the turns, and ratios medians of the turns' ratios.

mod raw;
mod turns;

use breezeway::process::{ForkedProcess, Process};
use breezeway::{Channel, Message, Waiting};
use std::time::{Duration, Instant};
use turns::{Result, machine};

#[derive(Message)]
enum Msg64 {
    #[allow(dead_code, reason = "an enum has more than one variant")]
    Ping,
    Request {
        id: u64,
        name: String,
        tags: Vec<u32>,
        body: Vec<u8>,
    },
}

const SIZE: usize = 64;

fn message(id: u64) -> Msg64 {
    Msg64::Request { id, name: "notes.md".into(), tags: vec![id as u32; 2], body: vec![id as u8; 12] }
}

/// One contestant: makes so many round trips.
struct Contestant {
    name: &'static str,
    trips: Box<dyn FnMut(u64) -> Result<()>>,
    /// The other side, killed in the end.
    _other: Process,
}

/// What the other side does before it answers.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// Works so long, on its processor.
    Work(Duration),
    Sleep(Duration),
}

impl Before {
    fn pass(self) {
        match self {
            Before::Nothing => {}
            Before::Sleep(time) => std::thread::sleep(time),
            Before::Work(time) => {
                let start = Instant::now();
                while start.elapsed() < time {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

fn ours(name: &'static str, waiting: Waiting, there: usize, before: Before) -> Result<Contestant> {
    let (near, far) = Channel::<Msg64>::pair()?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        let far = far.with_waiting(waiting);
        for message in &far {
            let message = message?;
            before.pass();
            far.send(message)?;
        }
        std::io::Result::Ok(())
    })?;
    let near = near.with_waiting(waiting);
    let trips = move |trips| {
        for id in 0..trips {
            near.send(message(id))?;
            match near.recv()? {
                Msg64::Request { id: answered, .. } if answered == id => {}
                _ => return Err("another answer".into()),
            }
        }
        Ok(())
    };
    Ok(Contestant { name, trips: Box::new(trips), _other: child.into_parts().1 })
}

fn by_hand(name: &'static str, awake: Duration, there: usize) -> Result<Contestant> {
    let (model, _other) = Channel::<()>::pair()?;
    let (near, far) = raw::Socket::pair_like(std::os::fd::AsFd::as_fd(&model))?;
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(there)?;
        let mut buffer = raw::Buffer::new();
        while far.receive_by(&mut buffer, awake)?.is_some() {
            far.send(&mut buffer, SIZE)?;
        }
        std::io::Result::Ok(())
    })?;
    let mut buffer = raw::Buffer::new();
    let trips = move |trips| {
        for id in 0..trips {
            buffer.body(SIZE).fill(id as u8);
            near.send(&mut buffer, SIZE)?;
            near.receive_by(&mut buffer, awake)?.ok_or("the other side has ended")?;
        }
        Ok(())
    };
    Ok(Contestant { name, trips: Box::new(trips), _other: child.into_parts().1 })
}

/// A process that uses a processor up.
fn hog(processor: usize) -> Result<Process> {
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        raw::pin(processor)?;
        loop {
            std::hint::spin_loop();
        }
        #[allow(unreachable_code, reason = "says what the closure may fail with")]
        std::io::Result::Ok(())
    })?;
    Ok(child.into_parts().1)
}

struct Options {
    json: bool,
    turns: usize,
    turn: Duration,
}

/// Nanoseconds on a processor so far, of this process.
fn processor_time() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

impl Options {
    /// Measures the contestants in turns; the ratio is to the first.
    fn compare(&self, place: &str, mut contestants: Vec<Contestant>, trips: Option<u64>) -> Result<()> {
        let mut counts = Vec::new();
        for contestant in &mut contestants {
            let mut count = trips.unwrap_or(1);
            while trips.is_none() && time(contestant, count)?.0 * (count as f64) < self.turn.as_nanos() as f64 {
                count *= 2;
            }
            counts.push(count);
        }
        let mut turns: Vec<Vec<(f64, f64)>> = vec![Vec::new(); contestants.len()];
        for turn in 0..self.turns {
            for offset in 0..contestants.len() {
                // Each goes first as often as another.
                let which = (turn + offset) % contestants.len();
                let measured = time(&mut contestants[which], counts[which])?;
                turns[which].push(measured);
            }
        }
        for (which, contestant) in contestants.iter().enumerate() {
            let ratios =
                |of: fn(&(f64, f64)) -> f64| median(turns[which].iter().zip(&turns[0]).map(|(own, first)| of(own) / of(first)).collect());
            let (wall, processor) =
                (median(turns[which].iter().map(|turn| turn.0).collect()), median(turns[which].iter().map(|turn| turn.1).collect()));
            let (wall_ratio, processor_ratio) = (ratios(|turn| turn.0), ratios(|turn| turn.1));
            if self.json {
                let line = serde_json::json!({
                    "bench": "waiting", "place": place, "size": SIZE, "contestant": contestant.name, "time": wall.round(), "ratio": wall_ratio,
                    "processor_time": processor.round(), "processor_ratio": processor_ratio,
                });
                println!("{line}");
            } else {
                println!(
                    "{place:<12} {:<10} {wall:>10.0} ns {wall_ratio:>6.2}×   on a processor {processor:>8.0} ns {processor_ratio:>6.2}×",
                    contestant.name
                );
            }
        }
        Ok(())
    }
}

/// Nanoseconds a trip, by the clock and on this process's processor.
fn time(contestant: &mut Contestant, count: u64) -> Result<(f64, f64)> {
    let (before, start) = (processor_time()?, Instant::now());
    (contestant.trips)(count)?;
    let wall = start.elapsed().as_nanos() as f64;
    Ok((wall / count as f64, (processor_time()? - before) / count as f64))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Long enough to never sleep in a turn, and short enough to let a processor go between turns.
const SPINNING: Duration = Duration::from_millis(1);

fn all(there: usize) -> Result<Vec<Contestant>> {
    Ok(vec![
        by_hand("raw", Duration::ZERO, there)?,
        by_hand("raw spin", SPINNING, there)?,
        ours("Block", Waiting::Block, there, Before::Nothing)?,
        ours("Adaptive", Waiting::Adaptive, there, Before::Nothing)?,
        ours("Spin", Waiting::Spin(SPINNING), there, Before::Nothing)?,
    ])
}

/// Those that are for everywhere.
fn sharing(there: usize, before: Before) -> Result<Vec<Contestant>> {
    Ok(vec![ours("Block", Waiting::Block, there, before)?, ours("Adaptive", Waiting::Adaptive, there, before)?])
}

fn main() -> Result<()> {
    let given = |option| std::env::args().any(|argument| argument == option);
    let (turns, turn) = if given("--quick") { (3, 1) } else { (51, 20) };
    let options = Options { json: given("--json"), turns, turn: Duration::from_millis(turn) };
    let machine = machine()?;
    if options.json {
        println!("{}", serde_json::json!({ "machine": machine.to_string() }));
    } else {
        println!("{machine}\n");
    }
    let processors = raw::processors()?;
    let [first, .., last] = *processors else { return Err("this needs two processors".into()) };
    raw::pin(first)?;
    options.compare("two cores", all(last)?, None)?;
    options.compare("one core", sharing(first, Before::Nothing)?, None)?;
    for micros in [20, 40, 80] {
        options.compare(&format!("after {micros} µs"), sharing(last, Before::Work(Duration::from_micros(micros)))?, None)?;
    }
    options.compare("late 10 ms", sharing(last, Before::Sleep(Duration::from_millis(10)))?, Some(if given("--quick") { 2 } else { 20 }))?;
    let _hogs = [hog(first)?, hog(last)?];
    options.compare("busy cores", sharing(last, Before::Nothing)?, Some(if given("--quick") { 10 } else { 2000 }))
}

//! All contestants in turns: within one run, a few milliseconds each, so that all see the same machine.

use crate::Result;
use crate::contestants::Contestant;
use crate::pair::{Both, Pair, Place};
use crate::side::{Order, Work};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// How long it takes.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Turns of each contestant.
    pub(crate) rounds: usize,
    /// How long one is at least.
    pub(crate) turn: Duration,
}

/// The middle of the turns, and the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Spread { low: at(1), median: at(2), high: at(3) }
    }
}

/// What one contestant did with one size in one mode.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) contestant: &'static str,
    pub(crate) work: Work,
    pub(crate) mode: Mode,
    /// Bytes of a request.
    pub(crate) size: usize,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    TwoCores,
    SameCore,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Measured(Numbers),
    /// The contestant does not do this, for this reason.
    Empty(String),
    /// It should have, and this went wrong.
    Failed(String),
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Numbers {
    /// Nanoseconds: the median trip of a turn, or a message of a turn one way.
    pub(crate) time: Spread,
    /// Messages a second: round trips, or one way.
    pub(crate) rate: Spread,
    /// Nanoseconds of processor time of both processes, a message sent or a round trip.
    pub(crate) cpu: Spread,
    /// System calls of both processes, likewise.
    pub(crate) calls: f64,
    /// Allocations and reallocations of both processes, likewise.
    pub(crate) allocations: f64,
    pub(crate) messages_per_turn: u64,
}

const WORKS: [Work; 2] = [Work::RoundTrip, Work::OneWay];
/// Messages for what is counted, at most; large ones are counted on fewer.
const COUNTED: u64 = 200;

/// One of those that are still in it.
struct Runner<'a> {
    contestant: &'a Contestant,
    /// Or why there is none any more.
    pair: Result<Pair, Outcome>,
    works: Vec<Turns>,
}

#[derive(Default)]
struct Turns {
    /// Why there are none.
    unfit: Option<&'static str>,
    messages: u64,
    seen: Vec<Both>,
    allocations: f64,
    calls: f64,
}

/// All contestants with requests of one size in one mode, alive at the same time.
pub(crate) fn compare(contestants: &[Contestant], effort: Effort, mode: Mode, place: Place<'_>) -> Vec<Row> {
    let mut runners: Vec<Runner<'_>> = contestants.iter().map(|contestant| Runner::new(contestant, place)).collect();
    for (at, &work) in WORKS.iter().enumerate() {
        for runner in &mut runners {
            runner.attempt(at, |pair, turns| turns.calibrate(pair, work, effort.turn));
        }
        for round in 0..effort.rounds {
            // Each goes first as often as any other.
            runners.rotate_left(usize::from(round > 0));
            for runner in &mut runners {
                runner.attempt(at, |pair, turns| turns.take(pair, work));
            }
        }
        runners.sort_by_key(|runner| contestants.iter().position(|contestant| contestant.name == runner.contestant.name));
    }
    runners.into_iter().flat_map(|runner| runner.rows(mode, place.size)).collect()
}

impl<'a> Runner<'a> {
    fn new(contestant: &'a Contestant, place: Place<'_>) -> Runner<'a> {
        let unfit = WORKS.map(|work| (contestant.unfit)(work, place.size));
        let pair = match unfit {
            [Some(reason), Some(_)] => Err(Outcome::Empty(reason.into())),
            _ => Pair::start(contestant, place).map_err(|error| Outcome::Failed(error.to_string())),
        };
        Runner { contestant, pair, works: unfit.map(|unfit| Turns { unfit, ..Turns::default() }).into() }
    }

    /// Does this with the pair, if there is one still and this is for it. One that fails takes no further part.
    fn attempt(&mut self, at: usize, what: impl FnOnce(&mut Pair, &mut Turns) -> Result<()>) {
        if let (Ok(pair), turns @ Turns { unfit: None, .. }) = (&mut self.pair, &mut self.works[at])
            && let Err(error) = what(pair, turns)
        {
            self.pair = Err(Outcome::Failed(error.to_string()));
        }
    }

    fn rows(self, mode: Mode, size: usize) -> Vec<Row> {
        let Runner { contestant, pair, works } = self;
        let fit: Vec<Work> = WORKS.iter().zip(&works).filter(|(_, turns)| turns.unfit.is_none()).map(|(&work, _)| work).collect();
        let messages = works.iter().filter(|turns| turns.unfit.is_none()).map(|turns| turns.messages.clamp(1, COUNTED)).min().unwrap_or(1);
        let calls = pair.and_then(|pair| pair.calls(&fit, messages).map_err(|error| Outcome::Failed(error.to_string())));
        let rows = WORKS.iter().zip(works).map(|(&work, mut turns)| {
            let outcome = match (turns.unfit, &calls) {
                (Some(reason), _) => Outcome::Empty(reason.into()),
                (None, Err(outcome)) => outcome.clone(),
                (None, Ok(calls)) => {
                    turns.calls = fit.iter().position(|&other| other == work).map_or(0.0, |at| calls[at]);
                    Outcome::Measured(turns.numbers(work))
                }
            };
            Row { contestant: contestant.name, work, mode, size, outcome }
        });
        rows.collect()
    }
}

impl Turns {
    /// How many messages fill a turn; warms up on the way. Counts allocations at last.
    fn calibrate(&mut self, pair: &mut Pair, work: Work, turn: Duration) -> Result<()> {
        self.messages = 1;
        loop {
            let elapsed = self.run(pair, work, false)?.near.elapsed.max(1);
            let missing = turn.as_nanos() as f64 / elapsed as f64;
            if missing <= 1.0 {
                break;
            }
            self.messages = (self.messages as f64 * missing.clamp(1.1, 8.0)).ceil() as u64;
        }
        let Turns { messages, .. } = *self;
        self.messages = messages.min(COUNTED);
        let Both { near, far } = self.run(pair, work, true)?;
        self.allocations = (near.allocations + far.allocations) as f64 / self.messages as f64;
        self.messages = messages;
        Ok(())
    }

    fn take(&mut self, pair: &mut Pair, work: Work) -> Result<()> {
        let both = self.run(pair, work, false)?;
        self.seen.push(both);
        Ok(())
    }

    fn run(&self, pair: &mut Pair, work: Work, count: bool) -> Result<Both> {
        pair.run(Order { work, messages: self.messages, count })
    }

    fn numbers(&self, work: Work) -> Numbers {
        let messages = self.messages as f64;
        let spread = |of: &dyn Fn(&Both) -> f64| Spread::of(self.seen.iter().map(of).collect());
        Numbers {
            time: spread(&|both| if work == Work::RoundTrip { both.near.trip as f64 } else { both.near.elapsed as f64 / messages }),
            rate: spread(&|both| messages * 1e9 / both.near.elapsed as f64),
            cpu: spread(&|both| (both.near.cpu + both.far.cpu) as f64 / messages),
            calls: self.calls,
            allocations: self.allocations,
            messages_per_turn: self.messages,
        }
    }
}

/// A directory for the sockets and files of a run, and the processors of each mode.
pub(crate) fn places<'a>(processors: &[usize], directory: &'a Path) -> Vec<(Mode, Place<'a>)> {
    let place = |processors| Place { size: 0, processors, directory };
    let mut modes = Vec::new();
    if let [first, second, ..] = *processors {
        modes.push((Mode::TwoCores, place([first, second])));
    }
    if let [first, ..] = *processors {
        modes.push((Mode::SameCore, place([first, first])));
    }
    modes
}

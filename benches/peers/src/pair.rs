//! A contestant's two processes, as the process that measures sees them.

use crate::contestants::Contestant;
use crate::meeting::{Link, Meeting};
use crate::side::{self, Order, Seen, Side, Work};
use crate::trace::Tracer;
use crate::{Result, raw};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one side may take for what it was told before it counts as stuck. Chosen, not tuned.
const PATIENCE: Duration = Duration::from_secs(60);
/// The send queue that is asked for where a contestant does not set its own; the kernel gives what it allows (`net.core.wmem_max`).
const QUEUE: usize = 4 << 20;

/// Where, and with what, a pair runs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) size: usize,
    /// The processors of the near and the far side.
    pub(crate) processors: [usize; 2],
    pub(crate) directory: &'a Path,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    /// The first words of a process: whether it is the near one, and its number.
    Here(bool, i32),
    Ready,
    Failed(String),
    Seen(Seen),
}

/// What both sides have seen.
pub(crate) struct Both {
    pub(crate) near: Seen,
    pub(crate) far: Seen,
}

pub(crate) struct Pair {
    near: Control,
    far: Control,
    children: Vec<Child>,
}

impl Pair {
    /// Starts both, and waits until they have found each other.
    pub(crate) fn start(contestant: &Contestant, place: Place<'_>) -> Result<Pair> {
        let path = place.directory.join("control");
        // The one of the pair before.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let (near, far) = ends(contestant.link)?;
        let mut children = vec![start(contestant, place, true, near)?];
        if contestant.link != Link::Parent {
            children.push(start(contestant, place, false, far)?);
        }
        let (mut near, mut far) = (None, None);
        for _ in 0..2 {
            let mut control = Control::new(listener.accept()?.0, 0)?;
            let Answer::Here(is_near, process) = control.hear()? else { return Err("a process did not say which it is".into()) };
            control.process = process;
            *if is_near { &mut near } else { &mut far } = Some(control);
        }
        let (Some(near), Some(far)) = (near, far) else { return Err("two processes on one side".into()) };
        let mut pair = Pair { near, far, children };
        let (near, far) = (pair.near.ready(), pair.far.ready());
        near.and(far)?;
        Ok(pair)
    }

    pub(crate) fn run(&mut self, order: Order) -> Result<Both> {
        self.far.say(&order)?;
        self.far.ready()?;
        self.near.say(&order)?;
        // If one fails the other waits for it in vain, and says nothing.
        let near = self.near.seen();
        let far = if near.is_ok() { self.far.seen() } else { self.far.failure() };
        Ok(Both { far: far?, near: near? })
    }

    /// System calls a message, of both sides together; the pair is of no use afterwards.
    ///
    /// What is around the messages is the same in a short run and in a long one.
    pub(crate) fn calls(mut self, works: &[Work], messages: u64) -> Result<Vec<f64>> {
        let tracer = Tracer::start(&[self.near.process, self.far.process])?;
        let results = works.iter().map(|&work| self.calls_of(work, messages, &tracer)).collect();
        // In this order: a process that waited for a traced child would be told of its stops in place of the tracer.
        self.stop();
        tracer.join()?;
        results
    }

    fn calls_of(&mut self, work: Work, messages: u64, tracer: &Tracer) -> Result<f64> {
        let mut run = |messages| -> Result<u64> {
            let before = tracer.calls();
            self.run(Order { work, messages, count: false })?;
            Ok(tracer.calls() - before)
        };
        let (short, long) = (run(messages)?, run(3 * messages)?);
        Ok(long.saturating_sub(short) as f64 / (2 * messages) as f64)
    }

    /// Waits until both processes have ended: they do when nobody tells them anything any more. What does not is stuck.
    fn stop(&mut self) {
        for control in [&self.near, &self.far] {
            // Fails where it has ended already.
            let _ = control.stream.get_ref().shutdown(Shutdown::Write);
        }
        for control in [&mut self.near, &mut self.far] {
            control.end();
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.stop();
        for child in &mut self.children {
            // Fails for a process that was traced: its tracer has waited for it.
            let _ = child.wait();
        }
    }
}

/// The connection to one of the processes.
struct Control {
    stream: BufReader<UnixStream>,
    process: i32,
}

impl Control {
    fn new(stream: UnixStream, process: i32) -> Result<Control> {
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Control { stream: BufReader::new(stream), process })
    }

    fn say(&mut self, what: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        Ok(self.stream.get_mut().write_all(&line)?)
    }

    fn hear<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err("the process has ended".into()),
            Ok(_) => Ok(serde_json::from_str(&line)?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(format!("nothing happened for {PATIENCE:?}").into()),
            Err(error) => Err(error.into()),
        }
    }

    fn ready(&mut self) -> Result<()> {
        match self.hear()? {
            Answer::Ready => Ok(()),
            Answer::Failed(reason) => Err(reason.into()),
            _ => Err("not ready".into()),
        }
    }

    fn seen(&mut self) -> Result<Seen> {
        match self.hear()? {
            Answer::Seen(seen) => Ok(seen),
            Answer::Failed(reason) => Err(reason.into()),
            _ => Err("nothing was measured".into()),
        }
    }

    /// Why it failed too, if it has; without waiting long for it.
    fn failure(&mut self) -> Result<Seen> {
        self.stream.get_ref().set_read_timeout(Some(Duration::from_secs(1)))?;
        match self.hear() {
            Ok(Answer::Failed(reason)) => Err(reason.into()),
            _ => Ok(Seen::default()),
        }
    }

    /// Waits until the process has ended, by itself or by force.
    fn end(&mut self) {
        let limited = self.stream.get_ref().set_read_timeout(Some(Duration::from_secs(2))).is_ok();
        let over = limited
            && loop {
                match self.stream.read_line(&mut String::new()) {
                    Ok(0) => break true,
                    Ok(_) => {}
                    Err(_) => break false,
                }
            };
        if !over && self.process > 0 {
            // It is a child of this process or of its neighbour, and has not been waited for unless it has ended.
            let _ = kill(Pid::from_raw(self.process), Signal::SIGKILL);
        }
    }
}

/// Standard input and output of one side.
type Ends = (Stdio, Stdio);

fn ends(link: Link) -> Result<(Ends, Ends)> {
    let socket = |kind| -> Result<(Ends, Ends)> {
        let (near, far) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
        if kind == SockType::SeqPacket {
            for end in [&near, &far] {
                setsockopt(end, sockopt::SndBuf, &QUEUE)?;
            }
        }
        Ok(((near.into(), Stdio::null()), (far.into(), Stdio::null())))
    };
    match link {
        Link::Packets => socket(SockType::SeqPacket),
        Link::Stream | Link::Parent => socket(SockType::Stream),
        Link::Pipes => {
            let ((near_in, far_out), (far_in, near_out)) = (std::io::pipe()?, std::io::pipe()?);
            Ok(((near_in.into(), near_out.into()), (far_in.into(), far_out.into())))
        }
    }
}

fn start(contestant: &Contestant, place: Place<'_>, near: bool, (input, output): Ends) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments(contestant.name, place, near));
    // Its standard error is this process's: nothing is printed there but what goes wrong.
    Ok(command.stdin(input).stdout(output).spawn()?)
}

fn arguments(name: &str, place: Place<'_>, near: bool) -> Vec<String> {
    let [here, there] = place.processors;
    let directory = place.directory.to_string_lossy().into_owned();
    let side = if near { "near" } else { "far" };
    vec!["--side".into(), side.into(), name.into(), place.size.to_string(), here.to_string(), there.to_string(), directory]
}

/// What a process of a pair does: `arguments` are those that follow `--side`.
pub(crate) fn serve(contestants: &[Contestant], arguments: &[String]) -> Result<()> {
    let [side, name, size, here, there, directory] = arguments else { return Err("--side is for this program's own use".into()) };
    let (near, size, here, there) = (side == "near", size.parse()?, here.parse()?, there.parse()?);
    let directory = Path::new(directory);
    let contestant = contestants.iter().find(|contestant| contestant.name == name).ok_or("no such contestant")?;
    raw::pin(if near { here } else { there })?;
    let mut control = Control::new(UnixStream::connect(directory.join("control"))?, 0)?;
    control.stream.get_ref().set_read_timeout(None)?;
    control.say(&Answer::Here(near, std::process::id() as i32))?;
    let place = Place { size, processors: [here, there], directory };
    let meeting = Meeting {
        near,
        size,
        shared: here == there,
        name: format!("{}-{}-{size}", directory.file_name().unwrap_or_default().to_string_lossy(), name.replace([' ', ','], "-")),
        far: self::arguments(name, place, false),
    };
    let mut contestant = match (contestant.build)(&meeting) {
        Ok(contestant) => contestant,
        Err(error) => return control.say(&Answer::Failed(chain(&*error))),
    };
    control.say(&Answer::Ready)?;
    obey(&mut control, near, &mut *contestant)
}

/// Does as it is told until nobody says anything any more.
fn obey(control: &mut Control, near: bool, contestant: &mut dyn Side) -> Result<()> {
    while let Ok(order) = control.hear::<Order>() {
        if !near {
            control.say(&Answer::Ready)?;
        }
        let seen = if near { side::near(contestant, order) } else { side::far(contestant, order) };
        control.say(&seen.map_or_else(|error| Answer::Failed(chain(&*error)), Answer::Seen))?;
    }
    Ok(())
}

/// An error and all that caused it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

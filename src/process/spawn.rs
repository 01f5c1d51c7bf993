//! Starting another program with a channel to it.
//!
//! The program's end is an inherited descriptor, which an environment variable names ([`super::inherited`] takes it). Everything about the
//! program itself is `std::process::Command`'s business. Stands on `channel` and `sys`.

use super::child::{Child, Pipes};
use super::environment::{self, CHANNEL, PANICS, VARIABLE};
use super::handle::{OnDrop, Process};
use super::keeper;
use super::siblings::Siblings;
use crate::channel::{Channel, Hello, one_way};
use crate::codec::field::Message;
use crate::error::SystemError;
use crate::sys::alone;
use crate::sys::apart::{self, Started};
use crate::sys::exec;
use crate::sys::fd::{self, Place};
use crate::sys::process::Pid;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

/// Why no program was started. Nothing of it is left behind: no process, no descriptor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program could not be started: it is not there, it may not be executed, or there is no room for another process.
    #[error("`{}` could not be started", program.to_string_lossy())]
    Start {
        /// The program, as the command names it.
        program: OsString,
        /// What the kernel said, for example `ENOENT`.
        source: io::Error,
    },
    /// A descriptor cannot be passed under this name: it is used already, or is not of letters, digits, `_`, `-` and `.`.
    #[error("no descriptor can be passed as {name:?}: a name is of letters, digits, `_`, `-` and `.`, and is used once")]
    Name {
        /// The name.
        name: String,
    },
    /// A system call failed before that.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> io::Error {
        let kind = match &error {
            SpawnError::Start { source, .. } => source.kind(),
            SpawnError::Name { .. } => ErrorKind::InvalidInput,
            SpawnError::System(error) => error.source.kind(),
        };
        io::Error::new(kind, error)
    }
}

/// Starts the programs of `std::process::Command` with a channel to them.
///
/// ```no_run
/// use breezeway::Message;
/// use breezeway::process::CommandExt;
/// use std::process::Command;
///
/// #[derive(Message)]
/// struct Line(String);
///
/// #[derive(Message)]
/// struct Length(usize);
///
/// let measurer = Command::new("measurer").spawn_with_channel::<Line, Length>()?;
/// measurer.send(Line("four".into()))?;
/// assert_eq!(measurer.recv()?.0, 4);
/// assert!(measurer.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Starts the program with a channel to it: here it sends `S` and receives `R`, there it is
    /// [`inherited::<R, S>()`](super::inherited).
    ///
    /// Program, arguments, environment, directory and stdio are the command's, and so is how it starts a program: the signal mask is
    /// inherited, `SIGPIPE` is as in a fresh process, and a `pre_exec` hook runs first. Different from `spawn`:
    ///
    /// - The program inherits stdin, stdout, stderr, its end of the channel and a way to report panics, and no other descriptor,
    ///   whatever this process has open and whether or not it is close-on-exec. [`Spawn::pass_fd`] passes more.
    /// - It has the variable `BREEZEWAY_FDS` in its environment.
    /// - A dropped [`Child`] kills it.
    ///
    /// Any number of threads may start programs at once.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::Start`]: what `fork` or `exec` say.
    /// - [`SpawnError::System`]: what the kernel says before that.
    fn spawn_with_channel<S: Message, R: Message>(&mut self) -> Result<Child<S, R>, SpawnError> {
        self.with_channel().spawn()
    }

    /// The same with options; ends with [`Spawn::spawn`].
    fn with_channel<S: Message, R: Message>(&mut self) -> Spawn<'_, S, R>;
}

impl CommandExt for Command {
    fn with_channel<S: Message, R: Message>(&mut self) -> Spawn<'_, S, R> {
        Spawn {
            command: self,
            passed: Vec::new(),
            hello: Hello::new(),
            die_with_parent: false,
            own_group: false,
            on_drop: OnDrop::Kill,
            messages: PhantomData,
        }
    }
}

mod sealed {
    /// Only `Command` can have the extension, so that it may grow.
    pub trait Sealed {}
    impl Sealed for std::process::Command {}
}

/// A program that is about to be started with a channel: made by [`CommandExt::with_channel`].
///
/// ```no_run
/// # #[derive(breezeway::Message)]
/// # struct Line(String);
/// # #[derive(breezeway::Message)]
/// # struct Length(usize);
/// use breezeway::process::CommandExt;
/// use std::{fs::File, process::Command};
///
/// let measurer = Command::new("measurer")
///     .arg("--verbose")
///     .with_channel::<Line, Length>()
///     .pass_fd("log", File::create("measurer.log")?)
///     .own_process_group()
///     .spawn()?;
/// # drop(measurer);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "no program is started before `spawn`"]
pub struct Spawn<'a, S, R> {
    command: &'a mut Command,
    passed: Vec<(String, OwnedFd)>,
    hello: Hello,
    die_with_parent: bool,
    own_group: bool,
    on_drop: OnDrop,
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Spawn<'_, S, R> {
    /// Passes a descriptor to the program, which takes it by [`inherited_fd(name)`](super::inherited_fd). It moves: once the program is
    /// started, it is closed here. Its number there is any but 0, 1 and 2.
    ///
    /// `name` is of ASCII letters, digits, `_`, `-` and `.`; `channel` and `panics` are taken.
    pub fn pass_fd(mut self, name: impl Into<String>, fd: impl Into<OwnedFd>) -> Self {
        self.passed.push((name.into(), fd.into()));
        self
    }

    /// Sets the limits of this end, and how long the program has to say hello.
    pub fn hello(mut self, hello: Hello) -> Self {
        self.hello = hello;
        self
    }

    /// Whether the program is killed when its [`Child`] is dropped, which is so unless told otherwise. If not, it goes on, and is reaped as
    /// after [`Child::detach`].
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.on_drop = if kill { OnDrop::Kill } else { OnDrop::Detach };
        self
    }

    /// Has the kernel kill the program (`SIGKILL`) when this process ends, however it ends.
    ///
    /// To the kernel the parent is the *thread* that starts the program. Where that is not the main thread, a thread of the library starts
    /// it, and stays until the program has ended; until then this process has threads, and [`Child::spawn`] refuses to fork it. A program with more rights than its file gives everybody (set-user-ID, capabilities) is not killed (prctl(2),
    /// `PR_SET_PDEATHSIG`). What ends every program is its channel: it closes when this process ends.
    pub fn die_with_parent(mut self) -> Self {
        self.die_with_parent = true;
        self
    }

    /// Gives the program a process group of its own, so that Ctrl-C at this process's terminal does not reach it. `setpgid(2)`
    pub fn own_process_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::Start`]: what `fork` or `exec` say.
    /// - [`SpawnError::Name`]: a descriptor cannot be passed under its name.
    /// - [`SpawnError::System`]: what the kernel says before that.
    ///
    /// The descriptors that were to be passed are closed.
    pub fn spawn(self) -> Result<Child<S, R>, SpawnError> {
        Process::reap_detached();
        let passed = names_and_numbers(self.passed)?;
        let (mut ours, theirs) = Channel::<S, R>::two_way()?;
        let greeting = ours.greet(&self.hello)?;
        let (report_to, reports) = one_way()?;
        let own = [(CHANNEL, theirs.as_fd()), (PANICS, report_to.as_fd())];
        let inherited: Vec<_> = own.into_iter().chain(passed.iter().map(|(name, fd)| (name.as_str(), fd.as_fd()))).collect();
        if self.own_group {
            self.command.process_group(0);
        }
        let started = start(self.command, &inherited, self.die_with_parent)?;
        // Where its pipes are lost, the handle kills and reaps it.
        let mut process = Process::new(started.pid as Pid, reports, OnDrop::Kill);
        let [stdin, stdout, stderr] = started.pipes.map_err(SystemError::in_call("recvmsg"))?;
        process.set_on_drop(self.on_drop);
        // A later fork must not keep this end open.
        Siblings::lock().add(Arc::downgrade(ours.end()));
        let pipes = Pipes { stdin: stdin.map(Into::into), stdout: stdout.map(Into::into), stderr: stderr.map(Into::into) };
        Ok(Child::new(ours, process, pipes, Some(greeting)))
    }
}

/// Refuses what cannot be a name, and moves descriptors off the numbers that are the program's stdio.
fn names_and_numbers(passed: Vec<(String, OwnedFd)>) -> Result<Vec<(String, OwnedFd)>, SpawnError> {
    let mut moved: Vec<(String, OwnedFd)> = Vec::with_capacity(passed.len());
    for (name, fd) in passed {
        if !environment::may_be_a_name(&name) || moved.iter().any(|(other, _)| *other == name) {
            return Err(SpawnError::Name { name });
        }
        moved.push((name, fd::keep_above_stdio(fd).map_err(SystemError::in_call("fcntl"))?));
    }
    Ok(moved)
}

/// Starts the program with these descriptors, and leaves the command as it was.
fn start(command: &mut Command, inherited: &[(&str, BorrowedFd<'_>)], die_with_parent: bool) -> Result<Started, SpawnError> {
    let places: io::Result<Vec<_>> = inherited.iter().map(|(name, fd)| Ok((*name, Place::of(*fd)?))).collect();
    let places = places.map_err(SystemError::in_call("fstat"))?;
    let _stdio = fd::occupy_stdio().map_err(SystemError::in_call("open"))?;
    let keep: Vec<_> = inherited.iter().map(|(_, fd)| *fd).collect();
    command.env(VARIABLE, environment::format(places));
    // Only the program itself can ask for this.
    let without_hook = |command: &mut Command| alone::spawn(command, &keep).or_else(|| apart::spawn(command, &keep));
    let started = if die_with_parent { None } else { without_hook(command) };
    let started = started.unwrap_or_else(|| {
        let _armed = exec::arm(command, &keep, die_with_parent);
        if die_with_parent { keeper::spawn(command) } else { command.spawn() }.map(Started::here)
    });
    command.env_remove(VARIABLE);
    started.map_err(|source| SpawnError::Start { program: command.get_program().to_owned(), source })
}

impl<S, R> fmt::Debug for Spawn<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn").field("command", &self.command).field("passed", &self.passed).finish_non_exhaustive()
    }
}

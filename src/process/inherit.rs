//! In a program that was started with a channel: taking what it inherits.
//!
//! The first call takes everything that the parent passed into one table, close-on-exec from then on, so that programs which this one
//! starts inherit none of it. Each entry leaves the table once. A number is never trusted: what is behind it must be the very file that
//! the parent named, and must have come through `exec`.

use super::environment::{CHANNEL, PANICS, VARIABLE, parse};
use super::panic;
use crate::channel::{Channel, Hello, Sender};
use crate::codec::field::Message;
use crate::error::{AdoptFault, Fault, HelloError, SystemError};
use std::collections::BTreeMap;
use std::env;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Why there is no inherited descriptor of this name to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritError {
    /// This program was not started with a channel: the variable `BREEZEWAY_FDS` is not in its environment.
    #[error("this program was not started with a channel")]
    NotSpawned,
    /// The variable is there, and this is not its format.
    #[error("the environment variable BREEZEWAY_FDS is not understood: {value:?}")]
    Malformed {
        /// What it says, where it is not UTF-8 with replacements.
        value: String,
    },
    /// The parent has passed no descriptor of this name.
    #[error("no descriptor named `{name}` was passed to this program")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// It has been taken already: once per process.
    #[error("`{name}` has been taken already: once per process")]
    Taken {
        /// The name asked for.
        name: String,
    },
    /// The variable names it, and this process does not have it. It was meant for another: the variable is inherited by everything that a
    /// program starts, its descriptors are not.
    #[error("`{name}` was passed to another process, not to this one")]
    NotInherited {
        /// The name asked for.
        name: String,
    },
    /// It is here, and cannot be an end of a channel.
    #[error("the inherited descriptor cannot be an end of a channel")]
    Adopt(#[from] AdoptFault),
    /// The parent does not speak this program's language: its message types are others, for example.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<InheritError> for io::Error {
    fn from(error: InheritError) -> io::Error {
        let kind = match &error {
            InheritError::NotSpawned | InheritError::Unknown { .. } | InheritError::Taken { .. } | InheritError::NotInherited { .. } => {
                ErrorKind::NotFound
            }
            InheritError::Malformed { .. } | InheritError::Adopt(_) => ErrorKind::InvalidData,
            InheritError::Hello(error) => error.kind(),
            InheritError::System(error) => error.source.kind(),
        };
        io::Error::new(kind, error)
    }
}

/// This program's end of the channel to its parent, which started it by
/// [`spawn_with_channel`](super::CommandExt::spawn_with_channel). Once per process, best as the first thing in `main`.
///
/// From here on a panic of the main thread is also reported to the parent, by a hook in front of the one that is there now, and the
/// inherited descriptors are closed to programs that this one starts.
///
/// The types are those of the parent the other way round: what it sends as `S` is received here as `R`. The parent has said hello before this
/// program began, so this does not wait; the types of both are compared.
///
/// # Errors
///
/// - [`InheritError::NotSpawned`]: somebody started this program without a channel, by hand for example.
/// - [`InheritError::Taken`]: it was called before.
/// - [`InheritError::NotInherited`]: the program *around* this one was started with a channel.
/// - [`InheritError::Malformed`], [`InheritError::Unknown`], [`InheritError::Adopt`]: whoever wrote the variable is not this library.
/// - [`InheritError::Hello`]: the parent has sent something else than its hello, or nothing for 10 seconds, or its message types are not
///   these. Then the parent learns of it too, and each says where the types differ first.
/// - [`InheritError::System`]: what the kernel says.
///
/// ```no_run
/// use breezeway::Message;
///
/// #[derive(Message)]
/// struct Line(String);
///
/// #[derive(Message)]
/// struct Length(usize);
///
/// let parent = breezeway::process::inherited::<Length, Line>()?;
/// for line in &parent {
///     parent.send(Length(line?.0.len()))?;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn inherited<S: Message, R: Message>() -> Result<Channel<S, R>, InheritError> {
    inherited_with(Hello::new())
}

/// The same with limits of its own, and another time to wait for the parent's hello.
///
/// # Errors
///
/// As [`inherited`].
pub fn inherited_with<S: Message, R: Message>(hello: Hello) -> Result<Channel<S, R>, InheritError> {
    let channel = Channel::try_from(take(CHANNEL)?).map_err(|error| error.source)?;
    channel.end().grant_parts();
    channel.meet(&hello).map_err(|error| match error {
        Fault::Hello(error) => error.into(),
        Fault::System(error) => error.into(),
        other => HelloError::Malformed(Arc::new(other)).into(),
    })
}

/// A further descriptor that the parent has passed under this name, by [`Spawn::pass_fd`](super::Spawn::pass_fd). Each once.
///
/// # Errors
///
/// As [`inherited`], and [`InheritError::Unknown`] where the parent has passed none of this name.
///
/// ```no_run
/// use std::{fs::File, io::Write};
///
/// let mut log = File::from(breezeway::process::inherited_fd("log")?);
/// writeln!(log, "started")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn inherited_fd(name: &str) -> Result<OwnedFd, InheritError> {
    if name == CHANNEL || name == PANICS { Err(InheritError::Unknown { name: name.to_owned() }) } else { take(name) }
}

/// What has become of an entry of the variable.
enum Entry {
    Here(OwnedFd),
    Elsewhere,
    Taken,
}

/// What the program was given, looked up once: everything that it inherits belongs to this table from then on.
enum Table {
    NotSpawned,
    Malformed(String),
    Entries(BTreeMap<String, Entry>),
}

static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();

fn take(name: &str) -> Result<OwnedFd, InheritError> {
    let mut table = TABLE.get_or_init(|| Mutex::new(claim_all())).lock().unwrap_or_else(PoisonError::into_inner);
    let entries = match &mut *table {
        Table::NotSpawned => return Err(InheritError::NotSpawned),
        Table::Malformed(value) => return Err(InheritError::Malformed { value: value.clone() }),
        Table::Entries(entries) => entries,
    };
    let name = || name.to_owned();
    match entries.get_mut(&name()) {
        None => Err(InheritError::Unknown { name: name() }),
        Some(Entry::Elsewhere) => Err(InheritError::NotInherited { name: name() }),
        Some(entry) => match std::mem::replace(entry, Entry::Taken) {
            Entry::Here(fd) => Ok(fd),
            Entry::Taken | Entry::Elsewhere => Err(InheritError::Taken { name: name() }),
        },
    }
}

/// Runs once per process, so that no two threads claim the same number.
fn claim_all() -> Table {
    let Some(value) = env::var_os(VARIABLE) else { return Table::NotSpawned };
    let Some(places) = value.to_str().and_then(parse) else { return Table::Malformed(value.to_string_lossy().into_owned()) };
    let mut entries = BTreeMap::new();
    for (name, place) in places {
        // The kernel can say nothing about an open descriptor but what it is, so an error means the same as nothing there.
        let entry = place.claim().ok().flatten().map_or(Entry::Elsewhere, Entry::Here);
        if name != PANICS {
            entries.insert(name.to_owned(), entry);
        } else if let Entry::Here(fd) = entry {
            // If it is not what it should be, the parent sees an exit code and no message.
            panic::report_each(Sender::unexamined(fd));
        }
    }
    Table::Entries(entries)
}

//! What descriptors are open, and what each points at.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;

/// A list of the open descriptors of a process, to compare with a later one.
///
/// Descriptors are counted by what they point at (`/proc/PID/fd`), so a leak that took the number of something that was closed is
/// noticed too. The list is of the whole process: in a test, only a process of its own gives a steady one.
///
/// ```
/// use breezeway::testing::FdLedger;
///
/// let ledger = FdLedger::open()?;
/// let file = std::fs::File::open("Cargo.toml")?;
/// assert!(ledger.check().is_err());
/// drop(file);
/// ledger.check()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the ledger is compared when it is dropped"]
pub struct FdLedger {
    process: u32,
    before: BTreeMap<u32, String>,
}

/// Descriptors that were not there before, and such that are no longer there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Leak {
    /// Number and target of each descriptor that has come.
    pub opened: Vec<(u32, String)>,
    /// Number and target of each descriptor that has gone.
    pub closed: Vec<(u32, String)>,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptors differ: opened {:?}, closed {:?}", self.opened, self.closed)
    }
}

impl From<Leak> for io::Error {
    fn from(leak: Leak) -> io::Error {
        io::Error::other(leak)
    }
}

impl FdLedger {
    /// Lists what this process has open.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read.
    pub fn open() -> io::Result<FdLedger> {
        FdLedger::of(std::process::id())
    }

    /// Lists what another process has open.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read, or the process belongs to somebody else.
    pub fn of(process: u32) -> io::Result<FdLedger> {
        Ok(FdLedger { process, before: list(process)? })
    }

    /// How many descriptors were open when the ledger was.
    #[must_use]
    pub fn count(&self) -> usize {
        self.before.len()
    }

    /// Compares with what is open now.
    ///
    /// # Errors
    ///
    /// A [`Leak`] with every difference. If `/proc` cannot be read any more, everything counts as closed.
    pub fn check(&self) -> Result<(), Leak> {
        let now = list(self.process).unwrap_or_default();
        let missing = |from: &BTreeMap<u32, String>, of: &BTreeMap<u32, String>| -> Vec<(u32, String)> {
            of.iter().filter(|(fd, target)| from.get(fd) != Some(target)).map(|(fd, target)| (*fd, target.clone())).collect()
        };
        let leak = Leak { opened: missing(&self.before, &now), closed: missing(&now, &self.before) };
        if leak.opened.is_empty() && leak.closed.is_empty() { Ok(()) } else { Err(leak) }
    }
}

impl Drop for FdLedger {
    /// Panics when descriptors differ, unless a panic is under way: the ledger's purpose is to fail the test that opened it.
    fn drop(&mut self) {
        if let (Err(leak), false) = (self.check(), std::thread::panicking()) {
            panic!("{leak}");
        }
    }
}

fn list(process: u32) -> io::Result<BTreeMap<u32, String>> {
    let directory = format!("/proc/{process}/fd");
    let mut open = BTreeMap::new();
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Gone since it was listed, or the descriptor of this very listing.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if target.as_os_str() != directory.as_str() {
            open.insert(fd, target.to_string_lossy().into_owned());
        }
    }
    Ok(open)
}

//! What the kernel says about memory: of this process, and its own.

#![allow(dead_code, reason = "each benchmark uses what it needs")]

use crate::turns::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs;

/// A number in a file of lines `name: number`.
pub(crate) fn field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name)).ok_or(name)?;
    Ok(line.split_whitespace().nth(1).ok_or(name)?.parse()?)
}

/// Bytes of this process that are in memory.
pub(crate) fn resident() -> Result<u64> {
    Ok(1024 * field("/proc/self/status", "VmRSS:")?)
}

/// Bytes by the name of a cache of the kernel.
pub(crate) type Slabs = BTreeMap<String, u64>;

/// Bytes in each of the kernel's caches, which only root may see, and `/proc/meminfo` in sum for everybody.
pub(crate) fn slabs() -> Result<Slabs> {
    let Ok(text) = fs::read_to_string("/proc/slabinfo") else {
        return Ok([("all together".into(), 1024 * field("/proc/meminfo", "Slab:")?)].into());
    };
    let lines = text.lines().skip(2).filter_map(|line| {
        let mut columns = line.split_whitespace();
        let (name, _, objects, size) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        Some((name.to_owned(), objects.parse::<u64>().ok()? * size.parse::<u64>().ok()?))
    });
    Ok(lines.collect())
}

/// Bytes by which caches have grown. Others use them too, so one that has shrunk does not count.
pub(crate) fn grown(before: &Slabs, after: &Slabs) -> u64 {
    after.iter().map(|(name, bytes)| bytes.saturating_sub(before.get(name).copied().unwrap_or(0))).sum()
}

/// Room for so many descriptors besides a few others, or for as many as this process may have: how many that is.
pub(crate) fn make_room(descriptors: usize) -> Result<usize> {
    const OTHERS: usize = 100;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let room = limit.maximum.map_or(descriptors, |room| (room as usize).saturating_sub(OTHERS));
    if room < descriptors {
        eprintln!("(RLIMIT_NOFILE leaves room for {room} descriptors, not {descriptors})");
    }
    Ok(descriptors.min(room))
}

//! What an end has received of a message that arrives in parts.
//!
//! Like the [inbox](super::inbox) it lives in this end's memory alone. Unlike that it holds nothing that could be delivered: nobody is told of it,
//! and the end is waited for as ever.

use crate::error::{Fault, SystemError};
use crate::limits::Limits;
use crate::packet::Packet;
use crate::transport::{Assembly, NotReceived, Wait};
use crate::wire::{Header, Kind};
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// Whether there is anything. Changed under the lock only.
    some: AtomicBool,
    assembly: Mutex<Assembly>,
}

impl Unfinished {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.some.load(Ordering::Relaxed)
    }

    /// Receives until a message is whole, after this packet if there is one.
    #[cold]
    pub(super) fn receive(
        &self,
        first: Option<(Header, Packet)>,
        socket: BorrowedFd<'_>,
        limits: &Limits,
        wait: Wait,
    ) -> Result<(Kind, Packet), NotReceived> {
        let mut assembly = self.lock().ok_or_else(|| {
            let source = io::Error::new(ErrorKind::ResourceBusy, "another thread receives");
            Fault::from(SystemError { call: "receiving a message in parts", source })
        })?;
        let result = assembly.receive(first, socket, limits, wait);
        self.some.store(assembly.is_unfinished(), Ordering::Relaxed);
        result
    }

    /// Throws away what there is.
    pub(super) fn clear(&self) {
        if let Some(mut assembly) = self.lock() {
            *assembly = Assembly::default();
            self.some.store(false, Ordering::Relaxed);
        }
    }

    /// Only one receives at a time, so nobody has to wait for it.
    fn lock(&self) -> Option<MutexGuard<'_, Assembly>> {
        match self.assembly.try_lock() {
            Ok(assembly) => Some(assembly),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

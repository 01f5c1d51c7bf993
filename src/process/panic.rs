//! A panic in a child, told to the parent as data: a one-way channel that carries at most one report from a fork, and one for each panic
//! from another program.

use super::outcome::PanicReport;
use crate::channel::Sender;
use crate::error::{panic_message, panic_text};
use crate::sys::process;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

thread_local! {
    /// The last panic of this thread, where it was and what it said. Only a panic that reaches the end of the closure is reported.
    static LAST: RefCell<Option<PanicReport>> = const { RefCell::new(None) };
}

/// In a program that was started with a way to report panics: reports each of the main thread, where a panic ends the program. Which of
/// them did is for the parent to tell: the last, if the program ended as a panic ends it.
pub(super) fn report_each(report_to: Sender<PanicReport>) {
    let (previous, program) = (panic::take_hook(), std::process::id());
    panic::set_hook(Box::new(move |info| {
        let ends_the_program = cfg!(panic = "abort") || process::in_main_thread();
        // A fork of this program has inherited the hook, and its panics are not this program's.
        if ends_the_program && std::process::id() == program {
            let _ = report_to.try_send(describe(info));
        }
        previous(info);
    }));
}

/// Runs the closure of a child process; a panic is reported and becomes exit code 101.
pub(super) fn reporting(report_to: Sender<PanicReport>, run: impl FnOnce() -> u8) -> u8 {
    // The hook cannot be changed by a destructor that forks while its thread panics; then a report has no place, and the message only.
    if !std::thread::panicking() {
        remember_panics(report_to.clone());
    }
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let message = panic_text(payload);
        // A payload that was caught and thrown again is the last one; one that never was a panic here has no place.
        let last = LAST.try_with(RefCell::take).ok().flatten().filter(|last| last.message == message);
        let report = last.unwrap_or(PanicReport { message, file: String::new(), line: 0 });
        let _ = report_to.try_send(report);
        101
    })
}

fn remember_panics(report_to: Sender<PanicReport>) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let report = describe(info);
        if cfg!(panic = "abort") {
            // Nobody comes after the hook.
            let _ = report_to.try_send(report);
        } else {
            let _ = LAST.try_with(|last| last.replace(Some(report)));
        }
        previous(info);
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> PanicReport {
    let location = info.location();
    PanicReport {
        message: panic_message(info.payload()),
        file: location.map(|at| at.file().to_owned()).unwrap_or_default(),
        line: location.map_or(0, panic::Location::line),
    }
}

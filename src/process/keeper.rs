//! The thread that a program dies with which is to die with its parent.
//!
//! To the kernel the parent is the *thread* that forked (prctl(2), `PR_SET_PDEATHSIG`). The main thread ends with its process, so what it starts
//! needs nothing. Any other thread may end earlier, and then the program would be killed although its parent lives: so a thread of its own
//! starts it, made by the one that asks, so that it has all that is a thread's own from there (signal mask, CPUs, namespaces), and
//! stays until the program has ended.

use crate::sys::process::{self, Pid};
use std::io;
use std::mem;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

/// Enough for `Command::spawn`, which keeps its paths and lists on the heap, and its hooks. Chosen, not tuned.
const STACK: usize = 256 * 1024;

/// Starts the command such that the kernel's idea of its parent is this process.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    if process::in_main_thread() {
        return command.spawn();
    }
    let ((give, take), (give_back, back)) = (mpsc::channel::<Command>(), mpsc::channel());
    let keep = move || {
        let Ok(mut command) = take.recv() else { return };
        let child = command.spawn();
        let pid = child.as_ref().ok().map(Child::id);
        let _ = give_back.send((command, child));
        if let Some(pid) = pid {
            process::stay_until_ended(pid as Pid);
        }
    };
    thread::Builder::new().name("breezeway-keeper".into()).stack_size(STACK).spawn(keep)?;
    let lost = || io::Error::other("the thread that starts the program has panicked");
    give.send(mem::replace(command, Command::new(""))).map_err(|_| lost())?;
    let (returned, child) = back.recv().map_err(|_| lost())?;
    *command = returned;
    child
}

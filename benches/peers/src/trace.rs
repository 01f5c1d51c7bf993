//! How many system calls processes make, by `ptrace(2)`.

use crate::Result;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// A thread that stops other processes at every call, and counts. It ends when they do.
pub(crate) struct Tracer {
    stops: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), Errno>>,
}

impl Tracer {
    /// Traces every thread of these processes, which wait for something. They go on when this returns.
    pub(crate) fn start(processes: &[i32]) -> Result<Tracer> {
        let mut threads = Vec::new();
        for process in processes {
            for entry in std::fs::read_dir(format!("/proc/{process}/task"))? {
                threads.push(Pid::from_raw(entry?.file_name().to_string_lossy().parse()?));
            }
        }
        let stops = Arc::new(AtomicU64::new(0));
        let (ready, started) = mpsc::channel();
        let counted = Arc::clone(&stops);
        // Only the thread that has seized a process may wait for it.
        let thread = thread::spawn(move || trace(&threads, &counted, &ready));
        if started.recv().is_err() {
            return Err(match thread.join() {
                Ok(Err(error)) => format!("tracing: {error}").into(),
                _ => "tracing: the processes ended".into(),
            });
        }
        Ok(Tracer { stops, thread })
    }

    /// The calls made so far. Each has a stop on its way in and one on its way out.
    pub(crate) fn calls(&self) -> u64 {
        self.stops.load(Ordering::SeqCst) / 2
    }

    /// Waits for the traced processes to end.
    pub(crate) fn join(self) -> Result<()> {
        Ok(self.thread.join().map_err(|_| "the tracer panicked")??)
    }
}

fn trace(threads: &[Pid], stops: &AtomicU64, ready: &mpsc::Sender<()>) -> Result<(), Errno> {
    for &thread in threads {
        ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL)?;
        ptrace::interrupt(thread)?;
    }
    let mut stopped = 0;
    loop {
        let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                stops.fetch_add(1, Ordering::SeqCst);
                (thread, None)
            }
            Ok(WaitStatus::PtraceEvent(thread, ..)) => {
                stopped += 1;
                if stopped == threads.len() {
                    // Nobody waits for it any more after the first time.
                    let _ = ready.send(());
                }
                (thread, None)
            }
            Ok(WaitStatus::Stopped(thread, signal)) => (thread, Some(signal)),
            Ok(_) => continue,
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error),
        };
        match ptrace::syscall(thread, signal) {
            // It was killed while it stood still.
            Err(Errno::ESRCH) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn a_call_more_for_each_line_is_noticed() {
        // `cat` reads a line and writes it: two calls.
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut to, mut from) = (cat.stdin.take().unwrap(), BufReader::new(cat.stdout.take().unwrap()));
        let mut echo = || {
            to.write_all(b"x\n").unwrap();
            from.read_line(&mut String::new()).unwrap();
        };
        echo();
        let tracer = Tracer::start(&[cat.id() as i32]).unwrap();
        echo();
        let before = tracer.calls();
        for _ in 0..100 {
            echo();
        }
        let calls = tracer.calls() - before;
        assert!((199..=201).contains(&calls), "{calls}");
        drop(to);
        tracer.join().unwrap();
        // The tracer has seen its end, and may have been told in place of its parent.
        let _ = cat.wait();
    }
}

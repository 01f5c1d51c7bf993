//! What a forked child promises: its outcome, its end, and what it leaves behind.

mod support;

use breezeway::process::{ForkError, ForkedProcess, JoinError, Outcome, raw};
use breezeway::socket::{Family, Protocol, SocketType, socketpair};
use breezeway::testing::FdLedger;
use breezeway::{Bytes, Channel, Fd, Message, channel};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

trials!(
    a_child_answers,
    a_parent_with_threads_is_refused,
    a_thread_that_was_joined_is_no_thread,
    threads_are_counted_where_a_sandbox_forbids_unshare,
    an_async_runtime_is_refused,
    the_unchecked_form_forks_beside_threads,
    what_main_may_return_a_child_may_return,
    a_panic_reaches_the_parent_as_data,
    exit_code_101_is_no_panic,
    a_signal_is_told_from_an_exit,
    a_child_that_somebody_else_reaped_is_unknown,
    buffered_text_appears_once,
    no_destructor_of_the_parent_runs_in_the_child,
    what_was_captured_works_and_is_dropped_in_both,
    wait_ends_a_child_that_waits_for_messages,
    wait_ends_a_child_that_is_stuck_sending,
    waiting_has_a_deadline,
    an_outcome_is_told_again,
    dropping_kills_and_reaps,
    a_handle_in_the_child_is_harmless,
    a_detached_child_goes_on_and_is_reaped_later,
    everything_works_without_pidfds,
    everything_works_where_pidfds_cannot_be_waited_for,
    a_child_that_may_open_nothing_decodes_as_deep_as_another,
    a_fork_that_fails_leaves_nothing,
    what_was_captured_may_fork_when_it_is_dropped,
    an_end_taken_out_of_its_handle_can_be_given_to_a_sibling,
    the_child_has_the_parents_descriptors_and_its_end,
    the_lectures_fork_joins,
    a_thousand_children_leave_nothing,
);

/// A child that does nothing but end like this.
fn ends<T: std::process::Termination + 'static>(how: impl FnOnce() -> T + 'static) -> Outcome {
    ForkedProcess::spawn(move |_: Channel<()>| how()).unwrap().wait().unwrap()
}

/// A child that says that it is there and then waits for the end of its channel.
fn waiting() -> ForkedProcess<(), ()> {
    let child = ForkedProcess::spawn(|channel: Channel<()>| {
        channel.send(()).unwrap();
        assert!(channel.recv().unwrap_err().is_closed());
    })
    .unwrap();
    child.recv().unwrap();
    child
}

fn a_child_answers() {
    let _ledger = FdLedger::open().unwrap();
    let child = ForkedProcess::spawn(|channel: Channel<usize, String>| {
        for line in &channel {
            channel.send(line?.len())?;
        }
        Ok::<(), io::Error>(())
    })
    .unwrap();
    assert_ne!(child.id(), std::process::id());
    child.send("four".into()).unwrap();
    assert_eq!(child.recv().unwrap(), 4);
    assert_eq!(child.wait().unwrap(), Outcome::Exited(0));
}

/// A thread that lives until it is told to go.
struct OtherThread(Option<(mpsc::Sender<()>, std::thread::JoinHandle<()>)>);

impl OtherThread {
    fn start() -> OtherThread {
        let (sender, receiver) = mpsc::channel();
        OtherThread(Some((sender, std::thread::spawn(move || receiver.recv().unwrap_or(())))))
    }
}

impl Drop for OtherThread {
    fn drop(&mut self) {
        let (sender, thread) = self.0.take().unwrap();
        drop(sender);
        thread.join().unwrap();
    }
}

fn a_parent_with_threads_is_refused() {
    let _ledger = FdLedger::open().unwrap();
    let thread = OtherThread::start();
    let captured = Rc::new(());
    let witness = Rc::downgrade(&captured);
    let error = ForkedProcess::spawn(move |_: Channel<()>| drop(captured)).unwrap_err();
    assert!(matches!(error, ForkError::Threads), "{error}");
    assert_eq!(witness.strong_count(), 0, "the closure is dropped");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    drop(thread);
    assert!(ends(|| ()).success());
}

fn a_thread_that_was_joined_is_no_thread() {
    let _ledger = FdLedger::open().unwrap();
    for _ in 0..200 {
        drop(OtherThread::start());
        assert!(ends(|| ()).success());
    }
}

fn threads_are_counted_where_a_sandbox_forbids_unshare() {
    let _ledger = FdLedger::open().unwrap();
    support::forbid(libc::SYS_unshare, libc::EPERM);
    assert!(ends(|| ()).success());
    let _thread = OtherThread::start();
    assert!(matches!(ForkedProcess::spawn(|_: Channel<()>| ()), Err(ForkError::Threads)));
}

#[cfg(feature = "tokio")]
fn an_async_runtime_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(async { ForkedProcess::spawn(|_: Channel<()>| ()).map(drop) });
    assert!(matches!(refused, Err(ForkError::AsyncRuntime)));
    assert!(ends(|| ()).success(), "beside a runtime, not in it");
}

#[cfg(not(feature = "tokio"))]
fn an_async_runtime_is_refused() {
    println!("skipped: needs the feature `tokio`");
}

fn the_unchecked_form_forks_beside_threads() {
    let _thread = OtherThread::start();
    let child = support::spawn_unchecked(|channel: Channel<u32>| channel.send(channel.recv().unwrap() + 1).unwrap());
    child.send(1).unwrap();
    assert_eq!(child.recv().unwrap(), 2);
    assert!(child.wait().unwrap().success());
}

fn what_main_may_return_a_child_may_return() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(ends(|| ()), Outcome::Exited(0));
    assert_eq!(ends(|| ExitCode::from(7)), Outcome::Exited(7));
    assert_eq!(ends(|| ExitCode::from(255)), Outcome::Exited(255));
    assert_eq!(ends(|| Ok::<(), String>(())), Outcome::Exited(0));
    assert_eq!(ends(|| Err::<(), _>("reason")), Outcome::Exited(1));
}

fn a_panic_reaches_the_parent_as_data() {
    let _ledger = FdLedger::open().unwrap();
    let line = line!() + 1;
    let Outcome::Panicked(report) = ends(|| panic!("as {}", "planned")) else { panic!("it panicked") };
    assert_eq!((report.message.as_str(), report.file.as_str(), report.line), ("as planned", file!(), line));
    let Outcome::Panicked(report) = ends(|| std::panic::panic_any(7)) else { panic!("it panicked") };
    assert_eq!(report.message, "a value that is not text");
    let Outcome::Panicked(report) = ends(|| panic!("{}", "ö".repeat(100_000))) else { panic!("it panicked") };
    assert_eq!(report.message, "ö".repeat(32 * 1024));
    if cfg!(panic = "unwind") {
        let resumed = || {
            std::panic::catch_unwind(|| panic!("first")).unwrap_err();
            std::panic::resume_unwind(Box::new("second"))
        };
        let Outcome::Panicked(report) = ends::<()>(resumed) else { panic!("it panicked") };
        assert_eq!((report.message.as_str(), report.file.as_str()), ("second", ""), "not where the first one was");
    }
    // Also when its channel is full of messages that nobody has received.
    let child = ForkedProcess::spawn(|channel: Channel<u32, ()>| {
        while channel.try_send(0).is_ok() {}
        panic!("full");
    })
    .unwrap();
    assert!(matches!(child.wait().unwrap(), Outcome::Panicked(report) if report.message == "full"));
}

fn exit_code_101_is_no_panic() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(ends(|| ExitCode::from(101)), Outcome::Exited(101));
    if cfg!(panic = "unwind") {
        let caught = || {
            std::panic::catch_unwind(|| panic!("caught")).unwrap_err();
            ExitCode::from(101)
        };
        assert_eq!(ends(caught), Outcome::Exited(101));
    }
}

fn a_signal_is_told_from_an_exit() {
    let _ledger = FdLedger::open().unwrap();
    let mut child = waiting();
    child.kill().unwrap();
    let outcome = child.wait().unwrap();
    assert_eq!(outcome, Outcome::Signalled { signal: libc::SIGKILL, core_dumped: false });
    assert_eq!(outcome.to_string(), "was killed by signal 9");
    assert!(matches!(ends(|| std::process::abort()), Outcome::Signalled { signal: libc::SIGABRT, .. }));
}

fn a_child_that_somebody_else_reaped_is_unknown() {
    let _ledger = FdLedger::open().unwrap();
    support::ignore_sigchld();
    assert_eq!(ends(|| ()), Outcome::Unknown);
    assert!(!Outcome::Unknown.success());
}

fn buffered_text_appears_once() {
    let _ledger = FdLedger::open().unwrap();
    // Whatever the harness has given: a file, to read what was written to it.
    print!("from Rust, no newline;");
    support::c_print(c"from C, no newline;");
    assert!(ends(|| print!("from the child;")).success());
    let panics = || {
        print!("from a child that panics;");
        panic!("as planned");
    };
    assert!(matches!(ends::<()>(panics), Outcome::Panicked(_)));
    io::stdout().flush().unwrap();
    let mut said = String::new();
    File::open("/proc/self/fd/1").unwrap().read_to_string(&mut said).unwrap();
    for text in ["from Rust, no newline;", "from C, no newline;", "from the child;", "from a child that panics;"] {
        assert_eq!(said.matches(text).count(), 1, "{said}");
    }
}

/// Writes a line to a file when it is dropped.
struct Tells(File, &'static str);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.write_all(self.1.as_bytes()).unwrap();
    }
}

fn no_destructor_of_the_parent_runs_in_the_child() {
    let _ledger = FdLedger::open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let tells = Tells(file.reopen().unwrap(), "dropped\n");
    assert!(ends(|| ()).success());
    assert!(matches!(ends(|| panic!("no destructor of the parent")), Outcome::Panicked(_)));
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    drop(tells);
    assert_eq!(fs::read_to_string(&file).unwrap(), "dropped\n");
}

fn what_was_captured_works_and_is_dropped_in_both() {
    let _ledger = FdLedger::open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let tells = Tells(file.reopen().unwrap(), "dropped\n");
    let (mut manifest, bytes) = (support::some_file(), Bytes::from(vec![7; 100_000]));
    let outcome = ends(move || {
        let _tells = tells;
        let mut text = String::new();
        manifest.read_to_string(&mut text).unwrap();
        assert!(text.contains("breezeway") && bytes.iter().all(|byte| *byte == 7));
    });
    assert!(outcome.success());
    // One file offset, which both share.
    assert_eq!(fs::read_to_string(&file).unwrap(), "dropped\ndropped\n");
}

fn wait_ends_a_child_that_waits_for_messages() {
    let _ledger = FdLedger::open().unwrap();
    assert!(waiting().wait().unwrap().success());
    // Also when somebody else holds a copy of the parent's end, so that closing it ends nothing.
    let child = waiting();
    let copy = std::os::fd::AsFd::as_fd(&*child).try_clone_to_owned().unwrap();
    assert!(child.wait().unwrap().success());
    drop(copy);
}

fn wait_ends_a_child_that_is_stuck_sending() {
    let _ledger = FdLedger::open().unwrap();
    let (full, filled) = channel::<()>().unwrap();
    let child = ForkedProcess::spawn(move |channel: Channel<u32, ()>| {
        while channel.try_send(0).is_ok() {}
        drop(full);
        assert!(channel.send(0).unwrap_err().is_closed());
    })
    .unwrap();
    assert!(filled.recv().unwrap_err().is_closed());
    assert!(child.wait().unwrap().success());
}

fn waiting_has_a_deadline() {
    let _ledger = FdLedger::open().unwrap();
    let mut child = waiting();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), None);
    let begin = Instant::now();
    assert_eq!(child.wait_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(begin.elapsed() >= Duration::from_millis(30));
    let (channel, mut process) = child.into_parts();
    drop(channel);
    assert_eq!(process.wait_timeout(Duration::MAX).unwrap(), Some(Outcome::Exited(0)));
}

fn an_outcome_is_told_again() {
    let _ledger = FdLedger::open().unwrap();
    let (channel, mut process) = waiting().into_parts();
    drop(channel);
    for _ in 0..2 {
        assert_eq!(process.wait().unwrap(), Outcome::Exited(0));
        assert_eq!(process.try_wait().unwrap(), Some(Outcome::Exited(0)));
    }
    process.kill().expect("there is nobody left to kill, which is fine");
}

fn dropping_kills_and_reaps() {
    let _ledger = FdLedger::open().unwrap();
    let child = waiting();
    let id = child.id();
    assert!(support::exists(id));
    drop(child);
    assert!(!support::exists(id), "neither running nor a zombie");
}

fn a_handle_in_the_child_is_harmless() {
    let _ledger = FdLedger::open().unwrap();
    let first = Rc::new(Cell::new(Some(waiting())));
    let inherited = Rc::clone(&first);
    assert!(ends(move || drop(inherited.take().expect("a copy of the handle"))).success());
    let mut first = first.take().expect("the child took its own copy");
    assert_eq!(first.try_wait().unwrap(), None, "dropping the copy killed nobody");
    assert!(first.wait().unwrap().success());
}

fn a_detached_child_goes_on_and_is_reaped_later() {
    let _ledger = FdLedger::open().unwrap();
    let (go, start) = channel::<()>().unwrap();
    let (done, end) = channel::<u32>().unwrap();
    let child = ForkedProcess::spawn(move |_: Channel<()>| {
        start.recv().unwrap();
        done.send(std::process::id()).unwrap();
    })
    .unwrap();
    let id = child.id();
    child.detach();
    go.send(()).unwrap();
    assert_eq!(end.recv().unwrap(), id);
    assert!(end.recv().unwrap_err().is_closed());
    // It has closed its descriptors and is about to be a zombie, if it is not one yet.
    while !fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") Z") {
        std::thread::yield_now();
    }
    assert!(ends(|| ()).success());
    assert!(!support::exists(id), "the next fork reaps it");
}

fn everything_works_without_pidfds() {
    support::forbid(libc::SYS_pidfd_open, libc::ENOSYS);
    let child = waiting();
    assert!(child.pidfd().is_none());
    assert!(child.wait().unwrap().success());
    every_way_to_end();
}

fn everything_works_where_pidfds_cannot_be_waited_for() {
    support::forbid_where(libc::SYS_waitid, libc::P_PIDFD.into(), libc::EINVAL);
    assert!(waiting().pidfd().is_some());
    every_way_to_end();
}

fn every_way_to_end() {
    a_signal_is_told_from_an_exit();
    waiting_has_a_deadline();
    an_outcome_is_told_again();
    dropping_kills_and_reaps();
    assert!(matches!(ends(|| panic!("told")), Outcome::Panicked(_)));
}

fn a_child_that_may_open_nothing_decodes_as_deep_as_another() {
    #[derive(Message)]
    enum Tree {
        Leaf,
        Node(Box<Tree>),
    }
    let child = ForkedProcess::spawn(|channel: Channel<(), Tree>| {
        support::forbid(libc::SYS_openat, libc::EACCES);
        support::forbid(libc::SYS_prlimit64, libc::EPERM);
        channel.recv().map(drop)
    })
    .unwrap();
    child.send((0..100).fold(Tree::Leaf, |tree, _| Tree::Node(Box::new(tree)))).unwrap();
    // Unlike `wait`, this leaves the channel open for it.
    assert_eq!(child.into_parts().1.wait().unwrap(), Outcome::Exited(0));
}

fn a_fork_that_fails_leaves_nothing() {
    let _ledger = FdLedger::open().unwrap();
    support::forbid(libc::SYS_clone, libc::EAGAIN);
    let captured = Rc::new(());
    let witness = Rc::downgrade(&captured);
    let error = ForkedProcess::spawn(move |_: Channel<()>| drop(captured)).unwrap_err();
    assert!(matches!(&error, ForkError::System(error) if error.call == "fork" && error.source.raw_os_error() == Some(libc::EAGAIN)));
    assert_eq!(witness.strong_count(), 0, "the closure is dropped");
}

fn what_was_captured_may_fork_when_it_is_dropped() {
    struct Forks;
    impl Drop for Forks {
        fn drop(&mut self) {
            assert!(waiting().wait().unwrap().success());
        }
    }
    let _ledger = FdLedger::open().unwrap();
    let forks = Forks;
    assert!(ends(move || drop(forks)).success());
    // Also while their thread panics.
    let panics = || {
        let _forks = Forks;
        panic!("as planned");
    };
    std::panic::catch_unwind(panics).unwrap_err();
}

fn an_end_taken_out_of_its_handle_can_be_given_to_a_sibling() {
    let _ledger = FdLedger::open().unwrap();
    let echo = ForkedProcess::spawn(|channel: Channel<u32>| channel.send(channel.recv().unwrap() + 1).unwrap()).unwrap();
    let (to_echo, mut echo) = echo.into_parts();
    let asks = move || {
        to_echo.send(1).unwrap();
        assert_eq!(to_echo.recv().unwrap(), 2);
    };
    assert!(ends(asks).success());
    assert!(echo.wait().unwrap().success());
}

fn the_child_has_the_parents_descriptors_and_its_end() {
    let open_here = FdLedger::open().unwrap().count();
    let older = waiting();
    let child = ForkedProcess::spawn(|channel: Channel<usize, ()>| channel.send(FdLedger::open().unwrap().count()).unwrap()).unwrap();
    // Its own end and the way to report a panic; of the older sibling the pidfd, the report and a dead socket.
    assert_eq!(child.recv().unwrap(), open_here + 2 + 3);
    assert!(child.wait().unwrap().success());
    assert!(older.wait().unwrap().success());
}

fn the_lectures_fork_joins() {
    let _ledger = FdLedger::open().unwrap();
    let sockets = || socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None).unwrap();
    let mut child = raw::ForkedProcess::spawn(|mut socket| socket.send(Fd(support::some_file())), sockets()).unwrap();
    let mut text = String::new();
    child.socket.receive::<Fd<File>>().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("breezeway"));
    child.join().unwrap();
    let child = raw::ForkedProcess::spawn(|_| ExitCode::from(3), sockets()).unwrap();
    let error = child.join().unwrap_err();
    assert_eq!(error.to_string(), "the process exited with code 3");
    // Two that wait for the end: the second has a copy of the first one's socket.
    let waits = || raw::ForkedProcess::spawn(|mut socket| assert!(socket.receive::<u32>().is_err()), sockets()).unwrap();
    let (first, second) = (waits(), waits());
    first.join().unwrap();
    second.join().unwrap();
    assert!(matches!(error, JoinError::Failed(Outcome::Exited(3))));
}

fn a_thousand_children_leave_nothing() {
    support::more_time(Duration::from_secs(60));
    let _ledger = FdLedger::open().unwrap();
    for round in 0..1000 {
        match round % 4 {
            0 => assert!(waiting().wait().unwrap().success()),
            1 => drop(waiting()),
            2 => assert!(matches!(ends(|| std::process::abort()), Outcome::Signalled { .. })),
            _ => assert_eq!(ends(|| ExitCode::from(9)), Outcome::Exited(9)),
        }
    }
    let children = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap_or_default();
    assert_eq!(children, "", "no child is left, running or as a zombie");
}

//! How our tests run: each in a process of its own, with one thread, so that it can fork, count its descriptors and change its limits.
//!
//! A test file lists its tests in `trials!`, which makes its `main`: libtest's command line (so that filters and nextest work), where
//! each test is this binary run once more. A test that hangs is killed by an alarm clock after 10 seconds and fails.

#![allow(unsafe_code, dead_code, reason = "each test file uses what it needs; raw calls for what a test does to its own process")]

use std::env;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Makes `main` of the named tests, functions without arguments that panic on failure.
#[macro_export]
macro_rules! trials {
    ($($name:ident),+ $(,)?) => { $crate::trials!($($name),+; programs:); };
    // Beside the tests, what the binary does where `support::program` starts it.
    ($($name:ident),+ $(,)?; programs: $($program:ident),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            let programs: &[(&str, fn())] = &[$((stringify!($program), $program)),*];
            if $crate::support::run_program(programs) {
                return std::process::ExitCode::SUCCESS;
            }
            $crate::support::main(&[$((stringify!($name), $name)),+])
        }
    };
}

const TRIAL: &str = "BREEZEWAY_TRIAL";
const PROGRAM: &str = "BREEZEWAY_PROGRAM";
/// How long a test may take: only a hang takes so long.
const WATCHDOG: Duration = Duration::from_secs(10);

/// The command that runs one of the test file's programs.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this test's binary"));
    command.env(PROGRAM, name).env_remove(TRIAL);
    command
}

/// Runs the program that this process was started as, if it is one.
pub(crate) fn run_program(programs: &[(&str, fn())]) -> bool {
    let Ok(wanted) = env::var(PROGRAM) else { return false };
    let (_, program) = programs.iter().find(|(name, _)| *name == wanted).expect("a program of this file");
    program();
    true
}

pub(crate) fn main(tests: &'static [(&'static str, fn())]) -> std::process::ExitCode {
    if let Ok(wanted) = env::var(TRIAL) {
        let (_, test) = tests.iter().find(|(name, _)| *name == wanted).expect("a test of this file");
        more_time(WATCHDOG);
        no_descriptor_limit();
        test();
        return std::process::ExitCode::SUCCESS;
    }
    let trials = tests.iter().map(|(name, _)| libtest_mimic::Trial::test(*name, || run(name))).collect();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

/// Runs one test in a process group of its own, which is killed when the test has ended: it leaves nothing behind that goes on.
fn run(name: &str) -> Result<(), libtest_mimic::Failed> {
    let mut output = tempfile::tempfile()?;
    let mut child = Command::new(env::current_exe()?)
        .env(TRIAL, name)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()?;
    let status = child.wait()?;
    // SAFETY: a plain call; the group was made for this test, and as long as one of it lives its number is not used again.
    unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL) };
    let mut said = String::new();
    output.rewind()?;
    output.read_to_string(&mut said)?;
    if status.success() { Ok(()) } else { Err(format!("{status}\n{said}").into()) }
}

/// Winds the watchdog of this process.
pub(crate) fn more_time(time: Duration) {
    // SAFETY: a plain call. The alarm is not inherited by forks, which die with the test's process group.
    unsafe { libc::alarm(time.as_secs() as u32) };
}

/// A file that exists everywhere and has something in it.
pub(crate) fn some_file() -> File {
    File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("this project's own manifest")
}

/// As many descriptors as this process may have: what all tests of a user have under way in sockets counts against each one's limit.
pub(crate) fn no_descriptor_limit() {
    set_limit(libc::RLIMIT_NOFILE, u64::MAX);
}

/// Sets the soft limit of a resource for this process, or the hard one where that is less.
pub(crate) fn set_limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to the struct that the call fills in.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur = soft.min(limit.rlim_max);
    // SAFETY: as above, read by the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// Sets both limits of a resource where this process may (root may), and else what it may; what it has then.
pub(crate) fn raise_limit(resource: libc::__rlimit_resource_t, wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: wanted, rlim_max: wanted };
    // SAFETY: a valid pointer, read by the call.
    if unsafe { libc::setrlimit(resource, &raw const limit) } != 0 {
        set_limit(resource, wanted);
    }
    // SAFETY: a valid pointer to the struct that the call fills in.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur
}

/// Makes a system call fail with this error in this process from now on, as a sandbox or an older kernel would.
pub(crate) fn forbid(call: libc::c_long, error: libc::c_int) {
    install(call, vec![], error);
}

/// The same, only where the call's first argument is this.
pub(crate) fn forbid_where(call: libc::c_long, first: u64, error: libc::c_int) {
    forbid_argument(call, 0, first, error);
}

/// The same, only where the argument of this index is this.
pub(crate) fn forbid_argument(call: libc::c_long, index: u8, value: u64, error: libc::c_int) {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
    let is_so = SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).unwrap();
    install(call, vec![SeccompRule::new(vec![is_so]).unwrap()], error);
}

fn install(call: libc::c_long, rules: Vec<seccompiler::SeccompRule>, error: libc::c_int) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let filter = SeccompFilter::new(
        [(call, rules)].into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(error as u32),
        env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Writes to the C library's stdout, which has a buffer of its own.
pub(crate) fn c_print(text: &std::ffi::CStr) {
    // SAFETY: a format without directives, and no arguments.
    unsafe { libc::printf(text.as_ptr()) };
}

/// Has the kernel reap children by itself, as some programs do.
pub(crate) fn ignore_sigchld() {
    // SAFETY: a plain call without a handler function.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Catches a signal with a handler that does nothing and without `SA_RESTART`, so that it interrupts system calls.
pub(crate) fn catch(signal: libc::c_int) {
    extern "C" fn nothing(_: libc::c_int) {}
    handle(signal, nothing);
}

/// Catches a signal with a handler, which does only what signal-safety(7) allows.
pub(crate) fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: a sigaction of zeros has no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // SAFETY: `action` is initialised, and its handler does what the test says.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

/// A thread of this process, to send signals to.
#[derive(Clone, Copy)]
pub(crate) struct Thread(libc::pthread_t);

impl Thread {
    pub(crate) fn this() -> Thread {
        // SAFETY: a plain call.
        Thread(unsafe { libc::pthread_self() })
    }

    pub(crate) fn signal(self, signal: libc::c_int) {
        // SAFETY: callers keep the thread alive.
        assert_eq!(unsafe { libc::pthread_kill(self.0, signal) }, 0);
    }
}

/// Sets `O_NONBLOCK` on the description behind a descriptor, for everybody who shares it.
pub(crate) fn set_nonblocking(fd: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain call on an open descriptor.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }, 0);
}

/// Whether a descriptor is closed by `exec`.
pub(crate) fn is_cloexec(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain call on an open descriptor.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) & libc::FD_CLOEXEC != 0 }
}

/// A duplicate that every program inherits which this process starts.
pub(crate) fn inheritable(fd: std::os::fd::BorrowedFd<'_>) -> std::os::fd::OwnedFd {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    // SAFETY: a plain call on an open descriptor.
    let duplicate = unsafe { libc::dup(fd.as_raw_fd()) };
    assert!(duplicate >= 0);
    // SAFETY: just made, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(duplicate) }
}

/// Puts another file under a number, as a program that was not told of it may; not close-on-exec.
pub(crate) fn put_under(number: i32, with: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd;
    // SAFETY: the test says that nobody in this process owns the number.
    assert_eq!(unsafe { libc::dup2(with.as_raw_fd(), number) }, number);
}

/// This program's end of its channel as a bare socket, as a program in another language would take it.
pub(crate) fn own_channel() -> breezeway::socket::Socket {
    use std::os::fd::{FromRawFd, OwnedFd};
    let variable = env::var("BREEZEWAY_FDS").unwrap();
    let number = variable.split([' ', '=', ':']).nth(1).unwrap().parse().unwrap();
    // SAFETY: the parent has passed it to this program, which takes it once.
    unsafe { OwnedFd::from_raw_fd(number) }.try_into().unwrap()
}

/// Sets a variable of this process's environment.
pub(crate) fn set_variable(name: &str, value: &str) {
    // SAFETY: the only thread of a test's own process.
    unsafe { env::set_var(name, value) };
}

/// The bytes that wait in a socket to be received.
pub(crate) fn queued(socket: std::os::fd::BorrowedFd<'_>) -> usize {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int.
    assert_eq!(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) }, 0);
    bytes as usize
}

/// Ends what this side of a socket sends.
pub(crate) fn shutdown_writing(socket: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain call on an open descriptor.
    assert_eq!(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) }, 0);
}

/// Makes what is under a number close-on-exec.
pub(crate) fn set_cloexec(number: i32) {
    // SAFETY: a plain call.
    assert_eq!(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
}

/// The numbers that are open, without `/proc`.
pub(crate) fn open_numbers() -> Vec<i32> {
    // SAFETY: a plain call, for which the number need not be open.
    (0..4096).filter(|&number| unsafe { libc::fcntl(number, libc::F_GETFD) } != -1).collect()
}

/// The process group of this process.
pub(crate) fn process_group() -> u32 {
    // SAFETY: a plain call.
    (unsafe { libc::getpgrp() }) as u32
}

/// A thread of this process, seen from others.
#[derive(Clone)]
pub(crate) struct Observed(std::path::PathBuf);

impl Observed {
    pub(crate) fn this() -> Observed {
        Observed(std::path::Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap()))
    }

    /// Returns when the thread sleeps in this system call.
    pub(crate) fn sleeps_in(&self, call: libc::c_long) {
        let prefix = format!("{call} ");
        while !std::fs::read_to_string(self.0.join("syscall")).unwrap().starts_with(&prefix) {
            std::thread::yield_now();
        }
    }
}

/// `errno` of this thread.
pub(crate) fn errno() -> libc::c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Sets it, as a call that fails does.
pub(crate) fn set_errno(value: libc::c_int) {
    // SAFETY: the address of this thread's own.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *errno = value };
}

/// Sends a signal to a process.
pub(crate) fn kill(process: u32, signal: libc::c_int) {
    // SAFETY: a plain call, for a process that this one has started and not yet reaped.
    assert_eq!(unsafe { libc::kill(process as libc::pid_t, signal) }, 0);
}

/// Ends this process by a signal that it has not asked for.
pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: a plain call.
    unsafe { libc::raise(signal) };
}

/// Whether a process is there, running or as a zombie.
pub(crate) fn exists(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// The unsafe way to fork, for children that use nothing that another thread may hold.
pub(crate) fn spawn_unchecked<S: 'static, R: 'static>(
    child: impl FnOnce(breezeway::Channel<R, S>) + 'static,
) -> breezeway::process::ForkedProcess<S, R> {
    // SAFETY: the tests' children send, receive and end; glibc's allocator is safe to use after a fork.
    unsafe { breezeway::process::ForkedProcess::spawn_unchecked(child) }.unwrap()
}

/// Runs this in a fork of the calling thread, without any library; whether it returned.
pub(crate) fn returns_in_a_fork(run: impl FnOnce()) -> bool {
    // SAFETY: glibc's allocator is safe to use after a fork, and nothing else that other threads may hold is used.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_or(1, |()| 0);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(code) };
    }
    let mut status = -1;
    // SAFETY: a valid pointer to the int that the call fills in.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

/// The numbers that a plain command's program would inherit.
pub(crate) fn inheritable_numbers() -> Vec<i32> {
    // SAFETY: a plain call, for which the number need not be open.
    let inherited = |&number: &i32| unsafe { libc::fcntl(number, libc::F_GETFD) } == 0;
    (0..4096).filter(inherited).collect()
}

/// Gives up being root, if this is root, for limits that root is exempt from.
pub(crate) fn become_nobody() {
    const NOBODY: libc::uid_t = 65534;
    // SAFETY: plain calls, made from the only thread of a child of the test's own.
    if unsafe { libc::getuid() } == 0 {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0);
    }
    // SAFETY: as above.
    assert_ne!(unsafe { libc::geteuid() }, 0);
}

/// Has closing a socket wait so many seconds for what it has not sent.
pub(crate) fn linger(socket: std::os::fd::BorrowedFd<'_>, seconds: libc::c_int) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: seconds };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: `linger` is as long as `length` says.
    assert_eq!(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), length) }, 0);
}

/// Shuts down both directions of a socket, whose peer keeps what it has not received.
pub(crate) fn shutdown_both(socket: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain call on an open descriptor.
    assert_eq!(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) }, 0);
}

/// Sets a socket option that is an int.
pub(crate) fn set_option(socket: std::os::fd::BorrowedFd<'_>, name: libc::c_int, value: libc::c_int) {
    use std::os::fd::AsRawFd;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is as long as `length` says.
    assert_eq!(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const value).cast(), length) }, 0);
}

pub(crate) fn set_send_buffer(socket: std::os::fd::BorrowedFd<'_>, half: libc::c_int) {
    set_option(socket, libc::SO_SNDBUF, half);
}

/// Reads a socket option that is an int.
pub(crate) fn option(socket: std::os::fd::BorrowedFd<'_>, name: libc::c_int) -> libc::c_int {
    use std::os::fd::AsRawFd;
    let (mut value, mut length) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: `value` is as long as `length` says.
    assert_eq!(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length) }, 0);
    value
}

/// A socket of the right kind that has never had a peer.
pub(crate) fn unconnected_seqpacket() -> std::os::fd::OwnedFd {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: a plain call.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: just opened, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Closes 0, 1 and 2, as a program may be started; what this test says from now on goes nowhere.
pub(crate) fn close_standard_descriptors() {
    for fd in 0..3 {
        // SAFETY: nothing in this test uses them.
        unsafe { libc::close(fd) };
    }
}

/// The most bytes of memory that this process has had in RAM at one moment.
pub(crate) fn peak_resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Bytes of memory that this process has in RAM.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    // SAFETY: a plain call.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize
}

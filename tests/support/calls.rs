//! Which system calls a piece of code makes, exactly: it runs in a child process that this one traces with `ptrace(2)`.

#![allow(unsafe_code, dead_code, reason = "ptrace and fork have no safe form")]

use std::mem::{MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call of this number does nothing: the kernel has none so high and says `ENOSYS`.
const MARK: u64 = 100_000;

/// What `epoll_wait` of the C library calls.
#[cfg(target_arch = "x86_64")]
pub(crate) const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_pwait;

/// What is recorded of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: libc::c_long,
    /// Who makes it.
    pub(crate) process: u32,
    arguments: [u64; 6],
}

/// Recording starts here, and ends at the next mark. For the traced code.
pub(crate) fn mark() {
    // SAFETY: the kernel has no such call.
    unsafe { libc::syscall(MARK as libc::c_long) };
}

/// Runs each piece of code in a child process of its own, all at once, and returns the calls that each made between its marks.
///
/// `entered` sees each of them before the kernel does it, with the index of the process that makes it; the other processes go on only
/// when it returns. A piece that panics, or does not end with status 0, fails the test.
pub(crate) fn record<const N: usize>(code: [&dyn Fn(); N], mut entered: impl FnMut(usize, Call)) -> [Vec<Call>; N] {
    let children = code.map(start);
    let (mut calls, mut recording, mut running) = ([const { Vec::new() }; N], [false; N], N);
    while running > 0 {
        let mut status = 0;
        // SAFETY: a valid pointer to the int that the call fills in.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        let child = children.iter().position(|&child| child == pid).expect("one of the children");
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            assert_eq!(status, 0, "process {child} failed");
            running -= 1;
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        // The bit is set by PTRACE_O_TRACESYSGOOD for stops at a call, on its way in or out.
        let at_call = signal == libc::SIGTRAP | 0x80;
        match entry(pid).filter(|_| at_call) {
            Some(call) if call.number == MARK as libc::c_long => recording[child] = !recording[child],
            Some(call) if recording[child] && !is_stds_own(call) => {
                entered(child, call);
                calls[child].push(call);
            }
            _ => {}
        }
        let deliver = if at_call || signal == libc::SIGSTOP { 0 } else { signal };
        go_on(pid, deliver);
    }
    calls
}

/// In debug builds std asks whether a descriptor is open before it closes it.
fn is_stds_own(call: Call) -> bool {
    call.number == libc::SYS_fcntl && call.arguments[1] == libc::F_GETFD as u64
}

/// Forks a child that waits, stopped, until it is told to go on.
fn start(code: &dyn Fn()) -> libc::pid_t {
    // SAFETY: this process has one thread, so the child can do whatever this one can.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1, "fork");
    if pid == 0 {
        let null = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: asks to be traced by the parent; the other arguments are ignored.
        let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, null, null) };
        // SAFETY: stops this process until the parent has seen it.
        unsafe { libc::raise(libc::SIGSTOP) };
        let done = traced == 0 && catch_unwind(AssertUnwindSafe(code)).is_ok();
        // SAFETY: ends the process at once, without the parent's destructors.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: a valid pointer to the int that the call fills in.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFSTOPPED(status), "the child stops itself");
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    // SAFETY: a stopped tracee of this process; the options go where an address would.
    let set = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options as libc::c_long) };
    assert_eq!(set, 0, "PTRACE_SETOPTIONS");
    go_on(pid, 0);
    pid
}

/// Lets a stopped child run to its next stop, with this signal if it is not 0.
fn go_on(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a stopped tracee of this process.
    let result = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, libc::c_long::from(signal)) };
    assert_eq!(result, 0, "PTRACE_SYSCALL");
}

/// The call that a stopped child is about to make, if that is where it stopped.
fn entry(pid: libc::pid_t) -> Option<Call> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: `info` has room for `size` bytes, and the kernel writes no more.
    let written = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, info.as_mut_ptr()) };
    assert!(written > 0, "PTRACE_GET_SYSCALL_INFO needs Linux 5.3");
    // SAFETY: plain numbers, zeroed before the kernel filled some of them in.
    let info = unsafe { info.assume_init() };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that this is the variant that the kernel filled in.
    let entry = unsafe { info.u.entry };
    Some(Call { number: entry.nr as libc::c_long, process: pid.unsigned_abs(), arguments: entry.args })
}

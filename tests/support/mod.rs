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
    ($($name:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::support::main(&[$((stringify!($name), $name)),+])
        }
    };
}

const TRIAL: &str = "BREEZEWAY_TRIAL";
/// How long a test may take: only a hang takes so long.
const WATCHDOG: Duration = Duration::from_secs(10);

pub fn main(tests: &'static [(&'static str, fn())]) -> std::process::ExitCode {
    if let Ok(wanted) = env::var(TRIAL) {
        let (_, test) = tests.iter().find(|(name, _)| *name == wanted).expect("a test of this file");
        more_time(WATCHDOG);
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
pub fn more_time(time: Duration) {
    // SAFETY: a plain call. The alarm is not inherited by forks, which die with the test's process group.
    unsafe { libc::alarm(time.as_secs() as u32) };
}

/// A file that exists everywhere and has something in it.
pub fn some_file() -> File {
    File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("this project's own manifest")
}

/// Sets the soft limit of a resource for this process.
pub fn set_limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to the struct that the call fills in.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur = soft;
    // SAFETY: as above, read by the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

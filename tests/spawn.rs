//! What a spawned program promises: what it inherits, how it is talked to, how it ends, and what it leaves behind.
//!
//! The programs are in this file too: this binary is each of them, started under another name.

mod support;

use breezeway::process::{Child, CommandExt, ForkedProcess, InheritError, Outcome, SpawnError, inherited, inherited_fd};
use breezeway::testing::FdLedger;
use breezeway::{Channel, Message, RecvTimeoutError, TryRecvError, TrySendError, channel};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use support::program;

trials!(
    a_program_answers,
    a_file_travels_to_another_program,
    a_program_inherits_what_was_declared_and_nothing_else,
    nothing_else_is_inherited_from_a_parent_of_one_thread,
    a_parent_of_one_thread_starts_programs_without_another_thread_or_a_fork,
    descriptors_are_as_they_were_after_a_spawn,
    nothing_else_is_inherited_where_close_range_is_missing,
    nothing_else_is_inherited_where_proc_is_missing_too,
    named_descriptors_are_passed,
    a_name_that_cannot_be_is_refused,
    the_second_call_is_refused,
    a_program_started_by_hand_has_no_channel,
    a_grandchild_has_no_channel,
    a_variable_of_somebody_else_is_refused,
    a_foreign_descriptor_is_never_adopted,
    what_did_not_come_through_exec_is_never_adopted,
    a_socket_of_another_kind_is_refused,
    a_program_that_is_missing_is_its_errno,
    a_program_that_may_not_run_is_its_errno,
    a_file_that_was_being_written_can_be_executed_after_a_failed_spawn,
    closed_standard_descriptors_are_survived,
    a_command_can_be_used_again,
    what_is_closed_after_a_spawn_is_closed,
    everything_works_beside_another_thread,
    everything_works_where_close_range_is_missing,
    everything_works_where_nothing_but_a_hook_is_possible,
    stdio_is_the_commands,
    many_threads_spawn_at_once,
    every_outcome_is_told_apart,
    a_panic_reaches_the_parent_as_data,
    a_panic_that_did_not_end_the_program_is_not_reported,
    a_program_that_dies_at_once_is_an_error_at_once,
    dropping_kills_and_reaps,
    a_program_that_is_not_killed_on_drop_goes_on,
    a_grandchild_that_holds_the_end_does_not_keep_it_open,
    sending_to_a_dead_program_ends_although_a_grandchild_holds_the_end,
    a_forks_grandchild_does_not_keep_the_end_open_either,
    without_pidfds_the_end_is_that_of_the_socket,
    a_later_fork_does_not_keep_a_programs_channel_open,
    a_program_can_die_with_its_parent,
    dying_with_the_parent_is_not_dying_with_a_thread_of_it,
    without_the_option_it_does_not,
    a_program_can_have_a_process_group_of_its_own,
    a_thousand_programs_leave_nothing;
    programs: echo, measure, list_descriptors, count_numbers, write_log, call_twice, ask, start_another, adopt_foreign, adopt_sealed, end_as_told,
    leave_a_grandchild, hold_on, start_one_and_wait, answer_elsewhere, tell_group
);

#[derive(Message, Clone, Debug, PartialEq, Eq)]
struct Text(String);

#[derive(Message)]
struct Document(File);

#[derive(Message)]
struct Numbers(Vec<u32>);

fn text(text: impl Into<String>) -> Text {
    Text(text.into())
}

/// A program of this file with a channel of texts to it.
fn spawn(name: &str) -> Child<Text, Text> {
    program(name).spawn_with_channel().unwrap()
}

fn channel_to_parent() -> Channel<Text, Text> {
    inherited().unwrap()
}

fn echo() {
    let parent = channel_to_parent();
    for message in &parent {
        parent.send(message.unwrap()).unwrap();
    }
}

fn no_children() {
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let children = fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        assert_eq!(children, "", "no child is left, running or as a zombie");
    }
}

fn a_program_answers() {
    let _ledger = FdLedger::open().unwrap();
    let child = spawn("echo");
    assert_ne!(child.id(), std::process::id());
    for number in 0..100 {
        child.send(text(number.to_string())).unwrap();
        assert_eq!(child.recv().unwrap(), text(number.to_string()));
    }
    assert_eq!(child.wait().unwrap(), Outcome::Exited(0));
    no_children();
}

fn measure() {
    let parent = inherited::<Text, Document>().unwrap();
    let mut content = String::new();
    parent.recv().unwrap().0.read_to_string(&mut content).unwrap();
    parent.send(text(content.len().to_string())).unwrap();
}

fn a_file_travels_to_another_program() {
    let _ledger = FdLedger::open().unwrap();
    let length = support::some_file().metadata().unwrap().len();
    let child = program("measure").spawn_with_channel::<Document, Text>().unwrap();
    child.send(Document(support::some_file())).unwrap();
    assert_eq!(child.recv().unwrap(), text(length.to_string()));
    assert!(child.wait().unwrap().success());
}

/// What each of this process's descriptors points at.
fn descriptors() -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, fs::read_link(&path).ok()?)));
    entries.map(|(fd, target)| (fd, target.to_str().unwrap().to_owned())).filter(|(_, target)| !target.ends_with("/fd")).collect()
}

fn list_descriptors() {
    // Before anything is taken: what came through `exec`.
    let found: Vec<_> = descriptors().into_values().collect();
    match inherited::<Text, Text>() {
        Ok(parent) => parent.send(text(found.join("\n"))).unwrap(),
        Err(InheritError::NotSpawned) => println!("{}", found.join("\n")),
        Err(error) => panic!("{error}"),
    }
}

/// Starts the program 20 times in a hostile neighbourhood, with two named files.
fn only_what_was_declared() {
    let manifest = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let manifest = manifest.to_str().unwrap();
    let others: Vec<OwnedFd> = (0..100).map(|_| support::inheritable(support::some_file().as_fd())).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _: Vec<OwnedFd> = (0..20).map(|_| support::inheritable(support::some_file().as_fd())).collect();
                }
            });
        }
        for _ in 0..20 {
            let mut command = program("list_descriptors");
            let spawn = command.with_channel::<Text, Text>();
            let child = spawn.pass_fd("one", support::some_file()).pass_fd("two", support::some_file()).spawn().unwrap();
            let found = child.recv().unwrap().0;
            let (own, stdio): (Vec<&str>, Vec<&str>) =
                found.lines().partition(|target| *target == manifest || target.starts_with("socket:"));
            assert_eq!(stdio.len(), 3, "{found}");
            assert_eq!(own.iter().filter(|target| **target == manifest).count(), 2, "{found}");
            assert_eq!(own.len(), 4, "the channel, the way to report a panic and the two files: {found}");
            assert!(child.wait().unwrap().success());
        }
        // The control: a plain command.
        let plain = program("list_descriptors").output().unwrap();
        assert!(String::from_utf8(plain.stdout).unwrap().matches(manifest).count() >= 100);
        stop.store(true, Ordering::Relaxed);
    });
    drop(others);
}

fn a_program_inherits_what_was_declared_and_nothing_else() {
    let _ledger = FdLedger::open().unwrap();
    only_what_was_declared();
}

/// By a parent without threads, with two named files.
fn only_what_was_declared_by_one_thread(others: usize) {
    let others: Vec<OwnedFd> = (0..others).map(|_| support::inheritable(support::some_file().as_fd())).collect();
    let mut command = program("list_descriptors");
    let spawn = command.with_channel::<Text, Text>().pass_fd("one", support::inheritable(support::some_file().as_fd()));
    let child = spawn.pass_fd("two", support::some_file()).spawn().unwrap();
    let found = child.recv().unwrap().0;
    assert_eq!(found.matches("Cargo.toml").count(), 2, "{found}");
    assert_eq!(found.lines().count(), 7, "stdio, the channel, the way to report a panic and the two files: {found}");
    assert!(child.wait().unwrap().success());
    drop(others);
}

fn nothing_else_is_inherited_from_a_parent_of_one_thread() {
    let _ledger = FdLedger::open().unwrap();
    // As many as it looks at, and more.
    [0, 30, 300].into_iter().for_each(only_what_was_declared_by_one_thread);
}

fn a_parent_of_one_thread_starts_programs_without_another_thread_or_a_fork() {
    support::forbid(libc::SYS_close_range, libc::ENOSYS);
    // As `fork` calls it: std starts a program by `clone3`.
    support::forbid(libc::SYS_clone, libc::EAGAIN);
    only_what_was_declared_by_one_thread(30);
    assert!(Command::new("true").stdout(Stdio::piped()).spawn_with_channel::<Text, Text>().unwrap().wait().unwrap().success());
    // The control.
    let _another = another_thread();
    assert_eq!(start_error(Command::new("true").spawn_with_channel()), libc::EAGAIN);
}

fn descriptors_are_as_they_were_after_a_spawn() {
    let others: Vec<OwnedFd> = (0..20).map(|_| support::inheritable(support::some_file().as_fd())).collect();
    let sealed: Vec<File> = (0..20).map(|_| support::some_file()).collect();
    let (open, inheritable) = (support::open_numbers(), support::inheritable_numbers());
    assert!(inheritable.len() >= others.len() && open.len() >= inheritable.len() + sealed.len(), "the control");
    let as_they_were = || {
        assert!(Command::new("true").spawn_with_channel::<Text, Text>().unwrap().wait().unwrap().success());
        assert_eq!((support::open_numbers(), support::inheritable_numbers()), (open.clone(), inheritable.clone()));
        assert_eq!(start_error(Command::new("/nowhere").spawn_with_channel()), libc::ENOENT);
        assert_eq!((support::open_numbers(), support::inheritable_numbers()), (open.clone(), inheritable.clone()));
    };
    as_they_were();
    let _another = another_thread();
    as_they_were();
}

fn nothing_else_is_inherited_where_close_range_is_missing() {
    let _ledger = FdLedger::open().unwrap();
    // Linux before 5.9, and before 5.11, where its flag is missing.
    support::forbid(libc::SYS_close_range, libc::ENOSYS);
    only_what_was_declared();
    support::forbid(libc::SYS_close_range, libc::EINVAL);
    only_what_was_declared();
}

fn count_numbers() {
    let open = support::open_numbers();
    match inherited::<Numbers, Text>() {
        Ok(parent) => parent.send(Numbers(open.iter().map(|number| *number as u32).collect())).unwrap(),
        Err(error) => println!("{error}: {}", open.len()),
    }
}

fn nothing_else_is_inherited_where_proc_is_missing_too() {
    let others: Vec<OwnedFd> = (0..100).map(|_| support::inheritable(support::some_file().as_fd())).collect();
    support::forbid(libc::SYS_close_range, libc::ENOSYS);
    support::forbid(libc::SYS_getdents64, libc::EACCES);
    let child = program("count_numbers").spawn_with_channel::<Text, Numbers>().unwrap();
    assert_eq!(child.recv().unwrap().0.len(), 5);
    assert!(child.wait().unwrap().success());
    let plain = String::from_utf8(program("count_numbers").output().unwrap().stdout).unwrap();
    let (error, open) = plain.trim().rsplit_once(' ').unwrap();
    assert_eq!(error, "this program was not started with a channel:");
    assert!(open.parse::<u32>().unwrap() >= 103, "the control: {open}");
    drop(others);
}

fn write_log() {
    let mut log = File::from(inherited_fd("log").unwrap());
    assert!(support::is_cloexec(log.as_fd()));
    writeln!(log, "a line").unwrap();
    let errors = ["log", "other", "channel", "panics"].map(|name| inherited_fd(name).unwrap_err().to_string());
    let parent = channel_to_parent();
    assert!(support::is_cloexec(parent.as_fd()));
    parent.send(text(errors.join("\n"))).unwrap();
}

fn named_descriptors_are_passed() {
    let _ledger = FdLedger::open().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let child = program("write_log").with_channel::<Text, Text>().pass_fd("log", log.reopen().unwrap()).spawn().unwrap();
    let expected = "`log` has been taken already: once per process\nno descriptor named `other` was passed to this program\n\
                    no descriptor named `channel` was passed to this program\nno descriptor named `panics` was passed to this program";
    assert_eq!(child.recv().unwrap().0, expected);
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&log).unwrap(), "a line\n");
}

fn a_name_that_cannot_be_is_refused() {
    let _ledger = FdLedger::open().unwrap();
    for names in [&["channel"][..], &["panics"], &["a b"], &[""], &["twice", "twice"]] {
        let mut command = program("echo");
        let spawn = command.with_channel::<Text, Text>();
        let spawn = names.iter().fold(spawn, |spawn, name| spawn.pass_fd(*name, support::some_file()));
        let error = spawn.spawn().unwrap_err();
        assert!(matches!(&error, SpawnError::Name { name } if name == names[names.len() - 1]), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
    }
    no_children();
}

fn call_twice() {
    let parent = channel_to_parent();
    let second = inherited::<Text, Text>().unwrap_err();
    assert!(matches!(&second, InheritError::Taken { name } if name == "channel"));
    parent.send(text(second.to_string())).unwrap();
}

fn the_second_call_is_refused() {
    let child = spawn("call_twice");
    assert_eq!(child.recv().unwrap().0, "`channel` has been taken already: once per process");
    assert!(child.wait().unwrap().success());
}

/// Prints what it is told about its channel.
fn ask() {
    match inherited::<Text, Text>() {
        Ok(parent) => println!("has a channel: {:?}", parent.send(text("found")).is_ok()),
        Err(InheritError::Adopt(fault)) => println!("not a channel: {fault}"),
        Err(error) => println!("{error}"),
    }
}

fn asked(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn a_program_started_by_hand_has_no_channel() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(asked(&mut program("ask")), "this program was not started with a channel\n");
    assert!(matches!(inherited::<Text, Text>(), Err(InheritError::NotSpawned)), "nor has this one");
    assert_eq!(io::Error::from(inherited_fd("log").unwrap_err()).kind(), ErrorKind::NotFound);
}

fn start_another() {
    let parent = channel_to_parent();
    parent.send(text(asked(&mut program("ask")))).unwrap();
}

fn a_grandchild_has_no_channel() {
    let child = spawn("start_another");
    assert_eq!(child.recv().unwrap().0, "`channel` was passed to another process, not to this one\n");
    assert!(child.wait().unwrap().success());
}

fn a_variable_of_somebody_else_is_refused() {
    let with = |value: &str| asked(program("ask").env("BREEZEWAY_FDS", value));
    assert_eq!(with("nonsense"), "the environment variable BREEZEWAY_FDS is not understood: \"nonsense\"\n");
    assert_eq!(with("log=9:1:1"), "no descriptor named `channel` was passed to this program\n");
    assert_eq!(with("channel=9:1:1"), "`channel` was passed to another process, not to this one\n");
    assert_eq!(with("channel=0:1:1"), "`channel` was passed to another process, not to this one\n");
}

/// The variable's entry of the channel: number, and the rest.
fn own_entry() -> (i32, String) {
    let variable = std::env::var("BREEZEWAY_FDS").unwrap();
    let entry = variable.split(' ').find_map(|entry| entry.strip_prefix("channel=")).unwrap();
    let (number, rest) = entry.split_once(':').unwrap();
    (number.parse().unwrap(), rest.to_owned())
}

fn adopt_foreign() {
    let (number, _) = own_entry();
    let foreign = support::some_file();
    // The end itself, to be seen by the parent as open for as long as this program runs.
    support::put_under(number, foreign.as_fd());
    let before = descriptors();
    assert!(matches!(inherited::<Text, Text>(), Err(InheritError::NotInherited { .. })));
    assert!(matches!(inherited::<Text, Text>(), Err(InheritError::NotInherited { .. })), "again");
    assert_eq!(descriptors(), before, "the foreign file is still there");
}

fn a_foreign_descriptor_is_never_adopted() {
    assert_eq!(spawn("adopt_foreign").wait().unwrap(), Outcome::Exited(0));
}

fn adopt_sealed() {
    let (number, _) = own_entry();
    support::set_cloexec(number);
    assert!(matches!(inherited::<Text, Text>(), Err(InheritError::NotInherited { .. })));
}

fn what_did_not_come_through_exec_is_never_adopted() {
    assert_eq!(spawn("adopt_sealed").wait().unwrap(), Outcome::Exited(0));
}

fn a_socket_of_another_kind_is_refused() {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    let place = |fd: &OwnedFd| {
        let stat = File::from(fd.try_clone().unwrap()).metadata().unwrap();
        format!("channel={}:{}:{}", fd.as_raw_fd(), stat.dev(), stat.ino())
    };
    let file = support::inheritable(support::some_file().as_fd());
    assert_eq!(asked(program("ask").env("BREEZEWAY_FDS", place(&file))), "not a channel: it is no socket\n");
    let alone = support::inheritable(support::unconnected_seqpacket().as_fd());
    assert_eq!(asked(program("ask").env("BREEZEWAY_FDS", place(&alone))), "not a channel: it is not connected\n");
    // The control: what is written by hand is taken where it is right.
    let (ours, theirs) = Channel::<Text, Text>::pair().unwrap();
    let theirs = support::inheritable(theirs.as_fd());
    drop(ours);
    let said = "the program at the other end has closed the channel without saying hello\n";
    assert_eq!(asked(program("ask").env("BREEZEWAY_FDS", place(&theirs))), said);
}

#[track_caller]
fn start_error(result: Result<Child<Text, Text>, SpawnError>) -> i32 {
    match result.unwrap_err() {
        SpawnError::Start { source, .. } => source.raw_os_error().unwrap(),
        other => panic!("{other}"),
    }
}

fn a_program_that_is_missing_is_its_errno() {
    let _ledger = FdLedger::open().unwrap();
    let error = Command::new("/nowhere/at-all").with_channel::<Text, Text>().pass_fd("log", support::some_file()).spawn().unwrap_err();
    assert_eq!(error.to_string(), "`/nowhere/at-all` could not be started");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    assert_eq!(start_error(Command::new("no-such-program-on-any-path").spawn_with_channel()), libc::ENOENT);
    assert_eq!(start_error(program("echo").current_dir("/nowhere").spawn_with_channel()), libc::ENOENT);
    no_children();
}

fn a_program_that_may_not_run_is_its_errno() {
    let _ledger = FdLedger::open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "#!/nowhere/interpreter\n").unwrap();
    assert_eq!(start_error(Command::new(file.path()).spawn_with_channel()), libc::EACCES);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let path = file.into_temp_path();
    assert_eq!(start_error(Command::new(&path).spawn_with_channel()), libc::ENOENT);
    no_children();
    // No room for another process.
    support::forbid(libc::SYS_clone3, libc::EAGAIN);
    support::forbid(libc::SYS_clone, libc::EAGAIN);
    assert_eq!(start_error(program("echo").spawn_with_channel()), libc::EAGAIN);
}

fn a_file_that_was_being_written_can_be_executed_after_a_failed_spawn() {
    for _ in 0..100 {
        let script = tempfile::NamedTempFile::new().unwrap();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(start_error(Command::new("/nowhere").spawn_with_channel()), libc::ENOENT);
        let script = script.into_temp_path();
        assert!(Command::new(&script).spawn_with_channel::<Text, Text>().unwrap().wait().unwrap().success());
    }
}

fn closed_standard_descriptors_are_survived() {
    support::close_standard_descriptors();
    let _ledger = FdLedger::open().unwrap();
    for stdio in [Stdio::inherit, Stdio::null, Stdio::piped] {
        let mut command = program("echo");
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn_with_channel::<Text, Text>().unwrap();
        child.send(text("there")).unwrap();
        assert_eq!(child.recv().unwrap(), text("there"));
        assert!(child.wait().unwrap().success());
        let mut command = Command::new("/nowhere");
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        assert_eq!(start_error(command.spawn_with_channel()), libc::ENOENT);
    }
    // A descriptor to be passed may have landed there.
    let low = support::some_file();
    let child = program("list_descriptors").with_channel::<Text, Text>().pass_fd("low", low).spawn().unwrap();
    assert!(child.recv().unwrap().0.contains("Cargo.toml"));
    assert!(child.wait().unwrap().success());
}

fn a_command_can_be_used_again() {
    let _ledger = FdLedger::open().unwrap();
    let mut command = program("echo");
    let children: Vec<Child<Text, Text>> = (0..3).map(|_| command.spawn_with_channel().unwrap()).collect();
    for child in children {
        child.send(text("each")).unwrap();
        assert_eq!(child.recv().unwrap(), text("each"));
        assert!(child.wait().unwrap().success());
    }
    let mut command = program("ask");
    drop(command.spawn_with_channel::<Text, Text>().unwrap());
    // As std's it inherits as std's, and knows of no channel.
    assert_eq!(asked(&mut command), "this program was not started with a channel\n");
}

fn stdio_is_the_commands() {
    let _ledger = FdLedger::open().unwrap();
    let mut command = program("ask");
    let mut child = command.stdout(Stdio::piped()).spawn_with_channel::<Text, Text>().unwrap();
    let mut said = String::new();
    child.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "has a channel: true\n");
    assert!(child.take_stdout().is_none() && child.take_stdin().is_none() && child.take_stderr().is_none());
    assert!(child.wait().unwrap().success());
}

fn what_is_closed_after_a_spawn_is_closed() {
    let _ledger = FdLedger::open().unwrap();
    for _ in 0..100 {
        let (ours, theirs) = Channel::<Text>::pair().unwrap();
        let child = spawn("hold_on");
        drop(theirs);
        // At once, or as soon as `exec` in the child has closed its copy; not when the program ends.
        assert!(ours.recv().unwrap_err().is_closed());
        assert_eq!(child.try_recv().unwrap_err().to_string(), TryRecvError::Empty.to_string(), "it still runs");
    }
}

/// Another thread of this process, until it is dropped.
fn another_thread() -> impl Drop {
    struct Another(Option<(mpsc::Sender<()>, JoinHandle<()>)>);
    impl Drop for Another {
        fn drop(&mut self) {
            let (stop, thread) = self.0.take().unwrap();
            drop(stop);
            thread.join().unwrap();
        }
    }
    let (stop, stopped) = mpsc::channel();
    Another(Some((stop, std::thread::spawn(move || stopped.recv().unwrap_or_default()))))
}

fn everything_works_beside_another_thread() {
    let _another = another_thread();
    everything_works();
    what_is_closed_after_a_spawn_is_closed();
    a_file_that_was_being_written_can_be_executed_after_a_failed_spawn();
    closed_standard_descriptors_are_survived();
}

fn everything_works_where_close_range_is_missing() {
    support::forbid(libc::SYS_close_range, libc::ENOSYS);
    everything_works();
}

fn everything_works_where_nothing_but_a_hook_is_possible() {
    support::forbid(libc::SYS_close_range, libc::ENOSYS);
    let _another = another_thread();
    everything_works();
}

fn everything_works() {
    every_outcome_is_told_apart();
    a_program_that_is_missing_is_its_errno();
    stdio_is_the_commands();
    a_command_can_be_used_again();
    named_descriptors_are_passed();
    many_threads_spawn_at_once();
}

fn many_threads_spawn_at_once() {
    let _ledger = FdLedger::open().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    let child = spawn("echo");
                    let message = text(format!("{thread} {round}"));
                    child.send_ref(&message).unwrap();
                    assert_eq!(child.recv().unwrap(), message);
                    assert!(child.wait().unwrap().success());
                }
            });
        }
    });
    no_children();
}

/// Ends in the way that its first message names.
fn end_as_told() {
    let before = std::env::var_os("PANIC_BEFORE").is_some();
    assert!(!before, "before it is inherited");
    let parent = channel_to_parent();
    let how = parent.recv().unwrap().0;
    parent.send(text(line!().to_string())).unwrap();
    match how.as_str() {
        "return" => {}
        "exit" => std::process::exit(7),
        "exit 101" => std::process::exit(101),
        "abort" => std::process::abort(),
        "signal" => support::raise(libc::SIGTERM),
        "panic" => panic!("as {}", "planned"),
        "thread" => assert!(std::thread::spawn(|| panic!("in a thread")).join().is_err()),
        "thread 101" => {
            assert!(std::thread::spawn(|| panic!("in a thread")).join().is_err());
            std::process::exit(101);
        }
        "caught" => assert!(catch_unwind(|| panic!("caught")).is_err()),
        "caught, then panic" => {
            assert!(catch_unwind(|| panic!("caught")).is_err());
            panic!("not caught");
        }
        "fork" => {
            let fork = ForkedProcess::spawn(|_: Channel<()>| panic!("in a fork")).unwrap();
            assert!(matches!(fork.wait().unwrap(), Outcome::Panicked(_)));
            std::process::exit(101);
        }
        "wait" => {
            parent.recv().unwrap_err();
        }
        other => unreachable!("{other}"),
    }
}

fn ends(how: &str) -> Outcome {
    let child = spawn("end_as_told");
    child.send(text(how)).unwrap();
    child.recv().unwrap();
    assert!(child.recv().unwrap_err().is_closed());
    child.wait().unwrap()
}

fn every_outcome_is_told_apart() {
    let _ledger = FdLedger::open().unwrap();
    assert_eq!(ends("return"), Outcome::Exited(0));
    assert_eq!(ends("exit"), Outcome::Exited(7));
    assert_eq!(ends("exit 101"), Outcome::Exited(101));
    assert_eq!(ends("signal"), Outcome::Signalled { signal: libc::SIGTERM, core_dumped: false });
    assert!(matches!(ends("abort"), Outcome::Signalled { signal: libc::SIGABRT, .. }));
    let mut child = spawn("end_as_told");
    child.send(text("wait")).unwrap();
    child.recv().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), None);
    child.kill().unwrap();
    assert!(child.recv().unwrap_err().is_closed());
    assert_eq!(child.wait().unwrap(), Outcome::Signalled { signal: libc::SIGKILL, core_dumped: false });
}

fn a_panic_reaches_the_parent_as_data() {
    let _ledger = FdLedger::open().unwrap();
    let child = spawn("end_as_told");
    child.send(text("panic")).unwrap();
    let sent_at: u32 = child.recv().unwrap().0.parse().unwrap();
    assert!(child.recv().unwrap_err().is_closed());
    let Outcome::Panicked(report) = child.wait().unwrap() else { panic!("it panicked") };
    assert_eq!((report.message.as_str(), report.file.as_str()), ("as planned", file!()));
    assert!((sent_at..sent_at + 10).contains(&report.line), "{report}");
    if cfg!(panic = "unwind") {
        assert!(matches!(ends("caught, then panic"), Outcome::Panicked(report) if report.message == "not caught"));
    }
}

fn a_panic_that_did_not_end_the_program_is_not_reported() {
    let _ledger = FdLedger::open().unwrap();
    if cfg!(panic = "unwind") {
        assert_eq!(ends("thread"), Outcome::Exited(0));
        assert_eq!(ends("thread 101"), Outcome::Exited(101));
        assert_eq!(ends("caught"), Outcome::Exited(0));
        assert_eq!(ends("fork"), Outcome::Exited(101));
        let before = program("end_as_told").env("PANIC_BEFORE", "").spawn_with_channel::<Text, Text>().unwrap();
        assert!(before.recv().unwrap_err().is_closed());
        assert_eq!(before.wait().unwrap(), Outcome::Exited(101), "nothing can be reported before it is inherited");
    }
}

fn a_program_that_dies_at_once_is_an_error_at_once() {
    let _ledger = FdLedger::open().unwrap();
    let child = Command::new("true").spawn_with_channel::<Text, Text>().unwrap();
    assert!(child.recv().unwrap_err().is_closed());
    assert!(child.send(text("too late")).unwrap_err().is_closed());
    assert!(child.is_closed());
    assert_eq!(child.wait().unwrap(), Outcome::Exited(0));
    let child = Command::new("false").spawn_with_channel::<Text, Text>().unwrap();
    assert!(matches!(child.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Closed)));
    assert_eq!(child.wait().unwrap(), Outcome::Exited(1));
}

/// A program that waits for the end of its channel.
fn waiting() -> Child<Text, Text> {
    let child = spawn("end_as_told");
    child.send(text("wait")).unwrap();
    child.recv().unwrap();
    child
}

fn dropping_kills_and_reaps() {
    let _ledger = FdLedger::open().unwrap();
    let (child, process) = (waiting(), waiting().into_parts().1);
    let ids = [child.id(), process.id()];
    drop((child, process));
    assert!(!ids.into_iter().any(support::exists), "neither running nor a zombie");
}

fn a_program_that_is_not_killed_on_drop_goes_on() {
    let _ledger = FdLedger::open().unwrap();
    let (asks, questions) = channel::<Text>().unwrap();
    let (answers, heard) = channel::<Text>().unwrap();
    let mut command = program("answer_elsewhere");
    let spawn = command.with_channel::<Text, Text>().kill_on_drop(false);
    let child = spawn.pass_fd("questions", OwnedFd::try_from(questions).unwrap()).pass_fd("answers", OwnedFd::try_from(answers).unwrap());
    let child = child.spawn().unwrap();
    let id = child.id();
    drop(child);
    asks.send(text("still there?")).unwrap();
    assert_eq!(heard.recv().unwrap(), text(id.to_string()));
    drop(asks);
    assert!(heard.recv().unwrap_err().is_closed());
    while !fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") Z") {
        std::thread::yield_now();
    }
    assert!(waiting().wait().unwrap().success());
    assert!(!support::exists(id), "it is reaped when another is started");
}

/// Answers questions on other channels than its own, with its process number.
fn answer_elsewhere() {
    let questions = breezeway::Receiver::<Text>::try_from(inherited_fd("questions").unwrap()).unwrap();
    let answers = breezeway::Sender::<Text>::try_from(inherited_fd("answers").unwrap()).unwrap();
    while questions.recv().is_ok() {
        answers.send(text(std::process::id().to_string())).unwrap();
    }
}

/// Starts a program before it takes its descriptors, so that it inherits them too; says something, and ends.
fn leave_a_grandchild() {
    let grandchild = program("hold_on").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut byte = [0];
    grandchild.stdout.unwrap().read_exact(&mut byte).unwrap();
    let parent = channel_to_parent();
    parent.send(text("one")).unwrap();
    parent.send(text("two")).unwrap();
    std::process::exit(5);
}

/// Holds whatever it has inherited until the test's process group is killed.
fn hold_on() {
    print!(".");
    io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

fn a_grandchild_that_holds_the_end_does_not_keep_it_open() {
    let _ledger = FdLedger::open().unwrap();
    let child = spawn("leave_a_grandchild");
    assert_eq!([child.recv().unwrap().0, child.recv().unwrap().0], ["one", "two"]);
    assert!(child.recv().unwrap_err().is_closed());
    assert!(child.recv().unwrap_err().is_closed(), "again and again");
    assert!(matches!(child.try_recv(), Err(TryRecvError::Closed)));
    assert!(child.send(text("nobody")).unwrap_err().is_closed());
    assert!(child.is_closed());
    assert_eq!(child.wait().unwrap(), Outcome::Exited(5));

    let mut child = spawn("leave_a_grandchild");
    assert_eq!(child.wait_timeout(Duration::MAX).unwrap(), Some(Outcome::Exited(5)));
    // It is reaped by now. The other forms, and the halves.
    let (channel, _process) = child.into_parts();
    assert_eq!([channel.try_recv().unwrap().0, channel.recv_timeout(Duration::ZERO).unwrap().0], ["one", "two"]);
    let (sender, receiver) = channel.split();
    assert!(matches!(receiver.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Closed)));
    assert!(receiver.is_closed() && sender.is_closed());
    assert_eq!(receiver.iter().count(), 0);
}

fn sending_to_a_dead_program_ends_although_a_grandchild_holds_the_end() {
    let _ledger = FdLedger::open().unwrap();
    let mut child = spawn("leave_a_grandchild");
    while child.try_send(text("fill")).is_ok() {}
    assert!(child.send(text("more")).unwrap_err().is_closed());
    assert_eq!(child.wait_timeout(Duration::MAX).unwrap(), Some(Outcome::Exited(5)));
    assert!(matches!(child.try_send(text("more")), Err(TrySendError::Closed(_))));
    assert!(child.send_timeout(text("more"), Duration::MAX).unwrap_err().is_closed());
    // What it sent is there all the same.
    assert_eq!(child.recv().unwrap().0, "one");
}

fn a_forks_grandchild_does_not_keep_the_end_open_either() {
    let _ledger = FdLedger::open().unwrap();
    let child = ForkedProcess::spawn(|channel: Channel<u32>| {
        let kept = channel.as_fd().try_clone_to_owned().unwrap();
        let grandchild = ForkedProcess::spawn(move |_: Channel<()>| {
            let _kept = kept;
            loop {
                std::thread::park();
            }
        });
        grandchild.unwrap().detach();
        channel.send(1).unwrap();
    })
    .unwrap();
    assert_eq!(child.recv().unwrap(), 1);
    assert!(child.recv().unwrap_err().is_closed());
    assert!(child.wait().unwrap().success());
}

fn without_pidfds_the_end_is_that_of_the_socket() {
    support::forbid(libc::SYS_pidfd_open, libc::ENOSYS);
    let child = Command::new("true").spawn_with_channel::<Text, Text>().unwrap();
    assert!(child.pidfd().is_none());
    assert!(child.recv().unwrap_err().is_closed());
    assert!(child.wait().unwrap().success());
    let mut child = spawn("leave_a_grandchild");
    assert_eq!([child.recv().unwrap().0, child.recv().unwrap().0], ["one", "two"]);
    assert_eq!(child.wait_timeout(Duration::from_secs(9)).unwrap(), Some(Outcome::Exited(5)));
    assert!(matches!(child.try_recv(), Err(TryRecvError::Empty)), "the grandchild holds it: the control of the tests above");
}

fn a_later_fork_does_not_keep_a_programs_channel_open() {
    let _ledger = FdLedger::open().unwrap();
    let program = waiting();
    let fork = ForkedProcess::spawn(|channel: Channel<()>| {
        channel.send(()).unwrap();
        channel.recv().unwrap_err();
    })
    .unwrap();
    fork.recv().unwrap();
    let (channel, mut process) = program.into_parts();
    drop(channel);
    assert_eq!(process.wait().unwrap(), Outcome::Exited(0));
    assert!(fork.wait().unwrap().success());
}

/// Starts `answer_elsewhere` with the descriptors that it was given, and then only waits to be killed.
fn start_one_and_wait() {
    let parent = channel_to_parent();
    let mut command = program("answer_elsewhere");
    let spawn = command.with_channel::<Text, Text>();
    let spawn = ["questions", "answers"].into_iter().fold(spawn, |spawn, name| spawn.pass_fd(name, inherited_fd(name).unwrap()));
    let spawn = if std::env::var_os("DIE_WITH_PARENT").is_some() { spawn.die_with_parent() } else { spawn };
    // A thread that ends before its program.
    let from_a_thread = std::env::var_os("FROM_A_THREAD").is_some();
    let child =
        if from_a_thread { std::thread::scope(|scope| scope.spawn(|| spawn.spawn()).join().unwrap()) } else { spawn.spawn() }.unwrap();
    parent.send(text(child.id().to_string())).unwrap();
    parent.recv().unwrap_err();
    unreachable!("it is killed first");
}

/// Kills a program that has started another, which answers where `ask` asks it; and whether it still does.
fn is_outlived(command: &mut Command) -> bool {
    let (asks, questions) = channel::<Text>().unwrap();
    let (answers, heard) = channel::<Text>().unwrap();
    let spawn = command.with_channel::<Text, Text>().pass_fd("questions", OwnedFd::try_from(questions).unwrap());
    let mut child = spawn.pass_fd("answers", OwnedFd::try_from(answers).unwrap()).spawn().unwrap();
    let grandchild = child.recv().unwrap();
    asks.send(text("?")).unwrap();
    assert_eq!(heard.recv().unwrap(), grandchild);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap(), Outcome::Signalled { signal: libc::SIGKILL, core_dumped: false });
    // It is dead, so what the kernel does about its children is done: where one is killed, this channel ends.
    if asks.send(text("?")).is_err() {
        return false;
    }
    heard.recv().is_ok_and(|answer| answer == grandchild)
}

fn a_program_can_die_with_its_parent() {
    let _ledger = FdLedger::open().unwrap();
    assert!(!is_outlived(program("start_one_and_wait").env("DIE_WITH_PARENT", "")));
}

fn dying_with_the_parent_is_not_dying_with_a_thread_of_it() {
    let _ledger = FdLedger::open().unwrap();
    assert!(!is_outlived(program("start_one_and_wait").env("DIE_WITH_PARENT", "").env("FROM_A_THREAD", "")));
    // The thread that stays for it goes with it.
    let mut command = program("echo");
    let spawn = command.with_channel::<Text, Text>().die_with_parent();
    let child = std::thread::scope(|scope| scope.spawn(|| spawn.spawn()).join().unwrap()).unwrap();
    child.send(text("still there")).unwrap();
    assert_eq!(child.recv().unwrap(), text("still there"));
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    assert_eq!(threads(), 2);
    assert!(child.wait().unwrap().success());
    while threads() > 1 {
        std::thread::yield_now();
    }
    // The command is what it was.
    assert!(command.spawn_with_channel::<Text, Text>().unwrap().wait().unwrap().success());
}

fn without_the_option_it_does_not() {
    let _ledger = FdLedger::open().unwrap();
    assert!(is_outlived(&mut program("start_one_and_wait")));
}

fn tell_group() {
    channel_to_parent().send(text(support::process_group().to_string())).unwrap();
}

fn a_program_can_have_a_process_group_of_its_own() {
    let _ledger = FdLedger::open().unwrap();
    let shared = spawn("tell_group");
    assert_eq!(shared.recv().unwrap(), text(support::process_group().to_string()));
    let own = program("tell_group").with_channel::<Text, Text>().own_process_group().spawn().unwrap();
    assert_eq!(own.recv().unwrap(), text(own.id().to_string()));
    assert!(shared.wait().unwrap().success() && own.wait().unwrap().success());
}

fn a_thousand_programs_leave_nothing() {
    support::more_time(Duration::from_secs(120));
    let _ledger = FdLedger::open().unwrap();
    for round in 0..1000 {
        match round % 5 {
            0 => assert!(waiting().wait().unwrap().success()),
            1 => drop(waiting()),
            2 => assert_eq!(ends("exit"), Outcome::Exited(7)),
            3 => assert_eq!(start_error(Command::new("/nowhere").spawn_with_channel()), libc::ENOENT),
            _ => drop(spawn("echo")),
        }
    }
    no_children();
}

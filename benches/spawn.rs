//! Spawn to first answer: a program with a channel, against `std::process::Command` with a pipe, in turns in the same run.
//!
//! `cargo bench --bench spawn`, with `-- --quick` for a run that only shows that it works. Both programs are this one, started again.

use breezeway::Message;
use breezeway::process::{CommandExt, inherited};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Message)]
struct Question(u32);

#[derive(Message)]
struct Answer(u32);

/// Says which of the two programs to be.
const PROGRAM: &str = "BREEZEWAY_BENCH_PROGRAM";

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::var(PROGRAM).as_deref() {
        Ok("channel") => return answer_on_a_channel(),
        Ok(_) => return answer_on_a_pipe(),
        Err(_) => {}
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    let turns = if quick { 20 } else { 1000 };
    for (threads, resident) in [(1, 0), (1, 256), (2, 0)] {
        for _ in 1..threads {
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
        }
        // What the parent has in memory: a fork copies its page tables.
        let memory = vec![1_u8; resident << 20];
        let (mut channels, mut pipes) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            // Who goes first changes.
            if turn % 2 == 0 {
                channels.push(by_channel(turn)?);
                pipes.push(by_pipe(turn)?);
            } else {
                pipes.push(by_pipe(turn)?);
                channels.push(by_channel(turn)?);
            }
        }
        let (channel, pipe) = (median(&mut channels), median(&mut pipes));
        println!(
            "parent of {threads} thread(s) and {resident:>3} MiB: channel {:>6.1} µs, pipe {:>6.1} µs, ratio {:.3}; medians of {turns}",
            micros(channel),
            micros(pipe),
            channel.as_secs_f64() / pipe.as_secs_f64()
        );
        drop(memory);
    }
    Ok(())
}

fn program(name: &str) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PROGRAM, name);
    Ok(command)
}

fn by_channel(number: u32) -> Result<Duration, Box<dyn Error>> {
    let mut command = program("channel")?;
    let start = Instant::now();
    let child = command.spawn_with_channel::<Question, Answer>()?;
    child.send(Question(number))?;
    let answer = child.recv()?;
    let time = start.elapsed();
    assert_eq!(answer.0, number + 1);
    assert!(child.wait()?.success());
    Ok(time)
}

fn by_pipe(number: u32) -> Result<Duration, Box<dyn Error>> {
    let mut command = program("pipe")?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{number}")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
    let time = start.elapsed();
    assert_eq!(line.trim().parse::<u32>()?, number + 1);
    drop(stdin);
    assert!(child.wait()?.success());
    Ok(time)
}

fn answer_on_a_channel() -> Result<(), Box<dyn Error>> {
    let parent = inherited::<Answer, Question>()?;
    for question in &parent {
        parent.send(Answer(question?.0 + 1))?;
    }
    Ok(())
}

fn answer_on_a_pipe() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lines() {
        println!("{}", line?.trim().parse::<u32>()? + 1);
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

//! The program that asks: another program by a spawn, and itself by a fork.
#![deny(warnings, missing_docs, clippy::pedantic)]

use bz::process::{CommandExt, ForkedProcess, Outcome};
use bz::{Channel, Message, Sender, channel};
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::process::Command;

/// What is asked.
#[derive(Message)]
#[message(crate = "bz")]
enum Question {
    Sum(Vec<u32>),
    Length { name: String, file: File },
    Elsewhere(Sender<Answer>),
    Panic,
}

/// What is answered.
#[derive(Message, Debug, PartialEq)]
#[message(crate = "bz")]
enum Answer {
    Number(u64),
    Length { name: String, bytes: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    ask_another_program()?;
    ask_a_fork()
}

/// The program beside this one.
fn answerer() -> Result<Command, Box<dyn Error>> {
    Ok(Command::new(std::env::current_exe()?.with_file_name("answerer")))
}

/// A file without a name.
fn scratch() -> Result<File, Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("breezeway-consumer-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn ask_another_program() -> Result<(), Box<dyn Error>> {
    let mut log = scratch()?;
    let child = answerer()?.with_channel::<Question, Answer>().pass_fd("log", log.try_clone()?).spawn()?;
    child.send(Question::Sum(vec![1, 2, 3]))?;
    println!("{:?}", child.recv()?);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    child.send(Question::Length { name: "manifest".into(), file: File::open(manifest)? })?;
    let expected = Answer::Length { name: "manifest".into(), bytes: fs::metadata(manifest)?.len() };
    println!("the same length: {}", child.recv()? == expected);
    let (sender, elsewhere) = channel()?;
    child.send(Question::Elsewhere(sender))?;
    println!("elsewhere: {:?}", elsewhere.recv()?);
    println!("{:?}", child.wait()?);
    let mut text = String::new();
    log.rewind()?;
    log.read_to_string(&mut text)?;
    print!("{text}");

    let child = answerer()?.with_channel::<Question, Answer>().pass_fd("log", log).spawn()?;
    child.send(Question::Panic)?;
    println!("closed: {}", child.recv().is_err_and(|error| error.is_closed()));
    match child.wait()? {
        Outcome::Panicked(report) => println!("panicked: {}", report.message),
        other => println!("{other:?}"),
    }
    Ok(())
}

fn ask_a_fork() -> Result<(), Box<dyn Error>> {
    let child = ForkedProcess::spawn(|parent: Channel<Answer, Question>| -> Result<(), Box<dyn Error>> {
        for question in &parent {
            match question? {
                Question::Sum(numbers) => parent.send(Answer::Number(numbers.len() as u64))?,
                Question::Length { name, file } => parent.send(Answer::Length { name, bytes: file.metadata()?.len() })?,
                Question::Elsewhere(sender) => sender.send(Answer::Number(1))?,
                Question::Panic => return Err("as asked".into()),
            }
        }
        Ok(())
    })?;
    child.send(Question::Sum(vec![7; 70]))?;
    println!("the fork: {:?}", child.recv()?);
    println!("the fork: {:?}", child.wait()?);
    Ok(())
}

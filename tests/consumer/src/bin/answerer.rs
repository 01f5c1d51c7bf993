//! The program that is asked. Its messages are its own declarations of what the asking side has declared, as two programs have them.
#![deny(warnings, missing_docs, clippy::pedantic)]

// Said once for the crate, so that its derives need no attribute.
extern crate bz as breezeway;

use bz::process::{inherited, inherited_fd};
use bz::{Message, Sender};
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};

/// What is asked.
#[derive(Message)]
enum Question {
    Sum(Vec<u32>),
    Length { name: String, file: File },
    Elsewhere(Sender<Answer>),
    Panic,
}

/// What is answered.
#[derive(Message)]
enum Answer {
    Number(u64),
    Length { name: String, bytes: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = inherited::<Answer, Question>()?;
    let mut log = File::from(inherited_fd("log")?);
    for question in &parent {
        match question? {
            Question::Sum(numbers) => parent.send(Answer::Number(numbers.iter().copied().map(u64::from).sum()))?,
            Question::Length { name, mut file } => {
                let bytes = file.read_to_end(&mut Vec::new())? as u64;
                writeln!(log, "read {name}")?;
                parent.send(Answer::Length { name, bytes })?;
            }
            Question::Elsewhere(sender) => sender.send(Answer::Number(0))?,
            Question::Panic => panic!("as asked"),
        }
    }
    writeln!(log, "the end")?;
    Ok(())
}

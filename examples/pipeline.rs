//! Run it: `cargo run --example pipeline`
//!
//! Three programs in a row: a file is handed from each to the next, and each adds a line to it. The programs talk to each other directly,
//! on channels that the program which starts them has made and given away.

use breezeway::process::{Child, CommandExt, inherited};
use breezeway::{Message, Receiver, Sender, channel};
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::Command;

/// What is handed on: the file itself, and its title.
#[derive(Message)]
struct Letter {
    title: String,
    paper: File,
}

/// What a program of the row is told first.
#[derive(Message)]
struct Place {
    name: String,
    from: Receiver<Letter>,
    to: Sender<Letter>,
}

#[derive(Message)]
struct Handled {
    letters: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("member") {
        return take_part();
    }

    let (start, mut from) = channel()?;
    let mut row: Vec<(&str, Child<Place, Handled>)> = Vec::new();
    for name in ["the writer", "the editor", "the printer"] {
        let member = Command::new(env::current_exe()?).arg("member").spawn_with_channel()?;
        let (to, next) = channel()?;
        // Both ends move to the program; this one keeps neither, so the row ends when its first channel does.
        member.send(Place { name: name.into(), from, to })?;
        from = next;
        row.push((name, member));
    }

    for title in ["a letter", "a second letter"] {
        start.send(Letter { title: title.into(), paper: tempfile::tempfile()? })?;
    }
    drop(start);

    for letter in &from {
        let Letter { title, mut paper } = letter?;
        let mut text = String::new();
        paper.rewind()?;
        paper.read_to_string(&mut text)?;
        println!("{title}:");
        text.lines().for_each(|line| println!("    {line}"));
    }
    for (name, member) in row {
        let handled = member.recv()?.letters;
        println!("{name} handled {handled} letters and {}", member.wait()?);
    }
    Ok(())
}

/// A program of the row.
fn take_part() -> Result<(), Box<dyn Error>> {
    let parent = inherited::<Handled, Place>()?;
    let Place { name, from, to } = parent.recv()?;
    let mut letters = 0;
    for letter in &from {
        let Letter { title, mut paper } = letter?;
        writeln!(paper, "{name} has had it")?;
        to.send(Letter { title, paper })?;
        letters += 1;
    }
    // The next of the row learns of the end by this.
    drop(to);
    parent.send(Handled { letters })?;
    Ok(())
}

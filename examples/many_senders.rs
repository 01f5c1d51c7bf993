//! Run it: `cargo run --example many_senders`
//!
//! Four processes send into one receiver. Messages of different senders mix as they come; those of one sender keep their order.

use breezeway::process::ForkedProcess;
use breezeway::{Channel, Message, channel};
use std::collections::BTreeMap;
use std::error::Error;

const SENDERS: u32 = 4;
const MESSAGES: u32 = 1_000;

#[derive(Message)]
struct Note {
    sender: u32,
    number: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (notes, receiver) = channel::<Note>()?;

    let mut children = Vec::new();
    for sender in 1..=SENDERS {
        let notes = notes.clone();
        // A channel to the parent comes with every child; this one needs only the sender that it captures.
        // Many in one packet; to the receiver it makes no difference.
        let send = move |_: Channel<()>| notes.send_all((1..=MESSAGES).map(|number| Note { sender, number })).map(drop);
        children.push(ForkedProcess::spawn(send)?);
    }
    // The channel ends with its last sender, so this process must not keep one.
    drop(notes);

    let mut arrived = BTreeMap::<u32, Vec<u32>>::new();
    for note in &receiver {
        let Note { sender, number } = note?;
        arrived.entry(sender).or_default().push(number);
    }
    println!("every sender is gone, and the channel has ended");

    for sender in 1..=SENDERS {
        let numbers = arrived.remove(&sender).unwrap_or_default();
        if !numbers.iter().copied().eq(1..=MESSAGES) {
            return Err(format!("the messages of sender {sender} are not all there, or not in order: {numbers:?}").into());
        }
        println!("sender {sender}: {} messages, in order", numbers.len());
    }
    for (child, sender) in children.into_iter().zip(1..=SENDERS) {
        println!("sender {sender} {}", child.wait()?);
    }
    Ok(())
}

//! What a small message costs in instructions, outside the kernel: against `raw.rs`, and against encoding and decoding alone.
//!
//! ```text
//! cargo bench --bench instructions                              # a table; needs valgrind; ten seconds
//! cargo bench --profile release --bench instructions            # without link-time optimisation
//! cargo bench --bench instructions -- --functions tiny breezeway send    # which functions they are
//! ```
//!
//! Callgrind counts, so it is the same on a busy machine: what runs within [`measured`], once a message is what it is when it is sent the
//! hundredth time. One thread sends and receives in turns. "bincode" is the message's own: it is encoded into a buffer, and decoded and
//! dropped, by bincode alone.

mod raw;

use breezeway::{Message, channel};
use std::error::Error;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Clone, Message)]
struct Tiny {
    id: u64,
    value: u32,
}

#[derive(Clone, Message)]
enum Msg64 {
    Ping,
    Request { id: u64, name: String, tags: Vec<u32>, body: Vec<u8> },
}

const MESSAGES: [&str; 2] = ["tiny", "msg64"];
const CONTESTANTS: [&str; 4] = ["nothing", "raw", "bincode", "breezeway"];
const STEPS: [&str; 2] = ["send", "receive"];
/// Messages before those that are counted, and those.
const BEFORE: u64 = 100;
const COUNTED: u64 = 1000;

/// What callgrind counts.
#[inline(never)]
fn measured<V>(work: impl FnOnce() -> V) -> V {
    work()
}

/// One step of one contestant, within `measured`; the other beside it.
struct Counted<'a> {
    contestant: &'a str,
    step: &'a str,
}

impl Counted<'_> {
    fn run<T: Message + Clone>(&self, message: &T) -> Result<()> {
        let (sender, receiver) = channel::<T>()?;
        let (near, far) = raw::Socket::pair_like(sender.as_fd())?;
        let (mut buffer, config) = (raw::Buffer::new(), bincode::config::legacy());
        let len = bincode::serde::encode_to_vec(message, config)?.len();
        match self.contestant {
            "nothing" => self.turns(|| Ok(()), || Ok(())),
            "raw" => {
                let mut second = raw::Buffer::new();
                self.turns(|| Ok(near.send(&mut buffer, len)?), || Ok(far.receive(&mut second)?))
            }
            "bincode" => {
                let body = bincode::serde::encode_to_vec(message, config)?;
                let encode = || Ok(bincode::serde::encode_into_slice(black_box(message), buffer.body(len), config)?);
                self.turns(encode, || Ok(bincode::serde::decode_from_slice::<T, _>(black_box(&body), config)?))
            }
            _ => self.turns(|| Ok(sender.send_ref(black_box(message))?), || Ok(receiver.recv()?)),
        }
    }

    fn turns<A, B>(&self, mut send: impl FnMut() -> Result<A>, mut receive: impl FnMut() -> Result<B>) -> Result<()> {
        let mut send = || send().map(|sent| drop(black_box(sent)));
        let mut receive = || receive().map(|received| drop(black_box(received)));
        for id in 0..BEFORE + COUNTED {
            if id < BEFORE {
                send()?;
                receive()?;
            } else if self.step == "send" {
                measured(&mut send)?;
                receive()?;
            } else {
                send()?;
                measured(&mut receive)?;
            }
        }
        Ok(())
    }
}

fn count(message: &str, contestant: &str, step: &str) -> Result<()> {
    let counted = Counted { contestant, step };
    match message {
        "tiny" => counted.run(&Tiny { id: 1, value: 2 }),
        // 64 bytes.
        _ => counted.run(&Msg64::Request { id: 1, name: "notes.md".into(), tags: vec![1; 2], body: vec![1; 12] }),
    }
}

/// Runs this program under callgrind, which says how many instructions ran within `measured`.
fn callgrind(file: &str, arguments: [&str; 3]) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*", &format!("--callgrind-out-file={file}")]);
    let output = valgrind.arg(std::env::current_exe()?).arg("--count").args(arguments).output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split("Collected : ").nth(1)).ok_or_else(|| report.to_string())?;
    Ok(collected.trim().parse()?)
}

fn table() -> Result<()> {
    println!(
        "instructions a message, but for the {} of an empty function\n",
        callgrind("/dev/null", ["tiny", "nothing", "send"])? / COUNTED
    );
    println!("{:<8} {:<8} {:>9} {:>9} {:>9}", "message", "step", CONTESTANTS[1], CONTESTANTS[2], CONTESTANTS[3]);
    for message in MESSAGES {
        for step in STEPS {
            let [nothing, raw, bincode, ours] = CONTESTANTS.map(|contestant| callgrind("/dev/null", [message, contestant, step]));
            let (nothing, raw, bincode, ours) = (nothing?, raw?, bincode?, ours?);
            if [raw, bincode, ours].iter().any(|&found| found <= nothing) {
                return Err("nothing was counted: is `measured` still called so?".into());
            }
            let [raw, bincode, ours] = [raw, bincode, ours].map(|found| (found - nothing) / COUNTED);
            println!("{message:<8} {step:<8} {raw:>9} {bincode:>9} {ours:>9}");
        }
    }
    Ok(())
}

fn functions(arguments: [&str; 3]) -> Result<()> {
    let file = std::env::temp_dir().join(format!("instructions.{}", std::process::id()));
    let name = file.to_string_lossy();
    println!("{} in all, of {COUNTED} messages\n", callgrind(&name, arguments)?);
    Command::new("callgrind_annotate").arg("--auto=no").arg(&file).status()?;
    Ok(std::fs::remove_file(file)?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        ["--count", message, contestant, step] => count(message, contestant, step),
        ["--functions", message, contestant, step] => functions([message, contestant, step]),
        _ => Err("nothing, or `--functions`, a message, a contestant and a step".into()),
    }
}

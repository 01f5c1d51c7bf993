//! Run it: `cargo run --example pass_a_listener`
//!
//! A process binds a TCP port and gives the listener to its child in a message; the child answers HTTP clients on it.

use breezeway::process::ForkedProcess;
use breezeway::{Channel, Message};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

#[derive(Message)]
enum Job {
    /// Answer this many clients on this listener, which travels in the message.
    Serve { listener: TcpListener, clients: u32 },
}

#[derive(Message)]
enum Report {
    Answered { request: String, status: String },
    Failed(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths = ["/", "/nowhere"];

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let child = ForkedProcess::spawn(serve)?;
    child.send(Job::Serve { listener, clients: paths.len() as u32 })?;

    for path in paths {
        println!("the client asks for {path} and is told:");
        for line in get(address, path)?.lines() {
            println!("{}", format!("    {line}").trim_end());
        }
        match child.recv()? {
            Report::Answered { request, status } => println!("the child saw `{request}` and answered {status}"),
            Report::Failed(reason) => println!("the child could not answer: {reason}"),
        }
    }
    println!("the child {}", child.wait()?);
    Ok(())
}

/// A client: the whole response, head and body.
fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut server = TcpStream::connect(address)?;
    write!(server, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    server.read_to_string(&mut response)?;
    Ok(response)
}

/// The child: it binds nothing and knows no port.
fn serve(parent: Channel<Report, Job>) -> Result<(), Box<dyn Error>> {
    for job in &parent {
        let Job::Serve { listener, clients } = job?;
        for client in listener.incoming().take(clients as usize) {
            let report = client.and_then(answer).unwrap_or_else(|error| Report::Failed(error.to_string()));
            parent.send(report)?;
        }
    }
    Ok(())
}

/// More than any client here needs. Chosen, not tuned.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_REQUEST: u64 = 64 * 1024;

fn answer(mut client: TcpStream) -> io::Result<Report> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut input = BufReader::new(client.try_clone()?.take(LONGEST_REQUEST));

    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    let request = String::from_utf8_lossy(&line).trim_end().to_owned();
    let mut header = Vec::new();
    while input.read_until(b'\n', &mut header)? > 0 && !matches!(&*header, b"\r\n" | b"\n") {
        header.clear();
    }

    let words: Vec<_> = request.split(' ').collect();
    let (status, body) = match *words {
        ["GET" | "HEAD", "/", "HTTP/1.0" | "HTTP/1.1"] => ("200 OK", "hello from the child\n"),
        ["GET" | "HEAD", _, "HTTP/1.0" | "HTTP/1.1"] => ("404 Not Found", "there is nothing here\n"),
        [_, _, "HTTP/1.0" | "HTTP/1.1"] => ("501 Not Implemented", "only GET and HEAD\n"),
        _ => ("400 Bad Request", "that is not HTTP/1.1\n"),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes())?;
    if words.first() != Some(&"HEAD") {
        client.write_all(body.as_bytes())?;
    }

    // A socket closed with unread input would reset the connection, and the client might lose the answer.
    client.shutdown(Shutdown::Write)?;
    io::copy(&mut input, &mut io::sink())?;
    Ok(Report::Answered { request, status: status.to_owned() })
}

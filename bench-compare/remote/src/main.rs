//! What a remote store of filedb costs over bare loops, each thread of which has a connection of its own: one with the crate `redis`, and one
//! that does nothing but write a request to a socket and read the reply:
//!
//! ```text
//! remote HOST:PORT [SECONDS]
//! ```
//!
//! Gets and puts of 100 bytes, by one thread and by sixteen, against the same server. The three take turns, so that what else the machine does
//! meets both; the figure is the middle of the rounds.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::{Db, Options};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const KEYS: u64 = 10_000;
const ROUNDS: usize = 9;

fn key(n: u64) -> String {
    format!("key:{:012}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS)
}

/// What one thread does again and again.
type Step = Box<dyn FnMut(u64) -> Outcome<()> + Send>;

/// Calls per second of so many threads, each of which does what `step` makes for it.
fn rate(threads: u64, time: Duration, step: &dyn Fn() -> Outcome<Step>) -> Outcome<f64> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let steps = (0..threads).map(|_| step()).collect::<Outcome<Vec<Step>>>()?;
    let begun = Instant::now();
    let running: Vec<_> = steps
        .into_iter()
        .zip(0u64..)
        .map(|(mut step, thread)| {
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || -> Outcome<()> {
                let mut n = thread << 32;
                while !stop.load(Ordering::Relaxed) {
                    step(n)?;
                    n += 1;
                }
                done.fetch_add(n - (thread << 32), Ordering::Relaxed);
                Ok(())
            })
        })
        .collect();
    std::thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    for thread in running {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

/// A request and its reply at a time, and nothing else: what any client of the protocol does at least.
struct Socket {
    stream: std::net::TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Socket {
    fn connect(place: &str) -> Outcome<Socket> {
        let stream = std::net::TcpStream::connect(place)?;
        stream.set_nodelay(true)?;
        Ok(Socket { stream, request: Vec::new(), reply: vec![0; 4096] })
    }

    /// Sends the request, and reads until so many line ends have come.
    fn ask(&mut self, lines: usize) -> Outcome<()> {
        self.stream.write_all(&self.request)?;
        let mut seen = 0;
        while seen < lines {
            let count = self.stream.read(&mut self.reply)?;
            let Some(came) = self.reply.get(..count).filter(|came| !came.is_empty()) else {
                return Err("the server hung up".into());
            };
            seen += came.iter().filter(|byte| **byte == b'\n').count();
            if came.starts_with(b"$-1") {
                // No such key: that is all of the reply.
                break;
            }
        }
        Ok(())
    }

    fn get(&mut self, key: &str) -> Outcome<()> {
        self.request.clear();
        write!(self.request, "*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())?;
        self.ask(2)
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Outcome<()> {
        self.request.clear();
        write!(self.request, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len())?;
        self.request.extend_from_slice(value);
        self.request.extend_from_slice(b"\r\n");
        self.ask(1)
    }
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or("remote HOST:PORT [SECONDS]")?;
    let seconds: f64 = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let client = redis::Client::open(format!("redis://{place}"))?;
    let db = Db::open(format!("valkey://{place}"), &Options::new().pool_size(16))?;
    let value = [b'v'; 100];
    for n in 0..KEYS {
        db.put(key(n), value)?;
    }
    let bare = |is_get: bool| -> Outcome<Step> {
        let mut connection = client.get_connection()?;
        Ok(Box::new(move |n| {
            match is_get {
                true => drop(redis::cmd("GET").arg(key(n)).query::<Option<Vec<u8>>>(&mut connection)?),
                false => redis::cmd("SET").arg(key(n)).arg(&value[..]).query::<()>(&mut connection)?,
            }
            Ok(())
        }))
    };
    let ours = |is_get: bool| -> Outcome<Step> {
        let db = db.clone();
        Ok(Box::new(move |n| {
            match is_get {
                true => drop(db.get(key(n))?),
                false => db.put(key(n), value)?,
            }
            Ok(())
        }))
    };
    let sockets = |is_get: bool| -> Outcome<Step> {
        let mut socket = Socket::connect(&place)?;
        Ok(Box::new(move |n| if is_get { socket.get(&key(n)) } else { socket.put(&key(n), &value) }))
    };
    println!(
        "{:8} {:>8} {:>12} {:>12} {:>12} {:>18} {:>10}",
        "1/s", "threads", "filedb", "socket", "crate redis", "to the socket", "to redis"
    );
    for threads in [1, 16] {
        for (name, is_get) in [("get", true), ("put", false)] {
            let (mut of_bare, mut of_ours, mut of_sockets) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let time = Duration::from_secs_f64(seconds);
                of_bare.push(rate(threads, time, &|| bare(is_get))?);
                of_ours.push(rate(threads, time, &|| ours(is_get))?);
                of_sockets.push(rate(threads, time, &|| sockets(is_get))?);
            }
            let (bare, ours, sockets) = (middle(of_bare), middle(of_ours), middle(of_sockets));
            println!(
                "{name:8} {threads:8} {ours:12.0} {sockets:12.0} {bare:12.0} {:+17.1}% {:+9.1}%",
                (ours / sockets - 1.0) * 100.0,
                (ours / bare - 1.0) * 100.0
            );
        }
    }
    Ok(())
}

//! Servers and clients for the tests.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that ends with this.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Process {
    /// Starts filedb-server for the store in `dir` at a free port.
    pub fn filedb(dir: &Path, options: &[&str]) -> Process {
        Self::filedb_with(dir, options, &[])
    }

    /// As [`Process::filedb`], with more in its environment.
    pub fn filedb_with(dir: &Path, options: &[&str], environment: &[(&str, &Path)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_filedb-server"))
            .args(["--dir", dir.to_str().unwrap(), "--port", "0"])
            .args(options)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("filedb-server can be started");
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut port = None;
        let mut said = String::new();
        while port.is_none() {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "filedb-server ended at once: {said}");
            port = line.split(" on port ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
            said.push_str(&line);
        }
        // Read on, or the server would wait.
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
                eprint!("server: {line}");
                line.clear();
            }
        });
        Process { child, port: port.unwrap() }
    }

    /// Starts Debian's redis-server at a free port; `None` where it is not installed.
    pub fn redis(dir: &Path) -> Option<Process> {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--dir", dir.to_str().unwrap()])
            .env("LC_ALL", "C")
            .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--io-threads", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let process = Process { child, port };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(process)
    }

    /// A client.
    pub fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// Ends the process at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and says whether it ended well.
    pub fn terminate(mut self) -> bool {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().success()
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory of the process in bytes.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The memory of the process that is not of files, in bytes.
    pub fn anonymous(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, of: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(of)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that shows replies as they come.
pub struct Client {
    /// The socket.
    pub stream: TcpStream,
    input: BufReader<TcpStream>,
}

/// A command in the form in which it is sent.
pub fn encode(command: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n", word.as_ref().len()).bytes());
        bytes.extend(word.as_ref());
        bytes.extend(b"\r\n");
    }
    bytes
}

impl Client {
    /// Connects to this machine.
    pub fn connect(port: u16) -> Client {
        Self::connect_to("127.0.0.1", port)
    }

    /// Connects to an address.
    pub fn connect_to(address: &str, port: u16) -> Client {
        let stream = TcpStream::connect((address, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { input: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a line of words, and gives the reply.
    pub fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.command(&words)
    }

    /// Sends a command, and gives the reply.
    pub fn command(&mut self, words: &[impl AsRef<[u8]>]) -> String {
        self.send(&encode(words));
        String::from_utf8_lossy(&self.reply()).into_owned()
    }

    /// The next reply, as it came.
    pub fn reply(&mut self) -> Vec<u8> {
        self.try_reply().expect("the connection is open and the server answers")
    }

    /// The next reply; `None` where the connection has ended.
    pub fn try_reply(&mut self) -> Option<Vec<u8>> {
        let mut reply = Vec::new();
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            let begin = reply.len();
            if self.input.read_until(b'\n', &mut reply).ok()? == 0 || reply.last() != Some(&b'\n') {
                return None;
            }
            let line = String::from_utf8_lossy(&reply[begin..]).trim_end().to_owned();
            let number = line.get(1..).and_then(|number| number.parse::<i64>().ok()).unwrap_or(-1);
            match line.as_bytes().first() {
                Some(b'*' | b'~' | b'>') => left += number.max(0) as usize,
                Some(b'%') => left += number.max(0) as usize * 2,
                Some(b'$' | b'=') if number >= 0 => {
                    let at = reply.len();
                    reply.resize(at + number as usize + 2, 0);
                    self.input.read_exact(&mut reply[at..]).ok()?;
                }
                _ => {}
            }
        }
        Some(reply)
    }
}

/// How many bytes the first reply of these takes; `None` where it is not whole.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1usize);
    while left > 0 {
        left -= 1;
        let kind = *bytes.get(at)?;
        let end = at + bytes[at..].iter().position(|byte| *byte == b'\n')? + 1;
        let number: i64 = std::str::from_utf8(&bytes[at + 1..end]).ok()?.trim_end().parse().unwrap_or(-1);
        at = end;
        match kind {
            b'*' | b'~' | b'>' => left += number.max(0) as usize,
            b'%' => left += number.max(0) as usize * 2,
            b'$' | b'=' if number >= 0 => at += number as usize + 2,
            _ => {}
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// A small generator of random numbers (xorshift64*), from a seed that is not 0.
pub struct Random(pub u64);

impl Random {
    /// Any number of 48 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of these.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// So many bytes at most.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }
}

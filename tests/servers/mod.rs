//! Real servers for tests: Valkey, alone and as a cluster, on free ports of the loopback address. Each has a directory of its own and is
//! ended with the test.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The server's program, which `cargo xtask test conformance` installs and names; `None` where it did not.
pub fn program() -> Option<PathBuf> {
    std::env::var_os("FILEDB_VALKEY_SERVER").map(PathBuf::from)
}

/// A server, which goes on where it was when it is started again.
pub struct Server {
    pub port: u16,
    child: Child,
    directory: TempDir,
    options: Vec<String>,
}

/// A port that nobody listens at, as far as can be known.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts one with further options.
    pub fn start(options: &[&str]) -> Server {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            // Somebody else may have taken it meanwhile; then another.
            let port = free_port();
            let mut child = spawn(port, &directory, &options);
            if answers(port, &mut child) {
                return Server { port, child, directory, options };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("no Valkey server could be started");
    }

    /// Where a client finds it.
    pub fn url(&self) -> String {
        format!("valkey://127.0.0.1:{}", self.port)
    }

    /// What it answers to a command, as it stands.
    pub fn ask(&self, args: &[&str]) -> String {
        ask(self.port, args).unwrap()
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it stand still, or go on.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Starts it again, at the same port, with what it had.
    pub fn restart(&mut self) {
        wait_for("the port of a server that was killed", || {
            TcpListener::bind(("127.0.0.1", self.port)).is_ok()
        });
        self.child = spawn(self.port, &self.directory, &self.options);
        assert!(answers(self.port, &mut self.child), "the server was not started again");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, directory: &TempDir, options: &[String]) -> Child {
    let mut command = Command::new(program().expect("FILEDB_VALKEY_SERVER names the server"));
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .arg("--dir")
        .arg(directory.path())
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap_or_else(|why| panic!("{}: {why}", program().unwrap().display()))
}

/// Waits until a server answers. False where it has ended instead.
fn answers(port: u16, child: &mut Child) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        // One that asks for a password is there too.
        if ask(port, &["PING"])
            .is_ok_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Waits until something is so; a test fails where it does not become so.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within 30 seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a server answers to a command, up to the first pause.
pub fn ask(port: u16, args: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut command = format!("*{}\r\n", args.len());
    args.iter().for_each(|arg| command.push_str(&format!("${}\r\n{arg}\r\n", arg.len())));
    stream.write_all(command.as_bytes())?;
    // The end of what it says is where it hangs up.
    stream.write_all(b"*1\r\n$4\r\nQUIT\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A cluster: three primaries and, where it is asked for, a replica for each.
pub struct Cluster {
    pub primaries: Vec<Server>,
    pub replicas: Vec<Server>,
}

impl Cluster {
    pub fn start(has_replicas: bool) -> Cluster {
        let start = || {
            let bus = free_port().to_string();
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "1000",
                "--cluster-replica-validity-factor",
                "0",
                "--repl-diskless-sync-delay",
                "0",
            ];
            (Server::start(&options), bus)
        };
        let nodes: Vec<(Server, String)> = (0..if has_replicas { 6 } else { 3 }).map(|_| start()).collect();
        for (server, bus) in &nodes[1..] {
            let port = server.port.to_string();
            assert!(nodes[0].0.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]).starts_with("+OK"));
        }
        for (n, (server, _)) in nodes.iter().take(3).enumerate() {
            let (first, last) = ((n * 16384 / 3).to_string(), ((n + 1) * 16384 / 3 - 1).to_string());
            assert!(server.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).starts_with("+OK"));
        }
        let mut primaries: Vec<Server> = nodes.into_iter().map(|(server, _)| server).collect();
        let replicas = primaries.split_off(3);
        for (replica, primary) in replicas.iter().zip(&primaries) {
            let id = primary.ask(&["CLUSTER", "MYID"]);
            let id = id.lines().nth(1).unwrap().to_owned();
            wait_for("a replica that knows its primary", || {
                replica.ask(&["CLUSTER", "REPLICATE", &id]).starts_with("+OK")
            });
        }
        let cluster = Cluster { primaries, replicas };
        for server in cluster.primaries.iter().chain(&cluster.replicas) {
            wait_for("a cluster in which all know all", || {
                let state = server.ask(&["CLUSTER", "INFO"]);
                state.contains("cluster_state:ok") && state.contains("cluster_size:3")
            });
        }
        for replica in &cluster.replicas {
            wait_for("a replica that has what its primary has", || {
                replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        cluster
    }

    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.primaries.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("valkey-cluster://{}", hosts.join(","))
    }
}

//! What the server is started with: each option does what docs/SERVER.md says of it.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Client, Process, encode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn server(options: &[&str]) -> (tempfile::TempDir, Process) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), options);
    (directory, process)
}

/// A server of which a test reads the log.
struct Logged {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    port: u16,
    /// What it said up to and with that it is ready.
    said: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Logged {
    fn start(options: &[&str], environment: &[(&str, &str)]) -> Logged {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_filedb-server"))
            .arg("--dir")
            .arg(directory.path().join("store"))
            .args(["--port", "0"])
            .args(options)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let port = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the server ended at once: {said:?}");
            let port = line.split(" on port ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
            said.push(line);
            if let Some(port) = port {
                break port;
            }
        };
        Logged { child, lines, port, said, _directory: directory }
    }

    /// The next line of the log.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Sends a signal, and gives what the server said until it had ended, and whether it ended well.
    fn end(mut self, signal: &str) -> (Vec<String>, bool) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let ended = self.child.wait().unwrap().success();
        (rest.lines().map(str::to_owned).collect(), ended)
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a command over whatever this is, and reads a reply of known length.
fn ask(stream: &mut (impl Read + Write), words: &[&str], reply: &[u8]) {
    stream.write_all(&encode(words)).unwrap();
    stream.flush().unwrap();
    let mut came = vec![0; reply.len()];
    stream.read_exact(&mut came).unwrap();
    assert_eq!(came.escape_ascii().to_string(), reply.escape_ascii().to_string(), "{words:?}");
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/servers/tls").join(name)
}

#[test]
fn with_a_certificate_the_port_speaks_tls_and_nothing_else() {
    let (cert, key) = (certificate("server.pem"), certificate("server.key"));
    let options = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let (_directory, process) = server(&options);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", process.port)).unwrap();
    let mut client = StreamOwned::new(tls, socket);
    // More than one record of TLS, and more than is read at once.
    let value = "v".repeat(300_000);
    ask(&mut client, &["SET", "k", &value], b"+OK\r\n");
    ask(&mut client, &["GET", "k"], format!("$300000\r\n{value}\r\n").as_bytes());
    let mut many = Vec::new();
    (0..1000).for_each(|n| many.extend(encode(&["RPUSH", "l", &n.to_string()])));
    client.write_all(&many).unwrap();
    let expected: String = (1..=1000).map(|n| format!(":{n}\r\n")).collect();
    let mut came = vec![0; expected.len()];
    client.read_exact(&mut came).unwrap();
    assert_eq!(String::from_utf8(came).unwrap(), expected);

    let mut plain = TcpStream::connect(("127.0.0.1", process.port)).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    plain.write_all(&encode(&["GET", "k"])).unwrap();
    let mut came = Vec::new();
    // It may be reset, where not all of it was read.
    let _ = plain.read_to_end(&mut came);
    assert!(!came.starts_with(b"$"), "{}", came.escape_ascii());
    ask(&mut client, &["PING"], b"+PONG\r\n");
}

#[test]
fn a_unix_socket_serves_beside_the_port_and_is_gone_with_the_server() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("socket");
    let (_directory, process) = server(&["--unixsocket", socket.to_str().unwrap()]);
    let mut near = UnixStream::connect(&socket).unwrap();
    ask(&mut near, &["SET", "k", "v"], b"+OK\r\n");
    assert_eq!(process.connect().ask("GET k"), "$1\r\nv\r\n");
    assert!(process.connect().ask("CLIENT LIST").contains("unix:0"));
    assert!(process.terminate());
    assert!(!socket.exists());
}

#[test]
fn options_are_environment_variables_too_and_a_password_need_not_be_in_the_arguments() {
    let directory = tempfile::tempdir().unwrap();
    let environment =
        [("FILEDB_SERVER_REQUIREPASS", Path::new("secret")), ("FILEDB_SERVER_THREADS", Path::new("3"))];
    let process = Process::filedb_with(&directory.path().join("store"), &[], &environment);
    let mut client = process.connect();
    assert_eq!(client.ask("GET k"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(client.ask("AUTH secret"), "+OK\r\n");
    assert!(client.ask("CONFIG GET io-threads").ends_with("$1\r\n3\r\n"));
}

#[test]
fn a_log_in_json_has_an_object_in_each_line() {
    let mut logged = Logged::start(&["--log-format", "json"], &[]);
    let mut client = Client::connect(logged.port);
    assert_eq!(client.command(&["DEBUG", "LOG", "a \"quoted\"\nline"]), "+OK\r\n");
    let line = logged.line();
    let said = [logged.said.clone(), vec![line]].concat();
    let (rest, ended_well) = logged.end("-TERM");
    assert!(ended_well);
    let objects: Vec<serde_json::Value> =
        said.iter().chain(&rest).map(|line| serde_json::from_str(line).expect(line)).collect();
    for object in &objects {
        assert!(object["time"].is_f64() && object["pid"].is_u64() && object["level"].is_string(), "{object}");
    }
    let messages: Vec<&str> = objects.iter().filter_map(|object| object["message"].as_str()).collect();
    assert!(messages.iter().any(|message| message.contains("a \"quoted\"\nline")), "{messages:?}");
    assert_eq!(messages.last(), Some(&"ended"));
}

#[test]
fn sigint_and_sigterm_end_the_server_in_order() {
    for (signal, number) in [("-INT", "signal 2"), ("-TERM", "signal 15")] {
        let logged = Logged::start(&[], &[]);
        assert_eq!(Client::connect(logged.port).ask("SET k v"), "+OK\r\n");
        let (said, ended_well) = logged.end(signal);
        assert!(ended_well && said.iter().any(|line| line.contains(number)), "{said:?}");
        assert!(said.last().unwrap().ends_with("ended"), "{said:?}");
    }
}

#[test]
fn systemd_is_told_when_the_server_is_ready_and_when_it_ends() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let receive = || {
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let logged = Logged::start(&[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(receive(), "READY=1");
    assert_eq!(Client::connect(logged.port).ask("PING"), "+PONG\r\n");
    assert!(logged.end("-TERM").1);
    assert_eq!(receive(), "STOPPING=1");
}

/// What a request of HTTP is answered: the head, and the body.
fn http(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_metrics_address_has_figures_for_prometheus_and_for_the_page_that_draws_them() {
    let mut logged = Logged::start(&["--metrics-addr", "127.0.0.1:0"], &[]);
    let line = logged.line();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let mut client = Client::connect(logged.port);
    (0..10).for_each(|n| assert_eq!(client.ask(&format!("SET k{n} v")), "+OK\r\n"));
    client.ask("GET k1");
    client.ask("GET nothing");

    let (head, body) = http(&address, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"), "{head}");
    let mut kinds = std::collections::BTreeMap::new();
    for line in body.lines() {
        // What Prometheus's text format allows: a type for each name, and after it lines of a name and a number.
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kinds.insert(name.to_owned(), kind.to_owned()), None, "{name} is there twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .any(|name| kinds.get(name).is_some_and(|kind| kind == "histogram"));
            assert!(kinds.contains_key(name) || of_histogram, "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(kinds.get("filedb_command_seconds").map(String::as_str), Some("histogram"));
    let count = |name: &str| -> u64 {
        let line = body.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    let commands = count("filedb_commands_total ");
    assert_eq!(count("filedb_command_seconds_count "), commands);
    assert_eq!(count("filedb_command_seconds_bucket{le=\"+Inf\"} "), commands);
    assert_eq!(kinds.get("filedb_commands_total").map(String::as_str), Some("counter"));

    let (head, body) = http(&address, "GET /stats.json");
    assert!(head.contains("application/json"), "{head}");
    let figures: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(figures["connected_clients"], 1.0);
    assert_eq!(figures["keys"], 10.0);

    let (head, page) = http(&address, "GET /");
    assert!(head.contains("text/html"), "{head}");
    // What the page draws is told.
    for word in page.split("now.").skip(1).chain(page.split("rate(\"").skip(1)) {
        let name: String = word.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        assert!(!figures[&name].is_null(), "the page shows {name}, and nobody tells it");
    }
    assert!(http(&address, "GET /nothing").0.starts_with("HTTP/1.1 404"));
    assert!(http(&address, "DELETE /").0.starts_with("HTTP/1.1 405"));
}

#[test]
fn one_client_more_than_maxclients_is_told_so_and_takes_nobodys_place() {
    let (_directory, process) = server(&["--maxclients", "3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| process.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.ask("PING"), "+PONG\r\n"));
    let mut refused = process.connect();
    assert_eq!(refused.reply(), b"-ERR max number of clients reached\r\n");
    assert_eq!(refused.try_reply(), None);
    assert!(clients[0].ask("INFO stats").contains("rejected_connections:1\r\n"));
    assert_eq!(clients.pop().unwrap().ask("QUIT"), "+OK\r\n");
    let until = Instant::now() + Duration::from_secs(60);
    while !clients[0].ask("INFO clients").contains("connected_clients:2\r\n") {
        assert!(Instant::now() < until, "the place of who has left is not free");
    }
    assert_eq!(process.connect().ask("PING"), "+PONG\r\n");
}

#[test]
fn a_silent_client_is_disconnected_after_the_timeout_and_one_that_waits_or_listens_is_not() {
    let (_directory, process) = server(&["--timeout", "1"]);
    let (mut silent, mut waits, mut listens) = (process.connect(), process.connect(), process.connect());
    let began = Instant::now();
    assert_eq!(silent.ask("PING"), "+PONG\r\n");
    waits.send(&encode(&["BLPOP", "queue", "0"]));
    listens.ask("SUBSCRIBE news");
    assert_eq!(silent.try_reply(), None);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let mut other = process.connect();
    assert_eq!(other.ask("RPUSH queue job"), ":1\r\n");
    assert_eq!(waits.reply(), b"*2\r\n$5\r\nqueue\r\n$3\r\njob\r\n");
    assert_eq!(other.ask("PUBLISH news hello"), ":1\r\n");
    assert!(listens.reply().ends_with(b"$5\r\nhello\r\n"));
}

/// The address of this machine that others would see; nothing is sent for that.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

#[test]
fn without_a_password_who_does_not_come_from_this_machine_is_refused() {
    let Some(address) = own_address() else {
        println!("NOT RUN: this machine has only the loopback address");
        return;
    };
    let (_directory, process) = server(&["--bind", &address]);
    let mut client = Client::connect_to(&address, process.port);
    let told = String::from_utf8(client.reply()).unwrap();
    assert!(told.starts_with("-DENIED ") && told.contains("--requirepass"), "{told}");
    assert_eq!(client.try_reply(), None);
    let (_directory, process) = server(&["--bind", &address, "--requirepass", "secret"]);
    let mut client = Client::connect_to(&address, process.port);
    assert_eq!(client.ask("AUTH secret"), "+OK\r\n");
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

#[test]
fn config_rewrite_keeps_what_config_set_changed_and_the_options_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("server.toml");
    let chosen =
        "# What I chose.\nmaxclients = 50\nthreads = 1\nsync = \"always\"\nprotected-mode = \"no\"\n";
    std::fs::write(&file, chosen).unwrap();
    let options = ["--config", file.to_str().unwrap()];
    let store = home.path().join("store");
    {
        let process = Process::filedb(&store, &options);
        let mut client = process.connect();
        assert!(client.ask("CONFIG GET maxclients").ends_with("$2\r\n50\r\n"));
        assert!(client.ask("CONFIG GET appendfsync").ends_with("$6\r\nalways\r\n"));
        assert!(client.ask("CONFIG GET protected-mode").ends_with("$2\r\nno\r\n"));
        assert_eq!(client.ask("CONFIG SET slowlog-max-len 7 timeout 300"), "+OK\r\n");
        assert_eq!(client.ask("CONFIG REWRITE"), "+OK\r\n");
        assert!(process.terminate());
    }
    let process = Process::filedb(&store, &options);
    let mut client = process.connect();
    for (name, value) in [
        ("slowlog-max-len", "7"),
        ("timeout", "300"),
        ("maxclients", "50"),
        ("io-threads", "1"),
        ("appendfsync", "always"),
        ("protected-mode", "no"),
    ] {
        let told = client.ask(&format!("CONFIG GET {name}"));
        assert!(told.ends_with(&format!("\r\n{value}\r\n")), "{name}: {told}");
    }
    // One name is enough for when a write must be on the disk: two lines could say two things.
    assert!(!std::fs::read_to_string(&file).unwrap().contains("\nsync"));
    let (_directory, process) = server(&["--set", "protected-mode=no"]);
    assert!(process.connect().ask("CONFIG GET protected-mode").ends_with("$2\r\nno\r\n"));
    let (_directory, process) = server(&[]);
    let told = process.connect().ask("CONFIG REWRITE");
    assert_eq!(told, "-ERR The server is running without a config file\r\n");
}

#[test]
fn a_config_set_of_which_a_part_is_refused_changes_nothing() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    let limit = client.ask("CONFIG GET client-output-buffer-limit");
    for refused in [
        &["appendfsync", "no", "timeout", "x"][..],
        &[
            "timeout",
            "5",
            "requirepass",
            "secret",
            "client-output-buffer-limit",
            "normal 5mb 0 0 pubsub x 0 0",
        ],
        &["client-output-buffer-limit", "normal 5mb 0 x"],
    ] {
        client.send(&encode(&[&["CONFIG", "SET"], refused].concat()));
        assert!(client.reply().starts_with(b"-ERR CONFIG SET failed"), "{refused:?}");
    }
    assert!(client.ask("CONFIG GET appendfsync").ends_with("everysec\r\n"));
    assert!(client.ask("CONFIG GET timeout").ends_with("$1\r\n0\r\n"));
    assert!(client.ask("CONFIG GET requirepass").ends_with("$0\r\n\r\n"));
    assert_eq!(client.ask("CONFIG GET client-output-buffer-limit"), limit);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_opened() {
    for (options, told) in [
        (&["--tls-cert", "cert.pem"][..], "--tls-key"),
        (&["--tls-cert", "nothing.pem", "--tls-key", "nothing.key"], "nothing.pem"),
        (&["--threads", "0"], "--threads must be from 1 to 256"),
        (&["--config", "nothing.toml"], "cannot read 'nothing.toml'"),
        (&["--set", "nothing=1"], "there is no setting 'nothing'"),
        (&["--set", "timeout=x"], "'timeout' cannot be 'x'"),
        (&["--log-level", "loud"], "--log-level cannot be 'loud'"),
        (&["--bind", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_filedb-server"))
            .current_dir(&home)
            .args(["--dir", "store", "--port", "0"])
            .args(options)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(told), "{options:?}: {said}");
        let is_there = std::fs::metadata(home.path().join("store"));
        assert_eq!(is_there.map_err(|error| error.kind()).err(), Some(ErrorKind::NotFound), "{options:?}");
    }
}

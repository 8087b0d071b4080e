//! Remote stores over TLS: whom they trust, whom they do not, and how that is said. The server is a few lines, for what matters is what it
//! shows and asks for. The certificates in `servers/tls` are for `localhost` and 127.0.0.1, until 2126.

#![cfg(feature = "valkey")]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use filedb::{Db, Error, Options};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/tls").join(name)
}

fn options(files: &[(&str, &str)]) -> Options {
    let mut options = Options::new().timeout_ms(700).connect_timeout_ms(700);
    files.iter().for_each(|(name, found)| options.set(name, file(found).to_str().unwrap()).unwrap());
    options
}

/// A server over TLS that knows `SET` and `GET`; its port.
fn server(asks_for_certificate: bool) -> u16 {
    server_that(asks_for_certificate, false)
}

/// As [`server`], or one that ends each connection behind its first `SET`.
fn server_that(asks_for_certificate: bool, hangs_up: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let values: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>> = Arc::default();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let (config, values) = (config.clone(), values.clone());
            std::thread::spawn(move || {
                let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp.unwrap());
                let mut stream = BufReader::new(stream);
                while let Some(command) = read_command(&mut stream) {
                    let answer = match command[0].as_slice() {
                        b"SET" => {
                            values.lock().unwrap().insert(command[1].clone(), command[2].clone());
                            b"+OK\r\n".to_vec()
                        }
                        b"GET" => match values.lock().unwrap().get(&command[1]) {
                            Some(value) => {
                                [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
                            }
                            None => b"$-1\r\n".to_vec(),
                        },
                        _ => b"-ERR unknown command\r\n".to_vec(),
                    };
                    let is_sent = stream.get_mut().write_all(&answer).is_ok();
                    if hangs_up && command[0] == b"SET" {
                        stream.get_mut().conn.send_close_notify();
                        let _ = stream.get_mut().flush();
                        break;
                    }
                    if !is_sent {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn read_command(stream: &mut impl BufRead) -> Option<Vec<Vec<u8>>> {
    let count = number(stream)?;
    (0..count)
        .map(|_| {
            let mut arg = vec![0; number(stream)? + 2];
            stream.read_exact(&mut arg).ok()?;
            arg.truncate(arg.len() - 2);
            Some(arg)
        })
        .collect()
}

fn number(stream: &mut impl BufRead) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.trim().get(1..)?.parse().ok()
}

fn works(url: &str, options: &Options) {
    let db = Db::open(url, options).unwrap_or_else(|why| panic!("{url}: {why}"));
    let large = vec![7; 1 << 20];
    for value in [&b"value"[..], b"", &large] {
        db.put(b"key", value).unwrap();
        assert_eq!(db.get(b"key").unwrap().as_deref(), Some(value));
    }
    assert_eq!(db.get(b"none").unwrap(), None);
}

#[track_caller]
fn fails(url: &str, options: &Options, kind: fn(&Error) -> bool) -> String {
    let begun = Instant::now();
    let error = Db::open(url, options).err().expect("no store");
    assert!(kind(&error), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    error.to_string()
}

fn is_connection(error: &Error) -> bool {
    matches!(error, Error::Connection { .. })
}

fn is_invalid(error: &Error) -> bool {
    matches!(error, Error::InvalidArgument { .. })
}

#[test]
fn a_server_is_trusted_that_somebody_trusted_vouches_for_under_its_name() {
    let port = server(false);
    let trusting = options(&[("tls_ca", "ca.pem")]);
    works(&format!("valkeys://localhost:{port}"), &trusting);
    works(&format!("valkeys://127.0.0.1:{port}"), &trusting);
    let said = fails(&format!("valkeys://127.0.0.2:{port}"), &trusting, is_connection);
    assert!(said.contains("TLS"), "{said}");
    // The authorities of this machine, if it has some, know nothing of it.
    fails(&format!("valkeys://localhost:{port}"), &options(&[]), |error| {
        is_connection(error) || is_invalid(error)
    });
    fails(&format!("valkeys://localhost:{port}"), &options(&[("tls_ca", "client.pem")]), is_connection);
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let port = server(true);
    let url = format!("valkeys://localhost:{port}");
    works(&url, &options(&[("tls_ca", "ca.pem"), ("tls_cert", "client.pem"), ("tls_key", "client.key")]));
    fails(&url, &options(&[("tls_ca", "ca.pem")]), is_connection);
}

#[test]
fn files_that_are_of_no_use_are_named() {
    for (files, part) in [
        (&[("tls_ca", "no-such-file.pem")][..], "no-such-file.pem"),
        (&[("tls_ca", "server.key")], "tls_ca"),
        (&[("tls_ca", "ca.pem"), ("tls_cert", "client.pem")], "together"),
        (&[("tls_ca", "ca.pem"), ("tls_cert", "client.pem"), ("tls_key", "server.pem")], "tls_key"),
        (&[("tls_ca", "ca.pem"), ("tls_cert", "client.pem"), ("tls_key", "server.key")], "tls_cert"),
    ] {
        let said = fails("valkeys://localhost:1", &options(files), is_invalid);
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn who_speaks_tls_alone_is_not_understood_and_nobody_waits_for_long() {
    let port = server(false);
    // It waits for the rest of what it takes for TLS, or hangs up.
    let db = Db::open(format!("valkey://127.0.0.1:{port}"), &options(&[]));
    assert!(matches!(db.map(drop), Err(Error::Connection { .. })));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            std::thread::spawn(move || {
                let _ = tcp.read(&mut [0; 1000]);
                let _ = tcp.write_all(b"-ERR Protocol error\r\n");
                let _ = tcp.read(&mut [0; 1000]);
            });
        }
    });
    fails(&format!("valkeys://127.0.0.1:{port}"), &options(&[("tls_ca", "ca.pem")]), is_connection);
}

#[test]
fn a_connection_that_the_server_ended_while_nobody_used_it_leaves_no_write_in_doubt() {
    let port = server_that(false, true);
    let db = Db::open(format!("valkeys://localhost:{port}"), &options(&[("tls_ca", "ca.pem")])).unwrap();
    for n in 0..3u8 {
        db.put(b"key", [n]).unwrap();
        // So long that it is looked at before it is used, and its end has come.
        std::thread::sleep(Duration::from_millis(100));
    }
}

//! What the target `request` for a fuzzer does (fuzz/, `cargo xtask fuzz`), with the inputs that are kept in fuzz/corpus.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/src/requests.rs"]
mod requests;

use std::fs;
use std::path::{Path, PathBuf};

// The target is written for a crate that has the parser here.
use filedb_server::resp;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/request")
}

#[test]
fn requests_of_the_corpus_are_found_in_the_same_places_however_they_come() {
    let mut inputs = 0;
    for input in fs::read_dir(corpus()).unwrap() {
        let input = input.unwrap().path();
        // The name of an input is seen when it fails.
        println!("{}", input.display());
        requests::request(&fs::read(input).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "there is no corpus");
}

/// Writes the inputs that a fuzzer begins with: `cargo test -p filedb-server --test corpus -- --ignored`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_the_beginnings_of_the_corpus() {
    let inputs: [(&str, &[u8]); 8] = [
        ("set", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"),
        ("pipeline", b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n"),
        ("inline", b"SET k \"a \\x41\\n\" 'b'\r\n"),
        ("empty", b"\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\n"),
        ("too-long", b"*1\r\n$65537\r\n"),
        ("no-number", b"*x\r\n"),
        ("half", b"*2\r\n$4\r\nECHO\r\n$10\r\nhal"),
        ("binary", b"*2\r\n$4\r\nECHO\r\n$6\r\n\r\n\0\xff$1\r\n"),
    ];
    fs::create_dir_all(corpus()).unwrap();
    inputs.iter().for_each(|(name, bytes)| fs::write(corpus().join(name), bytes).unwrap());
}

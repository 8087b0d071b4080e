//! What the targets for a fuzzer do (fuzz/, `cargo xtask fuzz`), with the inputs that are kept in fuzz/corpus: some that begin, made of the
//! golden stores, and all that once found something. That of the server is in server/tests/corpus.rs.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/src/formats.rs"]
mod formats;
#[path = "../fuzz/src/stores.rs"]
mod stores;

use std::fs;
use std::path::{Path, PathBuf};

use filedb::disk::sim::Random;
use filedb::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use filedb::format::frame::Header;
use filedb::format::packed;
use filedb::format::run::{FOOTER_SIZE, Footer, HEADER_SIZE, IndexShape};

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let mut names: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    names.sort();
    names
}

fn each(target: &str, run: fn(&[u8])) {
    let inputs = names(&path("fuzz/corpus").join(target));
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for input in inputs {
        // The name of an input is seen when it fails.
        println!("{}", input.display());
        run(&fs::read(&input).unwrap());
    }
}

#[test]
fn frames_of_the_corpus_are_read_or_refused() {
    each("frame", formats::frame);
}

#[test]
fn runs_of_the_corpus_are_read_or_refused() {
    each("run", formats::run);
}

#[test]
fn hints_of_the_corpus_are_read_or_refused() {
    each("hint", formats::hint);
}

#[test]
fn manifests_of_the_corpus_are_read_or_refused() {
    each("manifest", formats::manifest);
}

#[test]
fn checkpoints_of_the_corpus_are_read_or_refused() {
    each("checkpoint", formats::checkpoint);
}

#[test]
fn stores_that_the_corpus_changes_are_opened_or_refused() {
    each("directory", stores::directory);
}

#[test]
fn stores_that_the_corpus_uses_do_what_a_map_does() {
    each("operations", stores::operations);
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: Vec<_> = names(&path("fuzz/src/bin")).iter().map(|file| file.with_extension("")).collect();
    let stems = |paths: &[PathBuf]| -> Vec<_> {
        paths.iter().map(|path| path.file_name().unwrap().to_owned()).collect()
    };
    assert_eq!(stems(&targets), stems(&names(&path("fuzz/corpus"))));
}

/// Writes the inputs that a fuzzer begins with: `cargo test --features testing --test corpus -- --ignored`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_the_beginnings_of_the_corpus() {
    for store in names(&path("tests/golden")) {
        let name = store.file_name().unwrap().to_str().unwrap().to_owned();
        for file in names(&store) {
            let bytes = fs::read(&file).unwrap();
            let name =
                format!("{name}-{}", file.file_stem().unwrap().to_str().unwrap().trim_start_matches('0'));
            match (file.extension().and_then(|ending| ending.to_str()), file.file_stem().unwrap().to_str()) {
                (Some("data"), _) => frames(&name, &bytes),
                (Some("hint"), _) => keep("hint", &name, &bytes),
                (Some("run"), _) => run(&name, &bytes),
                (None, Some("MANIFEST")) => keep("manifest", &name, &bytes),
                (None, Some("CHECKPOINT")) => keep("checkpoint", &name, &bytes),
                other => panic!("what is {other:?}?"),
            }
        }
    }
    let mut keys = Vec::new();
    let pairs: Vec<_> = (0..20u64).map(|n| (n << 55, n << 56 | 1 << 32 | n)).collect();
    packed::pack(&pairs, &mut keys).unwrap();
    keep("checkpoint", "keys", &[&20u16.to_le_bytes()[..], &keys].concat());
    for first in 0..8u8 {
        let mut random = Random::new(u64::from(first));
        let mut bytes =
            |count| -> Vec<u8> { std::iter::repeat_with(|| random.number() as u8).take(count).collect() };
        keep("operations", &format!("random-{first}"), &[&[first][..], &bytes(240)].concat());
        keep("directory", &format!("random-{first}"), &[&[first][..], &bytes(16)].concat());
    }
}

fn keep(target: &str, name: &str, bytes: &[u8]) {
    let directory = path("fuzz/corpus").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), bytes).unwrap();
}

/// The frames of a data file, each behind the salt and the epoch that the target makes of the first eight bytes.
fn frames(name: &str, bytes: &[u8]) {
    let origin = FileHeader::decode(bytes).unwrap().origin;
    let mut at = FILE_HEADER_SIZE as usize;
    for n in 0..12 {
        let Ok(header) = Header::decode(&bytes[at..], &origin) else { break };
        let end = at + header.frame_size() as usize;
        let front = u64::from(origin.salt) | 3 << 32;
        if end - at < 1_000 {
            keep("frame", &format!("{name}-{n}"), &[&front.to_le_bytes(), &bytes[at..end]].concat());
        }
        at = end;
    }
}

/// The parts of a run, each behind the byte that tells which it is.
fn run(name: &str, bytes: &[u8]) {
    let part = |tag: u8, part: &str, bytes: &[u8]| {
        keep("run", &format!("{name}-{part}"), &[&[tag], bytes].concat());
    };
    let (rest, end) = bytes.split_at(bytes.len() - FOOTER_SIZE);
    let salt = u32::from_le_bytes(*bytes[16..].first_chunk().unwrap());
    let footer = Footer::decode(end.first_chunk().unwrap(), salt, rest.len() as u64).unwrap();
    let index = &rest[footer.index_at as usize..rest.len() - 4];
    let shape = IndexShape::find(index, footer.filter_at).unwrap();
    part(0, "header", &bytes[..HEADER_SIZE]);
    part(1, "footer", &Footer { filter_at: 100, index_at: 200, footer_at: 4_096, ..footer }.encode(7));
    part(2, "index", index);
    let first = shape.offset(index, 0).unwrap() as usize;
    let behind = shape.offset(index, 1).unwrap_or(footer.filter_at) as usize;
    part(3, "block", &bytes[first..behind]);
}

//! Files that somebody made to do harm: changed at random, and all checksums made right again, so that what is behind them is reached.
//!
//! Whatever is in the files, opening, reading, writing, merging, checking and salvaging must end, with an answer or an error: no panic
//! (rule R5), no file left open. What the answers are is not looked at: with a right checksum a lie is not to be told from the truth.
//!
//! The corpus is made here: small stores of both engines, with expiries, lists and batches, closed and killed.

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use filedb::disk::sim::{Random, SimDisk};
use filedb::format::checkpoint::{CheckpointHeader, LINE_SIZE, PREFIX_SIZE};
use filedb::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use filedb::format::frame::{self, Header};
use filedb::format::run;
use filedb::{Batch, Db, EngineKind, Error, IoMode, KeyRange, MergeMode, Options};

use support::generate::pick;
use support::runner::{histories, quietly, seeds, tally};

/// Of the seeds that are run each time such a part opens at least, of each engine.
const LEAST_OPENED: u64 = 5;

type Files = BTreeMap<String, Vec<u8>>;

fn options(engine: EngineKind) -> Options {
    Options {
        engine,
        io: IoMode::Pread,
        max_file_size: 700,
        merge: MergeMode::Manual,
        lsm_memory: 16 << 10,
        ..Options::default()
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("key-{n:02}").into_bytes()
}

/// One of the stores that are changed.
fn store(engine: EngineKind, seed: u64, is_closed: bool) -> Result<Files, Error> {
    let disk = SimDisk::with_random_bytes(seed);
    let mut random = Random::new(seed);
    let db = Db::open_on(Arc::new(disk.clone()), &options(engine))?;
    let with_lists = random.one_in(2);
    for n in 0..90 {
        let key = key(random.below(20));
        let value = vec![n as u8; random.below(90) as usize];
        match random.below(10) {
            0 => drop(db.delete(&key)?),
            1 if with_lists => drop(db.push_back([&b"list"[..], &key].concat(), &value)?),
            2 => {
                let mut batch = Batch::new();
                batch.put(&key, &value)?;
                batch.put_with_ttl(b"batch", &value, Duration::from_secs(1 << 30))?;
                batch.delete(key_of_neighbour(&key))?;
                db.write(&batch)?;
            }
            3 => drop(db.expire(&key, Duration::from_secs(3600))?),
            _ => db.put(&key, &value)?,
        }
        if n % 30 == 25 {
            db.maintain()?;
        }
        if n == 60 && random.one_in(2) {
            db.merge()?;
        }
    }
    db.sync()?;
    let disk = if is_closed { db.close().map(|()| disk)? } else { disk.fork() };
    let names = disk.file_names().into_iter().filter(|name| !name.starts_with("RESERVE"));
    Ok(names.map(|name| (name.clone(), disk.read_file(&name).unwrap_or_default())).collect())
}

fn key_of_neighbour(key: &[u8]) -> Vec<u8> {
    let mut key = key.to_vec();
    key.reverse();
    key
}

/// Numbers that are a border of something.
const BORDERS: &[u64] = &[
    0,
    1,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// Changes some bytes.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let len = bytes.len() as u64;
        if len == 0 {
            return;
        }
        let at = random.below(len) as usize;
        // Numbers stand at multiples of four, mostly.
        let even = at / 4 * 4;
        match random.below(10) {
            0..3 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.number() as u8,
            4..6 => {
                let number = pick(random, BORDERS).to_le_bytes();
                let size = pick(random, &[1, 2, 4, 8]).min(bytes.len() - even);
                bytes[even..even + size].copy_from_slice(&number[..size]);
            }
            6 => {
                let end = (at + random.below(40) as usize).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            7 => {
                let end = (at + random.below(40) as usize).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(len) as usize;
                bytes.splice(to..to, copy);
            }
            8 if !other.is_empty() => {
                let from = random.below(other.len() as u64) as usize;
                let piece = &other[from..(from + random.below(64) as usize).min(other.len())];
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                let word = u64::from(bytes[at]).wrapping_add(pick(random, &[1, 255, 2, 254]));
                bytes[at] = word as u8;
            }
        }
    }
}

/// Makes the checksums right again. `before` is what the file was: that says where its parts were.
fn seal(name: &str, bytes: &mut [u8], before: &[u8]) {
    let plain = |bytes: &mut [u8]| {
        if let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = crc32fast::hash(body).to_le_bytes();
        }
    };
    if name == "MANIFEST" || name.ends_with(".hint") {
        plain(bytes);
    } else if name == "CHECKPOINT" {
        seal_checkpoint(bytes);
    } else if name.ends_with(".run") {
        seal_run(bytes, before);
    } else if name.ends_with(".data") {
        if let Some(header) = bytes.get_mut(..FILE_HEADER_SIZE as usize) {
            plain(header);
        }
        seal_frames(bytes);
    }
}

/// Frame by frame as their headers say now, and at each further place where one seems to be.
fn seal_frames(bytes: &mut [u8]) {
    let Ok(FileHeader { origin, .. }) = FileHeader::decode(bytes) else { return };
    let mut at = FILE_HEADER_SIZE as usize;
    while at < bytes.len() {
        let size = match Header::decode(&bytes[at..], &origin) {
            Ok(header) if header.frame_size() <= (bytes.len() - at) as u64 => header,
            _ => {
                at += 8;
                continue;
            }
        };
        let end = at + size.frame_size() as usize;
        // What is inside a batch has checksums of its own, which are inside of that of the batch.
        if size.kind == frame::Kind::Batch {
            let first = at + size.value_range().start as usize;
            let last = at + size.value_range().end as usize;
            let mut inner = first;
            while inner < last {
                let Ok(header) = Header::decode(&bytes[inner..last], &origin) else { break };
                let Some(record) = bytes[..last].get_mut(inner..inner + header.frame_size() as usize) else {
                    break;
                };
                frame::seal(origin.seed(inner as u64), record);
                inner += header.frame_size() as usize;
            }
        }
        frame::seal(origin.seed(at as u64), &mut bytes[at..end]);
        at = end;
    }
}

fn seal_checkpoint(bytes: &mut [u8]) {
    let Some(prefix) = bytes.get(..PREFIX_SIZE) else { return };
    let Ok(sizes) = CheckpointHeader::sizes_from_prefix(prefix) else { return };
    let (header, all) = (sizes.header as usize, sizes.all as usize);
    if sizes.all > bytes.len() as u64 || sizes.lines.saturating_mul(LINE_SIZE as u64) > sizes.all {
        return;
    }
    if let Ok(mut decoded) = CheckpointHeader::decode(&bytes[..header]) {
        let mut at = all;
        for root in &mut decoded.roots {
            let Some(keys) = bytes.get(at..at.saturating_add(root.bytes as usize)) else { break };
            root.crc = crc32fast::hash(keys);
            at += keys.len();
        }
        if let Ok(encoded) = decoded.encode()
            && encoded.len() == header
        {
            bytes[..header].copy_from_slice(&encoded);
        }
    }
    let crc = crc32fast::hash(&bytes[..all - 4]);
    bytes[all - 4..all].copy_from_slice(&crc.to_le_bytes());
}

fn seal_run(bytes: &mut [u8], before: &[u8]) {
    let word = |bytes: &[u8], at: usize| {
        Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?)).filter(|it| *it < 1 << 32)
    };
    let salt = |bytes: &[u8]| Some(u32::from_le_bytes(*bytes.get(16..)?.first_chunk::<4>()?));
    let end = bytes.len();
    let mut ends = vec![0, run::HEADER_SIZE];
    // Where blocks begin the index of the file said before it was changed, if its parts are still where they were.
    if end == before.len()
        && let Some(footer) = end.checked_sub(run::FOOTER_SIZE)
        && let (Some(filter), Some(index)) = (word(before, footer + 8), word(before, footer + 16))
        && let (filter, index) = (filter as usize, index as usize)
        && filter < index
        && index < footer
        && let Ok(shape) = run::IndexShape::find(&before[index..footer - 4], filter as u64)
    {
        // The first begins where the header ends.
        let starts = (1..shape.blocks).filter_map(|n| shape.offset(&before[index..footer - 4], n));
        ends.extend(starts.map(|at| at as usize).chain([filter, index, footer, end]));
    }
    let Some(salt) = salt(bytes) else { return };
    for part in ends.windows(2).map(|pair| pair[0]..pair[1]) {
        let seed = if part.start == 0 { 0 } else { run::seed(salt, part.start as u64) };
        if let Some((body, crc)) = bytes.get_mut(part).and_then(|part| part.split_last_chunk_mut::<4>()) {
            *crc = run::checksum(seed, body).to_le_bytes();
        }
    }
}

/// Everything that can be done to a store, whatever it answers. Whether it opened.
fn use_it(files: &Files, engine: EngineKind) -> Result<bool, String> {
    let disk = SimDisk::new();
    for (name, bytes) in files {
        disk.write_file(name, bytes.clone());
    }
    let checked = disk.fork();
    let _ = filedb::check_on(Arc::new(checked.clone()), |_| ControlFlow::Continue(()));
    let _ = filedb::salvage_on(Arc::new(checked), Arc::new(SimDisk::new()), |_| ControlFlow::Continue(()));
    let mut opened = false;
    for read_only in [true, false] {
        let options = Options { read_only, ..options(engine) };
        let Ok(db) = Db::open_on(Arc::new(disk.clone()), &options) else { continue };
        opened = true;
        let keys = (0..20).map(key).chain([b"batch".to_vec(), b"listkey-01".to_vec()]);
        for key in keys {
            let _ = (db.get(&key), db.ttl(&key), db.list_range(&key, 0, -1));
            let _ = db.get_pinned(&key).map(|pinned| pinned.map(|pinned| pinned.len()));
        }
        let _ = (db.list(b""), db.count(), db.stats());
        if let Ok(mut rows) = db.iter(b"") {
            // It may go on behind what is damaged.
            for _ in 0..500 {
                if matches!(rows.next_row(), Ok(None)) {
                    break;
                }
            }
        }
        if let Ok(mut rows) = db.range(&KeyRange { reverse: true, ..KeyRange::ALL }) {
            for _ in 0..500 {
                if matches!(rows.next_row(), Ok(None)) {
                    break;
                }
            }
        }
        if !read_only {
            for n in 0..20 {
                let _ = (db.put(key(n), b"later"), db.push_front(b"list", b"later"), db.delete(key(n + 1)));
            }
            let _ = (db.pop_back(b"list"), db.maintain(), db.merge(), db.sync());
            let _ = (db.get(key(3)), db.maintain());
        }
        let _ = db.close();
    }
    match disk.open_files() {
        0 => Ok(opened),
        files => Err(format!("{files} files are still open")),
    }
}

#[test]
fn files_that_were_made_to_do_harm_do_none() {
    let engines = [EngineKind::Bitcask, EngineKind::Lsm];
    // Of each engine: how many stores there were, and how many of them opened.
    let mut counts = [(0, 0); 2];
    for seed in seeds(histories(12)) {
        let mut random = Random::new(seed);
        let engine = pick(&mut random, &engines);
        let (count, opened) = &mut counts[usize::from(engine == EngineKind::Lsm)];
        let files = store(engine, seed, random.one_in(2)).expect("a store to be changed");
        let names: Vec<&String> = files.keys().filter(|name| *name != "LOCK").collect();
        for turn in 0..60 {
            let mut changed = files.clone();
            let mut what = Vec::new();
            for _ in 0..1 + random.below(2) {
                let (name, other) = (pick(&mut random, &names), pick(&mut random, &names));
                if let Some(bytes) = changed.get_mut(name) {
                    mutate(bytes, &files[other], &mut random);
                    seal(name, bytes, &files[name]);
                    what.push(name.as_str());
                }
            }
            *count += 1;
            match quietly(|| use_it(&changed, engine)) {
                Ok(is_open) => *opened += u64::from(is_open),
                Err(why) => {
                    panic!("turn {turn}, {} changed: {why}\nFILEDB_TEST_SEED={seed}", what.join(", "))
                }
            }
        }
    }
    tally(counts.iter().map(|(count, _)| count).sum(), "hostile stores");
    for (engine, (count, opened)) in engines.into_iter().zip(counts) {
        println!("{engine:?}: {opened} of {count} stores opened");
        // The seeds that are run each time are known to reach it well; of others some open few stores, so that it takes several to say.
        let (least, part) =
            if std::env::var_os("FILEDB_TEST_SEED").is_none() { (1, LEAST_OPENED) } else { (300, 20) };
        assert!(
            count < least || opened >= count / part,
            "only {opened} of {count} stores opened, {engine:?}: what is behind the checksums was not reached"
        );
    }
}

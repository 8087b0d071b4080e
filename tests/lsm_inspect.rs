//! Checks and salvages of small stores of the ordered engine: of sound ones, and with each of their bytes damaged.
//!
//! `FILEDB_TEST_DAMAGE=all` damages every byte instead of a part of them.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filedb::disk::sim::SimDisk;
use filedb::format::names;
use filedb::format::run::{FOOTER_SIZE, Footer, HEADER_SIZE, Header, IndexShape};
use filedb::{
    Batch, CheckReport, Db, EngineKind, KeyRange, MergeMode, Options, PutOptions, Severity, SyncMode, Ttl,
    Type,
};
use support::runner::quietly;

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug, PartialEq)]
enum Held {
    Value(Vec<u8>, bool),
    List(Vec<Vec<u8>>),
}

type Content = BTreeMap<Vec<u8>, Held>;

/// A store, what it holds, and all values and elements that were ever written, by key.
struct Specimen {
    files: Files,
    content: Content,
    ever: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

fn options() -> Options {
    Options {
        engine: EngineKind::Lsm,
        lsm_memory: 1 << 20,
        max_file_size: 16 << 10,
        merge: MergeMode::Manual,
        ..Options::default()
    }
}

fn files_of(disk: &SimDisk) -> Files {
    let names = disk.file_names().into_iter().filter(|name| !name.starts_with("RESERVE"));
    names.map(|name| (name.clone(), disk.read_file(&name).unwrap_or_default())).collect()
}

fn disk_with(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in files {
        disk.write_file(name, bytes.clone());
    }
    disk
}

fn content(db: &Db) -> Content {
    let mut content = Content::new();
    let mut iter = db.iter(b"").unwrap();
    while let Some(entry) = iter.next_row().unwrap() {
        let key = entry.key().to_vec();
        let held = match entry.type_of() {
            Type::List => {
                let all = db.list_range(&key, 0, -1).unwrap().unwrap();
                Held::List(all.iter().map(<[u8]>::to_vec).collect())
            }
            _ => Held::Value(entry.value().to_vec(), db.ttl(&key).unwrap() != Some(Ttl::Forever)),
        };
        content.insert(key, held);
    }
    content
}

/// A store with runs on two levels, deletes of keys and of ranges at each, and more in the log.
fn make(closes: bool) -> Specimen {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &options()).unwrap();
    let mut ever: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let mut note = |key: &[u8], value: &[u8]| {
        ever.entry(key.to_vec()).or_default().insert(value.to_vec());
    };
    let key = |n: u32| format!("key {n:04}").into_bytes();
    for round in 0..4u32 {
        let step = [1, 3, 5, 7][round as usize];
        for n in (0..160).step_by(step) {
            let value = format!("{n} of round {round} {}", "x".repeat(40 + n as usize % 40)).into_bytes();
            note(&key(n), &value);
            match n % 20 {
                7 => {
                    let options =
                        PutOptions { ttl: Some(Duration::from_secs(1 << 20)), ..PutOptions::default() };
                    db.put_with(key(n), &value, &options).unwrap();
                }
                8 => {
                    let mut batch = Batch::new();
                    batch.put(key(n), &value).unwrap();
                    batch.delete(key(n + 300)).unwrap();
                    db.write(&batch).unwrap();
                }
                _ => db.put(key(n), &value).unwrap(),
            }
        }
        for n in (0..160).filter(|n| n % 11 == round) {
            db.delete(key(n)).unwrap();
        }
        let from = key(120 + round * 8);
        let to = key(124 + round * 8);
        db.delete_range(&KeyRange { from: Bound::Included(&from), to: Bound::Excluded(&to), reverse: false })
            .unwrap();
        for n in 0..4u32 {
            let list = format!("list {n}").into_bytes();
            for element in 0..8u32 {
                let element = format!("{element} of round {round} of list {n}").into_bytes();
                note(&list, &element);
                if n % 2 == 0 {
                    db.push_back(&list, &element).unwrap()
                } else {
                    db.push_front(&list, &element).unwrap()
                };
            }
            for _ in 0..round {
                db.pop_front(&list).unwrap();
            }
            if n == round {
                db.delete(&list).unwrap();
            }
        }
        match round {
            0 => {
                db.flush().unwrap();
                db.merge().unwrap();
            }
            1 | 2 => db.flush().unwrap(),
            _ => {}
        }
    }
    let content = content(&db);
    let files = if closes {
        db.close().unwrap();
        files_of(&disk)
    } else {
        let files = files_of(&disk.fork());
        db.close().unwrap();
        files
    };
    assert!(files.keys().filter(|name| name.ends_with(".run")).count() >= 3, "{:?}", files.keys());
    Specimen { files, content, ever }
}

type Findings = Vec<(Severity, String, u64, String)>;

fn check(files: &Files) -> (CheckReport, Findings) {
    let mut found = Vec::new();
    let disk = disk_with(files);
    let report = filedb::check_on(Arc::new(disk.clone()), |finding| {
        assert!(finding.offset + finding.length <= u64::from(u32::MAX));
        found.push((finding.severity, finding.file.into(), finding.offset, finding.message.into()));
        ControlFlow::Continue(())
    });
    let report = report.unwrap_or_else(|error| panic!("a check ends well: {error}"));
    assert!(files_of(&disk) == *files, "a check changes nothing");
    (report, found)
}

fn salvage(files: &Files) -> (Content, Findings) {
    let (from, to) = (disk_with(files), SimDisk::new());
    let mut found = Vec::new();
    let report = filedb::salvage_on(Arc::new(from.clone()), Arc::new(to.clone()), |finding| {
        found.push((finding.severity, finding.file.into(), finding.offset, finding.message.into()));
        ControlFlow::Continue(())
    });
    let report = report.unwrap_or_else(|error| panic!("a salvage ends well: {error}"));
    assert!(files_of(&from) == *files, "a salvage does not change the damaged store");
    let db = Db::open_on(Arc::new(to), &options()).unwrap();
    let content = content(&db);
    assert_eq!(report.keys, content.len() as u64);
    db.close().unwrap();
    (content, found)
}

/// What is in a store that opens, where all of it can be read.
fn opened(files: &Files) -> Option<Content> {
    let db = Db::open_on(Arc::new(disk_with(files)), &options()).ok()?;
    let mut iter = db.iter(b"").ok()?;
    let mut keys = Vec::new();
    while let Some(entry) = iter.next_row().ok()? {
        keys.push((entry.key().to_vec(), entry.type_of()));
    }
    for (key, holds) in keys {
        match holds {
            Type::List => drop(db.list_range(&key, 0, -1).ok()?),
            _ => drop(db.get(&key).ok()?),
        }
    }
    let content = content(&db);
    let _ = db.close();
    Some(content)
}

/// The first key and the last of the block of a run that a byte is in; `None` where it is in none.
fn damaged_block(bytes: &[u8], offset: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let header = Header::decode(bytes[..HEADER_SIZE].try_into().unwrap()).unwrap();
    let at = bytes.len() - FOOTER_SIZE;
    let footer = Footer::decode(bytes[at..].try_into().unwrap(), header.salt, at as u64).unwrap();
    let index = &bytes[footer.index_at as usize..footer.footer_at as usize - 4];
    let shape = IndexShape::find(index, footer.filter_at).unwrap();
    if !(HEADER_SIZE..footer.filter_at as usize).contains(&offset) {
        return None;
    }
    let ends = |n| shape.offset(index, n + 1).unwrap_or(footer.filter_at) as usize;
    let n = (0..shape.blocks).find(|n| offset < ends(*n)).unwrap();
    let first = match n {
        0 => &index[shape.first_key.clone()],
        _ => shape.last_key(index, n - 1).unwrap(),
    };
    Some((first.to_vec(), shape.last_key(index, n).unwrap().to_vec()))
}

impl Specimen {
    /// What salvage brought, of a store whose file `name` is damaged at `offset`.
    fn judge(&self, name: &str, offset: usize, saved: &Content) -> Result<(), String> {
        for (key, held) in saved {
            let ever = self.ever.get(key).ok_or_else(|| format!("{key:?} was never written"))?;
            let is_known = match held {
                Held::Value(value, _) => ever.contains(value),
                Held::List(elements) => elements.iter().all(|element| ever.contains(element)),
            };
            if !is_known {
                return Err(format!("{key:?} never had {held:?}"));
            }
            if name.ends_with(".run") && !self.content.contains_key(key) {
                return Err(format!("{key:?} was deleted"));
            }
        }
        if !name.ends_with(".run") {
            return Ok(());
        }
        // What stands elsewhere comes back as it was.
        let block = damaged_block(&self.files[name], offset);
        let lost = self.content.iter().filter(|(key, held)| {
            let key = [&[1], key.as_slice()].concat();
            let is_elsewhere = block.as_ref().is_none_or(|(first, last)| {
                let has_elements = last[0] == 2 && matches!(held, Held::List(_));
                !(has_elements || first <= &key && &key <= last)
            });
            is_elsewhere && saved.get(&key[1..]) != Some(*held)
        });
        let lost: Vec<_> = lost.collect();
        if !lost.is_empty() {
            return Err(format!("{lost:?} is lost, which is not in {block:?}"));
        }
        Ok(())
    }
}

#[test]
fn a_sound_store_has_no_findings_and_is_salvaged_whole_by_the_ordered_engine() {
    for closes in [true, false] {
        let specimen = make(closes);
        let (report, found) = check(&specimen.files);
        assert!(report.is_sound(), "{found:?}");
        assert_eq!((report.keys, report.keys_lost), (specimen.content.len() as u64, 0), "{found:?}");
        let (saved, found) = salvage(&specimen.files);
        for (key, held) in &specimen.content {
            assert_eq!(saved.get(key), Some(held), "{:?} {found:?}", String::from_utf8_lossy(key));
        }
        assert_eq!(saved, specimen.content);
    }
}

#[test]
fn each_damaged_byte_is_found_or_harmless_and_nothing_comes_back_that_was_deleted_or_never_written() {
    let all = std::env::var("FILEDB_TEST_DAMAGE").is_ok_and(|mode| mode == "all");
    for closes in [true, false] {
        let specimen = make(closes);
        for (name, bytes) in specimen.files.iter().filter(|(name, _)| *name != "LOCK") {
            for offset in 0..bytes.len() {
                let is_end = offset < 64 || offset + 110 > bytes.len() || name == names::MANIFEST;
                if !all && offset % if is_end { 5 } else { 61 } != 0 {
                    continue;
                }
                let mut files = specimen.files.clone();
                files.get_mut(name).unwrap()[offset] ^= 1 << (offset % 8);
                let judged = quietly(|| {
                    let (report, found) = check(&files);
                    let (saved, _) = salvage(&files);
                    let is_found = !report.is_sound() || !found.is_empty();
                    if !is_found && opened(&files).as_ref() != Some(&specimen.content) {
                        return Err("nothing was found, and the store does not have what it had".to_string());
                    }
                    specimen.judge(name, offset, &saved).map_err(|why| format!("{why}\n{found:?}"))
                });
                if let Err(why) = judged {
                    panic!("byte {offset} of {} of {name}, closed {closes}: {why}", bytes.len());
                }
            }
        }
    }
}

#[test]
fn a_run_a_log_file_or_the_manifest_that_is_missing_is_found_and_the_rest_is_saved() {
    let specimen = make(true);
    for name in specimen.files.keys().filter(|name| *name != "LOCK") {
        let mut files = specimen.files.clone();
        files.remove(name);
        let (report, found) = check(&files);
        assert!(!report.is_sound() && report.keys_lost > 0, "{name}: {found:?}");
        let (saved, _) = salvage(&files);
        assert!(saved.len() * 2 > specimen.content.len(), "{name}: {} keys", saved.len());
    }
}

#[test]
fn a_store_without_runs_whose_manifest_is_damaged_is_salvaged_by_the_ordered_engine() {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &options()).unwrap();
    for n in 0..20u32 {
        db.put(format!("key {n:02}"), b"value").unwrap();
    }
    let (from, to) = (Bound::Included(b"key 05".as_slice()), Bound::Excluded(b"key 15".as_slice()));
    db.delete_range(&KeyRange { from, to, reverse: false }).unwrap();
    db.put(b"key 07", b"again").unwrap();
    let content = content(&db);
    db.close().unwrap();
    assert_eq!(content.len(), 11);
    let files = files_of(&disk);
    assert!(files.keys().all(|name| !name.ends_with(".run")), "{:?}", files.keys());
    for damaged in [false, true] {
        let mut files = files.clone();
        match damaged {
            true => files.get_mut(names::MANIFEST).unwrap()[40] ^= 1,
            false => drop(files.remove(names::MANIFEST)),
        }
        let (report, _) = check(&files);
        assert!(!report.is_sound() && report.keys == 11, "{report:?}");
        let (saved, found) = salvage(&files);
        assert_eq!(saved, content, "{found:?}");
    }
}

#[test]
fn a_popped_element_does_not_come_back_in_the_place_of_one_that_is_damaged() {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &options()).unwrap();
    for element in ["one", "two", "three"] {
        db.push_back(b"list", element).unwrap();
    }
    db.flush().unwrap();
    db.pop_back(b"list").unwrap();
    db.pop_back(b"list").unwrap();
    for element in ["second", "the third", "fourth"] {
        db.push_back(b"list", element).unwrap();
    }
    db.close().unwrap();
    let mut files = files_of(&disk);
    let (_, bytes) = files
        .iter_mut()
        .filter(|(name, _)| name.ends_with(".data"))
        .find(|(_, bytes)| bytes.windows(9).any(|part| part == b"the third"))
        .unwrap();
    let at = bytes.windows(9).position(|part| part == b"the third").unwrap();
    bytes[at] ^= 1;
    let (saved, found) = salvage(&files);
    let Some(Held::List(elements)) = saved.get(b"list".as_slice()) else { panic!("{saved:?} {found:?}") };
    assert!(!elements.iter().any(|element| element == b"three"), "{elements:?} {found:?}");
    assert!(elements.iter().any(|element| element == b"one"), "{elements:?} {found:?}");
}

#[test]
fn a_store_of_the_ordered_engine_that_is_written_to_and_merged_has_no_findings() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let options = Options {
        lsm_memory: 64 << 10,
        merge: MergeMode::Auto,
        merge_interval_ms: 1,
        sync: SyncMode::None,
        ..options()
    };
    let db = Db::open(&path, &options).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64.. {
                let key = format!("key {}", n * 7 % 300);
                match n % 8 {
                    0 => drop(db.delete(key.as_bytes()).unwrap()),
                    1 => drop(db.push_back(format!("list {}", n % 5), key.as_bytes()).unwrap()),
                    2 => drop(db.pop_front(format!("list {}", n % 5)).unwrap()),
                    3 if n % 64 == 3 => {
                        let (from, to) = (b"key 1".as_slice(), b"key 2".as_slice());
                        let (from, to) = (Bound::Included(from), Bound::Excluded(to));
                        db.delete_range(&KeyRange { from, to, reverse: false }).unwrap();
                    }
                    _ => db.put(key.as_bytes(), [n as u8; 100]).unwrap(),
                }
                if is_done.load(Ordering::Relaxed) && n > 1000 {
                    break;
                }
            }
        });
        for round in 0..20 {
            let mut found = Vec::new();
            let report = filedb::check(&path, |finding| {
                found.push(format!("{finding:?}"));
                ControlFlow::Continue(())
            });
            let report = report.unwrap();
            if !report.is_sound() {
                is_done.store(true, Ordering::Relaxed);
                panic!("round {round}: {found:#?}");
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let held = db.count().unwrap();
    assert_eq!(filedb::check(&path, |_| ControlFlow::Continue(())).unwrap().keys, held);
    db.close().unwrap();
    assert_eq!(filedb::check(&path, |_| ControlFlow::Continue(())).unwrap().keys, held);
    let to = home.path().join("saved");
    assert_eq!(filedb::salvage(&path, &to, |_| ControlFlow::Continue(())).unwrap().keys, held);
    let saved = Db::open(&to, &Options::default()).unwrap();
    assert!(saved.capabilities().unwrap().contains(filedb::Capabilities::ORDER));
    assert_eq!(saved.count().unwrap(), held);
}

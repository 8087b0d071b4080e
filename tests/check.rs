//! Checks and salvages of stores in real directories: of stores in use, with each kind of damage, and without a change to any file.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filedb::disk::sim::{Fault, Kind, SimDisk};
use filedb::{Batch, CheckReport, Db, Error, MergeMode, Options, PutOptions, Severity, Ttl};

fn options() -> Options {
    Options { max_file_size: 4096, merge: MergeMode::Manual, ..Options::default() }
}

/// What a check finds: severity, file, key and sentence.
type Found = Vec<(Severity, String, Option<Vec<u8>>, String)>;

fn check(path: &Path) -> (CheckReport, Found) {
    let mut found = Vec::new();
    let report = filedb::check(path, |finding| {
        let key = finding.key.map(<[u8]>::to_vec);
        found.push((finding.severity, finding.file.to_string(), key, finding.message.to_string()));
        ControlFlow::Continue(())
    });
    (report.expect("a check that comes to its end"), found)
}

fn salvage(path: &Path, to: &Path) -> Result<CheckReport, Error> {
    filedb::salvage(path, to, |_| ControlFlow::Continue(()))
}

/// A closed store of several files.
fn make(path: &Path) {
    let db = Db::open(path, &options()).expect("opening");
    for n in 0..400u32 {
        db.put(format!("key {:03}", n % 200).as_bytes(), [n as u8; 60]).expect("a put");
    }
    db.close().expect("closing");
}

fn largest(path: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let data = files.filter(|path| path.extension().is_some_and(|end| end == "data"));
    data.max_by_key(|path| (path.metadata().unwrap().len(), path.clone())).unwrap()
}

/// Everything there is to see of a directory: names, bytes, times.
fn sight(path: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64, i64)> {
    let of = |path: &Path, bytes| {
        let metadata = path.metadata().unwrap();
        (bytes, metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec())
    };
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut sight: BTreeMap<_, _> = files
        .map(|file| {
            (file.file_name().unwrap().to_str().unwrap().into(), of(&file, std::fs::read(&file).unwrap()))
        })
        .collect();
    sight.insert(".".into(), of(path, Vec::new()));
    sight
}

#[test]
fn no_file_of_the_damaged_store_is_changed_or_made() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    make(&path);
    for damage in 0..4 {
        let file = largest(&path);
        let mut bytes = std::fs::read(&file).unwrap();
        match damage {
            0 => {}
            1 => bytes[1000] ^= 1,
            2 => std::fs::remove_file(path.join("LOCK")).unwrap(),
            _ => std::fs::remove_file(path.join("MANIFEST")).unwrap(),
        }
        std::fs::write(&file, bytes).unwrap();
        let before = sight(&path);
        let (report, _) = check(&path);
        let saved = salvage(&path, &home.path().join(format!("saved {damage}"))).unwrap();
        assert!(sight(&path) == before, "damage {damage}");
        assert_eq!(report.is_sound(), damage == 0, "damage {damage}");
        assert!(saved.keys >= 199, "damage {damage}: {saved:?}");
    }
}

#[test]
fn a_store_that_is_written_to_and_merged_has_no_findings() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let options = Options {
        max_file_size: 16 << 10,
        merge: MergeMode::Auto,
        merge_interval_ms: 1,
        ..Options::default()
    };
    let db = Db::open(&path, &options).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64.. {
                let key = format!("key {}", n % 300);
                match n % 8 {
                    0 => drop(db.delete(key.as_bytes()).unwrap()),
                    1 => drop(db.push_back(format!("list {}", n % 5).as_bytes(), key.as_bytes()).unwrap()),
                    2 => drop(db.pop_front(format!("list {}", n % 5).as_bytes()).unwrap()),
                    3 => {
                        let mut batch = Batch::new();
                        batch.put(key.as_bytes(), [n as u8; 100]).unwrap();
                        batch.put(b"other", key.as_bytes()).unwrap();
                        db.write(&batch).unwrap();
                    }
                    _ => db.put(key.as_bytes(), [n as u8; 100]).unwrap(),
                }
                if is_done.load(Ordering::Relaxed) && n > 1000 {
                    break;
                }
            }
        });
        let checked = std::panic::catch_unwind(|| {
            for _ in 0..60 {
                let (report, found) = check(&path);
                let found: Found =
                    found.into_iter().filter(|(severity, ..)| *severity > Severity::Note).collect();
                assert!(report.is_sound() && found.is_empty(), "{report:?}: {found:?}");
            }
            assert!(matches!(salvage(&path, &home.path().join("saved")), Err(Error::Locked { .. })));
            assert!(!home.path().join("saved").exists());
        });
        is_done.store(true, Ordering::Relaxed);
        checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    db.close().unwrap();
    let (report, found) = check(&path);
    assert!(report.is_sound() && found.is_empty(), "{found:?}");
}

#[test]
fn a_damaged_record_is_named_and_weighed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    make(&path);
    let key = b"key 199";
    let holds = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        file.extension().is_some_and(|end| end == "data") && bytes.windows(key.len()).any(|part| part == key)
    };
    // The newest: an older one has what was replaced.
    let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path());
    let file = files.filter(holds).max().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_string();
    let alive = bytes.windows(key.len()).rposition(|part| part == key);
    for (checkpoint, at, severity) in [(true, alive, Severity::DataLost), (false, alive, Severity::DataLost)]
    {
        let Some(at) = at else { continue };
        let mut damaged = bytes.clone();
        damaged[at + key.len() + 5] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        if !checkpoint {
            std::fs::remove_file(path.join("CHECKPOINT")).unwrap();
        }
        let (report, found) = check(&path);
        let places: Vec<_> = found.iter().filter(|(severity, ..)| *severity > Severity::Note).collect();
        assert_eq!(places.len(), 1, "{found:?}");
        assert_eq!((places[0].0, &places[0].1), (severity, &name), "{found:?}");
        assert_eq!(places[0].2.as_deref(), Some(&key[..]), "{found:?}");
        assert_eq!((report.keys_lost, report.damaged_places, report.damaged_files), (1, 1, 1));
    }
    // A dead record costs nothing.
    std::fs::write(&file, &bytes).unwrap();
    let first = data(&path, 0);
    let mut dead = std::fs::read(&first).unwrap();
    dead[64 + 40] ^= 1;
    std::fs::write(&first, dead).unwrap();
    let (report, found) = check(&path);
    assert_eq!((report.keys_lost, report.damaged_places, report.keys), (0, 1, 200), "{found:?}");
    assert_eq!(found.iter().map(|found| found.0).max(), Some(Severity::SpaceLost));
}

#[test]
fn every_kind_of_damage_has_a_finding() {
    type Harm = fn(&Path);
    let harms: &[(&str, &str, Harm)] = &[
        ("MANIFEST", "checksum", |path| flip(&path.join("MANIFEST"), 30)),
        ("MANIFEST", "missing", |path| std::fs::remove_file(path.join("MANIFEST")).unwrap()),
        ("CHECKPOINT", "checksum", |path| flip(&path.join("CHECKPOINT"), 5000)),
        (".data", "header", |path| flip(&largest(path), 40)),
        (".data", "another one", |path| {
            std::fs::copy(data(path, 1), data(path, 0)).unwrap();
        }),
        (".data", "missing", |path| std::fs::remove_file(data(path, 1)).unwrap()),
        (".data", "behind the end", |path| {
            let mut bytes = std::fs::read(data(path, 0)).unwrap();
            bytes.extend([0; 16]);
            std::fs::write(data(path, 0), bytes).unwrap();
        }),
        (".data", "the manifest says", |path| {
            let mut bytes = std::fs::read(data(path, 0)).unwrap();
            bytes.truncate(bytes.len() - 80);
            std::fs::write(data(path, 0), bytes).unwrap();
        }),
        (".hint", "", |path| {
            let db = Db::open(path, &options()).unwrap();
            db.write_hints().unwrap();
            db.close().unwrap();
            let hint = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
            let hint = hint.filter(|file| file.extension().is_some_and(|end| end == "hint")).min().unwrap();
            flip(&hint, 100);
        }),
    ];
    for (file, words, harm) in harms {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        make(&path);
        harm(&path);
        let (report, found) = check(&path);
        let is_it = |(severity, name, _, message): &(Severity, String, Option<Vec<u8>>, String)| {
            *severity > Severity::Note && name.contains(file) && message.contains(words)
        };
        assert!(!report.is_sound() && found.iter().any(is_it), "{file} {words}: {found:?}");
    }
}

/// The data file of this place in their order.
fn data(path: &Path, n: usize) -> std::path::PathBuf {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "data")).collect();
    files.sort();
    files.swap_remove(n)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_salvage_that_cannot_be_made_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let to = home.path().join("saved");
    assert!(matches!(salvage(&path, &to), Err(Error::Missing { .. })));
    assert!(matches!(filedb::check(&path, |_| ControlFlow::Continue(())), Err(Error::Missing { .. })));
    make(&path);
    assert!(matches!(salvage(&path, &path.join("inside")), Err(Error::InvalidArgument { .. })));
    assert!(matches!(salvage(&path, &path), Err(Error::Exists { .. })));
    std::fs::create_dir(&to).unwrap();
    assert!(matches!(salvage(&path, &to), Err(Error::Exists { .. })));
    std::fs::remove_dir(&to).unwrap();
    assert!(matches!(salvage(Path::new("memory://"), &to), Err(Error::Unsupported { .. })));
    flip(&largest(&path), 1000);
    let stopped = filedb::salvage(&path, &to, |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Corrupt { .. })), "{stopped:?}");
    assert!(!to.exists());
    let mut seen = 0;
    filedb::check(&path, |_| {
        seen += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn expiries_and_lists_come_back_as_they_were() {
    let home = tempfile::tempdir().unwrap();
    let (path, to) = (home.path().join("store"), home.path().join("saved"));
    let db = Db::open(&path, &options()).unwrap();
    let lasting = PutOptions::new().ttl(Duration::from_secs(3_600));
    assert!(db.put_with(b"lasting", b"value", &lasting).unwrap());
    for n in 0..3_000u32 {
        db.push_back(b"jobs", n.to_le_bytes()).unwrap();
    }
    for _ in 0..500 {
        db.pop_front(b"jobs").unwrap();
    }
    assert!(
        db.list_set(b"jobs", 7, b"changed").unwrap()
            && db.expire(b"jobs", Duration::from_secs(7_200)).unwrap()
    );
    db.put(b"gone", b"value").unwrap();
    assert!(db.delete(b"gone").unwrap());
    db.close().unwrap();
    std::fs::remove_file(path.join("MANIFEST")).unwrap();
    let report = salvage(&path, &to).unwrap();
    assert_eq!(report.keys, 2);
    let saved = Db::open(&to, &options()).unwrap();
    assert!(
        matches!(saved.ttl(b"lasting").unwrap(), Some(Ttl::Left(life)) if (3_000..=3_600).contains(&life.as_secs()))
    );
    assert!(
        matches!(saved.ttl(b"jobs").unwrap(), Some(Ttl::Left(life)) if (7_000..=7_200).contains(&life.as_secs()))
    );
    let jobs = saved.list_range(b"jobs", 0, -1).unwrap().unwrap();
    let wanted =
        (500..3_000u32).map(|n| if n == 507 { b"changed".to_vec() } else { n.to_le_bytes().to_vec() });
    assert!(jobs.iter().map(<[u8]>::to_vec).eq(wanted));
}

/// A merge that ends early leaves copies of some records of a file, and the file: whoever finds one of two equal copies is right.
#[test]
fn a_store_whose_merge_ended_early_anywhere_has_no_findings() {
    const NEEDED: &[Kind] = &[Kind::Create, Kind::Open, Kind::Read];
    let merged = |fails: Option<u64>| {
        let disk = SimDisk::new();
        let options = Options { max_file_size: 1_000, io: filedb::IoMode::Pread, ..options() };
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        for key in 0..40u8 {
            db.put([key % 20], [key; 90]).unwrap();
            db.push_back(b"list", [key; 30]).unwrap();
            if key % 3 == 0 {
                db.pop_front(b"list").unwrap();
            }
        }
        db.maintain().unwrap();
        let before = disk.operations();
        if let Some(n) = fails {
            disk.fail(Fault { lasts: true, kinds: NEEDED, ..Fault::once(before + n, libc::EMFILE) });
        }
        let is_whole = db.merge().is_ok();
        disk.repair();
        let operations = disk.operations() - before;
        db.close().unwrap();
        filedb::check_on(Arc::new(disk), |finding| {
            // Files that were begun in vain may be left.
            let is_harmless = finding.severity != Severity::DataLost;
            assert!(is_harmless, "operation {fails:?} failed: {}: {}", finding.file, finding.message);
            ControlFlow::Continue(())
        })
        .unwrap();
        (is_whole, operations)
    };
    let (_, operations) = merged(None);
    let failed = (1..=operations).filter(|n| !merged(Some(*n)).0).count();
    assert!(failed > 20, "{failed} merges ended early");
}

//! A store that is read beside its writer (`read_only=true`, `live=true`): what each call sees, one after the other. `live.rs` has both
//! at work at once.

#![allow(clippy::unwrap_used)] // what fails fails the test

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use filedb::disk::sim::SimDisk;
use filedb::{BackupOptions, Batch, Db, EngineKind, Error, IoMode, KeyRange, Options, PutOptions, Ttl};

/// The page of a store's writer, as docs/FORMAT.md names it.
const PAGE: &str = "LIVE";

/// The engines that a store can have.
const ENGINES: [EngineKind; 2] = [EngineKind::Bitcask, EngineKind::Lsm];

fn writing(engine: EngineKind) -> Options {
    // Little memory, so that the ordered engine writes much of what is written to runs.
    let mut options = Options { engine, max_file_size: 64 << 10, lsm_memory: 1 << 20, ..Options::default() };
    options.set("merge", "manual").unwrap();
    options.set("sync", "none").unwrap();
    options
}

fn reading() -> Options {
    Options { read_only: true, live: true, ..Options::default() }
}

/// Both engines, and both ways of reading and writing files.
fn all_ways(test: impl Fn(&Path, &Options, &Options)) {
    for engine in ENGINES {
        for writers in [IoMode::Mmap, IoMode::Pread] {
            for readers in [IoMode::Mmap, IoMode::Pread] {
                let home = tempfile::tempdir().unwrap();
                println!("{engine:?}, written by {writers:?} and read by {readers:?}");
                test(
                    &home.path().join("store"),
                    &Options { io: writers, ..writing(engine) },
                    &Options { io: readers, ..reading() },
                );
            }
        }
    }
}

/// A store of each engine.
fn both_engines(test: impl Fn(&Path, &Options)) {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        println!("{engine:?}");
        test(&home.path().join("store"), &writing(engine));
    }
}

fn contents(db: &Db) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    db.iter("")
        .unwrap()
        .visit_rows(|key, value| {
            all.insert(key.to_vec(), value.to_vec());
            true
        })
        .unwrap();
    all
}

#[test]
fn a_reader_sees_each_write_that_returned() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        db.put("before", "1").unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert_eq!(reader.get("before").unwrap().as_deref(), Some(&b"1"[..]));
        for n in 0..2_000u32 {
            let key = format!("key {}", n % 97);
            db.put(&key, vec![n as u8; n as usize % 700]).unwrap();
            assert_eq!(reader.get(&key).unwrap(), Some(vec![n as u8; n as usize % 700]), "{n}");
            if n % 13 == 0 {
                assert!(db.delete(&key).unwrap());
                assert_eq!(reader.get(&key).unwrap(), None, "{n}");
            }
            if n % 400 == 399 {
                db.merge().unwrap();
            }
        }
        assert_eq!(reader.count().unwrap(), db.count().unwrap());
        assert_eq!(contents(&reader), contents(&db));
        assert_eq!(reader.recount(), Ok(()));
    });
}

#[test]
fn a_reader_follows_through_closes_and_openings_of_the_writer() {
    all_ways(|path, writing, reading| {
        let mut db = Db::open(path, writing).unwrap();
        db.put("n", "0").unwrap();
        let reader = Db::open(path, reading).unwrap();
        for n in 1..40u32 {
            if n % 3 == 0 {
                db.close().unwrap();
                assert_eq!(reader.get("n").unwrap(), Some((n - 1).to_string().into_bytes()));
                db = Db::open(path, writing).unwrap();
                assert_eq!(reader.get("n").unwrap(), Some((n - 1).to_string().into_bytes()));
            }
            db.put(format!("filler {n}"), vec![1; 9_000]).unwrap();
            db.put("n", n.to_string()).unwrap();
            assert_eq!(reader.get("n").unwrap(), Some(n.to_string().into_bytes()));
            if n % 7 == 0 {
                db.merge().unwrap();
            }
        }
        assert_eq!(contents(&reader), contents(&db));
    });
}

#[test]
fn a_store_that_its_writer_has_left_is_read_and_followed_when_one_comes() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..300 {
            db.put(format!("key {n}"), vec![n as u8; 900]).unwrap();
        }
        db.close().unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert_eq!(reader.count().unwrap(), 300);
        let db = Db::open(path, writing).unwrap();
        assert_eq!(reader.count().unwrap(), 300);
        db.delete("key 7").unwrap();
        assert_eq!(reader.get("key 7").unwrap(), None);
        db.put("key 8", "new").unwrap();
        assert_eq!(reader.get("key 8").unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(contents(&reader), contents(&db));
    });
}

#[test]
fn a_reader_that_was_asked_nothing_while_all_was_merged_away_makes_its_index_anew() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..200 {
            db.put(format!("key {n}"), vec![1; 500]).unwrap();
        }
        db.push_back("list", "first").unwrap();
        let reader = Db::open(path, reading).unwrap();
        let walk = reader.iter("").unwrap();
        let before = contents(&reader);
        // More files than a page names, each of them merged away; and deletes of which no trace is left.
        for round in 0..40u32 {
            for n in 0..200 {
                db.put(format!("key {n}"), vec![round as u8; 2_000]).unwrap();
            }
            db.push_back("list", round.to_string()).unwrap();
            if round % 8 == 0 {
                db.merge().unwrap();
            }
        }
        for n in 0..100 {
            db.delete(format!("key {n}")).unwrap();
        }
        db.pop_front("list").unwrap();
        db.merge().unwrap();
        assert_eq!(reader.get("key 7").unwrap(), None);
        assert_eq!(reader.count().unwrap(), 101);
        assert_eq!(contents(&reader), contents(&db));
        assert_eq!(reader.list_range("list", 0, -1).unwrap().unwrap().len(), 40);
        assert_eq!(reader.recount(), Ok(()));
        // A walk that began before still sees its moment.
        let mut seen = BTreeMap::new();
        let mut walk = walk;
        walk.visit_rows(|key, value| {
            seen.insert(key.to_vec(), value.to_vec());
            true
        })
        .unwrap();
        assert_eq!(seen, before);
        db.put("key 1", "again").unwrap();
        assert_eq!(reader.get("key 1").unwrap().as_deref(), Some(&b"again"[..]));
    });
}

#[test]
fn a_walk_sees_one_moment_and_batches_whole() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, reading).unwrap();
        for round in 0..60u32 {
            let mut batch = Batch::new();
            for n in 0..50 {
                if (n + round) % 9 == 0 {
                    batch.delete(format!("key {n}")).unwrap();
                } else {
                    batch.put(format!("key {n}"), format!("{round} {n}").repeat(9)).unwrap();
                }
            }
            db.write(&batch).unwrap();
            let mut walk = reader.iter("key").unwrap();
            let at_begin = contents(&db);
            db.put("key 3", "later").unwrap();
            db.delete("key 4").unwrap();
            db.put("key 99", "later").unwrap();
            reader.get("key 3").unwrap();
            if round % 10 == 0 {
                db.merge().unwrap();
                reader.get("key 3").unwrap();
            }
            let mut seen = BTreeMap::new();
            walk.visit_rows(|key, value| {
                seen.insert(key.to_vec(), value.to_vec());
                true
            })
            .unwrap();
            assert_eq!(seen, at_begin, "{round}");
            db.delete("key 99").unwrap();
        }
    });
}

#[test]
fn lists_are_followed() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, reading).unwrap();
        let same = |round: u32| {
            for key in ["a", "b"] {
                let ours = db.list_range(key, 0, -1).unwrap();
                let theirs = reader.list_range(key, 0, -1).unwrap();
                let values = |list: Option<filedb::KeyList>| {
                    list.map(|list| list.iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
                };
                assert_eq!(values(theirs), values(ours), "{round} {key}");
            }
        };
        for round in 0..600u32 {
            let key = if round % 3 == 0 { "a" } else { "b" };
            match (round / 2) % 7 {
                0..=2 => drop(db.push_back(key, vec![round as u8; 300]).unwrap()),
                3 => drop(db.push_front(key, round.to_string()).unwrap()),
                4 => drop(db.pop_front(key).unwrap()),
                5 => drop(db.pop_back(key).unwrap()),
                _ => drop(db.list_set(key, 0, round.to_string()).unwrap()),
            }
            if round % 97 == 0 {
                db.delete(key).unwrap();
            }
            same(round);
            if round % 150 == 149 {
                db.merge().unwrap();
                same(round);
            }
        }
        assert_eq!(reader.recount(), Ok(()));
    });
}

#[test]
fn keys_expire_for_the_reader_as_they_do_for_the_writer() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, reading).unwrap();
        let ttl = |ms| PutOptions { ttl: Some(Duration::from_millis(ms)), ..PutOptions::default() };
        db.put_with("gone", "1", &ttl(0)).unwrap();
        db.put_with("stays", "1", &ttl(3_600_000)).unwrap();
        assert_eq!(reader.get("gone").unwrap(), None);
        assert!(
            matches!(reader.ttl("stays").unwrap(), Some(Ttl::Left(left)) if left > Duration::from_secs(3_000))
        );
        db.put_with("short", "1", &ttl(30)).unwrap();
        while db.get("short").unwrap().is_some() {
            std::thread::yield_now();
        }
        // Whom the writer was told of is gone here too.
        assert_eq!(reader.get("short").unwrap(), None);
        assert!(db.persist("stays").unwrap());
        assert_eq!(reader.ttl("stays").unwrap(), Some(Ttl::Forever));
        db.merge().unwrap();
        assert_eq!(reader.count().unwrap(), 1);
    });
}

/// The names, sizes, times of change and contents of all files of a directory.
fn everything(path: &Path) -> BTreeMap<PathBuf, (u64, SystemTime, Vec<u8>)> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            let metadata = std::fs::metadata(&file).unwrap();
            let content = std::fs::read(&file).unwrap();
            (file, (metadata.len(), metadata.modified().unwrap(), content))
        })
        .collect()
}

#[test]
fn a_reader_changes_no_byte_of_a_store() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..500 {
            db.put(format!("key {n}"), vec![n as u8; 400]).unwrap();
        }
        db.push_back("list", "x").unwrap();
        let use_it = || {
            let reader = Db::open(path, reading).unwrap();
            assert_eq!(reader.count().unwrap(), 501);
            contents(&reader);
            reader.sync().unwrap();
            for refused in [
                reader.put("key", "value").unwrap_err(),
                reader.delete("key 1").unwrap_err(),
                reader.merge().unwrap_err(),
                reader.write_hints().unwrap_err(),
            ] {
                assert!(matches!(refused, Error::ReadOnly), "{refused}");
            }
            reader.close().unwrap();
        };
        db.close().unwrap();
        let before = everything(path);
        use_it();
        assert_eq!(everything(path), before);
        // Also where a page was never made, and the end of the log is torn.
        std::fs::remove_file(path.join(PAGE)).unwrap();
        std::fs::remove_file(path.join("LOCK")).unwrap();
        let before = everything(path);
        use_it();
        assert_eq!(everything(path), before);
    });
}

#[test]
fn a_torn_end_that_no_writer_has_repaired_is_not_read_and_stays_as_it_is() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..20 {
            db.put(format!("key {n}"), vec![n as u8; 100]).unwrap();
        }
        // As a killed process leaves it.
        let left = path.with_extension("left");
        std::fs::create_dir(&left).unwrap();
        for (file, (_, _, content)) in everything(path) {
            std::fs::write(left.join(file.file_name().unwrap()), content).unwrap();
        }
        db.put("last", "one").unwrap();
        db.close().unwrap();
        let data = left.join("0000000001.data");
        let mut bytes = std::fs::read(&data).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 20] ^= 1;
        std::fs::write(&data, &bytes).unwrap();
        let before = everything(&left);
        let reader = Db::open(&left, reading).unwrap();
        assert_eq!(reader.count().unwrap(), 19);
        assert_eq!(everything(&left), before);
        // The next writer cuts it, and writes something else there.
        let db = Db::open(&left, writing).unwrap();
        assert_eq!(reader.count().unwrap(), 19);
        for n in 0..50 {
            db.put(format!("other {n}"), vec![n as u8; 70]).unwrap();
            assert_eq!(reader.get(format!("other {n}")).unwrap(), Some(vec![n as u8; 70]));
        }
        assert_eq!(contents(&reader), contents(&db));
    });
}

#[test]
fn a_page_that_is_stale_or_of_no_use_does_no_harm() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..100 {
            db.put(format!("key {n}"), vec![n as u8; 100]).unwrap();
        }
        db.close().unwrap();
        let good = std::fs::read(path.join(PAGE)).unwrap();
        let mut pages = vec![vec![], vec![0xAB; 100], vec![0; 4096], vec![0xFF; 4096], vec![0xAB; 10_000]];
        for word in [2, 16, 36, 64] {
            let mut stale = good.clone();
            stale[word * 8..word * 8 + 8].copy_from_slice(&0x0000_0001_0FFF_FFFFu64.to_le_bytes());
            pages.push(stale);
        }
        for page in pages {
            std::fs::write(path.join(PAGE), &page).unwrap();
            let reader = Db::open(path, reading).unwrap();
            assert_eq!(reader.count().unwrap(), 100);
            assert_eq!(std::fs::read(path.join(PAGE)).unwrap(), page);
            // The next writer makes it one that is.
            let db = Db::open(path, writing).unwrap();
            db.put("key 1", "new").unwrap();
            assert_eq!(reader.get("key 1").unwrap().as_deref(), Some(&b"new"[..]), "{} bytes", page.len());
            db.close().unwrap();
        }
    });
}

#[test]
fn a_store_that_is_not_there_yet_is_missing_and_can_be_opened_when_it_is() {
    all_ways(|path, writing, reading| {
        assert!(matches!(Db::open(path, reading), Err(Error::Missing { .. })));
        assert!(!path.exists());
        std::fs::create_dir(path).unwrap();
        assert!(matches!(Db::open(path, reading), Err(Error::Missing { .. })));
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert_eq!(reader.get("key").unwrap(), None);
        db.put("key", "value").unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    });
}

#[test]
fn a_directory_that_is_removed_and_made_anew_is_another_store() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        db.put("key", "old").unwrap();
        let reader = Db::open(path, reading).unwrap();
        db.close().unwrap();
        std::fs::remove_dir_all(path).unwrap();
        let db = Db::open(path, writing).unwrap();
        db.put("key", "new").unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"old"[..]));
        let again = Db::open(path, reading).unwrap();
        assert_eq!(again.get("key").unwrap().as_deref(), Some(&b"new"[..]));
    });
}

#[test]
fn a_store_that_is_begun_anew_in_its_place_is_refused_until_it_is_opened_again() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        db.put("key", "old").unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert!(reader.get("key").unwrap().is_some());
        db.close().unwrap();
        let db = Db::open(path, &Options { truncate: true, ..writing.clone() }).unwrap();
        db.put("key", "new").unwrap();
        let error = reader.get("key").unwrap_err();
        assert!(matches!(&error, Error::Unsupported { message } if message.contains("anew")), "{error}");
        let again = Db::open(path, reading).unwrap();
        assert_eq!(again.get("key").unwrap().as_deref(), Some(&b"new"[..]));
    });
}

#[test]
fn a_reader_keeps_no_writer_out_and_no_other_reader() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        let readers: Vec<Db> = (0..3).map(|_| Db::open(path, reading).unwrap()).collect();
        db.close().unwrap();
        let db = Db::open(path, writing).unwrap();
        db.put("key", "value").unwrap();
        assert!(readers.iter().all(|reader| reader.exists("key").unwrap()));
        assert!(matches!(
            Db::open(path, &Options { read_only: true, ..Options::default() }),
            Err(Error::Locked { .. })
        ));
    });
}

#[test]
fn what_cannot_be_read_live_is_refused_in_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let error = Db::open(&path, &Options { live: true, ..Options::default() }).err().unwrap();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    let error = Db::open("memory://", &reading()).err().unwrap();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    // A store of the other engine than the one that is asked for.
    for (engine, other) in [(EngineKind::Lsm, EngineKind::Bitcask), (EngineKind::Bitcask, EngineKind::Lsm)] {
        let path = home.path().join(format!("{engine:?}"));
        Db::open(&path, &writing(engine)).unwrap().close().unwrap();
        let error = Db::open(&path, &Options { engine: other, ..reading() }).err().unwrap();
        assert!(
            matches!(&error, Error::InvalidArgument { message } if message.contains("engine=auto")),
            "{error}"
        );
    }
}

#[test]
fn a_writer_that_tells_nothing_is_named() {
    both_engines(|path, writing| {
        let db = Db::open(path, writing).unwrap();
        db.put("key", "value").unwrap();
        db.close().unwrap();
        // As an older version locks a store.
        let directory = std::fs::File::open(path).unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
        let error = Db::open(path, &reading()).err().unwrap();
        assert!(matches!(&error, Error::Unsupported { message } if message.contains("older")), "{error}");
        drop(directory);
        assert!(Db::open(path, &reading()).unwrap().exists("key").unwrap());
    });
}

/// A word of the page, and the page with another in its place.
fn word(path: &Path, n: usize) -> u64 {
    let page = std::fs::read(path.join(PAGE)).unwrap();
    u64::from_le_bytes(page[n * 8..n * 8 + 8].try_into().unwrap())
}

fn set_word(path: &Path, n: usize, value: u64) {
    let page = std::fs::OpenOptions::new().write(true).open(path.join(PAGE)).unwrap();
    page.write_all_at(&value.to_le_bytes(), n as u64 * 8).unwrap();
}

/// Words of the page, as docs/FORMAT.md names them.
const SESSION: usize = 2;
const TAIL: usize = 16;

#[test]
fn a_reader_that_slept_while_a_writer_came_and_went_sees_what_that_wrote_while_the_next_one_opens() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        db.put("key", "old").unwrap();
        db.close().unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"old"[..]));
        let db = Db::open(path, writing).unwrap();
        db.put("key", "new").unwrap();
        db.close().unwrap();
        // What the next one does first.
        set_word(path, SESSION, 0);
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"new"[..]));
        let db = Db::open(path, writing).unwrap();
        db.put("key", "newer").unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"newer"[..]));
    });
}

#[test]
fn a_tail_that_a_page_had_before_anybody_wrote_is_not_taken_for_the_one_that_was_read() {
    all_ways(|path, writing, reading| {
        let put = |path: &Path, value: &str| {
            let db = Db::open(path, writing).unwrap();
            db.put("key", value).unwrap();
            let tail = word(path, TAIL);
            db.close().unwrap();
            tail
        };
        put(path, "first");
        let copy = path.with_extension("copy");
        std::fs::create_dir(&copy).unwrap();
        for (file, (_, _, content)) in everything(path) {
            std::fs::write(copy.join(file.file_name().unwrap()), content).unwrap();
        }
        // As in a copy whose page is of another moment than its files.
        let later = put(path, "other");
        set_word(&copy, TAIL, later);
        let reader = Db::open(&copy, reading).unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"first"[..]));
        assert_eq!(put(&copy, "third"), later);
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"third"[..]));
    });
}

#[test]
fn a_page_that_was_made_for_a_store_that_could_not_be_opened_is_not_waited_for() {
    all_ways(|path, writing, reading| {
        let db = Db::open(path, writing).unwrap();
        db.put("key", "old").unwrap();
        db.close().unwrap();
        std::fs::write(path.join(PAGE), vec![0; 4096]).unwrap();
        let reader = Db::open(path, reading).unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"old"[..]));
        // Whoever could not open the store takes it away again.
        std::fs::remove_file(path.join(PAGE)).unwrap();
        let db = Db::open(path, writing).unwrap();
        db.put("key", "new").unwrap();
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"new"[..]));
    });
}

/// Gives a file this content as a writer does: by appending to it, or by another file in its place.
fn write_as_a_writer(path: &Path, name: &str, content: &[u8]) {
    let file = path.join(name);
    let before = std::fs::read(&file).unwrap_or_default();
    if let Some(appended) = content.strip_prefix(before.as_slice()) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut file, appended).unwrap();
    } else {
        let new = path.join("written.tmp");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, file).unwrap();
    }
}

#[test]
fn a_writer_that_tells_nothing_is_noticed_when_it_comes_and_what_it_wrote_is_seen_when_it_has_left() {
    both_engines(|path, writing| {
        let put = |path: &Path, value: &str| {
            let db = Db::open(path, writing).unwrap();
            db.put("key", value).unwrap();
            db.close().unwrap();
        };
        put(path, "old");
        let copy = path.with_extension("copy");
        std::fs::create_dir(&copy).unwrap();
        for (file, (_, _, content)) in everything(path) {
            std::fs::write(copy.join(file.file_name().unwrap()), content).unwrap();
        }
        put(&copy, "new");
        let reader = Db::open(path, &reading()).unwrap();
        assert!(reader.exists("key").unwrap());
        // As an older version locks a store.
        let directory = std::fs::File::open(path).unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
        let error = loop {
            if let Err(error) = reader.get("key") {
                break error;
            }
            std::thread::yield_now();
        };
        assert!(matches!(&error, Error::Unsupported { message } if message.contains("older")), "{error}");
        // It writes what was written in the copy, and nothing of that on the page.
        let written = everything(&copy).into_iter().filter(|(file, _)| !file.ends_with(PAGE));
        for (file, (_, _, content)) in written {
            write_as_a_writer(path, file.file_name().unwrap().to_str().unwrap(), &content);
        }
        drop(directory);
        assert_eq!(reader.get("key").unwrap().as_deref(), Some(&b"new"[..]));
    });
}

#[test]
fn what_a_writer_that_told_nothing_left_is_seen_though_it_was_gone_before_anybody_looked() {
    both_engines(|path, writing| {
        let put = |value: &str| {
            let db = Db::open(path, writing).unwrap();
            db.put("key", value).unwrap();
            db.close().unwrap();
        };
        put("old");
        let page = std::fs::read(path.join(PAGE)).unwrap();
        let reader = Db::open(path, &reading()).unwrap();
        put("new");
        let now = std::fs::OpenOptions::new().write(true).open(path.join(PAGE)).unwrap();
        now.write_all_at(&page, 0).unwrap();
        while reader.get("key").unwrap().as_deref() != Some(&b"new"[..]) {
            std::thread::yield_now();
        }
    });
}

#[test]
fn what_has_expired_for_a_writer_whose_clock_was_ahead_has_for_a_reader_that_reads_what_it_left() {
    both_engines(|path, writing| {
        let db = Db::open(path, writing).unwrap();
        let hour = Duration::from_secs(3_600);
        db.put_with("brief", "1", &PutOptions { ttl: Some(hour), ..PutOptions::default() }).unwrap();
        db.close().unwrap();
        let reader = Db::open(path, &reading()).unwrap();
        assert!(reader.exists("brief").unwrap());
        // It tells nothing on the page, and comes and goes before anybody looks.
        let disk = SimDisk::new();
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_string();
        for (file, (_, _, content)) in everything(path) {
            disk.write_file(&name(&file), content);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        disk.set_clock_ms((now + 2 * hour).as_millis() as u64);
        let other = Db::open_on(Arc::new(disk.clone()), writing).unwrap();
        assert!(!other.exists("brief").unwrap());
        other.put("new", "1").unwrap();
        other.close().unwrap();
        // The manifest last.
        let mut written = disk.file_names();
        written.retain(|name| name != PAGE);
        written.sort_by_key(|name| name == "MANIFEST");
        for name in written {
            write_as_a_writer(path, &name, &disk.read_file(&name).unwrap());
        }
        while !reader.exists("new").unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(reader.get("brief").unwrap(), None);
    });
}

#[test]
fn a_list_is_never_seen_without_its_elements_by_other_threads_of_a_reader() {
    both_engines(|path, writing| {
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, &reading()).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let list = |n: u32| format!("list {}", n % 3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut n = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        n += 1;
                        reader.list_range(list(n), 0, -1).unwrap();
                    }
                });
            }
            for n in 0..6_000 {
                db.push_back(list(n), n.to_string()).unwrap();
                if n % 2 == 0 {
                    db.delete(list(n)).unwrap();
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(reader.recount(), Ok(()));
    });
}

/// A process that locks a byte of the page, as no reader does.
#[test]
fn a_page_that_another_program_locks_keeps_no_writer_out() {
    all_ways(|path, writing, _| {
        Db::open(path, writing).unwrap().close().unwrap();
        let page = std::fs::File::open(path.join(PAGE)).unwrap();
        for byte in [0, 1] {
            // SAFETY: plain data, for which all zeros is a valid value.
            let mut lock: libc::flock = unsafe { std::mem::zeroed() };
            lock.l_type = libc::F_RDLCK as libc::c_short;
            (lock.l_start, lock.l_len) = (byte, 1);
            // SAFETY: the descriptor is open, and the pointer valid for the call.
            assert_eq!(unsafe { libc::fcntl(page.as_raw_fd(), libc::F_OFD_SETLK, &lock) }, 0);
            let db = Db::open(path, writing).unwrap();
            db.put("key", byte.to_string()).unwrap();
            db.close().unwrap();
            lock.l_type = libc::F_UNLCK as libc::c_short;
            // SAFETY: as above.
            assert_eq!(unsafe { libc::fcntl(page.as_raw_fd(), libc::F_OFD_SETLK, &lock) }, 0);
        }
    });
}

/// The data files and runs without a name that this process has mapped.
fn nameless(path: &Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter(|line| line.contains(path.to_str().unwrap()));
    let is_nameless = |line: &&str| line.ends_with(".data (deleted)") || line.ends_with(".run (deleted)");
    mapped.filter(is_nameless).count()
}

#[test]
fn files_that_a_merge_replaced_are_let_go_of() {
    both_engines(|path, writing| {
        let db = Db::open(path, writing).unwrap();
        for n in 0..1_000 {
            db.put(format!("key {n}"), vec![n as u8; 500]).unwrap();
        }
        let reader = Db::open(path, &reading()).unwrap();
        for n in 0..1_000 {
            if n % 2 == 0 {
                db.put(format!("key {n}"), "new").unwrap();
            }
        }
        db.merge().unwrap();
        db.put("key 0", "newest").unwrap();
        assert_eq!(reader.get("key 0").unwrap().as_deref(), Some(&b"newest"[..]));
        // The thread of the reader comes to it soon.
        let begun = Instant::now();
        while nameless(path) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} files are kept", nameless(path));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(contents(&reader), contents(&db));
        assert_eq!(reader.recount(), Ok(()));
    });
}

#[test]
fn a_reader_of_the_ordered_engine_keeps_in_memory_what_is_in_no_run() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let memory = 1 << 20;
    let writing = Options { lsm_memory: memory, ..writing(EngineKind::Lsm) };
    let db = Db::open(&path, &writing).unwrap();
    let reader = Db::open(&path, &Options { lsm_memory: memory, ..reading() }).unwrap();
    for n in 0..10_000u32 {
        db.put(format!("key {n}"), vec![n as u8; 900]).unwrap();
        if n % 16 == 0 {
            assert!(reader.exists(format!("key {n}")).unwrap());
        }
    }
    // Its thread comes to it soon, where somebody reads what changes.
    let begun = Instant::now();
    while reader.stats().unwrap().index_bytes > memory {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", reader.stats().unwrap());
        db.put("tick", "").unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(reader.count().unwrap(), db.count().unwrap());
    assert_eq!(reader.recount(), Ok(()));
}

#[test]
fn a_batch_is_never_seen_in_part_by_other_threads_of_a_reader() {
    both_engines(|path, writing| {
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, &reading()).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let is_done = || done.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::scope(|scope| {
            // One takes over what is written, and the other walks through it.
            scope.spawn(|| {
                while !is_done() {
                    reader.get("key 1").unwrap();
                }
            });
            scope.spawn(|| {
                while !is_done() {
                    let seen: Vec<Vec<u8>> = contents(&reader).into_values().collect();
                    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
                    assert!(seen.is_empty() || seen.len() == 40, "{seen:?}");
                }
            });
            for round in 0..2_000 {
                let mut batch = Batch::new();
                (0..40).for_each(|n| batch.put(format!("key {n}"), round.to_string()).unwrap());
                db.write(&batch).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}

#[test]
fn what_a_reader_took_over_in_the_middle_of_deletes_of_ranges_is_what_the_writer_has() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &Options { lsm_memory: 256 << 10, ..writing(EngineKind::Lsm) }).unwrap();
    let readers =
        [IoMode::Mmap, IoMode::Pread].map(|io| Db::open(&path, &Options { io, ..reading() }).unwrap());
    let key = |n: u32| format!("key {:03}", n % 300);
    for round in 0..1_500u32 {
        db.put(key(round * 7), vec![round as u8; 300]).unwrap();
        if round % 40 == 0 {
            let (from, to) = (key(round * 3), key(round * 3 + 60));
            let range = KeyRange {
                from: Bound::Included(from.as_bytes()),
                to: Bound::Excluded(to.as_bytes()),
                ..KeyRange::ALL
            };
            db.delete_range(&range).unwrap();
        }
        if round % 500 == 250 {
            db.merge().unwrap();
        }
        if round % 23 == 0 {
            for reader in &readers {
                assert_eq!(contents(reader), contents(&db), "round {round}");
                let backwards = |db: &Db| {
                    let mut keys = Vec::new();
                    let mut walk = db.range(&KeyRange { reverse: true, ..KeyRange::ALL }).unwrap();
                    walk.visit_rows(|key, _| {
                        keys.push(key.to_vec());
                        true
                    })
                    .unwrap();
                    keys
                };
                assert_eq!(backwards(reader), backwards(&db), "round {round}");
            }
        }
    }
}

#[test]
fn a_readers_backup_is_a_store_also_where_the_log_has_just_gone_on_in_an_empty_file() {
    both_engines(|path, writing| {
        let home = tempfile::tempdir().unwrap();
        let db = Db::open(path, writing).unwrap();
        let reader = Db::open(path, &reading()).unwrap();
        for n in 0..100 {
            db.put(format!("key {n}"), vec![1; 300]).unwrap();
        }
        assert_eq!(reader.count().unwrap(), 100);
        // The end of the log is so large that it becomes a file that is complete; a merge makes runs of what is in that.
        db.backup(home.path().join("the writer's"), &BackupOptions::new()).unwrap();
        db.merge().unwrap();
        let of_reader = home.path().join("the reader's");
        reader.backup(&of_reader, &BackupOptions::new()).unwrap();
        assert_eq!(reader.recount(), Ok(()));
        for options in [reading(), Options { live: false, ..reading() }] {
            let copy = Db::open(&of_reader, &options).unwrap();
            assert_eq!(contents(&copy), contents(&db));
        }
        db.put("later", "1").unwrap();
        reader.backup(&of_reader, &BackupOptions::new()).unwrap();
        let copy = Db::open(&of_reader, &reading()).unwrap();
        assert_eq!(contents(&copy), contents(&db));
    });
}

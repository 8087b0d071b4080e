//! What was durable is never taken for a torn tail, and what was never promised is never taken for damage.
//!
//! A killed store whose older files were rotated out and not sealed yet loses the ends of those files, by zeros and by
//! cuts at the boundaries of frames, so that no checksum tells. What tells are the sequence numbers, which grow by one
//! from frame to frame through the whole log, and what the manifest counts.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use filedb::disk::fs::{FsDisk, Io};
use filedb::disk::sim::{PowerCut, Random, Reserve, SimDisk};
use filedb::format::file_header::FileHeader;
use filedb::format::frame::Header;
use filedb::format::manifest::{FileState, Manifest};
use filedb::format::names;
use filedb::{Db, EngineKind, Error, IoMode, MergeMode, Options, SyncMode};

use support::generate::{Case, Profile, pick};
use support::history::{KEYS, Op, Value};
use support::runner::{histories, run_histories};
use support::store::{apply, copy_directory};

type Files = BTreeMap<String, Vec<u8>>;

fn options(max_file_size: u64) -> Options {
    Options { sync: SyncMode::None, merge: MergeMode::Manual, max_file_size, ..Options::default() }
}

fn key(n: u32) -> Vec<u8> {
    format!("key {n:05}").into_bytes()
}

/// Opens a store without threads, so that a rotated file is sealed inside calls only.
fn open_without_threads(path: &Path, options: &Options) -> Db {
    let io = if options.io == IoMode::Pread { Io::Plain } else { Io::Mapped { synced: false } };
    Db::open_on(Arc::new(FsDisk::open(path, true, io).unwrap()), options).unwrap()
}

/// Does something while a value of the store is being visited: files are rotated out, but calls seal none meanwhile.
fn without_seals(db: &Db, work: impl FnOnce()) {
    db.put(b"visited", b"").unwrap();
    assert_eq!(db.read(b"visited", |_| work()).unwrap(), Some(()));
}

fn files_of(disk: &SimDisk) -> Files {
    disk.file_names()
        .into_iter()
        .filter(|name| !name.starts_with("RESERVE"))
        .map(|name| (name.clone(), disk.read_file(&name).unwrap()))
        .collect()
}

fn disk_with(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    files.iter().for_each(|(name, bytes)| disk.write_file(name, bytes.clone()));
    disk
}

fn files_in(path: &Path) -> Files {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.starts_with("RESERVE"))
        .collect()
}

fn manifest_of(files: &Files) -> Manifest {
    Manifest::decode(&files[names::MANIFEST]).unwrap()
}

/// The open files of a store that hold records, oldest first, and where the frames of each begin; the last one ends there.
fn open_files(files: &Files) -> Vec<(u32, Vec<usize>)> {
    let open = manifest_of(files).files.into_iter().filter(|entry| entry.state == FileState::Open);
    open.map(|entry| (entry.id, frames_of(&files[&names::data(entry.id)]).0))
        .filter(|(_, offsets)| offsets.len() > 1)
        .collect()
}

/// Where the frames of a data file begin, and the end; and what the frames say.
fn frames_of(bytes: &[u8]) -> (Vec<usize>, Vec<Header>) {
    let origin = FileHeader::decode(bytes).unwrap().origin;
    let (mut offsets, mut headers) = (vec![64], Vec::new());
    while let Some(at) = offsets.last().copied().filter(|at| *at < bytes.len())
        && let Ok(header) = Header::decode(&bytes[at..], &origin)
    {
        offsets.push(at + header.frame_size() as usize);
        headers.push(header);
    }
    (offsets, headers)
}

/// Whether all that stands before this place was durable by what the store itself says.
fn is_durable(files: &Files, id: u32, offset: usize) -> bool {
    let data = files.iter().filter(|(name, _)| name.ends_with(".data"));
    let frontier = data.flat_map(|(_, bytes)| frames_of(bytes).1).filter_map(|header| header.frontier).max();
    let entry = manifest_of(files).files.into_iter().find(|entry| entry.id == id).unwrap();
    let position = (u64::from(id) << 32) | (offset as u64 / 8);
    frontier.is_some_and(|frontier| position < frontier) || (offset as u64) < entry.length
}

/// The end of a file is lost, as zeros or by a cut.
fn lose(files: &Files, id: u32, from: usize, cut: bool) -> Files {
    let mut files = files.clone();
    let bytes = files.get_mut(&names::data(id)).unwrap();
    if cut {
        bytes.truncate(from)
    } else {
        bytes[from..].fill(0)
    }
    files
}

/// Opening must refuse, and name this place.
fn refuses(opened: Result<Db, Error>, id: u32, offset: usize, what: &str) {
    match opened {
        Err(Error::Corrupt { file_id, offset: at, path, .. }) => {
            assert_eq!((file_id, at), (id, offset as u64), "{what}");
            assert!(path.ends_with(names::data(id)), "{what}: {}", path.display());
        }
        Err(error) => panic!("{what}: not refused as damaged: {error}"),
        Ok(db) => panic!("{what}: it opens, with {} keys", db.count().unwrap()),
    }
}

/// Every file but the newest loses its end, at every boundary of frames.
fn each_loss(files: &Files, mut look: impl FnMut(&Files, u32, usize, &str)) {
    let open = open_files(files);
    assert!(open.len() >= 3, "only {} files are open", open.len());
    for (id, offsets) in &open[..open.len() - 1] {
        for from in &offsets[..offsets.len() - 1] {
            for cut in [false, true] {
                let what = format!("file {id} {} from {from} on", if cut { "cut" } else { "zeros" });
                look(&lose(files, *id, *from, cut), *id, *from, &what);
            }
        }
    }
}

#[test]
fn synced_records_that_are_lost_at_the_end_of_a_file_that_was_not_sealed_are_damage() {
    for io in [IoMode::Mmap, IoMode::Pread] {
        let home = tempfile::tempdir().unwrap();
        let (live, options) = (home.path().join("live"), Options { io, ..options(64 << 10) });
        let db = open_without_threads(&live, &options);
        let killed = home.path().join("killed");
        without_seals(&db, || {
            (0..200).for_each(|n| db.put(key(n), [n as u8; 1000]).unwrap());
            db.sync().unwrap();
            (200..203).for_each(|n| db.put(key(n), [n as u8; 1000]).unwrap());
            // What another process would find if this one were killed now.
            copy_directory(&live, &killed);
        });
        let files = files_in(&killed);
        let open = open_files(&files);
        assert!(open.len() >= 3, "{open:?}");
        for (id, offsets) in &open[..open.len() - 1] {
            for from in [offsets[offsets.len() * 5 / 6], offsets[offsets.len() - 2], offsets[0]] {
                for cut in [false, true] {
                    let copy = home.path().join("copy");
                    copy_directory(&killed, &copy);
                    let lost = lose(&files, *id, from, cut);
                    std::fs::write(copy.join(names::data(*id)), &lost[&names::data(*id)]).unwrap();
                    for read_only in [true, false] {
                        let options = Options { read_only, ..options.clone() };
                        refuses(Db::open(&copy, &options), *id, from, &format!("{io:?} {id} {from} {cut}"));
                    }
                    std::fs::remove_dir_all(&copy).unwrap();
                }
            }
        }
        // Nothing is wrong with what was not damaged.
        let db = Db::open(&killed, &options).unwrap();
        assert!((0..203).all(|n| db.get(key(n)).unwrap() == Some(vec![n as u8; 1000])));
    }
}

/// A killed store whose last files are open, after `lives` that left sealed files, and merged ones, before them.
fn killed_store(lives: u32, merges: bool, sync: bool) -> Files {
    let (disk, options) = (SimDisk::new(), options(400));
    for life in 0..lives {
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        (0..30).for_each(|n| db.put(key(n), format!("{life} of {n}").as_bytes()).unwrap());
        (0..30).filter(|n| merges || n % 3 == 0).for_each(|n| assert!(db.delete(key(n)).unwrap()));
        if merges {
            db.merge().unwrap();
        }
        if life % 2 == 0 {
            db.close().unwrap();
        }
    }
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let mut killed = None;
    without_seals(&db, || {
        (0..30).for_each(|n| db.put(key(n), format!("last of {n}").as_bytes()).unwrap());
        if sync {
            db.sync().unwrap();
        }
        (30..33).for_each(|n| db.put(key(n), format!("last of {n}").as_bytes()).unwrap());
        killed = Some(files_of(&disk));
    });
    killed.unwrap()
}

#[test]
fn a_gap_in_a_log_of_several_files_that_was_synced_is_damage() {
    for (lives, merges) in [(0, false), (1, false), (1, true), (2, true), (3, false)] {
        let whole = killed_store(lives, merges, true);
        let mut looked = 0;
        each_loss(&whole, |files, id, from, what| {
            let opened = Db::open_on(Arc::new(disk_with(files)), &options(400));
            // The last records were written after the sync.
            if is_durable(&whole, id, from) {
                looked += 1;
                refuses(opened, id, from, &format!("after {lives} lives, merged {merges}: {what}"));
            } else {
                opened.unwrap();
            }
        });
        assert!(looked > 40, "{looked}");
    }
}

#[test]
fn a_store_that_lost_what_was_never_synced_opens_and_opens_again() {
    for (lives, merges) in [(0, false), (1, false), (1, true), (2, true), (3, false)] {
        let whole = killed_store(lives, merges, false);
        let mut looked = 0;
        each_loss(&whole, |files, id, from, what| {
            // An earlier life may have made some of it durable.
            if is_durable(&whole, id, from) {
                return;
            }
            looked += 1;
            let mut disk = disk_with(files);
            let mut expected: Option<BTreeMap<u32, Option<Vec<u8>>>> = None;
            // What was missing at the first opening is missing at all later ones, also when all is synced around it.
            for turn in 0..4 {
                let opened = Db::open_on(Arc::new(disk.clone()), &options(400));
                let db = opened.unwrap_or_else(|error| panic!("{what}, opening {turn}: {error}"));
                let found = (0..33).map(|n| (n, db.get(key(n)).unwrap())).collect();
                if let Some(before) = &expected {
                    assert_eq!(&found, before, "{what}, opening {turn}");
                }
                expected = Some(found);
                let mut killed = None;
                without_seals(&db, || {
                    db.put(key(100 + turn), b"later").unwrap();
                    db.sync().unwrap();
                    (0..10 * turn).for_each(|n| db.put(key(200 + n), b"later still").unwrap());
                    db.sync().unwrap();
                    db.put(key(150 + turn), b"carries how far all is durable").unwrap();
                    killed = Some(files_of(&disk));
                });
                drop(db);
                disk = disk_with(&killed.unwrap());
            }
            let db = Db::open_on(Arc::new(disk.clone()), &options(400)).unwrap();
            db.close().unwrap();
            let db = Db::open_on(Arc::new(disk), &options(400)).unwrap();
            assert!((0..4).all(|turn| db.get(key(100 + turn)).unwrap().is_some()), "{what}");
        });
        assert!(looked > 10, "{looked}");
    }
}

#[test]
fn what_stands_behind_a_gap_stays_only_where_it_cannot_build_on_what_was_lost() {
    let stores = [
        (EngineKind::Bitcask, false, true),
        (EngineKind::Bitcask, true, false),
        (EngineKind::Lsm, false, false),
    ];
    for (engine, has_lists, stays) in stores {
        let (disk, options) = (SimDisk::new(), Options { engine, ..options(400) });
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        if has_lists {
            db.push_back(b"list", b"element").unwrap();
        }
        let mut killed = None;
        without_seals(&db, || {
            (0..30).for_each(|n| db.put(key(n), b"never synced").unwrap());
            killed = Some(files_of(&disk));
        });
        let files = killed.unwrap();
        let open = open_files(&files);
        let (id, offsets) = &open[open.len() - 2];
        let lost = lose(&files, *id, offsets[offsets.len() - 2], true);
        let what = format!("{engine:?}, lists {has_lists}");
        let disk = disk_with(&lost);
        for turn in 0..3 {
            let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
            let found: Vec<bool> = (0..30).map(|n| db.get(key(n)).unwrap().is_some()).collect();
            let first_lost = found.iter().position(|is_there| !is_there).expect("a record was lost");
            assert!(first_lost > 0, "{what}, opening {turn}");
            assert_eq!(found[first_lost..].contains(&true), stays, "{what}, opening {turn}: {found:?}");
            assert!(!has_lists || db.list_length(b"list").unwrap() == Some(1), "{what}, opening {turn}");
            drop(db);
        }
    }
}

#[test]
fn what_a_merge_made_durable_at_the_end_of_the_log_is_missed_where_it_is_lost() {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &options(400)).unwrap();
    for round in 0..2u32 {
        (0..20).for_each(|n| db.put(key(n), round.to_le_bytes()).unwrap());
    }
    // The newest file holds nothing dead, so that a merge leaves it as it is, and syncs it.
    let newest_of = |files: &Files| open_files(files).last().map_or(0, |(id, _)| *id);
    let before = newest_of(&files_of(&disk));
    for n in (100..).take(30) {
        db.put(key(n), b"fresh").unwrap();
        if newest_of(&files_of(&disk)) > before {
            break;
        }
    }
    (200..203).for_each(|n| db.put(key(n), b"fresh").unwrap());
    let newest = newest_of(&files_of(&disk));
    db.merge().unwrap();
    let killed = files_of(&disk.fork());
    assert!(newest > before && newest_of(&killed) == newest);
    let (_, offsets) = open_files(&killed).pop().unwrap();
    for from in &offsets[..offsets.len() - 1] {
        for cut in [false, true] {
            let lost = lose(&killed, newest, *from, cut);
            let opened = Db::open_on(Arc::new(disk_with(&lost)), &options(400));
            // Where the file is empty, nothing says that it ever held something.
            if *from > 64 {
                refuses(opened, newest, *from, &format!("{from} {cut}"));
            }
        }
    }
}

/// The largest sequence number of a frame, and that of the manifest.
fn last_seqs(files: &Files) -> (u64, u64) {
    let data = files.iter().filter(|(name, _)| name.ends_with(".data"));
    let last = data.filter_map(|(_, bytes)| frames_of(bytes).1.last().map(|header| header.seq)).max();
    (last.unwrap_or(0), manifest_of(files).last_seq)
}

#[test]
fn sequence_numbers_go_on_after_a_merge_that_left_nothing() {
    for lives in [1, 2] {
        let disk = SimDisk::new();
        let mut given = 0;
        for _ in 0..lives {
            let db = Db::open_on(Arc::new(disk.clone()), &options(64 << 10)).unwrap();
            (0..10).for_each(|n| db.put(key(n), b"value").unwrap());
            given = last_seqs(&files_of(&disk)).0;
            (0..10).for_each(|n| assert!(db.delete(key(n)).unwrap()));
            db.merge().unwrap();
            let files = files_of(&disk);
            assert_eq!(last_seqs(&files).0, 0, "the merge left something");
            assert!(
                last_seqs(&files).1 >= given + 10,
                "{:?}, {given} and 10 more were used",
                last_seqs(&files)
            );
        }
        // Killed while the file that is written to is empty.
        let disk = disk_with(&files_of(&disk));
        let db = Db::open_on(Arc::new(disk.clone()), &options(64 << 10)).unwrap();
        db.put(b"next", b"value").unwrap();
        assert!(last_seqs(&files_of(&disk)).0 > given + 10);
        db.close().unwrap();
    }
}

/// What the keys may hold after a power cut: the last synced value, or one that was written later.
#[derive(Clone, Default)]
struct Allowed {
    synced: BTreeMap<u8, Vec<u8>>,
    since: Vec<(u8, Option<Vec<u8>>)>,
}

impl Allowed {
    fn written(&mut self, op: &Op) {
        let mut add =
            |key: u8, value: Option<Value>| self.since.push((key, value.map(|value| value.bytes(key))));
        match op {
            Op::Put { key, value } => add(*key, Some(*value)),
            Op::Delete { key } => add(*key, None),
            Op::Batch { writes } => writes.iter().for_each(|write| add(write.key, write.value)),
            _ => {}
        }
    }

    fn synced(&mut self) {
        for (key, value) in self.since.drain(..) {
            match value {
                Some(value) => self.synced.insert(key, value),
                None => self.synced.remove(&key),
            };
        }
    }

    fn check(&self, found: &BTreeMap<u8, Vec<u8>>) -> Result<(), String> {
        for key in 0..KEYS {
            let held = found.get(&key);
            let later = self.since.iter().filter(|(other, _)| *other == key);
            let mut may_be = later.map(|(_, value)| value.as_ref()).chain([self.synced.get(&key)]);
            if !may_be.any(|value| value == held) {
                return Err(format!("key #{key} holds what is neither synced nor later: {held:?}"));
            }
        }
        Ok(())
    }
}

fn held(db: &Db) -> BTreeMap<u8, Vec<u8>> {
    let key = support::history::key;
    (0..KEYS).filter_map(|index| Some((index, db.get(key(index)).unwrap()?))).collect()
}

/// The lives of a store of which no life seals a file: each ends with a power cut at any operation on the disk.
fn live_and_lose_power(case: &Case) -> Result<(), String> {
    let (options, mut random) = (case.settings.options(), Random::new(case.seed));
    let mut disk = SimDisk::new();
    disk.set_reserve(case.settings.reserve);
    let open = |disk: &SimDisk, life: usize| {
        let opened = Db::open_on(Arc::new(disk.clone()), &options);
        opened.map_err(|error| format!("opening for life {life}: {error}"))
    };
    let mut allowed = Allowed::default();
    // Those that expire are looked at elsewhere.
    let writes = |op: &&Op| match op {
        Op::Put { .. } | Op::Delete { .. } | Op::Sync => true,
        Op::Batch { writes } => writes.iter().all(|write| write.ttl_ms.is_none()),
        _ => false,
    };
    let ops: Vec<&Op> = case.ops.iter().filter(writes).collect();
    for (ops, life) in ops.chunks(9).zip(1..) {
        disk.capture_images(random.number());
        let db = open(&disk, life)?;
        let found = held(&db);
        allowed.check(&found).map_err(|why| format!("life {life}: {why}"))?;
        // After the power cut it was on the disk, or had never been there.
        allowed = Allowed { synced: found, since: Vec::new() };
        let mut ends = Vec::new();
        without_seals(&db, || {
            for op in ops {
                apply(&db, op).unwrap();
                ends.push(disk.operations());
            }
        });
        let images = disk.take_images();
        drop(db);
        let image = &images[random.below(images.len() as u64) as usize];
        for (op, end) in ops.iter().zip(ends) {
            allowed.written(op);
            if end >= image.operation {
                break;
            }
            if matches!(op, Op::Sync) || options.sync == SyncMode::Always {
                allowed.synced();
            }
        }
        let (seed, policy) = (random.number(), pick(&mut random, &PowerCut::ALL));
        disk = image.disk.power_cut(seed, policy);
    }
    let db = open(&disk, ops.len())?;
    let found = held(&db);
    allowed.check(&found)?;
    db.close().map_err(|error| format!("closing: {error}"))
}

#[test]
fn a_store_of_many_open_files_that_loses_power_again_and_again_opens_with_what_was_synced() {
    const PROFILE: Profile = Profile { ops: 100, keys: 12, kills: false, reads: false, sets_clock: false };
    run_histories(histories(60), |seed| Case::random(seed, PROFILE), live_and_lose_power);
}

#[test]
fn a_write_that_one_recovery_dropped_stays_dropped_when_the_file_has_grown_by_zeros() {
    let disk = SimDisk::new();
    disk.set_reserve(Reserve::Nothing);
    let db = Db::open_on(Arc::new(disk.clone()), &options(64 << 10)).unwrap();
    db.put(b"whole", b"value").unwrap();
    db.put(b"torn!", b"").unwrap();
    let mut files = files_of(&disk);
    let name = names::data(1);
    let bytes = files.get_mut(&name).unwrap();
    // What is missing is a zero.
    assert_eq!(bytes.pop(), Some(0));
    for policy in PowerCut::ALL {
        for seed in 0..20 {
            let disk = disk_with(&files);
            disk.set_reserve(Reserve::Nothing);
            let db = Db::open_on(Arc::new(disk.clone()), &options(64 << 10)).unwrap();
            assert!(db.exists(b"whole").unwrap() && !db.exists(b"torn!").unwrap());
            db.put(b"later", [7; 100]).unwrap();
            let cut = disk.power_cut(seed, policy);
            let db = Db::open_on(Arc::new(cut), &options(64 << 10)).unwrap();
            assert!(db.exists(b"whole").unwrap() && !db.exists(b"torn!").unwrap(), "{policy:?} {seed}");
        }
    }
}

//! What checks and salvages say and give back, one kind of damage after the other: what is lost is told, and nothing else is lost.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filedb::disk::sim::{Random, SimDisk};
use filedb::disk::{Access, Disk, DiskFile, LockKind};
use filedb::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use filedb::format::frame::{Header, Kind, seal};
use filedb::format::manifest::{FileState, Manifest};
use filedb::format::names;
use filedb::{
    Batch, CheckReport, Db, Error, IoMode, MergeMode, Options, PutOptions, Severity, SyncMode, Ttl,
};

type Files = BTreeMap<String, Vec<u8>>;
/// What was told: severity and sentence.
type Found = Vec<(Severity, String)>;

fn options(max_file_size: u64) -> Options {
    Options { io: IoMode::Pread, max_file_size, merge: MergeMode::Manual, ..Options::default() }
}

fn open(disk: &SimDisk, max_file_size: u64) -> Db {
    Db::open_on(Arc::new(disk.clone()), &options(max_file_size)).unwrap()
}

fn files_of(disk: &SimDisk) -> Files {
    let names = disk.file_names().into_iter();
    names.map(|name| (name.clone(), disk.read_file(&name).unwrap())).collect()
}

fn disk_with(files: &Files, now_ms: u64) -> SimDisk {
    let disk = SimDisk::new();
    disk.set_clock_ms(now_ms);
    files.iter().for_each(|(name, bytes)| disk.write_file(name, bytes.clone()));
    disk
}

fn check(disk: Arc<dyn Disk>) -> (CheckReport, Found) {
    let mut found = Vec::new();
    let report = filedb::check_on(disk, |finding| {
        found.push((finding.severity, format!("{}: {}", finding.file, finding.message)));
        ControlFlow::Continue(())
    });
    (report.unwrap(), found)
}

/// Salvages what is on a disk to a new one.
fn salvage(disk: &SimDisk) -> (CheckReport, Found, Db) {
    let (to, mut found) = (SimDisk::new(), Vec::new());
    to.set_clock_ms(disk.now_ms(true));
    let report = filedb::salvage_on(Arc::new(disk.clone()), Arc::new(to.clone()), |finding| {
        found.push((finding.severity, format!("{}: {}", finding.file, finding.message)));
        ControlFlow::Continue(())
    });
    (report.unwrap(), found, open(&to, 1 << 20))
}

fn all(db: &Db, key: &[u8]) -> Option<Vec<Vec<u8>>> {
    db.list_range(key, 0, -1).unwrap().map(|list| list.iter().map(<[u8]>::to_vec).collect())
}

/// The frames of a data file, but for those inside batches.
fn frames(bytes: &[u8]) -> Vec<(Range<usize>, Header)> {
    let origin = FileHeader::decode(bytes).unwrap().origin;
    let mut frames = Vec::new();
    let mut at = FILE_HEADER_SIZE as usize;
    while let Ok(header) = Header::decode(&bytes[at..], &origin) {
        let end = at + header.frame_size() as usize;
        frames.push((at..end, header));
        at = end;
    }
    frames
}

fn data_names(files: &Files) -> Vec<String> {
    files.keys().filter(|name| name.ends_with(".data")).cloned().collect()
}

/// Where some bytes stand in the data files.
fn place_of(files: &Files, part: &[u8]) -> (String, usize) {
    let in_file = |name: &String| files[name].windows(part.len()).position(|window| window == part);
    data_names(files).into_iter().find_map(|name| in_file(&name).map(|at| (name, at))).unwrap()
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8)).flat_map(|_| random.number().to_le_bytes()).take(len).collect()
}

#[test]
fn one_bit_in_a_large_value_costs_that_value_alone() {
    let disk = SimDisk::new();
    let mut random = Random::new(1);
    let db = open(&disk, 64 << 20);
    db.put(b"first", noise(&mut random, 2 << 20)).unwrap();
    for n in 0..8u8 {
        db.put([n], noise(&mut random, 4 << 20)).unwrap();
    }
    db.close().unwrap();
    let mut files = files_of(&disk);
    let (name, at) = place_of(&files, b"first");
    for (what, header) in [("the value", false), ("the value and the header", true)] {
        let bytes = files.get_mut(&name).unwrap();
        bytes[at + 1000] ^= 1;
        if header {
            // The kind is none: where the frame ended is not known.
            bytes[at - 1] |= 15;
        }
        let damaged = disk_with(&files, disk.now_ms(true));
        let (report, found) = check(Arc::new(damaged.clone()));
        assert_eq!((report.keys_lost, report.damaged_places, report.records), (1, 1, 8), "{what}: {found:?}");
        let (report, ..) = salvage(&damaged);
        assert_eq!(report.keys, 8, "{what}");
    }
}

#[test]
fn holes_in_a_file_of_small_records_cost_the_records_in_them_alone() {
    const SIZE: usize = 8 << 20;
    const HOLE: usize = 4096;
    for kind in 0..2 {
        let disk = SimDisk::new();
        let mut random = Random::new(2);
        let db = open(&disk, 64 << 20);
        let count = SIZE / 136;
        for n in 0..count as u64 {
            db.put(n.to_le_bytes(), noise(&mut random, 100)).unwrap();
        }
        db.close().unwrap();
        let mut files = files_of(&disk);
        let name = data_names(&files).pop().unwrap();
        let frame = frames(&files[&name])[1].0.len();
        let holes = 60;
        for n in 0..holes {
            let at = 70_000 + n * (SIZE / holes - 10_000);
            let noise = noise(&mut random, HOLE);
            let hole = &mut files.get_mut(&name).unwrap()[at..at + HOLE];
            if kind == 0 { hole.fill(0) } else { hole.copy_from_slice(&noise) }
        }
        let (report, ..) = salvage(&disk_with(&files, disk.now_ms(true)));
        let least = count - holes * (HOLE / frame + 2);
        assert!(report.keys as usize >= least, "{} of {count}, at least {least}", report.keys);
    }
}

/// A disk that cannot read some ranges of its files, and counts how often it was asked.
struct BadDisk {
    disk: SimDisk,
    bad: Vec<Range<u64>>,
    asked: Arc<AtomicU64>,
}

struct BadFile {
    file: Arc<dyn DiskFile>,
    bad: Vec<Range<u64>>,
    asked: Arc<AtomicU64>,
}

impl Disk for BadDisk {
    fn path(&self) -> &Path {
        self.disk.path()
    }
    fn lock(&self, kind: LockKind) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(kind)
    }
    fn is_mapped(&self) -> bool {
        false
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name, capacity)
    }
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(name, access)?;
        match name.ends_with(".data") {
            true => Ok(Arc::new(BadFile { file, bad: self.bad.clone(), asked: self.asked.clone() })),
            false => Ok(file),
        }
    }
    fn set_aside(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.set_aside(name, bytes)
    }
    fn aside(&self, name: &str) -> io::Result<u64> {
        self.disk.aside(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
    fn now_ms(&self, precise: bool) -> u64 {
        self.disk.now_ms(precise)
    }
    fn monotonic_ms(&self) -> u64 {
        self.disk.monotonic_ms()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        self.disk.random()
    }
}

impl DiskFile for BadFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if self.bad.iter().any(|bad| bad.start < end && offset < bad.end) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.read_at(buffer, offset)
    }
    fn reserve(&self, end: u64) -> io::Result<()> {
        self.file.reserve(end)
    }
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.file.write_at(parts, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        self.file.truncate(size)
    }
}

#[test]
fn a_bad_sector_is_asked_for_a_few_times_and_costs_what_stands_in_it() {
    let disk = SimDisk::new();
    let db = open(&disk, 64 << 20);
    for n in 0..60_000u32 {
        db.put(n.to_le_bytes(), [7; 60]).unwrap();
    }
    db.close().unwrap();
    let bad: Vec<Range<u64>> = (1..100).map(|n| n * 8192..n * 8192 + 4096).collect();
    let (sectors, asked) = (bad.len() as u64, Arc::new(AtomicU64::new(0)));
    let lost = sectors * (4096 / 88 + 2);
    let (report, found) = check(Arc::new(BadDisk { disk, bad, asked: asked.clone() }));
    assert!(report.damaged_places >= sectors && report.records >= 60_000 - lost, "{report:?}");
    assert!(found.iter().any(|(_, message)| message.contains("the disk cannot read it")), "{found:?}");
    // Once as a block, and once for each of the larger reads that it is in when it is found.
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= 4 * sectors + 16, "{asked} reads failed for {sectors} sectors");
}

/// A list that was pushed over several files, and power cuts that take the tail of one and leave the next.
#[test]
fn lists_behind_a_gap_that_a_power_cut_left_are_given_as_an_opening_gives_them() {
    let options = Options { sync: SyncMode::None, ..options(600) };
    let disk = SimDisk::with_random_bytes(1);
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    db.put(b"visited", b"").unwrap();
    db.push_back(b"list", b"first").unwrap();
    db.sync().unwrap();
    let mut killed = None;
    // No file is sealed while somebody looks at a value.
    db.read(b"visited", |_| {
        (0..30u8).for_each(|n| assert!(db.push_back(b"list", [n; 20]).unwrap() > 1));
        killed = Some(files_of(&disk));
    })
    .unwrap();
    let files = killed.unwrap();
    let manifest = Manifest::decode(&files[names::MANIFEST]).unwrap();
    let open = manifest.files.iter().filter(|entry| entry.state == FileState::Open);
    let open: Vec<String> = open.map(|entry| names::data(entry.id)).collect();
    assert!(open.len() > 3);
    let mut gaps = 0;
    for name in &open {
        for (range, _) in frames(&files[name]) {
            for zeros in [false, true] {
                let mut cut = files.clone();
                let bytes = cut.get_mut(name).unwrap();
                if zeros {
                    bytes[range.start..].fill(0)
                } else {
                    bytes.truncate(range.start)
                }
                let cut = disk_with(&cut, disk.now_ms(true));
                let (report, found) = check(Arc::new(cut.clone()));
                let (_, _, saved) = salvage(&cut);
                let Ok(opened) = Db::open_on(Arc::new(cut), &options) else {
                    assert!(!report.is_sound(), "{name} at {}", range.start);
                    continue;
                };
                assert!(report.is_sound(), "{name} at {}: {found:?}", range.start);
                assert_eq!(all(&saved, b"list"), all(&opened, b"list"), "{name} at {}", range.start);
                gaps += u64::from(found.iter().any(|(_, message)| message.contains("counts no more")));
            }
        }
    }
    assert!(gaps > 10, "{gaps} gaps between files");
}

#[test]
fn every_finding_of_lost_data_counts_a_key_at_least() {
    let disk = SimDisk::new();
    let db = open(&disk, 1 << 20);
    db.put(b"key", b"value").unwrap();
    db.close().unwrap();
    let mut files = files_of(&disk);
    files.remove(names::MANIFEST);
    let (report, found, db) = salvage(&disk_with(&files, disk.now_ms(true)));
    assert_eq!(found.iter().map(|(severity, _)| *severity).max(), Some(Severity::DataLost));
    assert_eq!((report.keys, report.keys_lost), (1, 1));
    assert_eq!(db.get(b"key").unwrap().unwrap(), b"value");
}

#[test]
fn what_expired_behind_damage_does_not_come_back_as_it_was_before() {
    let disk = SimDisk::new();
    let db = open(&disk, 4000);
    // Large values, so that the files have hints.
    db.put(b"key", [1; 1000]).unwrap();
    db.put(b"other", [1; 2900]).unwrap();
    db.put_with(b"key", [2; 1000], &PutOptions::new().ttl(Duration::from_secs(1))).unwrap();
    db.put(b"another", [1; 2900]).unwrap();
    db.put(b"last", [1; 2900]).unwrap();
    db.maintain().unwrap();
    db.write_hints().unwrap();
    db.sync().unwrap();
    let mut files = files_of(&disk.kill());
    let (name, at) = place_of(&files, &[&b"key"[..], &[2; 1000]].concat());
    files.get_mut(&name).unwrap()[at + 100] ^= 1;
    assert!(files.contains_key(&name.replace("data", "hint")), "{:?}", files.keys());
    let (_, found, db) = salvage(&disk_with(&files, disk.now_ms(true) + 10_000));
    assert_eq!(db.get(b"key").unwrap(), None, "{found:?}");
    assert_eq!(db.count().unwrap(), 3);
}

#[test]
fn a_key_that_the_checkpoint_does_not_have_does_not_come_back() {
    let disk = SimDisk::new();
    let db = open(&disk, 600);
    for key in [&b"removed"[..], b"kept"] {
        db.put(key, [1; 400]).unwrap();
    }
    assert!(db.delete(b"removed").unwrap());
    db.put(b"last", [1; 400]).unwrap();
    db.close().unwrap();
    let mut files = files_of(&disk);
    assert!(files.contains_key(names::CHECKPOINT));
    // A hint would know that it was removed.
    files.retain(|name, _| !name.ends_with(".hint"));
    let (name, at) = data_names(&files)
        .into_iter()
        .find_map(|name| {
            let frames = frames(&files[&name]);
            let (range, _) = frames.iter().find(|(_, header)| header.kind == Kind::Tombstone)?;
            Some((name, range.start))
        })
        .unwrap();
    files.get_mut(&name).unwrap()[at] ^= 1;
    let (report, found, db) = salvage(&disk_with(&files, disk.now_ms(true)));
    assert_eq!((db.get(b"removed").unwrap(), report.keys), (None, 2), "{found:?}");
}

/// The only batch of a store is cut in its middle. What is whole in front of the cut was promised to nobody by itself.
#[test]
fn nothing_of_a_batch_that_its_file_was_cut_inside_of_comes_back() {
    let disk = SimDisk::new();
    let db = open(&disk, 600);
    db.put(b"first", b"as it was before").unwrap();
    db.put(b"fills the file", [1; 600]).unwrap();
    let mut batch = Batch::new();
    for key in [&b"first"[..], b"second", b"third"] {
        batch.put(key, [2; 150]).unwrap();
    }
    db.write(&batch).unwrap();
    db.put(b"fills the next file", [1; 600]).unwrap();
    db.maintain().unwrap();
    db.close().unwrap();
    let mut files = files_of(&disk);
    let (name, at) = place_of(&files, b"third");
    files.get_mut(&name).unwrap().truncate(at);
    let (report, found, db) = salvage(&disk_with(&files, disk.now_ms(true)));
    assert_eq!(db.get(b"first").unwrap().unwrap(), b"as it was before", "{found:?}");
    assert_eq!((db.get(b"second").unwrap(), db.get(b"third").unwrap()), (None, None), "{found:?}");
    assert!(report.keys_lost > 0, "{found:?}");
}

#[test]
fn keys_expire_when_they_would_have_however_long_the_salvage_takes() {
    let disk = SimDisk::new();
    let db = open(&disk, 1 << 20);
    let life = PutOptions::new().ttl(Duration::from_millis(100_000));
    db.put_with(b"key", b"value", &life).unwrap();
    db.push_back(b"list", b"element").unwrap();
    assert!(db.expire(b"list", Duration::from_millis(200_000)).unwrap());
    db.put(b"damaged", b"value of it").unwrap();
    db.close().unwrap();
    let mut files = files_of(&disk);
    let (name, at) = place_of(&files, b"value of it");
    files.get_mut(&name).unwrap()[at] ^= 1;
    let (from, to) = (disk_with(&files, disk.now_ms(true)), SimDisk::new());
    to.set_clock_ms(disk.now_ms(true));
    filedb::salvage_on(Arc::new(from), Arc::new(to.clone()), |_| {
        to.advance_clock_ms(60_000);
        ControlFlow::Continue(())
    })
    .unwrap();
    let saved = open(&to, 1 << 20);
    for (key, wanted) in [(&b"key"[..], 40_000), (b"list", 140_000)] {
        let ttl = saved.ttl(key).unwrap();
        assert_eq!(ttl, Some(Ttl::Left(Duration::from_millis(wanted))), "{}", key.escape_ascii());
    }
}

#[test]
fn what_was_popped_does_not_come_back_in_the_place_of_what_was_pushed_after_it() {
    let disk = SimDisk::new();
    let db = open(&disk, 1 << 20);
    for value in [&b"x"[..], b"popped"] {
        db.push_back(b"back", value).unwrap();
        db.push_front(b"front", value).unwrap();
    }
    db.pop_back(b"back").unwrap();
    db.pop_front(b"front").unwrap();
    for value in [&b"damaged"[..], b"last"] {
        db.push_back(b"back", value).unwrap();
        db.push_front(b"front", value).unwrap();
    }
    db.close().unwrap();
    let mut files = files_of(&disk);
    let name = data_names(&files).pop().unwrap();
    let bytes = files.get_mut(&name).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 7).filter(|at| bytes[*at..].starts_with(b"damaged")).collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    let (_, found, saved) = salvage(&disk_with(&files, disk.now_ms(true)));
    assert_eq!(all(&saved, b"back").unwrap(), [&b"x"[..], b"last"], "{found:?}");
    assert_eq!(all(&saved, b"front").unwrap(), [&b"last"[..], b"x"], "{found:?}");
}

/// Damage that a merge took away before a check was done is none.
#[test]
fn a_file_that_is_merged_while_it_is_checked_leaves_no_finding() {
    use std::os::unix::fs::FileExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let options = Options { max_file_size: 4096, merge: MergeMode::Manual, ..Options::default() };
    let db = Db::open(&path, &options).unwrap();
    for n in 0..200u8 {
        db.put([n % 10], [n; 200]).unwrap();
    }
    db.maintain().unwrap();
    let first = path.join(names::data(1));
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&first).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 200).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 200).unwrap();
    let mut found: Found = Vec::new();
    let mut is_merged = false;
    let report = filedb::check_watched(
        &path,
        |finding| {
            found.push((finding.severity, finding.message.to_string()));
            ControlFlow::Continue(())
        },
        |_| {
            if !std::mem::replace(&mut is_merged, true) {
                db.merge().unwrap();
            }
        },
    )
    .unwrap();
    assert!(is_merged && !first.exists());
    assert!(report.is_sound(), "{found:?}");
}

/// A closed store of several files that changes make one of which no opening is sure.
fn closed() -> (Files, u64) {
    let disk = SimDisk::new();
    let db = open(&disk, 600);
    for n in 0..20u8 {
        db.put([n % 7], [n; 100]).unwrap();
    }
    db.put(b"empty", b"").unwrap();
    db.close().unwrap();
    (files_of(&disk), disk.now_ms(true))
}

#[test]
fn what_an_opening_refuses_is_found() {
    type Harm = fn(&mut Files);
    let amend = |files: &mut Files, change: &dyn Fn(&mut Manifest)| {
        let mut manifest = Manifest::decode(&files[names::MANIFEST]).unwrap();
        change(&mut manifest);
        files.insert(names::MANIFEST.into(), manifest.encode().unwrap());
    };
    let (files, now_ms) = closed();
    let harms: &[(&str, Harm)] = &[("another engine", |files| {
        let name = data_names(files).pop().unwrap();
        let origin = FileHeader::decode(&files[&name]).unwrap().origin;
        let (range, _) = frames(&files[&name]).into_iter().find(|(_, header)| header.value_len == 0).unwrap();
        let frame = &mut files.get_mut(&name).unwrap()[range.clone()];
        frame[19] = frame[19] & 0xF0 | Kind::Gone as u8;
        seal(origin.seed(range.start as u64), frame);
    })];
    for (words, harm) in harms {
        let mut files = files.clone();
        harm(&mut files);
        let (report, found) = check(Arc::new(disk_with(&files, now_ms)));
        assert!(!report.is_sound() && found.iter().any(|(_, message)| message.contains(words)), "{found:?}");
    }
    let mut late = files.clone();
    amend(&mut late, &|manifest| manifest.last_seq = (1 << 56) - 1);
    let opened = Db::open_on(Arc::new(disk_with(&late, now_ms)), &options(600));
    assert!(matches!(opened, Err(Error::Corrupt { .. })));
    let (report, found) = check(Arc::new(disk_with(&late, now_ms)));
    assert!(
        !report.is_sound() && found.iter().any(|(_, message)| message.contains("no store comes to")),
        "{found:?}"
    );
    for lower in [true, false] {
        let mut other = files.clone();
        amend(&mut other, &|manifest| {
            let sealed = manifest.files.iter_mut().find(|entry| entry.state == FileState::Sealed).unwrap();
            if lower { sealed.max_seq -= 1 } else { sealed.min_seq += 1 }
        });
        let (report, found) = check(Arc::new(disk_with(&other, now_ms)));
        assert!(
            !report.is_sound() && found.iter().any(|(_, message)| message.contains("of the numbers")),
            "{found:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_a_lost_file_and_the_rest_is_looked_at() {
    let (files, _) = closed();
    for lost in [data_names(&files)[0].clone(), names::MANIFEST.into(), names::CHECKPOINT.into()] {
        for link in [false, true] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("store");
            std::fs::create_dir(&path).unwrap();
            for (name, bytes) in &files {
                std::fs::write(path.join(name), bytes).unwrap();
            }
            let file = path.join(&lost);
            if link {
                std::fs::rename(&file, home.path().join("elsewhere")).unwrap();
                std::os::unix::fs::symlink("../elsewhere", &file).unwrap();
            } else {
                std::fs::remove_file(&file).unwrap();
                std::fs::create_dir(&file).unwrap();
            }
            let mut found: Found = Vec::new();
            let report = filedb::check(&path, |finding| {
                found.push((finding.severity, format!("{}: {}", finding.file, finding.message)));
                ControlFlow::Continue(())
            })
            .unwrap();
            let words = if link { "symbolic link" } else { "no plain file" };
            assert!(!report.is_sound() && report.records > 10, "{lost}: {report:?}");
            assert!(
                found.iter().any(|(_, message)| message.starts_with(&lost) && message.contains(words)),
                "{found:?}"
            );
            let saved =
                filedb::salvage(&path, home.path().join("saved"), |_| ControlFlow::Continue(())).unwrap();
            assert!(saved.keys >= 5, "{lost}: {saved:?}");
        }
    }
}

#[test]
fn a_new_store_has_its_name_only_when_it_is_whole() {
    let (files, _) = closed();
    let home = tempfile::tempdir().unwrap();
    let (path, to, unfinished) =
        (home.path().join("store"), home.path().join("saved"), home.path().join("saved.unfinished"));
    std::fs::create_dir(&path).unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != names::MANIFEST) {
        std::fs::write(path.join(name), bytes).unwrap();
    }
    let mut told = 0;
    filedb::salvage(&path, &to, |_| {
        told += 1;
        assert!(!to.exists() && unfinished.exists());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(told > 0 && to.exists() && !unfinished.exists());
    std::fs::remove_dir_all(&to).unwrap();
    // Somebody takes the name meanwhile.
    let taken = filedb::salvage(&path, &to, |_| {
        std::fs::write(&to, b"a file").unwrap();
        ControlFlow::Continue(())
    });
    assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    assert!(to.is_file() && !unfinished.exists());
    std::fs::remove_file(&to).unwrap();
    // What a salvage left that was killed.
    std::fs::create_dir(&unfinished).unwrap();
    let again = filedb::salvage(&path, &to, |_| ControlFlow::Continue(()));
    assert!(again.is_err_and(|error| error.to_string().contains("remove it")));
    assert!(unfinished.exists() && !to.exists());
}

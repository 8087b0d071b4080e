//! Checks and salvages of small stores that were damaged: every bit, random damage of all kinds, random bytes.
//!
//! What must come back is found by a reading of the undamaged files that shares no code with the salvage but the decoding of
//! headers: a record comes back when its bytes are as they were, and nothing comes back that was never written. A check must find
//! something, or the store must give all the right answers. Neither may change a byte.
//!
//! `FILEDB_TEST_DAMAGE=all` flips every bit instead of one of every third byte; `FILEDB_TEST_HISTORIES=n` damages n stores at random.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use filedb::disk::Disk;
use filedb::disk::sim::{PowerCut, Random, SimDisk};
use filedb::format::collection::ListHead;
use filedb::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use filedb::format::frame::{Header, Kind, is_intact};
use filedb::format::manifest::{FileEntry, FileState, Manifest};
use filedb::format::names;
use filedb::{Batch, CheckReport, Db, Error, IoMode, MergeMode, Options, PutOptions, Severity, Ttl, Type};

use support::runner::{histories, quietly, seeds, tally};

type Files = BTreeMap<String, Vec<u8>>;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Value(Vec<u8>, Option<u64>),
    List(ListHead),
}

/// A record of a store, as it was written.
#[derive(Clone, Debug)]
struct Record {
    key: Vec<u8>,
    seq: u64,
    kind: Kind,
    value: Vec<u8>,
    expiry_ms: Option<u64>,
}

/// A frame of a data file with the records in it.
#[derive(Clone, Debug)]
struct Written {
    file: String,
    range: Range<usize>,
    time_ms: u64,
    seq: u64,
    records: Vec<Record>,
}

/// A store to be damaged.
#[derive(Clone)]
struct Specimen {
    what: &'static str,
    files: Files,
    frames: Vec<Written>,
    now_ms: u64,
    /// Its files were not closed: what stands at the end of the log was promised to nobody.
    is_killed: bool,
}

const LONG: u64 = 1 << 40;

fn options() -> Options {
    Options { io: IoMode::Pread, max_file_size: 700, merge: MergeMode::Manual, ..Options::default() }
}

fn open(disk: &SimDisk) -> Result<Db, Error> {
    Db::open_on(Arc::new(disk.clone()), &options())
}

fn files_of(disk: &SimDisk) -> Files {
    let names = disk.file_names().into_iter().filter(|name| !name.starts_with("RESERVE"));
    names.map(|name| (name.clone(), disk.read_file(&name).unwrap_or_default())).collect()
}

fn disk_with(files: &Files, now_ms: u64) -> SimDisk {
    let disk = SimDisk::new();
    disk.set_clock_ms(now_ms);
    for (name, bytes) in files {
        disk.write_file(name, bytes.clone());
    }
    disk
}

fn is_data(name: &str) -> bool {
    name.ends_with(".data")
}

/// The frames of the files that the manifest lists, up to the first that is not intact.
fn read(files: &Files) -> Vec<Written> {
    let manifest = Manifest::decode(&files[names::MANIFEST]).expect("the manifest is intact");
    let mut frames = Vec::new();
    for entry in &manifest.files {
        let file = names::data(entry.id);
        let bytes = &files[&file];
        let origin = FileHeader::decode(bytes).expect("the header is intact").origin;
        let mut at = FILE_HEADER_SIZE as usize;
        while let Ok(header) = Header::decode(bytes.get(at..).unwrap_or_default(), &origin) {
            let end = at + header.frame_size() as usize;
            if end > bytes.len() || !is_intact(origin.seed(at as u64), &bytes[at..end]) {
                break;
            }
            let record = |at: usize, header: &Header| Record {
                key: bytes[at..][header.key_range()].to_vec(),
                seq: header.seq,
                kind: header.kind,
                value: bytes
                    [at + header.value_range().start as usize..at + header.value_range().end as usize]
                    .to_vec(),
                expiry_ms: header.expiry_ms,
            };
            let mut records = Vec::new();
            if header.kind == Kind::Batch {
                let mut inside = at + header.value_range().start as usize;
                while inside < end {
                    let header = Header::decode(&bytes[inside..], &origin).expect("a record in a batch");
                    records.push(record(inside, &header));
                    inside += header.frame_size() as usize;
                }
            } else if header.kind.is_record() {
                records.push(record(at, &header));
            }
            let (file, time_ms, seq) = (file.clone(), header.time_ms, header.seq);
            frames.push(Written { file, range: at..end, time_ms, seq, records });
            at = end;
        }
    }
    frames
}

impl Specimen {
    fn new(what: &'static str, files: Files, now_ms: u64, is_killed: bool) -> Self {
        let frames = read(&files);
        Specimen { what, files, frames, now_ms, is_killed }
    }

    fn held(&self, record: &Record) -> Held {
        match record.kind {
            _ if record.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= self.now_ms) => Held::Nothing,
            Kind::Put => Held::Value(record.value.clone(), record.expiry_ms),
            Kind::Head => Held::List(ListHead::decode(&record.value).expect("a head")),
            _ => Held::Nothing,
        }
    }

    fn keys(&self) -> BTreeSet<&[u8]> {
        let records = self.frames.iter().flat_map(|frame| &frame.records);
        records.filter(|record| record.kind != Kind::Element).map(|record| record.key.as_slice()).collect()
    }

    /// For each frame whether it is as it was, and whether it may be taken for the rest of a damaged batch.
    fn state_after(&self, damaged: &Files, is_one_bit: bool) -> Vec<(bool, bool)> {
        let has_manifest = damaged.get(names::MANIFEST) == self.files.get(names::MANIFEST);
        let manifest = Manifest::decode(&self.files[names::MANIFEST]).expect("the manifest is intact");
        let is_open = |file: &String| {
            let open = |entry: &FileEntry| entry.state == FileState::Open && names::data(entry.id) == *file;
            manifest.files.iter().any(open)
        };
        // Of a store with lists nothing counts behind the place where an opening would end the log.
        let may_end = self.is_killed && manifest.needs.features != 0;
        let mut has_ended = false;
        let header = |files: &Files, name: &str| {
            files.get(name).and_then(|bytes| bytes.get(..FILE_HEADER_SIZE as usize)).map(<[u8]>::to_vec)
        };
        let mut states: Vec<(bool, bool)> = Vec::new();
        for (n, frame) in self.frames.iter().enumerate() {
            let own = header(&self.files, &frame.file);
            let there = header(damaged, &frame.file);
            let is_it = |other: &Option<Vec<u8>>| {
                let bits =
                    |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
                match (&own, other) {
                    // What the manifest knows of the file needs not be read.
                    (Some(own), Some(other)) => {
                        let bits = bits(&own[40..56], &other[40..56]) + bits(&own[60..], &other[60..]);
                        *own == *other || (has_manifest && bits <= 1)
                    }
                    _ => false,
                }
            };
            // Of several that fit, the one with the right name is read.
            let home = if is_it(&there) {
                Some(frame.file.clone())
            } else {
                damaged.keys().find(|name| is_data(name) && header(damaged, name) == own).cloned()
            };
            let original = &self.files[&frame.file][frame.range.clone()];
            let intact = home.is_some_and(|home| damaged[&home].get(frame.range.clone()) == Some(original));
            let before = n.checked_sub(1).filter(|n| self.frames[*n].file == frame.file);
            let doubt = before.is_some_and(|n| {
                let (is_intact, in_doubt) = states[n];
                let goes_on = self.frames[n].time_ms == frame.time_ms
                    && self.frames[n].seq + self.frames[n].records.len() as u64 == frame.seq;
                !is_one_bit && (!is_intact || (in_doubt && goes_on))
            });
            has_ended |= may_end && is_open(&frame.file) && !intact;
            states.push((intact, doubt || (has_ended && is_open(&frame.file))));
        }
        // Where no batch is intact, nobody sees that the store holds any: records of one that lost its beginning stand for themselves.
        let is_batch = |frame: &Written| frame.records.len() > 1;
        if manifest.needs.features == 0
            && !self.frames.iter().zip(&states).any(|(frame, (intact, _))| is_batch(frame) && *intact)
        {
            let batches = self.frames.iter().zip(&mut states).filter(|(frame, _)| is_batch(frame));
            batches.for_each(|(_, state)| *state = (true, true));
        }
        states
    }

    /// Salvages the damaged store and compares what comes back; gives the report.
    fn salvage(&self, damaged: &Files, is_one_bit: bool) -> Result<CheckReport, String> {
        let source = disk_with(damaged, self.now_ms);
        let target = SimDisk::new();
        target.set_clock_ms(self.now_ms);
        let mut told = Vec::new();
        let report = match filedb::salvage_on(Arc::new(source.clone()), Arc::new(target.clone()), |finding| {
            told.push(format!("{} {}+{}: {}", finding.file, finding.offset, finding.length, finding.message));
            ControlFlow::Continue(())
        }) {
            Ok(report) => report,
            Err(Error::Missing { .. }) if !damaged.keys().any(|name| is_data(name)) => {
                return Ok(CheckReport::default());
            }
            Err(error) => return Err(format!("the salvage fails: {error}")),
        };
        if files_of(&source) != *damaged {
            return Err("the salvage changed the damaged store".into());
        }
        let states = self.state_after(damaged, is_one_bit);
        let db = open(&target).map_err(|error| format!("the new store does not open: {error}"))?;
        let known = self.keys();
        let listed = db.list(b"").map_err(|error| error.to_string())?;
        if let Some(key) = listed.iter().find(|key| !known.contains(key)) {
            return Err(format!("the key {} was never written", key.escape_ascii()));
        }
        if listed.len() as u64 != report.keys {
            return Err(format!("the report says {} keys, and there are {}", report.keys, listed.len()));
        }
        let compared = known.iter().try_for_each(|key| self.compare(&db, key, &states));
        compared.map_err(|why| format!("{why}; found: {}", told.join("; ")))?;
        Ok(report)
    }

    /// Compares what a key holds in the new store with what it may.
    fn compare(&self, db: &Db, key: &[u8], states: &[(bool, bool)]) -> Result<(), String> {
        let of_key = || {
            self.frames.iter().zip(states).flat_map(|(frame, (intact, doubt))| {
                frame.records.iter().map(move |record| (record, *intact, intact & !doubt))
            })
        };
        let of_key = || of_key().filter(|(record, ..)| record.kind != Kind::Element && record.key == key);
        let sure = of_key().filter(|(.., sure)| *sure).max_by_key(|(record, ..)| record.seq);
        let sure_seq = sure.as_ref().map_or(0, |(record, ..)| record.seq);
        let mut allowed: Vec<Held> = of_key()
            .filter(|(record, intact, _)| *intact && record.seq >= sure_seq)
            .map(|(record, ..)| self.held(record))
            .collect();
        // A checkpoint tells that a key is gone also where the record that took it away, or expired, is damaged.
        let is_gone = |record: &Record| record.kind == Kind::Tombstone || self.held(record) == Held::Nothing;
        if sure.is_none() || of_key().any(|(record, ..)| is_gone(record) && record.seq > sure_seq) {
            allowed.push(Held::Nothing);
        }
        let name = key.escape_ascii();
        match db.type_of(key).map_err(|error| error.to_string())? {
            None => {
                let may_be_gone = allowed.iter().any(|held| match held {
                    Held::Nothing => true,
                    Held::Value(..) => false,
                    Held::List(head) => !self.elements(head, states).iter().any(|(_, sure)| *sure),
                });
                may_be_gone.then_some(()).ok_or(format!("{name} is gone, and its record is intact"))
            }
            Some(Type::Value) => {
                let value = db.get(key).map_err(|error| error.to_string())?.unwrap_or_default();
                let ttl = match db.ttl(key).map_err(|error| error.to_string())? {
                    Some(Ttl::Left(life)) => Some(self.now_ms + life.as_millis() as u64),
                    _ => None,
                };
                let is_it =
                    |held: &Held| matches!(held, Held::Value(of, expiry) if *of == value && *expiry == ttl);
                allowed
                    .iter()
                    .any(is_it)
                    .then_some(())
                    .ok_or(format!("{name} holds {value:?} ({ttl:?}) and not {allowed:?}"))
            }
            Some(_) => {
                let range = db.list_range(key, 0, -1).map_err(|error| error.to_string())?.unwrap_or_default();
                let elements: Vec<Vec<u8>> = range.iter().map(<[u8]>::to_vec).collect();
                let is_it = |held: &Held| {
                    let Held::List(head) = held else { return false };
                    let mut at = 0;
                    for (element, sure) in self.elements(head, states) {
                        if elements.get(at).is_some_and(|found| element.contains(found)) {
                            at += 1;
                        } else if sure {
                            return false;
                        }
                    }
                    at == elements.len()
                };
                allowed.iter().any(is_it).then_some(()).ok_or(format!("the list {name} has other elements"))
            }
        }
    }

    /// The elements of a list that may come back in each place, and whether one must.
    fn elements(&self, head: &ListHead, states: &[(bool, bool)]) -> Vec<(Vec<Vec<u8>>, bool)> {
        let mut elements = Vec::new();
        for position in head.first..head.end {
            let key = head.element_key(position);
            let all = self
                .frames
                .iter()
                .zip(states)
                .flat_map(|(frame, state)| frame.records.iter().map(move |record| (record, *state)));
            let there: Vec<(&Record, bool)> = all
                .filter(|(record, (intact, _))| record.kind == Kind::Element && record.key == key && *intact)
                .map(|(record, (_, doubt))| (record, doubt))
                .collect();
            let sure = there.iter().filter(|(_, doubt)| !doubt).max_by_key(|(record, _)| record.seq);
            let sure_seq = sure.map_or(0, |(record, _)| record.seq);
            let must = sure.is_some_and(|(record, _)| !self.is_taken_out(record, head.id, position));
            let may = there.iter().filter(|(record, _)| record.seq >= sure_seq);
            elements.push((may.map(|(record, _)| record.value.clone()).collect(), must));
        }
        elements
    }

    /// Whether a head that is newer than an element does not name it: then what stands in its place was lost.
    fn is_taken_out(&self, element: &Record, list: u64, position: i64) -> bool {
        let records = self.frames.iter().flat_map(|frame| &frame.records);
        let newer = records.filter(|record| record.kind == Kind::Head && record.seq > element.seq);
        newer
            .filter_map(|record| ListHead::decode(&record.value).ok())
            .any(|head| head.id == list && !(head.first..head.end).contains(&position))
    }

    /// Checks the damaged store: it finds something, or the store gives the right answers.
    fn check(&self, damaged: &Files) -> Result<CheckReport, String> {
        let disk = disk_with(damaged, self.now_ms);
        let mut worst = None;
        let checked = filedb::check_on(Arc::new(disk.clone()), |finding| {
            worst = worst.max(Some(finding.severity));
            ControlFlow::Continue(())
        });
        let report = match checked {
            Ok(report) => report,
            Err(Error::Missing { .. }) if !damaged.keys().any(|name| is_data(name)) => {
                return Ok(CheckReport::default());
            }
            Err(error) => return Err(format!("the check fails: {error}")),
        };
        if files_of(&disk) != *damaged {
            return Err("the check changed the store".into());
        }
        if report.is_sound() != (worst <= Some(Severity::Note)) {
            return Err("the report does not say what was found".into());
        }
        if report.is_sound() {
            let db = open(&disk)
                .map_err(|error| format!("the check finds nothing, and it does not open: {error}"))?;
            for key in self.keys() {
                self.answer(&db, key).map_err(|why| format!("the check finds nothing, and {why}"))?;
            }
        }
        Ok(report)
    }

    /// Whether the store gives the right answer for a key.
    fn answer(&self, db: &Db, key: &[u8]) -> Result<(), String> {
        let records = self.frames.iter().flat_map(|frame| &frame.records);
        let of_key: Vec<&Record> =
            records.filter(|record| record.kind != Kind::Element && record.key == key).collect();
        let mut allowed: Vec<Held> = of_key
            .iter()
            .max_by_key(|record| record.seq)
            .map(|record| self.held(record))
            .into_iter()
            .collect();
        if self.is_killed {
            allowed.extend(of_key.iter().map(|record| self.held(record)));
            allowed.push(Held::Nothing);
        }
        let name = key.escape_ascii();
        let all_intact = vec![(true, false); self.frames.len()];
        let is_right = match db.type_of(key).map_err(|error| format!("{name}: {error}"))? {
            None => allowed.contains(&Held::Nothing),
            Some(Type::Value) => {
                let value = db.get(key).map_err(|error| format!("{name}: {error}"))?.unwrap_or_default();
                allowed.iter().any(|held| matches!(held, Held::Value(of, _) if *of == value))
            }
            Some(_) => {
                let range = db
                    .list_range(key, 0, -1)
                    .map_err(|error| format!("{name}: {error}"))?
                    .unwrap_or_default();
                let elements: Vec<Vec<Vec<u8>>> =
                    range.iter().map(|element| vec![element.to_vec()]).collect();
                let wanted = |head: &ListHead| -> Vec<Vec<Vec<u8>>> {
                    self.elements(head, &all_intact).into_iter().map(|(element, _)| element).collect()
                };
                let is_it = |held: &Held| matches!(held, Held::List(head) if self.is_killed || wanted(head) == elements);
                allowed.iter().any(is_it)
            }
        };
        is_right.then_some(()).ok_or(format!("{name} has the wrong answer"))
    }

    fn endure(&self, damaged: &Files, is_one_bit: bool) -> Result<(CheckReport, CheckReport), String> {
        let mut damaged = damaged.clone();
        if damaged.get(names::MANIFEST) != self.files.get(names::MANIFEST) {
            // Nothing else tells what a merge replaced from what counts, and a tombstone that it dropped is nowhere.
            let listed: BTreeSet<&String> = self.frames.iter().map(|frame| &frame.file).collect();
            damaged.retain(|name, _| !is_data(name) || listed.contains(name));
        }
        Ok((self.check(&damaged)?, self.salvage(&damaged, is_one_bit)?))
    }
}

/// Does what users do, at random.
fn write(disk: &SimDisk, db: &Db, random: &mut Random, count: u64, with_lists: bool) {
    for turn in 0..count {
        disk.advance_clock_ms(3);
        let key = format!("key {}", random.below(12)).into_bytes();
        let value: Vec<u8> = (0..random.below(90)).map(|n| (n + turn) as u8).collect();
        match random.below(if with_lists { 12 } else { 8 }) {
            0 => {
                db.delete(&key).expect("delete");
            }
            1 => {
                let mut batch = Batch::new();
                for n in 0..1 + random.below(4) {
                    let key = format!("key {}", (random.below(12) + n) % 12).into_bytes();
                    if random.one_in(4) {
                        batch.delete(&key).expect("a delete in a batch");
                    } else {
                        batch.put(&key, &value).expect("a put in a batch");
                    }
                }
                db.write(&batch).expect("a batch");
            }
            2 => {
                let ttl = Duration::from_millis(if random.one_in(2) { LONG } else { 1 });
                db.put_with(&key, &value, &PutOptions::new().ttl(ttl)).expect("a put");
            }
            8..=10 => {
                let key = format!("list {}", random.below(3)).into_bytes();
                let pushed =
                    if random.one_in(2) { db.push_back(&key, &value) } else { db.push_front(&key, &value) };
                pushed.expect("a push");
            }
            11 => {
                let key = format!("list {}", random.below(3)).into_bytes();
                db.pop_front(&key).expect("a pop");
            }
            _ => db.put(&key, &value).expect("a put"),
        }
    }
    disk.advance_clock_ms(50);
}

/// Stores of a few files, as several lives leave them.
fn specimens(seed: u64) -> Vec<Specimen> {
    let mut specimens = Vec::new();
    for with_lists in [false, true] {
        let disk = SimDisk::with_random_bytes(seed + u64::from(with_lists));
        let mut random = Random::new(seed);
        let db = open(&disk).expect("opening");
        write(&disk, &db, &mut random, 30, with_lists);
        db.maintain().expect("maintaining");
        db.merge().expect("merging");
        write(&disk, &db, &mut random, 15, with_lists);
        db.maintain().expect("maintaining");
        db.write_hints().expect("writing hints");
        write(&disk, &db, &mut random, 10, with_lists);
        db.sync().expect("syncing");
        write(&disk, &db, &mut random, 4, with_lists);
        let now_ms = disk.now_ms(true);
        let killed = files_of(&disk.fork());
        specimens.push(Specimen::new(
            if with_lists { "a killed store with lists" } else { "a killed store" },
            killed,
            now_ms,
            true,
        ));
        db.close().expect("closing");
        let closed = files_of(&disk);
        assert!(closed.contains_key("CHECKPOINT"));
        specimens.push(Specimen::new(
            if with_lists { "a closed store with lists" } else { "a closed store" },
            closed,
            now_ms,
            false,
        ));
    }
    for specimen in &specimens {
        let data = specimen.files.keys().filter(|name| is_data(name)).count();
        let hints = specimen.files.keys().filter(|name| name.ends_with(".hint")).count();
        assert!(
            data > 2 && (hints > 0 || specimen.what.contains("lists")),
            "{}: {data} files, {hints} hints",
            specimen.what
        );
    }
    specimens
}

fn with(files: &Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = files.clone();
    change(files.get_mut(name).expect("the file is there"));
    files
}

#[test]
fn a_store_that_is_not_damaged_is_sound_and_salvaged_whole() {
    for seed in seeds(5) {
        for specimen in specimens(seed) {
            let (check, salvage) = specimen
                .endure(&specimen.files, true)
                .unwrap_or_else(|why| panic!("{}, seed {seed}: {why}", specimen.what));
            assert_eq!((check.damaged_places, check.keys_lost), (0, 0), "{}, seed {seed}", specimen.what);
            assert_eq!(check.keys, salvage.keys, "{}, seed {seed}", specimen.what);
            assert!(check.records > 20 && check.bytes > 1000);
        }
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless_and_costs_one_record() {
    let all = std::env::var("FILEDB_TEST_DAMAGE").is_ok_and(|mode| mode == "all");
    for seed in seeds(1) {
        for specimen in specimens(seed) {
            let mut random = Random::new(1);
            for (name, bytes) in &specimen.files {
                for offset in (0..bytes.len()).filter(|offset| all || offset % 3 == 0) {
                    let one = random.below(8) as u8;
                    for bit in if all { 0..8 } else { one..one + 1 } {
                        let files = with(&specimen.files, name, |bytes| bytes[offset] ^= 1 << bit);
                        if let Err(why) = quietly(|| specimen.endure(&files, true)) {
                            let frames = specimen.frames.iter().filter(|frame| frame.file == *name);
                            frames.for_each(|frame| println!("{frame:?}"));
                            panic!(
                                "{}, bit {bit} of byte {offset} of {name}: {why}\nFILEDB_TEST_SEED={seed}",
                                specimen.what
                            );
                        }
                    }
                }
            }
        }
    }
}

/// One to three damages of any kind.
fn damage_at_random(files: &Files, random: &mut Random) -> (Files, String) {
    let (mut files, mut what) = (files.clone(), String::new());
    for _ in 0..1 + random.below(3) {
        let names: Vec<String> = files.keys().cloned().collect();
        let name = &names[random.below(names.len() as u64) as usize];
        let other = &names[random.below(names.len() as u64) as usize];
        let size = files[name].len().max(1);
        let at = random.below(size as u64) as usize;
        let end = (at + 1 + random.below(200) as usize).min(files[name].len()).max(at);
        let noise: Vec<u8> = (0..end - at).map(|_| random.number() as u8).collect();
        let did = match random.below(9) {
            0 | 1 => files.get_mut(name).map(|bytes| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
                format!("a bit of {name} at {at}")
            }),
            2 => files.get_mut(name).map(|bytes| {
                bytes.get_mut(at..end).unwrap_or_default().fill(0);
                format!("zeros in {name} at {at}..{end}")
            }),
            3 => files.get_mut(name).map(|bytes| {
                bytes.get_mut(at..end).unwrap_or_default().copy_from_slice(&noise[..end - at]);
                format!("noise in {name} at {at}..{end}")
            }),
            4 => files.get_mut(name).map(|bytes| {
                bytes.truncate(at);
                format!("{name} cut to {at}")
            }),
            5 => files.get_mut(name).map(|bytes| {
                bytes.extend(&noise);
                format!("{} bytes behind {name}", noise.len())
            }),
            6 => files.remove(name).map(|_| format!("{name} removed")),
            7 => {
                let bytes = files[name].clone();
                files.insert(other.clone(), bytes).map(|_| format!("{name} over {other}"))
            }
            _ => {
                let (one, two) = (files[name].clone(), files[other].clone());
                files.insert(name.clone(), two);
                files.insert(other.clone(), one).map(|_| format!("{name} and {other} swapped"))
            }
        };
        what = format!("{what}; {}", did.unwrap_or_default());
        if files.is_empty() {
            break;
        }
    }
    (files, what)
}

#[test]
fn from_randomly_damaged_stores_all_that_is_intact_comes_back_and_nothing_else() {
    let (mut places, mut sound, mut salvages) = (0, 0, 0);
    for seed in seeds(histories(50)) {
        let mut random = Random::new(seed);
        for specimen in specimens(seed) {
            let (files, what) = damage_at_random(&specimen.files, &mut random);
            match quietly(|| specimen.endure(&files, false)) {
                Ok((check, _)) => {
                    salvages += 1;
                    places += check.damaged_places;
                    sound += u64::from(check.is_sound());
                }
                Err(why) => panic!("{}{what}: {why}\nFILEDB_TEST_SEED={seed}", specimen.what),
            }
        }
    }
    println!("{places} damaged places found, {sound} stores sound all the same");
    tally(salvages, "salvages");
}

#[test]
fn what_a_power_cut_leaves_is_no_damage() {
    for seed in seeds(histories(50)) {
        let disk = SimDisk::with_random_bytes(seed);
        let mut random = Random::new(seed);
        let db = open(&disk).expect("opening");
        for turn in 0..4 {
            write(&disk, &db, &mut random, 12, seed % 2 == 0);
            if turn == random.below(4) {
                db.sync().expect("syncing");
            }
            if turn == 1 && seed % 3 == 0 {
                db.maintain().expect("maintaining");
            }
        }
        for policy in [
            PowerCut::LosesAll,
            PowerCut::KeepsAll,
            PowerCut::KeepsNames,
            PowerCut::KeepsData,
            PowerCut::Torn(1),
            PowerCut::Scattered(8),
            PowerCut::NewestFirst(8),
        ] {
            let cut = disk.power_cut(seed, policy);
            let mut told = Vec::new();
            let report = filedb::check_on(Arc::new(cut.clone()), |finding| {
                told.push(format!("{} {}: {}", finding.file, finding.offset, finding.message));
                ControlFlow::Continue(())
            });
            match report {
                Ok(report) => assert!(report.is_sound(), "seed {seed}: {told:?}"),
                Err(Error::Missing { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            open(&cut).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}

#[test]
fn random_bytes_as_files_end_no_check() {
    for seed in seeds(histories(50)) {
        let mut random = Random::new(seed);
        let specimen = specimens(seed % 3).swap_remove((seed % 4) as usize);
        let mut files = specimen.files.clone();
        for (name, bytes) in &mut files {
            if random.one_in(2) || name == "LOCK" {
                continue;
            }
            let keep = random.below(bytes.len().max(1) as u64) as usize / 8 * 8;
            for byte in bytes.iter_mut().skip(if random.one_in(2) { keep } else { 0 }) {
                *byte = random.number() as u8;
            }
        }
        if let Err(why) = quietly(|| specimen.endure(&files, false)) {
            let states = specimen.state_after(&files, false);
            specimen.frames.iter().zip(states).for_each(|(frame, state)| println!("{state:?} {frame:?}"));
            panic!("{}: {why}\nFILEDB_TEST_SEED={seed}", specimen.what);
        }
    }
}

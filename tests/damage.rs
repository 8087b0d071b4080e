//! Damage to a small store: every byte, every truncation, every file lost, swapped or copied over another.
//!
//! The store is opened after each. It either refuses, naming a damaged file and changing nothing, or it opens, and then
//! gives for each key the right value or an error. Hints and the checkpoint are there for speed only: damage to them must
//! not be noticed at all.
//!
//! `FILEDB_TEST_DAMAGE=all` flips every bit instead of one bit of every byte, and overwrites at every multiple of 8.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use filedb::disk::sim::{Random, SimDisk};
use filedb::{Db, EngineKind, Error, IoMode, MergeMode, Options};

use support::history::{KEYS, Value, key};
use support::oracle::{is_held, name_bytes, name_of_value};
use support::runner::{histories, quietly, seeds, tally};
use support::store::list;

type Files = BTreeMap<String, Vec<u8>>;

/// What was ever written for each key, oldest first; what holds is the last.
type Written = BTreeMap<u8, Vec<Option<Value>>>;

/// A store to be damaged.
#[derive(Clone)]
struct Specimen {
    what: String,
    engine: EngineKind,
    files: Files,
    written: Written,
    /// The files whose ends may be torn tails: they were not closed, or nothing is left that says that they were.
    open_tails: Vec<String>,
}

fn options(engine: EngineKind) -> Options {
    Options {
        engine,
        io: IoMode::Pread,
        max_file_size: 400,
        merge: MergeMode::Manual,
        // A memtable of 2 KiB: there are runs.
        lsm_memory: 16 << 10,
        ..Options::default()
    }
}

fn open(disk: &SimDisk, engine: EngineKind) -> Result<Db, Error> {
    Db::open_on(Arc::new(disk.clone()), &options(engine))
}

fn files_of(disk: &SimDisk) -> Files {
    disk.file_names()
        .into_iter()
        // What is set aside for a full disk has no content that could be damaged.
        .filter(|name| !name.starts_with("RESERVE"))
        .map(|name| (name.clone(), disk.read_file(&name).unwrap_or_default()))
        .collect()
}

fn disk_with(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in files {
        disk.write_file(name, bytes.clone());
    }
    disk
}

fn is_data(name: &str) -> bool {
    name.ends_with(".data")
}

fn is_run(name: &str) -> bool {
    name.ends_with(".run")
}

/// Files that only save time.
fn is_dispensable(name: &str) -> bool {
    name.ends_with(".hint") || name == "CHECKPOINT"
}

/// Stores of a few files, as a clean close leaves them, and as other lives leave them.
fn specimens(seed: u64) -> Vec<Specimen> {
    let mut specimens = specimens_of(EngineKind::Bitcask, seed);
    specimens.extend(specimens_of(EngineKind::Lsm, seed));
    specimens
}

fn specimens_of(engine: EngineKind, seed: u64) -> Vec<Specimen> {
    let disk = SimDisk::with_random_bytes(seed);
    let mut random = Random::new(seed);
    let mut written = Written::new();
    let db = open(&disk, engine).expect("opening");
    // A memtable takes more than a file.
    for version in 1..if engine == EngineKind::Lsm { 100 } else { 40 } {
        let index = random.below(10) as u8;
        if random.one_in(6) {
            db.delete(key(index)).expect("delete");
            written.entry(index).or_default().push(None);
        } else {
            let value = Value { version, len: random.below(90) as u32 };
            db.put(key(index), value.bytes(index)).expect("put");
            written.entry(index).or_default().push(Some(value));
        }
        if version % 30 == 25 {
            // Two lives, so that there are files that were recovered.
            db.maintain().expect("maintaining");
            db.sync().expect("syncing");
            if version == 55 && engine == EngineKind::Lsm {
                // A run on a level below, and tombstones above it.
                db.merge().expect("merging");
            }
        }
    }
    db.maintain().expect("maintaining");
    db.sync().expect("syncing");
    let killed = files_of(&disk.fork());
    db.close().expect("closing");
    let closed = files_of(&disk);

    // The file that was written last, and perhaps the next, which was made ahead.
    let newest = |files: &Files| files.keys().rev().filter(|name| is_data(name)).take(2).cloned().collect();
    let without = |unwanted: &dyn Fn(&str) -> bool| {
        let mut files = closed.clone();
        files.retain(|name, _| !unwanted(name));
        files
    };
    let specimen = |what, files, open_tails| {
        let (what, written) = (format!("{what} (engine {engine:?}, seed {seed})"), written.clone());
        Specimen { what, engine, files, written, open_tails }
    };
    let mut specimens = vec![
        specimen("a closed store", closed.clone(), Vec::new()),
        specimen("a killed store", killed.clone(), newest(&killed)),
    ];
    if engine == EngineKind::Bitcask {
        specimens.extend([
            specimen(
                "a closed store without its checkpoint",
                without(&|name| name == "CHECKPOINT"),
                Vec::new(),
            ),
            specimen("a closed store without checkpoint and hints", without(&is_dispensable), Vec::new()),
        ]);
    }
    for specimen in &specimens {
        let files = specimen.files.keys().filter(|name| is_data(name) || is_run(name)).count();
        assert!(files > 2, "{} has {files} files: too few to mean anything", specimen.what);
    }
    specimens
}

/// What was done to a store.
struct Damage<'a> {
    /// For people.
    what: String,
    /// The files that are not as they were.
    hurt: Vec<&'a str>,
    files: Files,
}

impl Specimen {
    /// Opens the damaged store and checks what it does.
    fn endure(&self, damage: &Damage) -> Result<(), String> {
        let disk = disk_with(&damage.files);
        let harmless = damage.hurt.iter().all(|name| is_dispensable(name));
        let db = match open(&disk, self.engine) {
            Ok(db) => db,
            Err(error) if harmless => return Err(format!("it does not open: {error}")),
            Err(Error::Corrupt { path, .. }) => {
                let named = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
                // Damage to one file may show in how another fits to it, but it is a file of the store that is named.
                if !is_data(named) && !is_run(named) && named != "MANIFEST" {
                    return Err(format!("it refuses to open and names '{}'", path.display()));
                }
                let now = files_of(&disk);
                let changed = damage
                    .files
                    .iter()
                    .find(|(name, bytes)| !is_dispensable(name) && now.get(*name) != Some(bytes));
                return match changed {
                    None => Ok(()),
                    Some((name, _)) => Err(format!("it refuses to open, and has changed '{name}'")),
                };
            }
            Err(error) => return Err(format!("it refuses to open, but not as damaged: {error} ({error:?})")),
        };
        let torn = damage.hurt.iter().any(|name| self.open_tails.iter().any(|tail| tail == name));
        for index in 0..KEYS {
            self.check_get(&db, index, harmless, torn)?;
        }
        let now = |index: &u8| self.written.get(index).and_then(|all| all.last().copied().flatten());
        match list(&db, b"") {
            Ok(listed) => {
                let mut expected: Vec<_> = (0..KEYS).filter(|index| now(index).is_some()).map(key).collect();
                expected.sort();
                if listed != expected && !torn {
                    return Err(format!(
                        "it lists {} keys, not the {} that are there",
                        listed.len(),
                        expected.len()
                    ));
                }
            }
            Err(Error::Corrupt { .. }) if !harmless => {}
            Err(error) => return Err(format!("listing: {error}")),
        }
        // Closing and opening again may find the damage now, but makes nothing wrong out of it.
        let closed = db.close();
        drop(db);
        match (closed, open(&disk, self.engine)) {
            (Ok(()), Ok(db)) => (0..KEYS).try_for_each(|index| self.check_get(&db, index, harmless, torn)),
            (Err(Error::Corrupt { .. }), _) | (_, Err(Error::Corrupt { .. })) if !harmless => Ok(()),
            (Err(error), _) => Err(format!("closing: {error}")),
            (_, Err(error)) => Err(format!("opening again: {error}")),
        }
    }

    fn check_get(&self, db: &Db, index: u8, harmless: bool, torn: bool) -> Result<(), String> {
        let all = self.written.get(&index).map_or(&[][..], Vec::as_slice);
        let expected = all.last().copied().flatten();
        match db.get(key(index)) {
            Ok(held) if is_held(index, held.as_ref(), expected) => Ok(()),
            // What was in a torn tail is dropped: then an older value holds, or none.
            Ok(held)
                if torn && all.iter().chain([&None]).any(|value| is_held(index, held.as_ref(), *value)) =>
            {
                Ok(())
            }
            Ok(held) => Err(format!(
                "key #{index} holds {}, not {}",
                name_bytes(held.as_ref()),
                name_of_value(expected)
            )),
            Err(Error::Corrupt { .. }) if !harmless => Ok(()),
            Err(error) => Err(format!("reading key #{index}: {error}")),
        }
    }
}

/// Does the damages to each specimen and panics with the first that is not endured.
fn endure_all(damages: impl Fn(&Specimen, &mut dyn FnMut(Damage))) {
    for seed in seeds(histories(1)) {
        for specimen in specimens(seed) {
            let mut count = 0u64;
            damages(&specimen, &mut |damage| {
                count += 1;
                if let Err(why) = quietly(|| specimen.endure(&damage)) {
                    let sizes: Vec<_> =
                        specimen.files.iter().map(|(name, bytes)| (name, bytes.len())).collect();
                    panic!(
                        "{}, {}: {why}\nFILEDB_TEST_SEED={seed}, files {sizes:?}",
                        specimen.what, damage.what
                    );
                }
            });
            println!("{}", specimen.what);
            tally(count, "damages");
        }
    }
}

fn exhaustive() -> bool {
    std::env::var("FILEDB_TEST_DAMAGE").is_ok_and(|mode| mode == "all")
}

fn with(files: &Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = files.clone();
    change(files.get_mut(name).expect("the file is there"));
    files
}

#[test]
fn a_store_that_is_not_damaged_is_not_refused() {
    endure_all(|specimen, endure| {
        endure(Damage { what: "nothing".into(), hurt: Vec::new(), files: specimen.files.clone() });
    });
}

#[test]
fn a_flipped_bit_gives_no_wrong_value() {
    let all = exhaustive();
    endure_all(|specimen, endure| {
        let mut random = Random::new(1);
        for (name, bytes) in &specimen.files {
            for offset in 0..bytes.len() {
                let one = random.below(8) as u8;
                for bit in if all { 0..8 } else { one..one + 1 } {
                    let files = with(&specimen.files, name, |bytes| bytes[offset] ^= 1 << bit);
                    endure(Damage {
                        what: format!("bit {bit} of byte {offset} of {name}"),
                        hurt: vec![name],
                        files,
                    });
                }
            }
        }
    });
}

#[test]
fn a_file_cut_short_gives_no_wrong_value() {
    endure_all(|specimen, endure| {
        for (name, bytes) in &specimen.files {
            for len in 0..bytes.len() {
                let files = with(&specimen.files, name, |bytes| bytes.truncate(len));
                endure(Damage { what: format!("{name} cut to {len} bytes"), hurt: vec![name], files });
            }
        }
    });
}

#[test]
fn a_file_that_grew_gives_no_wrong_value() {
    endure_all(|specimen, endure| {
        let mut random = Random::new(2);
        for (name, bytes) in &specimen.files {
            for extra in [1, 3, 8, 24, 512, 4096, bytes.len()] {
                let noise: Vec<u8> = (0..extra).map(|_| random.number() as u8).collect();
                // Its own bytes once more are frames, but not at their place.
                for (tail, what) in
                    [(vec![0; extra], "zeros"), (noise, "noise"), (bytes.clone(), "its own bytes")]
                {
                    let files = with(&specimen.files, name, |bytes| bytes.extend(tail));
                    endure(Damage {
                        what: format!("{name} grown by {extra} bytes of {what}"),
                        hurt: vec![name],
                        files,
                    });
                }
            }
        }
    });
}

#[test]
fn a_lost_or_misplaced_sector_gives_no_wrong_value() {
    endure_all(|specimen, endure| {
        let mut random = Random::new(3);
        for (name, bytes) in &specimen.files {
            for size in [8, 64, 128] {
                for start in (0..bytes.len()).step_by(if exhaustive() { 8 } else { 16 }) {
                    let end = (start + size).min(bytes.len());
                    let files = with(&specimen.files, name, |bytes| bytes[start..end].fill(0));
                    endure(Damage {
                        what: format!("zeros in {name} at {start}..{end}"),
                        hurt: vec![name],
                        files,
                    });
                    let from = random.below((bytes.len() - (end - start)) as u64 + 1) as usize / 8 * 8;
                    let files = with(&specimen.files, name, |bytes| {
                        bytes.copy_within(from..from + (end - start), start)
                    });
                    let what = format!("{name} at {start}..{end} overwritten by its bytes at {from}");
                    endure(Damage { what, hurt: vec![name], files });
                }
            }
        }
    });
}

#[test]
fn a_file_deleted_swapped_or_copied_over_another_gives_no_wrong_value() {
    endure_all(|specimen, endure| {
        for name in specimen.files.keys() {
            let mut files = specimen.files.clone();
            files.remove(name);
            endure(Damage { what: format!("{name} deleted"), hurt: vec![name], files });
            for other in specimen.files.keys().filter(|other| *other != name) {
                let copy = with(&specimen.files, other, |bytes| bytes.clone_from(&specimen.files[name]));
                endure(Damage {
                    what: format!("{name} copied over {other}"),
                    hurt: vec![other],
                    files: copy,
                });
                if name < other {
                    let mut files =
                        with(&specimen.files, other, |bytes| bytes.clone_from(&specimen.files[name]));
                    files.insert(name.clone(), specimen.files[other].clone());
                    endure(Damage {
                        what: format!("{name} and {other} swapped"),
                        hurt: vec![name, other],
                        files,
                    });
                }
            }
        }
    });
}

#[test]
fn all_data_files_deleted_or_empty_are_not_taken_for_an_empty_store() {
    endure_all(|specimen, endure| {
        for keep in ["MANIFEST", "CHECKPOINT", ".hint", ".data"] {
            let mut files = specimen.files.clone();
            files.retain(|name, _| name.ends_with(keep));
            let hurt =
                specimen.files.keys().filter(|name| !name.ends_with(keep)).map(String::as_str).collect();
            // Hints alone, or a checkpoint alone, are not a store that was lost: nothing says that there was one.
            if keep == "MANIFEST" || keep == ".data" {
                endure(Damage { what: format!("nothing left but {keep}"), hurt, files });
            }
        }
    });
}

#[test]
fn files_of_another_store_or_of_another_time_give_no_wrong_value() {
    for seed in seeds(histories(1)) {
        let ours = specimens(seed);
        let others = specimens(seed + 1);
        for (specimen, other) in ours.iter().zip(&others) {
            for (name, bytes) in &other.files {
                if specimen.files.contains_key(name) {
                    let files = with(&specimen.files, name, |ours| ours.clone_from(bytes));
                    let what = format!("{name} taken from another store");
                    let damage = Damage { what, hurt: vec![name], files };
                    if let Err(why) = quietly(|| specimen.endure(&damage)) {
                        panic!("{}, {}: {why}\nFILEDB_TEST_SEED={seed}", specimen.what, damage.what);
                    }
                }
            }
        }
    }
}

#[test]
fn damage_in_a_real_directory_crashes_no_process() {
    // The same files, mapped: a read past the end of a file that was cut would be a SIGBUS.
    let home = tempfile::tempdir().expect("a temporary directory");
    for seed in seeds(histories(1)) {
        for specimen in specimens(seed) {
            let mut random = Random::new(seed);
            for turn in 0..150 {
                let names: Vec<&String> = specimen.files.keys().collect();
                let name = names[random.below(names.len() as u64) as usize];
                let files = with(&specimen.files, name, |bytes| {
                    let at = random.below(bytes.len().max(1) as u64) as usize;
                    if random.one_in(2) {
                        bytes.truncate(at);
                    } else if !bytes.is_empty() {
                        bytes[at] ^= 1 << random.below(8);
                    }
                });
                let path = home.path().join(format!("{turn}"));
                write_files(&path, &files);
                let options = Options { io: IoMode::Mmap, ..options(specimen.engine) };
                let torn = specimen.open_tails.contains(name);
                match Db::open(&path, &options) {
                    Ok(db) => {
                        for index in 0..KEYS {
                            let checked = specimen.check_get(&db, index, is_dispensable(name), torn);
                            checked
                                .unwrap_or_else(|why| panic!("{}, damage to {name}: {why}", specimen.what));
                        }
                    }
                    Err(Error::Corrupt { .. }) if !is_dispensable(name) => {}
                    Err(error) => panic!("{}, damage to {name}: {error}", specimen.what),
                }
                std::fs::remove_dir_all(&path).expect("removing the store");
            }
        }
    }
}

fn write_files(path: &Path, files: &Files) {
    std::fs::create_dir(path).expect("a directory");
    for (name, bytes) in files {
        std::fs::write(path.join(name), bytes).expect("writing a file");
    }
}

//! A disk that is full and stays so: what makes room must work, in the same handle, with the room that is there.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use filedb::disk::Disk;
use filedb::disk::sim::{Random, Reserve, SimDisk};
use filedb::format::names;
use filedb::{Batch, Db, Error, IoMode, MergeMode, Options, SyncMode};

use support::mount::Mount;
use support::runner::{histories, seeds, tally};

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

struct Full {
    disk: SimDisk,
    db: Db,
    held: Contents,
    options: Options,
    random: Random,
}

impl Full {
    /// A store that writes until its disk is full.
    fn new(seed: u64) -> Full {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        disk.set_reserve(if random.one_in(2) { Reserve::Pages } else { Reserve::Exact });
        let options = Options {
            // Files that are large beside the manifest, as they are in life.
            max_file_size: [16_000, 50_000, 100_000][random.below(3) as usize],
            io: IoMode::Pread,
            sync: SyncMode::None,
            merge: MergeMode::Manual,
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("opening a new store");
        db.put(b"first", b"").expect("the first put");
        db.maintain().expect("maintenance with room");
        let mut full = Full { disk, db, held: BTreeMap::new(), options, random };
        full.held.insert(b"first".to_vec(), Vec::new());
        full.disk.set_room(Some(full.disk.used() + 200_000 + full.random.below(200_000)));
        full.fill();
        full
    }

    /// A store of few keys, in one file, closed; now the disk is full of other things.
    fn small(seed: u64) -> Full {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        disk.set_reserve(if random.one_in(2) { Reserve::Pages } else { Reserve::Exact });
        let options = Options {
            sync: SyncMode::None,
            merge: MergeMode::Manual,
            io: IoMode::Pread,
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("opening a new store");
        let mut full = Full { disk, db, held: BTreeMap::new(), options, random };
        let largest = [20, 900, 20_000][full.random.below(3) as usize];
        for n in 0..1 + full.random.below(40) {
            let (key, value) = (format!("{n}").into_bytes(), vec![7; full.random.below(largest) as usize]);
            full.db.put(&key, &value).expect("a put with room");
            full.held.insert(key, value);
        }
        full.db.maintain().expect("maintenance with room");
        full.db.close().expect("closing with room");
        full.disk.set_room(Some(full.disk.used()));
        full.reopen();
        full
    }

    fn reopen(&mut self) {
        match self.db.close() {
            // Without room the next opening reads the files.
            Ok(()) | Err(Error::NoSpace { .. } | Error::Closed) => {}
            Err(error) => panic!("closing on a full disk: {error}"),
        }
        self.db = Db::open_on(Arc::new(self.disk.clone()), &self.options)
            .unwrap_or_else(|error| panic!("opening on the full disk: {error}"));
    }

    fn fill(&mut self) {
        let mut refused = 0;
        while refused < 3 {
            let key = format!("key/{}", self.random.below(2_000)).into_bytes();
            let value = vec![self.random.number() as u8; self.random.below(900) as usize];
            match self.db.put(&key, &value) {
                Ok(()) => drop(self.held.insert(key, value)),
                Err(Error::NoSpace { .. }) => refused += 1,
                Err(error) => panic!("a put on a disk that fills: {error}"),
            }
        }
    }

    fn check(&self, db: &Db, when: &str) {
        let mut found = Contents::new();
        db.iter(b"")
            .expect("an iterator")
            .visit_rows(|key, value| {
                found.insert(key.to_vec(), value.to_vec());
                true
            })
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(found == self.held, "{when}: {} keys are held, {} are found", self.held.len(), found.len());
    }

    fn check_all(&self, when: &str) {
        self.check(&self.db, when);
        let killed = Db::open_on(Arc::new(self.disk.fork()), &self.options)
            .unwrap_or_else(|error| panic!("{when}, opened after a kill: {error}"));
        self.check(&killed, &format!("{when}, after a kill"));
    }
}

/// Deletes most keys and merges, in turn, until that is done and there is room again.
fn make_room(seed: u64, full: &mut Full) {
    full.check_all(&format!("seed {seed}, on the full disk"));
    let mut unwanted: Vec<_> = full.held.keys().filter(|key| !key.ends_with(b"7")).cloned().collect();
    let mut rounds = 0;
    let mut merged = false;
    while !unwanted.is_empty() || !merged {
        rounds += 1;
        assert!(rounds < 20, "seed {seed}: stuck with {} keys to delete", unwanted.len());
        while let Some(key) = unwanted.pop() {
            match full.db.delete(&key) {
                Ok(true) => drop(full.held.remove(&key)),
                // What is deleted must be merged away before more can be.
                Err(Error::NoSpace { .. }) => {
                    unwanted.push(key);
                    break;
                }
                other => panic!("seed {seed}, a delete on the full disk: {other:?}"),
            }
        }
        full.check_all(&format!("seed {seed}, after the deletes"));
        merged = match full.db.merge() {
            Ok(()) => true,
            // It may have to give up before the end, but it must help.
            Err(Error::NoSpace { .. }) => false,
            Err(error) => panic!("seed {seed}, a merge on the full disk: {error}"),
        };
        full.check_all(&format!("seed {seed}, after the merge"));
    }
    tally(1, "full disks");
}

fn put_again(seed: u64, full: &mut Full) {
    full.db.put(b"again", b"there is room").unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    full.held.insert(b"again".to_vec(), b"there is room".to_vec());
}

#[test]
fn deletes_and_a_merge_make_room_on_a_full_disk() {
    for seed in seeds(histories(60)) {
        let mut full = Full::new(seed);
        make_room(seed, &mut full);
        put_again(seed, &mut full);
        full.fill();
        full.check_all(&format!("seed {seed}, full for the second time"));
    }
}

#[test]
fn a_batch_that_only_takes_away_is_written_on_a_full_disk() {
    for reserve in [Reserve::Pages, Reserve::Exact] {
        let disk = SimDisk::new();
        disk.set_reserve(reserve);
        let options = Options {
            max_file_size: 50_000,
            io: IoMode::Pread,
            sync: SyncMode::None,
            merge: MergeMode::Manual,
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        (0..20u8).for_each(|n| assert_eq!(db.push_back(b"list", [n]).unwrap(), u64::from(n) + 1));
        db.maintain().unwrap();
        disk.set_room(Some(disk.used() + 200_000));
        let mut puts = 0u32;
        while db.put(puts.to_be_bytes(), [7; 900]).is_ok() {
            puts += 1;
        }
        assert!(matches!(db.push_back(b"list", [7; 900]), Err(Error::NoSpace { .. })));
        for n in 0..10u32 {
            let mut batch = Batch::new();
            batch.pop_front(b"list").unwrap();
            batch.delete(n.to_be_bytes()).unwrap();
            db.write(&batch).unwrap_or_else(|error| panic!("{reserve:?}: batch {n} of {puts} puts: {error}"));
        }
        assert_eq!(db.list_length(b"list").unwrap(), Some(10));
        assert!(!db.exists(9u32.to_be_bytes()).unwrap());
        let mut batch = Batch::new();
        batch.pop_front(b"list").unwrap();
        batch.put(b"large", [7; 900]).unwrap();
        assert!(matches!(db.write(&batch), Err(Error::NoSpace { .. })));
    }
}

#[test]
fn deletes_and_a_merge_make_room_where_a_store_is_opened_on_a_full_disk() {
    for seed in seeds(histories(60)) {
        let mut full = Full::new(seed);
        full.reopen();
        make_room(seed, &mut full);
        put_again(seed, &mut full);
    }
}

#[test]
fn deletes_and_a_merge_make_room_where_a_small_store_is_opened_on_a_full_disk() {
    for seed in seeds(histories(60)) {
        let mut full = Full::small(seed);
        let bytes = |full: &Full| full.held.values().map(Vec::len).sum::<usize>();
        let before = bytes(&full);
        make_room(seed, &mut full);
        // With less the room that is kept for the next time is not filled again.
        if before - bytes(&full) > 64 << 10 {
            put_again(seed, &mut full);
            full.check_all(&format!("seed {seed}, with room again"));
        }
    }
}

/// A simulated disk gives what is asked for. A real one gives whole blocks, later, and what it took for a reservation that failed
/// it does not give back by itself.
#[test]
fn deletes_and_a_merge_make_room_where_a_store_is_opened_on_a_full_disk_that_is_real() {
    for make in [|| Mount::ext4(48 << 20), || Mount::tmpfs(16 << 20)] {
        for (io, keys) in
            ["mmap", "pread"].into_iter().flat_map(|io| [10, 40, 300, 3_000].map(|keys| (io, keys)))
        {
            let Some(mount) = make() else { return };
            let path = mount.path().join("store");
            let mut options =
                Options { merge: MergeMode::Manual, sync: SyncMode::None, ..Options::default() };
            options.set("io", io).expect("an io mode");
            let open =
                || Db::open(&path, &options).unwrap_or_else(|error| panic!("io={io}, {keys} keys: {error}"));
            let db = open();
            for n in 0..keys {
                db.put(u32::to_le_bytes(n), [7; 700]).expect("a put with room");
            }
            db.maintain().expect("maintenance with room");
            db.close().expect("closing with room");
            let filler = mount.fill();

            let db = open();
            let mut unwanted: Vec<u32> = (0..keys).filter(|n| n % 4 != 0).collect();
            let mut rounds = 0;
            let mut last = String::new();
            while !unwanted.is_empty() || rounds == 0 || !last.is_empty() {
                rounds += 1;
                assert!(rounds < 10, "io={io}, {keys} keys: stuck with {} to delete: {last}", unwanted.len());
                last.clear();
                while let Some(n) = unwanted.pop() {
                    if let Err(error) = db.delete(n.to_le_bytes()) {
                        last = error.to_string();
                        unwanted.push(n);
                        break;
                    }
                }
                if let Err(error) = db.merge() {
                    last = error.to_string();
                }
            }
            // A put leaves room for deletes: so much is there where much was deleted.
            let put = db.put(b"again", b"there is room");
            assert!(keys < 300 || put.is_ok(), "io={io}, {keys} keys: {put:?}");
            // What is left may be too little for what makes the next opening fast.
            let _ = db.close();
            std::fs::remove_file(filler).expect("removing what filled the disk");
            assert_eq!(open().count().expect("count"), u64::from(keys.div_ceil(4)) + u64::from(put.is_ok()));
        }
    }
}

#[test]
fn no_file_is_made_early_where_there_is_no_room_to_set_aside() {
    let mut made = 0;
    for room in (0..160_000).step_by(4_000) {
        let disk = SimDisk::new();
        let options = Options {
            max_file_size: 100_000,
            io: IoMode::Pread,
            sync: SyncMode::None,
            merge: MergeMode::Manual,
            ..Options::default()
        };
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("opening a new store");
        for n in 0..60u32 {
            if n == 40 {
                // The room that is set aside grows with the store, and a file is made early when half of one is full.
                disk.set_room(Some(disk.used() + room));
            }
            match db.put(n.to_le_bytes(), [0; 1_000]) {
                Ok(()) | Err(Error::NoSpace { .. }) => {}
                Err(error) => panic!("a put on a disk that fills: {error}"),
            }
        }
        let stats = db.stats().expect("figures");
        let aside = disk.aside(names::RESERVE_FOR_MERGES).expect("what is set aside");
        assert!(
            stats.files == 1 || aside > stats.data_bytes,
            "{room}: {aside} are set aside beside {stats:?}"
        );
        made += stats.files - 1;
    }
    assert!(made > 0);
}

/// Mapped files are left out: a mapping of a file system that takes no more writes ends the process that writes to it.
#[test]
fn a_file_system_that_has_become_read_only_stops_writes_and_no_reads() {
    for engine in ["bitcask", "lsm"] {
        let Some(mount) = Mount::ext4(48 << 20) else { return };
        let path = mount.path().join("store");
        let mut options = Options { merge: MergeMode::Manual, sync: SyncMode::Always, ..Options::default() };
        options.set("io", "pread").expect("an io mode");
        options.set("engine", engine).expect("an engine");
        let open = || Db::open(&path, &options).unwrap_or_else(|error| panic!("{engine}: {error}"));
        let db = open();
        for n in 0..200u32 {
            db.put(n.to_le_bytes(), [7; 300]).expect("a put");
        }
        if !mount.abort() {
            println!("NOT RUN: this machine cannot abort a file system");
            return;
        }
        let refused =
            db.put(b"later", [8; 300]).expect_err("a put that is synced to a disk that takes nothing");
        assert!(matches!(refused.os_errno(), libc::EROFS | libc::EIO), "{engine}: {refused:?}");
        let again = db.put(b"later still", b"").expect_err("another put");
        assert!(!again.to_string().is_empty(), "{engine}");
        for n in 0..200u32 {
            assert_eq!(
                db.get(n.to_le_bytes()).expect("a get").as_deref(),
                Some(&[7; 300][..]),
                "{engine}, key {n}"
            );
        }
        assert!(db.close().is_err(), "{engine}: a close cannot make anything durable");
        drop(db);
        mount.remount();
        let db = open();
        for n in 0..200u32 {
            assert_eq!(
                db.get(n.to_le_bytes()).expect("a get").as_deref(),
                Some(&[7; 300][..]),
                "{engine}, key {n}"
            );
        }
        db.put(b"later", b"value").expect("a put when the disk works again");
        db.close().expect("a close when the disk works again");
    }
}

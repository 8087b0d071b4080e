//! A disk that is full and stays so: what makes room must work, in the same handle, with the room that is there.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use filedb::disk::sim::{Random, Reserve, SimDisk};
use filedb::{Db, Error, IoMode, MergeMode, Options, SyncMode};

use support::runner::histories;

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
            .for_each(|key, value| {
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

#[test]
fn deletes_and_a_merge_make_room_on_a_full_disk() {
    for seed in 0..histories(60) {
        let mut full = Full::new(seed);
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
        full.db.put(b"again", b"there is room").unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        full.held.insert(b"again".to_vec(), b"there is room".to_vec());
        full.fill();
        full.check_all(&format!("seed {seed}, full for the second time"));
    }
}

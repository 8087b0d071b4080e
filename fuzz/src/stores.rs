//! Whole stores: made of bytes, or used as bytes say.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use filedb::disk::sim::{PowerCut, SimDisk};
use filedb::format::names::MANIFEST;
use filedb::{Batch, Db, EngineKind, IoMode, MergeMode, Options};

fn options(first: u8) -> Options {
    Options {
        engine: if first & 1 == 0 { EngineKind::Bitcask } else { EngineKind::Lsm },
        merge: if first & 2 == 0 { MergeMode::Manual } else { MergeMode::Auto },
        io: IoMode::Pread,
        max_file_size: 700,
        lsm_memory: 16 << 10,
        ..Options::default()
    }
}

fn key(n: u8) -> [u8; 2] {
    [b'k', n % 12]
}

/// A store of the bytes' own: what is read, checked and salvaged ends with an answer or an error, whatever was changed in it. Each change is four
/// bytes: which file, where in it (two), and the byte that is put there; where the first is large the file is cut, or all that follows is appended.
pub fn directory(bytes: &[u8]) {
    let Some((first, changes)) = bytes.split_first() else { return };
    let options = options(*first & 1);
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &options).expect("a new store");
    for n in 0..30u8 {
        db.put(key(n), vec![n; usize::from(n) * 3]).expect("room");
        db.push_back(b"list", [n; 9]).expect("room");
        if n % 7 == 0 {
            db.delete(key(n + 1)).expect("room");
        }
    }
    let disk = if first & 4 == 0 { db.close().map(|()| disk).expect("a close") } else { disk.fork() };
    let names: Vec<String> = disk
        .file_names()
        .into_iter()
        .filter(|name| !name.starts_with("RESERVE") && name != "LOCK" && name != "LIVE")
        .collect();
    for change in changes.chunks_exact(4).take(64) {
        let name = &names[usize::from(change[0] & 0x3f) % names.len()];
        let mut file = disk.read_file(name).unwrap_or_default();
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % file.len().max(1);
        match change[0] >> 6 {
            0 | 1 if !file.is_empty() => file[at] = change[3],
            2 => file.truncate(at),
            _ => file.extend_from_slice(changes),
        }
        if name == MANIFEST
            && let Some(end) = file.len().checked_sub(4)
        {
            let crc = crc32fast::hash(&file[..end]);
            file[end..].copy_from_slice(&crc.to_le_bytes());
        }
        disk.write_file(name, file);
    }
    let _ = filedb::check_on(Arc::new(disk.fork()), |_| ControlFlow::Continue(()));
    let _ =
        filedb::salvage_on(Arc::new(disk.fork()), Arc::new(SimDisk::new()), |_| ControlFlow::Continue(()));
    let Ok(db) = Db::open_on(Arc::new(disk.clone()), &options) else { return };
    for n in 0..12 {
        let _ = (db.get(key(n)), db.ttl(key(n)));
    }
    let _ = (db.list_range(b"list", 0, -1), db.list(b""), db.count(), db.stats());
    let _ = (db.put(key(1), b"later"), db.pop_front(b"list"), db.merge(), db.maintain(), db.sync());
    let _ = db.close();
    drop(db);
    assert_eq!(disk.open_files(), 0, "files are still open");
}

/// A history, two bytes for each step: a store does what a map does, and has after a kill, a close or a cut what it must.
pub fn operations(bytes: &[u8]) {
    let Some((first, steps)) = bytes.split_first() else { return };
    let options = options(*first);
    let mut disk = SimDisk::new();
    disk.set_mapped(first & 4 == 0);
    let open = |disk: &SimDisk| Db::open_on(Arc::new(disk.clone()), &options).expect("an opening");
    let mut db = open(&disk);
    let mut held: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut list: Vec<Vec<u8>> = Vec::new();
    for (at, step) in steps.chunks_exact(2).take(200).enumerate() {
        let (what, n) = (step[0], step[1]);
        let (key, value) = (key(n), vec![at as u8; usize::from(step[0] >> 4) * 20 + usize::from(n)]);
        match what & 15 {
            0..4 => {
                db.put(key, &value).expect("a put");
                held.insert(key.to_vec(), value);
            }
            4 => assert_eq!(db.delete(key).expect("a delete"), held.remove(&key[..]).is_some()),
            5 => {
                let mut batch = Batch::new();
                batch.put(key, &value).expect("a put");
                batch.delete([b'k', n / 16 % 12]).expect("a delete");
                db.write(&batch).expect("a batch");
                held.insert(key.to_vec(), value);
                held.remove(&[b'k', n / 16 % 12][..]);
            }
            6 => {
                db.push_back(b"list", &value).expect("a push");
                list.push(value);
            }
            7 => {
                let popped = db.pop_front(b"list").expect("a pop");
                let expected = (!list.is_empty()).then(|| list.remove(0));
                assert_eq!(popped, expected);
            }
            8 => db.merge().expect("a merge"),
            9 => db.maintain().expect("maintenance"),
            10 => {
                db.close().expect("a close");
                db = open(&disk);
            }
            11 => {
                disk = disk.kill();
                db = open(&disk);
            }
            12 => {
                db.sync().expect("a sync");
                disk = disk.power_cut(u64::from(n), PowerCut::ALL[usize::from(n) % PowerCut::ALL.len()]);
                db = open(&disk);
            }
            13 => {
                if db.expire(key, Duration::ZERO).expect("an expiry") {
                    held.remove(&key[..]);
                }
            }
            _ => assert_eq!(db.get(key).expect("a get"), held.get(&key[..]).cloned()),
        }
    }
    for n in 0..12 {
        assert_eq!(db.get(key(n)).expect("a get"), held.get(&key(n)[..]).cloned(), "key {n}");
    }
    let all = held.len() + usize::from(!list.is_empty());
    assert_eq!(db.count().expect("a count"), all as u64);
    db.recount().expect("what is counted is right");
    db.close().expect("a close");
}

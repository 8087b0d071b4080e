//! Files that were changed behind the engine's back: what that costs, and that it is noticed.
use crate::tests::{open, open_without_threads};
use crate::*;
use std::time::Duration;

#[test]
fn a_checkpoint_that_changes_after_the_opening_costs_no_data() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    // Threads would take keys over, and expired ones out.
    let open = || open_without_threads(&dir, &[("max_file_size", "65536")]);
    let key = |n: u32| n.to_be_bytes();
    let brief = PutOptions { ttl: Some(Duration::from_millis(1)), ..PutOptions::default() };
    let db = open();
    for n in (0..3_000u32).chain(0..1_500) {
        db.put(key(n), [n as u8; 40]).unwrap();
    }
    (0..100).for_each(|n| assert!(db.delete(key(n)).unwrap()));
    assert!(db.put_with(b"brief", b"", &brief).unwrap());
    db.close().unwrap();
    let is_mapped = db_is_mapped(dir.path());

    std::thread::sleep(std::time::Duration::from_millis(2));
    let db = open();
    let checkpoint = path.join("CHECKPOINT");
    let flipped: Vec<u8> = std::fs::read(&checkpoint).unwrap().iter().map(|byte| !byte).collect();
    std::fs::OpenOptions::new().write(true).open(&checkpoint).unwrap().write_all_at(&flipped, 0).unwrap();
    assert_eq!(db.merge().is_err(), is_mapped);
    assert_eq!(db.put(key(2_999), [2_999u32 as u8; 40]).is_err(), is_mapped);
    assert_eq!(db.delete(key(2_998)).is_err(), is_mapped);
    // What has expired cannot be taken out, and nobody waits for that.
    assert_eq!(db.count().unwrap(), if is_mapped { 2_901 } else { 2_899 });
    assert_eq!(db.get(b"brief").unwrap(), None);
    db.close().unwrap();

    let db = open();
    for n in 0..3_000u32 {
        let wanted = (n >= 100 && (is_mapped || n != 2_998)).then(|| vec![n as u8; 40]);
        assert_eq!(db.get(key(n)).unwrap(), wanted, "{n}");
    }
    assert_eq!(db.get(b"brief").unwrap(), None);
    db.merge().unwrap();
    db.put(key(2_999), b"again").unwrap();
    db.close().unwrap();
    assert_eq!(open().get(key(2_999)).unwrap().as_deref(), Some(&b"again"[..]));
}

#[test]
fn values_of_any_size_are_copied_right_and_damage_to_any_part_of_them_is_noticed() {
    use std::os::unix::fs::FileExt;
    let sizes = [0, 100, 4_096, 8_191, 8_192, 8_193, 12_288, 65_536, 200_001];
    let value = |size: usize| (0..size).map(|n| (n * 31 + size) as u8).collect::<Vec<u8>>();
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("io", io)]);
        let lasting = PutOptions { ttl: Some(Duration::from_millis(3_600_000)), ..PutOptions::default() };
        let brief = PutOptions { ttl: Some(Duration::from_millis(1)), ..PutOptions::default() };
        for size in sizes {
            db.put(format!("plain {size}").as_bytes(), value(size)).unwrap();
            db.put_with(format!("lasts {size}").as_bytes(), value(size), &lasting).unwrap();
            db.put_with(format!("brief {size}").as_bytes(), value(size), &brief).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(3));
        for size in sizes {
            assert!(db.get(format!("plain {size}").as_bytes()).unwrap() == Some(value(size)), "{io} {size}");
            assert!(db.get(format!("lasts {size}").as_bytes()).unwrap() == Some(value(size)), "{io} {size}");
            assert!(db.get(format!("brief {size}").as_bytes()).unwrap().is_none(), "{io} {size}");
        }
        db.close().unwrap();

        // A byte in the middle of each value, and its last.
        let path = largest_file(&dir.path().join("store"));
        let bytes = std::fs::read(&path).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for size in sizes {
            let name = format!("plain {size}");
            let key_at = bytes.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
            let at = key_at + name.len();
            for byte in [at + size / 2, (at + size).max(at + 1) - 1] {
                let byte = if size == 0 { key_at } else { byte };
                file.write_all_at(&[bytes[byte] ^ 1], byte as u64).unwrap();
                for verify in ["true", "false"] {
                    let db = open(&dir, &[("io", io), ("verify_checksums", verify), ("read_only", "true")]);
                    let got = db.get(name.as_bytes());
                    let is_noticed = matches!(got, Err(Error::Corrupt { .. }));
                    // Another key is noticed always.
                    assert_eq!(is_noticed, verify == "true" || size == 0, "{io} {size} {verify} {got:.80?}");
                    assert!(db.get(b"lasts 8193").unwrap().is_some());
                }
                file.write_all_at(&bytes[byte..byte + 1], byte as u64).unwrap();
            }
        }
    }
}

/// The data file of a store that has one.
fn largest_file(store: &std::path::Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(store).unwrap().map(|file| file.unwrap().path());
    files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[test]
fn a_checkpoint_with_a_made_up_number_of_keys_is_not_believed() {
    use crate::format::checkpoint::{CheckpointHeader, PREFIX_SIZE};
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[]);
    (0..2_000u32).for_each(|n| db.put(n.to_be_bytes(), b"value").unwrap());
    db.close().unwrap();
    let path = dir.path().join("store/CHECKPOINT");
    for records in [1 << 40, u64::MAX / 200, u64::MAX] {
        for (io, read_only) in [("mmap", "true"), ("pread", "true"), ("pread", "false"), ("mmap", "false")] {
            let bytes = std::fs::read(&path).unwrap();
            let sizes = CheckpointHeader::sizes_from_prefix(&bytes[..PREFIX_SIZE]).unwrap();
            let mut header = CheckpointHeader::decode(&bytes[..sizes.header as usize]).unwrap();
            header.roots.iter_mut().for_each(|root| root.records = records);
            let header = header.encode().unwrap();
            let crc = crc32fast::hash(&header).to_le_bytes();
            std::fs::write(&path, [&header[..], &crc, &bytes[sizes.all as usize..]].concat()).unwrap();
            let db = open(&dir, &[("io", io), ("read_only", read_only)]);
            assert!((0..2_000u32).all(|n| db.get(n.to_be_bytes()).unwrap().is_some()), "{io} {read_only}");
            assert_eq!(db.count().unwrap(), 2_000);
            db.close().unwrap();
            if read_only == "true" {
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
}

#[test]
fn a_merge_reads_what_is_dead_only_where_that_may_hide_something() {
    use crate::format::names;
    use std::os::unix::fs::FileExt;
    for (io, hides) in ["mmap", "pread"].into_iter().flat_map(|io| [(io, ""), (io, "delete"), (io, "expiry")])
    {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [("io", io), ("max_file_size", "65536"), ("merge", "manual"), ("sync", "none")];
        let db = open(&dir, &sizes);
        let key = |n: u32| format!("key {n:05}").into_bytes();
        db.put(b"first", b"").unwrap();
        match hides {
            "delete" => assert!(db.delete(b"first").unwrap()),
            "expiry" => {
                let lasting =
                    PutOptions { ttl: Some(Duration::from_millis(3_600_000)), ..PutOptions::default() };
                assert!(db.put_with(b"first", b"", &lasting).unwrap());
            }
            _ => {}
        }
        for n in 0..3_000 {
            db.put(key(n), b"overwritten").unwrap();
        }
        for n in (0..3_000).filter(|n| n % 50 > 0) {
            db.put(key(n), b"again").unwrap();
        }
        let path = dir.path().join("store").join(names::data(1));
        let bytes = std::fs::read(&path).unwrap();
        let dead = bytes.windows(9).position(|part| part == key(77)).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"damaged", dead as u64 + 9).unwrap();
        let merged = db.merge();
        if hides.is_empty() {
            merged.unwrap();
            assert!(!path.exists(), "{io}");
            assert!(db.stats().unwrap().space_amplification() < 1.2, "{io}");
        } else {
            assert!(matches!(merged, Err(Error::Corrupt { .. })), "{io} {hides}");
            assert!(path.exists(), "{io} {hides}");
        }
        let check = |db: &Db| {
            for n in 0..3_000 {
                let wanted: &[u8] = if n % 50 > 0 { b"again" } else { b"overwritten" };
                assert_eq!(db.get(key(n)).unwrap().as_deref(), Some(wanted), "{io} {hides} {n}");
            }
            assert_eq!(db.get(b"first").unwrap().is_none(), hides == "delete", "{io} {hides}");
        };
        check(&db);
        db.close().unwrap();
        check(&open(&dir, &sizes));
        if hides.is_empty() {
            // What the files say by themselves.
            std::fs::remove_file(dir.path().join("store/CHECKPOINT")).unwrap();
            check(&open(&dir, &sizes));
        }
    }
}

/// Whether stores in this directory map their files.
fn db_is_mapped(path: &std::path::Path) -> bool {
    use crate::disk::{Access, Disk, fs};
    std::fs::write(path.join("probe"), [0; 10]).unwrap();
    let disk = fs::FsDisk::open(path, false, fs::Io::Mapped { synced: false }).unwrap();
    disk.open("probe", Access::Read).unwrap().view().is_some()
}

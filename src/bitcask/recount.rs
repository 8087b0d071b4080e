//! Compares the counts of live and dead records that a store keeps with what its files and its index say. For tests.
//!
//! A death that was not counted hides a file from the merge that has to look there for older versions, and so brings a deleted
//! key back; a death that was counted twice lets a merge drop what is alive from its reckoning.
use crate::bitcask::engine::Inside;
use crate::bitcask::engine::expiry::noted;
use crate::format::ALIGNMENT;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::log::append::weight;
use crate::log::file::DataFile;
use crate::log::scan::{End, scan};

/// What was found in one file.
#[derive(Default)]
struct Found {
    records: u64,
    weight: u64,
    live_records: u64,
    live_weight: u64,
    tombstones: u64,
    expiring: u64,
    /// Keys that point here and are noted to expire.
    lines: u64,
    seqs: Option<(u64, u64)>,
}

/// `Err` says where the counts of a store are wrong. Nobody may write, merge or seal meanwhile.
pub fn recount(engine: &Inside<'_>) -> Result<(), String> {
    let (mut live, mut lines) = (0, 0);
    for file in engine.catalog.files.all().map_err(|refused| format!("{refused:?}"))? {
        let found = count(engine, &file)?;
        live += found.live_records;
        lines += found.lines;
        compare(&file, &found).map_err(|why| format!("file {}: {why}", file.id))?;
    }
    let keys = engine.index.len() + engine.elements.index().map_or(0, |elements| elements.len());
    if keys != live {
        return Err(format!("the index has {keys} keys, and points at {live} records"));
    }
    let noted = engine.expiries.len() as u64;
    if noted != lines {
        return Err(format!("{noted} keys are noted to expire, and {lines} do"));
    }
    Ok(())
}

fn count(engine: &Inside<'_>, file: &DataFile) -> Result<Found, String> {
    let (mut found, mut wrong) = (Found::default(), None);
    let scanned = scan(file, FILE_HEADER_SIZE, file.tail(), &mut |frame| {
        let header = &frame.header;
        if !header.kind.is_record() {
            return Ok(());
        }
        let size = weight(header.kind, header.frame_size() / ALIGNMENT).bytes();
        found.records += 1;
        found.weight += size;
        found.tombstones += u64::from(header.kind == Kind::Tombstone);
        found.expiring += u64::from(header.expiry_ms.is_some());
        let (first, last) = found.seqs.unwrap_or((header.seq, header.seq));
        found.seqs = Some((first.min(header.seq), last.max(header.seq)));
        let place = (file.slot, frame.offset / ALIGNMENT);
        let entry = engine.index_of(header.kind).and_then(|index| index.get(engine.hasher.hash(frame.key())));
        if entry.is_some_and(|it| (it.location.slot, u64::from(it.location.units)) == place) {
            found.live_records += 1;
            found.live_weight += size;
            if header.kind != Kind::Element {
                let line = engine.expiries.get(engine.hasher.hash(frame.key()));
                found.lines += u64::from(line.is_some());
                if line != header.expiry_ms.map(noted) {
                    wrong = Some((frame.offset, header.expiry_ms, line));
                }
            }
        }
        Ok(())
    });
    if let Some((offset, expiry_ms, line)) = wrong {
        let id = file.id;
        return Err(format!(
            "what is at {offset} of file {id} expires at {expiry_ms:?}, and is noted for {line:?}"
        ));
    }
    match scanned {
        Ok((_, End::Complete)) => Ok(found),
        Ok((_, End::Damaged { offset, what })) => {
            Err(format!("file {} is damaged at offset {offset}: {what}", file.id))
        }
        Err(error) => Err(format!("file {} cannot be read: {error}", file.id)),
    }
}

fn compare(file: &DataFile, found: &Found) -> Result<(), String> {
    if file.is_replaced() {
        // Nobody counts what is in it any more.
        return match found.live_records {
            0 => Ok(()),
            live => Err(format!("it was merged away, and the index points at {live} records in it")),
        };
    }
    let usage = &file.usage;
    let same = |what: &str, counted: u64, found: u64| {
        if counted == found {
            Ok(())
        } else {
            Err(format!("{counted} {what} are counted, {found} are there"))
        }
    };
    same("records", usage.records(), found.records)?;
    same("bytes of records", usage.weight(), found.weight)?;
    // Tombstones that a merge could not drop count as live.
    let kept = file.kept_tombstones();
    same("live records", usage.live_records(), found.live_records + kept.0)?;
    same("bytes of live records", usage.live_weight(), found.live_weight + kept.1)?;
    if kept.0 > found.tombstones {
        return Err(format!("{} tombstones are kept, {} are there", kept.0, found.tombstones));
    }
    if file.is_plain() && found.tombstones + found.expiring > 0 {
        return Err("it holds tombstones, or records that expire, and does not know".into());
    }
    let seqs = file.seqs();
    if found.seqs.is_some_and(|found| found.0 < seqs.0 || found.1 > seqs.1) {
        return Err(format!("its numbers are {:?}, and it says {seqs:?}", found.seqs));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::index::SizeClass;
    use crate::tests::{open, open_without_threads};
    use crate::*;

    const SET: [(&str, &str); 3] = [("max_file_size", "4096"), ("merge", "manual"), ("sync", "none")];

    /// Writes, deletes, expiries and batches, with merges on the way.
    fn live(db: &Db) {
        for n in 0..2_000u32 {
            let key = (n * 7 % 90).to_le_bytes();
            match n % 9 {
                0 | 1 => drop(db.delete(key).unwrap()),
                2 => {
                    let put = PutOptions {
                        ttl: Some(std::time::Duration::from_millis(u64::from(n % 2) * 3_600_000)),
                        ..PutOptions::default()
                    };
                    assert!(db.put_with(key, n.to_le_bytes(), &put).unwrap());
                }
                3 => {
                    let mut batch = Batch::new();
                    batch.put(key, [3; 40]).unwrap();
                    batch.delete(key).unwrap();
                    batch.put(b"in every batch", [4; 70]).unwrap();
                    db.write(&batch).unwrap();
                }
                4 => drop(db.persist(key).unwrap()),
                _ => db.put(key, vec![5; n as usize % 300]).unwrap(),
            }
            if n % 500 == 499 {
                db.merge().unwrap();
                db.recount().unwrap();
            }
        }
    }

    #[test]
    fn what_is_counted_as_live_is_what_the_index_points_at_also_after_a_reopening() {
        for io in ["mmap", "pread"] {
            let dir = tempfile::tempdir().unwrap();
            let set = [&SET[..], &[("io", io)]].concat();
            let db = open(&dir, &set);
            live(&db);
            db.recount().unwrap();
            db.close().unwrap();
            let db = open(&dir, &set);
            db.recount().unwrap();
            live(&db);
            db.recount().unwrap();
        }
    }

    #[test]
    fn a_death_that_was_not_counted_or_counted_twice_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &SET);
        live(&db);
        (0..30u8).for_each(|n| db.put([n % 20], [n; 30]).unwrap());
        let shell = db.shared().upgrade().unwrap();
        let file = {
            let engine = shell.inside().unwrap();
            let mut files = engine.catalog.files.all().unwrap().into_iter();
            files.find(|file| (2..file.usage.records()).contains(&file.usage.live_records())).unwrap()
        };
        file.usage.died(SizeClass::of_units(4));
        assert!(db.recount().unwrap_err().contains("live records are counted"));
        let usage = &file.usage;
        usage.set(usage.records(), usage.weight(), usage.live_records() + 2, usage.live_weight() + 64);
        assert!(db.recount().unwrap_err().contains("live records are counted"));
    }
}

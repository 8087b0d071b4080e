//! The simulated disk does lose, tear and reorder: a simulator that is too kind proves nothing.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::*;
use crate::disk::{Access, Disk, DiskFile, LockKind};

const NAME: &str = "0000000001.data";
const SEEDS: u64 = 300;

/// A disk on which a file with `synced` in it is durable, name and all; and the file, open.
fn disk_with(synced: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new();
    let file = disk.create(NAME, 1 << 20).unwrap();
    file.write_at(&[synced], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir().unwrap();
    (disk, file)
}

fn read_all(disk: &SimDisk) -> Vec<u8> {
    disk.read_file(NAME).unwrap()
}

/// What the file may hold after a power cut under the policy.
fn outcomes(disk: &SimDisk, policy: PowerCut) -> BTreeSet<Vec<u8>> {
    (0..SEEDS).map(|seed| read_all(&disk.power_cut(seed, policy))).collect()
}

fn set(outcomes: &[&[u8]]) -> BTreeSet<Vec<u8>> {
    outcomes.iter().map(|bytes| bytes.to_vec()).collect()
}

#[test]
fn synced_bytes_and_names_survive_every_power_cut() {
    let (disk, _file) = disk_with(b"synced");
    assert!(!disk.has_unsynced());
    for policy in PowerCut::ALL {
        assert_eq!(outcomes(&disk, policy), set(&[b"synced"]), "{policy:?}");
    }
}

#[test]
fn unsynced_bytes_are_lost_by_a_power_cut_and_not_by_a_kill() {
    let (disk, file) = disk_with(b"old");
    file.write_at(&[b"N", b"EWER"], 0).unwrap();
    assert!(disk.has_unsynced());
    assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[b"old"]));
    assert_eq!(outcomes(&disk, PowerCut::KeepsAll), set(&[b"NEWER"]));
    assert_eq!(read_all(&disk.kill()), b"NEWER");
    assert!(disk.is_off());
    assert_eq!(file.write_at(&[b"x"], 0).unwrap_err().raw_os_error(), Some(OFF));
}

#[test]
fn a_file_whose_name_was_not_synced_may_vanish_though_its_bytes_were() {
    let disk = SimDisk::new();
    let file = disk.create(NAME, 100).unwrap();
    file.write_at(&[b"data"], 0).unwrap();
    file.sync().unwrap();
    assert!(disk.power_cut(1, PowerCut::LosesAll).file_names().is_empty());
    assert!(disk.power_cut(1, PowerCut::KeepsData).file_names().is_empty());
    assert_eq!(read_all(&disk.power_cut(1, PowerCut::KeepsNames)), b"data");
    disk.sync_dir().unwrap();
    assert_eq!(read_all(&disk.power_cut(1, PowerCut::LosesAll)), b"data");
}

#[test]
fn a_synced_name_does_not_save_bytes_that_were_not_synced() {
    let disk = SimDisk::new();
    let file = disk.create(NAME, 100).unwrap();
    file.write_at(&[b"data"], 0).unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(read_all(&disk.power_cut(1, PowerCut::LosesAll)), b"");
    assert_eq!(
        read_all(&disk.power_cut(1, PowerCut::KeepsNames)),
        b"\0\0\0\0",
        "the size is there, the data is not"
    );
}

#[test]
fn a_renaming_is_atomic_and_is_lost_until_the_directory_is_synced() {
    let disk = SimDisk::new();
    disk.write_file("MANIFEST", b"old".to_vec());
    let file = disk.create("MANIFEST.tmp", 100).unwrap();
    file.write_at(&[b"new"], 0).unwrap();
    file.sync().unwrap();
    disk.rename("MANIFEST.tmp", "MANIFEST").unwrap();
    let mut seen = BTreeSet::new();
    for policy in PowerCut::ALL {
        for seed in 0..SEEDS {
            let after = disk.power_cut(seed, policy);
            let manifest =
                after.read_file("MANIFEST").expect("a renaming never leaves the new name without a file");
            seen.insert((manifest, after.read_file("MANIFEST.tmp")));
        }
    }
    let expected =
        [(b"old".to_vec(), None), (b"old".to_vec(), Some(b"new".to_vec())), (b"new".to_vec(), None)];
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn a_removed_file_may_come_back_until_the_directory_is_synced() {
    let (disk, file) = disk_with(b"data");
    disk.remove(NAME).unwrap();
    assert_eq!(disk.read_file(NAME), None);
    let mut buffer = [0; 4];
    file.read_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"data", "whoever has it open goes on reading it");
    assert_eq!(read_all(&disk.power_cut(1, PowerCut::LosesAll)), b"data");
    assert!(disk.power_cut(1, PowerCut::KeepsAll).file_names().is_empty());
    disk.sync_dir().unwrap();
    assert!(disk.power_cut(1, PowerCut::LosesAll).file_names().is_empty());
    assert_eq!(disk.used(), 4);
    drop(file);
    assert_eq!(disk.used(), 0, "the bytes of a removed file go with its last handle");
}

#[test]
fn directory_changes_are_lost_in_any_combination() {
    let disk = SimDisk::new();
    for name in ["a", "b", "c"] {
        disk.create(name, 0).unwrap();
    }
    let seen: BTreeSet<_> =
        (0..SEEDS).map(|seed| disk.power_cut(seed, PowerCut::Scattered(PAGE)).file_names()).collect();
    assert_eq!(seen.len(), 8, "every subset of three creations");
    let seen: BTreeSet<_> =
        (0..SEEDS).map(|seed| disk.power_cut(seed, PowerCut::Torn(PAGE)).file_names()).collect();
    assert_eq!(seen.len(), 4, "every prefix of three creations");
}

#[test]
fn a_torn_write_stops_at_a_unit_of_the_disk() {
    let (disk, file) = disk_with(&[1; 600]);
    file.write_at(&[&[2; 600]], 0).unwrap();
    let torn = |cut: usize| [vec![2; cut], vec![1; 600 - cut]].concat();
    assert_eq!(outcomes(&disk, PowerCut::Torn(SECTOR)), set(&[&torn(0), &torn(512), &torn(600)]));
    assert_eq!(outcomes(&disk, PowerCut::Torn(PAGE)), set(&[&torn(0), &torn(600)]));
    let bytewise = outcomes(&disk, PowerCut::Torn(1));
    assert!(bytewise.contains(&torn(600)) && bytewise.len() > 100);
    assert!(
        bytewise.iter().all(|bytes| bytes.windows(2).all(|pair| pair != [1, 2])),
        "a torn write is a prefix"
    );
}

#[test]
fn later_pages_may_be_on_the_disk_before_earlier_ones() {
    let page = PAGE as usize;
    let (disk, file) = disk_with(&vec![0; 3 * page]);
    for (fill, index) in [1u8, 2, 3].into_iter().zip(0..) {
        file.write_at(&[&vec![fill; page]], index * PAGE).unwrap();
    }
    let firsts = |bytes: &Vec<u8>| [bytes[0], bytes[page], bytes[2 * page]];
    let newest: BTreeSet<_> = outcomes(&disk, PowerCut::NewestFirst(PAGE)).iter().map(firsts).collect();
    assert_eq!(newest, BTreeSet::from([[0, 0, 0], [0, 0, 3], [0, 2, 3], [1, 2, 3]]));
    let scattered: BTreeSet<_> = outcomes(&disk, PowerCut::Scattered(PAGE)).iter().map(firsts).collect();
    assert_eq!(scattered.len(), 8, "every subset of three pages");
}

#[test]
fn a_page_may_hold_any_version_it_had_since_the_last_sync() {
    let (disk, file) = disk_with(b"0");
    for version in [b"1", b"2", b"3"] {
        file.write_at(&[version], 0).unwrap();
    }
    assert_eq!(outcomes(&disk, PowerCut::Scattered(PAGE)), set(&[b"0", b"1", b"2", b"3"]));
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, PowerCut::Scattered(PAGE)), set(&[b"3"]));
}

#[test]
fn the_size_is_lost_or_kept_apart_from_the_data() {
    let (disk, file) = disk_with(b"ab");
    file.write_at(&[b"cd"], 2).unwrap();
    assert_eq!(outcomes(&disk, PowerCut::Scattered(PAGE)), set(&[b"ab", b"abcd", b"ab\0\0"]));
    file.truncate(1).unwrap();
    let cut = outcomes(&disk, PowerCut::Scattered(1));
    assert!(cut.contains(b"ab".as_slice()), "the cut was lost");
    assert!(cut.contains(b"a".as_slice()), "the cut was kept");
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, PowerCut::Scattered(1)), set(&[b"a"]), "a synced cut brings nothing back");
}

#[test]
fn a_file_cut_and_written_again_may_mix_both_contents_until_it_is_synced() {
    let (disk, file) = disk_with(b"stale");
    file.truncate(1).unwrap();
    file.write_at(&[b"XY"], 1).unwrap();
    let seen = outcomes(&disk, PowerCut::Scattered(1));
    assert!(seen.contains(b"sXYle".as_slice()), "phantom bytes behind a tail that was cut and not synced");
    assert!(seen.contains(b"sXY".as_slice()));
}

#[test]
fn reserved_bytes_are_zeros_and_are_lost_like_any_size() {
    let (disk, file) = disk_with(b"ab");
    file.reserve(10).unwrap();
    assert_eq!(file.size().unwrap(), PAGE, "whole pages are reserved");
    assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[b"ab"]));
    file.sync().unwrap();
    let mut reserved = b"ab".to_vec();
    reserved.resize(PAGE as usize, 0);
    assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[&reserved]));

    let exact = SimDisk::new();
    exact.set_reserve(Reserve::Exact);
    let file = exact.create(NAME, 100).unwrap();
    file.reserve(10).unwrap();
    file.reserve(5).unwrap();
    assert_eq!(file.size().unwrap(), 10);
}

#[test]
fn pages_of_a_failed_sync_are_gone_though_the_next_sync_succeeds() {
    let (disk, file) = disk_with(b"old");
    file.write_at(&[b"new"], 0).unwrap();
    disk.fail(Fault::once(1, libc::EIO).of(&[Kind::Sync]));
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(libc::EIO));
    file.sync().unwrap();
    assert_eq!(read_all(&disk), b"new", "processes read them from the cache");
    assert_eq!(read_all(&disk.kill()), b"new", "the next process as well");
    assert_eq!(
        outcomes(&disk, PowerCut::KeepsAll),
        set(&[b"old"]),
        "and the next machine does not find them"
    );
    assert_eq!(disk.failures().len(), 1);
}

#[test]
fn a_failed_sync_leaves_a_hole_of_zeros_below_later_synced_bytes() {
    let (disk, file) = disk_with(b"a");
    file.write_at(&[b"b"], 1).unwrap();
    disk.fail(Fault::once(1, libc::EIO).of(&[Kind::Sync]));
    file.sync().unwrap_err();
    file.write_at(&[b"c"], 2).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[b"a\0c"]));
}

#[test]
fn a_failed_sync_may_keep_its_pages_or_drop_them_from_the_cache_at_once() {
    for (what, read, durable) in
        [(FailedSync::KeepsPages, b"new", b"new"), (FailedSync::DropsPages, b"old", b"old")]
    {
        let (disk, file) = disk_with(b"old");
        disk.set_failed_sync(what);
        file.write_at(&[b"new"], 0).unwrap();
        disk.fail(Fault::once(1, libc::EIO).of(&[Kind::Sync]));
        file.sync().unwrap_err();
        assert_eq!(read_all(&disk), read, "{what:?}");
        file.sync().unwrap();
        assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[durable]), "{what:?}");
    }
}

#[test]
fn a_fault_hits_the_operation_it_names_once_or_from_then_on() {
    let (disk, file) = disk_with(b"");
    let next = disk.operations() + 1;
    disk.fail(Fault::once(next + 1, libc::EMFILE));
    let outcomes: Vec<_> = (0..3).map(|i| file.write_at(&[b"x"], i).is_ok()).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert!(!disk.has_faults());

    let next = disk.operations() + 1;
    disk.fail(Fault::from_then_on(next + 1, libc::EIO).of(&[Kind::Write]));
    let outcomes: Vec<_> = (0..3).map(|i| file.write_at(&[b"x"], i).is_ok()).collect();
    assert_eq!(outcomes, [true, false, false]);
    file.sync().unwrap();
    disk.repair();
    file.write_at(&[b"x"], 0).unwrap();
}

#[test]
fn a_short_write_leaves_a_part_of_its_bytes() {
    let (disk, file) = disk_with(b"");
    disk.fail(Fault::once(1, libc::ENOSPC).of(&[Kind::Write]).with_short_writes());
    assert_eq!(file.write_at(&[b"abcd"], 0).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(read_all(&disk), b"ab");
    disk.fail(Fault::once(1, libc::ENOSPC).of(&[Kind::Write]));
    file.write_at(&[b"efgh"], 0).unwrap_err();
    assert_eq!(read_all(&disk), b"ab", "a write that fails at once leaves nothing");
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_takes_it_when_there_is_room() {
    let (disk, file) = disk_with(b"ab");
    disk.set_room(Some(6));
    disk.set_reserve(Reserve::Exact);
    assert_eq!(file.reserve(7).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(file.size().unwrap(), 2, "after a failure nothing has changed");
    assert_eq!(file.write_at(&[b"cdefgh"], 2).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(read_all(&disk), b"abcdef");
    file.write_at(&[b"AB"], 0).unwrap();
    file.truncate(2).unwrap();
    file.write_at(&[b"CDEF"], 2).unwrap();
    disk.set_room(None);
    file.write_at(&[b"GH"], 6).unwrap();
    assert_eq!(read_all(&disk), b"ABCDEFGH");
}

#[test]
fn a_crash_at_an_operation_freezes_the_disk_before_it() {
    let (disk, file) = disk_with(b"");
    disk.crash_at(disk.operations() + 2);
    file.write_at(&[b"a"], 0).unwrap();
    assert!(!disk.is_off());
    for _ in 0..2 {
        assert_eq!(file.write_at(&[b"b"], 1).unwrap_err().raw_os_error(), Some(OFF));
    }
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(OFF));
    assert!(disk.is_off());
    assert_eq!(read_all(&disk.kill()), b"a");
    assert_eq!(outcomes(&disk, PowerCut::LosesAll), set(&[b""]));
}

#[test]
fn images_show_the_disk_before_every_change_and_in_the_middle_of_writes() {
    let (disk, file) = disk_with(b"");
    let before = disk.operations();
    disk.capture_images(7);
    file.write_at(&[b"abcdefgh"], 0).unwrap();
    file.size().unwrap();
    file.sync().unwrap();
    let images = disk.take_images();
    let found: Vec<_> = images.iter().map(|image| (image.operation - before, image.midway)).collect();
    assert_eq!(found, [(1, false), (1, true), (3, false)]);
    assert_eq!(read_all(&images[0].disk), b"");
    assert_ne!(read_all(&images[1].disk), b"abcdefgh");
    assert_eq!(read_all(&images[2].disk), b"abcdefgh");
    assert_eq!(outcomes(&images[2].disk, PowerCut::LosesAll), set(&[b""]), "what the sync was about to save");
    file.write_at(&[b"i"], 8).unwrap();
    assert!(disk.take_images().is_empty());
    assert_eq!(read_all(&images[2].disk), b"abcdefgh", "an image does not change");
}

#[test]
fn the_lock_keeps_others_out_and_is_released_by_a_crash() {
    let disk = SimDisk::new();
    let refused = |kind| disk.lock(kind).err().map(|error| error.kind());
    let exclusive = disk.lock(LockKind::Exclusive).unwrap();
    assert_eq!(refused(LockKind::Exclusive), Some(io::ErrorKind::WouldBlock));
    assert_eq!(refused(LockKind::Shared), Some(io::ErrorKind::WouldBlock));
    drop(exclusive);
    let shared = (disk.lock(LockKind::Shared).unwrap(), disk.lock(LockKind::Shared).unwrap());
    assert_eq!(refused(LockKind::Exclusive), Some(io::ErrorKind::WouldBlock));
    disk.fork().lock(LockKind::Exclusive).unwrap();
    disk.power_cut(1, PowerCut::KeepsAll).lock(LockKind::Exclusive).unwrap();
    let next = disk.kill();
    drop(shared);
    let _held = next.lock(LockKind::Exclusive).unwrap();
    assert!(next.lock(LockKind::Exclusive).is_err());
}

#[test]
fn names_are_refused_as_a_file_system_refuses_them() {
    let (disk, _file) = disk_with(b"");
    let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    assert_eq!(errno(disk.create(NAME, 1).map(drop)), Some(libc::EEXIST));
    assert_eq!(errno(disk.open("missing", Access::Read).map(drop)), Some(libc::ENOENT));
    assert_eq!(errno(disk.rename("missing", "b")), Some(libc::ENOENT));
    assert_eq!(errno(disk.remove("missing")), Some(libc::ENOENT));
    let end = disk.open(NAME, Access::Read).unwrap().read_at(&mut [0], 0).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn callers_that_break_the_contract_are_caught() {
    let (disk, file) = disk_with(b"a");
    let reader = disk.open(NAME, Access::Read).unwrap();
    let appender = disk.open(NAME, Access::Append { capacity: 4 }).unwrap();
    file.seal().unwrap();
    let panics = |call: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err();
    assert!(panics(&|| drop(reader.write_at(&[b"x"], 0))), "writing what was opened for reading");
    assert!(panics(&|| drop(appender.write_at(&[b"xxxxx"], 0))), "writing past the capacity");
    assert!(panics(&|| drop(file.write_at(&[b"x"], 0))), "writing what was sealed");
    assert!(!panics(&|| appender.write_at(&[b"bcd"], 1).unwrap()));
    assert_eq!(disk.open_files(), 3);
    drop((file, reader, appender));
    assert_eq!(disk.open_files(), 0);
}

#[test]
fn the_clock_jumps_both_ways_and_the_cheap_one_lags() {
    let disk = SimDisk::new();
    disk.set_clock_ms(1_003);
    assert_eq!((disk.now_ms(true), disk.now_ms(false)), (1_003, 1_000));
    disk.advance_clock_ms(10);
    assert_eq!(disk.now_ms(true), 1_013);
    disk.set_clock_ms(5);
    assert_eq!(disk.power_cut(1, PowerCut::KeepsAll).now_ms(true), 5);
}

#[test]
fn the_same_seed_gives_the_same_image_and_another_seed_another() {
    let (disk, file) = disk_with(&[0; 9_000]);
    for i in 0..30u8 {
        file.write_at(&[&[i + 1; 300]], u64::from(i) * 290).unwrap();
    }
    for policy in PowerCut::ALL {
        for seed in 0..20 {
            let image = || read_all(&disk.power_cut(seed, policy));
            assert_eq!(image(), image(), "{policy:?} {seed}");
        }
    }
    assert!(outcomes(&disk, PowerCut::Mixed).len() > 100);
}

#[test]
fn the_trace_tells_what_was_asked_and_how_it_ended() {
    let (disk, file) = disk_with(b"ab");
    disk.fail(Fault::once(1, libc::EIO).of(&[Kind::Read]));
    file.read_at(&mut [0], 1).unwrap_err();
    let trace = disk.trace_text(u64::MAX);
    assert!(trace.contains("1 Create 0000000001.data\n"), "{trace}");
    assert!(trace.contains("2 Write 0000000001.data 2 bytes at 0\n"), "{trace}");
    // In the words of the C library.
    let reason = io::Error::from_raw_os_error(libc::EIO).to_string();
    let reason = reason.split(" (os").next().unwrap();
    assert!(trace.contains(&format!("5 Read 0000000001.data 1 bytes at 1 -> {reason}")), "{trace}");
    assert_eq!(disk.trace_text(1).lines().count(), 1);
}

#[test]
fn random_bytes_come_again_with_the_same_history_and_never_in_the_next_life() {
    let draw = |disk: &SimDisk| disk.random().unwrap();
    let (one, other) = (disk_with(b"").0, disk_with(b"").0);
    assert_eq!(draw(&one), draw(&other));
    let drawn: BTreeSet<_> =
        [&one, &one.fork(), &one.power_cut(1, PowerCut::KeepsAll), &one.kill().kill()].map(draw).into();
    assert_eq!(
        drawn.len(),
        3,
        "a fork and a power cut at one moment go on alike, and unlike what they came from"
    );
}

//! What [`DiskFile`] promises holds for every implementation: plain, mapped and simulated.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::fs::{FsDisk, Io};
use super::mapped::{MappedFile, Writes};
use super::memory::MemoryDisk;
use super::own_file::OwnFile;
use super::sim::SimDisk;
use super::{Access, Disk, DiskFile, Room};

const CAPACITY: u64 = 256 << 10;

/// What is done to a file; places are fractions of its writable part in 1/255.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Rewrite(u8, u8),
    Cut(u8),
    Reserve(u64),
    Prepare,
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..20_000).prop_map(Step::Append),
        2 => any::<(u8, u8)>().prop_map(|(from, to)| Step::Rewrite(from, to)),
        1 => any::<u8>().prop_map(Step::Cut),
        1 => (0u64..100_000).prop_map(Step::Reserve),
        1 => Just(Step::Prepare),
        1 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 1..30)
}

fn each_implementation(directory: &Path) -> Vec<(&'static str, Arc<dyn DiskFile>)> {
    let open = std::fs::OpenOptions::new().read(true).write(true).create_new(true).clone();
    let mapped = |name: &str, writes| -> Arc<dyn DiskFile> {
        let file = open.open(directory.join(name)).expect("a file can be created");
        let file = OwnFile::new(file).expect("it can be taken over");
        Arc::new(MappedFile::appendable(file, CAPACITY, writes).expect("a file can be mapped"))
    };
    let plain = FsDisk::open(directory, false, Io::Plain).expect("the directory can be opened");
    vec![
        ("mapped", mapped("mapped", Writes::Mapped)),
        ("mapped for reading", mapped("mapped for reading", Writes::Descriptor)),
        ("plain", plain.create("plain", CAPACITY).expect("a file can be created")),
        (
            "memory",
            MemoryDisk::new("memory://".into(), 1 << 30)
                .create("file", CAPACITY)
                .expect("a file can be created"),
        ),
        ("simulated", SimDisk::new().create("0000000001.data", CAPACITY).expect("a file can be created")),
    ]
}

fn read(file: &dyn DiskFile, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    file.read_at(&mut bytes, 0).expect("what was written can be read");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_can_be_read_whatever_was_done_since(steps in steps()) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for (name, file) in each_implementation(directory.path()) {
            let mut model: Vec<u8> = Vec::new();
            // Nothing below it is cut any more.
            let mut prepared = 0;
            for (n, step) in steps.iter().enumerate() {
                let place = |fraction: u8| prepared + (model.len() - prepared) * usize::from(fraction) / 255;
                match *step {
                    Step::Append(len) => {
                        let len = len.min(CAPACITY as usize - model.len());
                        let bytes = vec![n as u8 + 1; len];
                        let at = model.len() as u64;
                        file.reserve(at + len as u64).expect("there is room");
                        file.write_at(&[&bytes[..len / 2], &bytes[len / 2..]], at).expect("it can be written");
                        model.extend(bytes);
                    }
                    Step::Rewrite(from, to) => {
                        let end = |fraction: u8| (model.len() * usize::from(fraction) / 255) as u64;
                        file.rewrite(end(from.min(to)), end(from.max(to))).expect("it can be written again");
                    }
                    Step::Cut(to) => {
                        let to = place(to);
                        file.truncate(to as u64).expect("it can be cut");
                        model.truncate(to);
                        prop_assert_eq!(file.size().expect("it has a size"), to as u64, "{}", name);
                    }
                    Step::Reserve(more) => {
                        let end = (model.len() as u64 + more).min(CAPACITY);
                        file.reserve(end).expect("there is room");
                    }
                    Step::Prepare => {
                        prepared = model.len();
                        let room = Room { bytes: 1 << n.min(30), in_bulk: n.is_multiple_of(2) };
                        file.prepare(prepared as u64, room).expect("it can be prepared");
                    }
                    Step::Sync => file.sync().expect("it can be synced"),
                }
                prop_assert_eq!(&read(file.as_ref(), model.len()), &model, "{} after {:?}", name, step);
                if let Some(view) = file.view() {
                    prop_assert_eq!(view.get(0, model.len() as u64), Some(&model[..]), "{}", name);
                }
            }
        }
    }
}

#[test]
fn what_was_written_ahead_of_which_huge_pages_were_prepared_can_be_read() {
    const MIB: u64 = 1 << 20;
    let directory = tempfile::tempdir().expect("a directory can be made");
    let open = std::fs::OpenOptions::new().read(true).write(true).create_new(true).clone();
    let file = open.open(directory.path().join("mapped")).expect("a file can be created");
    // The last huge page is not whole.
    let capacity = 31 * MIB;
    let file = OwnFile::new(file).expect("it can be taken over");
    let file = MappedFile::appendable(file, capacity, Writes::Mapped).expect("a file can be mapped");
    let mut model: Vec<u8> = Vec::new();
    let mut step = 0u64;
    while (model.len() as u64) < capacity {
        let at = model.len() as u64;
        step += 1;
        // Small ones, so that they go through the mapping; far enough at times to overtake what was prepared.
        for n in 0..if step.is_multiple_of(5) { 1_500 } else { 100 } {
            let at = model.len() as u64;
            let bytes = vec![(step * 7 + n) as u8; 4_000.min(capacity - at) as usize];
            file.reserve(at + bytes.len() as u64).expect("there is room");
            file.write_at(&[&bytes], at).expect("it can be written");
            model.extend(bytes);
        }
        match step % 4 {
            0 => file.sync().expect("it can be synced"),
            _ => file
                .prepare(model.len() as u64, Room { bytes: 12 * MIB, in_bulk: !step.is_multiple_of(7) })
                .expect("it can be prepared"),
        }
        let view = file.view().expect("it is mapped");
        assert!(view.get(at, model.len() as u64 - at) == Some(&model[at as usize..]), "step {step}");
    }
    // In the middle of a huge page, as when a file is sealed.
    model.truncate(21 * MIB as usize + 12_345);
    file.prepare(model.len() as u64, Room::default()).expect("it can be prepared");
    file.truncate(model.len() as u64).expect("it can be cut");
    file.sync().expect("it can be synced");
    file.seal().expect("it can be sealed");
    assert!(read(&file, model.len()) == model);
    assert_eq!(std::fs::read(directory.path().join("mapped")).expect("it can be read").len(), model.len());
}

#[test]
fn what_the_disk_cannot_give_is_noticed_before_it_is_read() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let disk = FsDisk::open(directory.path(), false, Io::Mapped { synced: false }).expect("it can be opened");
    let path = directory.path().join("mapped");
    std::fs::write(&path, vec![7; 100_000]).expect("a file can be written");
    let file = disk.open("mapped", super::Access::Read).expect("it can be opened");
    let Some(view) = file.view() else {
        return eprintln!("NOT RUN: nothing is mapped in {}", path.display());
    };
    assert!(view.load(0, 100_000) && view.load(50_000, 100_000) && view.load(3, 3));
    view.let_go();
    assert_eq!(view.get(99_000, 1_000), Some(&[7; 1_000][..]));
    // As where the disk fails: a page that is mapped and cannot be had.
    let short = std::fs::OpenOptions::new().write(true).open(&path).expect("it can be opened for writing");
    short.set_len(4_096).expect("it can be cut");
    assert!(view.load(0, 4_096));
    assert!(!view.load(50_000, 100_000) || cfg!(not(target_os = "linux")));
}

/// A memory file system refuses more than it has before it gives anything, and punches holes: what is left of a file after a
/// reservation that failed shows which part of it was given back.
#[test]
#[cfg(target_os = "linux")]
fn a_reservation_that_fails_takes_nothing_of_what_was_in_a_file_that_is_opened_again() {
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
    let too_much = more_than_all_of(directory.path());
    for io in [Io::Plain, Io::Mapped { synced: false }] {
        let name = "0000000001.data";
        let content = vec![7; 300 << 10];
        std::fs::write(directory.path().join(name), &content).expect("a file can be written");
        let disk = FsDisk::open(directory.path(), false, io).expect("the directory can be opened");
        let file = disk.open(name, Access::Append { capacity: too_much }).expect("the file can be opened");
        let failed = file.reserve(too_much).expect_err("so much room there is not");
        assert_eq!(failed.raw_os_error(), Some(libc::ENOSPC));
        assert!(read(&*file, content.len()) == content);
        // And it can be written to as before.
        let end = content.len() as u64;
        file.reserve(end + 4).expect("a little room there is");
        file.write_at(&[b"more"], end).expect("and can be used");
        assert!(read(&*file, content.len() + 4).ends_with(b"\x07more"));
    }
}

/// More bytes than the file system of a directory has, used or free. No more than that: with ThreadSanitizer a process has few
/// addresses.
#[cfg(target_os = "linux")]
fn more_than_all_of(directory: &std::path::Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(directory.as_os_str().as_bytes()).expect("a path has no NUL");
    // SAFETY: statvfs is plain data for which all zeros is a valid value.
    let mut stat: libc::statvfs64 = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; the path ends with a zero byte.
    assert_eq!(unsafe { libc::statvfs64(path.as_ptr(), &mut stat) }, 0);
    // One without a limit says that it has nothing: then more than any machine has memory.
    if stat.f_blocks == 0 { 1 << 42 } else { stat.f_blocks * stat.f_frsize as u64 + (1 << 20) }
}

#[test]
#[cfg(target_os = "linux")]
fn files_that_cannot_have_blocks_reserved_are_known() {
    let written = |path: &std::path::Path| {
        std::fs::OpenOptions::new().write(true).open(path).expect("it can be opened for writing")
    };
    // A file whose file system has no such operation, like ext2.
    let without = written(std::path::Path::new("/proc/self/comm"));
    assert!(!super::fs::can_reserve(&without).expect("its size is known"));
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
    let path = directory.path().join("file");
    std::fs::write(&path, [7; 100]).expect("a file can be written");
    assert!(super::fs::can_reserve(&written(&path)).expect("its size is known"));
    assert_eq!(std::fs::read(&path).expect("it can be read"), [7; 100]);
}

#[test]
fn a_complete_file_can_be_completed_again_and_does_not_change_its_size() {
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    for (name, file) in each_implementation(directory.path()) {
        file.reserve(100).expect("there is room");
        file.write_at(&[&[1; 100]], 0).expect("which can be written to");
        for _ in 0..2 {
            file.prepare(100, Room::default()).expect("nothing is in the way");
            file.truncate(100).unwrap_or_else(|e| panic!("{name}: {e}"));
            file.sync().expect("it can be synced");
            file.seal().expect("and completed");
        }
        assert!(name == "simulated" || file.truncate(50).is_err(), "{name}");
        assert_eq!(read(&*file, 100), [1; 100], "{name}");
    }
}

//! Stores whose data does not fit into the memory of their process, or is not in it: what is read of the disk is what was asked for, and
//! no process is killed for what the library keeps in memory.
//!
//! Each test starts this program again as a child, in a control group where there is a limit, and reads what it reports: a process knows
//! how much it had read of the disk. Where no such group can be made, or the directory for temporary files is on no disk, a test says that it
//! was NOT RUN.

#![allow(clippy::unwrap_used, reason = "what fails in a test ends it")]

mod support;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use filedb::disk::sim::Random;
use filedb::{Db, Options};

use support::control_group::ControlGroup;

/// The environment variable that makes this program a child: what it does, the store, the options, the group.
const CHILD: &str = "FILEDB_TEST_LARGER_THAN_MEMORY";
const PAGE: u64 = 4096;

/// What a child reports.
#[derive(Debug)]
struct Report {
    /// Bytes that came from the disk.
    read: u64,
    /// Faults that waited for it.
    faults: u64,
    operations: u64,
}

/// Runs one of the jobs at the end of this file in a process of its own.
fn run(job: &str, store: &Path, options: &str, group: Option<&ControlGroup>) -> Report {
    let members = group.map(|group| group.members().display().to_string()).unwrap_or_default();
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{job}|{}|{options}|{members}", store.display()))
        .stdin(Stdio::null())
        .output()
        .expect("running the child");
    let text = String::from_utf8_lossy(&child.stdout);
    assert_ne!(
        child.status.signal(),
        Some(libc::SIGKILL),
        "{job}, {options}: killed, most likely for its memory"
    );
    assert!(child.status.success(), "{job}, {options}: {text}{}", String::from_utf8_lossy(&child.stderr));
    let numbers = text.lines().find_map(|line| line.split_once("report ")).expect("a report").1;
    let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
    Report { read: numbers[0], faults: numbers[1], operations: numbers[2] }
}

fn limited(bytes: u64) -> Option<ControlGroup> {
    ControlGroup::new(bytes)
        .inspect_err(|error| {
            eprintln!("NOT RUN: no control group with a limit of memory can be made here: {error}")
        })
        .ok()
}

#[test]
fn a_store_of_many_keys_lives_in_a_process_of_little_memory() {
    let Some(group) = limited(24 << 20) else { return };
    for options in ["io=mmap,sync=none", "io=pread,sync=interval"] {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        run("load", &store, options, Some(&group));
        run("overwrite", &store, options, Some(&group));
        // What a killed process leaves is read again, and what is left of the limit is enough for that.
        run("die", &store, options, Some(&group));
        run("scan", &store, options, Some(&group));
    }
}

/// A store that is on the disk and not in memory. `None` where files are on no disk.
fn store_on_disk(value_size: u64, keys: u64) -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let db = Db::open(&store, &Options::default()).unwrap();
    (0..keys).for_each(|n| db.put(key(n), value(n, value_size)).unwrap());
    db.close().unwrap();
    drop_from_memory(&store);
    let read = run("gets_at_first", &store, "io=pread", None).read;
    if read == 0 {
        eprintln!("NOT RUN: {} is on no disk that tells what is read from it", dir.path().display());
        return None;
    }
    Some(dir)
}

/// Takes the pages of all files out of the kernel's memory.
fn drop_from_memory(store: &Path) {
    for entry in fs::read_dir(store).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        // SAFETY: the descriptor is open.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}

#[test]
fn a_get_reads_its_record_from_the_disk_and_not_what_is_around_it() {
    let Some(dir) = store_on_disk(500, 100_000) else { return };
    let store = dir.path().join("store");
    for io in ["io=mmap", "io=pread"] {
        for job in ["gets", "gets_beside_a_scan"] {
            drop_from_memory(&store);
            let report = run(job, &store, io, None);
            let pages = report.read as f64 / PAGE as f64 / report.operations as f64;
            // One record in eight lies in two pages.
            assert!(pages < 1.5, "{job}, {io}: {pages:.2} pages for each get, {report:?}");
        }
    }
}

#[test]
fn a_large_record_is_read_in_one_request() {
    let Some(dir) = store_on_disk(60_000, 500) else { return };
    let store = dir.path().join("store");
    for io in ["io=mmap", "io=pread"] {
        drop_from_memory(&store);
        let report = run("gets", &store, io, None);
        let pages = report.read as f64 / PAGE as f64 / report.operations as f64;
        // It has 15 or 16 pages.
        assert!(pages < 17.5, "{io}: {pages:.2} pages for each get, {report:?}");
        let faults = report.faults as f64 / report.operations as f64;
        assert!(faults < 2.0, "{io}: each get waited for {faults:.2} faults, {report:?}");
    }
}

#[test]
fn who_reads_everything_asks_for_much_at_once() {
    let Some(dir) = store_on_disk(500, 100_000) else { return };
    let store = dir.path().join("store");
    for (job, options) in [
        ("scan", "io=mmap"),
        ("rebuild", "io=mmap,read_only=true"),
        ("open", "io=mmap"),
        ("scan", "io=pread"),
        ("rebuild", "io=pread,read_only=true"),
    ] {
        drop_from_memory(&store);
        let checkpoint = fs::read(store.join("CHECKPOINT")).unwrap();
        if job == "rebuild" {
            fs::remove_file(store.join("CHECKPOINT")).unwrap();
        }
        let report = run(if job == "rebuild" { "open" } else { job }, &store, options, None);
        fs::write(store.join("CHECKPOINT"), checkpoint).unwrap();
        assert!(report.faults < 500, "{job}, {options}: {report:?}");
        assert!(report.read < 3 * 100_000 * 540, "{job}, {options}: {report:?}");
    }
}

/// What the children do.
#[test]
fn the_child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [job, store, options, group] = task.split('|').collect::<Vec<_>>()[..] else { panic!("{task}") };
    if !group.is_empty() {
        fs::write(group, std::process::id().to_string()).unwrap();
    }
    let mut settings = Options::default();
    for (name, value) in options.split(',').map(|option| option.split_once('=').unwrap()) {
        settings.set(name, value).unwrap();
    }
    // What this program needs of itself is read before it is counted.
    warm_up(&settings);
    let before = (bytes_read(), waited_for());
    let db = Db::open(store, &settings).unwrap();
    let mut of_others = 0;
    let operations = work(job, &db, &mut of_others);
    let after = (bytes_read(), waited_for());
    println!("report {} {} {operations}", after.0 - before.0 - of_others, after.1 - before.1);
    if job != "die" {
        db.close().unwrap();
        return;
    }
    // SAFETY: ends this process.
    unsafe { libc::_exit(0) };
}

const MANY: u64 = 411_000;

/// Gives how many operations were done; `of_others` is what was read for others.
fn work(job: &str, db: &Db, of_others: &mut u64) -> u64 {
    let get = |n: u64, len: usize| assert_eq!(db.get(key(n)).unwrap().map(|value| value.len()), Some(len));
    match job {
        "load" | "overwrite" => {
            for n in 0..MANY {
                let n = if job == "load" { n } else { n * 7_919 % MANY };
                db.put(key(n), value(n, 100)).unwrap();
            }
            for n in (0..MANY).step_by(MANY as usize / 500) {
                get(n, 100);
            }
            MANY
        }
        "die" => {
            (0..MANY / 2).for_each(|n| db.put(key(n), value(n, 100)).unwrap());
            MANY / 2
        }
        "open" => 1,
        "scan" => {
            let (mut rows, keys) = (0, db.count().unwrap());
            db.iter(b"")
                .unwrap()
                .visit_rows(|key, row| {
                    let n = u64::from_le_bytes(key[8..].try_into().unwrap());
                    assert!(row == value(n, row.len() as u64));
                    rows += 1;
                    true
                })
                .unwrap();
            assert_eq!(rows, keys);
            rows
        }
        "gets_at_first" => {
            (0..20).for_each(|n| drop(db.get(key(n)).unwrap().unwrap()));
            20
        }
        "gets" | "gets_beside_a_scan" => {
            let keys = db.count().unwrap();
            let mut random = Random::new(7);
            let mut rows = db.iter(b"").unwrap();
            let count = (keys / 2).min(2_000);
            for n in 0..count {
                assert!(db.get(key(random.below(keys))).unwrap().is_some());
                if job == "gets_beside_a_scan" && n % 10 == 0 {
                    let begun = bytes_read();
                    rows.next_row().unwrap();
                    *of_others += bytes_read() - begun;
                }
            }
            count
        }
        _ => panic!("{job}"),
    }
}

fn key(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    key
}

fn value(n: u64, len: u64) -> Vec<u8> {
    vec![(n % 251) as u8; len as usize]
}

fn warm_up(settings: &Options) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { read_only: false, ..settings.clone() };
    let db = Db::open(dir.path().join("store"), &options).unwrap();
    (0..100).for_each(|n| db.put(key(n), value(n, 10_000)).unwrap());
    (0..100).for_each(|n| drop(db.get(key(n)).unwrap()));
    db.iter(b"").unwrap().visit_rows(|_, _| true).unwrap();
    db.close().unwrap();
    let db = Db::open(dir.path().join("store"), settings).unwrap();
    (0..100).for_each(|n| drop(db.get(key(n)).unwrap()));
    db.close().unwrap();
}

/// Bytes that this process had read from disks.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("read_bytes: ")).unwrap().parse().unwrap()
}

/// Faults of this process that waited for a disk.
fn waited_for() -> u64 {
    // SAFETY: rusage is plain data for which all zeros is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid rusage.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    usage.ru_majflt as u64
}

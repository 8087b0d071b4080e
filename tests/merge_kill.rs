//! A process that is killed at any system call of a merge leaves the old set of files or the new one.
//!
//! The child traces itself to its parent (ptrace), which counts the system calls of all its threads between two marks and
//! kills it at the n-th, for every n. No clock is involved, so every run meets the same moments.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use filedb::{Db, Options};

const CHILD: &str = "FILEDB_MERGE_KILL_STORE";

fn options(io: &str) -> Options {
    let mut options = Options::default();
    for (name, value) in [("io", io), ("max_file_size", "4096"), ("merge", "manual"), ("sync", "none")] {
        options.set(name, value).unwrap();
    }
    options
}

/// A store with much dead in it, and what must be found in it.
fn prepare(path: &Path, io: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = Db::open(path, &options(io)).unwrap();
    let mut expected = BTreeMap::new();
    for round in 0..6u32 {
        for n in (0..60u32).filter(|n| (n + round) % 3 != 0) {
            let (key, value) =
                (format!("key-{n}").into_bytes(), format!("{round}-{n}").repeat(4).into_bytes());
            db.put(&key, &value).unwrap();
            expected.insert(key, value);
        }
        for n in (0..60u32).filter(|n| n % 7 == round) {
            let key = format!("key-{n}").into_bytes();
            assert_eq!(db.delete(&key).unwrap(), expected.remove(&key).is_some());
        }
    }
    db.close().unwrap();
    expected
}

/// What the child does: opens the store, marks, merges, marks.
fn merge_between_marks(path: &Path, io: &str) {
    let db = Db::open(path, &options(io)).unwrap();
    // Something written in this life, so that the active file takes part.
    db.put(b"key-1", b"first").unwrap();
    db.put(b"key-1", b"last").unwrap();
    mark();
    db.merge().unwrap();
    mark();
    db.close().unwrap();
}

const MARK: libc::c_long = libc::SYS_getpgid;

fn mark() {
    // SAFETY: a system call without effect; no pointer is passed.
    unsafe { libc::syscall(MARK, 0) };
}

/// Runs the child and kills it at the n-th system call after the first mark; the number of calls if it got to the second.
fn run_and_kill_at(n: u64, path: &Path, io: &str) -> Option<u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_killed_at_any_system_call_of_a_merge_loses_nothing", "--nocapture"]);
    command.env(CHILD, path).env("FILEDB_MERGE_KILL_IO", io);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // SAFETY: the closure only makes a system call; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let mut child = command.spawn().unwrap();
    let outcome = trace(n, &mut child);
    let _ = child.wait();
    outcome
}

fn trace(n: u64, child: &mut Child) -> Option<u64> {
    let main = child.id() as i32;
    let (mut marks, mut calls) = (0, 0);
    let request = |what, thread: i32, data: usize| {
        // SAFETY: the thread is one that we trace and that is stopped; `data` is a number or a valid pointer.
        unsafe { libc::ptrace(what, thread, size_of::<libc::ptrace_syscall_info>(), data) }
    };
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for the call. This process has no other children.
        let thread = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if thread < 0 || (thread == main && (libc::WIFEXITED(status) || libc::WIFSIGNALED(status))) {
            return (marks >= 2).then_some(calls);
        }
        if !libc::WIFSTOPPED(status) {
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP && marks == 0 && thread == main {
            let follow = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
            // SAFETY: as above.
            unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, thread, 0, follow as usize) };
        }
        if signal == libc::SIGTRAP | 0x80 {
            // SAFETY: the struct is plain data for which zeros are valid.
            let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
            request(libc::PTRACE_GET_SYSCALL_INFO, thread, (&raw mut info).addr());
            if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                // SAFETY: `op` says that this is the variant.
                let number = unsafe { info.u.entry.nr } as i64;
                marks += usize::from(number == MARK);
                if marks == 1 {
                    calls += 1;
                    if calls == n {
                        let _ = child.kill();
                    }
                }
            }
        }
        let passed_on = match signal {
            libc::SIGTRAP | libc::SIGSTOP => 0,
            signal if signal == libc::SIGTRAP | 0x80 => 0,
            signal => signal as usize,
        };
        request(libc::PTRACE_SYSCALL, thread, passed_on);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn check(path: &Path, io: &str, expected: &BTreeMap<Vec<u8>, Vec<u8>>, moment: u64) {
    for life in 0..2 {
        let db = Db::open(path, &options(io)).unwrap();
        for (key, value) in expected {
            let found = db.get(key).unwrap();
            assert_eq!(
                found.as_ref(),
                Some(value),
                "{} at call {moment}, life {life}",
                String::from_utf8_lossy(key)
            );
        }
        assert_eq!(db.count().unwrap(), expected.len() as u64, "at call {moment}, life {life}");
        db.close().unwrap();
        // What is on the disk is what the store knows, and nothing is left over.
        let names: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let db = Db::open(path, &options(io)).unwrap();
        let known: Vec<_> = db.file_stats().unwrap().iter().map(|file| format!("{:010}", file.id)).collect();
        for name in names {
            let name = name.into_string().unwrap();
            let ours = ["LOCK", "LIVE", "MANIFEST", "CHECKPOINT", "RESERVE.deletes", "RESERVE.merges"]
                .contains(&name.as_str())
                || known.iter().any(|id| name == format!("{id}.data") || name == format!("{id}.hint"));
            assert!(ours, "{name} is left over after a kill at call {moment}, life {life}");
        }
        db.close().unwrap();
    }
}

#[test]
fn a_process_killed_at_any_system_call_of_a_merge_loses_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        return merge_between_marks(Path::new(&path), &std::env::var("FILEDB_MERGE_KILL_IO").unwrap());
    }
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("template");
        let mut expected = prepare(&template, io);
        expected.insert(b"key-1".to_vec(), b"last".to_vec());
        let (mut n, mut kills) = (1, 0);
        loop {
            let path = dir.path().join(n.to_string());
            copy(&template, &path);
            let finished = run_and_kill_at(n, &path, io);
            check(&path, io, &expected, n);
            std::fs::remove_dir_all(&path).unwrap();
            if let Some(calls) = finished {
                println!(
                    "io={io}: killed at each of {kills} system calls of a merge; a whole one makes {calls}"
                );
                assert!(kills > 50, "only {kills} system calls were seen");
                break;
            }
            kills += 1;
            n += 1;
        }
    }
}

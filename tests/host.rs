//! What a program does beside its store: it renames and removes directories, deletes files that are not its own, forks, changes
//! its root, gives up its rights. No store may be harmed by that, and none may stay locked.
//!
//! What changes the process is done by one of its own: this program runs itself, with the task in an environment variable. It
//! reports through a socket, which its children inherit; so the report ends when the last of them has ended.

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filedb::{Db, Error, Options};

/// The environment variable that makes this program do a task.
const TASK: &str = "FILEDB_TEST_HOST";
const BOTH: [&str; 2] = ["mmap", "pread"];
/// A user without rights.
const NOBODY: libc::uid_t = 65_534;

fn options(io: &str, more: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    options.set("io", io).expect("an io mode");
    for (name, value) in more {
        options.set(name, value).expect("an option");
    }
    options
}

fn open(path: &Path, io: &str) -> Result<Db, Error> {
    Db::open(path, &options(io, &[]))
}

fn must_open(path: &Path, io: &str) -> Db {
    open(path, io).unwrap_or_else(|error| panic!("io={io}: {error}"))
}

fn text(db: &Db, key: &str) -> Option<String> {
    let value = db.get(key.as_bytes()).unwrap_or_else(|error| panic!("reading '{key}': {error}"));
    value.map(|value| String::from_utf8(value).expect("what was put is text"))
}

// Processes.

/// Does the task in a process of its own and gives what it reported.
fn run(task: &str, io: &str, path: &Path) -> String {
    let (mut mine, its) = UnixStream::pair().expect("a pair of sockets");
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_process_with_a_task", "--nocapture", "--test-threads=1"])
        .env(TASK, format!("{task}|{io}|{}", path.display()))
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::null())
        .spawn()
        .expect("starting this program");
    process.wait().expect("waiting for it");
    // Its children may wait for this word. Where there are none, nobody is there to take it.
    let _ = mine.write_all(b"it has ended\n");
    let mut report = String::new();
    mine.read_to_string(&mut report).expect("reading the report");
    report
}

#[test]
fn a_process_with_a_task() {
    let Ok(task) = std::env::var(TASK) else { return };
    let [task, io, path] = task.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let path = Path::new(path);
    match task {
        "go on in a child that closes" => go_on_in_a_child(path, io, true),
        "go on in a child" => go_on_in_a_child(path, io, false),
        "fork and go on" => fork_and_go_on(path, io),
        "fork in a merge" => fork_in_a_merge(path, io, "bitcask"),
        "fork in a merge of runs" => fork_in_a_merge(path, io, "lsm"),
        "change the root" => change_the_root(path, io),
        "open as nobody" => open_as_nobody(path, io),
        "open with few descriptors" => open_with_few_descriptors(path, io),
        "open without room" => open_without_room(path, io),
        "sync no directory" => sync_no_directory(path, io),
        other => panic!("no task is called '{other}'"),
    }
    say("end");
}

/// Reports to whoever started this process. Standard input is one end of a socket, and that is at the other.
fn say(words: &str) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("the socket");
    UnixStream::from(socket).write_all(format!("{words}\n").as_bytes()).expect("reporting");
}

fn end_at_once() -> ! {
    // SAFETY: it ends this process and touches nothing.
    unsafe { libc::_exit(0) }
}

/// The number of the child, or 0 in it.
fn fork() -> libc::pid_t {
    // SAFETY: the child uses the allocator, which glibc keeps usable in it, and what belongs to its only thread.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a child can be forked");
    child
}

fn is_root() -> bool {
    // SAFETY: it only answers.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        eprintln!("NOT RUN: this test needs the rights of root");
    }
    is_root
}

// The directory.

#[test]
fn the_store_at_the_path_of_one_that_was_renamed_or_removed_is_let_alone_by_it() {
    for (io, removed) in BOTH.into_iter().flat_map(|io| [(io, false), (io, true)]) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (path, moved) = (home.path().join("store"), home.path().join("moved"));
        let small = options(io, &[("max_file_size", "4096")]);
        let first = Db::open(&path, &small).expect("opening the first store");
        first.put(b"who", b"first").expect("put");
        if removed {
            // Threads of the store may be making files at this moment.
            while path.exists() {
                let _ = fs::remove_dir_all(&path);
            }
        } else {
            fs::rename(&path, &moved).expect("renaming the directory");
        }
        let second = Db::open(&path, &small).expect("opening the second store");
        second.put(b"who", b"second").expect("put");
        second.sync().expect("sync");
        second.close().expect("closing the second store");
        let second = fs::read(path.join("MANIFEST")).expect("the second store has a manifest");

        // What needs new files: they belong into the directory that was opened, if that is there.
        for n in 0..100u32 {
            let written = first.put(n.to_le_bytes(), [7; 1000]);
            assert!(removed || written.is_ok(), "io={io}: {written:?}");
        }
        let (merged, closed) = (first.merge(), first.close());
        assert!(removed || (merged.is_ok() && closed.is_ok()), "io={io}: {merged:?}, {closed:?}");

        assert!(fs::read(path.join("MANIFEST")).expect("it is there") == second, "io={io}");
        assert_eq!(text(&must_open(&path, io), "who").as_deref(), Some("second"), "io={io}");
        if !removed {
            let first = must_open(&moved, io);
            assert_eq!(text(&first, "who").as_deref(), Some("first"), "io={io}");
            assert_eq!(first.count().expect("count"), 101, "io={io}");
        }
    }
}

fn change_the_root(path: &Path, io: &str) {
    let small = options(io, &[("max_file_size", "4096"), ("merge", "manual")]);
    let db = Db::open(path, &small).expect("opening");
    db.put(b"before", b"1").expect("put");
    let empty = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::chroot(empty.path()).expect("changing the root");
    std::env::set_current_dir("/").expect("changing the directory");
    for n in 0..100u32 {
        db.put(n.to_le_bytes(), [7; 1000]).expect("a put for which files are made");
    }
    for n in 0..50u32 {
        assert!(db.delete(n.to_le_bytes()).expect("delete"));
    }
    db.merge().expect("merge");
    db.write_hints().expect("hints");
    for n in 50..100u32 {
        // Plain files that are complete are opened again.
        assert_eq!(db.get(n.to_le_bytes()).expect("get").map(|value| value.len()), Some(1000));
    }
    db.close().expect("closing");
}

#[test]
fn a_store_goes_on_when_its_process_changes_its_root() {
    if !is_root() {
        return;
    }
    for io in BOTH {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        assert_eq!(run("change the root", io, &path), "end\n", "io={io}");
        let db = must_open(&path, io);
        assert_eq!(text(&db, "before").as_deref(), Some("1"), "io={io}");
        assert_eq!(db.count().expect("count"), 51, "io={io}");
    }
}

#[test]
fn a_store_that_was_opened_by_a_relative_path_is_named_by_its_whole_path() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let up: PathBuf =
        std::env::current_dir().expect("a directory").components().skip(1).map(|_| "..").collect();
    let relative = up.join(home.path().strip_prefix("/").expect("it is a whole path")).join("store");
    let _db = must_open(&relative, "mmap");
    let error = open(&relative, "mmap").map(drop).expect_err("it is open");
    let whole = home.path().canonicalize().expect("it is there").join("store");
    assert!(error.to_string().contains(&format!("'{}'", whole.display())), "{error}");
}

// The lock.

#[test]
fn a_second_opening_is_refused_though_somebody_deleted_the_lock_file() {
    for io in BOTH {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        let db = must_open(&path, io);
        db.put(b"key", b"value").expect("put");
        fs::remove_file(path.join("LOCK")).expect("deleting the lock file");
        assert!(matches!(open(&path, io), Err(Error::Locked { .. })), "io={io}: for writing");
        let reading = options(io, &[("read_only", "true")]);
        assert!(matches!(Db::open(&path, &reading), Err(Error::Locked { .. })), "io={io}: for reading");
        db.put(b"key", b"other").expect("put");
        db.close().expect("closing");
        drop(must_open(&path, io));

        // Several may read, and keep out whoever wants to write.
        fs::remove_file(path.join("LOCK")).expect("deleting the lock file");
        let readers =
            [Db::open(&path, &reading).expect("a reader"), Db::open(&path, &reading).expect("another")];
        assert!(matches!(open(&path, io), Err(Error::Locked { .. })), "io={io}: beside readers");
        for reader in readers {
            assert_eq!(text(&reader, "key").as_deref(), Some("other"), "io={io}");
            reader.close().expect("closing");
        }
        drop(must_open(&path, io));
    }
}

/// As `daemon(3)` does: the parent ends at once, without a word to its store.
fn go_on_in_a_child(path: &Path, io: &str, closes: bool) {
    let db = must_open(path, io);
    db.put(b"parent", b"1").expect("put");
    if fork() != 0 {
        end_at_once();
    }
    // That it has another parent is not enough: threads of the one that ends may still have its files open, and so the lock.
    // They are closed when a process has been waited for.
    let mut word = [0; "it has ended\n".len()];
    std::io::stdin().read_exact(&mut word).expect("waiting for the end of the parent");
    if closes {
        assert!(matches!(db.close(), Err(Error::Forked)));
    }
    match open(path, io) {
        Ok(mine) => {
            mine.put(b"child", b"2").expect("put");
            mine.close().expect("closing");
            say("the child has written");
        }
        Err(error) => say(&error.to_string()),
    }
    end_at_once();
}

#[test]
fn a_child_can_open_the_store_when_its_parent_is_gone() {
    for (task, io) in
        ["go on in a child that closes", "go on in a child"].into_iter().flat_map(|t| BOTH.map(|io| (t, io)))
    {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        assert_eq!(run(task, io, &path), "the child has written\n", "{task}, io={io}");
        let db = must_open(&path, io);
        assert_eq!(
            (text(&db, "parent"), text(&db, "child")),
            (Some("1".into()), Some("2".into())),
            "{task}, io={io}"
        );
    }
}

fn fork_and_go_on(path: &Path, io: &str) {
    let db = Db::open(path, &options(io, &[("max_file_size", "4096")])).expect("opening");
    for n in 0..50u32 {
        db.put(n.to_le_bytes(), [n as u8; 1000]).expect("put");
    }
    let pinned = db.get_pinned(7u32.to_le_bytes()).expect("get").expect("it is there");
    let child = fork();
    if child == 0 {
        // Files of the child's, some of which have numbers that files of the store's had in the parent.
        let mine: Vec<fs::File> = (0..50).map(|_| fs::File::open("/dev/null").expect("opening")).collect();
        let before = open(path, io).is_err_and(|error| matches!(error, Error::Locked { .. }));
        let closed = matches!(db.close(), Err(Error::Forked));
        let after = open(path, io).is_err_and(|error| matches!(error, Error::Locked { .. }));
        let read = pinned.iter().all(|byte| *byte == 7);
        drop(pinned);
        drop(db);
        let are_open = mine.iter().all(|file| file.metadata().is_ok());
        say(&format!("locked {before} {after}, closed {closed}, read {read}, open {are_open}"));
        end_at_once();
    }
    // SAFETY: a null pointer says that the status is not wanted.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    assert!(matches!(open(path, io), Err(Error::Locked { .. })), "the lock is the parent's as before");
    for n in 50..100u32 {
        db.put(n.to_le_bytes(), [n as u8; 1000]).expect("put");
    }
    db.close().expect("closing");
}

#[test]
fn a_child_that_closes_the_store_of_its_parent_takes_nothing_from_it_and_loses_no_file_of_its_own() {
    for io in BOTH {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        let report = run("fork and go on", io, &path);
        assert_eq!(report, "locked true true, closed true, read true, open true\nend\n", "io={io}");
        assert_eq!(must_open(&path, io).count().expect("count"), 100, "io={io}");
    }
}

/// The child returns from the function that was told of the merge, into the middle of that.
fn fork_in_a_merge(path: &Path, io: &str, engine: &str) {
    let small = options(io, &[("max_file_size", "4096"), ("merge", "manual"), ("engine", engine)]);
    let db = Db::open(path, &small).expect("opening");
    for n in 0..200u32 {
        db.put((n % 100).to_le_bytes(), [n as u8; 1000]).expect("put");
    }
    let mut child = None;
    let merged = db.merge_with(&mut |_| {
        let forked = *child.get_or_insert_with(fork);
        if forked != 0 {
            // SAFETY: a null pointer says that the status is not wanted.
            unsafe { libc::waitpid(forked, std::ptr::null_mut(), 0) };
        }
        ControlFlow::Continue(())
    });
    if child == Some(0) {
        say(&format!("forked {}", matches!(merged, Err(Error::Forked))));
        end_at_once();
    }
    assert!(merged.expect("the parent's merge"));
    db.close().expect("closing");
}

#[test]
fn a_merge_in_which_the_process_forked_goes_on_in_the_parent_alone() {
    let tasks = ["fork in a merge", "fork in a merge of runs"];
    for (task, io) in tasks.into_iter().flat_map(|task| BOTH.map(|io| (task, io))) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        assert_eq!(run(task, io, &path), "forked true\nend\n", "{task}, io={io}");
        let db = must_open(&path, io);
        for n in 0..100u32 {
            let value = db.get(n.to_le_bytes()).expect("get");
            assert!(value.is_some_and(|value| value == [n as u8 + 100; 1000]), "io={io}, key {n}");
        }
    }
}

// The first opening.

fn open_as_nobody(path: &Path, io: &str) {
    // SAFETY: it changes whose rights this process has.
    assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0, "giving up rights");
    let db = must_open(path, io);
    db.put(b"key", b"value").expect("put");
    db.close().expect("closing");
}

#[test]
fn a_store_can_be_made_in_a_directory_that_may_be_written_to_and_not_read() {
    if !is_root() {
        return;
    }
    for io in BOTH {
        let home = tempfile::tempdir().expect("a temporary directory");
        let drop_box = home.path().join("drop box");
        fs::create_dir(&drop_box).expect("making a directory");
        for (path, mode) in [(home.path(), 0o755), (&drop_box, 0o1733)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("setting its mode");
        }
        let path = drop_box.join("store");
        assert_eq!(run("open as nobody", io, &path), "end\n", "io={io}");
        assert_eq!(text(&must_open(&path, io), "key").as_deref(), Some("value"), "io={io}");
    }
}

fn open_with_few_descriptors(path: &Path, io: &str) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a valid rlimit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit.rlim_cur = 64;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let mut taken = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        taken.push(file);
    }
    // None is left, then one, then two.
    loop {
        match open(path, io) {
            Ok(db) => return db.close().expect("closing"),
            Err(error) => assert_eq!(error.os_errno(), libc::EMFILE, "{error}"),
        }
        assert!(!path.exists(), "after an opening that failed the directory is there");
        taken.pop().expect("a descriptor to give back");
    }
}

fn open_without_room(path: &Path, io: &str) {
    let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: the pointer is to a valid rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
    let error = open(path, io).map(drop).expect_err("no file can have more than 100 bytes");
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(!path.exists(), "after an opening that failed the directory is there");
}

#[test]
fn a_first_opening_that_fails_leaves_nothing_behind() {
    for (task, io) in
        ["open with few descriptors", "open without room"].into_iter().flat_map(|t| BOTH.map(|io| (t, io)))
    {
        let home = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(run(task, io, &home.path().join("store")), "end\n", "{task}, io={io}");
    }
}

/// From now on `fsync` fails as on a file system that does not have it for directories. Data files are synced by `fdatasync`.
fn sync_no_directory(path: &Path, io: &str) {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let mut program = [
        statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: libc::SYS_fsync as u32,
        },
        statement((libc::BPF_RET | libc::BPF_K) as u16, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        statement((libc::BPF_RET | libc::BPF_K) as u16, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program and its length are those of the array, which lives until the call has read it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
    let file = fs::File::open("/").expect("opening a directory");
    assert_eq!(file.sync_all().expect_err("it has no fsync").raw_os_error(), Some(libc::EINVAL));
    let always = options(io, &[("sync", "always"), ("max_file_size", "4096")]);
    let db = Db::open(path, &always).unwrap_or_else(|error| panic!("{error}"));
    for n in 0..20u32 {
        db.put(n.to_le_bytes(), [7; 1000]).expect("put");
    }
    db.close().expect("closing");
}

#[test]
fn a_store_can_be_on_a_file_system_that_cannot_sync_a_directory() {
    for io in BOTH {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        assert_eq!(run("sync no directory", io, &path), "end\n", "io={io}");
        assert_eq!(must_open(&path, io).count().expect("count"), 20, "io={io}");
    }
}
// The disk.

/// The blocks of a directory and of all files in it, in bytes, and which they are.
fn blocks(path: &Path) -> (u64, String) {
    let files = fs::read_dir(path).expect("its directory").map(|entry| entry.expect("a file").path());
    let held = |path: &Path| fs::metadata(path).expect("it is there").blocks() * 512;
    let sizes: Vec<_> = files.map(|file| (held(&file), file)).collect();
    (held(path) + sizes.iter().map(|(bytes, _)| bytes).sum::<u64>(), format!("{sizes:?}"))
}

#[test]
fn a_store_of_one_key_takes_64_kib_of_the_disk_when_it_is_closed_also_where_it_was_large_once() {
    for (io, was_large) in BOTH.into_iter().flat_map(|io| [(io, false), (io, true)]) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("store");
        for round in 0..3 {
            let db = must_open(&path, io);
            db.put(b"key", b"value").expect("put");
            if was_large && round == 1 {
                for n in 0..2_000u32 {
                    db.put(n.to_le_bytes(), [7; 1000]).expect("put");
                }
                for n in 0..2_000u32 {
                    assert!(db.delete(n.to_le_bytes()).expect("delete"));
                }
                db.merge().expect("merge");
            }
            db.close().expect("closing");
            let (bytes, files) = blocks(&path);
            assert!(
                bytes <= 64 << 10,
                "io={io}, was large: {was_large}, round {round}: {bytes} bytes: {files}"
            );
        }
    }
}

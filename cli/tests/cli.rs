//! The command line tool, by running it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the tool and gives what came out of it.
fn run_with(input: &[u8], args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_filedb"))
        .args(args)
        .env("HOME", std::env::temp_dir().join("no home"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Where it reads nothing it may have ended.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn run(args: &[&str]) -> Output {
    run_with(b"", args)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What a command prints that does what it is asked.
fn says(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(code(&output), 0, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn path(home: &tempfile::TempDir, name: &str) -> String {
    home.path().join(name).to_str().unwrap().to_string()
}

#[test]
fn a_key_is_put_got_listed_counted_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    says(&["put", &store, "planet", "earth"]);
    assert_eq!(says(&["get", &store, "planet"]), "earth");
    assert_eq!(says(&["get", &store, "planet", "--json"]), "\"earth\"\n");
    assert_eq!(code(&run_with(b"from standard input", &["put", &store, "long"])), 0);
    assert_eq!(says(&["get", &store, "long"]), "from standard input");
    says(&["put", &store, "-e", "odd\\x00\\n", "\\xff"]);
    assert_eq!(says(&["list", &store]), "long\nodd\\x00\\n\nplanet\n");
    assert_eq!(says(&["list", &store, "pl"]), "planet\n");
    assert_eq!(says(&["get", &store, "-e", "odd\\x00\\n", "--json"]), "{\"base64\":\"/w==\"}\n");
    assert_eq!(says(&["count", &store]), "3\n");
    assert_eq!(code(&run(&["put", &store, "planet", "x", "--if-absent"])), 1);
    assert_eq!(code(&run(&["put", &store, "absent", "x", "--if-present"])), 1);
    assert_eq!(says(&["ttl", &store, "planet"]), "never\n");
    says(&["expire", &store, "planet", "1h"]);
    let left: u64 = says(&["ttl", &store, "planet", "--json"]).trim().parse().unwrap();
    assert!((3_000_000..=3_600_000).contains(&left));
    says(&["expire", &store, "planet", "never"]);
    says(&["delete", &store, "planet", "long"]);
    assert_eq!(code(&run(&["delete", &store, "planet"])), 1);
    assert_eq!(code(&run(&["get", &store, "planet"])), 1);
}

#[test]
fn lists_are_pushed_popped_and_printed() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    assert_eq!(says(&["push", &store, "jobs", "a", "b", "c"]), "3\n");
    assert_eq!(says(&["push", &store, "jobs", "first", "--front"]), "4\n");
    assert_eq!(says(&["get", &store, "jobs"]), "first\na\nb\nc\n");
    assert_eq!(says(&["pop", &store, "jobs"]), "c");
    assert_eq!(says(&["pop", &store, "jobs", "--front"]), "first");
    assert_eq!(code(&run(&["pop", &store, "absent"])), 1);
    let wrong = run(&["push", &store, "jobs"]);
    assert_eq!(code(&wrong), 2);
}

#[test]
fn what_is_dumped_is_loaded_again_in_every_form() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    says(&["put", &store, "-e", "odd\\x00\\x20\\n", "\\xff\\xfe"]);
    says(&["put", &store, "empty", ""]);
    says(&["put", &store, "brief", "value", "--ttl", "2h"]);
    says(&["push", &store, "jobs", "a", "", "c d"]);
    for format in ["json", "text", "redis"] {
        let dumped = run(&["dump", &store, "--format", format]);
        assert_eq!(code(&dumped), 0);
        let copy = path(&home, format);
        let loaded = run_with(&dumped.stdout, &["load", &copy, "--format", format]);
        assert_eq!(code(&loaded), 0, "{format}: {}", String::from_utf8_lossy(&loaded.stderr));
        for key in ["odd\\x00\\x20\\n", "empty", "jobs"] {
            let (one, other) =
                (run(&["get", &store, "-e", key, "--json"]), run(&["get", &copy, "-e", key, "--json"]));
            assert_eq!((code(&one), one.stdout), (code(&other), other.stdout), "{format} {key}");
        }
        let left: u64 = says(&["ttl", &copy, "brief", "--json"]).trim().parse().unwrap();
        assert!((7_000_000..=7_200_000).contains(&left), "{format}");
        assert_eq!(says(&["count", &copy]), "4\n", "{format}");
    }
    let wrong = run_with(b"{\"key\":\"a\",\"value\":\"b\"}\nno json\n", &["load", &path(&home, "wrong")]);
    assert_eq!(code(&wrong), 6);
    let words = String::from_utf8(wrong.stderr).unwrap();
    assert!(words.contains("line 2") && words.contains("1 keys were loaded"), "{words}");
    assert_eq!(says(&["get", &path(&home, "wrong"), "a"]), "b");
    for input in
        [&b"*1\r\n$99999999999\r\n"[..], b"*99999999\r\n", b"hello\r\n", b"*2\r\n$3\r\nSET\r\n$1\r\n"]
    {
        assert_eq!(code(&run_with(input, &["load", &path(&home, "wrong"), "--format", "redis"])), 6);
    }
}

#[test]
fn damage_is_found_and_the_rest_is_saved() {
    let home = tempfile::tempdir().unwrap();
    let (store, saved) = (path(&home, "store"), path(&home, "saved"));
    says(&["put", &store, "kept", "value"]);
    says(&["put", &store, "lost", "a value that is damaged"]);
    assert!(says(&["check", &store]).contains("sound"));
    let data = std::fs::read_dir(&store).unwrap().map(|file| file.unwrap().path());
    for file in data.filter(|file| file.extension().is_some_and(|end| end == "data")) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(12).position(|part| part == b"a value that") {
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let checked = run(&["check", &store]);
    let words = String::from_utf8(checked.stdout.clone()).unwrap();
    assert_eq!(code(&checked), 3);
    assert!(words.contains("data lost") && words.contains("key lost"), "{words}");
    let json = String::from_utf8(run(&["check", &store, "--json"]).stdout).unwrap();
    assert!(json.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{json}");
    assert_eq!(code(&run(&["salvage", &store, &saved])), 3);
    assert_eq!(says(&["dump", &saved]), "{\"key\":\"kept\",\"value\":\"value\"}\n");
    assert_eq!(code(&run(&["salvage", &store, &saved])), 5);
    assert_eq!(code(&run(&["get", &store, "lost"])), 3);
}

/// Runs the tool where nobody reads what it prints; gives its exit code.
fn run_unread(args: &[&str]) -> i32 {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(env!("CARGO_BIN_EXE_filedb"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.wait().unwrap().code().unwrap()
}

#[test]
fn what_cannot_be_printed_is_not_lost_and_is_told() {
    let home = tempfile::tempdir().unwrap();
    let (store, saved) = (path(&home, "store"), path(&home, "saved"));
    says(&["push", &store, "jobs", "a", "b"]);
    assert_eq!(run_unread(&["pop", &store, "jobs"]), 6);
    assert_eq!(run_unread(&["pop", &store, "jobs", "--front"]), 6);
    assert_eq!(says(&["get", &store, "jobs"]), "a\nb\n");
    // Also the only element of a list that expires, which expires then as before.
    says(&["push", &store, "one", "a"]);
    says(&["expire", &store, "one", "1h"]);
    assert_eq!(run_unread(&["pop", &store, "one"]), 6);
    assert_eq!(says(&["get", &store, "one"]), "a\n");
    assert_eq!(run_unread(&["pop", &store, "one", "--front"]), 6);
    let left: u64 = says(&["ttl", &store, "one", "--json"]).trim().parse().unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
    says(&["delete", &store, "one"]);
    for args in [
        &["count", &store][..],
        &["ttl", &store, "jobs"],
        &["stats", &store],
        &["check", &store],
        &["get", &store, "jobs"],
    ] {
        assert_eq!(run_unread(args), 6, "{args:?}");
    }
    for args in [["list", &store], ["dump", &store]] {
        assert_eq!(run_unread(&args), 0, "{args:?}");
    }
    std::fs::remove_file(Path::new(&store).join("MANIFEST")).unwrap();
    assert_eq!(run_unread(&["salvage", &store, &saved]), 6);
    assert_eq!(says(&["get", &saved, "jobs"]), "a\nb\n");
}

#[test]
fn a_salvage_that_lost_the_manifest_or_elements_does_not_say_that_all_was_saved() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    says(&["push", &store, "jobs", "a"]);
    says(&["push", &store, "jobs", "damaged"]);
    says(&["push", &store, "jobs", "c"]);
    let whole = run(&["salvage", &store, &path(&home, "whole")]);
    assert!(code(&whole) == 0 && String::from_utf8_lossy(&whole.stdout).contains("everything was saved"));
    let manifest = std::fs::read(Path::new(&store).join("MANIFEST")).unwrap();
    std::fs::remove_file(Path::new(&store).join("MANIFEST")).unwrap();
    let output = run(&["salvage", &store, &path(&home, "first")]);
    assert!(
        code(&output) == 3 && String::from_utf8_lossy(&output.stdout).contains("what is intact was saved")
    );
    std::fs::write(Path::new(&store).join("MANIFEST"), manifest).unwrap();
    let file = Path::new(&store).join("0000000001.data");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|part| part == b"damaged").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let output = run(&["salvage", &store, &path(&home, "second")]);
    assert!(code(&output) == 3 && String::from_utf8_lossy(&output.stdout).contains("elements"));
    assert_eq!(says(&["get", &path(&home, "second"), "jobs"]), "a\nc\n");
}

#[test]
fn what_expires_during_a_dump_is_dumped_with_its_time_or_not_at_all() {
    // Ever longer lives, for machines on which all is gone before the dump begins.
    let lives = [1, 4, 16, 64].map(std::time::Duration::from_secs);
    assert!(lives.into_iter().any(a_dump_sees_rows_expire), "no dump began within a minute");
}

/// Whether the dump had begun when the rows expired.
fn a_dump_sees_rows_expire(life: std::time::Duration) -> bool {
    use std::io::Read;
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    let db = filedb::Db::open(Path::new(&store), &filedb::Options::default()).unwrap();
    for n in 0..400u32 {
        db.put_with(format!("key {n}"), vec![b'v'; 20_000], &filedb::PutOptions::new().ttl(life)).unwrap();
        if n % 10 == 0 {
            db.push_back(format!("list {n}"), vec![b'v'; 20_000]).unwrap();
            db.expire(format!("list {n}"), life).unwrap();
        }
    }
    let keys = db.list("").unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    db.close().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_filedb"))
        .args(["dump", &store])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = vec![0];
    let mut out = child.stdout.take().unwrap();
    if out.read(&mut text).unwrap() == 0 {
        assert!(child.wait().unwrap().success());
        return false;
    }
    // The dump has begun, and waits until somebody reads the rest, of eight megabytes. Before that, all expires.
    let reader = filedb::Db::open(Path::new(&store), &filedb::Options::new().read_only(true)).unwrap();
    while keys.iter().any(|key| reader.exists(key).unwrap()) {
        std::thread::yield_now();
    }
    out.read_to_end(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() < keys.len(), "nothing expired during the dump");
    for line in lines {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert!(line["ttl_ms"].is_u64() && line["expires_at_ms"].is_u64(), "{}", line["key"]);
    }
    true
}

#[test]
fn a_load_replaces_lists_and_keeps_the_times_of_keys() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    let db = filedb::Db::open(Path::new(&store), &filedb::Options::default()).unwrap();
    for n in 0..3000u32 {
        db.push_back(b"long", n.to_string()).unwrap();
    }
    db.expire(b"long", std::time::Duration::from_secs(3600)).unwrap();
    db.close().unwrap();
    says(&["push", &store, "brief", "a"]);
    let elements = says(&["get", &store, "long"]);
    for format in ["json", "text", "redis"] {
        let dumped = run(&["dump", &store, "--format", format]).stdout;
        let copy = path(&home, format);
        for _ in 0..2 {
            let loaded = run_with(&dumped, &["load", &copy, "--format", format]);
            assert_eq!((code(&loaded), &*loaded.stdout), (0, &b"2 keys loaded\n"[..]), "{format}");
            assert_eq!(says(&["get", &copy, "long"]), elements, "{format}");
            assert_eq!(says(&["get", &copy, "brief"]), "a\n", "{format}");
            let left: u64 = says(&["ttl", &copy, "long", "--json"]).trim().parse().unwrap();
            assert!((3_000_000..=3_600_000).contains(&left), "{format}");
        }
    }
    // An hour ago, whatever the line says of how long it lives.
    let line = b"{\"key\":\"old\",\"value\":\"v\",\"ttl_ms\":3600000,\"expires_at_ms\":1700000000000}\n";
    assert_eq!(code(&run_with(line, &["load", &store])), 0);
    assert_eq!(code(&run(&["get", &store, "old"])), 1);
    // What ends in the middle of a list leaves the list that was there.
    let dumped = run(&["dump", &store, "--format", "redis", "--prefix", "long"]).stdout;
    for cut in [dumped.len() / 2, dumped.len() - 60] {
        assert_eq!(code(&run_with(&dumped[..cut], &["load", &store, "--format", "redis"])), 6, "{cut}");
        assert_eq!(says(&["get", &store, "long"]), elements, "{cut}");
    }
}

#[test]
fn a_command_that_reads_makes_no_store_by_url_either() {
    let home = tempfile::tempdir().unwrap();
    let url = format!("file://{}", path(&home, "absent"));
    for args in
        [&["get", &url, "key"][..], &["list", &url], &["count", &url], &["dump", &url], &["ttl", &url, "key"]]
    {
        assert_eq!(code(&run(args)), 5, "{args:?}");
        assert!(!home.path().join("absent").exists());
    }
    says(&["put", &url, "key", "value"]);
    assert_eq!(says(&["get", &url, "key"]), "value");
}

#[test]
fn a_page_replaces_no_file_unless_it_is_told_to() {
    let home = tempfile::tempdir().unwrap();
    let (store, page) = (path(&home, "store"), path(&home, "page.html"));
    says(&["put", &store, "key", "value"]);
    std::fs::write(&page, "precious").unwrap();
    let refused = run(&["stats", &store, "--html", &page]);
    assert!(code(&refused) == 6 && String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "precious");
    says(&["stats", &store, "--html", &page, "--force"]);
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
}

#[test]
fn a_store_is_backed_up_and_restored() {
    let home = tempfile::tempdir().unwrap();
    let (store, backup, restored) = (path(&home, "store"), path(&home, "backup"), path(&home, "restored"));
    says(&["put", &store, "planet", "earth"]);
    assert!(says(&["backup", &store, &backup]).contains(", of which "));
    says(&["put", &store, "planet", "mars"]);
    let told: serde_json::Value =
        serde_json::from_str(&says(&["backup", &store, &backup, "--copy", "--json"])).unwrap();
    assert!(told["copied_bytes"].as_u64().unwrap() > 0, "{told}");
    says(&["restore", &backup, &restored]);
    assert_eq!(says(&["get", &restored, "planet"]), "mars");
    says(&["put", &restored, "planet", "venus"]);
    // A store that is used is no backup any more, and is not restored over.
    assert_ne!(code(&run(&["backup", &store, &restored])), 0);
    let refused = run(&["restore", &backup, &restored]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("not empty"));
    assert_eq!(says(&["get", &restored, "planet"]), "venus");
    assert_eq!(says(&["get", &store, "planet"]), "mars");
}

#[test]
fn numbers_a_page_and_a_merge() {
    let home = tempfile::tempdir().unwrap();
    let (store, page) = (path(&home, "store <&>"), path(&home, "page.html"));
    for n in 0..20 {
        says(&["put", &store, "key", &n.to_string(), "-o", "max_file_size=256", "-o", "merge=manual"]);
    }
    let numbers: serde_json::Value =
        serde_json::from_str(&says(&["stats", &store, "--json", "--html", &page])).unwrap();
    assert_eq!(numbers["keys"], 1);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(
        html.contains("<svg") && html.contains("Merges to come") && !html.contains("store <&>"),
        "{html}"
    );
    assert!(says(&["merge", &store]).contains("after"));
    assert!(says(&["stats", &store]).contains("space amplification"));
    assert!(says(&["bench", &store, "--keys", "300", "--threads", "2"]).contains("per second"));
    assert_eq!(says(&["count", &store]), "1\n");
}

#[test]
fn lines_are_commands_too() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "store");
    let input = b"put a 1\nput b \\x00 1h\nget a\nget b\nlist\npush l x y\npush-front l w\nrange l\npop-front l\npop l\nttl a\ndelete a b\ncount\nnonsense\nget\nquit\n";
    let output = run_with(input, &["repl", &store]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["1", "\\x00", "a\nb", "w\nx\ny", "never", "2", "no command 'nonsense'", "get KEY"] {
        assert!(words.contains(line), "{line:?} is not in {words}");
    }
    assert_eq!(says(&["count", &store]), "1\n");
}

#[test]
fn errors_are_sentences_with_a_code() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "absent");
    for (args, wanted) in [
        (&["get", &store, "key"][..], 5),
        (&["check", &store], 5),
        (&["get"], 2),
        (&["put", &store, "key", "value", "-o", "sink=always"], 2),
        (&["put", &store, "key", "value", "-o", "sink"], 2),
        (&["put", &store, "key", "value", "--ttl", "soon"], 2),
        (&["put", &store, "key", "value", "--ttl", "5"], 2),
        (&["expire", &store, "key", "soon"], 2),
        (&["put", &store, "key", "-e", "\\q"], 6),
        (&["check", "memory://"], 6),
    ] {
        let output = run(args);
        assert_eq!(code(&output), wanted, "{args:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.len() > 20 && !words.contains("Error {"), "{args:?}: {words}");
    }
    // What the operating system said is said once.
    let output = run(&["put", &path(&home, "no/such/place"), "key", "value"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), words.matches("No such file").count()), (Some(6), 1), "{words}");
    let output = run(&["get", &store, "key"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("os error"));
}

#[test]
fn commands_that_read_do_so_beside_a_program_that_writes() {
    let home = tempfile::tempdir().unwrap();
    let store = path(&home, "open");
    let db = filedb::Db::open(Path::new(&store), &filedb::Options::default()).unwrap();
    db.put("planet", "earth").unwrap();
    assert_eq!(says(&["get", &store, "planet"]), "earth");
    assert_eq!(says(&["list", &store]), "planet\n");
    assert_eq!(says(&["count", &store]), "1\n");
    assert_eq!(says(&["ttl", &store, "planet"]), "never\n");
    assert!(says(&["dump", &store]).contains("earth"));
    assert!(says(&["check", &store]).contains("1 file,"));
    says(&["stats", &store]);
    says(&["backup", &store, &path(&home, "backup")]);
    assert_eq!(says(&["get", &path(&home, "backup"), "planet"]), "earth");
    for args in [&["put", &store, "planet", "mars"][..], &["merge", &store]] {
        assert_eq!(code(&run(args)), 4, "{args:?}");
    }
    db.close().unwrap();

    let ordered = path(&home, "ordered");
    let mut options = filedb::Options::default();
    options.set("engine", "lsm").unwrap();
    let db = filedb::Db::open(Path::new(&ordered), &options).unwrap();
    db.put("planet", "earth").unwrap();
    assert_eq!(says(&["get", &ordered, "planet"]), "earth");
    assert_eq!(says(&["list", &ordered]), "planet\n");
    assert_eq!(says(&["count", &ordered]), "1\n");
    says(&["backup", &ordered, &path(&home, "ordered-backup")]);
    assert_eq!(says(&["get", &path(&home, "ordered-backup"), "planet"]), "earth");
    assert_eq!(code(&run(&["put", &ordered, "planet", "mars"])), 4);
    db.close().unwrap();
}

#[test]
fn shells_and_man_get_what_they_need() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(says(&["completions", shell]).contains("salvage"), "{shell}");
    }
    let page = says(&["man"]);
    assert!(page.contains(".TH") && page.contains("EXIT CODES"), "{page}");
}

//! What clients and tools of Redis send now and then: replies are equal to those of Debian's redis-server, byte by byte. Skipped where that is not
//! installed.

#![allow(clippy::unwrap_used)]

mod common;

use common::Process;
use filedb_server::commands::table;

/// Words in quotes may be empty or hold spaces.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        match n % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn compare(lines: &str) {
    let directory = tempfile::tempdir().unwrap();
    let Some(redis) = Process::redis(directory.path()) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let filedb = Process::filedb(&directory.path().join("store"), &[]);
    let (mut ours, mut theirs) = (filedb.connect(), redis.connect());
    let mut differences = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (ours, theirs) = (ours.command(&words(line)), theirs.command(&words(line)));
        if ours != theirs {
            differences.push(format!("{line}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn exec_with_wrong_arguments_says_that_the_transaction_is_discarded() {
    compare(
        "EXEC 1
         MULTI
         SET k v
         EXEC 1
         EXEC
         GET k",
    );
}

#[test]
fn shutdown_refuses_words_that_contradict_each_other() {
    compare(
        "SHUTDOWN SAVE NOSAVE
         SHUTDOWN ABORT NOW
         SHUTDOWN ABORT SAVE
         SHUTDOWN BAD
         SHUTDOWN ABORT
         SHUTDOWN ABORT ABORT",
    );
}

#[test]
fn options_may_be_given_twice_where_redis_lets_them() {
    compare(
        "SET k v EX 100 EX 200
         TTL k
         SET k v PX 10 EX 20
         SET k v EX x EX 200
         SET k v EX 200 EX x
         SET k v EX 200 EX
         SET k v KEEPTTL KEEPTTL
         SET k v EX 10 KEEPTTL
         SET k v KEEPTTL EX 10
         SET k v EXAT 1 PXAT 2
         SET k v NX NX
         SET k v EX 100 EX 100 NX GET GET
         GETEX k EX 100 EX 200
         TTL k
         GETEX k PERSIST PERSIST
         TTL k
         GETEX k PERSIST EX 1
         GETEX k EX 1 PERSIST
         GETEX k EX 1 PX 1
         GETEX k NX
         GETEX k KEEPTTL
         GETEX nosuch EX 0
         GETEX nosuch EX x",
    );
}

#[test]
fn a_number_that_is_wrong_is_told_from_one_that_is_out_of_range() {
    compare(
        "WAIT 0 x
         WAIT x 0
         WAIT 0 -1
         WAIT -1 0
         CLIENT PAUSE -1
         CLIENT PAUSE x
         CLIENT PAUSE 1 BAD
         CLIENT PAUSE x BAD
         MEMORY USAGE k SAMPLES x
         MEMORY USAGE k SAMPLES -1
         MEMORY USAGE k SAMPLES
         LPOP k x
         LPOS l a COUNT x
         LPOS l a MAXLEN x
         LMPOP x k LEFT
         LMPOP 1 k LEFT COUNT x
         CLIENT KILL ID x
         SLOWLOG GET x
         SLOWLOG GET -2
         SLOWLOG GET 1 2
         slowlog get 1 2
         DEBUG SLEEP x
         DEBUG SLEEP -1
         DEBUG SLEEP 0.01x
         DEBUG SLEEP
         BLPOP k 0x0.1
         BLPOP k 0x.08
         BLPOP k 0x1p-6
         BLPOP k 0x
         BLPOP k 0x.
         SCAN -1
         SCAN -
         SCAN --1
         SCAN -+1
         SCAN +1
         SCAN 1x
         SCAN 99999999999999999999999
         SET p v PXAT 9223372036854775807
         EXPIRETIME p
         PEXPIRETIME p",
    );
}

#[test]
fn flush_of_scripts_and_functions_names_its_command() {
    compare(
        "SCRIPT FLUSH BAD
         FUNCTION FLUSH BAD
         SCRIPT FLUSH A B
         FUNCTION FLUSH A B
         FUNCTION FLUSH ASYNC
         SCRIPT FLUSH SYNC",
    );
}

#[test]
fn a_setting_may_be_set_to_the_value_that_it_has() {
    compare(
        r#"CONFIG SET maxmemory 0
         CONFIG SET maxmemory 0mb
         CONFIG SET maxmemory x
         CONFIG SET save ""
         CONFIG GET save
         CONFIG SET maxmemory-policy noeviction
         CONFIG SET appendonly maybe
         CONFIG SET databases 16
         CONFIG SET databases 17
         CONFIG SET timeout 5 timeout 6
         CONFIG SET timeout x timeout 6
         CONFIG SET Timeout 5 TIMEOUT 6
         CONFIG SET nosuch 1 nosuch 2
         CONFIG SET timeout x nosuch 2
         CONFIG SET timeout x databases 2
         CONFIG SET databases 2 nosuch 3
         CONFIG SET timeout 7 databases 16
         CONFIG SET timeout
         CONFIG SET timeout 1 save
         CONFIG GET timeout
         CONFIG SET timeout 2147483648
         CONFIG SET tcp-keepalive 99999999999
         CONFIG SET maxclients 0
         CONFIG SET maxclients 99999999999
         CONFIG SET proto-max-bulk-len 1
         CONFIG SET proto-max-bulk-len x
         CONFIG SET client-query-buffer-limit 1
         CONFIG SET slowlog-log-slower-than x
         CONFIG SET slowlog-max-len -1
         CONFIG SET protected-mode maybe
         CONFIG SET latency-monitor-threshold -1
         CONFIG SET latency-monitor-threshold 100
         CONFIG GET latency-monitor-threshold
         CONFIG SET client-output-buffer-limit "normal 0 0"
         CONFIG SET client-output-buffer-limit "bad 0 0 0"
         CONFIG SET notify-keyspace-events q
         CONFIG SET appendfsync x
         CONFIG SET appendfsync ALWAYS
         CONFIG GET appendfsync
         CONFIG SET appendfsync everysec timeout x
         CONFIG GET appendfsync
         CONFIG SET appendfsync no
         CONFIG GET appendfsync"#,
    );
    let directory = tempfile::tempdir().unwrap();
    let filedb = Process::filedb(&directory.path().join("store"), &[]);
    let mut client = filedb.connect();
    assert_eq!(client.ask("CONFIG SET appendonly yes maxmemory 0"), "+OK\r\n");
    assert!(client.ask("CONFIG SET appendonly no").contains("can't set immutable config"));
}

#[test]
fn command_tells_keys_and_what_is_done_with_them() {
    compare(
        "COMMAND GETKEYS LMPOP 0 k LEFT
         COMMAND GETKEYS LMPOP x k LEFT
         COMMAND GETKEYS LMPOP 2 a b LEFT
         COMMAND GETKEYS BLMPOP 0 0 k LEFT
         COMMAND GETKEYS PING a
         COMMAND GETKEYS NOSUCH a
         COMMAND GETKEYS GET a b
         COMMAND GETKEYSANDFLAGS SET k v
         COMMAND GETKEYSANDFLAGS SET k v NX GET
         COMMAND GETKEYSANDFLAGS GET k
         COMMAND GETKEYSANDFLAGS SORT k STORE d
         COMMAND GETKEYSANDFLAGS SORT_RO k
         COMMAND GETKEYSANDFLAGS LMPOP 2 a b LEFT
         COMMAND GETKEYSANDFLAGS BLMPOP 0 1 k LEFT
         COMMAND GETKEYSANDFLAGS MSET a 1 b 2
         COMMAND GETKEYSANDFLAGS COPY a b
         COMMAND GETKEYSANDFLAGS RENAME a b
         COMMAND GETKEYSANDFLAGS LMOVE a b LEFT LEFT
         COMMAND GETKEYSANDFLAGS BITOP AND d a b
         COMMAND GETKEYSANDFLAGS DEL a b c
         COMMAND GETKEYSANDFLAGS MEMORY USAGE k
         COMMAND GETKEYSANDFLAGS OBJECT ENCODING k
         COMMAND GETKEYSANDFLAGS PING a
         COMMAND INFO nosuch
         COMMAND DOCS nosuch
         COMMAND BAD",
    );
}

#[test]
fn command_tells_of_each_command_what_redis_tells() {
    let directory = tempfile::tempdir().unwrap();
    let Some(redis) = Process::redis(directory.path()) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let filedb = Process::filedb(&directory.path().join("store"), &[]);
    let (mut ours, mut theirs) = (filedb.connect(), redis.connect());
    let mut differences = Vec::new();
    let mut count = 0;
    // Containers have other subcommands here.
    for command in table::all_lines().filter(|command| command.subcommands.is_empty()) {
        // Version 7.2 lets them name a command without arguments.
        if command.name.starts_with("command|getkeys") {
            continue;
        }
        let info = ["COMMAND", "INFO", command.name];
        let (ours_info, theirs_info) = (ours.command(&info), theirs.command(&info));
        if theirs_info == "*1\r\n$-1\r\n" {
            continue;
        }
        count += 1;
        // What 7.2 calls otherwise: the sentences, and the history of a command is not told here.
        let docs = ["COMMAND", "DOCS", command.name];
        let arguments = |docs: String| {
            let at = docs.find("$9\r\narguments\r\n");
            at.map(|at| docs[at..].to_owned())
        };
        let (ours_docs, theirs_docs) = (arguments(ours.command(&docs)), arguments(theirs.command(&docs)));
        if ours_info != theirs_info || ours_docs != theirs_docs {
            differences.push(format!(
                "{}\n  ours:   {ours_info:?} {ours_docs:?}\n  theirs: {theirs_info:?} {theirs_docs:?}",
                command.name
            ));
        }
    }
    assert!(count > 120 && differences.is_empty(), "{count}\n{}", differences.join("\n"));
}

#[test]
fn latency_says_that_there_is_nothing_in_the_words_of_redis() {
    compare(
        "LATENCY LATEST
         LATENCY HISTORY command
         LATENCY RESET
         LATENCY RESET command
         LATENCY GRAPH command
         LATENCY DOCTOR
         CONFIG SET latency-monitor-threshold 1000
         LATENCY DOCTOR
         LATENCY HISTOGRAM nosuch
         LATENCY BAD
         LATENCY HISTORY",
    );
}

#[test]
fn help_begins_and_ends_as_that_of_redis() {
    let directory = tempfile::tempdir().unwrap();
    let Some(redis) = Process::redis(directory.path()) else {
        println!("skipped: redis-server is not installed");
        return;
    };
    let filedb = Process::filedb(&directory.path().join("store"), &[]);
    let (mut ours, mut theirs) = (filedb.connect(), redis.connect());
    let containers =
        table::all().filter(|command| !command.subcommands.is_empty()).map(|command| command.name);
    for name in containers.chain(["debug"]) {
        let line = format!("{name} HELP");
        let (ours, theirs) = (ours.ask(&line), theirs.ask(&line));
        let line = |text: &str, at: usize| text.lines().nth(at).unwrap_or_default().to_owned();
        assert_eq!(line(&ours, 1), line(&theirs, 1));
        let end = "+HELP\r\n+    Prints this help.\r\n";
        assert!(ours.ends_with(end) && theirs.ends_with(end), "{ours}");
        let count: usize = line(&ours, 0)[1..].parse().unwrap();
        assert_eq!(ours.lines().count(), count + 1);
    }
    let help = ours.ask("CONFIG HELP");
    assert!(
        help.contains("+SET <parameter> <value> [<parameter> <value> ...]\r\n+    Sets configuration"),
        "{help}"
    );
}

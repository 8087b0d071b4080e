//! The deliberate mistakes, and the tests that are asked, one after the other, until one fails.

pub struct Bug {
    pub name: &'static str,
    pub what: &'static str,
    /// Programs of tests/ (`lib`: the tests in the source), and the tests of each: those whose names contain one of these words, all
    /// without one.
    pub caught_by: &'static [(&'static str, &'static [&'static str])],
}

const CRASH: (&str, &[&str]) = ("crash", &[]);
const FAULTS: (&str, &[&str]) = ("faults", &[]);
const DAMAGE: (&str, &[&str]) = ("damage", &[]);
const MODEL: (&str, &[&str]) = ("model", &["simulated_disk"]);
const LISTS: (&str, &[&str]) = ("lists", &[]);
const RECOVERY: (&str, &[&str]) = ("recovery", &[]);
const ORDERED: (&str, &[&str]) = ("lsm", &[]);
const UPKEEP: (&str, &[&str]) = ("lsm_upkeep", &[]);
const THREADS: (&str, &[&str]) = ("concurrency", &[]);
const MOMENT: (&str, &[&str]) = ("moment", &[]);
const HOST: (&str, &[&str]) = ("host", &[]);
const CHANGES: (&str, &[&str]) = ("changes", &[]);
const GROUP_COMMIT: (&str, &[&str]) = ("lib", &["log::commit::"]);
const MERGE: (&str, &[&str]) = ("lib", &["merge::"]);
const SCHEDULES: (&str, &[&str]) = ("schedules-lib", &["schedules::"]);
const READERS: (&str, &[&str]) = ("lib", &["log::live::"]);
const SEGMENT: (&str, &[&str]) = ("segment_model", &[]);

macro_rules! bugs {
    ($($name:literal, $what:literal: $($by:ident)*;)*) => {
        pub const BUGS: &[Bug] = &[$(Bug { name: $name, what: $what, caught_by: &[$($by),*] }),*];
    };
}

bugs! {
    "names-not-synced", "the manifest names files before their names are durable": CRASH;
    "manifest-name-not-synced", "the directory is not synced after the manifest was renamed": CRASH FAULTS;
    "manifest-not-atomic", "the manifest is written in its place": CRASH;
    "manifest-not-synced", "the manifest is renamed before its bytes are durable": CRASH;
    "failed-sync-retried", "a sync that failed is tried again, and believed": FAULTS;
    "killed-tail-not-written-again", "what a killed process left in the page cache is not written again": CRASH FAULTS RECOVERY;
    "checksum-not-checked", "frames are taken without a look at their checksums": DAMAGE;
    "frontier-too-new", "frames say that more is durable than is": CRASH;
    "short-write-left", "what a failed write left stays behind the tail": FAULTS;
    "rotated-files-not-synced", "a sync forgets the files that were rotated out": CRASH;
    "sync-of-others-not-awaited", "who finds somebody syncing does not wait": SCHEDULES GROUP_COMMIT;
    "one-waiter-woken", "who has synced wakes one of those who wait, who need not wake the next": SCHEDULES;
    "sync-counts-what-came-during-it", "what was appended while a sync went on counts as synced": SCHEDULES;
    "torn-batch-taken", "the whole records of a torn batch count": CRASH;
    "tail-not-truncated", "a torn tail stays in the file": CRASH RECOVERY;
    "checkpoint-trusted-after-a-crash", "the checkpoint of the last clean close counts after a crash": CRASH MODEL RECOVERY;
    "stale-hint-trusted", "a hint counts whatever file it was written for": DAMAGE;
    "tombstone-dropped-early", "a merge drops tombstones that still hide something": MODEL CRASH;
    "expired-record-hides-nothing", "a merge drops an expired record that still hides something": MODEL CRASH;
    "dropped-tombstone-not-told", "a merge drops a delete that who follows the store has not seen, and nobody tells": CHANGES;
    "merge-committed-before-the-log", "a merge counts before what made its records dead is durable": CRASH;
    "unlink-before-manifest", "a merge removes its inputs before its outputs count": CRASH;
    "sequence-number-reused", "the numbers of records that a merge dropped are given again": RECOVERY;
    "merge-overwrites-a-newer-write", "a merge points the index at its copy, whatever was written meanwhile": SCHEDULES THREADS MERGE;
    "merge-waits-for-a-closed-store", "who has merged waits for readers of a store that somebody closed": SCHEDULES;
    "session-counted-before-it-is-told", "a writer counts its session before readers can see it": READERS;
    "snapshot-sees-a-later-write", "a walk does not keep what is overwritten": SCHEDULES MOMENT THREADS MODEL;
    "walk-holds-no-files", "files go whose places a walk has taken from the index": SCHEDULES MOMENT;
    "slots-move-unnoticed", "readers of the index are not told that slots move": SCHEDULES;
    "version-not-read-again", "readers of the index do not look whether slots moved": SCHEDULES;
    "slots-move-before-the-version", "a weak processor moves slots before it says so": SEGMENT;
    "version-read-before-the-slots", "a weak processor looks whether slots moved before it has read them": SEGMENT;
    "usage-not-counted", "what is overwritten is not counted as dead": MODEL;
    "expired-key-comes-back", "a get does not look at the expiry": MODEL;
    "list-head-without-element", "a push appends the head first, and the element apart from it": LISTS;
    "lock-not-taken", "a store is opened without its lock": HOST;
    "filter-denies-a-key", "the filter of a run says no for a key that is in it": ORDERED;
    "run-counts-before-its-sync", "a run is in the manifest before its bytes are durable": CRASH;
    "run-counts-before-the-log-is-synced", "a run is in the manifest before the log is durable that far": CRASH;
    "log-dropped-too-early", "log files go whose records are in no run": UPKEEP;
    "log-files-sealed-out-of-order", "a log file is sealed before one that stands before it": UPKEEP;
    "ordered-tombstone-dropped-early", "a merge drops tombstones above the bottom": ORDERED CRASH;
}

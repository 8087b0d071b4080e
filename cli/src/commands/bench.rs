//! Measures puts and gets in a store, with keys of its own.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use filedb::Db;
use serde_json::json;

use crate::args::{Args, Bench};
use crate::output::{Answer, say};
use crate::progress;

pub fn bench(args: &Args, db: &Db, bench: &Bench) -> Result<Answer> {
    let value = vec![b'v'; bench.value_size];
    let key = |n: u64| format!("bench {n:012}").into_bytes();
    let puts = measure("puts", bench, |n| db.put(key(n), &value).map(drop))?;
    // Another order than that of the writes.
    let gets = measure("gets", bench, |n| db.get(key(n.wrapping_mul(0x9e37_79b9) % bench.keys)).map(drop))?;
    let deletes = measure("deletes", bench, |n| db.delete(key(n)).map(drop))?;
    for (what, time) in [("put", puts), ("get", gets), ("delete", deletes)] {
        let per_second = bench.keys as f64 / time.as_secs_f64().max(1e-9);
        match args.json {
            true => say(format_args!(
                "{}",
                json!({ "what": what, "count": bench.keys, "per_second": per_second })
            ))?,
            false => say(format_args!("{what:7} {per_second:12.0} per second"))?,
        }
    }
    db.close()?;
    Ok(Answer::Done)
}

/// Calls `verb` for each number, on several threads.
fn measure(
    what: &'static str,
    bench: &Bench,
    verb: impl Fn(u64) -> filedb::Result<()> + Sync,
) -> Result<Duration> {
    let bar = progress::count(what, bench.keys);
    let threads = bench.threads.clamp(1, 1024);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let work = |thread: u64| {
            let (verb, bar) = (&verb, &bar);
            move || -> filedb::Result<()> {
                for (done, n) in (thread..bench.keys).step_by(threads as usize).enumerate() {
                    verb(n)?;
                    if done % 1000 == 999 {
                        bar.inc(1000);
                    }
                }
                Ok(())
            }
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| anyhow!("a thread of the measurement ended early"))??;
            anyhow::Ok(())
        })
    })?;
    let time = began.elapsed();
    bar.finish_and_clear();
    Ok(time)
}

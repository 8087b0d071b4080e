//! Short names for long addresses: shortener STORE add NAME URL SECONDS | visit NAME TIMES | list
//! A name ends by itself. Four threads visit at once; a hit that was printed is never lost, whoever is killed.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use filedb::{Db, Options, PutOptions};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn add(db: &Db, name: &str, url: &str, life: Duration) -> Result<()> {
    let options = PutOptions::new().if_absent().ttl(life);
    if !db.put_with(format!("url/{name}"), url, &options)? {
        return Err(format!("{name} is taken").into());
    }
    Ok(())
}

fn visit(db: &Db, name: &str, times: usize) -> Result<()> {
    for _ in 0..times {
        let url = db.get(format!("url/{name}"))?.ok_or_else(|| format!("there is no {name}"))?;
        let hits = db.increment(format!("hits/{name}"), 1)?;
        writeln!(stdout(), "{} {hits}", String::from_utf8_lossy(&url))?;
    }
    Ok(())
}

fn run(db: &Db, words: &[&str]) -> Result<()> {
    match words {
        ["add", name, url, seconds] => add(db, name, url, Duration::from_secs(seconds.parse()?)),
        ["visit", name, times] => {
            let times = times.parse()?;
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(db, name, times))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().expect("no visit panics"))
            })
        }
        ["list"] => {
            for key in &db.list_sorted("url/")? {
                writeln!(stdout(), "{}", String::from_utf8_lossy(&key[4..]))?;
            }
            Ok(())
        }
        _ => Err("usage: shortener STORE add NAME URL SECONDS | visit NAME TIMES | list".into()),
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (store, command) = words.split_first().ok_or("the first word is the store")?;
    let db = Db::open(store, &Options::new())?;
    run(&db, command)?;
    Ok(db.close()?)
}

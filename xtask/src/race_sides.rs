//! `cargo xtask race-sides`: what the race has no row for. Lists beside LMDB, with a number for each element, and Redis over loopback; the
//! store in memory beside a map behind locks and tkrzw's TinyDBM; a store on a server beside a bare loop with a socket.

use std::ffi::OsString;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::race_server::TOOLS;
use crate::workspace::{Workspace, quietly};
use crate::{clib, race, tools};

const USAGE: &str = "\
usage: cargo xtask race-sides [--quick] [--rounds N] [--count N]

  --quick      fewer operations: shows that it works, the figures mean little
  --rounds N   rounds, in each of which all have their turn (5)
  --count N    operations of a turn (1000000); a tenth of that for lists, where Redis answers each
";

pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let (mut rounds, mut count) = (5u64, 1_000_000u64);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || -> Result<u64> {
            let text = rest.next().context("a number is missing")?;
            text.to_string_lossy().parse().with_context(|| format!("{} is no number", text.display()))
        };
        match argument.to_str() {
            Some("--quick") => (rounds, count) = (1, 20_000),
            Some("--rounds") => rounds = number()?.max(1),
            Some("--count") => count = number()?.max(1000),
            Some("--help" | "-h") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => bail!("what is {}?\n\n{USAGE}", argument.display()),
        }
    }
    tools::ensure(workspace, TOOLS)?;
    race::ensure_peers(workspace)?;
    let sh = &workspace.shell;
    let target = workspace.out.with_file_name("race-build");
    let (prefix, source, build) =
        (clib::installed(workspace)?, workspace.path("bench-compare/sides"), target.join("sides"));
    quietly(cmd!(sh, "cmake -S {source} -B {build} -DCMAKE_PREFIX_PATH={prefix}"))?;
    quietly(cmd!(sh, "cmake --build {build}"))?;
    let manifest = workspace.path("bench-compare/Cargo.toml");
    cmd!(
        sh,
        "cargo build --locked --release --manifest-path {manifest} --target-dir {target} --package remote"
    )
    .quiet()
    .run()?;

    let directory = tempfile::tempdir()?;
    let redis = Redis::start()?;
    let (port, rounds) = (redis.port.to_string(), rounds.to_string());
    println!("Nanoseconds of an operation, by the clock and of processor time; medians.\n");
    println!(
        "{:22} {:>8} {:18} {:>10} {:>10} {:>12} {:>10}",
        "", "threads", "", "put, push", "processor", "get, pop", "processor"
    );
    for (row, count) in [("lists", count / 10), ("memory", count)] {
        let (path, count) = (directory.path(), count.to_string());
        cmd!(sh, "{build}/sides {row} {path} {port} {count} {rounds}").quiet().run()?;
    }
    println!();
    let seconds = if count < 100_000 { "0.05" } else { "1" };
    Ok(cmd!(sh, "{target}/release/remote 127.0.0.1:{port} {seconds}").quiet().run()?)
}

/// A server without files, so that lists of it are compared at their best.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start() -> Result<Redis> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server cannot be started")?;
        let redis = Redis { child, port };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > until {
                bail!("redis-server does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

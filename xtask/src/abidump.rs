//! `abi/filedb.abi`: what programs that were built with earlier versions rely on, compared by abidiff.
//!
//! The dump is not made from libfiledb.so: its debug information describes Rust, differently with every compiler. It is
//! made from a C file that defines every function that filedb.h declares, with an empty body. That libfiledb.so has these
//! functions and no others is the step `exports`; that the header is what the Rust sources say is the step `header`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::document::{self, Item};
use crate::header::HEADER;
use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

const DUMP: &str = "abi/filedb.abi";
const TOOLS: &[Tool] = &[Tool("abidw", "abigail-tools"), Tool("abidiff", "abigail-tools"), Tool("cc", "gcc")];

/// What abidiff found.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    None,
    /// Functions were added: old programs run as before.
    Additions,
    /// Something that old programs rely on is no more, or is otherwise.
    Breaking(String),
}

/// Writes the dump. One that old programs would not run with is written only when `accepted`.
pub fn write(workspace: &Workspace, accepted: bool) -> Result<()> {
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    let out = workspace.fresh_dir("abi")?;
    let dump = dump(workspace, &out, &sh.read_file(HEADER)?)?;
    if sh.path_exists(DUMP)
        && !accepted
        && let Difference::Breaking(report) = compare(workspace, &workspace.path(DUMP), &dump)?
    {
        bail!(
            "{report}\nprograms that run with earlier versions may not run with this one. Struct members that were \
             appended behind struct_size are fine, and so is all in a new major version: `cargo xtask abi --accept`"
        );
    }
    sh.create_dir("abi")?;
    sh.copy_file(dump, DUMP)?;
    println!("wrote {DUMP}");
    Ok(())
}

/// The committed dump is what the header says; and abidiff sees what must not happen, tried on headers in which it did.
pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    let (out, header) = (workspace.fresh_dir("abi")?, sh.read_file(HEADER)?);
    let committed = workspace.path(DUMP);
    match compare(workspace, &committed, &dump(workspace, &out, &header)?)? {
        Difference::None => {}
        Difference::Additions => bail!("{HEADER} has functions that {DUMP} has not: run `cargo xtask abi`"),
        Difference::Breaking(report) => {
            bail!("{report}\n{HEADER} breaks programs that were built before; see `cargo xtask abi`")
        }
    }
    for (name, from, to) in MISTAKES {
        ensure!(header.contains(from), "{HEADER} has no '{from}' to try the mistake '{name}' on");
        let wrong = dump(workspace, &workspace.fresh_dir("abi/mistake")?, &header.replacen(from, to, 1))?;
        let found = compare(workspace, &committed, &wrong)?;
        ensure!(matches!(found, Difference::Breaking(_)), "abidiff says {found:?} to a header with {name}");
    }
    let addition = header.replacen("uint32_t filedb_version_number(void);", ADDITION, 1);
    let longer = dump(workspace, &workspace.fresh_dir("abi/addition")?, &addition)?;
    let found = compare(workspace, &committed, &longer)?;
    ensure!(found == Difference::Additions, "abidiff says {found:?} to a header with one more function");
    println!("no difference; {} mistakes are seen", MISTAKES.len());
    Ok(())
}

/// Changes to the header that must fail: what it is, what the header says, and what it would say.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "a shorter parameter",
        "filedb_status_t filedb_count(filedb_t *db, uint64_t",
        "filedb_status_t filedb_count(filedb_t *db, uint32_t",
    ),
    (
        "a parameter less",
        "filedb_sync(filedb_t *db,\n                            filedb_error_t *err)",
        "filedb_sync(filedb_t *db)",
    ),
    ("another result", "\nsize_t filedb_iter_next_batch", "\nint32_t filedb_iter_next_batch"),
    ("a function less", "\nvoid filedb_free(void *memory);", "\nvoid filedb_release(void *memory);"),
    ("a member less", "  void *pin;\n", ""),
    ("a wider member", "  int32_t os_errno;", "  int64_t os_errno;"),
    ("a member in the middle", "  uint32_t flags;", "  uint32_t priority;\n  uint32_t flags;"),
    ("another callback", "typedef int (*filedb_fold_fn)", "typedef void (*filedb_fold_fn)"),
    ("a wider status", "typedef int32_t filedb_status_t;", "typedef int64_t filedb_status_t;"),
];

const ADDITION: &str =
    "uint32_t filedb_version_number(void);\n\n/**\n * New.\n */\nvoid filedb_new_function(void);";

/// The dump of what `header` declares, in `out`.
fn dump(workspace: &Workspace, out: &Path, header: &str) -> Result<PathBuf> {
    let sh = &workspace.shell;
    let functions: String =
        document::parse(header)?.items.iter().filter(|item| item.is_function()).map(definition).collect();
    sh.write_file(out.join("filedb.h"), header)?;
    sh.write_file(out.join("filedb.c"), format!("#include \"filedb.h\"\n\n{functions}"))?;
    let version = workspace.version()?;
    let soname = format!("libfiledb.so.{}", version.split('.').next().unwrap_or_default());
    let _in_out = sh.push_dir(out);
    // Named relative to here, so that no path of this machine gets into the dump.
    quietly(cmd!(
        sh,
        "cc -std=c11 -g -gdwarf-4 -fPIC -shared -Wl,-soname,{soname} filedb.c -o libfiledb.so"
    ))?;
    let style = ["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--type-id-style", "hash"];
    quietly(cmd!(sh, "abidw {style...} --out-file filedb.abi libfiledb.so"))?;
    Ok(out.join("filedb.abi"))
}

/// The function that an item declares, empty.
fn definition(item: &Item) -> String {
    let head = item.declaration.trim_end_matches(';');
    let body = if head.starts_with("void ") && !head.starts_with("void *") { "{}" } else { "{ return 0; }" };
    format!("{head} {body}\n")
}

fn compare(workspace: &Workspace, old: &Path, new: &Path) -> Result<Difference> {
    let sh = &workspace.shell;
    let output = cmd!(sh, "abidiff {old} {new}").quiet().ignore_status().output()?;
    let report =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Bits: 1 an error, 2 a usage error, 4 a change, 8 one that certainly breaks. A parameter of another type is a 4.
    match output.status.code().context("abidiff was killed")? {
        0 => Ok(Difference::None),
        code if code & 3 != 0 => bail!("abidiff failed:\n{report}"),
        _ if cmd!(sh, "abidiff --no-added-syms {old} {new}")
            .quiet()
            .ignore_status()
            .ignore_stdout()
            .output()?
            .status
            .success() =>
        {
            Ok(Difference::Additions)
        }
        _ => Ok(Difference::Breaking(report)),
    }
}

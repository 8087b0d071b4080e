//! What the two libraries show to a linker: names, SONAME, dependencies.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use xshell::cmd;

use crate::clib;
use crate::workspace::Workspace;

/// What the shared library may need at run time. Anything else would be a new dependency for every user.
const SYSTEM_LIBRARIES: &[&str] =
    &["libc.so", "libgcc_s.so", "libm.so", "libpthread.so", "libdl.so", "ld-linux"];

/// Both libraries define the functions that filedb.h declares, and no other name.
pub fn exported_names(workspace: &Workspace) -> Result<()> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let shared =
        cmd!(sh, "nm --dynamic --defined-only --format=posix {prefix}/lib/libfiledb.so").quiet().read()?;
    let archive =
        cmd!(sh, "nm --extern-only --defined-only --format=posix {prefix}/lib/libfiledb.a").quiet().read()?;
    let header = sh.read_file(prefix.join("include/filedb.h"))?;
    let declared = declared_functions(&header);
    for (library, names) in [("libfiledb.so", defined(&shared)), ("libfiledb.a", defined(&archive))] {
        let surplus: Vec<_> = names.difference(&declared).collect();
        let missing: Vec<_> = declared.difference(&names).collect();
        ensure!(surplus.is_empty(), "{library} exports what filedb.h does not declare: {surplus:?}");
        ensure!(missing.is_empty(), "{library} lacks what filedb.h declares: {missing:?}");
    }
    println!("{} functions, the same in the header and in both libraries", declared.len());
    Ok(())
}

/// The SONAME is that of the major version, the symbolic links lead to the file, and only system libraries are needed.
pub fn shared_library(workspace: &Workspace) -> Result<()> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let version = workspace.version()?;
    let major = version.split('.').next().unwrap_or_default();
    let lib = prefix.join("lib");
    for (link, target) in [
        ("libfiledb.so".to_owned(), format!("libfiledb.so.{major}")),
        (format!("libfiledb.so.{major}"), format!("libfiledb.so.{version}")),
    ] {
        let found = std::fs::read_link(lib.join(&link))?;
        ensure!(found.as_os_str() == target.as_str(), "{link} leads to {}, not {target}", found.display());
    }

    let dynamic = cmd!(sh, "readelf --dynamic --wide {lib}/libfiledb.so").quiet().read()?;
    let entries = |tag: &str| -> Vec<String> {
        let lines = dynamic.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
    };
    let soname = entries("(SONAME)");
    ensure!(soname == [format!("libfiledb.so.{major}")], "the SONAME is {soname:?}");
    let needed = entries("(NEEDED)");
    let strange: Vec<_> =
        needed.iter().filter(|name| !SYSTEM_LIBRARIES.iter().any(|known| name.starts_with(known))).collect();
    ensure!(strange.is_empty(), "libfiledb.so needs {strange:?}");
    println!("{}, needs {}", soname.join(""), needed.join(", "));
    Ok(())
}

/// The static library is one object without section groups: the reason is in `cmake/seal_static_library.cmake`.
pub fn static_library(workspace: &Workspace) -> Result<()> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let members = cmd!(sh, "ar t {prefix}/lib/libfiledb.a").quiet().read()?;
    ensure!(members.lines().count() == 1, "libfiledb.a has members {members:?}");
    let groups = cmd!(sh, "readelf --section-groups --wide {prefix}/lib/libfiledb.a").quiet().read()?;
    if groups.contains("group section") {
        bail!("libfiledb.a has section groups:\n{groups}");
    }
    Ok(())
}

/// Link-time optimisation took place: of all crates rustc made one object. (It silently does not when a crate is built
/// as an rlib at the same time.)
pub fn link_time_optimisation(workspace: &Workspace) -> Result<()> {
    clib::installed(workspace)?;
    let (sh, archive) = (&workspace.shell, clib::archive_of_rustc(workspace)?);
    let members = cmd!(sh, "ar t {archive}").quiet().read()?;
    let of_a_crate = |name: &&str| name.ends_with(".rcgu.o") && !name.starts_with("compiler_builtins");
    let objects: Vec<_> = members.lines().filter(of_a_crate).collect();
    ensure!(objects.len() == 1, "rustc wrote these objects into libfiledb.a, not one: {objects:?}");
    Ok(())
}

/// The names in the output of `nm --format=posix`: `NAME TYPE VALUE SIZE`, and lines that name a member.
fn defined(nm: &str) -> BTreeSet<&str> {
    nm.lines()
        .filter(|line| !line.ends_with(':'))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The functions in a header: `NAME(` outside of comments and preprocessor lines, for the names that are ours.
fn declared_functions(header: &str) -> BTreeSet<&str> {
    let mut functions = BTreeSet::new();
    let mut rest = header;
    while let Some(start) = rest.find("/*").into_iter().chain([rest.len()]).next() {
        let (code, comment) = rest.split_at(start);
        let lines = code.lines().filter(|line| !line.starts_with('#'));
        for (head, _) in lines.flat_map(|line| line.match_indices('(').map(move |(at, _)| (&line[..at], at)))
        {
            let name =
                head.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            if name.starts_with("filedb_") {
                functions.insert(name);
            }
        }
        match comment.find("*/") {
            Some(end) => rest = &comment[end + 2..],
            None => break,
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_between_comments_and_macros() {
        let header = "#define filedb_macro(x) (x)\n/* filedb_comment(1)\n */\ntypedef int (*filedb_fn)(void);\n\
                      int32_t filedb_put(filedb_t *, /* in */ int);\nconst char *filedb_strerror(int32_t);\n/* end */";
        assert_eq!(declared_functions(header), BTreeSet::from(["filedb_put", "filedb_strerror"]));
    }

    #[test]
    fn names_are_read_from_nm() {
        assert_eq!(defined("libfiledb.a[filedb.o]:\nfiledb_put T 10 20\n\n"), BTreeSet::from(["filedb_put"]));
    }
}

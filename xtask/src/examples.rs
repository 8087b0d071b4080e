//! The C examples: built against the installed package only, and held to what they say of themselves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};
use crate::{clib, document, header, shortener};

/// Builds the examples; returns `filedb-import`.
pub fn build_import(workspace: &Workspace) -> Result<PathBuf> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let (source, build) = (workspace.path("examples/c"), workspace.out.join("examples"));
    quietly(cmd!(sh, "cmake -S {source} -B {build} -DCMAKE_PREFIX_PATH={prefix} -DCMAKE_C_FLAGS=-Werror"))?;
    quietly(cmd!(sh, "cmake --build {build}"))?;
    Ok(build.join("filedb-import"))
}

pub fn check(workspace: &Workspace) -> Result<()> {
    check_readme(workspace)?;
    check_header(workspace)?;
    let program = build_import(workspace)?;
    let built = |name: &str| program.with_file_name(name);
    shortener::check(&workspace.path("examples/c/shortener.c"), built("shortener"), &[])?;
    for flags in [["--io", "mmap", "--sync", "interval"], ["--io", "pread", "--sync", "none"]] {
        let directory = tempfile::tempdir()?;
        check_import(workspace, &Import { workspace, program: &program, flags, directory: directory.path() })
            .with_context(|| format!("filedb-import {}", flags.join(" ")))?;
    }
    Ok(())
}

/// The program in the README compiles as it stands and prints what it stored, and no option is missing from the table.
fn check_readme(workspace: &Workspace) -> Result<()> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let readme = sh.read_file("README.md")?;
    let program = |language: &str| {
        let code = readme.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
        code.with_context(|| format!("README.md has no program in {language}"))
    };
    let directory = tempfile::tempdir()?;
    let _in_directory = sh.push_dir(directory.path());
    sh.write_file("app.c", program("c")?)?;
    sh.write_file("app.cpp", program("cpp")?)?;
    let flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    let library = &[format!("-I{}/include", prefix.display()), format!("-L{}/lib", prefix.display())];
    let linked = &["-lfiledb".into(), format!("-Wl,-rpath,{}/lib", prefix.display())];
    quietly(cmd!(sh, "cc -std=c90 {flags...} app.c {library...} {linked...} -o app"))?;
    let said = cmd!(sh, "./app").quiet().read()?;
    ensure!(said == "world", "the program in the README prints '{said}'");
    quietly(cmd!(sh, "c++ -std=c++17 {flags...} app.cpp {library...} {linked...} -o app++"))?;
    let said = cmd!(sh, "./app++").quiet().read()?;
    ensure!(
        said.contains("visits = 1") && said.ends_with("nothing"),
        "the C++ program in the README prints '{said}'"
    );

    for option in header::options(workspace)? {
        ensure!(readme.contains(&format!("| `{option}` |")), "README.md does not list the option {option}");
    }
    Ok(())
}

/// The program in the header's opening chapter compiles as it stands, as C and as C++, and prints what it stored.
fn check_header(workspace: &Workspace) -> Result<()> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let document = document::parse(&sh.read_file(header::HEADER)?)?;
    let program = document::verbatim_below(&document.manual, "An example");
    let directory = tempfile::tempdir()?;
    let _in_directory = sh.push_dir(directory.path());
    sh.write_file("app.c", program.context("the opening chapter of filedb.h has no example")?)?;
    let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    for [compiler, standard, language] in [["cc", "-std=c90", "-xc"], ["c++", "-std=c++17", "-xc++"]] {
        quietly(cmd!(
            sh,
            "{compiler} {standard} {language} {warnings...} app.c -I{prefix}/include -L{prefix}/lib -lfiledb -Wl,-rpath,{prefix}/lib -o app"
        ))?;
        let said = cmd!(sh, "./app").quiet().read()?;
        ensure!(said == "world", "the example of filedb.h, built with {compiler}, prints '{said}'");
    }
    Ok(())
}

/// `filedb-import` and the tree it is tried on, `directory/tree`.
struct Import<'a> {
    workspace: &'a Workspace,
    program: &'a Path,
    flags: [&'a str; 4],
    directory: &'a Path,
}

impl Import<'_> {
    /// Runs the program; it is to end with exit code `code` and to say `words`, on either stream.
    fn says(&self, arguments: &[&str], code: i32, words: &[&str]) -> Result<()> {
        let (sh, program, flags) = (&self.workspace.shell, self.program, self.flags);
        let _in_directory = sh.push_dir(self.directory);
        let output = cmd!(sh, "{program} {flags...} {arguments...}").quiet().ignore_status().output()?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?} ended with {}, not {code}:\n{said}",
            output.status
        );
        for word in words {
            ensure!(said.contains(word), "{arguments:?} does not say '{word}':\n{said}");
        }
        Ok(())
    }
}

fn check_import(workspace: &Workspace, import: &Import<'_>) -> Result<()> {
    let sh = &workspace.shell;
    let tree = import.directory.join("tree");
    make_tree(&tree)?;

    import.says(
        &["--verbose", "tree", "store"],
        0,
        &["6 files", "6 stored", "0 failed", "odd\\012name\n", "a/b/c/deep\n"],
    )?;
    import.says(&["tree", "store"], 0, &["0 stored", "6 already there"])?;
    import.says(&["--verify", "tree", "store"], 0, &["6 files", "0 differences"])?;

    // One file differs, one is new, one is gone: three differences, each named.
    sh.write_file(tree.join("binary"), b"\0\xffother")?;
    sh.write_file(tree.join("new"), "new")?;
    sh.remove_path(tree.join("a/b/c/deep"))?;
    let named =
        ["binary: differs", "new: is missing from the store", "a/b/c/deep: is in the store", "3 differences"];
    import.says(&["--verify", "tree", "store"], 1, &named)?;
    import.says(&["tree", "store"], 0, &["2 stored", "4 already there"])?;
    import.says(&["--verify", "tree", "store"], 1, &["1 differences"])?;

    // What cannot be read is named, and the rest is stored all the same.
    make_unreadable(&tree)?;
    import.says(&["tree", "store2"], 1, &["too-deep: cannot be read", "6 stored", "1 failed"])?;
    fs::remove_dir_all(tree.join("deep"))?;

    // A store inside the tree is not stored in itself.
    import.says(&["tree", "tree/inside"], 0, &["6 stored"])?;
    fs::remove_dir_all(tree.join("inside"))?;

    import.says(&["absent", "store3"], 2, &["cannot open the directory absent"])?;
    import.says(&["tree", "tree/empty"], 2, &["cannot open the store tree/empty"])?;
    import.says(&["--verify", "tree", "absent"], 2, &["cannot open the store absent"])?;
    import.says(&["--sync", "sometimes", "tree", "store"], 2, &["sync", "sometimes"])?;
    import.says(&["tree"], 2, &["usage:"])
}

/// Six regular files of unusual names and contents, and links that are not followed.
fn make_tree(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join("a/b/c"))?;
    fs::write(tree.join("empty"), "")?;
    fs::write(tree.join("odd\nname"), "a newline in the name")?;
    fs::write(tree.join("binary"), b"\0\xff\r\n")?;
    fs::write(tree.join("big"), vec![b'x'; 9_000_001])?;
    fs::write(tree.join("a/b/c/deep"), "deep")?;
    fs::write(tree.join("a.b"), "sorts between a and a/b by bytes")?;
    symlink("binary", tree.join("link-to-file"))?;
    symlink("a", tree.join("link-to-directory"))?;
    Ok(())
}

/// A file that even root cannot open by its path, because the path is longer than the system takes.
fn make_unreadable(tree: &Path) -> Result<()> {
    let name = "deep";
    let long = "d".repeat(250);
    let (flags, mode) = (OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::from_raw_mode(0o755));
    let mut directory = open(tree, flags, mode)?;
    for name in std::iter::once(name).chain(std::iter::repeat_n(long.as_str(), 20)) {
        mkdirat(&directory, name, mode)?;
        directory = openat(&directory, name, flags, mode)?;
    }
    openat(&directory, "too-deep", OFlags::CREATE | OFlags::WRONLY, mode)?;
    Ok(())
}

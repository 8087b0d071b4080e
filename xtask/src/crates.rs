//! The crate in the hands of a Rust program: what is packed, and what a dependency on it builds.

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};

/// What may be in the package, besides `src/`, of which all may: names, and folders with the endings that belong in them.
const FILES: &[&str] = &[
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "build.rs",
    "include/filedb.h",
    "include/filedb.hpp",
];
const FOLDERS: &[(&str, &str)] =
    &[("src/", ".rs"), ("src/", ".md"), ("docs/", ".md"), ("docs/", ".svg"), ("examples/rust/", ".rs")];

/// The package holds the crate and its documents and nothing else of this repository, and what is in it builds. The other workspaces have
/// locked the versions that this one has.
pub fn package(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    for other in ["bench-compare/Cargo.toml", "fuzz/Cargo.toml"] {
        let other = workspace.path(other);
        quietly(cmd!(sh, "cargo metadata --locked --format-version 1 --manifest-path {other}"))?;
    }
    let output = cmd!(sh, "cargo package --package filedb --list --allow-dirty").quiet().output()?;
    let (list, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Such as a licence, or an address to look at.
    ensure!(!said.contains("manifest has no"), "Cargo.toml lacks what the registry shows:\n{said}");
    // On the way there may be generated files that git does not know: they have to stay out as well.
    let strange: Vec<_> = list.lines().filter(|file| !belongs(file)).collect();
    ensure!(strange.is_empty(), "the package would hold what does not belong in it: {strange:#?}");
    for file in FILES.iter().filter(|file| !file.starts_with(".cargo")) {
        ensure!(list.lines().any(|line| line == *file), "the package would lack {file}");
    }
    println!("{} files", list.lines().count());
    dependency(workspace)
}

fn belongs(file: &str) -> bool {
    FILES.contains(&file)
        || FOLDERS.iter().any(|(folder, ending)| file.starts_with(folder) && file.ends_with(ending))
}

/// A program that depends on what is in the package builds an rlib of it, and neither of the C libraries.
fn dependency(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let packed = workspace.out.join("package");
    // What cargo would build to verify it is what the program builds.
    quietly(cmd!(
        sh,
        "cargo package --package filedb --allow-dirty --locked --no-verify --target-dir {packed}"
    ))?;
    let name = format!("filedb-{}", workspace.version()?);
    let archive = packed.join("package").join(format!("{name}.crate"));
    let directory = tempfile::tempdir()?;
    let (program, target) = (directory.path().join("program"), directory.path().join("target"));
    let unpacked = directory.path();
    cmd!(sh, "tar -xzf {archive} -C {unpacked}").quiet().run()?;
    sh.write_file(
        program.join("Cargo.toml"),
        format!(
            "[package]\nname = \"program\"\nedition = \"2021\"\n\n[dependencies]\nfiledb = {{ path = \"../{name}\" }}\n\n[workspace]\n"
        ),
    )?;
    sh.write_file(program.join("src/main.rs"), PROGRAM)?;
    sh.copy_file(workspace.path("Cargo.lock"), program.join("Cargo.lock"))?;
    let store = directory.path().join("store");
    let _in_program = sh.push_dir(&program);
    let _target = sh.push_env("CARGO_TARGET_DIR", &target);
    quietly(cmd!(sh, "cargo build --offline"))?;
    let said = cmd!(sh, "{target}/debug/program {store}").quiet().read()?;
    ensure!(said == "world", "the program prints '{said}'");
    let libraries = cmd!(sh, "find {target} -name libfiledb*.so -o -name libfiledb*.a").quiet().read()?;
    ensure!(libraries.is_empty(), "a dependency on the crate builds libraries for C:\n{libraries}");
    Ok(())
}

const PROGRAM: &str = r#"fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("no path")?;
    let db = filedb::Db::open(path, &filedb::Options::default())?;
    db.put(b"hello", b"world")?;
    println!("{}", String::from_utf8(db.get(b"hello")?.unwrap_or_default())?);
    Ok(db.close()?)
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_crate_does_not_belong() {
        for file in ["src/lib.rs", "src/capi/manual.md", "docs/FORMAT.md", "README.md"] {
            assert!(belongs(file), "{file}");
        }
        for file in ["bindings/python/src/filedb/store.py", "docs/Doxyfile", "xtask/README.md", "src/x.so"] {
            assert!(!belongs(file), "{file}");
        }
    }
}

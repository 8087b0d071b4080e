//! The installed package in the hands of a stranger: a CMake project outside of the repository, pkg-config, plain cc.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xshell::cmd;

use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly, refused};
use crate::{bindings, clib, document, header, targets};

const COMPILERS: &[Tool] =
    &[Tool("gcc", "gcc"), Tool("g++", "g++"), Tool("clang", "clang"), Tool("clang++", "clang")];

const MAN: &[Tool] = &[Tool("man", "man-db"), Tool("groff", "groff-base")];

/// What lies outside of the repository: the consumer's project, and the installed tree, moved to another place.
struct Outside {
    directory: TempDir,
    project: PathBuf,
    prefix: PathBuf,
}

impl Outside {
    fn new(workspace: &Workspace) -> Result<Self> {
        let (sh, installed) = (&workspace.shell, clib::installed(workspace)?);
        let directory = tempfile::tempdir()?;
        let (project, prefix) = (directory.path().join("a project"), directory.path().join("moved"));
        let source = workspace.path("cmake/tests/consumer");
        cmd!(sh, "cp -a {source} {project}").quiet().run()?;
        cmd!(sh, "cp -a {installed} {prefix}").quiet().run()?;
        Ok(Outside { directory, project, prefix })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Configures and builds the project; the directory of its programs.
    fn build(&self, workspace: &Workspace, name: &str, flags: &[String]) -> Result<PathBuf> {
        let sh = &workspace.shell;
        let (project, prefix, build) = (&self.project, &self.prefix, self.path(name));
        quietly(cmd!(sh, "cmake -S {project} -B {build} -DCMAKE_PREFIX_PATH={prefix} {flags...}"))?;
        quietly(cmd!(sh, "cmake --build {build} --parallel 2"))?;
        Ok(build)
    }

    /// Runs a program of the consumer's and checks that it says our version.
    fn run(&self, workspace: &Workspace, program: &Path) -> Result<()> {
        let sh = &workspace.shell;
        let store = self.path("store");
        let version =
            cmd!(sh, "{program} {store}").quiet().read().context("the consumer's program failed")?;
        ensure!(version == workspace.version()?, "{} runs with version {version}", program.display());
        Ok(())
    }

    fn run_all(&self, workspace: &Workspace, build: &Path) -> Result<()> {
        for (program, shared) in [("with_shared", true), ("with_static", false), ("with_filedb", true)] {
            let program = build.join(program);
            self.run(workspace, &program)?;
            ensure!(
                needs_shared_library(workspace, &program)? == shared,
                "{} is linked the wrong way",
                program.display()
            );
        }
        Ok(())
    }
}

fn needs_shared_library(workspace: &Workspace, program: &Path) -> Result<bool> {
    let sh = &workspace.shell;
    Ok(cmd!(sh, "readelf --dynamic --wide {program}").quiet().read()?.contains("[libfiledb.so."))
}

/// find_package: the three targets work from a moved tree; other versions and unknown components are refused.
pub fn cmake_package(workspace: &Workspace) -> Result<()> {
    let outside = Outside::new(workspace)?;
    is_complete(workspace, &outside.prefix)?;
    every_name_has_a_page(workspace, &outside.prefix)?;
    let build = outside.build(workspace, "package", &[])?;
    outside.run_all(workspace, &build)?;

    let build = outside.build(workspace, "prefer-static", &["-Dfiledb_USE_STATIC_LIBS=ON".to_owned()])?;
    let program = build.join("with_filedb");
    outside.run(workspace, &program)?;
    ensure!(!needs_shared_library(workspace, &program)?, "filedb_USE_STATIC_LIBS changed nothing");

    let sh = &workspace.shell;
    let (project, prefix) = (&outside.project, &outside.prefix);
    let configure = |name: &str, flag: &str| -> Result<String> {
        let build = outside.path(name);
        let output = refused(cmd!(sh, "cmake -S {project} -B {build} -DCMAKE_PREFIX_PATH={prefix} {flag}"))?;
        Ok(output.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for version in ["0.999", "1.0"] {
        let said = configure("refused-version", &format!("-DWANTED_VERSION={version}"))?;
        ensure!(
            said.contains("compatible with requested version"),
            "version {version} was refused thus: {said}"
        );
    }
    let said = configure("refused-component", "-DWANTED_COMPONENTS=shared;nonsense")?;
    ensure!(said.contains("'nonsense' is not installed"), "an unknown component was refused thus: {said}");
    sh.remove_path(prefix.join("lib/libfiledb.a"))?;
    let said = configure("refused-static", "-DWANTED_COMPONENTS=static")?;
    ensure!(
        said.contains("'static' is not installed"),
        "the static component, not installed, was refused thus: {said}"
    );
    Ok(())
}

/// All that a program, its author and its packager need is installed, and nothing else.
fn is_complete(workspace: &Workspace, prefix: &Path) -> Result<()> {
    let version = workspace.version()?;
    let major = version.split('.').next().unwrap_or_default();
    let mut wanted: Vec<PathBuf> = [
        "include/filedb.h",
        "include/filedb.hpp",
        "lib/libfiledb.a",
        "lib/libfiledb.so",
        &format!("lib/libfiledb.so.{major}"),
        &format!("lib/libfiledb.so.{version}"),
        "lib/cmake/filedb/filedb-config.cmake",
        "lib/cmake/filedb/filedb-config-version.cmake",
        "lib/cmake/filedb/filedb-targets.cmake",
        "lib/pkgconfig/filedb.pc",
        "share/man/man3/filedb.3",
    ]
    .iter()
    .map(|file| prefix.join(file))
    .collect();
    let names = names_with_a_page(workspace)?;
    wanted.extend(names.iter().map(|name| prefix.join(format!("share/man/man3/{name}.3"))));
    let mut installed = Vec::new();
    let mut directories = vec![prefix.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let into = if entry.file_type()?.is_dir() { &mut directories } else { &mut installed };
            into.push(entry.path());
        }
    }
    wanted.sort_unstable();
    installed.sort_unstable();
    ensure!(installed == wanted, "installed are {installed:#?}, not {wanted:#?}");
    Ok(())
}

/// The functions and the types of the header, but for the one whose page is that of the whole library.
fn names_with_a_page(workspace: &Workspace) -> Result<Vec<String>> {
    let document = document::parse(&workspace.shell.read_file(header::HEADER)?)?;
    let items = document.items.into_iter().filter(|item| item.is_function() || item.is_type());
    Ok(items.map(|item| item.name).filter(|name| name != "filedb").collect())
}

/// `man 3 filedb_put`, and so for every function and type: man goes to the one page, which has a section of that name.
fn every_name_has_a_page(workspace: &Workspace, prefix: &Path) -> Result<()> {
    tools::ensure(workspace, MAN)?;
    let sh = &workspace.shell;
    let _width = sh.push_env("MANWIDTH", "100");
    let _plain = sh.push_env("MAN_KEEP_FORMATTING", "");
    for name in names_with_a_page(workspace)? {
        let page = cmd!(sh, "man -M {prefix}/share/man 3 {name}").quiet().ignore_stderr().output()?.stdout;
        let page = String::from_utf8_lossy(&page);
        let has_section = page.lines().any(|line| line.trim() == name);
        ensure!(has_section, "`man 3 {name}` does not show a section of that name");
    }
    Ok(())
}

/// A project of its own, outside of the repository: two compilers, four standards of C and two of C++, both libraries.
pub fn compilers(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(COMPILERS))?;
    let outside = Outside::new(workspace)?;
    let sh = &workspace.shell;
    let source = workspace.path("cmake/tests/matrix");
    for file in ["CMakeLists.txt", "main.cpp"] {
        sh.copy_file(source.join(file), &outside.project)?;
    }
    for (c, cxx) in [("gcc", "g++"), ("clang", "clang++")] {
        let flags = [format!("-DCMAKE_C_COMPILER={c}"), format!("-DCMAKE_CXX_COMPILER={cxx}")];
        let build = outside.build(workspace, c, &flags)?;
        for standard in ["c90", "c99", "c11", "c17", "c++17", "c++20"] {
            for link in ["shared", "static"] {
                let program = build.join(format!("{standard}_{link}"));
                outside.run(workspace, &program).with_context(|| format!("{c}, {standard}, {link}"))?;
                ensure!(
                    needs_shared_library(workspace, &program)? == (link == "shared"),
                    "{} is linked the wrong way",
                    program.display()
                );
            }
        }
        println!("{c}: c90 c99 c11 c17 c++17 c++20, shared and static");
    }
    Ok(())
}

/// The README's line takes out all that was installed.
pub fn uninstall(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let prefix = tempfile::tempdir()?;
    clib::install(workspace, prefix.path())?;
    let manifest = sh.read_file(workspace.out.join("build/install_manifest.txt"))?;
    cmd!(sh, "xargs -d \\n rm").stdin(manifest).quiet().run()?;
    let directory = prefix.path();
    let left = cmd!(sh, "find {directory} -not -type d").quiet().read()?;
    ensure!(left.is_empty(), "this is left after an uninstall:\n{left}");
    Ok(())
}

/// add_subdirectory and FetchContent of these sources, by a project outside of them; with the dev profile, which the other
/// steps do not try.
pub fn cmake_sources(workspace: &Workspace) -> Result<()> {
    let outside = Outside::new(workspace)?;
    let source = format!("-DFILEDB_SOURCE={}", workspace.root.display());
    // Once with everything, once without what takes long to compile.
    for (how, valkey) in [("subdirectory", "ON"), ("fetchcontent", "OFF")] {
        let flags = [
            format!("-DHOW={how}"),
            "-DCMAKE_BUILD_TYPE=Debug".to_owned(),
            format!("-DFILEDB_WITH_VALKEY={valkey}"),
            source.clone(),
        ];
        let build = outside.build(workspace, how, &flags)?;
        outside.run_all(workspace, &build)?;
    }
    Ok(())
}

/// What is compiled fast.
const SHORT: &[&str] = &["-DCMAKE_BUILD_TYPE=Debug", "-DFILEDB_WITH_VALKEY=OFF"];

/// Cargo builds for the machine that the C compiler makes programs for, whatever CARGO_BUILD_TARGET says; what cannot be is
/// refused with a sentence when the project is configured.
pub fn other_machines(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(COMPILERS))?;
    let sh = &workspace.shell;
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let toolchain = |name: &str, lines: &str| -> Result<String> {
        let file = directory.join(format!("{name}.cmake"));
        sh.write_file(&file, format!("set(CMAKE_SYSTEM_NAME Linux)\n{lines}\n"))?;
        Ok(format!("-DCMAKE_TOOLCHAIN_FILE={}", file.display()))
    };
    let refusal = |name: &str, flags: &[String], words: &[&str]| -> Result<()> {
        let build = directory.join(name);
        let said = refused(cmd!(sh, "cmake -S . -B {build} -DCMAKE_BUILD_TYPE=Debug {flags...}"))?;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            ensure!(said.contains(word), "{name}: the refusal does not say '{word}': {said}");
        }
        Ok(())
    };

    // A processor that the compiler makes no programs for; one that Rust was not installed for; one that it does not know.
    let other = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
    let wrong = toolchain("wrong-compiler", &format!("set(CMAKE_SYSTEM_PROCESSOR {other})"))?;
    refusal("wrong", &[wrong], &[&format!("asks for the processor {other}"), "set CMAKE_C_COMPILER"])?;
    let s390x = "set(CMAKE_SYSTEM_PROCESSOR s390x)\nset(CMAKE_C_COMPILER clang)\n\
                 set(CMAKE_C_COMPILER_TARGET s390x-linux-gnu)\nset(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)";
    let target = "s390x-unknown-linux-gnu";
    if !has_standard_library(workspace, target)? {
        let advice = format!("rustup target add {target}");
        refusal("no-library", &[toolchain("not-installed", s390x)?], &[target, &advice])?;
    }
    refusal("unknown", &["-DFILEDB_CARGO_TARGET=pdp11".to_owned()], &["cannot compile for pdp11"])?;

    // With a target in cargo's environment, the libraries are this machine's all the same, and are found.
    {
        let _target = sh.push_env("CARGO_BUILD_TARGET", format!("{other}-unknown-linux-gnu"));
        let build = directory.join("native");
        quietly(cmd!(sh, "cmake -S . -B {build} {SHORT...}"))?;
        quietly(cmd!(sh, "cmake --build {build}"))?;
        is_for(workspace, &build, std::env::consts::ARCH)?;
    }

    // For 32 bits, which the processor runs too.
    if cfg!(target_arch = "x86_64") {
        runs_with_32_bits(workspace, directory)?;
    }

    // And for another processor, where there is what it takes.
    let (compiler, target) = (format!("{other}-linux-gnu-gcc"), format!("{other}-unknown-linux-gnu"));
    if !tools::is_on_path(&compiler) || !has_standard_library(workspace, &target)? {
        println!("not built for {other}: that takes {compiler}, and `rustup target add {target}`");
        return Ok(());
    }
    let lines = format!("set(CMAKE_SYSTEM_PROCESSOR {other})\nset(CMAKE_C_COMPILER {compiler})");
    let (file, build) = (toolchain("cross", &lines)?, directory.join("cross"));
    quietly(cmd!(sh, "cmake -S . -B {build} {SHORT...} {file}"))?;
    quietly(cmd!(sh, "cmake --build {build}"))?;
    is_for(workspace, &build, other)
}

/// The C library for 32 bits and its tests, run on this machine.
fn runs_with_32_bits(workspace: &Workspace, directory: &Path) -> Result<()> {
    targets::ensure_32_bit_compiler(workspace)?;
    let sh = &workspace.shell;
    let (build, prefix) = (directory.join("32"), directory.join("32-prefix"));
    quietly(cmd!(sh, "cmake -S . -B {build} {SHORT...} -DCMAKE_C_FLAGS=-m32 -DCMAKE_INSTALL_LIBDIR=lib"))?;
    quietly(cmd!(sh, "cmake --build {build}"))?;
    quietly(cmd!(sh, "cmake --install {build} --prefix {prefix}"))?;
    let (source, tests) = (workspace.path("cmake/tests/consumer"), directory.join("32-consumer"));
    quietly(cmd!(sh, "cmake -S {source} -B {tests} -DCMAKE_PREFIX_PATH={prefix} -DCMAKE_C_FLAGS=-m32"))?;
    quietly(cmd!(sh, "cmake --build {tests}"))?;
    for program in ["with_shared", "with_static"] {
        let store = directory.join(format!("32-store-{program}"));
        let version = cmd!(sh, "{tests}/{program} {store}").quiet().read()?;
        ensure!(version == workspace.version()?, "{program} with 32 bits says version {version}");
    }
    Ok(())
}

fn has_standard_library(workspace: &Workspace, target: &str) -> Result<bool> {
    let sh = &workspace.shell;
    let directory = cmd!(sh, "rustc --print target-libdir --target {target}").quiet().read()?;
    Ok(Path::new(&directory).is_dir())
}

/// Both libraries of a build directory are for this processor.
fn is_for(workspace: &Workspace, build: &Path, processor: &str) -> Result<()> {
    let sh = &workspace.shell;
    let machine = if processor == "aarch64" { "AArch64" } else { "X86-64" };
    for library in ["libfiledb.so", "libfiledb.a"] {
        let header = cmd!(sh, "readelf --file-header {build}/lib/{library}").quiet().read()?;
        let says = header.lines().find(|line| line.trim_start().starts_with("Machine:")).unwrap_or_default();
        ensure!(says.contains(machine), "{library} was to be for {processor}: {says}");
    }
    Ok(())
}

/// The recipes in packaging/: the vcpkg port as far as CMake alone can tell; Conan makes a package of each kind and links a program to it.
pub fn recipes(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let out = workspace.fresh_dir("recipes")?;
    let port = sh.read_file("packaging/vcpkg/ports/filedb/vcpkg.json")?;
    let version = format!("\"version\": \"{}\"", workspace.version()?);
    ensure!(port.contains(&version), "vcpkg.json does not say {version}");
    quietly(cmd!(sh, "python3 -m json.tool packaging/vcpkg/ports/filedb/vcpkg.json"))?;
    for linkage in ["static", "dynamic"] {
        quietly(cmd!(sh, "cmake -D OUT={out}/vcpkg -D LINKAGE={linkage} -P packaging/vcpkg/check.cmake"))?;
    }

    let venv = bindings::venv_with(workspace, "venv-conan", "packaging/conan/requirements.txt")?;
    let conan = venv.join("bin/conan");
    let _home = sh.push_env("CONAN_HOME", out.join("conan"));
    quietly(cmd!(sh, "{conan} profile detect"))?;
    // What is compiled fast.
    let settings = ["-s", "build_type=Debug", "-o", "filedb/*:with_valkey=False"];
    for shared in ["True", "False"] {
        let shared = format!("filedb/*:shared={shared}");
        quietly(cmd!(sh, "{conan} create packaging/conan {settings...} -o {shared}"))?;
    }
    sh.remove_path("packaging/conan/test_package/build")?;
    sh.remove_path("packaging/conan/test_package/CMakeUserPresets.json")?;
    Ok(())
}

/// pkg-config, shared and fully static, from a moved tree; and plain cc with the line that the README gives.
pub fn pkg_config(workspace: &Workspace) -> Result<()> {
    let outside = Outside::new(workspace)?;
    let sh = &workspace.shell;
    let (project, prefix) = (&outside.project, &outside.prefix);
    let _path = sh.push_env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let _run_path = sh.push_env("LD_LIBRARY_PATH", prefix.join("lib"));
    let version = cmd!(sh, "pkg-config --modversion filedb").quiet().read()?;
    ensure!(version == workspace.version()?, "filedb.pc says version {version}");

    let shared = cmd!(sh, "pkg-config --cflags --libs filedb").quiet().read()?;
    let all = cmd!(sh, "pkg-config --cflags --static --libs filedb").quiet().read()?;
    let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let mut fully_static = words(&all);
    fully_static.push("-static".to_owned());
    let archive = prefix.join("lib/libfiledb.a").display().to_string();
    let plain = words(&format!("-I{}/include {archive} -lpthread -ldl -lm", prefix.display()));
    for (name, flags) in [("shared", words(&shared)), ("static", fully_static), ("plain", plain)] {
        let program = outside.path(name);
        quietly(cmd!(sh, "cc {project}/main.c {flags...} -o {program}"))?;
        outside.run(workspace, &program)?;
        ensure!(
            needs_shared_library(workspace, &program)? == (name == "shared"),
            "{name} is linked the wrong way"
        );
    }
    Ok(())
}

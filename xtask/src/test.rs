//! `cargo xtask test`: everything that must hold before a change is accepted, one step after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{abi, ctests, demo, examples, header, packaging, rust, tools};

struct Step {
    name: &'static str,
    holds: &'static str,
    check: fn(&Workspace) -> Result<()>,
}

/// Quick ones first: most mistakes are found in the first minute.
const STEPS: &[Step] = &[
    Step { name: "tools", holds: "the programs that the steps need are there", check: all_tools },
    Step { name: "format", holds: "rustfmt would change nothing", check: rust::format },
    Step { name: "header", holds: "include/filedb.h is what src/capi says", check: header::check },
    Step {
        name: "clippy",
        holds: "clippy has nothing to say, with the tests and without",
        check: rust::clippy,
    },
    Step { name: "rust-tests", holds: "the Rust tests pass, doctests too", check: rust::tests },
    Step { name: "rustdoc", holds: "the documentation builds without warnings", check: rust::documentation },
    Step {
        name: "exports",
        holds: "the libraries export what the header declares, and no more",
        check: abi::exported_names,
    },
    Step { name: "soname", holds: "SONAME, symbolic links, dependencies", check: abi::shared_library },
    Step {
        name: "archive",
        holds: "libfiledb.a is one object without section groups",
        check: abi::static_library,
    },
    Step {
        name: "c-tests",
        holds: "the C tests pass, C99, C11, C++17, shared and static",
        check: ctests::plain,
    },
    Step { name: "valgrind", holds: "the C tests pass under valgrind", check: ctests::under_valgrind },
    Step {
        name: "neighbours",
        holds: "another Rust library in the same program does no harm",
        check: ctests::neighbours,
    },
    Step {
        name: "package",
        holds: "find_package works, moved; other versions are refused",
        check: packaging::cmake_package,
    },
    Step {
        name: "uninstall",
        holds: "what was installed can be taken out again",
        check: packaging::uninstall,
    },
    Step {
        name: "sources",
        holds: "add_subdirectory and FetchContent work",
        check: packaging::cmake_sources,
    },
    Step {
        name: "pkg-config",
        holds: "pkg-config and plain cc link, shared and static",
        check: packaging::pkg_config,
    },
    Step { name: "examples", holds: "the examples build and do what they say", check: examples::check },
    Step {
        name: "demo",
        holds: "an import killed half way is finished, in both io modes",
        check: demo::check,
    },
];

fn all_tools(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(tools::TEST))
}

pub fn list() {
    for Step { name, holds, .. } in STEPS {
        println!("{name:12} {holds}");
    }
}

/// Runs the steps of these names, all of them when there is none, up to the first that fails.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == name.as_str())) {
        bail!("there is no step '{unknown}': cargo xtask test --list");
    }
    let chosen: Vec<_> =
        STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)).collect();
    let mut passed: Vec<(&str, Duration)> = Vec::new();
    for (n, step) in chosen.iter().enumerate() {
        println!("\n==== {}/{} {}: {}", n + 1, chosen.len(), step.name, step.holds);
        let began = Instant::now();
        let outcome = (step.check)(workspace);
        let seconds = began.elapsed().as_secs_f64();
        if let Err(why) = outcome {
            let left: Vec<_> = chosen.iter().skip(n + 1).map(|step| step.name).collect();
            println!("==== {} FAILED after {seconds:.1} s", step.name);
            println!("not run: {}", if left.is_empty() { "none".to_owned() } else { left.join(", ") });
            println!("steps: {n} passed, 1 failed, {} skipped", left.len());
            return Err(why.context(format!("step '{}' failed", step.name)));
        }
        println!("==== {} ok, {seconds:.1} s", step.name);
        passed.push((step.name, began.elapsed()));
    }
    println!();
    for (name, time) in &passed {
        println!("{name:12} {:7.1} s", time.as_secs_f64());
    }
    let total: Duration = passed.iter().map(|(_, time)| *time).sum();
    println!("{:12} {:7.1} s", "all", total.as_secs_f64());
    println!("steps: {} passed, 0 failed", passed.len());
    Ok(())
}

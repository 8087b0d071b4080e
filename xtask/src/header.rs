//! `include/filedb.h`, the manual: cbindgen makes the declarations from `src/capi`, the opening chapter comes from
//! `src/capi/manual.md`.

use anyhow::{Context, Result, anyhow, bail, ensure};
use xshell::cmd;

use crate::document::{self, Document, Item};
use crate::workspace::Workspace;

pub const HEADER: &str = "include/filedb.h";
const SYMBOLS: &str = "debian/libfiledb0.symbols";
/// The opening chapter, in Markdown.
const MANUAL: &str = "src/capi/manual.md";
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
    "list",
    "change",
    "batch",
    "iter",
    "range",
    "stats",
    "changes",
    "backup",
    "check",
    "memory",
];

pub fn write(workspace: &Workspace) -> Result<()> {
    let header = generate(workspace)?;
    workspace.shell.write_file(HEADER, &header)?;
    workspace.shell.write_file(SYMBOLS, symbols(&document::parse(&header)?)?)?;
    println!("wrote {HEADER} and {SYMBOLS}");
    Ok(())
}

/// Debian's list of what the library exports, and since which version: that is what a package needs which calls it.
fn symbols(document: &Document) -> Result<String> {
    let mut lines = vec!["libfiledb.so.0 libfiledb0 #MINVER#".to_owned()];
    let mut functions: Vec<_> = document.items.iter().filter(|item| item.is_function()).collect();
    functions.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    for function in functions {
        let since = function.text.rsplit("Since ").next().and_then(|rest| rest.split(". ").next());
        let since = since.map(|text| text.trim().trim_end_matches('.'));
        let since =
            since.with_context(|| format!("{} does not say since when it is there", function.name))?;
        lines.push(format!(" {}@Base {since}", function.name));
    }
    Ok(lines.join("\n") + "\n")
}

/// Compares the committed header with what it is made from, shows how they differ, and says what no item may leave out.
pub fn check(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let generated = workspace.out.join("filedb.h");
    let header = generate(workspace)?;
    sh.write_file(&generated, &header)?;
    if cmd!(sh, "diff -u {HEADER} {generated}").quiet().run().is_err() {
        bail!("{HEADER} is not what src/capi says: run `cargo xtask header`");
    }
    let document = document::parse(&header)?;
    check_completeness(&document)?;
    if sh.read_file(SYMBOLS)? != symbols(&document)? {
        bail!("{SYMBOLS} does not list what {HEADER} declares: run `cargo xtask header`");
    }
    let manual = sh.read_file(MANUAL)?;
    for option in options(workspace)? {
        ensure!(manual.contains(&format!("\n    {option} ")), "{MANUAL} does not list the option {option}");
    }
    Ok(())
}

/// The names in the one table of options.
pub fn options(workspace: &Workspace) -> Result<Vec<String>> {
    let table = workspace.shell.read_file(workspace.path("src/store/options/table.rs"))?;
    let names = table.lines().filter_map(|line| line.trim().strip_prefix("name: \""));
    Ok(names.map(|name| name.trim_end_matches("\",").to_owned()).collect())
}

/// Every item says since when it is there; every function says from which threads, and those with a status which.
fn check_completeness(document: &Document) -> Result<()> {
    for item in &document.items {
        let name = &item.name;
        ensure!(item.text.contains("Since "), "{name} does not say since which version it is there");
        if item.is_function() {
            ensure!(
                item.text.contains("\nThreads: "),
                "{name} does not say from which threads it may be called"
            );
        }
        if item.declaration.starts_with("filedb_status_t ") {
            ensure!(item.text.contains("\nReturns "), "{name} does not say what it returns");
        }
        if let Some((_, values)) = item.declaration.split_once("_INIT {") {
            check_initializer(document, name, values)?;
        }
    }
    Ok(())
}

/// A macro that begins a struct names every member, or compilers warn about each use of it.
fn check_initializer(document: &Document, name: &str, values: &str) -> Result<()> {
    let of = values.split_once("sizeof(").and_then(|(_, rest)| rest.split_once(')')).map(|(of, _)| of);
    let of = of.with_context(|| format!("{name} does not begin with the size of its struct"))?;
    let alias = format!(" {of};");
    let is_alias = |item: &&Item| item.declaration.ends_with(&alias);
    let alias = document.items.iter().find(is_alias).with_context(|| format!("there is no type {of}"))?;
    let structs = document.items.iter().filter(|item| !item.members.is_empty());
    let is_of = |item: &&Item| alias.declaration.starts_with(&format!("typedef {} ", head(item)));
    let members = structs.clone().find(is_of).map_or(0, |item| item.members.len());
    let values = count_values(values);
    ensure!(values == members, "{name} has {values} values, and {of} has {members} members");
    Ok(())
}

/// How many values there are; one in braces, for a member that is a struct, is one.
fn count_values(values: &str) -> usize {
    let (mut count, mut depth) = (1, 0);
    for letter in values.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}

/// `struct NAME`, as the struct's declaration begins.
fn head(item: &Item) -> &str {
    item.declaration.split(" {").next().unwrap_or_default()
}

fn generate(workspace: &Workspace) -> Result<String> {
    let mut config =
        cbindgen::Config::from_file(workspace.path("cbindgen.toml")).map_err(|why| anyhow!(why))?;
    config.header = Some(opening(&workspace.shell.read_file(MANUAL)?)?);
    let mut builder = cbindgen::Builder::new().with_config(config);
    for chapter in CHAPTERS {
        builder = builder.with_src(workspace.path(&format!("src/capi/{chapter}.rs")));
    }
    let bindings = builder.generate().context("cbindgen could not make the header")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8(text)?.lines().map(|line| in_old_c(&parenthesised(line)) + "\n").collect())
}

/// The opening chapter as the comment that Doxygen makes its first page of.
fn opening(manual: &str) -> Result<String> {
    ensure!(!manual.contains("*/"), "{MANUAL} would end the comment that it becomes");
    let mut comment = "/* Made by `cargo xtask header` from src/capi; do not edit. */\n\n/**\n * @mainpage filedb: an embedded key-value store\n *\n".to_owned();
    for line in manual.lines() {
        comment += format!(" * {line}").trim_end();
        comment += "\n";
    }
    Ok(comment + " */\n\n/**\n * @file\n * The C API of filedb. The opening chapter comes first.\n */")
}

/// `#define NAME -1` with the number in parentheses, as C wants it.
fn parenthesised(line: &str) -> String {
    match line.strip_prefix("#define ").and_then(|definition| definition.split_once(' ')) {
        Some((name, number)) if number.starts_with('-') => format!("#define {name} ({number})"),
        _ => line.to_owned(),
    }
}

/// A line without the comments of C99, which `cc -ansi` does not know: cbindgen writes them behind what it closes.
fn in_old_c(line: &str) -> String {
    match line.split_once("//") {
        Some((code, comment)) if code.starts_with(['#', '}']) => {
            format!("{} /* {} */", code.trim_end(), comment.trim())
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_behind_code_are_those_of_old_c() {
        assert_eq!(in_old_c("#endif  // __cplusplus"), "#endif /* __cplusplus */");
        assert_eq!(in_old_c("}  // extern \"C\""), "} /* extern \"C\" */");
        for line in [" * See https://example.org", "#endif  /* FILEDB_H */", "};"] {
            assert_eq!(in_old_c(line), line);
        }
    }

    #[test]
    fn a_value_in_braces_is_one() {
        assert_eq!(count_values(" sizeof(x), 0 }"), 2);
        assert_eq!(count_values(" sizeof(x), 0, { NULL, 0 }, { 0 } }"), 4);
    }

    #[test]
    fn negative_numbers_get_parentheses_and_nothing_else_does() {
        assert_eq!(parenthesised("#define FILEDB_ERR_IO -2"), "#define FILEDB_ERR_IO (-2)");
        for line in
            ["#define FILEDB_OK 0", "#define FILEDB_ERROR_INIT { -1 }", " * - a list", "#define FILEDB_H"]
        {
            assert_eq!(parenthesised(line), line);
        }
    }

    #[test]
    fn a_macro_that_leaves_a_member_out_is_named() {
        let header = "/**\n * @mainpage x\n *\n * Text.\n */\n/**\n * Since 0.1.0.\n */\n\
                      #define FILEDB_S_INIT { sizeof(filedb_s_t), 0 }\n\n/**\n * Since 0.1.0.\n */\nstruct filedb_s {\n  \
                      /**\n   * One.\n   */\n  int a;\n  /**\n   * Two.\n   */\n  int b;\n  /**\n   * Three.\n   */\n  \
                      int c;\n};\n\n/**\n * Since 0.1.0.\n */\ntypedef struct filedb_s filedb_s_t;\n";
        let why = check_completeness(&document::parse(header).unwrap()).unwrap_err();
        assert_eq!(why.to_string(), "FILEDB_S_INIT has 2 values, and filedb_s_t has 3 members");
        let whole = header.replace("_t), 0 }", "_t), 0, 0 }");
        check_completeness(&document::parse(&whole).unwrap()).unwrap();
    }

    #[test]
    fn an_item_that_leaves_something_out_is_named() {
        let header = "/**\n * @mainpage x\n *\n * Text.\n */\n/**\n * A put.\n *\n * Threads: any. Since 0.1.0.\n */\n\
                      filedb_status_t filedb_put(void);\n";
        let why = check_completeness(&document::parse(header).unwrap()).unwrap_err();
        assert_eq!(why.to_string(), "filedb_put does not say what it returns");
    }
}

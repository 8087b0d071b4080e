//! What `include/filedb.h` says, taken apart: the opening chapter, and each item with its text. It knows the layout that
//! cbindgen writes and the little Markdown that the texts use, not C and not Markdown.

use anyhow::{Context, Result, ensure};

/// A header.
pub struct Document {
    /// The opening chapter in Markdown, without its title.
    pub manual: String,
    pub items: Vec<Item>,
}

/// A macro, a type or a function.
pub struct Item {
    pub name: String,
    /// The text of the item in Markdown.
    pub text: String,
    /// As it stands in the header, but for the comments inside a struct.
    pub declaration: String,
    /// The members of a struct, each with its text.
    pub members: Vec<(String, String)>,
}

/// A paragraph of a text, or what stands in place of one.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    Heading(String),
    Paragraph(String),
    /// A line of a list.
    Bullet(String),
    /// Lines to be shown as they are.
    Verbatim(Vec<String>),
}

impl Item {
    pub fn is_function(&self) -> bool {
        self.declaration.ends_with(';') && !self.is_type() && self.declaration.contains('(')
    }

    pub fn is_type(&self) -> bool {
        self.declaration.starts_with("struct ") || self.declaration.starts_with("typedef ")
    }
}

/// Takes a header apart.
pub fn parse(header: &str) -> Result<Document> {
    let mut document = Document { manual: String::new(), items: Vec::new() };
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if line != "/**" {
            continue;
        }
        let text = comment(&mut lines);
        if let Some(manual) = text.strip_prefix("@mainpage ") {
            document.manual =
                manual.split_once('\n').map_or("", |(_title, rest)| rest).trim_start().to_owned();
        } else if !text.starts_with("@file") {
            document.items.push(item(text, &mut lines)?);
        }
    }
    ensure!(!document.manual.is_empty(), "the header has no opening chapter");
    Ok(document)
}

/// The text of a comment whose first line was read.
fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    let text = lines.map(str::trim_start).take_while(|line| *line != "*/");
    let text = text.map(|line| line.strip_prefix("* ").unwrap_or(line.trim_start_matches('*')));
    text.collect::<Vec<_>>().join("\n")
}

/// The item behind a comment.
fn item<'a>(text: String, lines: &mut impl Iterator<Item = &'a str>) -> Result<Item> {
    let (mut declaration, mut members, mut member_text) = (Vec::new(), Vec::new(), String::new());
    while let Some(line) = lines.next() {
        if line.trim() == "/**" {
            member_text = comment(lines);
            continue;
        }
        if line.starts_with("  ") && line.ends_with(';') && !member_text.is_empty() {
            members.push((line.trim().to_owned(), std::mem::take(&mut member_text)));
        }
        declaration.push(line);
        let first = declaration[0];
        let is_whole = match first {
            _ if first.starts_with("#define ") => true,
            _ if first.ends_with('{') => line == "};",
            _ => line.ends_with(';'),
        };
        if is_whole {
            let declaration = declaration.join("\n");
            return Ok(Item { name: name_in(&declaration)?, text, declaration, members });
        }
    }
    Err(anyhow::anyhow!("no declaration follows this text:\n{text}"))
}

/// What a declaration declares: the first name of ours in front of a parenthesis, else the last one.
fn name_in(declaration: &str) -> Result<String> {
    let head = declaration.split_once('{').map_or(declaration, |(head, _)| head);
    let is_ours = |word: &&str| word.starts_with("filedb") || word.starts_with("FILEDB");
    let names = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(is_ours).map(str::to_owned).collect()
    };
    let declared = match head.strip_prefix("#define ") {
        Some(definition) => names(definition).into_iter().next(),
        // `typedef int (*name)(...)` or `type name(...)`.
        None => match head.split_once("(*").or_else(|| head.split_once('(')) {
            Some((_, behind)) if head.starts_with("typedef") => names(behind).into_iter().next(),
            Some((front, _)) => names(front).pop(),
            None => names(head).pop(),
        },
    };
    declared.with_context(|| format!("this declares no name of ours: {declaration}"))
}

/// Takes a text apart.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut may_go_on = false;
    for line in text.lines() {
        let last = blocks.last_mut().filter(|_| may_go_on);
        may_go_on = true;
        match (line, last) {
            ("", Some(Block::Verbatim(lines))) => lines.push(String::new()),
            ("", _) => may_go_on = false,
            (_, Some(Block::Verbatim(lines))) if line.starts_with("    ") => lines.push(line[4..].to_owned()),
            (_, Some(Block::Bullet(text))) if line.starts_with("  ") => *text += &format!(" {}", line.trim()),
            _ if line.starts_with("# ") => blocks.push(Block::Heading(line[2..].to_owned())),
            _ if line.starts_with("- ") => blocks.push(Block::Bullet(line[2..].to_owned())),
            _ if line.starts_with("    ") => blocks.push(Block::Verbatim(vec![line[4..].to_owned()])),
            (_, Some(Block::Paragraph(text))) => *text += &format!(" {line}"),
            _ => blocks.push(Block::Paragraph(line.to_owned())),
        }
    }
    for block in &mut blocks {
        if let Block::Verbatim(lines) = block {
            lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
        }
    }
    blocks
}

/// The lines that stand verbatim below the heading `title` of a text.
pub fn verbatim_below(text: &str, title: &str) -> Option<String> {
    let mut blocks = blocks(text).into_iter().skip_while(|block| *block != Block::Heading(title.to_owned()));
    blocks.find_map(|block| match block {
        Block::Verbatim(lines) => Some(lines.join("\n") + "\n"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/* Made. */\n\n/**\n * @mainpage filedb: title\n *\n * Text\n * goes on.\n *\n * # Code\n *\n\
        \x20*     int a;\n *\n *     int b;\n */\n\n/**\n * @file\n */\n#ifndef X\n\n/**\n * A number.\n */\n\
        #define FILEDB_X (-1)\n\n/**\n * A struct.\n */\nstruct filedb_s {\n  /**\n   * A member.\n   */\n  int a;\n};\n\n\
        /**\n * A function type.\n */\ntypedef int (*filedb_f)(filedb_s_t *x,\n                   int y);\n\n\
        /**\n * A function. See:\n * - one, which\n *   goes on;\n * - two.\n */\nfiledb_s_t *filedb_new(filedb_s_t *x);\n";

    #[test]
    fn a_header_is_taken_apart() {
        let document = parse(HEADER).unwrap();
        assert_eq!(document.manual, "Text\ngoes on.\n\n# Code\n\n    int a;\n\n    int b;");
        assert_eq!(verbatim_below(&document.manual, "Code").unwrap(), "int a;\n\nint b;\n");
        let names: Vec<_> =
            document.items.iter().map(|item| (item.name.as_str(), item.is_function())).collect();
        assert_eq!(
            names,
            [("FILEDB_X", false), ("filedb_s", false), ("filedb_f", false), ("filedb_new", true)]
        );
        assert_eq!(document.items[1].members, [("int a;".to_owned(), "A member.".to_owned())]);
        assert_eq!(document.items[1].declaration, "struct filedb_s {\n  int a;\n};");
    }

    #[test]
    fn a_text_is_taken_apart() {
        let document = parse(HEADER).unwrap();
        let expected = [
            Block::Paragraph("A function. See:".into()),
            Block::Bullet("one, which goes on;".into()),
            Block::Bullet("two.".into()),
        ];
        assert_eq!(blocks(&document.items[3].text), expected);
    }
}

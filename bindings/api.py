#!/usr/bin/env python3
"""Describes the C API to programs: reads include/filedb.h, writes api.json and the declarations of the bindings that
have no C compiler to read the header for them. It knows the header's grammar (that of cbindgen), not C: what it does
not understand is an error, never left out.

  api.py write        writes bindings/api.json and what is generated from it
  api.py check        says which of these files differ from the header
  api.py missing      says which binding does not use which function of the header
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

BINDINGS = Path(__file__).resolve().parent
HEADER = BINDINGS.parent / "include" / "filedb.h"
GENERATED_NOTE = "Generated from include/filedb.h by bindings/api.py; do not edit it."

# What has to use every function: a binding, its sources, and how a use of a function looks in its language.
USES = {
    "c++": (["../include/filedb.hpp"], r"\bfiledb_\w+(?=[(>,])"),
    "go": (["go/*.go", "go/*.h"], r"\bfiledb_\w+(?=\()"),
    "zig": (["zig/src/filedb.zig"], r"(?<=\bc\.)filedb_\w+(?=\()"),
    "python": (["python/src/filedb/*.py"], r"(?<=\blib\.)filedb_\w+|(?<=\blibrary\.)filedb_\w+"),
}


# ---- The header ----------------------------------------------------------------------------------


def describe(header: str) -> dict:
    """The API that a header declares, in the order in which it does."""
    api: dict = {"version": "", "constants": [], "opaque": [], "structs": [], "callbacks": [], "functions": []}
    aliases: dict[str, str] = {}
    for doc, declaration in declarations(header):
        if declaration.startswith("#define"):
            add_constant(api, doc, declaration)
        elif match := re.fullmatch(r"struct (\w+) ?\{(.*)\};", declaration):
            members = [split_declarator(one) for one in match[2].split(";") if one.strip()]
            api["structs"].append({"name": match[1], "doc": doc, "members": members})
        elif match := re.fullmatch(r"struct (\w+);", declaration):
            api["opaque"].append({"name": match[1], "doc": doc})
        elif match := re.fullmatch(r"typedef (.+) \(\*(\w+)\)\((.*)\);", declaration):
            api["callbacks"].append(function(match[2], match[1], match[3], doc))
        elif match := re.fullmatch(r"typedef (?:struct )?(\w+) (\w+);", declaration):
            aliases[match[1] if "struct" in declaration else match[2]] = match[2] if "struct" in declaration else match[1]
        elif match := re.fullmatch(r"(.+?[ *])(filedb_\w+)\((.*)\);", declaration):
            since = re.search(r"Since (\d+\.\d+\.\d+)", doc)
            entry = function(match[2], match[1], match[3], doc)
            entry["since"] = since[1] if since else None
            entry["statuses"] = sorted(set(re.findall(r"FILEDB_(?:OK|NOT_FOUND|CONFLICT|DONE|GAP|TIMEOUT|ERR_[A-Z_]+)", doc)))
            api["functions"].append(entry)
        else:
            raise SystemExit(f"api.py does not understand this in {HEADER.name}: {declaration}")
    for kind in ("structs", "opaque"):
        for entry in api[kind]:
            entry["name"] = aliases[entry["name"]]
    numbers = {constant["name"]: constant["value"] for constant in api["constants"]}
    api["version"] = ".".join(str(numbers[f"FILEDB_VERSION_{part}"]) for part in ("MAJOR", "MINOR", "PATCH"))
    return api


def declarations(header: str):
    """Each declaration on one line, with its documentation."""
    body = header[header.index("#include <stdint.h>") + len("#include <stdint.h>") :]
    body = re.sub(r"#ifdef __cplusplus\n.*?\n#endif[^\n]*", "", body, flags=re.S)
    body = re.sub(r"#endif\s*/\* FILEDB_H \*/", "", body)
    token = re.compile(
        r"\s*(?:/\*\*(?P<doc>.*?)\*/"
        r"|(?P<define>#define [^\n]+)"
        r"|(?P<declaration>(?:struct \w+ \{.*?\n\}|[^;{]*?);))",
        re.S,
    )
    doc, at = "", 0
    while body[at:].strip():
        match = token.match(body, at)
        if match is None:
            raise SystemExit(f"api.py does not understand this in {HEADER.name}: {body[at:].strip()[:80]}")
        at = match.end()
        if match["doc"] is not None:
            lines = [re.sub(r"^ ?\* ?", "", line.strip()) for line in match["doc"].strip().splitlines()]
            doc = "\n".join(lines).strip()
        else:
            text = re.sub(r"/\*.*?\*/", "", match["define"] or match["declaration"], flags=re.S)
            yield doc, " ".join(text.split())
            doc = ""


def add_constant(api: dict, doc: str, line: str) -> None:
    match = re.fullmatch(r"#define (FILEDB_\w+) (?:\()?(-?\d+)u?(?:\))?", line)
    if match:
        api["constants"].append({"name": match[1], "value": int(match[2]), "doc": doc})
    elif not re.fullmatch(r"#define FILEDB_\w+_INIT \{.*\}", line):
        raise SystemExit(f"api.py does not understand this in {HEADER.name}: {line}")


def function(name: str, returns: str, parameters: str, doc: str) -> dict:
    split = [] if parameters.strip() == "void" else [split_declarator(one) for one in parameters.split(",")]
    return {"name": name, "returns": spell(returns), "parameters": split, "doc": doc}


def split_declarator(text: str) -> dict:
    match = re.fullmatch(r"\s*(.+?)(\w+)(?:\[(\d+)\])?\s*", text)
    if match is None:
        raise SystemExit(f"api.py does not understand this in {HEADER.name}: {text}")
    entry: dict = {"name": match[2], "type": spell(match[1])}
    if match[3]:
        entry["count"] = int(match[3])
    return entry


def spell(ctype: str) -> str:
    """One spelling for each type: 'const void *', 'filedb_t **'."""
    words = " ".join(re.sub(r"\*", " * ", ctype.replace("struct ", "")).split())
    return words.replace("* *", "**")


# ---- Zig -----------------------------------------------------------------------------------------

ZIG = {
    "void": "void", "char": "u8", "int": "c_int", "size_t": "usize",
    "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64", "uint64_t": "u64",
}  # fmt: skip


def zig(api: dict) -> str:
    opaque = {entry["name"] for entry in api["opaque"]}

    def typed(ctype: str) -> str:
        if not ctype.endswith("*"):
            return ZIG.get(ctype, ctype)
        pointee = ctype[:-1].strip()
        constant = "const " if pointee.startswith("const ") and not pointee.endswith("*") else ""
        inner = pointee.removeprefix("const ") if constant else pointee
        if inner == "void" or inner in opaque:
            return f"?*{constant}{'anyopaque' if inner == 'void' else inner}"
        return f"[*c]{constant}{typed(inner)}"

    def signature(entry: dict) -> str:
        parameters = ", ".join(f"{one['name']}: {typed(one['type'])}" for one in entry["parameters"])
        return f"({parameters}) callconv(.c) {typed(entry['returns'])}"

    lines = [f"//! The C API of filedb {api['version']}. {GENERATED_NOTE}", "//! What the functions do is said there.", ""]
    lines += ["pub const filedb_status_t = i32;", "pub const filedb_type_t = i32;", ""]
    lines += [f"pub const {one['name']} = {one['value']};" for one in api["constants"]] + [""]
    lines += [f"pub const {one['name']} = opaque {{}};" for one in api["opaque"]] + [""]
    for struct in api["structs"]:
        lines.append(f"pub const {struct['name']} = extern struct {{")
        for member in struct["members"]:
            kind = f"[{member['count']}]{typed(member['type'])}" if "count" in member else typed(member["type"])
            lines.append(f"    {member['name']}: {kind},")
        lines += ["};", ""]
    lines += [f"pub const {one['name']} = ?*const fn {signature(one)};" for one in api["callbacks"]] + [""]
    # C is what an extern function speaks by default.
    lines += [f"pub extern fn {one['name']}{signature(one)};".replace(" callconv(.c)", "") for one in api["functions"]]
    return "\n".join(lines) + "\n"


# ---- Python --------------------------------------------------------------------------------------

CTYPES = {
    "void": "None", "char": "c_char", "int": "c_int", "size_t": "c_size_t", "int32_t": "c_int32", "uint32_t": "c_uint32",
    "int64_t": "c_int64", "uint64_t": "c_uint64", "filedb_status_t": "c_int32", "filedb_type_t": "c_int32", "const char *": "c_char_p",
}  # fmt: skip


def python(api: dict) -> str:
    opaque = {entry["name"] for entry in api["opaque"]}
    structs = {entry["name"] for entry in api["structs"]}
    callbacks = {entry["name"] for entry in api["callbacks"]}

    def typed(ctype: str) -> str:
        if ctype in CTYPES:
            return CTYPES[ctype]
        if ctype in structs | callbacks:
            return ctype
        # Pointers are untyped: byref(), a bytes object and an address all pass, without a conversion in Python.
        if ctype.endswith("*"):
            return "c_void_p"
        raise SystemExit(f"api.py has no ctypes type for '{ctype}'")

    def types(entry: dict) -> str:
        return ", ".join(typed(one["type"]) for one in entry["parameters"])

    lines = [f'"""The C API of filedb {api["version"]}. {GENERATED_NOTE}"""', ""]
    names = ["CDLL", "CFUNCTYPE", "Structure"] + sorted({name for name in CTYPES.values() if name != "None"} | {"c_void_p"})
    lines += ["from ctypes import (", *(f"    {name}," for name in names), ")", ""]
    lines += [f'VERSION = "{api["version"]}"', ""]
    lines += [f"{one['name']} = {one['value']}" for one in api["constants"]] + [""]
    for struct in api["structs"]:
        lines += ["", f"class {struct['name']}(Structure):", "    _fields_ = ["]
        for member in struct["members"]:
            kind = f"{typed(member['type'])} * {member['count']}" if "count" in member else typed(member["type"])
            lines.append(f'        ("{member["name"]}", {kind}),')
        lines += ["    ]", ""]
    lines.append("")
    for one in api["callbacks"]:
        # Bytes that C shows have a length, and no NUL for c_char_p to look for.
        takes = types(one).replace("c_char_p", "c_void_p")
        lines.append(f"{one['name']} = CFUNCTYPE({typed(one['returns'])}, {takes})")
    lines += ["", "# Each function: what it returns and what it takes.", "FUNCTIONS = {"]
    for one in api["functions"]:
        lines.append(f'    "{one["name"]}": ({typed(one["returns"])}, [{types(one)}]),')
    lines += ["}", "", "", "def declare(library: CDLL) -> None:", '    """Tells ctypes the types of every function."""']
    lines += ["    for name, (returns, takes) in FUNCTIONS.items():", "        function = getattr(library, name)"]
    lines += ["        function.restype = returns", "        function.argtypes = takes"]
    return "\n".join(lines) + "\n"


# ---- The commands --------------------------------------------------------------------------------


def generated(api: dict) -> dict[Path, str]:
    return {
        BINDINGS / "api.json": json.dumps(api, indent=1) + "\n",
        BINDINGS / "zig" / "src" / "c.zig": zig(api),
        BINDINGS / "python" / "src" / "filedb" / "_abi.py": python(api),
    }


def missing(api: dict) -> dict[str, list[str]]:
    """The functions that each binding does not use."""
    wanted = [one["name"] for one in api["functions"]]
    result = {}
    for binding, (patterns, use) in USES.items():
        sources = [path for pattern in patterns for path in sorted(BINDINGS.glob(pattern))]
        sources = [path for path in sources if not path.name.startswith("_abi") and not path.name.endswith("_test.go")]
        text = "\n".join(path.read_text() for path in sources)
        text = re.sub(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", "", text, flags=re.S | re.M)
        used = set(re.findall(use, text))
        result[binding] = [name for name in wanted if name not in used]
    return result


def main() -> int:
    command = sys.argv[1] if len(sys.argv) == 2 else "help"
    api = describe(HEADER.read_text())
    if command == "write":
        for path, text in generated(api).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    if command == "check":
        stale = [path for path, text in generated(api).items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(BINDINGS.parent)} is not what the header says: python3 bindings/api.py write")
        return 1 if stale else 0
    if command == "missing":
        found = missing(api)
        for binding, names in found.items():
            total = len(api["functions"])
            print(f"{binding:7} {total - len(names)} of {total}" + "".join(f"\n  missing: {name}" for name in names))
        return 1 if any(found.values()) else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

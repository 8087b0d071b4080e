//! Counts the words of files in a store: wordcount STORE FILE...
//!
//! Files may come in many runs, and each counts once: its words and the note that it was counted are one batch, so a run
//! that is killed leaves no half-counted file behind. The most frequent words are printed at the end.
const std = @import("std");
const filedb = @import("filedb");

const Count = u64;
const Top = struct { word: []const u8, count: Count };

fn decode(value: []const u8) Count {
    return std.mem.readInt(Count, value[0..@sizeOf(Count)], .little);
}

fn encode(count: Count) [@sizeOf(Count)]u8 {
    var value: [@sizeOf(Count)]u8 = undefined;
    std.mem.writeInt(Count, &value, count, .little);
    return value;
}

/// The words of a text, lower case, with how often they come.
fn countWords(arena: std.mem.Allocator, text: []u8) !std.StringHashMap(Count) {
    var counts = std.StringHashMap(Count).init(arena);
    for (text) |*byte| byte.* = if (std.ascii.isAlphanumeric(byte.*)) std.ascii.toLower(byte.*) else ' ';
    var words = std.mem.tokenizeScalar(u8, text, ' ');
    while (words.next()) |word| {
        const entry = try counts.getOrPutValue(word, 0);
        entry.value_ptr.* += 1;
    }
    return counts;
}

fn addFile(db: filedb.Store, arena: std.mem.Allocator, path: []const u8) !bool {
    const done = try std.fmt.allocPrint(arena, "file/{s}", .{path});
    if (try db.contains(done)) return false;
    const text = try std.fs.cwd().readFileAlloc(arena, path, 1 << 30);
    var counts = try countWords(arena, text);
    var batch = try filedb.Batch.init();
    defer batch.deinit();
    var entries = counts.iterator();
    while (entries.next()) |entry| {
        const key = try std.fmt.allocPrint(arena, "word/{s}", .{entry.key_ptr.*});
        var before: [@sizeOf(Count)]u8 = undefined;
        const sum = entry.value_ptr.* + if (try db.getInto(key, &before)) |value| decode(value) else 0;
        try batch.put(key, &encode(sum));
    }
    try batch.put(done, "");
    try db.write(batch);
    return true;
}

fn moreFrequent(_: void, a: Top, b: Top) bool {
    return if (a.count == b.count) std.mem.lessThan(u8, a.word, b.word) else a.count > b.count;
}

fn report(db: filedb.Store, arena: std.mem.Allocator) !void {
    var all: std.ArrayList(Top) = .empty;
    var walk = try db.iterate("word/");
    defer walk.deinit();
    var rows = filedb.Iterator.Rows(256){};
    var more = true;
    while (more) {
        more = try walk.nextBatch(&rows);
        for (0..rows.len) |i| {
            const row = rows.at(i);
            try all.append(arena, .{ .word = try arena.dupe(u8, row.key["word/".len..]), .count = decode(row.value) });
        }
    }
    std.mem.sort(Top, all.items, {}, moreFrequent);
    std.debug.print("{} different words\n", .{all.items.len});
    for (all.items[0..@min(10, all.items.len)]) |top| std.debug.print("{:8} {s}\n", .{ top.count, top.word });
}

pub fn main() !void {
    var arena_state = std.heap.ArenaAllocator.init(std.heap.page_allocator);
    defer arena_state.deinit();
    const arena = arena_state.allocator();
    const arguments = try std.process.argsAlloc(arena);
    if (arguments.len < 2) return std.debug.print("usage: wordcount STORE FILE...\n", .{});

    var why = filedb.Diagnostic{};
    var db = filedb.Store.open(arguments[1], .{}, &why) catch |failure| {
        std.debug.print("{s}\n", .{why.message()});
        return failure;
    };
    defer db.deinit();
    for (arguments[2..]) |path| {
        std.debug.print("{s}: {s}\n", .{ path, if (try addFile(db, arena, path)) "counted" else "was counted before" });
    }
    try report(db, arena);
    try db.close();
}

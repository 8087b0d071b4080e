//! What the Zig binding promises, on stores with mapped files and without.
const std = @import("std");
const filedb = @import("filedb");

const testing = std.testing;
const allocator = testing.allocator;
const modes = [_][:0]const u8{ "mmap", "pread" };

/// A directory, and the path of a store in it.
const Place = struct {
    dir: testing.TmpDir,
    path: [:0]u8,

    fn init() !Place {
        var dir = testing.tmpDir(.{});
        const root = try dir.dir.realpathAlloc(allocator, ".");
        defer allocator.free(root);
        return .{ .dir = dir, .path = try std.fs.path.joinZ(allocator, &.{ root, "store" }) };
    }
    fn deinit(self: *Place) void {
        allocator.free(self.path);
        self.dir.cleanup();
    }
};

fn expectValue(wanted: []const u8, db: filedb.Store, key: []const u8) !void {
    const value = (try db.get(allocator, key)) orelse return error.NotFound;
    defer allocator.free(value);
    try testing.expectEqualStrings(wanted, value);
}

test "every verb works" {
    for (modes) |io| {
        var place = try Place.init();
        defer place.deinit();
        var db = try filedb.Store.open(place.path, .{ .io = io, .sync = "none" }, null);
        defer db.deinit();

        try db.put("a", "1");
        try db.put("empty", "");
        try expectValue("1", db, "a");
        try expectValue("", db, "empty");
        try testing.expect(try db.get(allocator, "absent") == null);
        try testing.expect(try db.contains("a") and !try db.contains("absent"));
        try testing.expectEqual(@as(u64, 2), try db.count());
        try testing.expect(try db.delete("empty") and !try db.delete("empty"));

        var buffer: [4]u8 = undefined;
        try testing.expectEqualStrings("1", (try db.getInto("a", &buffer)).?);
        try testing.expectError(error.BufferTooSmall, db.getInto("a", buffer[0..0]));
        try testing.expectEqual(@as(?usize, 1), try db.sizeOf("a"));
        try testing.expectEqual(@as(?usize, null), try db.sizeOf("absent"));
        const own = (try db.getC("a")).?;
        try testing.expectEqualStrings("1", own);
        filedb.Store.freeC(own);

        try testing.expect(!try db.putWith("a", "2", .{ .if_absent = true }));
        try testing.expect(try db.putWith("a", "2", .{ .if_present = true, .sync = true, .ttl_ms = 60_000 }));
        try testing.expect((try db.ttl("a")).?.ms <= 60_000);
        try testing.expect(try db.putWith("a", "3", .{ .keep_ttl = true }));
        try testing.expect(try db.persist("a"));
        try testing.expectEqual(filedb.Ttl.forever, (try db.ttl("a")).?);
        try testing.expect(try db.ttl("absent") == null);
        try testing.expect(try db.expire("a", 0) and !try db.contains("a"));

        try db.sync();
        try db.merge();
        try testing.expectEqual(@as(u64, 0), (try db.stats()).keys);
        try db.close();
        try testing.expectError(error.InvalidArgument, db.put("a", "1"));
    }
}

test "values that are pinned outlive their keys and their store" {
    for (modes) |io| {
        var place = try Place.init();
        defer place.deinit();
        var db = try filedb.Store.open(place.path, .{ .io = io }, null);
        defer db.deinit();
        try db.put("a", "old");
        try db.put("b", "");
        var pinned = (try db.getPinned("a")).?;
        try db.put("a", "new");

        var many: [4]?filedb.Pinned = undefined;
        try db.getMany(allocator, &.{ "a", "absent", "b", "a" }, &many);
        try testing.expectEqualStrings("new", many[0].?.value());
        try testing.expect(many[1] == null);
        try testing.expectEqualStrings("", many[2].?.value());
        try testing.expectError(error.InvalidArgument, db.getMany(allocator, &.{ "a", "" }, many[2..4]));
        try testing.expect(many[2] == null and many[3] == null);

        try db.close();
        try testing.expectEqualStrings("old", pinned.value());
        pinned.unpin();
        many[0].?.unpin();
    }
}

test "a batch is written whole" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    var batch = try filedb.Batch.init();
    defer batch.deinit();
    try batch.put("a", "1");
    try batch.put("b", "2");
    try batch.delete("a");
    try testing.expectError(error.InvalidArgument, batch.put("", ""));
    try testing.expectEqual(@as(u64, 0), try db.count());
    try db.write(batch);
    try testing.expect(!try db.contains("a"));
    try expectValue("2", db, "b");
    batch.clear();
    try db.write(batch);
}

test "a put in a batch may expire, and a list may be sorted" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    var batch = try filedb.Batch.init();
    defer batch.deinit();
    try batch.putWith("b", "1", .{ .ttl_ms = 3_600_000 });
    try batch.putWith("a", "2", .{});
    try batch.putWith("ab", "3", .{});
    try testing.expectError(error.Unsupported, batch.putWith("c", "4", .{ .if_absent = true }));
    try db.write(batch);
    try testing.expect((try db.ttl("b")).?.ms > 3_500_000);
    try testing.expectEqual(filedb.Ttl.forever, (try db.ttl("a")).?);
    var keys = try db.listSorted("");
    defer keys.deinit();
    try testing.expectEqual(@as(usize, 3), keys.len());
    for ([_][]const u8{ "a", "ab", "b" }, 0..) |key, i| try testing.expectEqualStrings(key, keys.at(i));
}

test "a walk sees one moment, by row and by many" {
    for (modes) |io| {
        var place = try Place.init();
        defer place.deinit();
        var db = try filedb.Store.open(place.path, .{ .io = io }, null);
        defer db.deinit();
        var name: [16]u8 = undefined;
        for (0..1000) |i| try db.put(try std.fmt.bufPrint(&name, "key{}", .{i}), "old");

        var walk = try db.iterate("key");
        defer walk.deinit();
        var rows = filedb.Iterator.Rows(64){};
        var seen: usize = 0;
        var more = true;
        while (more) {
            more = try walk.nextBatch(&rows);
            for (0..rows.len) |i| {
                const row = rows.at(i);
                try testing.expectEqualStrings("old", row.value);
                try db.put(row.key, "new");
                seen += 1;
            }
            if (more) if (try walk.next()) |row| {
                try testing.expectEqualStrings("old", row.value);
                seen += 1;
            };
        }
        try testing.expectEqual(@as(usize, 1000), seen);
        try testing.expect(try walk.next() == null);

        var keys = try db.list("key99");
        defer keys.deinit();
        try testing.expectEqual(@as(usize, 11), keys.len());
        for (0..keys.len()) |i| try testing.expect(std.mem.startsWith(u8, keys.at(i), "key99"));
        var none = try db.list("other");
        none.deinit();
    }
}

test "a walk that outlives its store says so, and is freed" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    try db.put("a", "1");
    var walk = try db.iterate("");
    try db.close();
    try testing.expectError(error.Closed, walk.next());
    walk.deinit();
}

const Counter = struct {
    seen: usize = 0,
    most: usize,
    pub fn visit(self: *Counter, key: []const u8, value: []const u8) error{Enough}!bool {
        _ = .{ key, value };
        self.seen += 1;
        if (self.most == 0) return error.Enough;
        return self.seen < self.most;
    }
};

test "a copy of a handle is the same handle, and says so after its end" {
    for (modes) |io| {
        var place = try Place.init();
        defer place.deinit();
        var db = try filedb.Store.open(place.path, .{ .io = io }, null);
        var same_store = db;
        try same_store.put("a", "1");
        try expectValue("1", db, "a");

        var walk = try db.iterate("");
        var same_walk = walk;
        try testing.expectEqualStrings("a", (try walk.next()).?.key);
        try testing.expect(try same_walk.next() == null);
        walk.deinit();
        try testing.expectError(error.Closed, same_walk.next());
        same_walk.deinit();

        var batch = try filedb.Batch.init();
        var same_batch = batch;
        try same_batch.put("b", "2");
        try db.write(batch);
        batch.deinit();
        try testing.expectError(error.Closed, same_batch.put("c", "3"));
        try testing.expectError(error.Closed, db.write(same_batch));
        same_batch.deinit();

        try testing.expectEqual(@as(u64, 2), try db.count());
        try db.close();
        try testing.expectError(error.Closed, same_store.put("a", "2"));
        try testing.expectError(error.Closed, same_store.get(allocator, "a"));
        try testing.expectError(error.Closed, same_store.close());
        same_store.deinit();
    }
}

test "fold visits until it is told to stop, and passes errors on" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    for ([_][]const u8{ "a", "b", "c" }) |key| try db.put(key, key);
    var all = Counter{ .most = 99 };
    try db.fold(&all);
    var two = Counter{ .most = 2 };
    try db.fold(&two);
    var none = Counter{ .most = 0 };
    try testing.expectError(error.Enough, db.fold(&none));
    try testing.expectEqual([3]usize{ 3, 2, 1 }, [3]usize{ all.seen, two.seen, none.seen });
}

test "errors say what they are about" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    var why = filedb.Diagnostic{};
    try testing.expectError(error.Locked, filedb.Store.open(place.path, .{}, &why));
    try testing.expect(std.mem.indexOf(u8, why.message(), place.path) != null);
    try testing.expectError(error.InvalidArgument, filedb.Store.open("x", .{ .sink = "always" }, &why));
    try testing.expect(std.mem.indexOf(u8, why.message(), "sink") != null);
    try testing.expectError(error.Missing, filedb.Store.open("absent", .{ .create_if_missing = "false" }, &why));
    try testing.expectError(error.Io, filedb.Store.open("/dev/null/store", .{}, &why));
    try testing.expect(why.osErrno() != 0 and why.fileId() == 0 and why.offset() == 0);
    const long: [65537]u8 = @splat('k');
    try testing.expectError(error.TooLarge, db.put(&long, ""));
    try testing.expect(std.mem.indexOf(u8, filedb.diagnostic().message(), "65537") != null);
    try testing.expectEqualStrings("there is no such key", filedb.describeStatus(filedb.c.FILEDB_NOT_FOUND));
}

const Ear = struct {
    heard: std.atomic.Value(usize) = .init(0),
    pub fn log(self: *Ear, level: filedb.Level, message: []const u8) void {
        if (message.len > 0 and @intFromEnum(level) <= filedb.c.FILEDB_LOG_DEBUG) _ = self.heard.fetchAdd(1, .monotonic);
    }
};

test "a log hears what the store does" {
    var place = try Place.init();
    defer place.deinit();
    var ear = Ear{};
    var options = try filedb.Options.init();
    defer options.deinit();
    try options.set("log_level", "debug", null);
    try options.setLog(&ear);
    var db = try filedb.Store.openWith(place.path, options, null);
    try db.put("a", "1");
    try db.merge();
    try db.close();
    try testing.expect(ear.heard.load(.monotonic) > 0);
}

test "options are those of the library" {
    var options = try filedb.Options.init();
    defer options.deinit();
    var buffer: [64]u8 = undefined;
    var i: usize = 0;
    while (filedb.Options.describe(i)) |info| : (i += 1) {
        try testing.expect(info.values.len > 0 and info.help.len > 0);
        const name = try allocator.dupeZ(u8, info.name);
        defer allocator.free(name);
        _ = try options.get(name, &buffer);
    }
    try testing.expect(i >= 12);
    try options.set("sync", "always", null);
    try testing.expectEqualStrings("always", try options.get("sync", &buffer));
    try testing.expect(filedb.versionNumber() >> 16 == filedb.c.FILEDB_VERSION_MAJOR and filedb.version().len >= 5);
}

test "an allocator that has nothing to give is an error" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    try db.put("a", "value");
    try testing.expectError(error.OutOfMemory, db.get(testing.failing_allocator, "a"));
    var out: [1]?filedb.Pinned = undefined;
    try testing.expectError(error.OutOfMemory, db.getMany(testing.failing_allocator, &.{"a"}, &out));
}

test "no function of the C API is missing" {
    const Description = struct { functions: []const struct { name: []const u8 } };
    const api = try std.json.parseFromSlice(Description, allocator, @embedFile("api.json"), .{ .ignore_unknown_fields = true });
    defer api.deinit();
    const source = @embedFile("filedb.zig");
    var missing: usize = 0;
    for (api.value.functions) |function| {
        const call = try std.fmt.allocPrint(allocator, "c.{s}(", .{function.name});
        defer allocator.free(call);
        if (std.mem.indexOf(u8, source, call) == null) {
            std.debug.print("the Zig binding does not use {s}\n", .{function.name});
            missing += 1;
        }
    }
    try testing.expectEqual(@as(usize, 0), missing);
}

test "a store without key order refuses ranges, and changes nothing" {
    var db = try filedb.Store.open("memory://", .{}, null);
    defer db.deinit();
    try db.put("k", "v");
    const range = filedb.Range{ .from = "a", .to = "", .to_included = true, .reverse = true };
    try testing.expectError(error.Unsupported, db.iterateRange(range));
    try testing.expectError(error.Unsupported, db.deleteRange(.{}));
    var rows = try db.iterate("");
    defer rows.deinit();
    try testing.expectError(error.Unsupported, rows.seek("k"));
    try testing.expectEqualStrings("k", (try rows.next()).?.key);
}

test "lists, and changes in one step" {
    var place = try Place.init();
    defer place.deinit();
    for ([_][:0]const u8{ place.path, "memory://" }) |path| {
        var db = try filedb.Store.open(path, .{}, null);
        defer db.deinit();
        try testing.expectEqual(1, try db.push(.back, "jobs", "b"));
        try testing.expectEqual(2, try db.push(.front, "jobs", "a"));
        var batch = try filedb.Batch.init();
        defer batch.deinit();
        try batch.push(.back, "jobs", "c");
        try batch.push(.front, "jobs", "");
        try db.write(batch);
        var range = (try db.listRange("jobs", 1, -1)).?;
        defer range.deinit();
        try testing.expectEqual(3, range.len());
        try testing.expectEqualStrings("c", range.at(2));
        try testing.expect(try db.listSet("jobs", 0, "first"));
        const first = (try db.listGetC("jobs", 0)).?;
        defer filedb.Store.freeC(first);
        try testing.expectEqualStrings("first", first);
        try testing.expectEqual(4, try db.listLength("jobs"));
        try testing.expectEqual(filedb.Type.list, try db.typeOf("jobs"));
        try testing.expectError(error.WrongType, db.get(allocator, "jobs"));
        var rows = try db.iterate("");
        defer rows.deinit();
        try testing.expect((try rows.next()).?.value.len == 0);
        try testing.expectEqual(filedb.Type.list, try rows.typeOf());
        const popped = (try db.popC(.back, "jobs")).?;
        defer filedb.Store.freeC(popped);
        try testing.expectEqualStrings("c", popped);
        const moved = (try db.listMoveC("jobs", .front, "running", .back)).?;
        defer filedb.Store.freeC(moved);
        try testing.expectEqualStrings("first", moved);
        try testing.expectEqual(1, try db.listLength("running"));
        try testing.expect(try db.listMoveC("no such list", .back, "running", .front) == null);
        try testing.expect(try db.capabilities() & filedb.c.FILEDB_CAN_BATCH != 0);
        try testing.expect(try db.compareAndSwap("key", null, "1"));
        try testing.expect(!try db.compareAndSwap("key", null, "2"));
        try testing.expect(try db.compareAndSwap("key", "1", "2"));
        const had = (try db.getDeleteC("key")).?;
        defer filedb.Store.freeC(had);
        try testing.expectEqualStrings("2", had);
        try testing.expectEqual(5, try db.increment("hits", 5));
    }
}

/// One more than the number that is there.
const OneMore = struct {
    buffer: [20]u8 = undefined,

    pub fn change(self: *OneMore, value: ?[]const u8) !?[]const u8 {
        const hits = try std.fmt.parseInt(u64, value orelse "0", 10);
        return try std.fmt.bufPrint(&self.buffer, "{d}", .{hits + 1});
    }
};

fn countHits(db: filedb.Store, start: *std.Thread.ResetEvent, wrong: *?anyerror) void {
    var counter = OneMore{};
    start.wait();
    for (0..2500) |_| {
        _ = db.increment("hits", 1) catch |why| {
            wrong.* = why;
        };
        // An allocator of its own: that of the tests is for one thread.
        db.update(std.heap.c_allocator, "updates", &counter) catch |why| {
            wrong.* = why;
        };
    }
}

test "four threads that count lose no hit" {
    var place = try Place.init();
    defer place.deinit();
    for ([_][:0]const u8{ place.path, "memory://" }) |where| {
        var db = try filedb.Store.open(where, .{}, null);
        defer db.deinit();
        var wrong: [4]?anyerror = @splat(null);
        var start = std.Thread.ResetEvent{};
        var threads: [4]std.Thread = undefined;
        for (&threads, &wrong) |*thread, *of_it| thread.* = try std.Thread.spawn(.{}, countHits, .{ db, &start, of_it });
        start.set();
        for (threads) |thread| thread.join();
        for (wrong) |why| if (why) |it| return it;
        try expectValue("10000", db, "hits");
        try expectValue("10000", db, "updates");
    }
}

/// Writes to the key while it is changed, once.
const Disturbed = struct {
    db: filedb.Store,
    calls: usize = 0,

    pub fn change(self: *Disturbed, value: ?[]const u8) !?[]const u8 {
        self.calls += 1;
        if (self.calls == 1) try self.db.put("key", "");
        return if (value.?.len == 0) "was empty" else "was not";
    }
};

const Remove = struct {
    pub fn change(_: Remove, _: ?[]const u8) !?[]const u8 {
        return null;
    }
};

test "an update begins with nothing, removes, and is tried again" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    var counter = OneMore{};
    try db.update(allocator, "key", &counter);
    try db.update(allocator, "key", &counter);
    try expectValue("2", db, "key");
    var disturbed = Disturbed{ .db = db };
    try db.update(allocator, "key", &disturbed);
    try testing.expectEqual(2, disturbed.calls);
    try expectValue("was empty", db, "key");
    try testing.expectError(error.InvalidCharacter, db.update(allocator, "key", &counter));
    try expectValue("was empty", db, "key");
    try db.update(allocator, "key", Remove{});
    try db.update(allocator, "key", Remove{});
    try testing.expect(!try db.contains("key"));
    _ = try db.push(.back, "jobs", "first");
    try testing.expectError(error.WrongType, db.update(allocator, "jobs", &counter));
}

const Found = struct {
    seen: usize = 0,
    key: [16]u8 = undefined,

    pub fn visit(self: *Found, finding: filedb.Finding) !bool {
        self.seen += 1;
        if (finding.key) |key| @memcpy(self.key[0..key.len], key);
        return true;
    }
};

const Refusal = struct {
    pub fn visit(_: *Refusal, _: filedb.Finding) !bool {
        return error.Enough;
    }
};

test "damage is found and the rest is saved" {
    var place = try Place.init();
    defer place.deinit();
    {
        var db = try filedb.Store.open(place.path, .{}, null);
        defer db.deinit();
        try db.put("kept", "value");
        try db.put("lost", "a value that is damaged");
    }
    var found = Found{};
    try testing.expectEqual(@as(u64, 0), (try filedb.check(place.path, &found)).damaged_places);
    var dir = try std.fs.openDirAbsolute(place.path, .{ .iterate = true });
    defer dir.close();
    var files = dir.iterate();
    while (try files.next()) |entry| {
        if (!std.mem.endsWith(u8, entry.name, ".data")) continue;
        const content = try dir.readFileAlloc(allocator, entry.name, 1 << 20);
        defer allocator.free(content);
        const at = std.mem.indexOf(u8, content, "a value that") orelse continue;
        content[at] ^= 1;
        try dir.writeFile(.{ .sub_path = entry.name, .data = content });
    }
    const report = try filedb.check(place.path, &found);
    try testing.expectEqual(@as(u64, 1), report.damaged_places);
    try testing.expectEqual(@as(usize, 1), found.seen);
    try testing.expectEqualStrings("lost", found.key[0..4]);
    var refusal = Refusal{};
    try testing.expectError(error.Enough, filedb.check(place.path, &refusal));
    const saved = try std.fmt.allocPrintSentinel(allocator, "{s}-saved", .{place.path}, 0);
    defer allocator.free(saved);
    try testing.expectEqual(@as(u64, 1), (try filedb.salvage(place.path, saved, &found)).keys);
    try testing.expectError(error.Exists, filedb.salvage(place.path, saved, &found));
}

test "a store in use is copied" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    const to = try std.fmt.allocPrintSentinel(allocator, "{s}-backup", .{place.path}, 0);
    defer allocator.free(to);
    try db.put("planet", "earth");
    try db.backup(to, .{});
    try db.put("planet", "mars");
    try db.backup(to, .{ .copy = true });
    var copied = try filedb.Store.open(to, .{ .read_only = "true" }, null);
    defer copied.deinit();
    var buffer: [16]u8 = undefined;
    try testing.expectEqualStrings("mars", (try copied.getInto("planet", &buffer)).?);
    try testing.expectError(error.InvalidArgument, db.backup(place.path, .{}));
}

test "changes are followed" {
    var place = try Place.init();
    defer place.deinit();
    var db = try filedb.Store.open(place.path, .{}, null);
    defer db.deinit();
    var changes = try db.changes(0);
    defer changes.deinit();
    try testing.expect(try changes.next(0) == .timeout);
    try db.put("planet", "earth");
    const change = (try changes.next(null)).change;
    try testing.expectEqual(try db.lastSeq(), change.seq);
    try testing.expectEqual(filedb.Change.Kind.put, change.kind);
    try testing.expect(change.expiry_ms == null);
    try testing.expectEqualStrings("planet", change.key);
    try testing.expectEqualStrings("earth", change.value);
    var others = try db.changes(change.seq + 1);
    defer others.deinit();
    try testing.expect(try others.next(null) == .gap);
}

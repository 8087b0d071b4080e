//! filedb for Zig: an embedded key-value store, a directory that keeps bytes under bytes.
//!
//!     var db = try filedb.Store.open("greetings", .{}, null);
//!     defer db.deinit();
//!     try db.put("hello", "world");
//!     if (try db.get(allocator, "hello")) |value| {
//!         defer allocator.free(value);
//!     }
//!
//! Bytes are slices, what is wrong is an error of `Error`, and an absent key is null. Nothing is allocated but by the
//! allocator that a function is given; `getPinned`, `getInto` and `Iterator` need none. A function that can say more than
//! its error does takes a `?*Diagnostic` where a store is opened, and remembers it for the thread: see `diagnostic`.
//!
//! A copy of a Store, Batch, Iterator or Options is the same handle, which one of the copies ends; the others answer
//! error.Closed then, as filedb.h says of handles, and a Store that was closed itself error.InvalidArgument. Of the copies
//! of a Pinned and of Keys one is unpinned or freed, and no other is used after that.
//!
//! What the functions promise and which threads may call them is said in filedb.h.

const std = @import("std");

/// The C API as it is.
pub const c = @import("c.zig");

/// What filedb.h calls FILEDB_ERR_..., and OutOfMemory for both kinds of it.
pub const Error = error{
    InvalidArgument,
    Io,
    Corrupt,
    Locked,
    NoSpace,
    ReadOnly,
    TooLarge,
    BufferTooSmall,
    Unsupported,
    Poisoned,
    Forked,
    Panic,
    OutOfMemory,
    Exists,
    Closed,
    Missing,
    WrongType,
    Connection,
    /// A status of a later version.
    Unknown,
};

/// What a key holds.
pub const Type = enum(i32) { value = 1, list = 2, _ };

/// An end of a list.
pub const End = enum { front, back };

/// What exactly went wrong.
pub const Diagnostic = struct {
    raw: c.filedb_error_t = std.mem.zeroInit(c.filedb_error_t, .{ .struct_size = @sizeOf(c.filedb_error_t) }),

    /// A sentence that names the file, the option or the number.
    pub fn message(self: *const Diagnostic) []const u8 {
        return std.mem.sliceTo(&self.raw.message, 0);
    }
    /// The operating system's error number where there is one, else 0.
    pub fn osErrno(self: *const Diagnostic) i32 {
        return self.raw.os_errno;
    }
    /// With error.Corrupt: the damaged data file, and the place in it.
    pub fn fileId(self: *const Diagnostic) u64 {
        return self.raw.file_id;
    }
    pub fn offset(self: *const Diagnostic) u64 {
        return self.raw.offset;
    }
};

threadlocal var last: Diagnostic = .{};

/// What the last call of this thread that took no Diagnostic says of its error; good until the next.
pub fn diagnostic() *const Diagnostic {
    return &last;
}

fn toError(status: c.filedb_status_t) Error {
    return switch (status) {
        c.FILEDB_ERR_INVALID_ARGUMENT => error.InvalidArgument,
        c.FILEDB_ERR_IO => error.Io,
        c.FILEDB_ERR_CORRUPT => error.Corrupt,
        c.FILEDB_ERR_LOCKED => error.Locked,
        c.FILEDB_ERR_NO_SPACE => error.NoSpace,
        c.FILEDB_ERR_READ_ONLY => error.ReadOnly,
        c.FILEDB_ERR_TOO_LARGE => error.TooLarge,
        c.FILEDB_ERR_BUFFER_TOO_SMALL => error.BufferTooSmall,
        c.FILEDB_ERR_UNSUPPORTED => error.Unsupported,
        c.FILEDB_ERR_POISONED => error.Poisoned,
        c.FILEDB_ERR_FORKED => error.Forked,
        c.FILEDB_ERR_PANIC => error.Panic,
        c.FILEDB_ERR_NO_MEMORY => error.OutOfMemory,
        c.FILEDB_ERR_EXISTS => error.Exists,
        c.FILEDB_ERR_CLOSED => error.Closed,
        c.FILEDB_ERR_MISSING => error.Missing,
        c.FILEDB_ERR_WRONG_TYPE => error.WrongType,
        c.FILEDB_ERR_CONNECTION => error.Connection,
        else => error.Unknown,
    };
}

/// True for FILEDB_OK, false for the other outcomes that are no error.
fn done(status: c.filedb_status_t) Error!bool {
    if (status < 0) return toError(status);
    return status == c.FILEDB_OK;
}

fn bytes(data: ?*const anyopaque, len: usize) []const u8 {
    const pointer = data orelse return &.{};
    return @as([*]const u8, @ptrCast(pointer))[0..len];
}

fn sliceOf(of: []const u8) c.filedb_slice_t {
    return .{ .data = of.ptr, .len = of.len };
}

/// The general sentence for a status of C.
pub fn describeStatus(status: c.filedb_status_t) []const u8 {
    return std.mem.span(@as([*:0]const u8, @ptrCast(c.filedb_strerror(status))));
}

/// The version of the library that runs, such as "0.1.0", and as 0xMMmmpp.
pub fn version() []const u8 {
    return std.mem.span(@as([*:0]const u8, @ptrCast(c.filedb_version_string())));
}
pub fn versionNumber() u32 {
    return c.filedb_version_number();
}

/// What an event of a log is: filedb.Level.info and the like.
pub const Level = enum(i32) { err = c.FILEDB_LOG_ERROR, warn = c.FILEDB_LOG_WARN, info = c.FILEDB_LOG_INFO, debug = c.FILEDB_LOG_DEBUG, _ };

/// The options to open a store with. `filedb.Store.open` takes a struct of them: .{ .sync = "always" }.
pub const Options = struct {
    handle: *c.filedb_options_t,

    pub fn init() Error!Options {
        return .{ .handle = c.filedb_options_new() orelse return error.OutOfMemory };
    }
    pub fn deinit(self: *Options) void {
        c.filedb_options_free(self.handle);
        self.* = undefined;
    }

    pub fn set(self: Options, name: [:0]const u8, value: [:0]const u8, why: ?*Diagnostic) Error!void {
        _ = try done(c.filedb_options_set(self.handle, name.ptr, value.ptr, &(why orelse &last).raw));
    }

    /// The value of an option, in `buffer`.
    pub fn get(self: Options, name: [:0]const u8, buffer: []u8) Error![]const u8 {
        var len: usize = 0;
        _ = try done(c.filedb_options_get(self.handle, name.ptr, buffer.ptr, buffer.len, &len, &last.raw));
        return buffer[0..len];
    }

    /// Has events reported to `context.log(level, message)`, from any thread, until the stores that are opened with these
    /// options are closed. It must not call them.
    pub fn setLog(self: Options, context: anytype) Error!void {
        const Context = @typeInfo(@TypeOf(context)).pointer.child;
        const call = struct {
            fn call(ctx: ?*anyopaque, level: i32, message: [*c]const u8, len: usize) callconv(.c) void {
                const self_: *Context = @ptrCast(@alignCast(ctx.?));
                self_.log(@as(Level, @enumFromInt(level)), message[0..len]);
            }
        }.call;
        _ = try done(c.filedb_options_set_log(self.handle, call, context, &last.raw));
    }

    pub const Info = struct { name: []const u8, values: []const u8, help: []const u8 };

    /// Tells about option number `i`; null behind the last.
    pub fn describe(i: usize) ?Info {
        var texts: [3][*c]const u8 = undefined;
        if (c.filedb_options_describe(i, &texts[0], &texts[1], &texts[2]) != c.FILEDB_OK) return null;
        return .{
            .name = std.mem.span(@as([*:0]const u8, @ptrCast(texts[0]))),
            .values = std.mem.span(@as([*:0]const u8, @ptrCast(texts[1]))),
            .help = std.mem.span(@as([*:0]const u8, @ptrCast(texts[2]))),
        };
    }
};

/// A value where it lies, until `unpin`: also when its key changes and when the store is closed.
pub const Pinned = struct {
    raw: c.filedb_pinned_t,

    pub fn value(self: *const Pinned) []const u8 {
        return bytes(self.raw.data, self.raw.len);
    }
    pub fn unpin(self: *Pinned) void {
        c.filedb_unpin(&self.raw);
    }
};

/// Keys as they were at one moment, in one block.
pub const Keys = struct {
    slices: []const c.filedb_slice_t,

    pub fn len(self: Keys) usize {
        return self.slices.len;
    }
    pub fn at(self: Keys, i: usize) []const u8 {
        return bytes(self.slices[i].data, self.slices[i].len);
    }
    pub fn deinit(self: *Keys) void {
        c.filedb_free(if (self.slices.len == 0) null else @ptrCast(@constCast(self.slices.ptr)));
        self.* = .{ .slices = &.{} };
    }
};

/// Writes that are collected in memory, to happen all or not at all.
pub const Batch = struct {
    handle: *c.filedb_batch_t,

    pub fn init() Error!Batch {
        return .{ .handle = c.filedb_batch_new() orelse return error.OutOfMemory };
    }
    pub fn deinit(self: *Batch) void {
        c.filedb_batch_free(self.handle);
        self.* = undefined;
    }
    pub fn put(self: Batch, key: []const u8, value: []const u8) Error!void {
        _ = try done(c.filedb_batch_put(self.handle, key.ptr, key.len, value.ptr, value.len, &last.raw));
    }
    /// Adds a put that expires `options.ttl_ms` after the batch is written. A batch has no conditions: the other options are
    /// error.Unsupported.
    pub fn putWith(self: Batch, key: []const u8, value: []const u8, options: PutOptions) Error!void {
        const more = options.inC();
        _ = try done(c.filedb_batch_put_with(self.handle, key.ptr, key.len, value.ptr, value.len, &more, &last.raw));
    }
    pub fn delete(self: Batch, key: []const u8) Error!void {
        _ = try done(c.filedb_batch_delete(self.handle, key.ptr, key.len, &last.raw));
    }
    pub fn clear(self: Batch) void {
        c.filedb_batch_clear(self.handle);
    }
    /// Adds a push to an end of a list.
    pub fn push(self: Batch, end: End, key: []const u8, value: []const u8) Error!void {
        _ = try done(switch (end) {
            .back => c.filedb_batch_push_back(self.handle, key.ptr, key.len, value.ptr, value.len, &last.raw),
            .front => c.filedb_batch_push_front(self.handle, key.ptr, key.len, value.ptr, value.len, &last.raw),
        });
    }
};

/// A row of a walk. The bytes are the library's, until the walk goes on.
pub const Entry = struct { key: []const u8, value: []const u8 };

/// A walk through the rows of a store as they were when it began: while (try walk.next()) |row| ...
pub const Iterator = struct {
    handle: *c.filedb_iter_t,

    /// The next row; null behind the last. After error.Corrupt the next call goes on behind the damage.
    pub fn next(self: Iterator) Error!?Entry {
        var key: c.filedb_slice_t = undefined;
        var value: c.filedb_slice_t = undefined;
        if (!try done(c.filedb_iter_next(self.handle, &key, &value, &last.raw))) return null;
        return .{ .key = bytes(key.data, key.len), .value = bytes(value.data, value.len) };
    }

    /// Rows, many for one call, good together until the next.
    pub fn Rows(comptime capacity: usize) type {
        return struct {
            keys: [capacity]c.filedb_slice_t = undefined,
            values: [capacity]c.filedb_slice_t = undefined,
            len: usize = 0,

            const Self = @This();
            pub fn at(self: *const Self, i: usize) Entry {
                std.debug.assert(i < self.len);
                return .{ .key = bytes(self.keys[i].data, self.keys[i].len), .value = bytes(self.values[i].data, self.values[i].len) };
            }
        };
    }

    /// Fills `rows`, a pointer to Rows(n). False when nothing comes after them. With an error the rows before it are there.
    pub fn nextBatch(self: Iterator, rows: anytype) Error!bool {
        var status: c.filedb_status_t = c.FILEDB_OK;
        rows.len = c.filedb_iter_next_batch(self.handle, &rows.keys, &rows.values, rows.keys.len, &status, &last.raw);
        return done(status);
    }

    /// The next row becomes that of the first key of the walk that is not before `key`; in a walk that runs backwards, of the
    /// last that is not behind it.
    pub fn seek(self: Iterator, key: []const u8) Error!void {
        _ = try done(c.filedb_iter_seek(self.handle, key.ptr, key.len, &last.raw));
    }

    /// What the key of the last row holds; null before the first.
    pub fn typeOf(self: Iterator) Error!?Type {
        var holds: c.filedb_type_t = 0;
        if (!try done(c.filedb_iter_type(self.handle, &holds, &last.raw))) return null;
        return @enumFromInt(holds);
    }
    pub fn deinit(self: *Iterator) void {
        c.filedb_iter_free(self.handle);
        self.* = undefined;
    }
};

/// One change of a store. Its bytes are good until the next.
pub const Change = struct {
    pub const Kind = enum(u32) { put = 1, delete = 2, push_back = 3, push_front = 4, pop_back = 5, pop_front = 6, expiry = 7, _ };
    seq: u64,
    kind: Kind,
    time_ms: u64,
    /// Of a put and of `expiry`; null for never.
    expiry_ms: ?u64,
    key: []const u8,
    value: []const u8,
};

/// What comes next for who follows a store. After a gap nothing comes: begin anew with a copy of the store.
pub const Followed = union(enum) { change: Change, gap, timeout };

/// Somebody's way through the changes of a store, in the order in which they happened and without an end.
pub const Changes = struct {
    handle: *c.filedb_changes_t,

    /// The next change. Waits for one for so long; for ever where that is null.
    pub fn next(self: Changes, timeout_ms: ?u63) Error!Followed {
        var change = std.mem.zeroInit(c.filedb_change_t, .{ .struct_size = @sizeOf(c.filedb_change_t) });
        const wait: i64 = if (timeout_ms) |ms| ms else -1;
        const status = c.filedb_changes_next(self.handle, wait, &change, &last.raw);
        if (status == c.FILEDB_GAP) return .gap;
        if (!try done(status)) return .timeout;
        return .{ .change = .{
            .seq = change.seq,
            .kind = @enumFromInt(change.kind),
            .time_ms = change.time_ms,
            .expiry_ms = if (change.expiry_ms == 0) null else change.expiry_ms,
            .key = bytes(change.key.data, change.key.len),
            .value = bytes(change.value.data, change.value.len),
        } };
    }
    pub fn deinit(self: *Changes) void {
        c.filedb_changes_free(self.handle);
        self.* = undefined;
    }
};

/// The keys between two bounds, compared by their bytes; a bound that is null is none.
pub const Range = struct {
    from: ?[]const u8 = null,
    to: ?[]const u8 = null,
    from_excluded: bool = false,
    to_included: bool = false,
    /// A walk begins with the last key.
    reverse: bool = false,

    fn inC(range: Range) c.filedb_range_t {
        var in_c = c.filedb_range_t{ .struct_size = @sizeOf(c.filedb_range_t), .flags = 0, .from = bound(range.from), .to = bound(range.to) };
        if (range.from_excluded) in_c.flags |= c.FILEDB_RANGE_FROM_EXCLUDED;
        if (range.to_included) in_c.flags |= c.FILEDB_RANGE_TO_INCLUDED;
        if (range.reverse) in_c.flags |= c.FILEDB_RANGE_REVERSE;
        return in_c;
    }

    fn bound(key: ?[]const u8) c.filedb_slice_t {
        const some = key orelse return .{ .data = null, .len = 0 };
        return .{ .data = if (some.len == 0) "" else some.ptr, .len = some.len };
    }
};

/// More to say about a write.
pub const PutOptions = struct {
    if_absent: bool = false,
    if_present: bool = false,
    sync: bool = false,
    keep_ttl: bool = false,
    ttl_ms: ?u64 = null,

    fn inC(options: PutOptions) c.filedb_put_options_t {
        var more = c.filedb_put_options_t{ .struct_size = @sizeOf(c.filedb_put_options_t), .flags = 0, .ttl_ms = 0 };
        if (options.if_absent) more.flags |= c.FILEDB_PUT_IF_ABSENT;
        if (options.if_present) more.flags |= c.FILEDB_PUT_IF_PRESENT;
        if (options.sync) more.flags |= c.FILEDB_PUT_SYNC;
        if (options.keep_ttl) more.flags |= c.FILEDB_PUT_KEEP_TTL;
        // To C, 0 is for ever.
        if (options.ttl_ms) |ms| more.ttl_ms = @max(1, ms);
        return more;
    }
};

/// How long a key has to live.
pub const Ttl = union(enum) { forever, ms: u64 };

/// An open store.
pub const Store = struct {
    handle: ?*c.filedb_t,

    /// Opens the store in the directory `path`; `options` is a struct of texts: .{ .sync = "always", .max_file_size =
    /// "64MiB" }. Where it fails, `why` says more.
    pub fn open(path: [:0]const u8, options: anytype, why: ?*Diagnostic) Error!Store {
        var made = try Options.init();
        defer made.deinit();
        inline for (@typeInfo(@TypeOf(options)).@"struct".fields) |field| {
            try made.set(field.name, @field(options, field.name), why);
        }
        return openWith(path, made, why);
    }

    pub fn openWith(path: [:0]const u8, options: Options, why: ?*Diagnostic) Error!Store {
        var handle: ?*c.filedb_t = null;
        _ = try done(c.filedb_open(path.ptr, options.handle, &handle, &(why orelse &last).raw));
        return .{ .handle = handle };
    }

    /// Makes everything durable and ends the store, whatever it returns.
    pub fn close(self: *Store) Error!void {
        const handle = self.handle;
        self.handle = null;
        _ = try done(c.filedb_close(handle, &last.raw));
    }

    /// Closes the store if it is open, and tells nobody what was wrong: for defer.
    pub fn deinit(self: *Store) void {
        if (self.handle != null) self.close() catch {};
    }

    pub fn put(self: Store, key: []const u8, value: []const u8) Error!void {
        _ = try done(c.filedb_put(self.handle, key.ptr, key.len, value.ptr, value.len, &last.raw));
    }

    /// False where a condition is not met; nothing was written then.
    pub fn putWith(self: Store, key: []const u8, value: []const u8, options: PutOptions) Error!bool {
        const more = options.inC();
        return done(c.filedb_put_with(self.handle, key.ptr, key.len, value.ptr, value.len, &more, &last.raw));
    }

    /// False where there was no such key.
    pub fn delete(self: Store, key: []const u8) Error!bool {
        return done(c.filedb_delete(self.handle, key.ptr, key.len, &last.raw));
    }

    /// What the store can do: c.FILEDB_CAN_..., or-ed. What it cannot do is error.Unsupported.
    pub fn capabilities(self: Store) Error!u64 {
        var can: u64 = 0;
        _ = try done(c.filedb_capabilities(self.handle, &can, &last.raw));
        return can;
    }

    /// What a key holds; null where there is no such key.
    pub fn typeOf(self: Store, key: []const u8) Error!?Type {
        var holds: c.filedb_type_t = 0;
        if (!try done(c.filedb_type(self.handle, key.ptr, key.len, &holds, &last.raw))) return null;
        return @enumFromInt(holds);
    }

    /// Adds a value at an end of a list, which is made where there is none: the new length.
    pub fn push(self: Store, end: End, key: []const u8, value: []const u8) Error!u64 {
        var len: u64 = 0;
        _ = try done(switch (end) {
            .back => c.filedb_push_back(self.handle, key.ptr, key.len, value.ptr, value.len, &len, &last.raw),
            .front => c.filedb_push_front(self.handle, key.ptr, key.len, value.ptr, value.len, &len, &last.raw),
        });
        return len;
    }

    /// Takes the value at an end of a list out, in memory of C's: give it to `freeC`. Null where there is no list.
    pub fn popC(self: Store, end: End, key: []const u8) Error!?[]u8 {
        var value: ?*anyopaque = null;
        var len: usize = 0;
        const status = switch (end) {
            .back => c.filedb_pop_back(self.handle, key.ptr, key.len, &value, &len, &last.raw),
            .front => c.filedb_pop_front(self.handle, key.ptr, key.len, &value, &len, &last.raw),
        };
        if (!try done(status)) return null;
        return @as([*]u8, @ptrCast(value.?))[0..len];
    }

    /// The number of elements of a list; null where there is none.
    pub fn listLength(self: Store, key: []const u8) Error!?u64 {
        var len: u64 = 0;
        if (!try done(c.filedb_list_length(self.handle, key.ptr, key.len, &len, &last.raw))) return null;
        return len;
    }

    /// An element of a list, counted from the end where `index` is negative, in memory of C's: give it to `freeC`.
    pub fn listGetC(self: Store, key: []const u8, index: i64) Error!?[]u8 {
        var value: ?*anyopaque = null;
        var len: usize = 0;
        if (!try done(c.filedb_list_get(self.handle, key.ptr, key.len, index, &value, &len, &last.raw))) return null;
        return @as([*]u8, @ptrCast(value.?))[0..len];
    }

    /// Moves an element from an end of one list to an end of another, in one step, and gives it in memory of C's: give it to `freeC`.
    /// Null where there is no list `from`.
    pub fn listMoveC(self: Store, from: []const u8, from_end: End, to: []const u8, to_end: End) Error!?[]u8 {
        var value: ?*anyopaque = null;
        var len: usize = 0;
        const of_from: u32 = if (from_end == .back) c.FILEDB_MOVE_FROM_BACK else 0;
        const of_to: u32 = if (to_end == .front) c.FILEDB_MOVE_TO_FRONT else 0;
        const status = c.filedb_list_move(self.handle, from.ptr, from.len, to.ptr, to.len, of_from | of_to, &value, &len, &last.raw);
        if (!try done(status)) return null;
        return @as([*]u8, @ptrCast(value.?))[0..len];
    }

    /// Replaces an element. False where there is none.
    pub fn listSet(self: Store, key: []const u8, index: i64, value: []const u8) Error!bool {
        return done(c.filedb_list_set(self.handle, key.ptr, key.len, index, value.ptr, value.len, &last.raw));
    }

    /// The elements from `first` to `end`, both included; null where there is no list. They are freed like keys.
    pub fn listRange(self: Store, key: []const u8, first: i64, end: i64) Error!?Keys {
        var slices: [*c]c.filedb_slice_t = null;
        var len: usize = 0;
        if (!try done(c.filedb_list_range(self.handle, key.ptr, key.len, first, end, &slices, &len, &last.raw))) return null;
        return .{ .slices = if (len == 0) &.{} else slices[0..len] };
    }

    /// Removes a key and gives its value, in memory of C's: give it to `freeC`.
    pub fn getDeleteC(self: Store, key: []const u8) Error!?[]u8 {
        var value: ?*anyopaque = null;
        var len: usize = 0;
        if (!try done(c.filedb_get_delete(self.handle, key.ptr, key.len, &value, &len, &last.raw))) return null;
        return @as([*]u8, @ptrCast(value.?))[0..len];
    }

    /// Replaces a value, null for none, by another in one step. False where it was not the expected one.
    pub fn compareAndSwap(self: Store, key: []const u8, expected: ?[]const u8, desired: ?[]const u8) Error!bool {
        const before = sliceOf(expected orelse "");
        const after = sliceOf(desired orelse "");
        const has_before: [*c]const c.filedb_slice_t = if (expected == null) null else &before;
        const has_after: [*c]const c.filedb_slice_t = if (desired == null) null else &after;
        return done(c.filedb_compare_and_swap(self.handle, key.ptr, key.len, has_before, has_after, &last.raw));
    }

    /// Adds to a number in decimal text, 0 where there is none, in one step: the sum.
    pub fn increment(self: Store, key: []const u8, by: i64) Error!i64 {
        var sum: i64 = 0;
        _ = try done(c.filedb_increment(self.handle, key.ptr, key.len, by, &sum, &last.raw));
        return sum;
    }

    /// Gives the key the value that `context.change(value)` returns, where `value` is what it has or null for none; null removes the
    /// key. In one step: `change` is called again where another write came between, so what it returned must last until the next call,
    /// or until `update` returns. An error of it changes nothing, and comes back. `allocator` keeps a copy of the value meanwhile.
    pub fn update(self: Store, allocator: std.mem.Allocator, key: []const u8, context: anytype) !void {
        while (true) {
            const before = try self.get(allocator, key);
            defer if (before) |value| allocator.free(value);
            const after: ?[]const u8 = try context.change(before);
            if (try self.compareAndSwap(key, before, after)) return;
        }
    }

    /// The value, in memory of `allocator`'s that is the caller's; null where there is no such key.
    pub fn get(self: Store, allocator: std.mem.Allocator, key: []const u8) Error!?[]u8 {
        var pinned = try self.getPinned(key) orelse return null;
        defer pinned.unpin();
        return try allocator.dupe(u8, pinned.value());
    }

    /// The value, in memory of C's: for values that go on to C. Give it to `freeC`.
    pub fn getC(self: Store, key: []const u8) Error!?[]u8 {
        var value: ?*anyopaque = null;
        var len: usize = 0;
        if (!try done(c.filedb_get(self.handle, key.ptr, key.len, &value, &len, &last.raw))) return null;
        return @as([*]u8, @ptrCast(value.?))[0..len];
    }
    pub fn freeC(memory: []u8) void {
        c.filedb_free(memory.ptr);
    }

    /// The value, at the beginning of `buffer`. error.BufferTooSmall leaves it as it is; `sizeOf` tells how much it takes.
    pub fn getInto(self: Store, key: []const u8, buffer: []u8) Error!?[]u8 {
        var len: usize = 0;
        if (!try done(c.filedb_get_into(self.handle, key.ptr, key.len, buffer.ptr, buffer.len, &len, &last.raw))) return null;
        return buffer[0..len];
    }

    /// The size of a value.
    pub fn sizeOf(self: Store, key: []const u8) Error!?usize {
        var len: usize = 0;
        const status = c.filedb_get_into(self.handle, key.ptr, key.len, null, 0, &len, &last.raw);
        if (status == c.FILEDB_ERR_BUFFER_TOO_SMALL) return len;
        return if (try done(status)) len else null;
    }

    /// The value where it lies; null where there is no such key.
    pub fn getPinned(self: Store, key: []const u8) Error!?Pinned {
        var pinned: Pinned = undefined;
        if (!try done(c.filedb_get_pinned(self.handle, key.ptr, key.len, &pinned.raw, &last.raw))) return null;
        return pinned;
    }

    /// The values of many keys, several times faster than one by one: `out[i]` is that of `keys[i]`. The caller unpins those
    /// that are there. With an error none is.
    pub fn getMany(self: Store, allocator: std.mem.Allocator, keys: []const []const u8, out: []?Pinned) Error!void {
        std.debug.assert(keys.len == out.len);
        @memset(out, null);
        const slices = try allocator.alloc(c.filedb_slice_t, keys.len);
        defer allocator.free(slices);
        const pins = try allocator.alloc(c.filedb_pinned_t, keys.len);
        defer allocator.free(pins);
        const statuses = try allocator.alloc(c.filedb_status_t, keys.len);
        defer allocator.free(statuses);
        for (keys, slices) |key, *slice| slice.* = .{ .data = key.ptr, .len = key.len };
        const status = c.filedb_get_many(self.handle, slices.ptr, keys.len, pins.ptr, statuses.ptr, &last.raw);
        for (out, pins, statuses) |*one, *pin, found| {
            one.* = if (found == c.FILEDB_OK) .{ .raw = pin.* } else null;
            if (status < 0) {
                c.filedb_unpin(pin);
                one.* = null;
            }
        }
        _ = try done(status);
    }

    pub fn contains(self: Store, key: []const u8) Error!bool {
        return done(c.filedb_exists(self.handle, key.ptr, key.len, &last.raw));
    }

    /// The keys that begin with `prefix`, in no particular order.
    pub fn list(self: Store, prefix: []const u8) Error!Keys {
        var slices: [*c]c.filedb_slice_t = null;
        var len: usize = 0;
        _ = try done(c.filedb_list(self.handle, prefix.ptr, prefix.len, &slices, &len, &last.raw));
        return .{ .slices = if (len == 0) &.{} else slices[0..len] };
    }

    /// The keys that begin with `prefix`, in the order of their bytes.
    pub fn listSorted(self: Store, prefix: []const u8) Error!Keys {
        var slices: [*c]c.filedb_slice_t = null;
        var len: usize = 0;
        _ = try done(c.filedb_list_sorted(self.handle, prefix.ptr, prefix.len, &slices, &len, &last.raw));
        return .{ .slices = if (len == 0) &.{} else slices[0..len] };
    }

    pub fn count(self: Store) Error!u64 {
        var number: u64 = 0;
        _ = try done(c.filedb_count(self.handle, &number, &last.raw));
        return number;
    }

    /// The store in numbers.
    pub fn stats(self: Store) Error!c.filedb_stats_t {
        var numbers = std.mem.zeroInit(c.filedb_stats_t, .{ .struct_size = @sizeOf(c.filedb_stats_t) });
        _ = try done(c.filedb_stats(self.handle, &numbers, &last.raw));
        return numbers;
    }

    /// Makes every write that was complete before this call durable.
    pub fn sync(self: Store) Error!void {
        _ = try done(c.filedb_sync(self.handle, &last.raw));
    }

    /// Takes the space of dead values back, now.
    pub fn merge(self: Store) Error!void {
        _ = try done(c.filedb_merge(self.handle, &last.raw));
    }

    /// The number of the last change.
    pub fn lastSeq(self: Store) Error!u64 {
        var seq: u64 = 0;
        _ = try done(c.filedb_last_seq(self.handle, &seq, &last.raw));
        return seq;
    }

    /// Follows the changes behind a number: 0 for all, or that of the last one that was applied.
    pub fn changes(self: Store, after: u64) Error!Changes {
        var handle: ?*c.filedb_changes_t = null;
        _ = try done(c.filedb_changes_new(self.handle, after, &handle, &last.raw));
        return .{ .handle = handle.? };
    }

    /// Copies the store, which may be in use, to a directory; into an older backup of it only what is new. With `copy` no file of
    /// it is a hard link.
    pub fn backup(self: Store, directory: [:0]const u8, options: struct { copy: bool = false }) Error!void {
        const flags: u32 = if (options.copy) c.FILEDB_BACKUP_COPY else 0;
        _ = try done(c.filedb_backup(self.handle, directory.ptr, flags, &last.raw));
    }

    /// How long the key has to live; null where there is no such key.
    pub fn ttl(self: Store, key: []const u8) Error!?Ttl {
        var ms: i64 = 0;
        if (!try done(c.filedb_ttl(self.handle, key.ptr, key.len, &ms, &last.raw))) return null;
        return if (ms < 0) .forever else .{ .ms = @intCast(ms) };
    }

    /// Lets the key expire; with 0 it is gone at once. False where there is no such key.
    pub fn expire(self: Store, key: []const u8, ttl_ms: u64) Error!bool {
        return done(c.filedb_expire(self.handle, key.ptr, key.len, ttl_ms, &last.raw));
    }

    /// Lets the key live until it is deleted. False where there is no such key.
    pub fn persist(self: Store, key: []const u8) Error!bool {
        return done(c.filedb_persist(self.handle, key.ptr, key.len, &last.raw));
    }

    /// Writes all of a batch or nothing, also across a crash.
    pub fn write(self: Store, batch: Batch) Error!void {
        _ = try done(c.filedb_write(self.handle, batch.handle, &last.raw));
    }

    /// Begins a walk through the keys that begin with `prefix`.
    pub fn iterate(self: Store, prefix: []const u8) Error!Iterator {
        var handle: ?*c.filedb_iter_t = null;
        _ = try done(c.filedb_iter_new(self.handle, prefix.ptr, prefix.len, &handle, &last.raw));
        return .{ .handle = handle.? };
    }

    /// Begins a walk through the keys of a range, in their order. A store without key order answers error.Unsupported.
    pub fn iterateRange(self: Store, range: Range) Error!Iterator {
        const in_c = range.inC();
        var handle: ?*c.filedb_iter_t = null;
        _ = try done(c.filedb_range_new(self.handle, &in_c, &handle, &last.raw));
        return .{ .handle = handle.? };
    }

    /// Deletes the keys of a range as one write. A store without key order answers error.Unsupported.
    pub fn deleteRange(self: Store, range: Range) Error!void {
        const in_c = range.inC();
        _ = try done(c.filedb_delete_range(self.handle, &in_c, &last.raw));
    }

    /// Calls `context.visit(key, value)` for every row until it returns false. Its error ends the walk, and comes back.
    pub fn fold(self: Store, context: anytype) !void {
        const Context = @typeInfo(@TypeOf(context)).pointer.child;
        const Visit = struct {
            context: *Context,
            failure: ?anyerror = null,

            fn call(ctx: ?*anyopaque, key: ?*const anyopaque, key_len: usize, value: ?*const anyopaque, value_len: usize) callconv(.c) c_int {
                const visit: *@This() = @ptrCast(@alignCast(ctx.?));
                const go_on = visit.context.visit(bytes(key, key_len), bytes(value, value_len)) catch |why| {
                    visit.failure = why;
                    return 1;
                };
                return if (go_on) 0 else 1;
            }
        };
        var visit = Visit{ .context = context };
        const status = c.filedb_fold(self.handle, Visit.call, &visit, &last.raw);
        if (visit.failure) |why| return why;
        _ = try done(status);
    }
};

/// One damaged or suspicious place. Its texts live until the function that is shown it returns.
pub const Finding = struct {
    severity: Severity,
    /// The name of the file, in the store's directory.
    file: []const u8,
    offset: u64,
    length: u64,
    /// A sentence that says what it is and what it means.
    message: []const u8,
    /// The key concerned, where it can be known.
    key: ?[]const u8,
};

/// How bad a finding is.
pub const Severity = enum(i32) {
    note = c.FILEDB_FINDING_NOTE,
    space_lost = c.FILEDB_FINDING_SPACE_LOST,
    data_lost = c.FILEDB_FINDING_DATA_LOST,
    _,
};

/// What was looked at and what is lost, in numbers.
pub const CheckReport = c.filedb_check_report_t;

fn Showing(comptime Context: type) type {
    return struct {
        context: *Context,
        failure: ?anyerror = null,

        fn call(ctx: ?*anyopaque, found: [*c]const c.filedb_finding_t) callconv(.c) c_int {
            const showing: *@This() = @ptrCast(@alignCast(ctx.?));
            const finding = found.*;
            const go_on = showing.context.visit(Finding{
                .severity = @enumFromInt(finding.severity),
                .file = std.mem.span(finding.file),
                .offset = finding.offset,
                .length = finding.length,
                .message = std.mem.span(finding.message),
                .key = if (finding.key == null) null else bytes(finding.key, finding.key_len),
            }) catch |why| {
                showing.failure = why;
                return 1;
            };
            return if (go_on) 0 else 1;
        }
    };
}

/// Looks for damage in the store in a directory, which may be open, and gives each finding to `context.visit(finding)` until
/// it returns false. Nothing is changed. Damage is no error: `damaged_places` of the report says whether there is any.
pub fn check(path: [:0]const u8, context: anytype) !CheckReport {
    const Shown = Showing(@typeInfo(@TypeOf(context)).pointer.child);
    var showing = Shown{ .context = context };
    var report = std.mem.zeroInit(CheckReport, .{ .struct_size = @sizeOf(CheckReport) });
    const status = c.filedb_check(path.ptr, Shown.call, &showing, &report, &last.raw);
    if (showing.failure) |why| return why;
    if (status != c.FILEDB_ERR_CORRUPT) _ = try done(status);
    return report;
}

/// Copies what is intact in a store to a new store at `to`, which must not exist. Where `context.visit(finding)` returns
/// false the salvage ends with error.Corrupt and there is no new store.
pub fn salvage(path: [:0]const u8, to: [:0]const u8, context: anytype) !CheckReport {
    const Shown = Showing(@typeInfo(@TypeOf(context)).pointer.child);
    var showing = Shown{ .context = context };
    var report = std.mem.zeroInit(CheckReport, .{ .struct_size = @sizeOf(CheckReport) });
    const status = c.filedb_salvage(path.ptr, to.ptr, Shown.call, &showing, &report, &last.raw);
    if (showing.failure) |why| return why;
    _ = try done(status);
    return report;
}

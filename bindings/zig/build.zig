//! zig build test -Dprefix=/usr/local    where filedb.h's prefix is; the tests run against its libfiledb.so
const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const prefix = b.option([]const u8, "prefix", "where filedb is installed") orelse "/usr/local";

    const module = b.addModule("filedb", .{ .root_source_file = b.path("src/filedb.zig"), .target = target, .optimize = optimize, .link_libc = true });
    const lib = b.pathJoin(&.{ prefix, "lib" });
    module.addLibraryPath(.{ .cwd_relative = lib });
    module.addRPath(.{ .cwd_relative = lib });
    module.linkSystemLibrary("filedb", .{ .use_pkg_config = .no });

    const tests = b.createModule(.{ .root_source_file = b.path("tests.zig"), .target = target, .optimize = optimize });
    tests.addImport("filedb", module);
    tests.addAnonymousImport("api.json", .{ .root_source_file = b.path("../api.json") });
    tests.addAnonymousImport("filedb.zig", .{ .root_source_file = b.path("src/filedb.zig") });
    const run = b.addRunArtifact(b.addTest(.{ .root_module = tests }));
    b.step("test", "Runs the tests").dependOn(&run.step);
}

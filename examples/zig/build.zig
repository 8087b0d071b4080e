//! zig build -Dprefix=/usr/local && zig-out/bin/wordcount STORE FILE...
const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{ .preferred_optimize_mode = .ReleaseSafe });
    const prefix = b.option([]const u8, "prefix", "where filedb is installed") orelse "/usr/local";
    const filedb = b.dependency("filedb", .{ .target = target, .optimize = optimize, .prefix = prefix });
    const module = b.createModule(.{ .root_source_file = b.path("wordcount.zig"), .target = target, .optimize = optimize });
    module.addImport("filedb", filedb.module("filedb"));
    b.installArtifact(b.addExecutable(.{ .name = "wordcount", .root_module = module }));
}

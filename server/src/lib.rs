//! filedb-server: the protocol and the commands of Redis over a filedb store on the disk.
//!
//! Event loops, a thread each ([`net`]), read requests ([`resp`]), do commands ([`commands`]) on the keys ([`keyspace`]) and send replies;
//! docs/SERVER.md says what differs from Redis.

pub mod backups;
pub mod commands;
pub mod config;
pub mod durability;
pub mod durations;
pub mod feed;
pub mod keyspace;
pub mod latency;
pub mod logging;
pub mod merges;
pub mod metrics;
pub mod net;
pub mod pause;
mod rdb;
pub mod resp;
pub mod run;
pub mod server;
pub mod session;
pub mod settings;
pub mod slowlog;
pub mod systemd;
pub mod tally;

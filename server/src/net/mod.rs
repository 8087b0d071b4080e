//! Connections: event loops, a thread each, to which connections belong for as long as they live.

pub mod accept;
pub mod connection;
pub mod driver;
pub mod event_loop;
pub mod mail;
pub mod output;
pub mod transport;

//! The protocol of Redis: requests as they come in pieces, and replies.

pub mod inline;
pub mod reply;
pub mod request;

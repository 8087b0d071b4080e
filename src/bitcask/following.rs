//! Following the changes of a store: what of that is this engine's own.

use super::engine::{Engine, Inside};
use super::shared::Shared;
use crate::log::Position;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::store::changes::{Followable, FollowedEngine, Looked};
use crate::store::error::Result;
use crate::store::options::Options;

impl Followable for Shared {
    type Engine = Engine;

    fn enter(&self) -> Result<Inside<'_>> {
        Shared::enter(self)
    }

    fn check_may_wait(&self) -> Result<()> {
        Shared::check_may_wait(self)
    }

    fn is_closing(&self) -> bool {
        self.signal().is_stopped()
    }
}

impl FollowedEngine for Engine {
    fn options(&self) -> &Options {
        &self.options
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn settled(&self) -> (u64, Position) {
        self.log.end()
    }

    fn wait_for_writers(&self) {
        // Who appended something has told the index then.
        if !self.options.read_only {
            self.index.wait_for_writers();
        }
    }

    fn list_now(inside: &Inside<'_>, key: &[u8]) -> Result<Looked> {
        Engine::list_now(inside, inside, key)
    }

    fn may_have_expired(&self) -> bool {
        self.expiries.were_some()
    }
}

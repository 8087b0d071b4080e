//! Following the changes of a store: what of that is this engine's own.

use super::engine::Engine;
use super::shared::Shared;
use crate::log::Position;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::store::changes::{Followable, FollowedEngine, Looked};
use crate::store::error::Result;
use crate::store::options::Options;
use crate::sync::gate::Entered;

impl Followable for Shared {
    type Engine = Engine;

    fn enter(&self) -> Result<Entered<'_, Engine>> {
        Shared::enter(self)
    }

    fn check_may_wait(&self) -> Result<()> {
        Shared::check_may_wait(self)
    }

    fn is_closing(&self) -> bool {
        self.flush_signal.is_stopped()
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
        Engine::settled(self)
    }

    /// What is settled can be read.
    fn wait_for_writers(&self) {}

    fn list_now(inside: &Entered<'_, Self>, key: &[u8]) -> Result<Looked> {
        Ok(Engine::list_now(inside, key)?.map_or(Looked::None, Looked::List))
    }

    fn may_have_expired(&self) -> bool {
        true
    }
}

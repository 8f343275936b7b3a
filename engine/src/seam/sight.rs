//! What the two ends of a lane see of each other.

use std::fmt;
use std::sync::Arc;

/// Whether a sender that looks for credit sees what came back a moment ago.
///
/// The two ends of a lane run at the same time, so credit may come back between two looks of one
/// step: a record that had none is parked, and the next one of its channel could go at once. A
/// simulator, whose steps are one after the other, brings that about by looks that see nothing.
#[derive(Clone, Default)]
pub struct Sight(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Sight {
    /// A look sees something when `sees` says so; in the long run some look must.
    pub fn new(sees: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sees)))
    }

    /// Whether this look sees what is there. By default each does.
    pub fn sees(&self) -> bool {
        self.0.as_ref().is_none_or(|sees| sees())
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sight").field("may_miss", &self.0.is_some()).finish()
    }
}

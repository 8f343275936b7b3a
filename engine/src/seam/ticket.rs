//! A ticket: the outcome of work that somebody else does, polled and never awaited.

use std::sync::{Arc, Mutex, PoisonError};

/// The receiving half: ask [`Ticket::try_take`] on every step.
#[derive(Debug)]
pub struct Ticket<T>(Arc<Mutex<Option<T>>>);

/// The sending half.
#[derive(Debug)]
pub struct TicketSender<T>(Arc<Mutex<Option<T>>>);

impl<T> Ticket<T> {
    /// A ticket and the half that fulfils it.
    pub fn pair() -> (TicketSender<T>, Self) {
        let slot = Arc::new(Mutex::new(None));
        (TicketSender(Arc::clone(&slot)), Self(slot))
    }

    /// A ticket that is already fulfilled.
    pub fn ready(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    /// The outcome, once it is there; `None` until then.
    pub fn try_take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the other half was dropped without an outcome: the work was cancelled.
    pub fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
            && self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl<T> TicketSender<T> {
    /// Hands over the outcome.
    pub fn fulfil(self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }
}

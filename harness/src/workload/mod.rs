//! What flows into the system under test: the ledger of the input topic.

pub mod ledger;

//! Operators that come with the engine.

mod count;

pub use count::{CountFactory, CountedValue, PREFIX_BYTES, split_value};

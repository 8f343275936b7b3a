//! Corrections to librdkafka that no release has yet.
//!
//! There is nothing to call: whoever depends on this crate and names it (`use … as _`) links the
//! corrected object files, whole, before librdkafka, and the linker no longer needs the faulty ones.
//! The build fails when a correction no longer fits its file: then librdkafka has changed, and the
//! correction is to be looked at, and removed if a release has it.
//!
//! | file | what is wrong | reported as |
//! |---|---|---|
//! | `rdkafka_fetcher.c` | A fetch answer that names the new leaders of some partitions and says of others that they have none: the latter are counted and never filled in, and what their memory holds is used as an index. The process dies of SIGSEGV, sooner the more partitions a restarted broker leads. | librdkafka issue 5280 |

//! One suite for two brokers: the embedded one, or, with `STORMPROOF_TEST_KAFKA=HOST:PORT`, a real
//! Kafka. What is asked of both is the same; what only the embedded one can be asked (to be killed,
//! to refuse) says so in its name: `embedded_...`.

mod admin;
mod cluster;
mod durability;
mod groups;
mod idempotence;
mod kcat;
mod protocol;
mod raw;
mod reading;
mod records;
mod transactions;
mod waiting;

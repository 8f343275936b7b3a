//! The embedded broker: one Kafka node on loopback, on the log of `stormproof_chaos::log`.
//!
//! *Follow a request:* [`server`] accepts, [`connection`] cuts frames, [`dispatch`] finds the
//! handler, [`handlers`] ask the log or the [`group`]s, the response goes back in order. A fetch
//! that finds too little waits in [`waiters`] until an append wakes it.
//!
//! It runs on one thread: what it does per request is short, two cores have engine and client to
//! feed, and without locks the order of requests is the order of effects. Invariants: a request
//! that is answered without an error has been written; an API or a version that is not in [`apis`]
//! is neither advertised nor answered with anything but an error; nothing listens beyond loopback.
//!
//! What it does not do: replicas, authentication, encryption, compaction, static group members,
//! automatic topics. Memberships of groups do not survive a restart: members join again.

mod apis;
mod connection;
mod counts;
mod dispatch;
mod group;
mod handlers;
mod node;
mod refuse;
mod server;
mod waiters;

pub use server::{BrokerOptions, Listener, serve};

//! Faults as data, seeded schedules, the hook that fires them, and what was covered.
//!
//! *Follow a fault:* a [`schedule::Schedule`] is written by hand or drawn from a seed; each
//! [`fault::Fault`] in it says what, where and when. Faults that strike at a named step travel to
//! the engine process, where [`hook::FailHook`] waits for the step, announces the
//! [`hook::FaultShot`] and acts; faults that strike the process from outside are the harness's to
//! execute. When its effect was observed, a fault counts in [`coverage::Coverage`].
//!
//! *Follow a simulated schedule:* [`sim::Plan::draw`] draws everything from a seed -> [`sim::run`]
//! steps the very engine under a seeded scheduler, with simulated services -> [`sim::SimRun`].
//!
//! *What can break:* [`log`] is a Kafka broker's inside, for the embedded broker; the simulation has
//! a smaller log of its own, in [`sim`].
//!
//! This crate decides nothing about right or wrong: verdicts are the oracle's.

pub mod action;
mod armed;
pub mod coverage;
pub mod fault;
pub mod hook;
pub mod log;
pub mod matrix;
pub mod outside;
pub mod schedule;
pub mod shrink;
pub mod sim;
pub mod storage;

//! Reports: the versioned result of one run, and what is rendered from it.
//!
//! *Follow a result:* the harness fills in a [`schema::RunResult`], [`schema::RunResult::save`]s it
//! as `result.json`, and hands the same value to [`terminal`] (the table at the end of a run),
//! [`markdown`] (a pull request comment or job summary) and [`html`] (one self-contained page).
//! `stormproof report` renders results again, as [`junit`], [`tables`] (CSV) and [`prometheus`]
//! too; [`compare`] shows two side by side, [`trend`] shows many over time. [`gate`] renders what a
//! gate has found.
//!
//! Invariants: a renderer is a pure function of the result; every string in a result is treated as
//! hostile (escaped, cut to a length, control and direction characters made visible); nothing
//! rendered loads anything from a network; no renderer shows a better verdict than the result's
//! own figures and checks allow (see [`schema::RunResult::contradictions`]).
//!
//! This crate judges nothing and measures nothing, and imports no other room.

pub mod claims;
pub mod compare;
mod faults;
mod figures;
pub mod gate;
mod harm;
pub mod html;
pub mod junit;
pub mod markdown;
mod measures;
pub mod prometheus;
mod proof;
pub mod schema;
mod stats;
pub mod tables;
pub mod terminal;
mod text;
pub mod trend;

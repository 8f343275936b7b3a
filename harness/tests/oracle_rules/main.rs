//! The oracle's rules under test: correct runs are never convicted, broken ones always are, each
//! by the rule that is meant for it and with a witness that names the record.

mod bugs;
mod correct;
mod corruption;
mod imports;
mod kept;
mod on_disk;
mod scale;
mod second_opinion;
mod simulation;
mod tampered;
mod tampered_checkpoints;
mod unknowns;

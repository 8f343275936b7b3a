//! `stormproof broker`: the embedded broker by itself.

use std::path::PathBuf;

use clap::Args;

use crate::broker::{BrokerOptions, Listener, serve};
use crate::error::Result;
use crate::output::Console;

/// Options of the broker.
#[derive(Clone, Debug, Args)]
pub(super) struct BrokerArgs {
    /// The folder with its log; made if it is missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The port on 127.0.0.1; 0 takes one that is free and says so.
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// What clients are told to connect to instead: a proxy before the port.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// One more port, with an address of its own to tell its clients, if it has a proxy.
    #[arg(long, value_name = "PORT[=HOST:PORT]")]
    listen: Vec<Listener>,
    /// Size of the log's segments, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    segment_mib: u64,
    /// No remarks.
    #[arg(long, short)]
    quiet: bool,
}

/// Serves until the process ends.
pub(super) fn broker(args: &BrokerArgs) -> Result<u8> {
    let first = match &args.advertise {
        None => format!("{}", args.port),
        Some(address) => format!("{}={address}", args.port),
    };
    let first: Listener = first.parse().map_err(|why: String| {
        crate::error::environment(why).at("--advertise").remedy("write HOST:PORT")
    })?;
    let mut listeners = vec![first];
    listeners.extend(args.listen.iter().cloned());
    let options =
        BrokerOptions { data: args.data.clone(), listeners, segment_bytes: args.segment_mib << 20 };
    serve(&options, Console { quiet: args.quiet, json: false })?;
    Ok(0)
}

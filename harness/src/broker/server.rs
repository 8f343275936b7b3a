//! The process: opens the log, listens, lets time pass.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use stormproof_chaos::log::{FileStorage, Log, LogConfig};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::connection;
use super::node::{Endpoint, Node, Shared};
use crate::error::{HarnessError, Result, environment};
use crate::output::Console;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(50);

/// A port to listen on, and the address that its clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Host and port of a proxy before it, if there is one.
    pub advertised: Option<(String, u16)>,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (port, advertised) = match text.split_once('=') {
            None => (text, None),
            Some((port, address)) => {
                let (host, port_there) = address.rsplit_once(':').ok_or_else(|| {
                    format!("{address:?} is no HOST:PORT; write for example 9092=127.0.0.1:19092")
                })?;
                (port, Some((host.to_owned(), parse_port(port_there)?)))
            }
        };
        Ok(Self { port: parse_port(port)?, advertised })
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is no port; a port is a number up to 65535"))
}

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// The folder with its log.
    pub data: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub listeners: Vec<Listener>,
    /// Bytes of a segment of its log.
    pub segment_bytes: u64,
}

/// Runs a broker until its process ends. Says `ready HOST:PORT` for each listener on stdout.
///
/// # Errors
/// When the folder or a port cannot be had, or the log's storage fails.
pub fn serve(options: &BrokerOptions, console: Console) -> Result<()> {
    let node = open(options, console)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| environment(format!("cannot start a runtime: {error}")))?;
    LocalSet::new().block_on(&runtime, run(options, node, console))
}

fn open(options: &BrokerOptions, console: Console) -> Result<Shared> {
    let refuse = |what: String, remedy: &str| {
        environment(what).at(options.data.display().to_string()).remedy(remedy)
    };
    let storage = FileStorage::open(&options.data).map_err(|error| {
        if error.kind() == std::io::ErrorKind::ResourceBusy {
            let remedy = "stop the other one, or choose another folder with --data";
            return refuse("another broker uses this folder".to_owned(), remedy);
        }
        refuse(format!("the broker's folder: {error}"), "choose another folder with --data")
    })?;
    let config = LogConfig { segment_bytes: options.segment_bytes };
    let (log, recovery) = Log::open(storage, config).map_err(|error| {
        let remedy = "restore the folder from a copy, or give the broker an empty one";
        refuse(format!("the log cannot be opened: {error}"), remedy)
    })?;
    console.remark(&format!(
        "log opened: {} batches, {} bytes of a torn tail cut off",
        recovery.batches, recovery.torn_bytes
    ));
    Ok(Rc::new(RefCell::new(Node::new(log))))
}

async fn run(options: &BrokerOptions, node: Shared, console: Console) -> Result<()> {
    for listener in &options.listeners {
        let (socket, endpoint) = listen(listener).await?;
        let local = socket.local_addr().map_err(|error| port_refused(listener.port, &error))?;
        console.result(&format!("ready {local}"));
        tokio::task::spawn_local(accept(socket, Rc::new(endpoint), Rc::clone(&node), console));
    }
    loop {
        tokio::time::sleep(TICK).await;
        if let Err(error) = node.borrow_mut().tick() {
            // A full disk may have room again later; clients are told at every request.
            console.remark(&format!("the log refuses: {error}"));
        }
    }
}

async fn listen(listener: &Listener) -> Result<(TcpListener, Endpoint)> {
    let refuse = |error: std::io::Error| port_refused(listener.port, &error);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, listener.port)).await.map_err(refuse)?;
    let port = socket.local_addr().map_err(refuse)?.port();
    let (host, port) = match &listener.advertised {
        Some((host, port)) => (host.clone(), *port),
        None => (Ipv4Addr::LOCALHOST.to_string(), port),
    };
    Ok((socket, Endpoint { host, port }))
}

fn port_refused(port: u16, error: &std::io::Error) -> HarnessError {
    environment(format!("the broker cannot listen: {error}"))
        .at(format!("127.0.0.1:{port}"))
        .remedy("choose another port with --port, or 0 for any that is free")
}

async fn accept(socket: TcpListener, endpoint: Rc<Endpoint>, node: Shared, console: Console) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let (node, endpoint) = (Rc::clone(&node), Rc::clone(&endpoint));
                tokio::task::spawn_local(async move {
                    if let Err(why) = connection::serve(stream, node, endpoint).await {
                        console.remark(&format!("connection from {peer} closed: {why}"));
                    }
                });
            }
            Err(error) => {
                // No file descriptors, for example: others may be closed soon.
                console.remark(&format!("cannot accept: {error}"));
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

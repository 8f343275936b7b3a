//! A TCP fault proxy between the engine and a service: latency, bandwidth, reset, half-open,
//! network partition.
//!
//! *Follow a byte:* [`FaultProxy::start`] listens; each connection has a [`relay`] for either
//! direction, which reads, waits as long as the [`Weather`] says, and writes. Invariants: bytes of
//! a connection stay in order, and none is changed; in fair weather a relay adds one read and one
//! write (well below 100 us); what the weather did is counted, for a fault counts by its effect.
//! The proxy runs in this process, needs no privileges, and knows neither Kafka nor MySQL.

mod pace;
mod relay;
#[cfg(test)]
mod tests;
mod weather;

pub use weather::{Counted, Weather};

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::error::{Result, environment};
use relay::Link;
use weather::Counters;

/// A running proxy; ends when dropped, with all its connections.
pub struct FaultProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    counters: Arc<Counters>,
    /// Ends its tasks when dropped.
    runtime: Option<Runtime>,
}

impl FaultProxy {
    /// Listens at a port of loopback that `listener` has, and relays to `upstream`.
    ///
    /// # Errors
    /// When the system gives it no thread or no socket.
    pub fn start(listener: StdListener, upstream: SocketAddr) -> Result<Self> {
        let refuse = |error: std::io::Error| {
            environment(format!("cannot start the fault proxy: {error}"))
                .at(upstream.to_string())
                .remedy("check the limits on threads and file descriptors (ulimit -a)")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(refuse)?
        };
        let (weather, seen) = watch::channel(Weather::Fair);
        let counters = Arc::new(Counters::default());
        let link = Link::new(upstream, seen, Arc::clone(&counters));
        runtime.spawn(accept(listener, link));
        Ok(Self { address, weather, counters, runtime: Some(runtime) })
    }

    /// `host:port` that clients connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes the weather, from now on and for all connections.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// What the weather did so far.
    pub fn counted(&self) -> Counted {
        self.counters.read()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, link: Link) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(serve(client, link.clone()));
            }
            // Out of descriptors: those of ended connections will come back.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

async fn serve(client: TcpStream, mut link: Link) {
    link.counters.note_accepted();
    if !link.may_connect().await {
        relay::reset(&client);
        return;
    }
    let Ok(server) = TcpStream::connect(link.upstream).await else {
        // As the service itself would: nobody listens there.
        relay::reset(&client);
        return;
    };
    relay::both_ways(client, server, link).await;
}

//! The two relays of a connection.
//!
//! Invariant: a piece is written when its time has come and the weather lets it; pieces of one
//! direction are written in the order in which they were read. At most [`QUEUE_BYTES`] wait in each
//! direction; then the sender feels it, as on a real link.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::pace::Pace;
use super::weather::{Counters, Weather};

/// Bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of one direction that may wait for their time.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Shorter pieces are no batch: a reset waits for a longer one.
const BATCH_BYTES: usize = 64;

/// What all connections of a proxy share.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) upstream: SocketAddr,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) counters: Arc<Counters>,
    to_server: Arc<Pace>,
    to_client: Arc<Pace>,
}

impl Link {
    pub(super) fn new(
        upstream: SocketAddr,
        weather: watch::Receiver<Weather>,
        counters: Arc<Counters>,
    ) -> Self {
        let (to_server, to_client) = (Arc::default(), Arc::default());
        Self { upstream, weather, counters, to_server, to_client }
    }

    fn now(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Waits until a new connection may go on; `false` when it must be reset.
    pub(super) async fn may_connect(&mut self) -> bool {
        let first = self.now();
        if !matches!(first, Weather::HalfOpen | Weather::Blackhole) {
            return true;
        }
        self.counters.note_unanswered();
        while self.now() == first {
            if self.weather.changed().await.is_err() {
                return false;
            }
        }
        first == Weather::Blackhole
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// A fault, or an error of either side: the connection is over for both.
struct Broken;

/// Closes with a reset instead of a farewell.
pub(super) fn reset(connection: &TcpStream) {
    let _ = connection.set_zero_linger();
}

/// Relays until both sides have said their last word, or one is broken: then both are reset.
pub(super) async fn both_ways(client: TcpStream, server: TcpStream, link: Link) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let mut up = Relay::new(from_client, to_server, link.clone(), Way::ToServer);
    let mut down = Relay::new(from_server, to_client, link, Way::ToClient);
    let ended = tokio::try_join!(up.run(), down.run());
    let client = up.from.unsplit(down.to);
    let server = down.from.unsplit(up.to);
    if ended.is_err() {
        reset(&client);
        reset(&server);
    }
}

struct Relay {
    from: ReadHalf<TcpStream>,
    to: WriteHalf<TcpStream>,
    link: Link,
    way: Way,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued_bytes: usize,
    buffer: Vec<u8>,
}

impl Relay {
    fn new(from: ReadHalf<TcpStream>, to: WriteHalf<TcpStream>, link: Link, way: Way) -> Self {
        let (queue, buffer) = (VecDeque::new(), vec![0; PIECE_BYTES]);
        Self { from, to, link, way, queue, queued_bytes: 0, buffer }
    }

    /// Relays until the sender closes; then the receiver is told.
    async fn run(&mut self) -> Result<(), Broken> {
        let mut has_closed = false;
        loop {
            let weather = self.link.now();
            if weather == Weather::HalfOpen {
                // Counted once for the connection, by the way that clients use.
                if self.way == Way::ToServer {
                    self.link.counters.note_reset(false);
                }
                return Err(Broken);
            }
            if has_closed && self.queue.is_empty() {
                return self.to.shutdown().await.map_err(|_| Broken);
            }
            let is_blocked = weather == Weather::Blackhole;
            let due = self.queue.front().map(|(due, _)| *due);
            let has_room = self.queued_bytes < QUEUE_BYTES;
            tokio::select! {
                changed = self.link.weather.changed() => {
                    if changed.is_err() {
                        return Err(Broken);
                    }
                }
                () = until(due), if due.is_some() && !is_blocked => {
                    let Some((_, piece)) = self.queue.pop_front() else { continue };
                    self.queued_bytes -= piece.len();
                    if self.to.write_all(&piece).await.is_err() {
                        return Err(Broken);
                    }
                }
                read = self.from.read(&mut self.buffer), if has_room && !has_closed => match read {
                    Ok(0) => has_closed = true,
                    Ok(bytes) => self.pass(bytes).await?,
                    Err(_) => return Err(Broken),
                },
            }
        }
    }

    /// A piece has been read: it is written at once, queued, or cut in half.
    async fn pass(&mut self, bytes: usize) -> Result<(), Broken> {
        let (now, weather) = (Instant::now(), self.link.now());
        let due = match weather {
            Weather::Fair | Weather::HalfOpen => now,
            Weather::Latency { ms } => now + Duration::from_millis(ms),
            Weather::Bandwidth { kib_per_s } => {
                let pace = match self.way {
                    Way::ToServer => &self.link.to_server,
                    Way::ToClient => &self.link.to_client,
                };
                pace.reserve(bytes, kib_per_s, now)
            }
            Weather::Reset if self.way == Way::ToServer && bytes >= BATCH_BYTES => {
                let _ = self.to.write_all(&self.buffer[..bytes / 2]).await;
                self.link.counters.note_reset(true);
                return Err(Broken);
            }
            Weather::Reset => now,
            Weather::Blackhole => {
                self.hold(now, bytes);
                return Ok(());
            }
        };
        if due > now || !self.queue.is_empty() {
            self.hold(due, bytes);
            return Ok(());
        }
        self.to.write_all(&self.buffer[..bytes]).await.map_err(|_| Broken)
    }

    fn hold(&mut self, due: Instant, bytes: usize) {
        self.link.counters.note_held();
        self.queued_bytes += bytes;
        self.queue.push_back((due, self.buffer[..bytes].to_vec()));
    }
}

/// Waits for a moment; for ever, when there is none.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

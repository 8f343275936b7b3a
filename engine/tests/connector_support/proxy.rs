//! A TCP proxy before a MySQL server that cuts the connection around a COMMIT.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Cut {
    /// Nothing.
    Never = 0,
    /// The server gets it, the client gets no answer.
    AfterCommit = 1,
    /// The server never gets it.
    BeforeCommit = 2,
    /// The server gets it, the client waits without end.
    Silence = 3,
}

/// The proxy; ends with the process.
pub struct CommitProxy {
    pub port: u16,
    cut: Arc<AtomicU32>,
    pub cuts: Arc<AtomicU32>,
}

impl CommitProxy {
    /// A proxy before `server` (`host:port`).
    pub fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (cut, cuts) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (armed, counted) = (Arc::clone(&cut), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let (armed, counted) = (Arc::clone(&armed), Arc::clone(&counted));
                std::thread::spawn(move || relay(&client, &upstream, &armed, &counted));
            }
        });
        Self { port, cut, cuts }
    }

    /// Arms the proxy for one COMMIT.
    pub fn arm(&self, cut: Cut) {
        self.cut.store(cut as u32, Ordering::SeqCst);
    }
}

fn relay(client: &TcpStream, server: &TcpStream, armed: &AtomicU32, counted: &AtomicU32) {
    let (mut from_client, mut to_server) =
        (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let (mut from_server, mut to_client) =
        (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
    let is_muted = Arc::new(AtomicU32::new(0));
    let muted = Arc::clone(&is_muted);
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(n @ 1..) = from_server.read(&mut buffer) {
            if muted.load(Ordering::SeqCst) == 0 && to_client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        if muted.load(Ordering::SeqCst) != Cut::Silence as u32 {
            drop(to_client.shutdown(Shutdown::Both));
        }
    });
    let mut buffer = [0; 65_536];
    while let Ok(n @ 1..) = from_client.read(&mut buffer) {
        let is_commit = buffer[..n].windows(7).any(|window| window == b"\x03COMMIT");
        let cut = if is_commit { armed.swap(0, Ordering::SeqCst) } else { 0 };
        if cut == Cut::BeforeCommit as u32 {
            counted.fetch_add(1, Ordering::SeqCst);
            break;
        }
        is_muted.fetch_max(cut, Ordering::SeqCst);
        if to_server.write_all(&buffer[..n]).is_err() {
            break;
        }
        if cut != 0 {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        if cut == Cut::AfterCommit as u32 {
            // The server answers once it has committed; only then is the connection cut.
            std::thread::sleep(std::time::Duration::from_millis(200));
            break;
        }
    }
    if is_muted.load(Ordering::SeqCst) != Cut::Silence as u32 {
        drop(client.shutdown(Shutdown::Both));
    }
    drop(server.shutdown(Shutdown::Both));
}

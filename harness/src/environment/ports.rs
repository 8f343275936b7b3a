//! Ports of loopback: allocated before the service that advertises them starts, and kept.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

use crate::error::{Result, environment};

/// Below this one many a well-known service listens.
const LOWEST: u16 = 15_000;
/// Where the system takes the ports of outgoing connections from, unless it says otherwise.
const USUAL_OUTGOING: u16 = 32_768;
const TRIES: usize = 100;

/// A port that was free a moment ago, with the socket that keeps it so.
pub(super) fn reserve() -> Result<(TcpListener, SocketAddr)> {
    let refuse = |error: std::io::Error| {
        environment(format!("there is no free port: {error}"))
            .at("127.0.0.1")
            .remedy("check that loopback sockets and file descriptors are available")
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    Ok((listener, address))
}

/// So many different ports for services that listen themselves.
///
/// They are none that the system gives to outgoing connections, or any client may have taken one
/// before its service listens, and keep it. A program that listens there may still be faster: then
/// the service says so and ends, which its readiness tells.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    let mut kept = Vec::with_capacity(N);
    for _ in 0..N {
        kept.push(match quiet() {
            Some(found) => found,
            None => reserve()?,
        });
    }
    let mut ports = [0; N];
    for (port, (_, address)) in ports.iter_mut().zip(&kept) {
        *port = address.port();
    }
    Ok(ports)
}

/// A free port that no outgoing connection gets, if there are any.
fn quiet() -> Option<(TcpListener, SocketAddr)> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let among = below_outgoing(range.as_deref());
    if among.is_empty() {
        return None;
    }
    (0..TRIES).find_map(|attempt| {
        // Other processes look for ports at the same time: each begins elsewhere.
        let drawn = RandomState::new().hash_one(attempt) % among.len() as u64;
        let listener = TcpListener::bind(("127.0.0.1", among.start + drawn as u16)).ok()?;
        let address = listener.local_addr().ok()?;
        Some((listener, address))
    })
}

/// The ports below those of outgoing connections, from what the system says of these.
fn below_outgoing(range: Option<&str>) -> Range<u16> {
    let first = range.and_then(|range| range.split_whitespace().next()?.parse().ok());
    LOWEST..first.unwrap_or(USUAL_OUTGOING).min(USUAL_OUTGOING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let [one, two, three] = free::<3>().unwrap();
        assert!(one != two && two != three && one != three);
        TcpListener::bind(("127.0.0.1", one)).unwrap();
    }

    #[test]
    fn no_outgoing_connection_gets_them() {
        assert_eq!(below_outgoing(Some("32768\t60999\n")), 15_000..32_768);
        assert_eq!(below_outgoing(Some("20000 65535")), 15_000..20_000);
        assert_eq!(below_outgoing(None), 15_000..32_768);
        assert!(below_outgoing(Some("1024\t65535\n")).is_empty());
        let (_, address) = quiet().expect("most of them are free");
        assert!(address.port() < USUAL_OUTGOING);
    }
}

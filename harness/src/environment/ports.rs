//! Ports of loopback: allocated before the service that advertises them starts, and kept.

use std::net::{SocketAddr, TcpListener};

use crate::error::{Result, environment};

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
/// Another program may take one before its service does: then the service says so and ends, which
/// its readiness tells.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    let mut kept = Vec::with_capacity(N);
    for _ in 0..N {
        kept.push(reserve()?);
    }
    let mut ports = [0; N];
    for (port, (_, address)) in ports.iter_mut().zip(&kept) {
        *port = address.port();
    }
    Ok(ports)
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
}

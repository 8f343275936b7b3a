//! The engine process's figures over HTTP, for a Prometheus or a curl on this machine.
//!
//! `GET /metrics` answers with the exposition format 0.0.4. Invariants: it listens on loopback
//! alone; a client that says nothing is dropped after [`CLIENT_LIMIT`]; nothing here can delay the
//! job, whose figures are atomics that are read.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use stormproof_engine::runtime::JobControl;
use tokio::runtime::Handle;

use crate::error::{HarnessError, Result, environment};

/// A connection lives no longer.
const CLIENT_LIMIT: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors left), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// A port of loopback that is free now: `wanted`, or any when it is 0.
///
/// # Errors
/// When somebody listens there already.
pub fn free_port(wanted: u16) -> Result<u16> {
    let listener = bind(wanted)?;
    let address = listener.local_addr().map_err(|error| taken(wanted, &error))?;
    Ok(address.port())
}

/// Serves the figures of the job under `control` until the process ends; returns the address.
///
/// # Errors
/// When the port is taken.
pub(super) fn serve(port: u16, control: JobControl, services: &Handle) -> Result<SocketAddr> {
    let refuse = |error: std::io::Error| taken(port, &error);
    let listener = bind(port)?;
    listener.set_nonblocking(true).map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    let listener = {
        let _inside = services.enter();
        tokio::net::TcpListener::from_std(listener).map_err(refuse)?
    };
    services.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let control = control.clone();
                    tokio::spawn(async move {
                        let answer = service_fn(move |request| {
                            let response = respond(&request, &control);
                            async move { Ok::<_, Infallible>(response) }
                        });
                        let connection =
                            http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                        // A client that goes away in the middle has its reasons.
                        let _ = tokio::time::timeout(CLIENT_LIMIT, connection).await;
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    });
    Ok(address)
}

fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| taken(port, &error))
}

fn taken(port: u16, error: &std::io::Error) -> HarnessError {
    environment(format!("the metrics port cannot be opened: {error}"))
        .at(format!("127.0.0.1:{port} (--metrics-port)"))
        .remedy("choose a port that is free, or 0 for any")
}

fn respond<B>(request: &Request<B>, control: &JobControl) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, control.prometheus_text()),
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, "the figures are at /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, EXPOSITION);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        let port = free_port(0).unwrap();
        assert_eq!(free_port(port).unwrap(), port);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let error = free_port(port).unwrap_err();
        assert!(error.place.unwrap().contains(&port.to_string()));
        assert!(error.remedy.unwrap().contains("0 for any"));
    }
}

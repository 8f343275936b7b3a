//! One connection: frames in, responses out, in order.
//!
//! Invariant: every request is answered before the next one is looked at, as in Kafka; whatever
//! was answered is flushed before a connection is closed.

use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::dispatch::{self, Client};
use super::node::{Endpoint, Shared};

/// The longest request. Kafka's default is 100 MiB; here it bounds what a request may make the
/// broker reserve before its last byte has been looked at.
const REQUEST_LIMIT_BYTES: usize = 16 << 20;
/// Room for reading.
const READ_BYTES: usize = 128 << 10;

/// Why a connection ended, other than by the client's wish.
#[derive(Debug, Error)]
pub(super) enum Closed {
    /// The socket failed.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// The client does not speak Kafka.
    #[error("a request of {0} bytes: more than 16 MiB, or not Kafka's protocol")]
    NoRequest(i32),
    /// The client asks for what there is not, in a form that has no answer.
    #[error("{0}")]
    Unanswerable(String),
}

/// Serves a client until it leaves.
pub(super) async fn serve(
    mut stream: TcpStream,
    node: Shared,
    endpoint: Rc<Endpoint>,
) -> Result<(), Closed> {
    stream.set_nodelay(true)?;
    let host = stream.peer_addr()?.ip().to_string();
    let client = Client { node, endpoint, host };
    let mut received = BytesMut::with_capacity(READ_BYTES);
    while let Some(request) = next_request(&mut stream, &mut received).await? {
        if let Some(response) = dispatch::answer(&client, request).await? {
            stream.write_all(&response).await?;
        }
    }
    Ok(())
}

/// The next request without its length; `None` when the client has left.
async fn next_request(
    stream: &mut TcpStream,
    received: &mut BytesMut,
) -> Result<Option<Bytes>, Closed> {
    let mut wanted = 4;
    loop {
        if received.len() >= 4 {
            let length = i32::from_be_bytes(received[..4].try_into().expect("four bytes"));
            let bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= REQUEST_LIMIT_BYTES);
            wanted = 4 + bytes.ok_or(Closed::NoRequest(length))?;
            if received.len() >= wanted {
                let mut request = received.split_to(wanted).freeze();
                return Ok(Some(request.split_off(4)));
            }
        }
        received.reserve((wanted - received.len()).max(READ_BYTES / 2));
        match stream.read_buf(received).await {
            Ok(0) if received.is_empty() => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) => {}
            // A client that is killed resets its connections: that is its way to leave.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

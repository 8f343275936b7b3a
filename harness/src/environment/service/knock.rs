//! A knock: the smallest real request, from outside, without a client library.
//!
//! Kafka is asked for its API versions, MySQL for its greeting. A knock opens a connection of its
//! own and never waits longer than it is told, so it tells a service that hangs from one that is
//! away and one that answers.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::ServiceName;

/// ApiVersions v0, correlation id 7, no client id: the request that every broker answers.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// What came of a knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answered after so long.
    Answered(Duration),
    /// It took the connection and said nothing in the time given.
    Silent,
    /// There was no connection: nobody listens.
    Refused,
    /// The connection was closed before an answer.
    Closed,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(after) => write!(f, "answered in {} ms", after.as_millis()),
            Self::Silent => f.write_str("no answer"),
            Self::Refused => f.write_str("connection refused"),
            Self::Closed => f.write_str("connection closed before an answer"),
        }
    }
}

/// Knocks at `address` as a client of `service`, for at most `limit`.
pub(crate) fn knock(service: ServiceName, address: &str, limit: Duration) -> Answer {
    let begun = Instant::now();
    match ask(service, address, limit) {
        Ok(()) => Answer::Answered(begun.elapsed()),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Answer::Silent,
            ErrorKind::ConnectionRefused | ErrorKind::NotFound | ErrorKind::InvalidInput => {
                Answer::Refused
            }
            _ => Answer::Closed,
        },
    }
}

fn ask(service: ServiceName, address: &str, limit: Duration) -> std::io::Result<()> {
    let socket = address.to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
    let mut connection = TcpStream::connect_timeout(&socket, limit)?;
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))?;
    connection.set_nodelay(true)?;
    let mut head = [0; 8];
    match service {
        ServiceName::Broker | ServiceName::Controller => {
            connection.write_all(&API_VERSIONS)?;
            connection.read_exact(&mut head)?;
            let correlation = [head[4], head[5], head[6], head[7]];
            if correlation != [0, 0, 0, 7] {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        // Length (3 bytes), sequence number, and the protocol's version, which is 10.
        ServiceName::Database => {
            connection.read_exact(&mut head[..5])?;
            if head[4] != 10 {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LIMIT: Duration = Duration::from_millis(200);

    #[test]
    fn nobody_a_mute_and_one_that_hangs_up_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(knock(ServiceName::Database, &address, LIMIT), Answer::Silent);
        let hangs_up = std::thread::spawn(move || {
            let _mute = listener.accept().unwrap();
            drop(listener.accept().unwrap());
        });
        assert_eq!(knock(ServiceName::Broker, &address, LIMIT), Answer::Closed);
        hangs_up.join().unwrap();
        assert_eq!(knock(ServiceName::Broker, &address, LIMIT), Answer::Refused);
    }

    #[test]
    fn a_greeting_is_an_answer_and_anything_else_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            for first in [10, 9] {
                let (mut client, _) = listener.accept().unwrap();
                client.write_all(&[60, 0, 0, 0, first, b'8']).unwrap();
            }
        });
        assert!(matches!(knock(ServiceName::Database, &address, LIMIT), Answer::Answered(_)));
        assert_eq!(knock(ServiceName::Database, &address, LIMIT), Answer::Closed);
        server.join().unwrap();
    }
}

//! The proxy before an echo server: what each weather does, seen from both ends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

/// An echo server of any number of connections; ends with the process.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut from, mut to) = (client.try_clone().unwrap(), client);
                to.set_nodelay(true).unwrap();
                std::io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Write).ok();
            });
        }
    });
    address
}

fn proxy() -> FaultProxy {
    FaultProxy::start(TcpListener::bind("127.0.0.1:0").unwrap(), echo()).unwrap()
}

fn connect(to: &FaultProxy) -> TcpStream {
    let connection = TcpStream::connect(to.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    connection.set_nodelay(true).unwrap();
    connection
}

fn round_trip(connection: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Duration> {
    let begun = Instant::now();
    connection.write_all(bytes)?;
    let mut back = vec![0; bytes.len()];
    connection.read_exact(&mut back)?;
    assert_eq!(back, bytes, "bytes are neither changed nor reordered");
    Ok(begun.elapsed())
}

#[test]
fn in_fair_weather_bytes_pass_in_order_and_an_end_is_an_end() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut reader = client.try_clone().unwrap();
    let expected = bytes.clone();
    let read = std::thread::spawn(move || {
        reader.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        assert_eq!(back, expected);
    });
    client.write_all(&bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read.join().unwrap();
    let counted = proxy.counted();
    assert_eq!((counted.accepted, counted.held, counted.reset), (1, 0, 0));
}

#[test]
fn latency_delays_both_ways_and_pieces_keep_their_order() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    round_trip(&mut client, b"warm").unwrap();
    proxy.set(Weather::Latency { ms: 40 });
    let took = round_trip(&mut client, b"slow").unwrap();
    assert!(took >= Duration::from_millis(80), "{took:?}");
    let many: Vec<u8> = (0..200_000_u32).map(|i| (i % 253) as u8).collect();
    let took = round_trip(&mut client, &many).unwrap();
    assert!(took < Duration::from_millis(2_000), "a delay, not a bandwidth: {took:?}");
    proxy.set(Weather::Fair);
    let took = round_trip(&mut client, b"fast").unwrap();
    assert!(took < Duration::from_millis(60), "healed: {took:?}");
    assert!(proxy.counted().held >= 4);
}

#[test]
fn bandwidth_limits_all_connections_together() {
    let proxy = proxy();
    let (mut one, mut two) = (connect(&proxy), connect(&proxy));
    for client in [&mut one, &mut two] {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        round_trip(client, b"warm").unwrap();
    }
    proxy.set(Weather::Bandwidth { kib_per_s: 200 });
    let begun = Instant::now();
    let both = std::thread::spawn(move || round_trip(&mut one, &[1; 50_000]).map(drop));
    round_trip(&mut two, &[2; 50_000]).unwrap();
    both.join().unwrap().unwrap();
    let took = begun.elapsed().as_secs_f64();
    // 100 000 bytes at 200 KiB/s take 0.49 s in each direction, which overlap.
    assert!((0.45..3.0).contains(&took), "{took}");
}

#[test]
fn a_reset_breaks_a_connection_in_the_middle_of_a_batch() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    round_trip(&mut client, b"warm").unwrap();
    proxy.set(Weather::Reset);
    round_trip(&mut client, b"a short word passes").unwrap();
    let error = round_trip(&mut client, &[3; 1_000]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    proxy.set(Weather::Fair);
    round_trip(&mut connect(&proxy), &[3; 1_000]).unwrap();
    let counted = proxy.counted();
    assert_eq!((counted.reset, counted.reset_mid_piece), (1, 1));
}

#[test]
fn half_open_resets_what_is_open_and_answers_nobody() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    round_trip(&mut client, b"warm").unwrap();
    proxy.set(Weather::HalfOpen);
    std::thread::sleep(Duration::from_millis(50));
    assert!(round_trip(&mut client, b"anyone?").is_err());
    let mut next = connect(&proxy);
    let error = round_trip(&mut next, b"anyone?").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "it hangs: {error}");
    proxy.set(Weather::Fair);
    std::thread::sleep(Duration::from_millis(50));
    assert!(round_trip(&mut next, b"anyone?").is_err(), "it was never answered");
    round_trip(&mut connect(&proxy), b"yes").unwrap();
    assert_eq!(proxy.counted().unanswered, 1);
}

#[test]
fn a_network_partition_loses_nothing_when_it_heals() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    round_trip(&mut client, b"warm").unwrap();
    proxy.set(Weather::Blackhole);
    client.write_all(b"late").unwrap();
    let mut back = [0; 4];
    let error = client.read_exact(&mut back).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "silence: {error}");
    let mut next = connect(&proxy);
    assert!(round_trip(&mut next, b"new!").is_err());
    proxy.set(Weather::Fair);
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"late");
    next.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"new!");
}

/// Half of the round trips are faster than this.
fn median_us(connection: &mut TcpStream) -> u128 {
    let mut times: Vec<_> =
        (0..2_000).map(|_| round_trip(connection, &[7; 100]).unwrap().as_micros()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn in_fair_weather_the_proxy_costs_little() {
    let server = echo();
    let proxy = FaultProxy::start(TcpListener::bind("127.0.0.1:0").unwrap(), server).unwrap();
    let mut past = TcpStream::connect(server).unwrap();
    past.set_nodelay(true).unwrap();
    let (mut through, mut added) = (connect(&proxy), u128::MAX);
    // Machines are noisy: the best of a few tries is the proxy's own share.
    for _ in 0..5 {
        added = added.min(median_us(&mut through).saturating_sub(median_us(&mut past)));
    }
    eprintln!("the proxy adds {added} us to a round trip");
    assert!(added < 500, "{added} us");
}

#[test]
fn a_service_that_is_away_looks_away() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(TcpListener::bind("127.0.0.1:0").unwrap(), nobody).unwrap();
    let error = round_trip(&mut connect(&proxy), b"anyone?").unwrap_err();
    assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it hangs: {error}");
}

//! A service is killed, restarted or paused.

use std::time::{Duration, Instant};

use super::cluster::Member;
use super::{HEALED_LIMIT, Outcome, READY_LIMIT, Strike};
use crate::environment::service::Answer;
use crate::environment::{Service, ServiceName, ServiceState, Stop};
use crate::error::HarnessError;

/// The longest wait for a service's own end.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How long a service that is away or paused is knocked at.
const KNOCK: Duration = Duration::from_millis(250);

fn told(error: HarnessError) -> String {
    error.what
}

/// SIGKILL; down for a while; started again.
pub(super) fn kill(strike: &Strike, service: &Service, down: Duration) -> Outcome {
    let member = member(strike, service)?;
    strike.struck();
    service.kill().map_err(told)?;
    away_and_back(service, member.as_ref(), down, "killed")
}

/// Asked to end; down for a while; started again.
pub(super) fn restart(strike: &Strike, service: &Service, down: Duration) -> Outcome {
    let member = member(strike, service)?;
    strike.struck();
    service.stop(STOP_LIMIT).map_err(told)?;
    away_and_back(service, member.as_ref(), down, "stopped")
}

/// What a broker of several is among the others.
fn member(strike: &Strike, service: &Service) -> Result<Option<Member>, String> {
    let node = service.node().filter(|_| service.name() == ServiceName::Broker);
    node.map(|node| Member::look(strike, node)).transpose()
}

fn away_and_back(service: &Service, member: Option<&Member>, down: Duration, how: &str) -> Outcome {
    let seen = service.knock_at(&service.direct(), KNOCK);
    let state = service.state();
    let moved = member.map(Member::await_others).transpose();
    std::thread::sleep(down);
    let begun = Instant::now();
    service.start().map_err(told)?;
    service.wait_ready(READY_LIMIT, &Stop::never()).map_err(told)?;
    let took_s = begun.elapsed().as_secs_f64();
    member.map(Member::await_in_sync).transpose()?;
    if matches!(seen, Answer::Answered(_)) || state != ServiceState::Down {
        return Err(format!("it was {how}, and a knock was {seen} (state {state:?})"));
    }
    let moved = moved?.map_or_else(String::new, |moved| format!("; {moved}"));
    Ok(format!("{how}: {seen}{moved}; ready {took_s:.1} s after its start"))
}

/// Stopped in its tracks for a while.
pub(super) fn pause(strike: &Strike, service: &Service, lasts: Duration) -> Outcome {
    strike.struck();
    let begun = Instant::now();
    service.pause().map_err(told)?;
    let state = service.state();
    let seen = service.knock_at(&service.direct(), KNOCK);
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    service.resume().map_err(told)?;
    let resumed = Instant::now();
    service.wait_ready(HEALED_LIMIT, &Stop::never()).map_err(told)?;
    if state != ServiceState::Paused || matches!(seen, Answer::Answered(_)) {
        return Err(format!("it was paused, and a knock was {seen} (state {state:?})"));
    }
    Ok(format!("paused: {seen}; ready {} ms after it went on", resumed.elapsed().as_millis()))
}

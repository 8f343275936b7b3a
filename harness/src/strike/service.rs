//! A service is killed, restarted or paused.

use std::time::{Duration, Instant};

use super::{HEALED_LIMIT, Outcome, READY_LIMIT, Strike};
use crate::environment::service::Answer;
use crate::environment::{Service, ServiceState, Stop};
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
    strike.struck();
    service.kill().map_err(told)?;
    away_and_back(service, down, "killed")
}

/// Asked to end; down for a while; started again.
pub(super) fn restart(strike: &Strike, service: &Service, down: Duration) -> Outcome {
    strike.struck();
    service.stop(STOP_LIMIT).map_err(told)?;
    away_and_back(service, down, "stopped")
}

fn away_and_back(service: &Service, down: Duration, how: &str) -> Outcome {
    let seen = service.knock_at(&service.direct(), KNOCK);
    let state = service.state();
    std::thread::sleep(down);
    let begun = Instant::now();
    service.start().map_err(told)?;
    service.wait_ready(READY_LIMIT, &Stop::never()).map_err(told)?;
    if matches!(seen, Answer::Answered(_)) || state != ServiceState::Down {
        return Err(format!("it was {how}, and a knock was {seen} (state {state:?})"));
    }
    Ok(format!("{how}: {seen}; ready {:.1} s after its start", begun.elapsed().as_secs_f64()))
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

//! A service is killed, restarted or paused.
//!
//! Invariant: it is brought back whatever came of that.

use std::time::{Duration, Instant};

use super::cluster::Member;
use super::{HEALED_LIMIT, Outcome, READY_LIMIT, Strike, both};
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
    let killed = service.kill().map_err(told);
    away_and_back(service, member.as_ref(), down, (killed, "killed"))
}

/// Asked to end; down for a while; started again.
pub(super) fn restart(strike: &Strike, service: &Service, down: Duration) -> Outcome {
    let member = member(strike, service)?;
    strike.struck();
    let stopped = service.stop(STOP_LIMIT).map_err(told);
    away_and_back(service, member.as_ref(), down, (stopped, "stopped"))
}

/// What a broker of several is among the others.
fn member(strike: &Strike, service: &Service) -> Result<Option<Member>, String> {
    let node = service.node().filter(|_| service.name() == ServiceName::Broker);
    node.map(|node| Member::look(strike, node)).transpose()
}

/// Brings a service back, whatever it is doing: goes on with it or starts it, and waits until it is
/// ready. One that ends meanwhile is started once more.
pub(super) fn bring_back(service: &Service, limit: Duration) -> Result<(), String> {
    let once = || {
        let limit = match service.state() {
            ServiceState::Paused => {
                service.resume()?;
                limit
            }
            ServiceState::Down => {
                service.start()?;
                limit.max(READY_LIMIT)
            }
            ServiceState::Running => limit,
        };
        service.wait_ready(limit, &Stop::never())
    };
    let again = |error| match service.state() {
        ServiceState::Running => Err(error),
        ServiceState::Paused | ServiceState::Down => once(),
    };
    once().or_else(again).map_err(told)
}

fn away_and_back(
    service: &Service,
    member: Option<&Member>,
    down: Duration,
    (done, how): (Result<(), String>, &str),
) -> Outcome {
    if done.is_err() {
        return both(done, bring_back(service, READY_LIMIT)).map(|()| how.to_owned());
    }
    let seen = service.knock_at(&service.direct(), KNOCK);
    let state = service.state();
    let moved = member.map(Member::await_others).transpose();
    std::thread::sleep(down);
    let begun = Instant::now();
    bring_back(service, READY_LIMIT)?;
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
    if let Err(why) = service.pause().map_err(told) {
        return both(Err(why), bring_back(service, HEALED_LIMIT));
    }
    let state = service.state();
    let seen = service.knock_at(&service.direct(), KNOCK);
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    let last = service.state();
    let resumed = Instant::now();
    bring_back(service, HEALED_LIMIT)?;
    if state != ServiceState::Paused || last != state || matches!(seen, Answer::Answered(_)) {
        return Err(format!("it was paused, and a knock was {seen} (state {state:?}, {last:?})"));
    }
    Ok(format!("paused: {seen}; ready {} ms after it went on", resumed.elapsed().as_millis()))
}

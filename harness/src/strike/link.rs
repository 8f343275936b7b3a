//! Weather on the link between the engine and a service.

use std::time::{Duration, Instant};

use stormproof_chaos::fault::FaultAction;

use super::{HEALED_LIMIT, Outcome, Strike};
use crate::environment::service::Answer;
use crate::environment::{Counted, FaultProxy, Service, Weather};

/// The longest wait for a connection that carries a batch.
const BATCH_LIMIT: Duration = Duration::from_secs(30);
/// How long a knock waits where no answer is expected.
const SILENCE: Duration = Duration::from_millis(400);

/// Fair weather comes back, whatever happens.
struct Fair<'a>(&'a FaultProxy);

impl Drop for Fair<'_> {
    fn drop(&mut self) {
        self.0.set(Weather::Fair);
    }
}

/// Carries out a fault of a link.
pub(super) fn strike(strike: &Strike, service: &Service) -> Outcome {
    let Some(proxy) = service.proxy() else {
        return Err(format!("there is no fault proxy before the {}", service.name()));
    };
    let (weather, lasts) = match weather(strike.fault.action) {
        Some(weather) => weather,
        None => return Err(format!("{} is no weather", strike.fault.action.name())),
    };
    let (before, begun) = (proxy.counted(), Instant::now());
    let fair = Fair(proxy);
    strike.struck();
    proxy.set(weather);
    let seen = observe(service, proxy, weather);
    let is_over = || match weather {
        Weather::Reset => {
            proxy.counted().since(before).reset_mid_piece > 0 || begun.elapsed() > BATCH_LIMIT
        }
        Weather::Latency { .. } | Weather::Bandwidth { .. } => {
            let is_felt = proxy.counted().since(before).held > 0;
            begun.elapsed() >= lasts && (is_felt || begun.elapsed() > lasts + BATCH_LIMIT)
        }
        Weather::HalfOpen => {
            let is_felt = is_felt_by_others(&proxy.counted().since(before));
            begun.elapsed() >= lasts && (is_felt || begun.elapsed() > lasts + BATCH_LIMIT)
        }
        _ => begun.elapsed() >= lasts,
    };
    while !is_over() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let counted = proxy.counted().since(before);
    drop(fair);
    heal(service)?;
    let seen = seen?;
    match weather {
        Weather::Reset if counted.reset_mid_piece > 0 => {
            Ok(format!("{} connections reset in the middle of a batch", counted.reset_mid_piece))
        }
        Weather::Latency { .. } | Weather::Bandwidth { .. } if counted.held > 0 => {
            Ok(format!("{seen}, {} pieces held back", counted.held))
        }
        Weather::HalfOpen if is_felt_by_others(&counted) => Ok(format!(
            "{} connections reset, {} new ones left without an answer",
            counted.reset, counted.unanswered
        )),
        Weather::Blackhole => Ok(format!("{seen}, {} pieces held back", counted.held)),
        _ => Err(format!("nothing was struck: {counted:?}")),
    }
}

/// Whether a half-open link met the engine, and not only our own knock.
fn is_felt_by_others(counted: &Counted) -> bool {
    counted.reset > 0 || counted.unanswered > 1
}

/// What the action does to the link, and for how long.
fn weather(action: FaultAction) -> Option<(Weather, Duration)> {
    let ms = Duration::from_millis;
    Some(match action {
        FaultAction::Reset => (Weather::Reset, Duration::ZERO),
        FaultAction::Latency { ms: added, for_ms } => (Weather::Latency { ms: added }, ms(for_ms)),
        FaultAction::Bandwidth { kib_per_s, for_ms } => {
            (Weather::Bandwidth { kib_per_s }, ms(for_ms))
        }
        FaultAction::HalfOpen { ms: lasts } => (Weather::HalfOpen, ms(lasts)),
        FaultAction::NetworkPartition { ms: lasts } => (Weather::Blackhole, ms(lasts)),
        _ => return None,
    })
}

/// What a client sees on the engine's side of the link.
fn observe(service: &Service, proxy: &FaultProxy, weather: Weather) -> Outcome {
    let through = |limit| service.knock_at(&proxy.address(), limit);
    match weather {
        Weather::Latency { ms } => match through(HEALED_LIMIT) {
            Answer::Answered(after) if after >= Duration::from_millis(ms) => {
                Ok(format!("an answer took {} ms", after.as_millis()))
            }
            other => Err(format!("a knock was {other} although {ms} ms were added")),
        },
        Weather::Blackhole => {
            match (through(SILENCE), service.knock_at(&service.direct(), HEALED_LIMIT)) {
                (Answer::Silent, Answer::Answered(_)) => {
                    Ok("no answer through the link, and one past it".to_owned())
                }
                (through, past) => Err(format!("{through} through the link, {past} past it")),
            }
        }
        Weather::HalfOpen => match through(SILENCE) {
            Answer::Silent => Ok("a new connection got no answer".to_owned()),
            other => Err(format!("a knock on the half-open link was {other}")),
        },
        Weather::Fair | Weather::Bandwidth { .. } | Weather::Reset => Ok("slower".to_owned()),
    }
}

/// The link is fair again when a knock through it is answered.
fn heal(service: &Service) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match service.knock_at(&service.endpoint(), Duration::from_secs(2)) {
            Answer::Answered(_) => return Ok(()),
            other if begun.elapsed() > HEALED_LIMIT => {
                return Err(format!("the link did not heal: {other}"));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

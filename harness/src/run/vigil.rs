//! Looks after the services while a run runs: one that ends without a fault of ours is told at once,
//! and one that nobody starts again is not waited for.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::environment::{Service, ServiceState};
use crate::error::{HarnessError, Result, environment};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was seen of a service.
#[derive(Debug)]
pub(super) enum Sighting {
    /// It ended or was started, and nobody here did it.
    Unasked(String),
    /// It ended, and nobody has started it again for too long.
    Abandoned(HarnessError),
}

/// A watch over services; over when dropped.
pub(super) struct Vigil {
    sightings: Receiver<Sighting>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Vigil {
    /// Watches `services`; one that is down has `patience` to come back.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn keep(services: Vec<Arc<Service>>, patience: Duration) -> Result<Self> {
        let (sender, sightings) = channel();
        let (end, has_ended) = channel::<()>();
        let mut watched: Vec<_> = services.into_iter().map(Watched::new).collect();
        let thread = std::thread::Builder::new()
            .name("vigil".to_owned())
            .spawn(move || {
                while has_ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    for sighting in watched.iter_mut().flat_map(|one| one.look(patience)) {
                        let _ = sender.send(sighting);
                    }
                }
            })
            .map_err(|error| environment(format!("cannot watch the services: {error}")))?;
        Ok(Self { sightings, end: Some(end), thread: Some(thread) })
    }

    /// The next sighting, if there is one.
    pub(super) fn hear(&self) -> Option<Sighting> {
        self.sightings.try_recv().ok()
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watched {
    service: Arc<Service>,
    told: usize,
    /// Since when it has been down, if that began unasked.
    down_since: Option<Instant>,
}

impl Watched {
    fn new(service: Arc<Service>) -> Self {
        Self { service, told: 0, down_since: None }
    }

    fn look(&mut self, patience: Duration) -> Vec<Sighting> {
        let unasked = self.service.unasked();
        let news: Vec<_> = unasked.iter().skip(self.told).cloned().map(Sighting::Unasked).collect();
        self.told = unasked.len();
        match self.service.state() {
            ServiceState::Down if !news.is_empty() => self.down_since = Some(Instant::now()),
            ServiceState::Down => {}
            _ => self.down_since = None,
        }
        let is_abandoned = self.down_since.is_some_and(|since| since.elapsed() > patience);
        news.into_iter().chain(is_abandoned.then(|| self.abandoned(patience))).collect()
    }

    fn abandoned(&self, patience: Duration) -> Sighting {
        let what = format!(
            "the {} ended, no fault did it, and nobody has started it again for {} s",
            self.service.label(),
            patience.as_secs()
        );
        let remedy = "run again, and leave it alone or start it in time \
                      (environment.ready_limit_s); its log is in the run's folder";
        Sighting::Abandoned(environment(what).at(self.service.direct()).remedy(remedy))
    }
}

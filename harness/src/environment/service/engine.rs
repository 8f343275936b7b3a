//! The container engine of this host: a connection that answers, and calls with a time limit.
//!
//! It knows images and containers by their ids and names; what a service is stands in
//! [`container`](super::container), what is ours in [`ownership`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use testcontainers::bollard;
use testcontainers::bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions,
};
use testcontainers::core::client::docker_client_instance;
use tokio::runtime::Runtime;

use super::ownership;
use crate::error::{HarnessError, Result, environment};

/// The longest wait for the engine's answer to a small request.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(15);
/// The longest wait for the end of a container that does one thing.
const ERRAND_LIMIT: Duration = Duration::from_secs(60);
/// What helps where the engine itself is at fault.
pub(super) const REMEDY: &str =
    "look at the engine's own log; `stormproof clean` removes what is left";
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A container engine that answers.
pub(crate) struct Engine {
    runtime: Runtime,
    pub(super) client: bollard::Docker,
}

impl Engine {
    /// Connects to the engine of this host (`DOCKER_HOST`, or the usual socket).
    ///
    /// # Errors
    /// When there is none, or it does not let us in.
    pub(crate) fn connect() -> Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("containers")
            .enable_all()
            .build()
            .map_err(|error| no_engine(&error.to_string()))?;
        let asked = runtime.block_on(async {
            tokio::time::timeout(CALL_LIMIT, async {
                let client = docker_client_instance().await.map_err(|e| chain(&e))?;
                client.ping().await.map_err(|e| chain(&e))?;
                Ok::<_, String>(client)
            })
            .await
        });
        match asked {
            Ok(Ok(client)) => Ok(Arc::new(Self { runtime, client })),
            Ok(Err(what)) => Err(no_engine(&what)),
            Err(_) => Err(no_engine(&silent(CALL_LIMIT))),
        }
    }

    /// Runs one call to the engine, for at most `limit`.
    pub(super) fn call<T, E: std::error::Error>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        let refuse = |why: String| {
            environment(format!("the container engine could not {what}: {why}"))
                .at(socket())
                .remedy(REMEDY)
        };
        match self.runtime.block_on(async { tokio::time::timeout(limit, work).await }) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(refuse(chain(&error))),
            Err(_) => Err(refuse(silent(limit))),
        }
    }

    /// Whether `image` is on this host already.
    pub(crate) fn has_image(&self, image: &str) -> bool {
        self.call("look at an image", CALL_LIMIT, self.client.inspect_image(image)).is_ok()
    }

    /// What the engine knows of a container.
    pub(super) fn inspect(&self, id: &str) -> Result<ContainerInspectResponse> {
        let look = self.client.inspect_container(id, None::<InspectContainerOptions>);
        self.call("inspect a container", CALL_LIMIT, look)
    }

    /// Removes a container with its volumes. One that somebody else is removing already is waited
    /// for: the engine refuses the second request at once.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
        let removal = self.client.remove_container(id, Some(options));
        let removed = self.call("remove a container", CALL_LIMIT, removal);
        if removed.as_ref().is_err_and(is_gone) {
            return Ok(());
        }
        let is_under_way = |error: &HarnessError| error.what.contains("already in progress");
        let begun = Instant::now();
        while removed.as_ref().is_err_and(is_under_way) && begun.elapsed() < CALL_LIMIT {
            if self.inspect(id).as_ref().is_err_and(is_gone) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        removed
    }

    /// Removes the container called `name` if it is this program's; there may be none.
    pub(super) fn remove_own(&self, name: &str) {
        // What cannot be asked or removed now is found by `stormproof clean`.
        let Ok(found) = self.inspect(name) else { return };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if let Some(id) = found.id.filter(|_| ownership::is_own(&labels)) {
            let _ = self.remove(&id);
        }
    }

    /// Runs a container called `name` to its end, and removes it.
    pub(super) fn run_errand(&self, name: &str, body: ContainerCreateBody) -> Result<()> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let errand = async {
            let made = self.client.create_container(Some(options), body).await?;
            self.client.start_container(&made.id, None).await?;
            self.client.wait_container(&made.id, None).try_collect::<Vec<_>>().await
        };
        let ended = self.call(&format!("run {name}"), ERRAND_LIMIT, errand);
        self.remove_own(name);
        ended.map(drop)
    }

    /// The engine's version.
    pub(crate) fn version(&self) -> String {
        let asked = self.call("tell its version", CALL_LIMIT, self.client.version());
        asked.ok().and_then(|version| version.version).unwrap_or_default()
    }
}

/// Whether the engine says that there is no such container.
pub(super) fn is_gone(error: &HarnessError) -> bool {
    error.what.contains("No such container")
}

fn silent(limit: Duration) -> String {
    format!("no answer in {} s", limit.as_secs())
}

/// Whether a call came to its limit.
pub(super) fn is_silent(error: &HarnessError, limit: Duration) -> bool {
    error.what.ends_with(&silent(limit))
}

/// An error with all its causes: the engine's own words are at the end.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

fn socket() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

fn no_engine(why: &str) -> HarnessError {
    let remedy = if why.to_lowercase().contains("permission denied") {
        "let this user use the socket (add it to the group docker, then log in again), or run as \
         one who may"
    } else {
        "start the engine (`dockerd`, or `systemctl start docker`) or set DOCKER_HOST; \
         --env local needs no containers"
    };
    environment(format!("no container engine answers: {why}")).at(socket()).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_closed_to_us_has_its_own_remedy() {
        let closed = no_engine("client error: Permission denied (os error 13)");
        assert!(closed.remedy.unwrap().contains("group docker"));
        let absent = no_engine("No such file or directory");
        assert!(absent.remedy.unwrap().contains("dockerd"));
    }
}

//! A service as a container, through the testcontainers crate.
//!
//! Invariants: host ports are allocated by us and kept over every restart, on loopback only; a
//! container carries labels with its owner, so that `stormproof clean` finds what a SIGKILL left;
//! each call to the engine has a time limit. Readiness is not decided here: the engine's proxy
//! takes connections before the service does, and old log lines would satisfy any wait for a log.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use testcontainers::bollard::models::HostConfig;
use testcontainers::bollard::query_parameters::{
    KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
};
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::{ContainerPort, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _, bollard};
use tokio::runtime::Runtime;

use super::{Backend, ServiceState};
use crate::environment::leftovers::{Finding, ProcessMark, end_of_log};
use crate::error::{HarnessError, Result, environment};

/// The label that names the program to which a container belongs.
const OWNER_LABEL: &str = "stormproof.owner";
/// The label that names the host of that program.
const HOST_LABEL: &str = "stormproof.host";
/// The longest wait for the engine's answer to a small request.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// How often a container is asked to pause.
const PAUSE_TRIES: u32 = 4;
/// The longest that creating a container may take, an image's download included.
const CREATE_LIMIT: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A container engine that answers.
pub(crate) struct Engine {
    runtime: Runtime,
    client: bollard::Docker,
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
            Err(_) => Err(no_engine(&format!("no answer in {} s", CALL_LIMIT.as_secs()))),
        }
    }

    /// Runs one call to the engine, for at most `limit`.
    fn call<T, E: std::error::Error>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        let refuse = |why: String| {
            environment(format!("the container engine could not {what}: {why}"))
                .at(socket())
                .remedy("look at the engine's own log; `stormproof clean` removes what is left")
        };
        match self.runtime.block_on(async { tokio::time::timeout(limit, work).await }) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(refuse(chain(&error))),
            Err(_) => Err(refuse(format!("no answer in {} s", limit.as_secs()))),
        }
    }

    /// Whether `image` is on this host already.
    pub(crate) fn has_image(&self, image: &str) -> bool {
        self.call("look at an image", CALL_LIMIT, self.client.inspect_image(image)).is_ok()
    }

    /// Removes a container with its volumes. One that somebody else is removing already is waited
    /// for: the engine refuses the second request at once.
    fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
        let removal = self.client.remove_container(id, Some(options));
        let removed = self.call("remove a container", CALL_LIMIT, removal);
        let is_under_way = |error: &HarnessError| error.what.contains("already in progress");
        let begun = Instant::now();
        while removed.as_ref().is_err_and(is_under_way) && begun.elapsed() < CALL_LIMIT {
            if self.is_there(id).is_ok_and(|is_there| !is_there) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        removed
    }

    /// Whether the engine still lists a container.
    fn is_there(&self, id: &str) -> Result<bool> {
        let filters = [("id".to_owned(), vec![id.to_owned()])].into();
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let listed = self.client.list_containers(Some(options));
        self.call("list containers", CALL_LIMIT, listed).map(|found| !found.is_empty())
    }

    /// The engine's version.
    pub(crate) fn version(&self) -> String {
        let asked = self.call("tell its version", CALL_LIMIT, self.client.version());
        asked.ok().and_then(|version| version.version).unwrap_or_default()
    }
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

/// How a container is made.
#[derive(Clone, Debug)]
pub(crate) struct ContainerPlan {
    /// What people call it.
    pub(crate) name: String,
    /// `repository:tag`.
    pub(crate) image: String,
    /// Variables of its environment.
    pub(crate) variables: Vec<(String, String)>,
    /// Arguments for its entry point; empty = the image's own.
    pub(crate) arguments: Vec<String>,
    /// Ports: of the host, of the container.
    pub(crate) ports: Vec<(u16, u16)>,
    /// Folders: of the host, of the container.
    pub(crate) mounts: Vec<(String, String)>,
    /// The run.
    pub(crate) run_id: String,
}

impl ContainerPlan {
    fn request(&self) -> ContainerRequest<GenericImage> {
        let (name, tag) = self.image.rsplit_once(':').unwrap_or((&self.image, "latest"));
        let mut request: ContainerRequest<GenericImage> = GenericImage::new(name, tag).into();
        for (name, value) in &self.variables {
            request = request.with_env_var(name, value);
        }
        for (host, inside) in &self.ports {
            request = request.with_mapped_port(*host, ContainerPort::Tcp(*inside));
        }
        for (host, inside) in &self.mounts {
            request = request.with_mount(Mount::bind_mount(host, inside));
        }
        if !self.arguments.is_empty() {
            request = request.with_cmd(self.arguments.clone());
        }
        request
            .with_label(OWNER_LABEL, ProcessMark::own().to_text())
            .with_label(HOST_LABEL, host_name())
            .with_label("stormproof.run", &self.run_id)
            .with_container_name(format!("stormproof-{}-{}", self.run_id, self.name))
            .with_host_config_modifier(on_loopback)
            .with_startup_timeout(CREATE_LIMIT)
    }
}

/// Published ports are for this host alone.
fn on_loopback(config: &mut HostConfig) {
    let bindings = config.port_bindings.iter_mut().flatten();
    for binding in bindings.filter_map(|(_, bindings)| bindings.as_mut()).flatten() {
        binding.host_ip = Some("127.0.0.1".to_owned());
    }
}

/// A host keeps its name over its containers' lives.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The backend.
pub(crate) struct ContainerBackend {
    engine: Arc<Engine>,
    plan: ContainerPlan,
    container: Mutex<Option<ContainerAsync<GenericImage>>>,
}

impl ContainerBackend {
    /// A container that is not made yet.
    pub(crate) fn new(engine: Arc<Engine>, plan: ContainerPlan) -> Self {
        Self { engine, plan, container: Mutex::new(None) }
    }

    fn container(&self) -> MutexGuard<'_, Option<ContainerAsync<GenericImage>>> {
        self.container.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> Result<String> {
        let id = self.container().as_ref().map(|container| container.id().to_owned());
        id.ok_or_else(|| environment(format!("the {} has no container yet", self.plan.name)))
    }

    fn create(&self) -> Result<ContainerAsync<GenericImage>> {
        let what = format!("start the {} from image {}", self.plan.name, self.plan.image);
        self.engine.call(&what, CREATE_LIMIT, self.plan.request().start()).map_err(|error| {
            let is_image = ["pull", "manifest", "not found", "No such image", "lookup"];
            let remedy = if error.what.contains("port is already allocated")
                || error.what.contains("address already in use")
            {
                "another program took the port meanwhile: run again"
            } else if is_image.iter().any(|word| error.what.contains(word)) {
                "check the image's name and tag (--kafka-image, --database-image) and the \
                 registry; ci/images builds both without one"
            } else {
                "look at the engine's own log; `stormproof clean` removes what is left"
            };
            error.remedy(remedy)
        })
    }

    fn wait_down(&self, limit: Duration) -> Result<bool> {
        let begun = Instant::now();
        while self.state() != ServiceState::Down {
            if begun.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    fn log(&self) -> Result<Vec<u8>> {
        let container = self.container();
        let Some(container) = container.as_ref() else { return Ok(Vec::new()) };
        self.engine.call("read a log", CALL_LIMIT, async {
            let mut log = container.stdout_to_vec().await?;
            log.extend(container.stderr_to_vec().await?);
            Ok::<_, testcontainers::TestcontainersError>(log)
        })
    }
}

impl Backend for ContainerBackend {
    fn start(&self) -> Result<()> {
        let mut container = self.container();
        if let Some(made) = container.as_ref() {
            let what = format!("start the {} again", self.plan.name);
            return self.engine.call(&what, CALL_LIMIT, made.start());
        }
        *container = Some(self.create()?);
        Ok(())
    }

    fn kill(&self) -> Result<()> {
        let (id, options) = (self.id()?, KillContainerOptions::default());
        let kill = self.engine.client.kill_container(&id, Some(options));
        self.engine.call(&format!("kill the {}", self.plan.name), CALL_LIMIT, kill)?;
        match self.wait_down(CALL_LIMIT)? {
            true => Ok(()),
            false => Err(environment(format!("the {} did not end after SIGKILL", self.plan.name))),
        }
    }

    fn stop(&self, limit: Duration) -> Result<()> {
        let container = self.container();
        let Some(made) = container.as_ref() else { return Ok(()) };
        let stop = made.stop_with_timeout(Some(limit.as_secs() as i32));
        self.engine.call(&format!("stop the {}", self.plan.name), limit + CALL_LIMIT, stop)
    }

    fn pause(&self) -> Result<()> {
        let container = self.container();
        let Some(made) = container.as_ref() else { return Ok(()) };
        let what = format!("pause the {}", self.plan.name);
        // A runtime under load gives up freezing ("unable to freeze") and thaws again.
        let once = |_| self.engine.call(&what, CALL_LIMIT, made.pause());
        let is_done = |outcome: &Result<()>| outcome.is_ok();
        (1..PAUSE_TRIES).map(once).find(is_done).unwrap_or_else(|| once(PAUSE_TRIES))
    }

    fn resume(&self) -> Result<()> {
        let container = self.container();
        let Some(made) = container.as_ref() else { return Ok(()) };
        self.engine.call(&format!("resume the {}", self.plan.name), CALL_LIMIT, made.unpause())
    }

    fn state(&self) -> ServiceState {
        let Ok(id) = self.id() else { return ServiceState::Down };
        let look = self.engine.client.inspect_container(&id, None);
        let seen = self.engine.call("inspect a container", CALL_LIMIT, look);
        let Some(state) = seen.ok().and_then(|seen| seen.state) else {
            return ServiceState::Down;
        };
        match (state.running, state.paused) {
            (_, Some(true)) => ServiceState::Paused,
            (Some(true), _) => ServiceState::Running,
            _ => ServiceState::Down,
        }
    }

    fn save_log(&self, file: &Path) -> Result<()> {
        std::fs::write(file, self.log()?).map_err(|error| crate::run::cannot_write(file, &error))
    }

    fn last_words(&self) -> String {
        end_of_log(&self.log().unwrap_or_default())
    }

    fn remove(&self) {
        let Some(container) = self.container().take() else { return };
        // Explicitly, and with a limit: a value that is only dropped is removed in the background.
        let id = container.id().to_owned();
        let removed = self.engine.call("remove a container", CALL_LIMIT, container.rm());
        // What is left now is somebody else's removal under way, or told by `stormproof clean`.
        drop(removed.or_else(|_| self.engine.remove(&id)));
    }
}

/// Removes the containers of this host whose owner is gone, or is this program when `own_too`.
/// `None` when no engine answers.
pub(crate) fn sweep_containers(own_too: bool) -> Option<Vec<Finding>> {
    let engine = Engine::connect().ok()?;
    let filters = [("label".to_owned(), vec![OWNER_LABEL.to_owned()])].into();
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let list = engine.client.list_containers(Some(options));
    let found = engine.call("list containers", CALL_LIMIT, list).ok()?;
    let mut findings = Vec::new();
    for container in found {
        let labels = container.labels.unwrap_or_default();
        let owner = labels.get(OWNER_LABEL).and_then(|text| ProcessMark::parse(text));
        let (Some(id), Some(owner)) = (container.id, owner) else { continue };
        let name = container.names.unwrap_or_default().join(" ");
        let what = format!("container {}", name.trim_start_matches('/'));
        let is_foreign = labels.get(HOST_LABEL) != Some(&host_name());
        let is_own = owner == ProcessMark::own();
        if is_foreign || (owner.is_alive() && !(is_own && own_too)) {
            findings.push(Finding::InUse(what));
            continue;
        }
        findings.push(match engine.remove(&id) {
            Ok(()) => Finding::Removed(what),
            Err(error) => Finding::Stuck(format!("{what}: {}", error.what)),
        });
    }
    Some(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_are_bound_to_loopback() {
        let plan = ContainerPlan {
            name: "broker".to_owned(),
            image: "registry:5000/kafka:4".to_owned(),
            variables: Vec::new(),
            arguments: Vec::new(),
            ports: vec![(1, 2)],
            mounts: Vec::new(),
            run_id: "r".to_owned(),
        };
        let request = plan.request();
        assert_eq!(request.container_name().as_deref(), Some("stormproof-r-broker"));
        let binding = bollard::models::PortBinding { host_ip: None, host_port: None };
        let ports = [("2/tcp".to_owned(), Some(vec![binding]))].into();
        let mut config = HostConfig { port_bindings: Some(ports), ..Default::default() };
        on_loopback(&mut config);
        let bindings = config.port_bindings.unwrap();
        let bound = &bindings["2/tcp"].as_ref().unwrap()[0];
        assert_eq!(bound.host_ip.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn a_socket_that_is_closed_to_us_has_its_own_remedy() {
        let closed = no_engine("client error: Permission denied (os error 13)");
        assert!(closed.remedy.unwrap().contains("group docker"));
        let absent = no_engine("No such file or directory");
        assert!(absent.remedy.unwrap().contains("dockerd"));
    }
}

//! A service as a container, through the testcontainers crate.
//!
//! Invariants: host ports are allocated by us and kept over every restart, on loopback only; a
//! container that was made and could not be started is removed; each call to the engine has a time
//! limit. Readiness is not decided here: the engine's proxy takes connections before the service
//! does, and old log lines would satisfy any wait for a log.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use testcontainers::bollard::models::{ContainerState, HostConfig};
use testcontainers::bollard::query_parameters::KillContainerOptions;
use testcontainers::core::{ContainerPort, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use super::engine::{CALL_LIMIT, Engine, LOOK_EVERY, REMEDY, is_gone, is_silent};
use super::ownership::{open_files, own_labels};
use super::{Backend, ServiceState};
use crate::environment::Stop;
use crate::environment::leftovers::end_of_log;
use crate::error::{HarnessError, Result, environment};

/// How often a container is asked to pause.
const PAUSE_TRIES: u32 = 4;
/// The longest that creating a container may take, an image's download included.
const CREATE_LIMIT: Duration = Duration::from_secs(180);

/// How long the engine may take to notice that a request was given up.
const CANCELLED_WITHIN: Duration = Duration::from_millis(500);

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
    /// Whether making it is given up.
    pub(crate) stop: Stop,
}

impl ContainerPlan {
    /// What the engine calls it.
    fn container_name(&self) -> String {
        format!("stormproof-{}-{}", self.run_id, self.name)
    }

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
        for (name, value) in own_labels() {
            request = request.with_label(name, value);
        }
        request
            .with_label("stormproof.run", &self.run_id)
            .with_container_name(self.container_name())
            .with_host_config_modifier(on_loopback)
            .with_startup_timeout(CREATE_LIMIT)
    }
}

/// The outcome of `work`, or nothing once `stop` says so.
async fn stoppable<T, E>(
    stop: &Stop,
    work: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, E> {
    let stopped = async {
        while stop.check().is_ok() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        done = work => done.map(Some),
        () = stopped => Ok(None),
    }
}

/// Published ports are for this host alone.
fn on_loopback(config: &mut HostConfig) {
    let bindings = config.port_bindings.iter_mut().flatten();
    for binding in bindings.filter_map(|(_, bindings)| bindings.as_mut()).flatten() {
        binding.host_ip = Some("127.0.0.1".to_owned());
    }
}

/// An error of making a container, with what helps against it.
fn not_made(error: HarnessError, image: &str) -> HarnessError {
    let has = |words: &[&str]| words.iter().any(|word| error.what.contains(word));
    let remedy = if has(&["port is already allocated", "address already in use"]) {
        "another program took the port meanwhile: run again".to_owned()
    } else if is_silent(&error, CREATE_LIMIT) {
        format!("the image may still be downloading: `docker pull {image}` first, then run again")
    } else if has(&["executable file not found", "exec: \"", "o command specified"]) {
        "this image does not start as such a service does: name the official one, or one of \
         ci/images (--kafka-image, --database-image)"
            .to_owned()
    } else if has(&IMAGE_IS_WRONG) {
        "check the image's name and tag (--kafka-image, --database-image) and the registry; \
         ci/images builds both without one"
            .to_owned()
    } else {
        REMEDY.to_owned()
    };
    error.remedy(remedy)
}

/// What engines say of an image that they cannot get, or whose name is none.
const IMAGE_IS_WRONG: [&str; 7] = [
    "pull",
    "manifest",
    "not found",
    "No such image",
    "lookup",
    "invalid reference format",
    "must be lowercase",
];

/// The backend.
pub(crate) struct ContainerBackend {
    engine: Arc<Engine>,
    plan: ContainerPlan,
    container: Mutex<Option<ContainerAsync<GenericImage>>>,
    starts: Mutex<Starts>,
}

/// What the engine says of a container.
enum View {
    There(ContainerState),
    /// There is none.
    Gone,
    /// It does not say.
    Unknown,
}

/// What is known of a container's starts.
#[derive(Default)]
struct Starts {
    /// When it was started last, in the engine's words; `None` while it is down because of us.
    last: Option<String>,
    /// Whether others have ended it since.
    is_down_unasked: bool,
    /// Ends and starts that were not ours.
    unasked: Vec<String>,
}

impl ContainerBackend {
    /// A container that is not made yet.
    pub(crate) fn new(engine: Arc<Engine>, plan: ContainerPlan) -> Self {
        Self { engine, plan, container: Mutex::new(None), starts: Mutex::default() }
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
        let making = stoppable(&self.plan.stop, self.plan.request().start());
        match self.engine.call(&what, CREATE_LIMIT, making) {
            Ok(Some(made)) => Ok(made),
            Ok(None) => {
                // The engine may be about to make it all the same.
                std::thread::sleep(CANCELLED_WITHIN);
                self.engine.remove_own(&self.plan.container_name());
                self.plan.stop.check().and_then(|()| Err(environment("interrupted")))
            }
            Err(error) => {
                // It may have been made before its start failed: nobody else holds it then.
                self.engine.remove_own(&self.plan.container_name());
                Err(not_made(error, &self.plan.image))
            }
        }
    }

    fn engines_view(&self) -> View {
        let Ok(id) = self.id() else { return View::Gone };
        match self.engine.inspect(&id) {
            Ok(seen) => seen.state.map_or(View::Unknown, View::There),
            Err(error) if is_gone(&error) => View::Gone,
            Err(_) => View::Unknown,
        }
    }

    fn starts(&self) -> MutexGuard<'_, Starts> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the start that was just asked for.
    fn note_start(&self) {
        let view = self.engines_view();
        let mut starts = self.starts();
        starts.is_down_unasked = false;
        if let View::There(state) = view {
            starts.last = state.started_at;
        }
    }

    /// Looks whether others have ended or started it since our last start.
    fn look_for_others(&self) {
        let mut starts = self.starts();
        // A start of ours that could not be looked at is no news.
        if starts.last.is_none() && !starts.is_down_unasked {
            return;
        }
        let name = &self.plan.name;
        let state = match self.engines_view() {
            View::There(state) => state,
            View::Unknown => return,
            View::Gone => {
                (starts.last, starts.is_down_unasked) = (None, false);
                starts.unasked.push(format!("the {name} was removed by others"));
                return;
            }
        };
        if starts.is_down_unasked {
            if state.running == Some(true) {
                (starts.last, starts.is_down_unasked) = (state.started_at, false);
                starts.unasked.push(format!("the {name} was started again by others"));
            }
            return;
        }
        let last = starts.last.clone();
        if state.started_at != last {
            starts.unasked.push(format!(
                "the {name} ended and was started again by others, and no fault did it"
            ));
        }
        if state.running == Some(false) {
            starts.unasked.push(format!("the {name} ended, and no fault did it"));
            (starts.last, starts.is_down_unasked) = (None, true);
        } else {
            starts.last = state.started_at;
        }
    }

    /// It will be down because of us.
    fn note_end(&self) {
        self.look_for_others();
        let mut starts = self.starts();
        (starts.last, starts.is_down_unasked) = (None, false);
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
        self.look_for_others();
        let mut container = self.container();
        match container.as_ref() {
            Some(made) => {
                let what = format!("start the {} again", self.plan.name);
                self.engine.call(&what, CALL_LIMIT, made.start())?;
            }
            None => *container = Some(self.create()?),
        }
        drop(container);
        self.note_start();
        Ok(())
    }

    fn kill(&self) -> Result<()> {
        let (id, options) = (self.id()?, KillContainerOptions::default());
        self.note_end();
        let kill = self.engine.client.kill_container(&id, Some(options));
        self.engine.call(&format!("kill the {}", self.plan.name), CALL_LIMIT, kill)?;
        match self.wait_down(CALL_LIMIT)? {
            true => Ok(()),
            false => Err(environment(format!("the {} did not end after SIGKILL", self.plan.name))
                .at(format!("container {}", self.plan.container_name()))
                .remedy(REMEDY)),
        }
    }

    fn stop(&self, limit: Duration) -> Result<()> {
        self.note_end();
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
        match self.engines_view() {
            View::There(state) if state.paused == Some(true) => ServiceState::Paused,
            View::There(state) if state.running != Some(true) => ServiceState::Down,
            View::Gone => ServiceState::Down,
            // An engine that does not answer says nothing of the service.
            View::There(_) | View::Unknown => ServiceState::Running,
        }
    }

    fn save_log(&self, file: &Path) -> Result<()> {
        std::fs::write(file, self.log()?).map_err(|error| crate::run::cannot_write(file, &error))
    }

    fn last_words(&self) -> String {
        end_of_log(&self.log().unwrap_or_default())
    }

    fn unasked(&self) -> Vec<String> {
        self.look_for_others();
        self.starts().unasked.clone()
    }

    fn remove(&self) {
        let Some(container) = self.container().take() else { return };
        let id = container.id().to_owned();
        let (name, plan) = (self.plan.container_name(), &self.plan);
        open_files(&self.engine, (&id, &name), &plan.image, &plan.mounts);
        // Explicitly, and with a limit: a value that is only dropped is removed in the background.
        let removed = self.engine.call("remove a container", CALL_LIMIT, container.rm());
        // What is left now is somebody else's removal under way, or told by `stormproof clean`.
        drop(removed.or_else(|_| self.engine.remove(&id)));
    }
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
            stop: Stop::never(),
        };
        let request = plan.request();
        assert_eq!(request.container_name().as_deref(), Some("stormproof-r-broker"));
        let binding =
            testcontainers::bollard::models::PortBinding { host_ip: None, host_port: None };
        let ports = [("2/tcp".to_owned(), Some(vec![binding]))].into();
        let mut config = HostConfig { port_bindings: Some(ports), ..Default::default() };
        on_loopback(&mut config);
        let bindings = config.port_bindings.unwrap();
        let bound = &bindings["2/tcp"].as_ref().unwrap()[0];
        assert_eq!(bound.host_ip.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn what_helps_depends_on_what_the_engine_says() {
        let remedy = |what: &str| not_made(environment(what), "a/b:1").remedy.unwrap();
        assert!(remedy("could not start: no answer in 180 s").contains("docker pull a/b:1"));
        assert!(remedy("invalid reference format").contains("--database-image"));
        assert!(remedy("repository name must be lowercase").contains("--kafka-image"));
        assert!(
            remedy("exec: \"x\": executable file not found in $PATH").contains("does not start")
        );
        assert!(remedy("Bind failed: port is already allocated").contains("run again"));
        assert!(remedy("disk on fire").contains("stormproof clean"));
    }
}

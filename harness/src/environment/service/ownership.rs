//! Which containers are ours, and how they go with all that they wrote.
//!
//! Invariants: a container carries labels with its owner, so that `stormproof clean` finds what a
//! SIGKILL left; none is removed whose owner is alive, or lives on another host. Where we are not
//! root, a container's files are opened to us before it goes: while it is there, it can be found.

use std::collections::HashMap;

use nix::unistd::geteuid;
use testcontainers::bollard::models::{
    ContainerCreateBody, ContainerSummary, HostConfig, Mount, MountType,
};
use testcontainers::bollard::query_parameters::{KillContainerOptions, ListContainersOptions};

use super::engine::{CALL_LIMIT, Engine};
use crate::environment::leftovers::{Finding, ProcessMark};

/// The label that names the program to which a container belongs.
const OWNER_LABEL: &str = "stormproof.owner";
/// The label that names the host of that program.
const HOST_LABEL: &str = "stormproof.host";

/// The labels of this program's containers.
pub(super) fn own_labels() -> [(&'static str, String); 2] {
    [(OWNER_LABEL, ProcessMark::own().to_text()), (HOST_LABEL, host_name())]
}

/// Whether a container with these labels is this program's.
pub(super) fn is_own(labels: &HashMap<String, String>) -> bool {
    own_labels().iter().all(|(name, value)| labels.get(*name) == Some(value))
}

/// A host keeps its name over its containers' lives.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Ends a container and lets this user remove what its account wrote into `mounts` (of the host, of
/// the container): a last container of the same image opens the files, as its root. Root itself
/// needs no leave.
///
/// The files are opened, not given to a user: what the engine calls our id is another one where it
/// runs without root, or maps users.
pub(super) fn open_files(
    engine: &Engine,
    (id, name): (&str, &str),
    image: &str,
    mounts: &[(String, String)],
) {
    if geteuid().is_root() || mounts.is_empty() {
        return;
    }
    // What has ended already cannot be killed.
    let kill = engine.client.kill_container(id, None::<KillContainerOptions>);
    let _ = engine.call("kill a container", CALL_LIMIT, kill);
    // Files that stay closed are told when their folder is removed: by `stormproof clean`.
    let _ = engine.run_errand(&format!("{name}-files"), opening(image, mounts));
}

/// A container that opens the files in `mounts` to everybody.
fn opening(image: &str, mounts: &[(String, String)]) -> ContainerCreateBody {
    let mount = |(host, inside): &(String, String)| Mount {
        source: Some(host.clone()),
        target: Some(inside.clone()),
        typ: Some(MountType::BIND),
        ..Default::default()
    };
    let what = ["-R", "a+rwX", "--"].map(str::to_owned).into_iter();
    let folders = mounts.iter().map(|(_, inside)| inside.clone());
    ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some("0".to_owned()),
        entrypoint: Some(vec!["chmod".to_owned()]),
        cmd: Some(what.chain(folders).collect()),
        labels: Some(own_labels().map(|(name, value)| (name.to_owned(), value)).into()),
        host_config: Some(HostConfig {
            mounts: Some(mounts.iter().map(mount).collect()),
            network_mode: Some("none".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
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
    Some(found.into_iter().filter_map(|container| sweep(&engine, container, own_too)).collect())
}

fn sweep(engine: &Engine, container: ContainerSummary, own_too: bool) -> Option<Finding> {
    let labels = container.labels.unwrap_or_default();
    let owner = labels.get(OWNER_LABEL).and_then(|text| ProcessMark::parse(text))?;
    let id = container.id?;
    let names = container.names.unwrap_or_default().join(" ");
    let name = names.trim_start_matches('/');
    let what = format!("container {name}");
    let is_foreign = labels.get(HOST_LABEL) != Some(&host_name());
    if is_foreign || (owner.is_alive() && !(is_own(&labels) && own_too)) {
        return Some(Finding::InUse(what));
    }
    let binds = container.mounts.unwrap_or_default().into_iter();
    let binds = binds.filter(|mount| mount.typ.as_deref() == Some("bind"));
    let mounts: Vec<_> =
        binds.filter_map(|mount| Some((mount.source?, mount.destination?))).collect();
    open_files(engine, (&id, name), &container.image.unwrap_or_default(), &mounts);
    Some(match engine.remove(&id) {
        Ok(()) => Finding::Removed(what),
        Err(error) => Finding::Stuck(format!("{what}: {}", error.what)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_programs_labels_are_its_own() {
        let mut labels: HashMap<_, _> =
            own_labels().map(|(name, value)| (name.to_owned(), value)).into();
        assert!(is_own(&labels));
        labels.insert(OWNER_LABEL.to_owned(), "1:1".to_owned());
        assert!(!is_own(&labels) && !is_own(&HashMap::new()));
    }

    #[test]
    fn files_are_opened_by_a_labelled_container_with_the_same_mounts() {
        let body = opening("some/image:1", &[("/host".to_owned(), "/inside".to_owned())]);
        assert!(is_own(&body.labels.unwrap()));
        assert_eq!(body.cmd.unwrap(), ["-R", "a+rwX", "--", "/inside"]);
        let mounts = body.host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[0].source.as_deref(), Some("/host"));
        assert_eq!(mounts[0].target.as_deref(), Some("/inside"));
    }
}

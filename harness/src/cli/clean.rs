//! `stormproof clean`: takes away what runs that were killed left behind.

use super::args::CleanArgs;
use crate::environment::leftovers::{Finding, sweep_folders, usual_roots};
use crate::environment::service::sweep_containers;
use crate::error::Result;

/// The exit code when something could not be taken away.
const STUCK: u8 = 2;

/// Takes it away; returns the exit code.
pub(super) fn clean(args: &CleanArgs) -> Result<u8> {
    let console = args.console();
    let mut roots = usual_roots();
    roots.extend(args.data.clone());
    roots.sort();
    roots.dedup();
    // Containers first: they write into the folders.
    let mut findings = Vec::new();
    let containers = sweep_containers(false);
    let everywhere = containers.is_some();
    findings.extend(containers.unwrap_or_default());
    findings.extend(sweep_folders(&roots, false));
    let mut code = 0;
    for finding in &findings {
        console.result(&match finding {
            Finding::InUse(what) => format!("in use   {what}"),
            Finding::Removed(what) => format!("removed  {what}"),
            Finding::Stuck(what) => {
                code = STUCK;
                format!("STUCK    {what}")
            }
        });
    }
    if findings.is_empty() {
        let place = if everywhere { "" } else { " in folders" };
        console.result(&format!("nothing was left behind{place}"));
    }
    if !everywhere {
        console.remark("no container engine answers: containers were not looked at");
    }
    Ok(code)
}

//! Damage to the newest completed checkpoint, while the engine is down.
//!
//! A checkpoint is damaged only if an older one is left: what nobody could restore is no test.

use std::fs;
use std::path::{Path, PathBuf};

use super::Outcome;

/// The newest checkpoint's largest state file, and its manifest.
struct Newest {
    name: String,
    manifest: PathBuf,
    state: PathBuf,
}

fn newest(checkpoints: &Path) -> Result<Newest, String> {
    let mut manifests = Vec::new();
    collect(checkpoints, &mut manifests).map_err(|error| format!("no checkpoints: {error}"))?;
    manifests.retain(|file| file.file_name().is_some_and(|name| name == "manifest.json"));
    manifests.sort();
    let [.., _older, manifest] = &manifests[..] else {
        return Err("there were not two completed checkpoints".to_owned());
    };
    let folder = manifest.parent().unwrap_or(checkpoints);
    let mut files = Vec::new();
    collect(folder, &mut files).map_err(|error| error.to_string())?;
    files.retain(|file| file != manifest);
    let size = |file: &PathBuf| fs::metadata(file).map_or(0, |meta| meta.len());
    let state = files.into_iter().max_by_key(size).ok_or("a checkpoint without state")?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Newest { name, manifest: manifest.clone(), state })
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

/// Puts another file in the place of `path`. What was linked from there stays as it was: the copy
/// of a checkpoint that had been restored before tells what was restored.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let damaged = path.with_extension("damaged");
    fs::write(&damaged, content)?;
    fs::rename(damaged, path)
}

/// Cuts the manifest in half: the last write did not come to its end.
pub(super) fn tear(checkpoints: &Path) -> Outcome {
    let newest = newest(checkpoints)?;
    let refuse = |error: std::io::Error| format!("cannot tear the manifest: {error}");
    let content = fs::read(&newest.manifest).map_err(refuse)?;
    replace(&newest.manifest, &content[..content.len() / 2]).map_err(refuse)?;
    Ok(format!("the manifest of {} was cut to {} bytes", newest.name, content.len() / 2))
}

/// Changes one byte in the middle of the state.
pub(super) fn corrupt(checkpoints: &Path) -> Outcome {
    let newest = newest(checkpoints)?;
    let refuse = |error: std::io::Error| format!("cannot change the state: {error}");
    let mut content = fs::read(&newest.state).map_err(refuse)?;
    let middle = content.len() / 2;
    let Some(byte) = content.get_mut(middle) else {
        return Err("the state is empty".to_owned());
    };
    *byte ^= 0x20;
    replace(&newest.state, &content).map_err(refuse)?;
    Ok(format!("byte {middle} of the state of {} was changed", newest.name))
}

//! A program that is run to its end, or to its limit.
//!
//! Invariant: nothing here waits longer than the limit and a moment; a program beyond it is killed
//! and reaped; what it prints is read while it runs, so it cannot block on a full pipe.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Result, environment};

/// Between two looks at a running program.
const LOOK: Duration = Duration::from_millis(5);
/// Of what a program prints, at most so much is kept.
const KEPT_BYTES: u64 = 16 << 20;

/// What a program has left.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The end of what it said on stderr, for a message.
    pub(crate) fn last_words(&self) -> String {
        let lines: Vec<&str> = self.stderr.trim_end().lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }
}

/// Runs `command` for at most `limit`.
///
/// # Errors
/// When it cannot be started, or does not end in time.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Ended> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            environment(format!("cannot start it: {error}"))
                .at(program.clone())
                .remedy("give the path of a program that this user may execute")
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(from) = from {
                let _ = from.take(KEPT_BYTES).read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = reader(stdout.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let stderr = reader(stderr.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let status = wait(&mut child, limit).ok_or_else(|| {
        environment(format!("it did not end within {} s, and was killed", limit.as_secs()))
            .at(program)
            .remedy("see why by hand; a gate's limits are time_limit_s in its thresholds")
    })?;
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Ended { status, stdout: text(stdout), stderr: text(stderr) })
}

/// The end of `child`; `None` = it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Ended> {
        run(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn what_it_prints_and_how_it_ended_is_kept() {
        let script = "seq 100000; echo one >&2; echo two >&2; exit 3";
        let ended = sh(script, Duration::from_secs(20)).expect("it ends");
        assert_eq!(ended.status.code(), Some(3));
        assert!(ended.stdout.ends_with("99999\n100000\n"));
        assert_eq!(ended.last_words(), "one / two");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let started = Instant::now();
        let error = sh("exec sleep 600", Duration::from_millis(100)).expect_err("it sleeps");
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(error.render().contains("killed"), "{}", error.render());
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let none = run(&mut Command::new("/nonexistent/program"), Duration::from_secs(1));
        assert_eq!(none.expect_err("no program").place.as_deref(), Some("/nonexistent/program"));
    }
}

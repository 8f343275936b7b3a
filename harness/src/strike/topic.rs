//! The topic's own settings, changed for a while.
//!
//! The protocol's request replaces all settings of a topic: those that it had are asked for first,
//! and put back as they were, also when a change is dropped half-way.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::environment::{Addresses, block_on};

/// The longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How often the old settings are put back, until that succeeds.
const UNDO_TRIES: u32 = 4;
const UNDO_PAUSE: Duration = Duration::from_millis(500);

/// A topic with changed settings.
pub(super) struct Changed {
    at: Addresses,
    /// What there was, until it is put back.
    before: Option<Vec<(String, String)>>,
}

impl Changed {
    /// Sets `wanted` over what the topic has.
    pub(super) fn set(at: &Addresses, wanted: &[(&str, &str)]) -> Result<Self, String> {
        let before = own(at)?;
        let mut all = before.clone();
        all.retain(|(name, _)| !wanted.iter().any(|(changed, _)| changed == name));
        all.extend(wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // It may be changed although the answer says otherwise: then it is dropped, and undone.
        let changed = Self { at: at.clone(), before: Some(before) };
        replace(at, &all).map(|()| changed)
    }

    /// Puts back what there was.
    pub(super) fn undo(mut self) -> Result<(), String> {
        self.put_back()
    }

    fn put_back(&mut self) -> Result<(), String> {
        let Some(before) = self.before.take() else { return Ok(()) };
        let mut undone = replace(&self.at, &before);
        for _ in 1..UNDO_TRIES {
            if undone.is_err() {
                std::thread::sleep(UNDO_PAUSE);
                undone = replace(&self.at, &before);
            }
        }
        undone
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // Whoever drops it has an error to tell already.
        let _ = self.put_back();
    }
}

fn admin(at: &Addresses) -> Result<AdminClient<DefaultClientContext>, String> {
    let client = ClientConfig::new().set("bootstrap.servers", &at.brokers).create();
    client.map_err(|error| format!("no admin client: {error}"))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_LIMIT)).request_timeout(Some(ANSWER_LIMIT))
}

/// The settings that are the topic's own.
fn own(at: &Addresses) -> Result<Vec<(String, String)>, String> {
    let admin = admin(at)?;
    let topic = ResourceSpecifier::Topic(&at.topic);
    let answers = block_on(async { admin.describe_configs([&topic], &options()).await })
        .map_err(|error| error.what)?
        .map_err(|error| format!("the broker does not tell the topic's settings: {error}"))?;
    let told = answers.into_iter().next().ok_or("no answer about the topic's settings")?;
    let told = told.map_err(|code| format!("the topic's settings are not told: {code}"))?;
    let own = told.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    Ok(own.filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

fn replace(at: &Addresses, settings: &[(String, String)]) -> Result<(), String> {
    let admin = admin(at)?;
    let mut wanted = AlterConfig::new(ResourceSpecifier::Topic(&at.topic));
    for (name, value) in settings {
        wanted = wanted.set(name, value);
    }
    let answers = block_on(async { admin.alter_configs([&wanted], &options()).await })
        .map_err(|error| error.what)?
        .map_err(|error| format!("the broker does not change the topic's settings: {error}"))?;
    match answers.into_iter().next() {
        Some(Err((_, code))) => Err(format!("the topic's settings were not changed: {code}")),
        _ => Ok(()),
    }
}

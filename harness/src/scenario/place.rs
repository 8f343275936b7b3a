//! `[environment]`: from raw to validated.
//!
//! A value that the chosen environment would not use is refused, not ignored.

use super::raw::{EnvironmentKind, RawEnvironment};
use super::{EnvironmentChoice, KafkaCluster, Load};
use crate::environment::lacks_password;
use crate::error::{Result, scenario};

/// The images that are used unless others are named.
pub(crate) const KAFKA_IMAGE: &str = "apache/kafka:4.1.1";
pub(crate) const DATABASE_IMAGE: &str = "mysql:8.4";
/// Brokers that one machine is asked to run at most.
const MOST_BROKERS: u32 = 5;

/// Each field, whether it was given, and the environments that use it.
fn given(raw: &RawEnvironment) -> [(&'static str, bool, &'static [EnvironmentKind]); 9] {
    use EnvironmentKind::{Containers, Embedded, External, Local};
    [
        ("environment.brokers (--brokers)", raw.brokers.is_some(), &[External]),
        ("environment.topic (--topic)", raw.topic.is_some(), &[External]),
        ("environment.database (--database)", raw.database.is_some(), &[Embedded, External]),
        ("environment.kafka_home (--kafka-home)", raw.kafka_home.is_some(), &[Local]),
        ("environment.kafka_brokers (--kafka-brokers)", raw.kafka_brokers.is_some(), &[Local]),
        ("environment.min_insync_replicas", raw.min_insync_replicas.is_some(), &[Local]),
        ("environment.kafka_image (--kafka-image)", raw.kafka_image.is_some(), &[Containers]),
        (
            "environment.database_image (--database-image)",
            raw.database_image.is_some(),
            &[Containers],
        ),
        ("environment.data (--data)", raw.data.is_some(), &[Local, Containers]),
    ]
}

fn name(kind: EnvironmentKind) -> &'static str {
    match kind {
        EnvironmentKind::Embedded => "embedded",
        EnvironmentKind::Local => "local",
        EnvironmentKind::Containers => "containers",
        EnvironmentKind::External => "external",
    }
}

/// Validates `[environment]` for `load`.
pub(super) fn place(raw: RawEnvironment, load: &Load) -> Result<EnvironmentChoice> {
    if raw.database.as_deref().is_some_and(lacks_password) {
        return Err(scenario("the database's password was not written down")
            .at("environment.database (--database)")
            .remedy(
                "give the whole address: --database mysql://user:password@host:port/database",
            ));
    }
    let kind = raw.kind.unwrap_or_default();
    let stray =
        given(&raw).into_iter().find(|(_, is_given, users)| *is_given && !users.contains(&kind));
    if let Some((place, _, users)) = stray {
        let users: Vec<&str> = users.iter().map(|kind| name(*kind)).collect();
        return Err(scenario(format!("the {} environment has no use for this", name(kind)))
            .at(place)
            .remedy(format!("take it out, or choose --env {}", users.join(" or --env "))));
    }
    if load.records == 0 && kind != EnvironmentKind::External {
        return Err(scenario(format!(
            "the {} topic is new, and nothing would be written",
            name(kind)
        ))
        .at("load.records (--records)")
        .remedy("records = 0 judges a topic that exists: use --env external"));
    }
    match kind {
        EnvironmentKind::Embedded => Ok(EnvironmentChoice::Embedded { database: raw.database }),
        EnvironmentKind::Local => {
            let cluster = cluster(raw.kafka_brokers, raw.min_insync_replicas)?;
            Ok(EnvironmentChoice::Local { kafka_home: raw.kafka_home, data: raw.data, cluster })
        }
        EnvironmentKind::Containers => Ok(EnvironmentChoice::Containers {
            kafka_image: raw.kafka_image.unwrap_or_else(|| KAFKA_IMAGE.to_owned()),
            database_image: raw.database_image.unwrap_or_else(|| DATABASE_IMAGE.to_owned()),
            data: raw.data,
        }),
        EnvironmentKind::External => external(raw, load),
    }
}

/// As many brokers as were asked for; a record is safe on two of three unless told otherwise.
fn cluster(brokers: Option<u32>, min_insync_replicas: Option<u32>) -> Result<KafkaCluster> {
    let brokers = brokers.unwrap_or(1);
    let refuse =
        |what: String, place: &str, remedy: String| Err(scenario(what).at(place).remedy(remedy));
    if !(1..=MOST_BROKERS).contains(&brokers) {
        return refuse(
            format!("environment.kafka_brokers = {brokers} is out of range"),
            "environment.kafka_brokers (--kafka-brokers)",
            format!("choose a value from 1 to {MOST_BROKERS}: each takes half a GB of memory"),
        );
    }
    let replicas = KafkaCluster { brokers, min_insync_replicas: 1 }.replicas();
    let min_insync_replicas = min_insync_replicas.unwrap_or(replicas.div_ceil(2));
    if !(1..=replicas).contains(&min_insync_replicas) {
        return refuse(
            format!("{min_insync_replicas} of {replicas} replicas cannot be in sync"),
            "environment.min_insync_replicas",
            format!("choose a value from 1 to {replicas}, or more brokers (--kafka-brokers 3)"),
        );
    }
    Ok(KafkaCluster { brokers, min_insync_replicas })
}

fn external(raw: RawEnvironment, load: &Load) -> Result<EnvironmentChoice> {
    let need = |value: Option<String>, place: &str, example: &str| {
        value.ok_or_else(|| {
            scenario("the external environment needs its addresses")
                .at(place)
                .remedy(format!("for example {example}"))
        })
    };
    let brokers = need(raw.brokers, "environment.brokers (--brokers)", "127.0.0.1:9092")?;
    let database = need(
        raw.database,
        "environment.database (--database)",
        "mysql://user:password@127.0.0.1:3306/storm",
    )?;
    if load.records == 0 && raw.topic.is_none() {
        return Err(scenario("records = 0 judges a topic that exists, and none is named")
            .at("environment.topic (--topic)")
            .remedy("name the topic, or ask for records"));
    }
    Ok(EnvironmentChoice::External { brokers, topic: raw.topic, database })
}

//! What a storm strikes in the main job: which steps there are, and who passes them.

use stormproof_chaos::fault::{FaultAction, FaultTarget, VertexShape};
use stormproof_chaos::outside::Outside;
use stormproof_chaos::schedule::{Skew, StormParameters, StormStep};
use stormproof_engine::runtime::CheckpointMode;
use stormproof_engine::seam::Step;

use super::{EnvironmentChoice, FaultPlan, KafkaCluster, Scenario};
use crate::error::{Result, scenario};

/// The storm of a topic that is judged as it is, in milliseconds.
const STORM_WITHOUT_LOAD_MS: u64 = 20_000;
/// The longest stall of a source across a trigger, in milliseconds.
const LONGEST_SKEW_MS: u64 = 5_000;

impl Scenario {
    /// Faults of single brokers strike brokers that there are.
    pub(super) fn check_brokers(&self) -> Result<()> {
        let FaultPlan::ByHand(faults) = &self.faults else { return Ok(()) };
        let cluster = match &self.environment {
            EnvironmentChoice::Local { cluster, .. } => *cluster,
            _ => KafkaCluster::SINGLE,
        };
        let refuse = |what: String, remedy: &str| {
            Err(scenario(what).at("[[faults.schedule]]").remedy(remedy.to_owned()))
        };
        for fault in faults {
            match fault.target {
                FaultTarget::BrokerNode(_) if cluster.brokers == 1 => {
                    return refuse(
                        format!(
                            "{} strikes one of several brokers, and there is one",
                            fault.action
                        ),
                        "target = \"broker\", or several of them: --env local --kafka-brokers 3",
                    );
                }
                FaultTarget::BrokerNode(node) if !(1..=cluster.brokers).contains(&node) => {
                    return refuse(
                        format!("there is no broker {node}"),
                        &format!("choose one from 1 to {}", cluster.brokers),
                    );
                }
                _ => {}
            }
            if matches!(fault.action, FaultAction::UncleanElection { .. })
                && (cluster.brokers == 1 || cluster.min_insync_replicas > 1)
            {
                return refuse(
                    format!(
                        "an unclean election loses nothing with {} brokers and min_insync_replicas \
                         = {}",
                        cluster.brokers, cluster.min_insync_replicas
                    ),
                    "let one broker of several acknowledge alone: --env local --kafka-brokers 3, \
                     and min_insync_replicas = 1 in [environment]",
                );
            }
        }
        Ok(())
    }

    /// The services that a storm may strike here.
    pub(super) fn outside(&self) -> Outside {
        match &self.environment {
            EnvironmentChoice::Embedded { database } => {
                Outside { broker: true, database: false, file: database.is_none() }
            }
            EnvironmentChoice::Local { .. } | EnvironmentChoice::Containers { .. } => {
                Outside { broker: true, database: true, file: false }
            }
            EnvironmentChoice::External { .. } => Outside::default(),
        }
    }

    /// The parameters of a storm of `faults` over this scenario's load.
    pub(super) fn storm(&self, faults: u32) -> StormParameters {
        let duration_ms = match self.load.records {
            0 => STORM_WITHOUT_LOAD_MS,
            _ => self.load.duration_ms(),
        };
        StormParameters { faults, duration_ms, steps: self.storm_steps(), skew: self.skew() }
    }

    /// The stall of one source across a trigger. It begins when a checkpoint is complete.
    fn skew(&self) -> Option<Skew> {
        let sources = self.job.vertices()[..1].to_vec();
        let until_trigger_ms = self.checkpoint.interval_ms.max(self.checkpoint.min_pause_ms);
        // Longer ones would outlast the storm.
        let is_short = until_trigger_ms <= LONGEST_SKEW_MS;
        let step = StormStep { step: Step::Notified, vertices: sources };
        is_short.then_some(Skew { step, until_trigger_ms })
    }

    /// Steps between a barrier's injection and the notification that this mode surely passes.
    ///
    /// `aligning` is not among them: whether a channel has to be held is a matter of luck.
    /// Neither is `aligned` where nothing is: with unaligned barriers the snapshot starts before.
    fn storm_steps(&self) -> Vec<StormStep> {
        let all = self.job.vertices();
        let of = |step, vertices: &[VertexShape]| StormStep { step, vertices: vertices.to_vec() };
        let gated = &all[1..];
        let coordinator = &[];
        let mut steps = vec![
            of(Step::BarrierInjected, &all[..1]),
            of(Step::BarrierReceived, gated),
            of(Step::Aligned, gated),
            of(Step::SnapshotSync, &all),
            of(Step::SnapshotAsync, &all),
            of(Step::Upload, &all),
            of(Step::Acked, &all),
            of(Step::AllAcked, coordinator),
            of(Step::MetadataDurable, coordinator),
            of(Step::Notified, &all),
        ];
        let starts_first = matches!(
            self.checkpoint.mode,
            CheckpointMode::ExactlyOnceUnaligned | CheckpointMode::AtLeastOnceFirstBarrier
        );
        steps.retain(|storm| !(starts_first && storm.step == Step::Aligned));
        steps
    }
}

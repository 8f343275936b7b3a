//! Redistribution: whose state becomes whose when a job is restored, at any parallelism. Pure.
//!
//! Rules, Flink's: at the same parallelism everybody gets their own state back.
//! Otherwise even-split list state is concatenated in subtask order and cut into contiguous
//! shares (base plus remainder); union state goes to everybody; keyed state and in-flight records
//! of keyed edges follow their key group; other in-flight records go to `target % parallelism`,
//! but for those of broadcast edges, which are refused (Flink does not log them: FLINK-22815).
//! Invariant: no element is lost, none is given out twice (union aside).

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::manifest::{Manifest, ManifestVertex};
use super::state_file::Section;
use crate::api::{GroupState, KeyedSnapshot};
use crate::graph::{
    ExecutionGraph, ExecutionVertex, Partitioner, key_group_of, subtask_of_key_group,
};
use crate::ids::{SubtaskIndex, VertexId};
use crate::mutants;
use crate::record::Record;

/// The state of one vertex, by its new subtasks.
#[derive(Clone, Debug, Default)]
pub(super) struct VertexState {
    lists: Vec<(SubtaskIndex, String, Vec<Bytes>)>,
    keyed: Vec<(SubtaskIndex, String, KeyedSnapshot)>,
    in_flight: Vec<Record>,
}

/// The state of a whole job, by vertex; empty when it starts fresh.
#[derive(Clone, Debug, Default)]
pub struct JobState {
    vertices: Vec<VertexState>,
    is_restored: bool,
}

impl JobState {
    /// The state of the subtasks `local` of a vertex, and the records in flight to them.
    pub fn group(&self, vertex: VertexId, local: &Range<u16>) -> (GroupState, Vec<Record>) {
        let mut group = GroupState { is_restored: self.is_restored, ..GroupState::default() };
        let Some(state) = self.vertices.get(vertex.index()) else {
            return (group, Vec::new());
        };
        let is_local = |subtask: SubtaskIndex| local.contains(&subtask.0);
        group.lists = state.lists.iter().filter(|(s, _, _)| is_local(*s)).cloned().collect();
        group.keyed = state.keyed.iter().filter(|(s, _, _)| is_local(*s)).cloned().collect();
        let records = state.in_flight.iter().filter(|r| is_local(r.view().target()));
        (group, records.cloned().collect())
    }
}

/// Gives the sections of a checkpoint to the vertices of `graph`, matched by name.
///
/// # Errors
/// In words, when state has no vertex to go to or key groups do not match.
pub fn redistribute(
    graph: &ExecutionGraph,
    manifest: &Manifest,
    sections: Vec<Section>,
) -> Result<JobState, String> {
    let mut vertices = vec![VertexState::default(); graph.vertices.len()];
    let mut lists: BTreeMap<(VertexId, String, bool), BTreeMap<SubtaskIndex, Vec<Bytes>>> =
        BTreeMap::new();
    let mut keyed: BTreeMap<(VertexId, String), Vec<KeyedSnapshot>> = BTreeMap::new();
    for section in sections {
        match section {
            Section::List { vertex, subtask, name, is_union, items } => {
                let owners = lists.entry((vertex, name, is_union)).or_default();
                owners.entry(subtask).or_default().extend(items);
            }
            Section::Keyed { vertex, name, entries } => {
                keyed.entry((vertex, name)).or_default().push(entries);
            }
            Section::Channel { vertex, records } => {
                let (old, new) = match_vertex(graph, manifest, vertex)?;
                let state = &mut vertices[new.id.index()];
                state.in_flight.extend(reroute(graph, old, new, records)?);
            }
        }
    }
    for ((vertex, name, is_union), owners) in lists {
        let (old, new) = match_vertex(graph, manifest, vertex)?;
        let shares = share_lists(old, new, is_union, owners);
        let named = shares.into_iter().map(|(subtask, items)| (subtask, name.clone(), items));
        vertices[new.id.index()].lists.extend(named);
    }
    for ((vertex, name), snapshots) in keyed {
        let (old, new) = match_vertex(graph, manifest, vertex)?;
        let shares = share_keyed(graph, old, new, &snapshots)?;
        let named = shares.into_iter().map(|(subtask, keyed)| (subtask, name.clone(), keyed));
        vertices[new.id.index()].keyed.extend(named);
    }
    Ok(JobState { vertices, is_restored: true })
}

fn match_vertex<'a>(
    graph: &'a ExecutionGraph,
    manifest: &'a Manifest,
    id: VertexId,
) -> Result<(&'a ManifestVertex, &'a ExecutionVertex), String> {
    let old = manifest.vertices.iter().find(|v| v.id == id);
    let old = old.ok_or_else(|| format!("its state names vertex {id}, its manifest does not"))?;
    let new = graph.vertices.iter().find(|v| *v.name == *old.name).ok_or_else(|| {
        format!("it holds state of vertex '{}', which this job does not have", old.name)
    })?;
    Ok((old, new))
}

fn share_lists(
    old: &ManifestVertex,
    new: &ExecutionVertex,
    is_union: bool,
    owners: BTreeMap<SubtaskIndex, Vec<Bytes>>,
) -> Vec<(SubtaskIndex, Vec<Bytes>)> {
    let is_same = old.parallelism == new.parallelism;
    let is_kept = is_same && mutants::is_active(mutants::UNION_ONLY_RESCALED);
    if is_union && !is_kept && !mutants::is_active(mutants::UNION_SHARED_OUT) {
        let all: Vec<Bytes> = owners.into_values().flatten().collect();
        return (0..new.parallelism).map(|s| (SubtaskIndex(s), all.clone())).collect();
    }
    let before = match mutants::is_active(mutants::OWNERS_BY_COUNT) {
        true => owners.len(),
        false => usize::from(old.parallelism),
    };
    if before == usize::from(new.parallelism) {
        return owners.into_iter().collect();
    }
    let all: Vec<Bytes> = owners.into_values().flatten().collect();
    let parallelism = usize::from(new.parallelism);
    let (base, remainder) = (all.len() / parallelism, all.len() % parallelism);
    let mut rest = all.into_iter();
    let remainder = if mutants::is_active(mutants::REMAINDER_DROPPED) { 0 } else { remainder };
    let share = |s: usize| base + usize::from(s < remainder);
    let mut shares: Vec<(SubtaskIndex, Vec<Bytes>)> = (0..parallelism)
        .map(|s| (SubtaskIndex(s as u16), rest.by_ref().take(share(s)).collect()))
        .collect();
    if mutants::is_active(mutants::SPLIT_TWICE)
        && let [(_, first), .., (_, last)] = &mut shares[..]
    {
        last.extend(first.first().cloned());
    }
    shares
}

fn share_keyed(
    graph: &ExecutionGraph,
    old: &ManifestVertex,
    new: &ExecutionVertex,
    snapshots: &[KeyedSnapshot],
) -> Result<BTreeMap<SubtaskIndex, KeyedSnapshot>, String> {
    if old.max_parallelism != graph.max_parallelism {
        return Err(format!(
            "vertex '{}' was written with max_parallelism {}, the job now has {}; set \
             max_parallelism = {}",
            old.name, old.max_parallelism, graph.max_parallelism, old.max_parallelism
        ));
    }
    let mut shares: BTreeMap<SubtaskIndex, KeyedSnapshot> = BTreeMap::new();
    for (group, key, value) in snapshots.iter().flat_map(KeyedSnapshot::iter) {
        if mutants::is_active(mutants::KEY_GROUP_DROPPED)
            && old.parallelism != new.parallelism
            && group.0 + 1 == graph.max_parallelism
        {
            continue;
        }
        let owner = match mutants::is_active(mutants::KEY_GROUPS_BY_DIVISION) {
            true => SubtaskIndex(group.0 / (graph.max_parallelism / new.parallelism)),
            false => subtask_of_key_group(group, new.parallelism, graph.max_parallelism),
        };
        shares.entry(owner).or_default().push(group, key, value);
    }
    Ok(shares)
}

fn reroute(
    graph: &ExecutionGraph,
    old: &ManifestVertex,
    new: &ExecutionVertex,
    records: Vec<Record>,
) -> Result<Vec<Record>, String> {
    if old.parallelism == new.parallelism || records.is_empty() {
        return Ok(records);
    }
    let has = |partitioner: Partitioner| {
        new.inputs.iter().any(|e| graph.edge(*e).edge.partitioner == partitioner)
    };
    // Each subtask may have got further than the others: no share is right for another number.
    if has(Partitioner::Broadcast) {
        return Err(format!(
            "vertex '{}' had {} records of a broadcast input in flight, for {} subtasks, and now \
             has {}; restore it with parallelism {}, or from a checkpoint without records in flight",
            old.name,
            records.len(),
            old.parallelism,
            new.parallelism,
            old.parallelism
        ));
    }
    let is_keyed = has(Partitioner::KeyBy);
    let target = |record: &Record| {
        let view = record.view();
        if is_keyed && !mutants::is_active(mutants::REROUTED_BY_TARGET) {
            let group = key_group_of(&view.payload(), graph.max_parallelism);
            subtask_of_key_group(group, new.parallelism, graph.max_parallelism)
        } else {
            SubtaskIndex(view.target().0 % new.parallelism)
        }
    };
    Ok(records.into_iter().map(|record| record.retargeted(target(&record))).collect())
}

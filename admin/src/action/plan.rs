//! What an action would cost, before it is done.

use super::verb::{Action, Verb};
use crate::poll::snapshot::{ChannelFigures, Name, Snapshot, TopicState};

/// A loss beyond this many messages is confirmed by typing the name.
pub const LOSS_FREE_MAX: u64 = 1_000;

/// What would be lost and who would notice, by the last tick.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is about.
    pub action: Action,
    /// Messages that would be gone: waiting, in flight and deferred. Zero for what can be undone.
    pub loss: u64,
    /// The same by node, largest first.
    pub loss_by_node: Vec<(Name, u64)>,
    /// Consumers that are connected to what would be gone.
    pub consumers: u64,
    /// Channels that would be gone with their topic.
    pub channels: Vec<Name>,
    /// Nodes that have it.
    pub nodes: Vec<Name>,
    /// Whether the last tick knows it at all.
    pub is_known: bool,
    /// Nodes whose figures are missing: the loss may be larger.
    pub nodes_missing: usize,
}

impl Plan {
    /// Whether a click is not enough.
    pub fn wants_name(&self) -> bool {
        let is_final = matches!(self.action.verb, Verb::Delete | Verb::Empty | Verb::Tombstone);
        is_final && (self.loss > LOSS_FREE_MAX || self.consumers > 0 || self.nodes_missing > 0)
    }
}

/// Looks an action's object up in a snapshot.
pub fn plan(snapshot: &Snapshot, action: Action) -> Plan {
    let (answering, all) = snapshot.coverage();
    let mut plan = Plan {
        loss: 0,
        loss_by_node: Vec::new(),
        consumers: 0,
        channels: Vec::new(),
        nodes: Vec::new(),
        is_known: false,
        nodes_missing: all.saturating_sub(answering),
        action,
    };
    let Some(topic) = snapshot.topic(&plan.action.topic) else { return plan };
    let only = plan.action.node.as_deref();
    let is_meant = |node: u32| {
        let state = snapshot.nodes.get(node as usize);
        state.filter(|state| only.is_none_or(|only| *state.address == *only)).map(|state| &state.address)
    };
    let mut losses: Vec<(Name, u64)> = Vec::new();
    let mut add = |name: &Name, loss: u64| match losses.iter_mut().find(|(known, _)| known == name) {
        Some((_, sum)) => *sum = sum.saturating_add(loss),
        None => losses.push((name.clone(), loss)),
    };
    if let Some(channel) = &plan.action.channel {
        let Some(channel) = topic.channel(channel) else { return plan };
        for (node, figures) in &channel.nodes {
            let Some(name) = is_meant(*node) else { continue };
            add(name, held(figures));
            plan.consumers = plan.consumers.saturating_add(figures.client_count);
        }
    } else {
        add_topic(topic, &plan.action, is_meant, &mut add, &mut plan.consumers);
        if matches!(plan.action.verb, Verb::Delete | Verb::Tombstone) {
            plan.channels = topic.channels.iter().map(|channel| channel.name.clone()).collect();
        }
    }
    plan.is_known = true;
    plan.nodes = losses.iter().map(|(name, _)| name.clone()).collect();
    if matches!(plan.action.verb, Verb::Delete | Verb::Empty | Verb::Tombstone) {
        losses.retain(|(_, loss)| *loss > 0);
        losses.sort_by_key(|(_, loss)| std::cmp::Reverse(*loss));
        plan.loss = losses.iter().fold(0, |sum, (_, loss)| sum.saturating_add(*loss));
        plan.loss_by_node = losses;
    }
    plan
}

/// Emptying a topic takes what no channel has yet; deleting it takes its channels with it.
fn add_topic<'a>(
    topic: &'a TopicState,
    action: &Action,
    is_meant: impl Fn(u32) -> Option<&'a Name>,
    add: &mut impl FnMut(&Name, u64),
    consumers: &mut u64,
) {
    for (node, figures) in &topic.nodes {
        if let Some(name) = is_meant(*node) {
            add(name, figures.depth);
        }
    }
    if !matches!(action.verb, Verb::Delete | Verb::Tombstone) {
        return;
    }
    for (node, figures) in topic.channels.iter().flat_map(|channel| &channel.nodes) {
        if let Some(name) = is_meant(*node) {
            add(name, held(figures));
            *consumers = consumers.saturating_add(figures.client_count);
        }
    }
}

fn held(figures: &ChannelFigures) -> u64 {
    figures.depth.saturating_add(figures.in_flight).saturating_add(figures.deferred)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::snapshot::{ChannelState, Fault, NodeState, TopicFigures};

    fn snapshot() -> Snapshot {
        let node = |address: &str| NodeState { address: address.into(), ..NodeState::default() };
        let of_channel = |depth, in_flight, deferred, client_count| ChannelFigures {
            depth,
            in_flight,
            deferred,
            client_count,
            ..ChannelFigures::default()
        };
        Snapshot {
            nodes: vec![node("a:1"), node("b:1")],
            topics: vec![TopicState {
                name: "t".into(),
                nodes: vec![
                    (0, TopicFigures { depth: 5, ..TopicFigures::default() }),
                    (1, TopicFigures::default()),
                ],
                channels: vec![ChannelState {
                    name: "c".into(),
                    nodes: vec![(0, of_channel(10, 2, 3, 0)), (1, of_channel(2_000, 0, 0, 4))],
                    ..ChannelState::default()
                }],
                ..TopicState::default()
            }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_deleted_topic_takes_its_channels_with_it() {
        let plan = plan(&snapshot(), Action::topic(Verb::Delete, "t"));
        assert_eq!((plan.loss, plan.consumers), (2_020, 4));
        assert_eq!(plan.loss_by_node, [("b:1".into(), 2_000), ("a:1".into(), 20)]);
        assert_eq!(plan.channels, ["c".into()]);
        assert!(plan.wants_name());
    }

    #[test]
    fn an_emptied_topic_leaves_its_channels_alone() {
        let plan = plan(&snapshot(), Action::topic(Verb::Empty, "t"));
        assert_eq!((plan.loss, plan.consumers, plan.channels.len()), (5, 0, 0));
        assert!(!plan.wants_name());
    }

    #[test]
    fn on_one_node_only_that_node_counts() {
        let plan = plan(&snapshot(), Action::channel(Verb::Empty, "t", "c").on_node("a:1"));
        assert_eq!((plan.loss, plan.consumers), (15, 0));
        assert_eq!(plan.nodes, ["a:1".into()]);
    }

    #[test]
    fn pausing_loses_nothing() {
        let plan = plan(&snapshot(), Action::channel(Verb::Pause, "t", "c"));
        assert_eq!((plan.loss, plan.consumers), (0, 4));
        assert!(!plan.wants_name());
    }

    #[test]
    fn a_silent_node_makes_the_loss_uncertain() {
        let mut snapshot = snapshot();
        snapshot.nodes[1].fault = Some(Fault { text: String::new(), since_ms: 0, polls: 1 });
        assert!(plan(&snapshot, Action::topic(Verb::Empty, "t")).wants_name());
        assert!(!plan(&snapshot, Action::topic(Verb::Empty, "never")).is_known);
    }
}

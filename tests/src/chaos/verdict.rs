//! What the writers were told, against what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_client::core::{
    Assignment, Filter, Instance, Key, LogIndex, Node, NodeId, NodeName, Record, Revision, State,
    invariants,
};

use super::work::Accounts;
use super::{chains, epochs, nodes};

/// Everything that a client can list, as a state.
#[must_use]
pub fn state(records: Vec<Record>, revision: Revision, applied: LogIndex) -> State {
    let mut state = State::default();
    for record in records {
        state.put(record);
    }
    state.resume_at(applied, revision);
    state
}

/// All records.
#[must_use]
pub fn everything() -> Filter {
    Filter::default()
}

/// Every promise that the state breaks, towards the writers or in itself.
#[must_use]
pub fn broken(state: &State, accounts: &mut Accounts) -> Vec<String> {
    let mut broken: Vec<String> = invariants::check(state)
        .iter()
        .map(ToString::to_string)
        .collect();
    check_nodes(state, &accounts.nodes, &mut broken);
    for chain in &mut accounts.chains {
        check_chain(state, chain, &mut broken);
    }
    check_epochs(state, &accounts.epochs, &mut broken);
    broken
}

fn check_nodes(state: &State, accounts: &[nodes::Account], broken: &mut Vec<String>) {
    let mut there: BTreeMap<&NodeName, Vec<NodeId>> = BTreeMap::new();
    for node in state.nodes().values() {
        let node: &Arc<Node> = node;
        there.entry(&node.name).or_default().push(node.id);
    }
    for (name, ids) in &there {
        if ids.len() > 1 {
            broken.push(format!(
                "node {name} was added {} times: {ids:?}",
                ids.len()
            ));
        }
    }
    for account in accounts {
        for (name, id) in &account.acknowledged {
            match there.get(name) {
                Some(ids) if ids.contains(id) => {}
                Some(ids) => broken.push(format!("node {name} is there as {ids:?}, not as {id}")),
                None => broken.push(format!("node {name} was acknowledged as {id} and is lost")),
            }
        }
        for name in account
            .refused
            .iter()
            .filter(|name| there.contains_key(name))
        {
            broken.push(format!("node {name} was refused and is there"));
        }
    }
}

fn check_chain(state: &State, chain: &mut chains::Account, broken: &mut Vec<String>) {
    let register = chain.register.clone();
    let key = Key::Instance(register.service.clone(), register.node);
    let Some(Record::Instance(instance)) = state.get(&key) else {
        broken.push(format!("{key} is lost"));
        return;
    };
    let instance: Arc<Instance> = instance;
    let value = instance
        .report
        .position
        .as_ref()
        .map_or(0, |position| position.offset);
    if let Err(why) = chain.take(instance.modified.0, value) {
        broken.push(why);
    }
}

fn check_epochs(state: &State, accounts: &[epochs::Account], broken: &mut Vec<String>) {
    let service = epochs::service();
    let Some(assignment) = state.assignment(&service) else {
        broken.push(format!("the assignment of {service} is lost"));
        return;
    };
    let assignment: &Assignment = assignment;
    let mut given: Vec<epochs::Given> = accounts.iter().flat_map(|a| a.given.clone()).collect();
    let unknown: u64 = accounts.iter().map(|account| account.unknown).sum();
    given.sort_by_key(|given| given.epoch);
    for pair in given.windows(2) {
        if pair[0].epoch == pair[1].epoch {
            broken.push(format!("epoch {} was given twice", pair[0].epoch));
        }
        // Later epochs may have been asked for earlier, but not after an even later one was there.
        if pair[1].returned < pair[0].invoked {
            broken.push(format!("{:?} was given after {:?}", pair[0], pair[1]));
        }
    }
    let last = given.last().map_or(0, |given| given.epoch.0);
    let count = given.len() as u64;
    let now = assignment.epoch.0;
    if now < last || now < count || now > count + unknown {
        broken.push(format!(
            "{service} is at epoch {now}: {last} was the last one given, {count} were given in all, and {unknown} \
             changes have an unknown outcome"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registers::{Register, add_node};
    use std::collections::BTreeSet;
    use std::time::Duration;
    use tenure_client::core::{
        Command, Created, Endpoint, Envelope, Epoch, LossPolicy, NodeRef, Note, Outcome, Policy,
        PrimaryPolicy, Timestamp,
    };

    /// A state with the nodes a (1) and b (2), both instances of the service, at its first epoch.
    fn sample() -> State {
        let mut state = State::default();
        let policy = Policy::Primary(PrimaryPolicy {
            loss: LossPolicy::Available,
            ..PrimaryPolicy::default()
        });
        let service = epochs::service();
        let add_service = Command::AddService {
            name: service.clone(),
            policy,
        };
        let add_instance = |node| Command::AddInstance {
            service: service.clone(),
            node: NodeRef::Id(NodeId(node)),
            endpoint: Endpoint::new("10.0.0.1:1").expect("host:port"),
            preference: 100,
        };
        let promote = Command::SetPrimary {
            service: service.clone(),
            to: NodeRef::Id(NodeId(1)),
            succeeds: Epoch(0),
            accept_loss: true,
            reason: Note::default(),
        };
        let commands = [
            add_node("a"),
            add_node("b"),
            add_service,
            add_instance(1),
            add_instance(2),
            promote,
        ];
        for command in commands {
            apply(&mut state, command);
        }
        state
    }

    fn apply(state: &mut State, command: Command) -> Option<Created> {
        let envelope = Envelope {
            request: None,
            actor: Note::default(),
            stamp: Timestamp(0),
            command,
        };
        match state.apply(state.applied().next(), &envelope).outcome {
            Outcome::Done(done) => done.created,
            Outcome::Answered { .. } => None,
            Outcome::Rejected(reject) => panic!("{reject}"),
        }
    }

    fn name(text: &str) -> NodeName {
        NodeName::new(text).expect("a name")
    }

    fn given(invoked: u64, returned: u64, epoch: u64) -> epochs::Given {
        epochs::Given {
            invoked: Duration::from_millis(invoked),
            returned: Duration::from_millis(returned),
            epoch: Epoch(epoch),
        }
    }

    fn truth() -> Accounts {
        let nodes = nodes::Account {
            acknowledged: BTreeMap::from([(name("a"), NodeId(1))]),
            refused: vec![name("c")],
            unknown: vec![name("b"), name("d")],
        };
        let epochs = epochs::Account {
            given: vec![given(1, 2, 1)],
            unknown: 0,
        };
        Accounts {
            nodes: vec![nodes],
            chains: vec![],
            epochs: vec![epochs],
        }
    }

    fn finds(state: &State, mut accounts: Accounts, sentence: &str) {
        let broken = broken(state, &mut accounts).join("; ");
        assert!(broken.contains(sentence), "{broken:?}");
    }

    #[test]
    fn a_true_account_breaks_nothing() {
        assert_eq!(broken(&sample(), &mut truth()), Vec::<String>::new());
    }

    #[test]
    fn lost_doubled_and_haunting_nodes_are_found() {
        let mut lost = truth();
        let lost_name = (name("e"), NodeId(9));
        lost.nodes[0].acknowledged.extend([lost_name]);
        finds(&sample(), lost, "node e was acknowledged as 9 and is lost");
        let mut other = truth();
        other.nodes[0].acknowledged.extend([(name("b"), NodeId(7))]);
        finds(&sample(), other, "node b is there as [NodeId(2)], not as 7");
        let mut refused = truth();
        refused.nodes[0].refused.push(name("b"));
        finds(&sample(), refused, "node b was refused and is there");
        let mut doubled = sample();
        let Some(Record::Node(node)) = doubled.get(&Key::Node(NodeId(1))) else {
            panic!("node 1 is there");
        };
        let twin = Node {
            id: NodeId(3),
            ..(*node).clone()
        };
        doubled.put(Record::Node(Arc::new(twin)));
        finds(&doubled, truth(), "node a was added 2 times");
    }

    #[test]
    fn epochs_given_twice_late_or_not_at_all_are_found() {
        let with = |more: &[epochs::Given]| {
            let mut accounts = truth();
            accounts.epochs[0].given.extend(more);
            accounts
        };
        finds(
            &sample(),
            with(&[given(3, 4, 1)]),
            "epoch 1 was given twice",
        );
        finds(
            &sample(),
            with(&[given(3, 4, 2)]),
            "is at epoch 1: 2 was the last",
        );
        let mut grown = sample();
        let promote = Command::SetPrimary {
            service: epochs::service(),
            to: NodeRef::Id(NodeId(2)),
            succeeds: Epoch(1),
            accept_loss: true,
            reason: Note::default(),
        };
        apply(&mut grown, promote);
        finds(&grown, truth(), "is at epoch 2: 1 was the last");
        finds(&grown, with(&[given(0, 0, 2)]), "was given after");
    }

    #[test]
    fn chains_that_lack_or_repeat_a_step_are_found() {
        let mut chain = chains::Account {
            register: Register {
                service: epochs::service(),
                node: NodeId(1),
                initial: (1, 0),
            },
            current: (5, 10),
            open: BTreeSet::from([11, 12]),
            denied: BTreeMap::new(),
            steps: 10,
        };
        assert_eq!(chain.take(5, 10), Ok(()));
        assert!(chain.take(4, 9).is_err(), "a step back");
        assert!(chain.take(6, 10).is_err(), "a step done twice");
        assert!(chain.take(6, 13).is_err(), "a step that nobody made");
        assert_eq!(chain.take(6, 12), Ok(()));
        assert!(chain.take(7, 11).is_err(), "a step that rested on another");
        assert_eq!(chain.steps, 11);
    }
}

//! Registers with conditional writes, made of what the cluster stores anyway: an instance's report is the value, its
//! `modified` revision the version.

use tenure_core::{
    Attributes, Command, Endpoint, Health, Incarnation, Member, NodeId, NodeName, NodeRef,
    PeersPolicy, Policy, Position, RejectCode, Report, Revision, ServiceName,
};
use tenure_proto::v1::{self, execute_response::Created};

use super::calls::note;
use super::{CallError, Calls, Cluster, ClusterError};

const HOPS_MAX: usize = 3;

/// One register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The service that it is an instance of.
    pub service: ServiceName,
    /// The node that it is an instance on.
    pub node: NodeId,
    /// Version and value at the beginning.
    pub initial: (u64, u64),
}

/// How a conditional write ended.
#[derive(Clone, Debug)]
pub enum Written {
    /// It was done, and this is the version now.
    Done(u64),
    /// The version was this other one: nothing happened.
    Changed(u64),
    /// Nothing happened, for another reason.
    Nothing(String),
    /// It may have happened, or may yet.
    Unknown(String),
}

impl Register {
    /// The command that writes `value` on condition of a version, or without one.
    #[must_use]
    pub fn command(&self, expected: Option<u64>, value: u64) -> Command {
        let position = Position {
            history: note("register"),
            offset: value,
        };
        Command::ReportInstance {
            service: self.service.clone(),
            member: Member {
                node: self.node,
                incarnation: Incarnation(0),
            },
            expected: expected.map(Revision),
            report: Report {
                health: Health::Healthy,
                position: Some(position),
                ..Report::default()
            },
        }
    }

    /// Writes on condition of a version, through `servers[first]` and whoever it names as leader.
    pub async fn write(
        &self,
        servers: &[Calls],
        first: usize,
        expected: u64,
        value: u64,
    ) -> Written {
        let command = self.command(Some(expected), value);
        let mut at = first;
        let mut last = String::new();
        for _hop in 0..HOPS_MAX {
            let error = match servers[at].execute(&command, None).await {
                Ok(done) => return Written::Done(done.revision),
                Err(error) => error,
            };
            if error.may_have_happened() {
                return Written::Unknown(error.to_string());
            }
            if let Some(reject) = error.reject() {
                return match (reject.code, reject.actual) {
                    (RejectCode::Changed, Some(actual)) => Written::Changed(actual),
                    (_, _) => Written::Nothing(reject.to_string()),
                };
            }
            last = error.to_string();
            let leads = |leader| servers.iter().position(|server| server.server == leader);
            match error.leader_hint().and_then(leads) {
                Some(leader) if leader != at => at = leader,
                Some(_) | None => break,
            }
        }
        Written::Nothing(last)
    }

    /// Version, value and header of a read at one server.
    ///
    /// # Errors
    /// [`CallError`]; an answer without a position counts as broken.
    pub async fn read(
        &self,
        server: &Calls,
        consistency: Option<v1::Consistency>,
    ) -> Result<(u64, u64, v1::Header), CallError> {
        let answer = server
            .get_instance(self.service.as_str(), self.node.0, consistency)
            .await?;
        let broken = |what: &str| CallError::Broken(format!("the answer has no {what}"));
        let instance = answer.instance.ok_or_else(|| broken("instance"))?;
        let report = instance.report.ok_or_else(|| broken("report"))?;
        let position = report.position.ok_or_else(|| broken("position"))?;
        let header = answer.header.ok_or_else(|| broken("header"))?;
        Ok((instance.modified, position.offset, header))
    }
}

impl Cluster {
    /// Makes registers, as instances of one service on nodes of their own, each with the value 0.
    ///
    /// # Errors
    /// [`ClusterError`] when a command is rejected or nobody takes it.
    ///
    /// # Panics
    /// When `service` is no name.
    pub async fn make_registers(
        &mut self,
        service: &str,
        count: usize,
    ) -> Result<Vec<Register>, ClusterError> {
        let name = ServiceName::new(service).expect("the test's name for a service");
        let policy = Policy::Peers(PeersPolicy::default());
        self.execute(&Command::AddService {
            name: name.clone(),
            policy,
        })
        .await?;
        let mut registers = vec![];
        for at in 0..count {
            let node = self.make_node(&format!("{service}-{at}")).await?;
            self.make_instance(&name, node).await?;
            let mut register = Register {
                service: name.clone(),
                node,
                initial: (0, 0),
            };
            let version = self.execute(&register.command(None, 0)).await?.revision;
            register.initial = (version, 0);
            registers.push(register);
        }
        Ok(registers)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`ClusterError`] when it is rejected or nobody takes it.
    ///
    /// # Panics
    /// When `name` is no name.
    pub async fn make_node(&mut self, name: &str) -> Result<NodeId, ClusterError> {
        let answer = self.execute(&add_node(name)).await?;
        match answer.created {
            Some(Created::Node(id)) => Ok(NodeId(id)),
            Some(Created::Client(_) | Created::Epoch(_)) | None => Err(ClusterError::Call {
                what: format!("addition of node {name}"),
                source: CallError::Broken(format!("it created {:?}", answer.created)),
            }),
        }
    }

    /// Adds an instance.
    ///
    /// # Errors
    /// [`ClusterError`] when it is rejected or nobody takes it.
    pub async fn make_instance(
        &mut self,
        service: &ServiceName,
        node: NodeId,
    ) -> Result<(), ClusterError> {
        let endpoint = Endpoint::new("10.0.0.1:80").expect("host:port");
        let command = Command::AddInstance {
            service: service.clone(),
            node: NodeRef::Id(node),
            endpoint,
            preference: 100,
        };
        self.execute(&command).await.map(drop)
    }
}

/// The command that adds a node with nothing special.
///
/// # Panics
/// When `name` is no name.
#[must_use]
pub fn add_node(name: &str) -> Command {
    Command::AddNode {
        name: NodeName::new(name).expect("the test's name for a node"),
        zone: None,
        labels: Attributes::default(),
        weight: 100,
    }
}

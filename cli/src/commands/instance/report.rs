//! `instance report`: what an agent would say of an instance.

use super::{super::Context, Incarnation, Member, Place, Revision, find_node};
use crate::{
    args,
    exit::{Exit, Failure},
};
use clap::{Args, ValueEnum};
use tenure_core::{Attributes, Command, Epoch, Health, Note, Position, RecordKind, Report, Role};

/// How an instance says it is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum HealthArg {
    Unknown,
    Starting,
    Healthy,
    Degraded,
    Failing,
}

impl From<HealthArg> for Health {
    fn from(health: HealthArg) -> Self {
        match health {
            HealthArg::Unknown => Self::Unknown,
            HealthArg::Starting => Self::Starting,
            HealthArg::Healthy => Self::Healthy,
            HealthArg::Degraded => Self::Degraded,
            HealthArg::Failing => Self::Failing,
        }
    }
}

/// What an instance says it is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    Primary,
    Replica,
    Peer,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Primary => Self::Primary,
            RoleArg::Replica => Self::Replica,
            RoleArg::Peer => Self::Peer,
        }
    }
}

/// A report; it replaces the one before as a whole.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    place: Place,
    /// How it is
    #[arg(long, value_enum)]
    health: HealthArg,
    /// What it says it is
    #[arg(long, value_enum)]
    role: Option<RoleArg>,
    /// The epoch in which it says so
    #[arg(long, value_name = "N", default_value_t = 0, requires = "role")]
    epoch: u64,
    /// How far it has got: the history it belongs to, and an offset in it
    #[arg(long, value_name = "HISTORY:OFFSET", value_parser = position)]
    position: Option<Position>,
    /// A remark
    #[arg(long, value_parser = args::note, default_value = "")]
    note: Note,
    /// An attribute; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = args::pair)]
    attribute: Vec<(String, String)>,
    /// The incarnation of the node in which it speaks; read when left out
    #[arg(long, value_name = "N")]
    incarnation: Option<u64>,
    /// Only if the instance is as of this revision; any, when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

fn position(text: &str) -> Result<Position, String> {
    let (history, offset) = text
        .rsplit_once(':')
        .ok_or("HISTORY:OFFSET is needed, as in a1b2:42")?;
    let offset = offset
        .parse()
        .map_err(|_| "the offset after : must be a whole number".to_owned())?;
    Ok(Position {
        history: args::note(history)?,
        offset,
    })
}

pub(super) async fn run(args: ReportArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(&[RecordKind::Node], &[]).await?;
    let node = find_node(&state, &args.place.node)?;
    let report = Report {
        health: args.health.into(),
        role: args.role.map(|role| (role.into(), Epoch(args.epoch))),
        position: args.position,
        note: args.note,
        attributes: args::attributes(&Attributes::default(), &args.attribute, &[])?,
    };
    let command = Command::ReportInstance {
        service: args.place.service.clone(),
        member: Member {
            node: node.id,
            incarnation: args.incarnation.map_or(node.incarnation, Incarnation),
        },
        expected: args.expected.map(Revision),
        report,
    };
    let what = format!(
        "{} on {} is {}",
        args.place.service,
        node.name,
        Health::from(args.health)
    );
    let done = cluster.execute(command).await?;
    context.done(&what, done)
}

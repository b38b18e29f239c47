//! `ack`: an operator has taken note of a failover.

use super::{Context, find_service};
use crate::exit::{Exit, Failure};
use clap::Args;
use serde::Serialize;
use tenure_core::{
    Command, Epoch, Receipt, RecordKind, ServiceName, limits::RECEIPTS_PER_SERVICE_MAX,
};

/// Of which service.
#[derive(Debug, Args)]
#[command(after_help = "\
After a failover automatic ones of the service are held for its anti-flap window, or until this is done.
`tenure receipts SERVICE` shows what is to be taken note of.

Example:
  tenure ack redis-server")]
pub struct AckArgs {
    /// Its name
    service: ServiceName,
    /// Failovers up to this epoch; all that there were when left out
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
}

/// What `ack --json` prints.
#[derive(Serialize)]
struct AckShape {
    what: String,
    /// The epochs that the failovers began; none when there was nothing to take note of.
    epochs: Vec<u64>,
    /// The revision after it; null when nothing was changed.
    revision: Option<u64>,
}

pub(super) async fn run(args: AckArgs, context: &Context) -> Result<Exit, Failure> {
    let AckArgs { service, epoch } = args;
    let cluster = context.cluster().await?;
    let state = cluster
        .state(&[RecordKind::Service], std::slice::from_ref(&service))
        .await?;
    find_service(&state, &service)?;
    let limit = u32::try_from(RECEIPTS_PER_SERVICE_MAX).unwrap_or(u32::MAX);
    let receipts = cluster.receipts(Some(&service), limit).await?;
    let epochs = unacknowledged(&receipts, epoch.map_or(Epoch(u64::MAX), Epoch));
    let commands = epochs.iter().map(|epoch| Command::Acknowledge {
        service: service.clone(),
        epoch: *epoch,
    });
    let done = match epochs.len() {
        0 => None,
        _ => Some(cluster.execute(Command::Batch(commands.collect())).await?),
    };
    let shape = AckShape {
        what: wording(&service, &epochs),
        epochs: epochs.iter().map(|epoch| epoch.0).collect(),
        revision: done.map(|done| done.revision.0),
    };
    context.out.show(&shape, || shape.what.clone())?;
    Ok(Exit::Ok)
}

/// The epochs of the failovers that nobody has taken note of, oldest first.
fn unacknowledged(receipts: &[Receipt], up_to: Epoch) -> Vec<Epoch> {
    let open = receipts.iter().filter(|receipt| {
        receipt.account.cause.is_failover() && !receipt.acknowledged && receipt.epoch <= up_to
    });
    let mut epochs: Vec<Epoch> = open.map(|receipt| receipt.epoch).collect();
    epochs.sort_unstable();
    epochs
}

fn wording(service: &ServiceName, epochs: &[Epoch]) -> String {
    let names: Vec<String> = epochs.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => format!("{service}: no failover is left to be acknowledged"),
        [one] => format!("{service}: failover to epoch {one} acknowledged"),
        many => format!(
            "{service}: failovers to epochs {} acknowledged",
            many.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::receipts::wording::tests::failover, *};
    use tenure_core::Cause;

    #[test]
    fn only_failovers_that_nobody_has_noted_are_left() {
        let at = |epoch| Receipt {
            epoch: Epoch(epoch),
            ..failover()
        };
        let mut switchover = at(7);
        switchover.account.cause = Cause::Switchover;
        let noted = Receipt {
            acknowledged: true,
            ..at(4)
        };
        let receipts = [at(8), switchover, at(6), noted, at(3)];
        let all = unacknowledged(&receipts, Epoch(u64::MAX));
        assert_eq!(all, [Epoch(3), Epoch(6), Epoch(8)]);
        assert_eq!(unacknowledged(&receipts, Epoch(6)), [Epoch(3), Epoch(6)]);
        let service = ServiceName::new("redis-server").unwrap();
        let told = wording(&service, &all);
        assert_eq!(
            told,
            "redis-server: failovers to epochs 3, 6, 8 acknowledged"
        );
    }
}

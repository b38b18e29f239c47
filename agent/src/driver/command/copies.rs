//! Copies of items, by the operator's program.

use std::path::Path;
use std::sync::Arc;

use tenure_core::{CopyOrder, Held, OrderKind};

use super::super::{Custodian, Doing, DriverError, Room};
use super::Program;
use super::answer::Answer;

/// The program, as one that has copies fetched, dropped and verified.
pub(super) struct Copies(pub(super) Arc<Program>);

fn verb(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Fetch => "fetch",
        OrderKind::Drop => "drop",
        OrderKind::Verify => "verify",
    }
}

fn facts(order: &CopyOrder) -> Vec<(&'static str, String)> {
    let checksum = order.checksum.map(|it| it.to_string());
    let mut facts = vec![
        ("TENURE_ITEM", order.item.to_string()),
        ("TENURE_VERSION", order.version.to_string()),
        ("TENURE_CHECKSUM", checksum.unwrap_or_default()),
        ("TENURE_SIZE", order.size.to_string()),
    ];
    if let Some(from) = &order.from {
        facts.push(("TENURE_FROM", from.endpoint.to_string()));
    }
    facts
}

impl Copies {
    async fn done(&self, order: CopyOrder) -> Result<Option<Held>, DriverError> {
        let answer = self.0.ask(verb(order.kind), facts(&order)).await?;
        answer.held(order.version, order.size)
    }

    async fn look(&self) -> Result<Room, DriverError> {
        let answer = self.0.ask("room", Vec::new()).await?;
        room(&answer)
    }
}

/// What is answered, with the room on the disk of a folder that is named.
fn room(answer: &Answer) -> Result<Room, DriverError> {
    let room = answer.room()?;
    let (Some(folder), None) = (answer.folder(), room.bytes) else {
        return Ok(room);
    };
    let disk = rustix::fs::statvfs(Path::new(folder)).map_err(|why| DriverError::Local {
        what: format!("the room on the disk of {folder} cannot be told"),
        why: why.to_string(),
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Room {
        bytes: Some((bytes(disk.f_bavail), bytes(disk.f_blocks))),
        ..room
    })
}

impl Custodian for Copies {
    fn carry_out(&self, order: CopyOrder) -> Doing<'_, Result<Option<Held>, DriverError>> {
        Box::pin(self.done(order))
    }

    fn room(&self) -> Doing<'_, Result<Room, DriverError>> {
        Box::pin(self.look())
    }
}

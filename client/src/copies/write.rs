//! What writers do: make items known, report what writes reached, let items go.

use super::{Copies, ItemRefusal, Locations, PlaceItem, wire};
use crate::{Error, Header, call, servers::Server};
use std::sync::Arc;
use tenure_core::copies::{Accepted, ItemName, Reported};
use tenure_proto::v1;

impl Copies {
    /// Makes items known, and says which nodes are to have them. One that is known already is answered as it is.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when no answer came; to do it again is harmless. [`Error::Invalid`] when the items are
    /// too many. After all others nothing happened, and [`Error::is_retryable`] says whether a retry may help.
    pub async fn place(&self, items: &[PlaceItem]) -> Result<Locations, Error> {
        let item = |item: &PlaceItem| v1::place_items_request::Item {
            name: item.name.as_str().to_owned(),
            copies: item.copies.map_or(0, u32::from),
        };
        let request = v1::PlaceItemsRequest {
            service: self.name(),
            items: items.iter().map(item).collect(),
            actor: self.actor(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().place(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        let answer = answer.map_err(|failure| failure.error)?.into_inner();
        let placed: Result<Vec<_>, Error> = answer.items.into_iter().map(wire::located).collect();
        Ok(Locations {
            header: Header::from_wire(answer.header)?,
            items: same_number(placed?, items.len())?,
            holders: wire::holders(answer.holders),
        })
    }

    /// Reports what writes reached, and which nodes caught up with what was written. The answers are in the order of the
    /// reports.
    ///
    /// # Errors
    /// As for [`Copies::place`]: the same report again is harmless.
    pub async fn report(
        &self,
        items: &[Reported],
    ) -> Result<Vec<Result<Accepted, ItemRefusal>>, Error> {
        let request = v1::ReportCopiesRequest {
            service: self.name(),
            items: items.iter().map(reported).collect(),
            actor: self.actor(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().report(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        let answer = answer.map_err(|failure| failure.error)?.into_inner();
        let results = answer.items.into_iter().map(accepted).collect();
        same_number(results, items.len())
    }

    /// Forgets items that are at these versions; their nodes are told to delete them. The answers are in the order of the
    /// items.
    ///
    /// # Errors
    /// As for [`Copies::place`]. When it is done again, an item that went the first time is refused as not known.
    pub async fn remove(
        &self,
        items: &[(ItemName, u64)],
    ) -> Result<Vec<Result<(), ItemRefusal>>, Error> {
        let item = |(name, version): &(ItemName, u64)| v1::remove_items_request::Item {
            name: name.as_str().to_owned(),
            version: *version,
        };
        let request = v1::RemoveItemsRequest {
            service: self.name(),
            items: items.iter().map(item).collect(),
            actor: self.actor(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().remove(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        let answer = answer.map_err(|failure| failure.error)?.into_inner();
        let result = |wire: v1::remove_items_response::Result| match wire.refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        };
        same_number(answer.items.into_iter().map(result).collect(), items.len())
    }
}

fn reported(report: &Reported) -> v1::ReportedItem {
    let checksum = report.checksum.as_ref();
    v1::ReportedItem {
        name: report.item.as_str().to_owned(),
        replaces: report.replaces,
        version: report.version,
        checksum: checksum
            .map_or_else(Vec::new, |it| it.as_bytes().to_vec())
            .into(),
        size: report.size,
        holders: report.holders.iter().map(|node| node.0).collect(),
    }
}

fn accepted(wire: v1::report_copies_response::Result) -> Result<Accepted, ItemRefusal> {
    match wire.refusal {
        Some(refusal) => Err(refusal.into()),
        None => Ok(Accepted {
            usable: u8::try_from(wire.usable).unwrap_or(u8::MAX),
            missing: u8::try_from(wire.missing).unwrap_or(u8::MAX),
        }),
    }
}

/// Each item is answered at its place.
pub(super) fn same_number<T>(answers: Vec<T>, asked: usize) -> Result<Vec<T>, Error> {
    let answered = answers.len();
    if answered == asked {
        return Ok(answers);
    }
    Err(Error::unreadable(format!(
        "{asked} items were asked about, {answered} were answered"
    )))
}

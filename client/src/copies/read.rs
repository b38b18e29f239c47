//! Where items are, and all that is known of them.

use super::{Copies, Items, Locations, wire, write::same_number};
use crate::{Consistency, Error, Header, call, discovery::read_plan, servers::Server};
use std::sync::Arc;
use tenure_core::{Zone, copies::ItemName};
use tenure_proto::v1;

impl Copies {
    /// Where to read items and where to write them. Copies in the reader's zone are named first, then those whose nodes
    /// are the least busy.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such service, with `TooStale` when no server is fresh enough;
    /// [`Error::Invalid`] when the items are too many. A retry is always safe.
    pub async fn locate(
        &self,
        items: &[ItemName],
        zone: Option<&Zone>,
        consistency: Consistency,
    ) -> Result<Locations, Error> {
        let request = v1::LocateRequest {
            service: self.name(),
            items: items.iter().map(|it| it.as_str().to_owned()).collect(),
            zone: zone.map_or_else(String::new, |zone| zone.as_str().to_owned()),
            consistency: consistency.to_wire(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().locate(request).await }
        };
        let plan = read_plan(&self.shared, consistency);
        let answer = call::call(&self.shared, &plan, send).await;
        let answer = answer.map_err(|failure| failure.error)?.into_inner();
        let found: Result<Vec<_>, Error> = answer.items.into_iter().map(wire::located).collect();
        Ok(Locations {
            header: Header::from_wire(answer.header)?,
            items: same_number(found?, items.len())?,
            holders: wire::holders(answer.holders),
        })
    }

    /// These items with all of their copies, in this order. Those that do not exist are left out.
    ///
    /// # Errors
    /// As for [`Copies::locate`].
    pub async fn items(
        &self,
        names: &[ItemName],
        consistency: Consistency,
    ) -> Result<Items, Error> {
        let names = names.iter().map(|it| it.as_str().to_owned()).collect();
        let request = v1::ListItemsRequest {
            names,
            ..self.to_list(consistency)
        };
        self.list_items(request, consistency).await
    }

    /// Items with all of their copies by name, after this one, at most so many (0 for 100).
    ///
    /// # Errors
    /// As for [`Copies::locate`].
    pub async fn list(
        &self,
        after: Option<&ItemName>,
        limit: u32,
        consistency: Consistency,
    ) -> Result<Items, Error> {
        let request = v1::ListItemsRequest {
            after: after.map_or_else(String::new, |it| it.as_str().to_owned()),
            limit,
            ..self.to_list(consistency)
        };
        self.list_items(request, consistency).await
    }

    /// Items with fewer fresh copies that count than are wanted, the most endangered first, at most so many (0 for 100).
    ///
    /// # Errors
    /// As for [`Copies::locate`].
    pub async fn under_replicated(
        &self,
        limit: u32,
        consistency: Consistency,
    ) -> Result<Items, Error> {
        let request = v1::ListItemsRequest {
            under_replicated: true,
            limit,
            ..self.to_list(consistency)
        };
        self.list_items(request, consistency).await
    }

    fn to_list(&self, consistency: Consistency) -> v1::ListItemsRequest {
        v1::ListItemsRequest {
            service: self.name(),
            consistency: consistency.to_wire(),
            ..v1::ListItemsRequest::default()
        }
    }

    async fn list_items(
        &self,
        request: v1::ListItemsRequest,
        consistency: Consistency,
    ) -> Result<Items, Error> {
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().list(request).await }
        };
        let plan = read_plan(&self.shared, consistency);
        let answer = call::call(&self.shared, &plan, send).await;
        let answer = answer.map_err(|failure| failure.error)?.into_inner();
        let items: Result<Vec<_>, Error> = answer.items.into_iter().map(wire::item).collect();
        Ok(Items {
            header: Header::from_wire(answer.header)?,
            items: items?,
            more: answer.more,
            holders: wire::holders(answer.holders),
        })
    }
}

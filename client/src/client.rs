//! The client itself: a handle that is cheap to clone.

use crate::{
    Admin, Balance, BalanceOptions, Copies, Discovery, Error, Follow, Options, ServerAddress,
    Watch, servers::Server, shared::Shared,
};
use futures::{StreamExt, stream::FuturesUnordered};
use std::sync::Arc;
use tenure_core::{Endpoint, Filter, ServiceName};

/// A client of one cluster. Clones share everything.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("servers", &self.servers())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a cluster by the endpoints (`HOST:PORT`) of one or more of its servers, and learns
    /// the others from those. More than one lets a program start while a server is down.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, or when one of them or an option is wrong;
    /// [`Error::Unreachable`] when none of them answers within the deadline; a retry is safe.
    pub async fn connect(
        endpoints: impl IntoIterator<Item = String>,
        options: Options,
    ) -> Result<Self, Error> {
        let client = Self::new(endpoints, options)?;
        reach(&client.shared).await?;
        Ok(client)
    }

    /// A client of the cluster at these endpoints (`HOST:PORT`), whether one of its servers answers yet
    /// or not: for a program that has to start without them. Must be called within a runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, or when one of them or an option is wrong.
    pub fn new(
        endpoints: impl IntoIterator<Item = String>,
        options: Options,
    ) -> Result<Self, Error> {
        options.check()?;
        let parsed: Result<Vec<Endpoint>, Error> = endpoints.into_iter().map(parse).collect();
        let parsed = parsed?;
        if parsed.is_empty() {
            return Err(Error::Invalid(
                "name at least one endpoint, HOST:PORT".to_owned(),
            ));
        }
        let shared = Arc::new(Shared::new(&parsed, options)?);
        Ok(Self { shared })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Reads: services, their instances, who is primary.
    #[must_use]
    pub fn discovery(&self) -> Discovery {
        Discovery::new(self.shared.clone())
    }

    /// Changes, and what operators look at.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.shared.clone())
    }

    /// The items of a service of the kind `copies`: where they are kept, and how fresh.
    #[must_use]
    pub fn copies(&self, service: ServiceName) -> Copies {
        Copies::new(self.shared.clone(), service)
    }

    /// Watches the records that a filter wants: a snapshot, then every change. Nothing is sent before
    /// the watch is first polled.
    #[must_use]
    pub fn watch(&self, filter: &Filter) -> Watch {
        Watch::new(self.shared.clone(), filter)
    }

    /// Follows who is primary of a service. Waits until that is known once.
    ///
    /// # Errors
    /// [`Error::Deadline`] or [`Error::Unreachable`] when no server tells within the deadline; a
    /// retry is safe. A service that does not exist (yet) is no error: it has no primary.
    pub async fn follow(&self, service: ServiceName) -> Result<Follow, Error> {
        Follow::begin(self.shared.clone(), service).await
    }

    /// Spreads requests over the peers of a service. Waits until they are known once.
    ///
    /// # Errors
    /// [`Error::Invalid`] when an option is wrong; otherwise as for [`Client::follow`]. A service that
    /// does not exist (yet) is no error: it has no peers.
    pub async fn balance(
        &self,
        service: ServiceName,
        options: BalanceOptions,
    ) -> Result<Balance, Error> {
        Balance::begin(self.shared.clone(), service, options).await
    }

    /// The servers that are known, with those whose id is known.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerAddress> {
        let all = self.shared.servers.all();
        let address = |server: &Arc<Server>| {
            server.id().map(|id| ServerAddress {
                id,
                api: server.api().to_owned(),
            })
        };
        all.iter().filter_map(address).collect()
    }

    /// Who leads, as far as this client knows. None until a call had to know.
    #[must_use]
    pub fn leader(&self) -> Option<ServerAddress> {
        let leader = self.shared.servers.leader()?;
        Some(ServerAddress {
            id: leader.id()?,
            api: leader.api().to_owned(),
        })
    }

    /// Tells the cluster that this client and its clones make no more changes, so that it forgets
    /// their registration at once. Without it the registration is dropped when there are too many.
    ///
    /// # Errors
    /// As for any change; there is no need to retry.
    pub async fn close(self) -> Result<(), Error> {
        self.admin().close().await
    }
}

fn parse(text: String) -> Result<Endpoint, Error> {
    let bare = text.strip_prefix("http://").unwrap_or(&text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    Endpoint::new(bare).map_err(|why| Error::Invalid(format!("endpoint: {why}")))
}

/// Succeeds as soon as one server answers, whatever it says: a cluster without a leader can be
/// looked at too.
async fn reach(shared: &Arc<Shared>) -> Result<(), Error> {
    let all = shared.servers.all();
    let ask = |server: &Arc<Server>| {
        let (shared, server) = (shared.clone(), server.clone());
        async move {
            let answer = shared.refresh(&server, shared.options.deadline).await;
            (server, answer)
        }
    };
    let mut asked: FuturesUnordered<_> = all.iter().map(ask).collect();
    let mut last = String::new();
    while let Some((server, answer)) = asked.next().await {
        let Err(status) = answer else {
            return Ok(());
        };
        match crate::judge::judge(&status) {
            crate::judge::Judged::Broken { why, .. } => {
                server.avoid(false);
                last = why;
            }
            crate::judge::Judged::Final(_)
            | crate::judge::Judged::Elsewhere(..)
            | crate::judge::Judged::NotNow(_) => return Ok(()),
        }
    }
    let tried = all.iter().map(|server| server.api().to_owned()).collect();
    Err(Error::Unreachable { tried, last })
}

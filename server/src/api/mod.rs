//! The API: Discovery, Copies, Admin and Session over gRPC. Handlers parse, ask consensus or the state, and answer;
//! they decide nothing.

mod admin;
mod command;
mod copies;
mod discovery;
mod operate;
mod portion;
mod read;
pub(crate) mod refusal;
mod watch;

use crate::{consensus::Consensus, control::Control, exchange::Exchange, session};
use read::Reads;
use std::sync::Arc;
use tenure_proto::v1::{
    DESCRIPTORS, admin_server::AdminServer, copies_server::CopiesServer,
    discovery_server::DiscoveryServer, session_server::SessionServer,
};
use tonic::service::Routes;

/// Largest request that is read, in bytes: a topology of some ten thousand instances.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// The API's services, with the standard health and reflection services beside them, so that
/// generic clients work.
///
/// Starts the task that keeps this server's knowledge of its own age fresh; it ends with `consensus`.
///
/// # Errors
/// When the compiled-in descriptors cannot be read: a broken build.
pub async fn routes(
    consensus: Consensus,
    control: Control,
    exchange: Arc<Exchange>,
) -> Result<Routes, tonic_reflection::server::Error> {
    let reads = Reads::start(consensus.clone());
    let discovery = discovery::Service::new(consensus.clone(), reads.clone());
    let copies = copies::Service::new(
        consensus.clone(),
        reads.clone(),
        control.clone(),
        exchange.clone(),
    );
    let session = session::Service::new(consensus.clone(), exchange);
    let admin = admin::Service::new(consensus, control, reads);
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<DiscoveryServer<discovery::Service>>()
        .await;
    health.set_serving::<AdminServer<admin::Service>>().await;
    health.set_serving::<CopiesServer<copies::Service>>().await;
    health
        .set_serving::<SessionServer<session::Service>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(
        Routes::new(DiscoveryServer::new(discovery).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(AdminServer::new(admin).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(CopiesServer::new(copies).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(SessionServer::new(session).max_decoding_message_size(REQUEST_BYTES_MAX))
            .add_service(health_service)
            .add_service(reflection),
    )
}

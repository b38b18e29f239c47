//! `blobstore CONFIG`: one node of the store, until it is told to stop.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tenure_blobstore::config::Config;
use tenure_blobstore::files::Files;
use tenure_blobstore::node::{Node, folder_number};
use tenure_blobstore::{custody, serve, sweep};
use tenure_client::core::Endpoint;
use tenure_client::{Client, Holder, HolderOptions, Options};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!(%why, "ended");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        return Err("name the configuration: blobstore CONFIG".into());
    };
    let config = Config::load(&PathBuf::from(path))?;
    let mut stop = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = serve_items(config) => ended,
        _ = stop.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// The order matters: what the node has is known before it joins, and it is reached before it is told to anybody.
async fn serve_items(config: Config) -> Result<(), Box<dyn Error>> {
    let folder = folder_number(&config.data_dir)?;
    let files = Files::open(&config.data_dir)?;
    let (items, bytes) = files.total();
    let listener = TcpListener::bind(config.listen).await?;
    let bound = Endpoint::new(&listener.local_addr()?.to_string())?;
    let endpoint = config.advertise.unwrap_or(bound);
    tracing::info!(%endpoint, items, bytes, "opened");
    let options = Options {
        actor: format!("blobstore on {}", config.node),
        ..Options::default()
    };
    let servers = config.servers.iter().map(Endpoint::to_string);
    let client = Client::new(servers, options)?;
    let copies = client.copies(config.service.clone());
    let options = HolderOptions {
        cluster: config.cluster,
        node: config.node,
        zone: config.zone.clone(),
        weight: config.weight,
        service: config.service,
        endpoint,
        folder,
    };
    let holder = Holder::join(&client, options).await?;
    let id = holder.member().node;
    let node = Arc::new(Node::new(files, copies, id, config.zone));
    tokio::select! {
        () = serve::run(listener, node.clone()) => Ok(()),
        () = sweep::run(node.clone()) => Ok(()),
        why = custody::run(node, holder) => Err(why.into()),
    }
}

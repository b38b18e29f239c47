//! The machine's ceiling: a unary call that stores nothing, to a server in a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

use crate::error::{BenchError, CallError};
use crate::system::{VALUE_BYTES, connect};

mod wire {
    tonic::include_proto!("tenure.bench.echo");
}

use wire::EchoMessage;
use wire::echo_client::EchoClient;
use wire::echo_server::{Echo, EchoServer};

const START_BOUND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Parrot;

#[tonic::async_trait]
impl Echo for Parrot {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Serves until the process is ended.
pub async fn serve(port: u16) -> Result<(), BenchError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Server::builder()
        .add_service(EchoServer::new(Parrot))
        .serve(address)
        .await
        .map_err(|source| BenchError::Address {
            address: address.to_string(),
            source,
        })
}

/// The echo server as a child process.
#[derive(Debug)]
pub struct EchoProcess {
    process: Process,
    address: String,
}

impl EchoProcess {
    /// Starts it and waits until it accepts connections. Its output goes to a file in `dir`.
    pub async fn start(dir: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(|source| BenchError::Io {
            what: "find the program of",
            path: "versus-etcd".into(),
            source,
        })?;
        let port = free_ports(1)?[0];
        let args = vec!["echo-server".to_owned(), format!("--port={port}")];
        let mut process = Process::new("echo server", &program, args, dir.join("echo.log"));
        process.start()?;
        let mut echo = Self {
            process,
            address: format!("http://127.0.0.1:{port}"),
        };
        echo.accepts_connections().await?;
        Ok(echo)
    }

    async fn accepts_connections(&mut self) -> Result<(), BenchError> {
        let deadline = Instant::now() + START_BOUND;
        loop {
            self.process.check()?;
            match self.connect().await {
                Ok(_connection) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(BenchError::TooLate {
                        what: "the start of the echo server".to_owned(),
                        bound: START_BOUND,
                        last: error.to_string(),
                    });
                }
                Err(_not_yet) => tokio::time::sleep(POLL).await,
            }
        }
    }

    pub async fn connect(&self) -> Result<EchoConnection, BenchError> {
        let channel = connect(&self.address).await?;
        Ok(EchoConnection {
            client: EchoClient::new(channel),
            payload: Bytes::from_static(&[b'.'; VALUE_BYTES]),
        })
    }

    pub async fn stop(mut self) -> Result<(), BenchError> {
        self.process.terminate()?;
        Ok(self.process.finish().await?)
    }
}

/// One connection to the echo server. Clones share it.
#[derive(Clone, Debug)]
pub struct EchoConnection {
    client: EchoClient<Channel>,
    payload: Bytes,
}

impl EchoConnection {
    pub async fn echo(&mut self) -> Result<(), CallError> {
        let message = EchoMessage {
            payload: self.payload.clone(),
        };
        let answer = self.client.echo(message).await?.into_inner();
        match answer.payload.len() {
            VALUE_BYTES => Ok(()),
            got => Err(CallError::WrongValue {
                got,
                wanted: VALUE_BYTES,
            }),
        }
    }
}

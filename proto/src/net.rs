//! How connections are accepted and opened: over TCP, or over the network that a simulation of the whole system put in
//! its place. What comes after the connection is the same code for both.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::{Service, http::Uri};
use tonic::transport::{Channel, Endpoint, Error};

mod connection;

pub use connection::Connection;

/// A connection of a simulated network.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The connections that came in at an address.
pub type Accepted = Pin<Box<dyn Stream<Item = io::Result<Box<dyn Wire>>> + Send>>;

/// A network that takes the place of TCP in this process.
pub trait Network: Send + Sync {
    /// Listens at an address; port 0 takes a free one. Gives where it listens.
    fn listen(&self, at: SocketAddr) -> Later<(SocketAddr, Accepted)>;
    /// Opens a connection to `HOST:PORT`.
    fn open(&self, to: &str) -> Later<Box<dyn Wire>>;
}

static SIMULATED: OnceLock<Box<dyn Network>> = OnceLock::new();

/// Replaces TCP by another network, for all of this process and for good: for simulations, which must do so before
/// anything is listened at or connected to. Gives false when that was done before, and changes nothing then.
pub fn simulate(network: Box<dyn Network>) -> bool {
    SIMULATED.set(network).is_ok()
}

/// Whether this process is a simulation. All that it runs must stay on the runtime that it was started on then: only
/// there the simulated time goes on, and nothing else may be waited for.
#[must_use]
pub fn is_simulated() -> bool {
    SIMULATED.get().is_some()
}

/// Opens a connection.
///
/// # Errors
/// What [`Endpoint::connect`] says; a retry is safe.
pub async fn connect(to: &Endpoint) -> Result<Channel, Error> {
    match SIMULATED.get() {
        None => to.connect().await,
        Some(network) => to.connect_with_connector(Open(&**network)).await,
    }
}

/// Gives a channel that connects when it is first used, and again whenever the connection broke. Must be called within
/// a runtime.
#[must_use]
pub fn connect_lazy(to: &Endpoint) -> Channel {
    match SIMULATED.get() {
        None => to.connect_lazy(),
        Some(network) => to.connect_with_connector_lazy(Open(&**network)),
    }
}

/// Opens connections of a simulated network, as tonic wants it.
struct Open(&'static dyn Network);

impl Service<Uri> for Open {
    type Response = TokioIo<Box<dyn Wire>>;
    type Error = io::Error;
    type Future = Later<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let opening = self.0.open(to.authority().map_or("", |to| to.as_str()));
        Box::pin(async move { Ok(TokioIo::new(opening.await?)) })
    }
}

/// Listens at an address.
pub struct Listener(Kind);

enum Kind {
    Tcp(TcpListener),
    Simulated(SocketAddr, Accepted),
}

impl Listener {
    /// Listens at an address; port 0 takes a free one. Must be called within a runtime.
    ///
    /// # Errors
    /// What the system says when the address cannot be listened at; a retry helps when another process holds it and goes.
    pub async fn bind(at: SocketAddr) -> io::Result<Self> {
        match SIMULATED.get() {
            None => Ok(Self(Kind::Tcp(TcpListener::bind(at).await?))),
            Some(network) => {
                let (at, accepted) = network.listen(at).await?;
                Ok(Self(Kind::Simulated(at, accepted)))
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says; it is never seen to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr(),
            Kind::Simulated(at, _) => Ok(*at),
        }
    }

    /// Moves it to the runtime that this is called on.
    ///
    /// # Errors
    /// What the system says when it does not let go of it.
    pub fn adopt(self) -> io::Result<Self> {
        match self.0 {
            Kind::Tcp(listener) => {
                let listener = TcpListener::from_std(listener.into_std()?)?;
                Ok(Self(Kind::Tcp(listener)))
            }
            Kind::Simulated(..) => Ok(self),
        }
    }

    /// The connections that come in.
    #[must_use]
    pub fn incoming(self) -> Incoming {
        Incoming(match self.0 {
            Kind::Tcp(listener) => Source::Tcp(TcpListenerStream::new(listener)),
            Kind::Simulated(_, accepted) => Source::Simulated(accepted),
        })
    }
}

/// Connections as they come in.
pub struct Incoming(Source);

enum Source {
    Tcp(TcpListenerStream),
    Simulated(Accepted),
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.get_mut().0 {
            Source::Tcp(accepted) => Pin::new(accepted)
                .poll_next(cx)
                .map(|next| next.map(|accepted| accepted.map(Connection::from_tcp))),
            Source::Simulated(accepted) => accepted
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|accepted| accepted.map(Connection::from_simulated))),
        }
    }
}

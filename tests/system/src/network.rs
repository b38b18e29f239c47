//! The simulated network in place of TCP, and the trace of what is sent over it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream;
use tenure_proto::net::{Accepted, Network, Wire};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::kernel;

thread_local! {
    static DIGEST: Cell<u64> = const { Cell::new(0xcbf2_9ce4_8422_2325) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// A number for everything that was sent on this thread, by whom it was sent, and when; two runs that sent the same have
/// the same. Beside it, how many bytes were sent.
pub fn trace() -> (u64, u64) {
    (DIGEST.get(), BYTES.get())
}

/// Takes note of something that happened.
pub fn note(what: &[u8]) {
    let time = kernel::elapsed().unwrap_or_default().as_nanos() as u64;
    let mut digest = DIGEST.get();
    for byte in time.to_le_bytes().iter().chain(what) {
        digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    DIGEST.set(digest);
}

/// The network that turmoil simulates.
pub struct Simulated;

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Network for Simulated {
    fn listen(&self, at: SocketAddr) -> Later<(SocketAddr, Accepted)> {
        Box::pin(async move {
            let listener = TcpListener::bind(at).await?;
            let at = listener.local_addr()?;
            let accepted = stream::unfold(listener, |listener| async move {
                let accepted = listener.accept().await;
                let wire = accepted.map(|(stream, _)| Box::new(Traced(stream)) as Box<dyn Wire>);
                Some((wire, listener))
            });
            Ok((at, Box::pin(accepted) as Accepted))
        })
    }

    fn open(&self, to: &str) -> Later<Box<dyn Wire>> {
        let to = to.to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect(to.as_str()).await?;
            Ok(Box::new(Traced(stream)) as Box<dyn Wire>)
        })
    }
}

/// A connection whose bytes are noted.
struct Traced(TcpStream);

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            BYTES.set(BYTES.get() + count as u64);
            note(&bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

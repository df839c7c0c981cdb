//! Connections that do not wait for ever: whoever takes nothing of what is written to it for a while is cut off. There are
//! no more of them than the server is told.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::Layer;

/// Bytes that wait in the kernel to be sent: the rest waits here, where it is shared.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Takes connections, and cuts them off where they stall.
#[derive(Clone)]
pub struct Patient {
    stall: Duration,
    places: Arc<Semaphore>,
}

/// One of its connections.
pub struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// What a request may know of its connection.
#[derive(Clone, Default)]
pub struct Peer(Arc<AtomicBool>);

impl Peer {
    /// Whether it was cut off because it took nothing.
    pub fn has_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Patient {
    /// So many connections at once, each of which may take nothing for `stall` at most.
    pub fn new(stall: Duration, connections: usize) -> Self {
        Self { stall, places: Arc::new(Semaphore::new(connections)) }
    }

    fn connection(&self, stream: TcpStream) -> io::Result<Connection> {
        let full = |_| io::Error::other("there are as many connections as the server may have");
        let place = self.places.clone().try_acquire_owned().map_err(full)?;
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(error = %error, "connection.unsent_unbounded");
        }
        // A response goes out at once: nothing more is to come that could be sent with it.
        stream.set_nodelay(true)?;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.stall));
        Ok(Connection { stream: Box::pin(stream), peer: Peer::default(), _place: place })
    }
}

impl<S> Accept<TcpStream, S> for Patient {
    type Stream = Connection;
    type Service = AddExtension<S, ConnectInfo<Peer>>;
    type Future = Ready<io::Result<(Connection, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.connection(stream).map(|connection| {
            let service = Extension(ConnectInfo(connection.peer.clone())).layer(service);
            (connection, service)
        }))
    }
}

impl Connection {
    fn watched<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &written
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.peer.0.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write(cx, bytes);
        self.watched(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write_vectored(cx, bytes);
        self.watched(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

//! A proxy before Postgres that cuts a connection at a chosen moment of an append.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use xagent_tests::PATIENCE;

use crate::wire::{Call, Incoming, Message, Prepared};

/// At which moment the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the request reaches the server.
    Request,
    /// When half of the request has reached the server.
    HalfRequest,
    /// While the server works.
    Work,
    /// When the server has answered, which it does after it has committed.
    Answer,
    /// Before the request reaches the server, where it yet arrives later, and nobody hears the answer.
    Late,
}

/// A cut that is to come.
struct Armed {
    cut: Cut,
    call: Call,
    /// Told when a call was let through; the next one is cut then.
    spares: Option<oneshot::Sender<()>>,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
    answered: oneshot::Sender<Option<bool>>,
}

/// A cut that is to come, from its maker's side.
pub struct Cutting {
    spared: oneshot::Receiver<()>,
    reached: oneshot::Receiver<()>,
    go: Option<oneshot::Sender<()>>,
    answered: oneshot::Receiver<Option<bool>>,
}

#[derive(Clone)]
pub struct Proxy {
    url: String,
    armed: Arc<Mutex<Option<Armed>>>,
}

struct Side {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

/// The server's side of a connection, and what it still owes the client.
struct Server {
    from: Incoming,
    to: OwnedWriteHalf,
    /// How often it will say that it is ready again: once after the connection is made, and once per request.
    owed: usize,
}

impl Proxy {
    /// Before the Postgres at `url`.
    pub async fn start(url: &str) -> Self {
        let (before, database) = url.rsplit_once('/').unwrap();
        let (credentials, server) = before.rsplit_once('@').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{credentials}@{}/{database}?sslmode=disable", listener.local_addr().unwrap());
        let (proxy, server) = (Self { url, armed: Arc::default() }, server.to_owned());
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxy, server) = (accepting.clone(), server.clone());
                // A connection that breaks is what this is for.
                tokio::spawn(async move { proxy.serve(client, &server).await.unwrap_or_default() });
            }
        });
        proxy
    }

    /// The way to the database through it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the connection that next makes this call.
    pub fn cut(&self, cut: Cut, call: Call) -> Cutting {
        self.arm(cut, call, false)
    }

    /// Cuts the connection that makes this call for the second time.
    pub fn cut_second(&self, cut: Cut, call: Call) -> Cutting {
        self.arm(cut, call, true)
    }

    fn arm(&self, cut: Cut, call: Call, spare: bool) -> Cutting {
        let (spares, spared) = oneshot::channel();
        let spares = Some(spares).filter(|_| spare);
        let ((reached, reaches), (go, goes), (answered, answers)) =
            (oneshot::channel(), oneshot::channel(), oneshot::channel());
        let armed = Armed { cut, call, spares, reached, go: goes, answered };
        assert!(self.armed.lock().unwrap().replace(armed).is_none(), "one cut at a time");
        Cutting { spared, reached: reaches, go: Some(go), answered: answers }
    }

    fn armed_for(&self, call: Call) -> Option<Armed> {
        let mut armed = self.armed.lock().unwrap();
        match armed.as_mut().filter(|armed| armed.call == call)?.spares.take() {
            Some(spares) => {
                spares.send(()).unwrap_or_default();
                None
            }
            None => armed.take(),
        }
    }

    async fn serve(&self, client: TcpStream, server: &str) -> io::Result<()> {
        let (mut client, server) = (Side::of(client)?, Side::of(TcpStream::connect(server).await?)?);
        let mut server = Server { from: Incoming::of(server.from), to: server.to, owed: 1 };
        server.to.write_all(&Message::read_first(&mut client.from).await?).await?;
        let (mut prepared, mut asked) = (Prepared::default(), Incoming::of(client.from));
        loop {
            let message = tokio::select! {
                message = asked.next() => message?,
                answer = server.from.next() => {
                    server.pass_on(&answer?, &mut client.to).await?;
                    continue;
                }
            };
            let Some(armed) = prepared.hear(&message).and_then(|call| self.armed_for(call)) else {
                server.owed += usize::from(message.asks());
                server.to.write_all(&message.bytes).await?;
                continue;
            };
            let request = asked.rest_of(message).await?;
            match armed.cut {
                Cut::Answer => {
                    server.to.write_all(&request).await?;
                    server.settle(&mut client.to).await?;
                    let (answer, done) = server.answer().await?;
                    if done == Some(true) || armed.call == Call::Ask {
                        return armed.happen(done).await;
                    }
                    // It was refused, so that there was nothing to lose: the next one then.
                    self.armed.lock().unwrap().replace(armed);
                    client.to.write_all(&answer).await?;
                }
                Cut::Request => return armed.happen(None).await,
                Cut::HalfRequest => {
                    server.to.write_all(&request[..request.len() / 2]).await?;
                    return armed.happen(None).await;
                }
                Cut::Work | Cut::Late => return armed.outlive((asked, client.to), server, &request).await,
            }
        }
    }
}

impl Armed {
    /// It has come to the cut; the sockets close when this returns.
    async fn happen(self, done: Option<bool>) -> io::Result<()> {
        self.reached.send(()).unwrap_or_default();
        // Its maker may let go of it without a word.
        self.go.await.unwrap_or_default();
        self.answered.send(done).unwrap_or_default();
        Ok(())
    }

    /// The client is cut off, and the server gets the request all the same, at once or when it may.
    async fn outlive(self, client: (Incoming, OwnedWriteHalf), mut server: Server, request: &[u8]) -> io::Result<()> {
        if self.cut == Cut::Work {
            server.to.write_all(request).await?;
        }
        if self.cut == Cut::Late {
            drop(client);
            self.reached.send(()).unwrap_or_default();
            self.go.await.unwrap_or_default();
            server.to.write_all(request).await?;
        } else {
            self.reached.send(()).unwrap_or_default();
            self.go.await.unwrap_or_default();
            drop(client);
        }
        let done = server.last_answer().await.ok().and_then(|(_, done)| done);
        self.answered.send(done).unwrap_or_default();
        Ok(())
    }
}

impl Side {
    fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        Ok(Self { from: BufReader::new(from), to })
    }
}

impl Server {
    async fn pass_on(&mut self, answer: &Message, to: &mut OwnedWriteHalf) -> io::Result<()> {
        self.owed -= usize::from(answer.is_ready());
        to.write_all(&answer.bytes).await
    }

    /// Passes on what it owes.
    async fn settle(&mut self, to: &mut OwnedWriteHalf) -> io::Result<()> {
        while self.owed > 0 {
            let answer = self.from.next().await?;
            self.pass_on(&answer, to).await?;
        }
        Ok(())
    }

    /// Its answer to what it was asked after all that it owes.
    async fn last_answer(&mut self) -> io::Result<(Vec<u8>, Option<bool>)> {
        for _ in 0..self.owed {
            self.answer().await?;
        }
        self.answer().await
    }

    /// Its next answer, up to where it is ready again, and whether it says that a batch is in.
    async fn answer(&mut self) -> io::Result<(Vec<u8>, Option<bool>)> {
        let (mut answer, mut done) = (Vec::new(), None);
        loop {
            let message = self.from.next().await?;
            done = message.says_done().or(done);
            answer.extend(&message.bytes);
            if message.is_ready() {
                return Ok((answer, done));
            }
        }
    }
}

impl Cutting {
    /// Waits until the first call was let through.
    pub async fn spared(&mut self) {
        tokio::time::timeout(PATIENCE, &mut self.spared).await.unwrap().unwrap();
    }

    /// Waits until it has come to the cut.
    pub async fn reached(&mut self) {
        tokio::time::timeout(PATIENCE, &mut self.reached).await.unwrap().unwrap();
    }

    /// Lets it go on.
    pub fn let_go(&mut self) {
        drop(self.go.take());
    }

    /// Lets it go on; what the server answered, where it was asked: whether the batch is in.
    pub async fn go(mut self) -> Option<bool> {
        self.let_go();
        tokio::time::timeout(PATIENCE, self.answered).await.unwrap().unwrap_or_default()
    }
}

//! A proxy that lets bytes pass as it is told: late, in small pieces, not at all, or up to a point where it hangs up.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::pass;

/// What becomes of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Pass,
    /// Each piece comes so much later.
    Late(Duration),
    /// So many bytes at a time, and a millisecond between them.
    Trickle(usize),
    /// It is swallowed, and the connection stands.
    Lost,
    /// After so many more bytes the connection ends: orderly, or by a reset.
    Ends {
        after: u64,
        by_reset: bool,
    },
}

/// The way to the server and the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    pub up: Way,
    pub down: Way,
}

pub const OPEN: Ways = Ways { up: Way::Pass, down: Way::Pass };

pub struct Proxy {
    pub at: String,
    /// For connections that stand.
    ways: Arc<watch::Sender<Ways>>,
    /// For those to come.
    next: Arc<watch::Sender<Ways>>,
}

impl Proxy {
    pub async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let (ways, next) = (Arc::new(watch::Sender::new(OPEN)), Arc::new(watch::Sender::new(OPEN)));
        let (server, now, coming) = (server.parse().unwrap(), Arc::clone(&ways), Arc::clone(&next));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                now.send_replace(*coming.borrow());
                tokio::spawn(carry(client, server, now.subscribe()));
            }
        });
        Self { at, ways, next }
    }

    /// From now on it is so, for connections that stand and for those to come.
    pub fn is(&self, ways: Ways) {
        self.next.send_replace(ways);
        self.ways.send_replace(ways);
    }

    /// So for connections that stand; those to come are open.
    pub fn was(&self, ways: Ways) {
        self.next.send_replace(OPEN);
        self.ways.send_replace(ways);
    }
}

async fn carry(client: TcpStream, server: SocketAddr, ways: watch::Receiver<Ways>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = pin!(one_way(from_client, to_server, ways.clone(), |ways| ways.up));
    let down = pin!(one_way(from_server, to_client, ways, |ways| ways.down));
    // The first end is the end of both: the sockets go with the halves.
    select(up, down).await;
}

/// Carries bytes to an end; a reset is made ready, for when the sockets go.
async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut ways: watch::Receiver<Ways>,
    mine: fn(&Ways) -> Way,
) {
    let mut room = vec![0; 32 * 1024];
    let mut passed = 0;
    let by_reset = loop {
        if ways.has_changed().unwrap_or(false) {
            ways.borrow_and_update();
            passed = 0;
        }
        let Ok(n @ 1..) = from.read(&mut room).await else { break false };
        let way = mine(&ways.borrow());
        let piece = match way {
            Way::Lost => continue,
            Way::Late(late) => {
                pass(late).await;
                n
            }
            Way::Trickle(size) => size,
            Way::Pass | Way::Ends { .. } => n,
        };
        let allowed = match way {
            Way::Ends { after, .. } => usize::try_from(after.saturating_sub(passed)).unwrap_or(n).min(n),
            _ => n,
        };
        let still = || mine(&ways.borrow()) == way;
        for chunk in room[..allowed].chunks(piece) {
            if to.write_all(chunk).await.is_err() {
                break;
            }
            // What is left of a piece does not trickle on when that is over.
            if matches!(way, Way::Trickle(_)) && still() {
                pass(Duration::from_millis(1)).await;
            }
        }
        passed += allowed as u64;
        // What the way was while a piece was on it does not end a connection that is a good one by now.
        if let Way::Ends { after, by_reset } = way
            && passed >= after
            && still()
        {
            break by_reset;
        }
    };
    if by_reset {
        for socket in [from.as_ref(), to.as_ref()] {
            let _gone = socket.set_zero_linger();
        }
    }
}

//! A server as a process of its own, and a client that writes HTTP/1.1 by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cli::lab::{Lab, Ran};

/// Longer than anything here takes on a slow machine; a test that reaches it has hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: Receiver<String>,
    /// What was read of its log.
    pub said: Vec<String>,
    /// Where it listens, in the order of its arguments.
    pub at: Vec<String>,
}

impl Server {
    /// Starts one with these arguments; returns when it listens at so many addresses.
    pub fn start(lab: &Lab, args: &[&str], listens: usize) -> Self {
        let mut command = lab.plain();
        command.arg("serve").args(args);
        Self::from(command, listens)
    }

    pub fn from(mut command: std::process::Command, listens: usize) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || err.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        let mut server = Self { child, log, said: Vec::new(), at: Vec::new() };
        for _ in 0..listens {
            let line = server.says("listening");
            let address = line.split("address").nth(1).unwrap().trim_start_matches(['=', '"', ':']);
            server.at.push(address.split('"').next().unwrap().to_owned());
        }
        server
    }

    /// Waits for a line of its log.
    pub fn says(&mut self, what: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {what:?} in {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        self.said.extend(self.log.iter());
        Ran { code: status.code().unwrap_or(-1), out: String::new(), err: std::mem::take(&mut self.said).join("\n") }
    }

    /// The most memory that it was in at once, in bytes.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What it has open.
    pub fn files(&self) -> Vec<String> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.map(|target| target.display().to_string()).collect()
    }

    pub fn connect(&self, n: usize) -> Client {
        Client::connect(&self.at[n])
    }

    /// One call at the first address.
    pub fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.connect(0).call(method, target, headers, body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub struct Client(BufReader<Box<dyn Stream>>);

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Client {
    pub fn connect(at: &str) -> Self {
        Self::try_connect(at).unwrap()
    }

    pub fn try_connect(at: &str) -> std::io::Result<Self> {
        let stream: Box<dyn Stream> = match at.strip_prefix("unix://") {
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            None => {
                let stream = TcpStream::connect(at)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        };
        Ok(Self(BufReader::new(stream)))
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<()> {
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let len = body.len();
        self.write(
            format!("{method} {target} HTTP/1.1\r\nHost: t\r\nContent-Length: {len}\r\n{more}\r\n{body}").as_bytes(),
        )
    }

    pub fn call(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Reply> {
        self.send(method, target, headers, body)?;
        self.reply()
    }

    /// Status line and headers.
    pub fn head(&mut self) -> std::io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok((status, head.to_ascii_lowercase()))
    }

    pub fn reply(&mut self) -> std::io::Result<Reply> {
        let (status, head) = self.head()?;
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
        self.0.read_exact(&mut body)?;
        Ok(Reply { status, body })
    }

    /// Reads so many bytes away, and looks at each piece.
    pub fn drain(&mut self, len: u64, mut see: impl FnMut(&[u8])) -> std::io::Result<()> {
        let mut left = len;
        while left > 0 {
            let piece = self.0.fill_buf()?;
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            see(&piece[..n]);
            self.0.consume(n);
            left -= n as u64;
        }
        Ok(())
    }
}

/// A lease as an acquire answered it.
#[derive(Clone, Debug)]
pub struct Held {
    pub key: String,
    pub id: String,
    pub token: String,
}

impl Held {
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { key: text("key"), id: text("lease_id"), token: body["fencing_token"].to_string() }
    }

    pub fn proof(&self) -> [(&str, &str); 2] {
        [("X-Lease-ID", &self.id), ("X-Fencing-Token", &self.token)]
    }

    pub fn body(&self) -> String {
        serde_json::json!({ "key": self.key, "lease_id": self.id }).to_string()
    }
}

//! The daemon as a process, and clients to talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running nsqlookupd on ports that the kernel chose. Killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Daemon {
    /// Starts it, and waits until it listens. The log must be on, since it tells the ports.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let (daemon, mut log) = Self::with_log(flags);
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        daemon
    }

    /// Like [`Daemon::start`], but what it logs from then on is the test's to read, or not.
    pub(crate) fn with_log(flags: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nsqlookupd"))
            .args([
                "--tcp-address=127.0.0.1:0",
                "--http-address=127.0.0.1:0",
                "--broadcast-address=127.0.0.1",
            ])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut address = |protocol: &str| -> SocketAddr {
            let mark = format!("{protocol}: listening on ");
            let mut line = String::new();
            while log.read_line(&mut line).unwrap() > 0 {
                if let Some((_, address)) = line.trim_end().split_once(&mark) {
                    return address.parse().unwrap();
                }
                line.clear();
            }
            panic!("it ended before it listened");
        };
        let (tcp, http) = (address("TCP"), address("HTTP"));
        (Self { child, tcp, http }, log)
    }

    /// Sends SIGTERM and waits for the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        until("the daemon ends", || self.child.try_wait().unwrap()).code()
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// One HTTP request: status and body.
    pub(crate) fn http(&self, method: &str, target: &str) -> (u16, String) {
        let mut stream = connect(self.http);
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// `broadcast_address` of the producers of a topic.
    pub(crate) fn producers(&self, topic: &str) -> Vec<String> {
        let (status, body) = self.http("GET", &format!("/lookup?topic={topic}"));
        if status == 404 {
            return Vec::new();
        }
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let producers = value["producers"].as_array().unwrap();
        producers.iter().map(|p| p["broadcast_address"].as_str().unwrap().to_owned()).collect()
    }

    /// An identified peer.
    pub(crate) fn peer(&self, host: &str) -> Peer {
        let mut peer = Peer { stream: connect(self.tcp) };
        let body =
            format!(r#"{{"broadcast_address":"{host}","tcp_port":4150,"http_port":4151,"version":"1.3.0"}}"#);
        let size = (body.len() as u32).to_be_bytes();
        peer.send(&[b"  V1IDENTIFY\n", &size[..], body.as_bytes()].concat());
        assert!(peer.answer().unwrap().starts_with('{'));
        peer
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection in protocol V1.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer; `None` at the end of the connection.
    pub(crate) fn answer(&mut self) -> Option<String> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).ok()?;
        let mut payload = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some(String::from_utf8(payload).unwrap())
    }

    /// A command and its answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n").as_bytes());
        self.answer().unwrap()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Waits for a condition.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(value) = condition() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("in vain: {what}");
}

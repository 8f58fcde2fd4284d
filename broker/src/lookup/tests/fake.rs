//! Stand-ins for nsqlookupd: its TCP side, with replies to order, and its HTTP side. Threads of the standard
//! library, so that they go on whatever the executor under test does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// How a command is answered.
#[derive(Clone)]
pub(super) enum Reply {
    /// As nsqlookupd does.
    Usual,
    /// The same, byte by byte.
    Pieces,
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// Not at all.
    Silence,
    /// With the end of the connection.
    HangUp,
}

/// A payload with its size before it.
pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    nsq_protocol::lookup::encode_reply(&mut out, payload);
    out
}

type Script = Box<dyn Fn(usize, &str) -> Reply + Send + Sync>;

/// The TCP side.
pub(super) struct FakePeer {
    address: SocketAddr,
    heard: Arc<Heard>,
}

struct Heard {
    script: Script,
    /// The reply to IDENTIFY.
    info: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connection, counted from 1, and line.
    lines: Vec<(usize, String)>,
    sockets: Vec<TcpStream>,
    ended: usize,
    closed: bool,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl FakePeer {
    /// One without a fault, whose HTTP side refuses connections.
    pub(super) fn start() -> Self {
        Self::with(|_, _| Reply::Usual)
    }

    /// One that answers by `script`, which is given the number of the connection and the command.
    pub(super) fn with(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::new(Box::new(script), 1)
    }

    /// One without a fault, with an HTTP side.
    pub(super) fn beside(web: &FakeWeb) -> Self {
        Self::new(Box::new(|_, _| Reply::Usual), web.address.port())
    }

    fn new(script: Script, http_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let info = format!(
            r#"{{"tcp_port":{},"http_port":{http_port},"version":"1.3.0","broadcast_address":"127.0.0.1"}}"#,
            address.port()
        );
        let heard = Arc::new(Heard { script, info, state: Mutex::default() });
        let hearing = heard.clone();
        thread::spawn(move || accept(&listener, &hearing));
        Self { address, heard }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What came on one connection, counted from 1: the magic, IDENTIFY with its body, and the commands.
    pub(super) fn lines(&self, connection: usize) -> Vec<String> {
        let state = self.heard.state();
        state.lines.iter().filter(|(of, _)| *of == connection).map(|(_, line)| line.clone()).collect()
    }

    /// Whether a line came on any connection.
    pub(super) fn has(&self, wanted: &str) -> bool {
        self.heard.state().lines.iter().any(|(_, line)| line == wanted)
    }

    pub(super) fn connections(&self) -> usize {
        self.heard.state().sockets.len()
    }

    /// Connections that are over.
    pub(super) fn ended(&self) -> usize {
        self.heard.state().ended
    }

    /// Ends every connection.
    pub(super) fn hang_up(&self) {
        for socket in &self.heard.state().sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Refuses connections from now on.
    pub(super) fn close(&self) {
        self.heard.state().closed = true;
        // Only to wake the thread that accepts.
        let _ = TcpStream::connect(self.address);
        while TcpStream::connect(self.address).is_ok() {
            thread::yield_now();
        }
    }
}

fn accept(listener: &TcpListener, heard: &Arc<Heard>) {
    for (index, socket) in listener.incoming().enumerate() {
        let socket = socket.unwrap();
        if heard.state().closed {
            return;
        }
        heard.state().sockets.push(socket.try_clone().unwrap());
        let heard = heard.clone();
        thread::spawn(move || {
            let _ = converse(&heard, index + 1, &socket);
            let _ = socket.shutdown(Shutdown::Both);
            heard.state().ended += 1;
        });
    }
}

/// Returns at the end of the connection, with or without an error.
fn converse(heard: &Heard, connection: usize, socket: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let note = |line: String| heard.state().lines.push((connection, line));
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    note(String::from_utf8_lossy(&magic).into_owned());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        line.pop();
        let mut usual = b"OK".to_vec();
        if line == "IDENTIFY" {
            let mut size = [0; 4];
            reader.read_exact(&mut size)?;
            let mut body = vec![0; u32::from_be_bytes(size) as usize];
            reader.read_exact(&mut body)?;
            line = format!("IDENTIFY {}", String::from_utf8_lossy(&body));
            usual = heard.info.clone().into_bytes();
        }
        let reply = (heard.script)(connection, &line);
        note(line);
        let mut writer = socket;
        match reply {
            Reply::Usual => writer.write_all(&framed(&usual))?,
            Reply::Pieces => framed(&usual).iter().try_for_each(|byte| writer.write_all(&[*byte]))?,
            Reply::Bytes(bytes) => writer.write_all(&bytes)?,
            Reply::Silence => {}
            Reply::HangUp => return Ok(()),
        }
    }
}

/// The HTTP side.
pub(super) struct FakeWeb {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeWeb {
    /// One that knows these channels of every topic.
    pub(super) fn channels(channels: &[&str]) -> Self {
        let body = serde_json::json!({ "channels": channels }).to_string();
        Self::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }

    /// One that answers anything with these bytes and the end of the connection.
    pub(super) fn raw(answer: &[u8]) -> Self {
        Self::new(Some(answer.to_vec()))
    }

    /// One that takes requests and keeps them.
    pub(super) fn silent() -> Self {
        Self::new(None)
    }

    fn new(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let taken = requests.clone();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                taken.lock().unwrap().push(path(&socket));
                match &answer {
                    Some(answer) => drop(socket.write_all(answer)),
                    None => kept.push(socket),
                }
            }
        });
        Self { address, requests }
    }

    /// The paths that were asked for, with their queries.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request without a body.
fn path(socket: &TcpStream) -> String {
    let mut lines = BufReader::new(socket).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    lines.for_each(drop);
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

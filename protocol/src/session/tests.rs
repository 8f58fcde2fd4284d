use super::*;

mod cutting;
mod errors;
mod legality;

const ID: &str = "0123456789abcdef";

/// All that the broker would see, as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transcript {
    steps: Vec<String>,
    /// The connection is over: nothing more may be read.
    over: bool,
}

/// A broker that does nothing but say yes.
struct Peer {
    limits: Limits,
    session: Session,
    unread: Vec<u8>,
    transcript: Transcript,
}

impl Peer {
    fn new(limits: Limits) -> Self {
        let session = Session::new("127.0.0.1".into(), &limits);
        Self { limits, session, unread: Vec::new(), transcript: Transcript::default() }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while !self.transcript.over {
            let before = self.session.wanted(self.unread.len());
            assert!(before > self.unread.len());
            let (consumed, said, subscribed) = match self.session.next(&self.limits, &self.unread) {
                Step::NeedMore => return,
                Step::Consumed(consumed) => (consumed, None, false),
                Step::Command { consumed, command } => {
                    (consumed, Some(describe(&command)), matches!(command, Command::Sub { .. }))
                }
                Step::Fatal(error) => {
                    assert!(error.is_fatal());
                    self.over(Some(error));
                    return;
                }
                Step::Close => {
                    self.over(None);
                    return;
                }
            };
            assert!(consumed > 0);
            self.unread.drain(..consumed);
            self.transcript.steps.extend(said);
            if subscribed {
                self.session.on_subscribed();
            }
        }
    }

    fn over(&mut self, error: Option<WireError>) {
        let last = error.map_or_else(|| "close".into(), |error| error.payload().escape_ascii().to_string());
        self.transcript.steps.push(last);
        self.transcript.over = true;
    }

    /// The client closes its side.
    fn end(mut self) -> Transcript {
        if !self.transcript.over {
            let error = self.session.end(&self.limits, &self.unread);
            self.over(error);
        }
        self.transcript
    }
}

fn describe(command: &Command<'_>) -> String {
    match command {
        Command::Identify(reply) => {
            format!("IDENTIFY first {}: {}", reply.first, reply.payload.escape_ascii())
        }
        Command::Auth { secret } => format!("AUTH {}", secret.escape_ascii()),
        Command::Sub { topic, channel } => format!("SUB {topic} {channel}"),
        Command::Rdy { count } => format!("RDY {count}"),
        Command::Fin { id } => format!("FIN {}", id.escape_ascii()),
        Command::Req { id, delay_ns } => format!("REQ {} {delay_ns} ns", id.escape_ascii()),
        Command::Touch { id } => format!("TOUCH {}", id.escape_ascii()),
        Command::Cls => "CLS".into(),
        Command::Pub { topic, body } => format!("PUB {topic} {}", body.escape_ascii()),
        Command::Dpub { topic, delay_ns, body } => {
            format!("DPUB {topic} {delay_ns} ns {}", body.escape_ascii())
        }
        Command::MpubTopic { topic } => format!("MPUB to {topic}"),
        Command::Mpub { topic, messages } => {
            assert_eq!(messages.body_bytes(), messages.map(|body| body.len() as u64).sum::<u64>());
            assert_eq!(messages.count() as usize, messages.collect::<Vec<_>>().len());
            let bodies: Vec<_> = messages.map(|body| body.escape_ascii().to_string()).collect();
            format!("MPUB {topic} [{}]", bodies.join(", "))
        }
    }
}

/// A size and what it counts.
fn sized(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn line_and_body(line: &str, body: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", &sized(body)].concat()
}

/// What comes out of `input`, sent after the magic and followed by the end of the stream.
fn run_with(limits: &Limits, input: &[u8]) -> Vec<String> {
    let mut peer = Peer::new(limits.clone());
    peer.receive(b"  V2");
    peer.receive(input);
    peer.end().steps
}

fn run(input: &[u8]) -> Vec<String> {
    run_with(&Limits::default(), input)
}

/// The last thing that comes out of `input`: mostly an error.
fn last_with(limits: &Limits, input: &[u8]) -> String {
    run_with(limits, input).pop().unwrap_or_default()
}

fn last(input: &[u8]) -> String {
    last_with(&Limits::default(), input)
}

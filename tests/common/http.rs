//! A web server that answers as a test says, and a proxy that cuts connections.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// By their names in lower case.
    pub headers: HashMap<String, String>,
    /// As much of it as arrived before the connection ended.
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
            loop {
                let mut line = String::new();
                let _ = stream.read_line(&mut line);
                let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                let whole = body.len() + size;
                let _ = stream.take(size as u64 + 2).read_to_end(&mut body);
                if size == 0 || body.len() < whole {
                    body.truncate(whole);
                    break;
                }
                body.truncate(whole);
            }
        } else if let Some(length) = headers.get("content-length").and_then(|n| n.parse().ok()) {
            let _ = stream.take(length).read_to_end(&mut body);
        }
        Some(Self { method, path, headers, body })
    }
}

/// What it is told.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so much of the body.
    pub cut: Option<usize>,
    /// In the declared length, but not sent.
    pub missing: usize,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn write(&self, stream: &mut impl Write, with_body: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Something\r\nConnection: close\r\n", self.status);
        head += &format!("Content-Length: {}\r\n", self.body.len() + self.missing);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if with_body {
            stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())])?;
        }
        stream.flush()
    }
}

/// Answers on a loopback port until it is dropped.
pub struct WebServer {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<Request>>>,
    _listening: Listening,
}

impl WebServer {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let list = asked.clone();
        let listening = Listening::start(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let Some(request) = Request::read(&mut reader) else { return };
            list.lock().unwrap().push(request.clone());
            let mut stream = stream;
            let _ = answer(&request).write(&mut stream, request.method != "HEAD");
        });
        Self { port: listening.port, asked, _listening: listening }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// Passes bytes on between clients and a port, and cuts each connection after some of them.
pub struct Cutter {
    pub port: u16,
    pub cuts: Arc<AtomicU64>,
    _listening: Listening,
}

impl Cutter {
    /// `budget(n)`: how many bytes the `n`th connection may carry, both directions together.
    pub fn start(target: u16, budget: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Self {
        Self::slow(target, Duration::ZERO, budget)
    }

    /// With this pause after each piece.
    pub fn slow(target: u16, pause: Duration, budget: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Self {
        let cuts: Arc<AtomicU64> = Arc::default();
        let (count, counted) = (AtomicU64::new(0), cuts.clone());
        let listening = Listening::start(move |client| {
            let left = Arc::new(AtomicU64::new(budget(count.fetch_add(1, Ordering::SeqCst))));
            let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
            let pairs = [(&client, &server), (&server, &client)];
            std::thread::scope(|scope| {
                for (from, to) in pairs {
                    let (left, cuts) = (left.clone(), counted.clone());
                    scope.spawn(move || pass(from, to, pause, &left, &cuts));
                }
            });
        });
        Self { port: listening.port, cuts, _listening: listening }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, pause: Duration, left: &AtomicU64, cuts: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(n) = from.read(&mut buffer) {
        std::thread::sleep(pause);
        if n == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        let before =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |l| Some(l.saturating_sub(n as u64))).unwrap();
        let n = n.min(usize::try_from(before).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        if before <= n as u64 {
            cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A thread that accepts, and one for each connection.
struct Listening {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let (ended, serve) = (Arc::new(AtomicBool::new(false)), Arc::new(serve));
        let end = ended.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { port, ended, thread: Some(thread) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

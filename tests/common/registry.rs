//! Debian's `docker-registry` on a loopback port: open to all, with passwords, with a token server, over TLS.

use super::http::{Answer, Request, WebServer};
use super::{free_port, wait_until};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The one user of those that have any, and her password.
pub const USER: &str = "ann";
pub const PASSWORD: &str = "secret";
/// bcrypt's of it.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

pub struct Registry {
    directory: tempfile::TempDir,
    child: Child,
    pub port: u16,
    tokens: Option<WebServer>,
}

/// Who is let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    Open,
    /// Who has the password.
    Password,
    /// Who has a token: the user for `ann/…`, anybody for reading `library/…`.
    Token,
}

impl Registry {
    pub fn open() -> Self {
        Self::start(Doors::Open, false)
    }

    pub fn start(doors: Doors, tls: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("mr-registry-").tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let port = free_port();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: 127.0.0.1:{port}\n",
            at("data")
        );
        if tls || doors == Doors::Token {
            make_certificates(directory.path());
        }
        if tls {
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", at("server.crt"), at("server.key"));
        }
        let mut tokens = None;
        match doors {
            Doors::Open => {}
            Doors::Password => {
                std::fs::write(at("htpasswd"), format!("{USER}:{HASH}\n")).expect("htpasswd");
                config += &format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", at("htpasswd"));
            }
            Doors::Token => {
                let server = token_server(directory.path().to_owned());
                config += &format!(
                    "auth: {{token: {{realm: 'http://{}/token', service: here, issuer: tests, rootcertbundle: {}}}}}\n",
                    server.host(),
                    at("ca.crt")
                );
                tokens = Some(server);
            }
        }
        std::fs::write(at("config.yml"), config).expect("config.yml");
        let log = std::fs::File::create(at("log")).expect("a log");
        let child = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry");
        let registry = Self { directory, child, port, tokens };
        wait_until("the registry answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        registry
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The name of an image in it.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The certificate of the authority that has signed the registry's.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Whom the token server was asked by, and for what.
    pub fn token_requests(&self) -> Vec<Request> {
        self.tokens.iter().flat_map(WebServer::asked).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            eprintln!("--- docker-registry ---");
            for line in log.lines().rev().take(8).collect::<Vec<_>>().iter().rev() {
                eprintln!("{}", line.chars().take(300).collect::<String>());
            }
        }
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority of our own, and a certificate by it for the loopback addresses.
fn make_certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -days 2 -subj /CN=tests -keyout ca.key -out ca.crt"));
    openssl(directory, &format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("names");
    let sign = "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names";
    openssl(directory, &format!("{sign} -out server.crt"));
    openssl(directory, "x509 -in ca.crt -outform der -out ca.der");
}

fn token_server(directory: PathBuf) -> WebServer {
    let directory = Arc::new(directory);
    WebServer::start(move |request| {
        let known = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        let known = known.map(|text| STANDARD.decode(text).expect("base64"));
        let user = match known.as_deref() {
            None => "",
            Some(pair) if pair == format!("{USER}:{PASSWORD}").as_bytes() => USER,
            Some(_) => return Answer::new(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#),
        };
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).map(decoded);
        let access: Vec<String> = scopes.filter_map(|scope| granted(user, &scope)).collect();
        let token = signed(&directory, user, &access.join(","));
        Answer::new(200, format!(r#"{{"token":"{token}","expires_in":300}}"#))
    })
}

fn granted(user: &str, scope: &str) -> Option<String> {
    let mut parts = scope.splitn(3, ':');
    let (_, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
    let own = user == USER && name.starts_with("ann/");
    let actions: Vec<String> = actions
        .split(',')
        .filter(|action| own || *action == "pull" && name.starts_with("library/"))
        .map(|action| format!("\"{action}\""))
        .collect();
    Some(format!(r#"{{"type":"repository","name":"{name}","actions":[{}]}}"#, actions.join(",")))
}

/// A JSON web token, with the certificate that its signature is checked by.
fn signed(directory: &Path, user: &str, access: &str) -> String {
    let certificate = STANDARD.encode(std::fs::read(directory.join("ca.der")).expect("ca.der"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let header = format!(r#"{{"typ":"JWT","alg":"ES256","x5c":["{certificate}"]}}"#);
    let (from, until) = (now - 10, now + 300);
    let claims = format!(
        r#"{{"iss":"tests","sub":"{user}","aud":"here","exp":{until},"nbf":{from},"iat":{from},"jti":"1","access":[{access}]}}"#
    );
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", "ca.key"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("openssl");
    let signature = child.wait_with_output().expect("openssl").stdout;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(raw(&signature)))
}

/// The two numbers of an ECDSA signature, 32 bytes each, out of their DER.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    while let [2, length, after @ ..] = rest {
        let (number, behind) = after.split_at(usize::from(*length));
        let digits = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - digits.len()));
        numbers.extend_from_slice(digits);
        rest = behind;
    }
    numbers
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

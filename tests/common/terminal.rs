//! A terminal as somebody's session has it, through a real pty.

use super::{Sandbox, wait_until};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A terminal with a shell on it that runs one command, says how it ended, and stays: as somebody's session would.
pub struct Terminal {
    pub keys: File,
    /// The side of the programs, held open so that it can be looked at when they are gone.
    pub device: File,
    pub before: Termios,
    pub seen: Arc<Mutex<String>>,
    /// What was expected so far ends here.
    read: usize,
    pub session: Child,
}

impl Terminal {
    pub fn new(sandbox: &Sandbox, words: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = File::from(rustix::fs::open(&name, flags, Mode::empty()).unwrap());
        let keys = File::from(keys);
        set_size(&keys, 33, 101);
        let before = tcgetattr(&device).unwrap();
        let side = || Stdio::from(device.try_clone().unwrap());
        let mut command = sandbox.other("setsid");
        command.env("TERM", "xterm").args(["--ctty", "sh", "-c", "\"$@\"; echo \"[ended with $?]\"; read again", "sh"]);
        command.arg(Sandbox::binary()).args(words).stdin(side()).stdout(side()).stderr(side());
        let session = command.spawn().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut screen, text) = (keys.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = screen.read(&mut buffer) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Self { keys, device, before, seen, read: 0, session }
    }

    pub fn kind(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen, behind what was expected before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let seen = self.seen.clone();
        let find = || seen.lock().unwrap()[self.read..].find(text);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while find().is_none() {
            let screen = || seen.lock().unwrap().clone();
            assert!(std::time::Instant::now() < deadline, "{text:?} is not on the screen:\n{}", screen());
            std::thread::sleep(Duration::from_millis(5));
        }
        let end = self.read + find().unwrap() + text.len();
        let passed = seen.lock().unwrap()[self.read..end].to_owned();
        self.read = end;
        passed
    }

    /// Waits for the end of the command; its exit code must be this one, and the terminal as it was.
    #[track_caller]
    pub fn ends(&mut self, code: i32) {
        self.expect(&format!("[ended with {code}]"));
        self.is_as_before();
    }

    /// The monitor may be the one who puts it back, a moment later.
    #[track_caller]
    pub fn is_as_before(&self) {
        wait_until("the terminal is as it was", || !self.is_raw());
        let now = tcgetattr(&self.device).unwrap();
        let modes = |t: &Termios| (t.input_modes, t.output_modes, t.control_modes, t.local_modes);
        assert_eq!(modes(&now), modes(&self.before));
    }

    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.device).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    #[track_caller]
    pub fn becomes_raw(&self) {
        wait_until("the terminal is raw", || self.is_raw());
    }

    /// The client that the shell started.
    pub fn client(&self) -> Pid {
        let parent = format!("PPid:\t{}\n", self.session.id());
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        let mut children =
            all.filter(|pid| fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|s| s.contains(&parent)));
        Pid::from_raw(children.next().expect("a client"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen ---\n{}", self.seen.lock().unwrap());
        }
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

pub fn set_size(terminal: &File, rows: u16, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

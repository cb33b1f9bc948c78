//! A provider in a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::now;

/// A provider that runs until this is dropped.
pub struct Server {
    pub name: &'static str,
    pub issuer: String,
    pub token: String,
    pub push: String,
    pub authorize: String,
    /// The client's key, PKCS #8.
    pub key: Vec<u8>,
    /// Sessions of residents who have agreed to what is asked. Where there are none yet, the pages of the server are walked for them.
    pub cookies: Vec<String>,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Server {
    /// This provider, on SQLite.
    pub fn ours() -> Self {
        let port = free_port();
        let dir = tempfile::tempdir_in(std::env::var_os("USUFRUCT_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into))
            .expect("a folder");
        let own = std::env::current_exe().expect("this program");
        let child = Command::new(own).arg("serve").arg(dir.path()).arg(port.to_string()).spawn().expect("a server");
        let ready: Value = serde_json::from_slice(&wait_for(&dir.path().join("ready.json"))).expect("what it says");
        let issuer = format!("http://localhost:{port}");
        Self {
            name: "Usufruct (SQLite)",
            token: format!("{issuer}/oidc/token"),
            push: format!("{issuer}/oidc/par"),
            authorize: format!("{issuer}/oidc/authorize"),
            issuer,
            key: std::fs::read(dir.path().join("client.p8")).expect("the key"),
            cookies: ready["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            child,
            _dir: dir,
        }
    }

    /// npm `oidc-provider`, if it is installed.
    pub fn theirs() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp");
        if !folder.join("node_modules/oidc-provider").exists() {
            return None;
        }
        let (port, dir) = (free_port(), tempfile::tempdir().expect("a folder"));
        let child = Command::new("node")
            .arg(folder.join("provider.mjs"))
            .arg(dir.path())
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        wait_for(&dir.path().join("ready.json"));
        let issuer = format!("http://localhost:{port}");
        Some(Self {
            name: "oidc-provider (memory)",
            token: format!("{issuer}/token"),
            push: format!("{issuer}/request"),
            authorize: format!("{issuer}/auth"),
            issuer,
            key: std::fs::read(dir.path().join("client.p8")).expect("the key"),
            cookies: Vec::new(),
            child,
            _dir: dir,
        })
    }

    /// Resident memory now.
    pub fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
    }

    /// Processor time used so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // Behind the name in brackets; fields 14 and 15 of proc(5), in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// What a server writes when it can be asked.
fn wait_for(file: &Path) -> Vec<u8> {
    let begin = now();
    loop {
        if let Ok(bytes) = std::fs::read(file) {
            return bytes;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "the server does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! A PostgreSQL of a test's own, with an archive of its write-ahead log, base backups, and recovery to a named point.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use usufruct_app::store::db::{Connection, Db, Options};

/// A server that runs, and is stopped when the value goes.
pub struct Cluster {
    programs: PathBuf,
    home: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes a cluster below `home`, which must be empty, and starts it; `None` where PostgreSQL is not installed.
    pub fn found(home: &Path) -> Option<Self> {
        let cluster = Self { programs: programs()?, home: home.to_owned(), data: home.join("data"), port: free_port() };
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").arg(home).status().unwrap().success());
        }
        cluster.run("mkdir", &[&path(&cluster.archive())]);
        cluster.run("initdb", &["-D", &path(&cluster.data), "-U", "usufruct", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        cluster.configure(&format!("archive_mode = on\narchive_command = 'cp %p {}/%f'\n", path(&cluster.archive())));
        cluster.start();
        cluster.run("createdb", &["-h", &path(home), "-p", &cluster.port.to_string(), "-U", "usufruct", "usufruct"]);
        Some(cluster)
    }

    pub fn url(&self) -> String {
        format!("postgres://usufruct@127.0.0.1:{}/usufruct", self.port)
    }

    /// Where the write-ahead log is archived.
    pub fn archive(&self) -> PathBuf {
        self.home.join("archive")
    }

    /// Copies the whole server while it runs, as the folder `name`.
    pub fn base_backup(&self, name: &str) -> PathBuf {
        let folder = self.home.join(name);
        let port = self.port.to_string();
        let to = path(&folder);
        self.run(
            "pg_basebackup",
            &["-h", &path(&self.home), "-p", &port, "-U", "usufruct", "-D", &to, "-c", "fast", "-X", "fetch"],
        );
        folder
    }

    /// Gives this moment a name, and archives the write-ahead log up to it.
    pub fn mark(&self, name: &str) {
        let db = Db::open(&self.url(), &Options { readers: 1, queue: 1 }).unwrap();
        let ask = |sql: String| {
            let answer = db.transaction("mark", move |tx| tx.query_one(&sql, &[])).unwrap().unwrap();
            answer.text(0).map(str::to_owned).unwrap()
        };
        ask(format!("-- mark\nSELECT pg_create_restore_point('{name}')::text"));
        let file = ask("-- file\nSELECT pg_walfile_name(pg_switch_wal())".to_owned());
        for _ in 0..1_200 {
            if self.archive().join(&file).exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{file} was not archived");
    }

    /// Starts a copy of a base backup, brought by the archive to the moment of this name.
    pub fn recover(&self, backup: &Path, name: &str) -> Self {
        let data = self.home.join(format!("recovered-{name}"));
        self.run("cp", &["-a", &path(backup), &path(&data)]);
        let recovered = Self { programs: self.programs.clone(), home: self.home.clone(), data, port: free_port() };
        recovered.configure(&format!(
            "archive_mode = off\nrestore_command = 'cp {}/%f %p'\nrecovery_target_name = '{name}'\nrecovery_target_action = 'promote'\n",
            path(&self.archive())
        ));
        recovered.run("touch", &[&path(&recovered.data.join("recovery.signal"))]);
        recovered.start();
        let sql = "-- recovering\nSELECT pg_is_in_recovery()::int::bigint";
        let is_over = |db: &Db| db.read(|conn| conn.query_one(sql, &[])).unwrap().unwrap().integer(0).unwrap() == 0;
        for _ in 0..1_200 {
            if Db::open(&recovered.url(), &Options { readers: 1, queue: 1 }).as_ref().is_ok_and(is_over) {
                return recovered;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{name} was not reached");
    }

    /// Starts what [`Cluster::recover`] brought to this moment, again.
    pub fn recover_again(&self, name: &str) -> Self {
        let data = self.home.join(format!("recovered-{name}"));
        let recovered = Self { programs: self.programs.clone(), home: self.home.clone(), data, port: free_port() };
        recovered.configure("");
        recovered.start();
        recovered
    }

    fn configure(&self, lines: &str) {
        let file = self.data.join("postgresql.conf");
        let own =
            format!("listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n", self.port, path(&self.home));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}\n{own}{lines}")).unwrap();
    }

    fn start(&self) {
        let log = path(&self.data.with_extension("log"));
        self.run("pg_ctl", &["-D", &path(&self.data), "-l", &log, "-w", "-t", "60", "start"]);
    }

    /// Runs a program as the user that PostgreSQL accepts.
    fn run(&self, name: &str, arguments: &[&str]) {
        let status = self.command(name).args(arguments).current_dir(&self.home).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{name} {arguments:?}");
    }

    fn command(&self, name: &str) -> Command {
        let own = self.programs.join(name);
        let program = if own.exists() { own } else { PathBuf::from(name) };
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["-D", &path(&self.data), "-m", "immediate", "-w", "stop"]).current_dir("/");
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The folder of the newest programs there are.
fn programs() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("pg_basebackup").exists();
    let version = |folder: &PathBuf| folder.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = entries.map(|entry| entry.path().join("bin")).filter(has_server).max_by_key(version);
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(has_server);
    packaged.or_else(on_path)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

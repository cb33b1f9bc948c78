//! A new root with keepers: three programs beside the server on this machine, over TLS with certificates on both sides. It is measured through
//! the console of a running pass, and so is a pass whose root is in a file, in the same run.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::seconds;

const ORIGIN: &str = "bench.example/log";
const NAMES: [&str; 3] = ["office", "court", "archive"];
/// Epochs of each pass.
const EPOCHS: usize = 301;

/// Measures and prints, if the program is there: `USUFRUCT_BIN`, or `usufruct` beside this one.
pub fn print(dir: &Path) {
    let beside = || std::env::current_exe().ok().map(|path| path.with_file_name("usufruct"));
    let program = std::env::var_os("USUFRUCT_BIN").map(PathBuf::from).or_else(beside).filter(|path| path.exists());
    let Some(program) = program else {
        println!("\nKeepers were not measured: build `usufruct` with the same profile, or name it in USUFRUCT_BIN.");
        return;
    };
    println!(
        "\n| a new epoch, through the console of a running pass | p50 ms | p99 ms | against the file |\n|---|---:|---:|---:|"
    );
    let mut first = None;
    for (name, is_kept) in [("root in a file (E0)", false), ("root with 3 keepers, 2 needed, over TLS (E3)", true)] {
        let pass = Pass::found(&program, &dir.join(if is_kept { "kept" } else { "filed" }), is_kept);
        let mut times: Vec<f64> = (0..EPOCHS).map(|_| seconds(|| pass.rotate())).collect();
        times.sort_by(f64::total_cmp);
        let (half, most) = (times[EPOCHS / 2], times[EPOCHS * 99 / 100]);
        println!("| {name} | {:.2} | {:.2} | {:.1} |", half * 1e3, most * 1e3, half / *first.get_or_insert(half));
    }
}

/// A running pass and its keepers, which end with it.
struct Pass {
    programs: Vec<Child>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Pass {
    fn found(program: &Path, dir: &Path, is_kept: bool) -> Self {
        std::fs::create_dir_all(dir).expect("the folder is ours");
        let at = |name: &str| dir.join(name).display().to_string();
        let run = |arguments: &[&str]| {
            let output = command(program).args(arguments).stderr(Stdio::piped()).output().expect("the program runs");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("it prints text")
        };
        let write = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("the folder is ours");
        let mut programs = Vec::new();
        if is_kept {
            write("city.toml", run(&["keeper", "city", "--data-dir", &at("pass"), "--origin", ORIGIN]));
            let ports = NAMES
                .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
                .map(|held| held.local_addr().expect("it is bound"));
            for (name, port) in NAMES.iter().zip(ports) {
                let (folder, url) = (at(name), format!("https://{port}"));
                let init = ["keeper", "init", "--data-dir", &folder, "--name", name, "--vault", ORIGIN, "--url", &url];
                write(&format!("{name}.toml"), run(&init));
            }
            let [office, court, archive] = NAMES.map(|name| at(&format!("{name}.toml")));
            let entries = ["--city", &at("city.toml"), "--entry", &office, "--entry", &court, "--entry", &archive];
            let roster = [&["keeper", "roster", "--vault", ORIGIN, "--threshold", "2"], &entries[..]].concat();
            write("keepers.toml", run(&roster));
            for (name, port) in NAMES.iter().zip(ports) {
                let (folder, listen) = (at(name), port.to_string());
                let serve = ["keeper", "serve", "--data-dir", &folder, "--roster", &at("keepers.toml"), "--listen", &listen];
                let mut keeper = command(program).args(serve).stdout(Stdio::piped()).spawn().expect("the program runs");
                let mut line = String::new();
                BufReader::new(keeper.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says that it serves");
                programs.push(keeper);
            }
        }
        let (pass, keepers) = (at("pass"), at("keepers.toml"));
        let mut init =
            vec!["init", "--data-dir", &pass, "--origin", ORIGIN, "--operator-name", "City", "--operator-name-zh", "市"];
        if is_kept {
            init.extend(["--keepers", &keepers]);
        }
        run(&init);
        let serve = ["serve", "--data-dir", &pass, "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080"];
        programs.push(command(program).args(serve).stdout(Stdio::null()).spawn().expect("the program runs"));
        let console = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::fs::read(dir.join("pass/console.json")).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        });
        let console = console.take(600).flatten().next().expect("the pass is served");
        let text = |field: &str| console[field].as_str().expect("a text").to_owned();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Self { programs, runtime, client: reqwest::Client::new(), url: text("url"), token: text("token") }
    }

    /// Puts another root in the place of the present one: what every erasure does, without a key that goes.
    fn rotate(&self) {
        let url = format!("{}/console/api/rotations", self.url);
        let request = self.client.post(url).bearer_auth(&self.token).json(&json!({ "resident": null }));
        let answer = self.runtime.block_on(request.send()).expect("the pass answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("RUST_LOG", "warn").env("USUFRUCT_ANY_DISK", "1").stdin(Stdio::null()).stderr(Stdio::null());
    command
}

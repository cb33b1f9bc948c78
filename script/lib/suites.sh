# One function per suite, and one per suite that says what it needs installed. Sourced by script/test; each suite runs in a
# shell of its own with `set -e`.

built="${CARGO_TARGET_DIR:-$PWD/target}"
case "$built" in /*) ;; *) built="$PWD/$built" ;; esac

# Verifier, walks and kill test drive this program; USUFRUCT_BIN names another one. It is built like the Rust tests, so
# that nothing is compiled twice.
build_server() {
  if [ -z "${USUFRUCT_BIN:-}" ]; then
    cargo build --quiet --locked --workspace --bin usufruct
    USUFRUCT_BIN="$built/debug/usufruct"
  fi
  export USUFRUCT_BIN
}

# The example programs of the log crate: one publishes a log to a folder, one makes cosignatures.
build_examples() {
  if [ -z "${USUFRUCT_PUBLISH_BIN:-}" ] || [ -z "${USUFRUCT_COSIGN_BIN:-}" ]; then
    cargo build --quiet --locked -p usufruct-log --example publish --example cosign
    USUFRUCT_PUBLISH_BIN="$built/debug/examples/publish"
    USUFRUCT_COSIGN_BIN="$built/debug/examples/cosign"
  fi
  export USUFRUCT_PUBLISH_BIN USUFRUCT_COSIGN_BIN
}

# What several suites use is built once, before any of them runs.
build_all() {
  if have cargo-nextest; then cargo nextest run --locked --workspace --no-run; else cargo test --locked --workspace --no-run; fi
  build_server
  build_examples
}

needs_format() { need_build; }
suite_format() {
  # The fuzz targets are a workspace of their own, whose lock file nothing else looks at.
  cargo metadata --quiet --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
  if ! cargo fmt --version >/dev/null 2>&1; then
    say "rustfmt is not installed, so the format is not checked. 'rustup component add rustfmt' brings it."
    return 0
  fi
  cargo fmt --all --check
  # What can be published stays so: each is packed, which looks at its metadata and its dependencies and compiles nothing.
  cargo package --quiet --locked --allow-dirty --no-verify --exclude-lockfile -p usufruct-core -p usufruct-log -p usufruct-vault
  say "Every Rust file is formatted, and core, log and vault can be packed."
}

needs_clippy() { need_build; }
suite_clippy() {
  if ! cargo clippy --version >/dev/null 2>&1; then
    say "clippy is not installed, so nothing is linted. 'rustup component add clippy' brings it."
    return 0
  fi
  cargo clippy --locked --workspace --all-targets -- -D warnings
}

needs_deny() { need_build; }
suite_deny() {
  if ! have cargo-deny && [ "${CI_DENY:-0}" = 1 ]; then cargo install --locked --quiet cargo-deny; fi
  if ! have cargo-deny; then
    say "cargo-deny is not installed and takes long to build: CI_DENY=1 installs it. Licences and edges are checked by crates/usufruct/tests/architecture.rs."
    return 0
  fi
  cargo deny --locked check
}

needs_rust() {
  need_build
  need_postgres
  need_moto
  need_softhsm
}
suite_rust() {
  USUFRUCT_TEST_POSTGRES="$(script/postgres start)"
  export USUFRUCT_TEST_POSTGRES
  if have cargo-nextest; then
    cargo nextest run --locked --workspace --no-fail-fast --status-level fail --final-status-level slow
    cargo test --locked --workspace --doc --quiet
  else
    cargo test --locked --workspace --no-fail-fast --quiet
  fi
}

needs_verifier() { need_node; }
suite_verifier() {
  (cd verifier && node --test --test-reporter=spec)
}

needs_e2e() {
  need_build
  need_e2e
  need_postgres
}
suite_e2e() {
  build_server
  say "Walks on SQLite."
  (cd e2e && node --test --test-reporter=spec --test-concurrency=1 tests/)
  say "Sign-in, agreement, withdrawal, recovery, cards, delegation and deletion on PostgreSQL."
  USUFRUCT_TEST_POSTGRES="$(script/postgres start)"
  export USUFRUCT_TEST_POSTGRES
  (cd e2e && USUFRUCT_E2E_DATABASE=postgres node --test --test-reporter=spec --test-concurrency=1 \
    tests/walk.test.js tests/ways-in.test.js tests/withdrawal.test.js tests/cards.test.js tests/delegations.test.js)
}

# Ten stories of abuse from elsewhere, played against one city; docs/abuse.md says how each ends.
needs_abuse() {
  need_build
  need_e2e
}
suite_abuse() {
  build_server
  (cd e2e && node abuse/run.js)
}

# Nine failures of systems elsewhere, which must not happen here; docs/acceptance.md says what holds and what is open.
needs_acceptance() {
  need_build
  need_e2e
}
suite_acceptance() {
  build_server
  (cd e2e && node acceptance/run.js)
}

needs_kill() {
  need_build
  need_node
}
suite_kill() {
  build_server
  node e2e/kill/kill.js --kills "${USUFRUCT_KILLS:-5}" ${USUFRUCT_SEED:+--seed "$USUFRUCT_SEED"}
}

needs_thirdparty() {
  need_build
  need_go
  need_node
  need_python
}
suite_thirdparty() {
  build_server
  build_examples
  (cd e2e && node --test --test-reporter=spec --test-concurrency=1 third-party/)
}

# Relying parties off the shelf sign residents in, and another provider is asked the same as ours.
needs_clients() {
  need_build
  need_e2e
  need_clients
}
suite_clients() {
  build_server
  (cd e2e && node --test --test-reporter=spec --test-concurrency=1 clients/ differential/)
}

needs_faults() {
  need_build
  need_go
  need_node
  need_strace
}

# USUFRUCT_SEED repeats a run. The long forms are `script/campaign faults` and `script/campaign log-kill`.
suite_faults() {
  build_server
  build_examples
  local seed=(${USUFRUCT_SEED:+--seed "$USUFRUCT_SEED"}) failed=0
  node e2e/faults/calls.js --sample 80 "${seed[@]}" || failed=1
  node e2e/faults/syncs.js --sample 20 "${seed[@]}" || failed=1
  node e2e/faults/server.js --sample 8 "${seed[@]}" || failed=1
  node e2e/faults/kills.js --kills 25 "${seed[@]}" || failed=1
  return "$failed"
}

needs_fuzz() { need_build; }
suite_fuzz() {
  fuzz_all "${USUFRUCT_FUZZ_SECONDS:-5}"
}

# Coverage-guided, on the stable compiler and without cargo-fuzz: the same instrumentation, switched on by hand. One target
# for each core at a time. New finds go to fuzz/artifacts/TARGET.
fuzz_all() {
  local seconds="$1" machine out target failed=0 cores running=0
  machine="$(rustc -vV | sed -n 's/^host: //p')"
  out="$PWD/fuzz/target"
  cores="$(nproc)"
  RUSTFLAGS="-Cpasses=sancov-module -Ccodegen-units=1 --cfg fuzzing -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
    CARGO_TARGET_DIR="$out" cargo build --quiet --locked --release --target "$machine" --manifest-path fuzz/Cargo.toml
  for target in $(fuzz_targets); do
    if [ "$running" -ge "$cores" ]; then
      wait -n || failed=1
      running=$((running - 1))
    fi
    fuzz_one "$target" "$out/$machine/release/$target" "$seconds" &
    running=$((running + 1))
  done
  while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
  done
  return "$failed"
}

# Every input in fuzz/regressions/TARGET is replayed first.
fuzz_one() {
  local target="$1" program="$2" seconds="$3" seeds=("fuzz/corpus/$1") log="fuzz/artifacts/$1.log" replayed=0
  mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
  [ -d "fuzz/regressions/$target" ] && seeds+=("fuzz/regressions/$target")
  if [ "${#seeds[@]}" -gt 1 ] && ! "$program" -runs=0 "fuzz/regressions/$target" >"$log" 2>&1; then replayed=1; tail -n 20 "$log"; fi
  if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="fuzz/artifacts/$target/" "${seeds[@]}" >"$log" 2>&1; then
    printf '%-14s %s\n' "$target" "$(grep '^Done' "$log" || tail -n 1 "$log")"
  else
    tail -n 40 "$log"
    printf '%-14s failed; the input is in fuzz/artifacts/%s\n' "$target" "$target"
    return 1
  fi
  return "$replayed"
}

fuzz_targets() { sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2; }

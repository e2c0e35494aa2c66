# What a script needs, for it to source: `need PACKAGE COMMAND...` for each of Debian's packages, with a
# command that succeeds where it is there; then `install_needed`. Root installs what is missing, others
# are told.
needed=()

need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || needed+=("$package")
}

install_needed() {
  [ "${#needed[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: this script needs, in the words of Debian: ${needed[*]}" >&2
    exit 1
  fi
  echo "Installing ${needed[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Another check may be installing at the same moment.
  apt-get update -qq -o DPkg::Lock::Timeout=300 || apt-get update -qq
  apt-get install -qq -o DPkg::Lock::Timeout=300 --yes --no-install-recommends "${needed[@]}" >/dev/null
}

# make_venv FOLDER REQUIREMENTS: a virtual environment with Python's packages, all at the versions of
# tests/constraints.txt.
make_venv() {
  [ -x "$1/bin/pip" ] || python3 -m venv "$1"
  "$1/bin/pip" --quiet --disable-pip-version-check install --constraint tests/constraints.txt --requirement "$2"
}

# build_program: the program under test, GATEWAY_PROGRAM if that is set, else what the sources say now.
build_program() {
  [ -z "${GATEWAY_PROGRAM:-}" ] || return 0
  cargo build --locked --quiet
  GATEWAY_PROGRAM=$(realpath "${CARGO_TARGET_DIR:-target}/debug/replica-session-gateway")
}

#!/usr/bin/env bash
# A profile for profile-guided optimisation (PGO) has no effect if `strip` or `debug` of the Cargo profile differs between the
# program that counts and the one that is optimised.
#
# Seen with Rust and Cargo 1.95, of April 2026. Cargo hashes all settings of a profile into `-C metadata`, and rustc that into
# the names of functions. LLVM finds what it has counted by these names. RUSTFLAGS are left out of that hash, so that PGO
# works (rust-lang/cargo#7416), but `strip` and `debug`, which change no code, are not. Seen: counted with `strip = "none"`,
# as one does to look at a program with perf or nm, and used with `strip = "debuginfo"`: no function of the crate has an
# entry count. With the same setting in both builds, and with `strip` given as a flag of the compiler, it has. There is no
# warning in either case. `--target` makes the same difference, also with the name of the host.
#
# Needs Rust with the component llvm-tools, and a C compiler. Works in a temp folder. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "tool"
version = "0.0.0"
edition = "2021"

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
#[inline(never)]
fn work(of: &str) -> usize {
    std::hint::black_box(of).len()
}

fn main() {
    println!("{}", work("some"));
}
RUST
host=$(rustc --print host-tuple)
export RUSTFLAGS CARGO_PROFILE_RELEASE_STRIP CARGO_PROFILE_RELEASE_DEBUG=0

CARGO_PROFILE_RELEASE_STRIP=none RUSTFLAGS="-Cprofile-generate=$folder/counts" \
  cargo build --quiet --release --manifest-path "$folder/Cargo.toml" --target-dir "$folder/counting"
"$folder/counting/release/tool" >/dev/null
"$(dirname "$(rustc --print target-libdir)")/bin/llvm-profdata" merge --output "$folder/profile" "$folder/counts"

# optimised STRIP [OPTION...]: says whether the compiler knows how often `work` ran.
optimised() {
  local target=$folder/using-$# found=no
  rm -rf "$target"
  CARGO_PROFILE_RELEASE_STRIP=$1 RUSTFLAGS="-Cprofile-use=$folder/profile ${flags:-}" \
    cargo rustc --quiet --release --manifest-path "$folder/Cargo.toml" --target-dir "$target" "${@:2}" -- --emit=llvm-ir
  grep --quiet '^define .*4work.* !prof ' "$(find "$target" -name 'tool*.ll')" && found=yes
  echo "strip ${flags:-} $*: $found"
}
{
  optimised none
  optimised debuginfo
  flags=-Cstrip=debuginfo optimised none
  optimised none --target "$host"
} | sed "s/$host/HOST/" | tee "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
strip  none: yes
strip  debuginfo: no
strip -Cstrip=debuginfo none: yes
strip  none --target HOST: no
EXPECTED

#!/usr/bin/env bash
# `cargo auditable build` gives another program when cargo-auditable is installed in another folder.
#
# Seen with cargo-auditable 0.7.7 and Rust 1.95, the former the latest of November 2026. cargo-auditable has Cargo call it in
# place of rustc for crates of the workspace, by its absolute path (RUSTC_WORKSPACE_WRAPPER), and Cargo hashes that path
# into the names of these crates' functions (`-C metadata`), so that output of Clippy, which is called in the same way, is
# kept apart. Seen: one source in one folder, built by two copies of cargo-auditable, has a function with two names, and the
# programs differ, also stripped, because a TypeId depends on it too (http's and tracing's extensions use them). Built by cargo
# alone, or by the same copy into another target folder, they are the same.
#
# So a build that is reproducible otherwise (--remap-path-prefix, fixed versions) is not if the tool is in a home or in a
# checkout. And a profile for profile-guided optimisation, which finds functions by name, has no effect when it is from a
# build without cargo-auditable or on another machine; nothing says so.
#
# Needs Rust, a C compiler, binutils and crates.io. Works in a temp folder. Fails if the behaviour changes.
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

struct Extension;

fn main() {
    println!("{} {:?}", work("some"), std::any::TypeId::of::<Extension>());
}
RUST
CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install --quiet --locked --root "$folder/one" --version =0.7.7 cargo-auditable
cp --recursive "$folder/one" "$folder/other"

# built TARGET COMMAND...: prints the name of `work` in the program, and the digest of the stripped program.
built() {
  "${@:2}" build --quiet --release --manifest-path "$folder/Cargo.toml" --target-dir "$folder/$1"
  strip -o "$folder/$1/stripped" "$folder/$1/release/tool"
  echo "$(nm "$folder/$1/release/tool" | grep -o '[^ ]*4work[^ ]*') $(sha256sum "$folder/$1/stripped" | cut -d ' ' -f 1)"
}
# Separate target folders; Cargo does not hash their paths.
plain=$(built a cargo)
plain_again=$(built b cargo)
one=$(built c env PATH="$folder/one/bin:$PATH" cargo auditable)
one_again=$(built d env PATH="$folder/one/bin:$PATH" cargo auditable)
other=$(built e env PATH="$folder/other/bin:$PATH" cargo auditable)
printf '%s\n' "cargo:                             $plain" "cargo auditable:                   $one" \
  "cargo auditable in another folder: $other"
[ "$plain" = "$plain_again" ]
[ "$one" = "$one_again" ]
[ "${one%% *}" != "${plain%% *}" ]
[ "${one%% *}" != "${other%% *}" ]
[ "${one#* }" != "${other#* }" ]
echo "as described"

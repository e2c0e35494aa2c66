#!/usr/bin/env bash
# Bash completions that clap_complete generates for a program with a hyphen in its name offer nothing behind a subcommand.
#
# Seen with clap 4.6.6 and clap_complete 4.6.11, the latest of November 2026 (clap-rs/clap#6421 describes it). The script
# stores the subcommand as `my__tool__subcmd__serve`, and looks for its options under `my__subcmd__tool__subcmd__serve`: two
# functions in the generator replace hyphens differently. Seen: `my-tool ser` completes to `serve`, `my-tool serve --po` to
# nothing, without a message. With the name `mytool` it completes to `--port`. Replacing the second name by the first in the
# script mends it.
#
# Needs Rust and crates.io. Works in a temp folder. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "completions"
version = "0.0.0"
edition = "2021"

[dependencies]
clap = { version = "=4.6.6", default-features = false, features = ["std"] }
clap_complete = "=4.6.11"

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use clap::{Arg, Command};

fn main() {
    let name: &'static str = Box::leak(std::env::args().nth(1).expect("usage: completions NAME").into_boxed_str());
    let mut tool = Command::new(name).subcommand(Command::new("serve").arg(Arg::new("port").long("port")));
    clap_complete::generate(clap_complete::Shell::Bash, &mut tool, name, &mut std::io::stdout());
}
RUST

# candidates NAME WORD...: what the script $folder/NAME offers for the last word.
candidates() {
  bash -c '. "$1"
    COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)) function=$(complete -p "$2")
    function=${function##*-F } && ${function%% *} "$2" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "$* -> ${COMPREPLY[*]}"' bash "$folder/$1" "$@" | sed "s|^$folder/||; s|^[^ ]* ||"
}
for name in mytool my-tool; do
  cargo run --quiet --manifest-path "$folder/Cargo.toml" -- "$name" >"$folder/$name"
done
sed 's/my__subcmd__tool/my__tool/g' "$folder/my-tool" >"$folder/mended"
{
  candidates mytool ser
  candidates mytool serve --po
  candidates my-tool ser
  candidates my-tool serve --po
  mv "$folder/mended" "$folder/my-tool"
  echo mended
  candidates my-tool serve --po
} | tee "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
mytool ser -> serve
mytool serve --po -> --port
my-tool ser -> serve
my-tool serve --po -> 
mended
my-tool serve --po -> --port
EXPECTED
echo "as described"

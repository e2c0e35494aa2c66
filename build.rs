//! Compiles the protos in pure Rust, so that no `protoc` is needed, and keeps the descriptor set
//! with comments and imports for server reflection and for JSON output. Also finds out which git
//! revision a release is built from.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the program is built from.
const SOURCES: [&str; 6] = ["Cargo.lock", "Cargo.toml", "build.rs", "proto", "simulator", "src"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-env-changed=SOURCE_REVISION");
    if let Some(revision) = revision() {
        println!("cargo::rustc-env=SOURCE_REVISION={revision}");
    }

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("enterprisemanager/v1/replica_session_service.proto")?;

    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("file_descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        // Sorted maps: the same session always prints and encodes the same way.
        .btree_map(".")
        // `gateway/` has a server of its own.
        .build_server(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The git revision, shortened: that of the environment variable, which builds without a checkout set,
/// such as the image's; in release builds else the checkout's. Debug builds do not look, or each commit would
/// compile the crate again.
fn revision() -> Option<String> {
    let given = env::var("SOURCE_REVISION").unwrap_or_default();
    if !given.is_empty() {
        let is_whole = given.len() == 40 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
        return Some(if is_whole { given[..12].to_owned() } else { given });
    }
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    is_release.then(revision_of_checkout).flatten()
}

/// The commit that is checked out, with `-modified` if the sources differ from it. `None` without git
/// or a checkout, also if this folder only lies within another project's.
fn revision_of_checkout() -> Option<String> {
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // Commits, check-outs and resets append to the log. The index would change with `git status`, too.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for source in SOURCES.iter().filter(|source| Path::new(source).exists()) {
        println!("cargo::rerun-if-changed={source}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let mut changes =
        vec!["--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--"];
    changes.extend(SOURCES);
    let is_clean = git(&changes)?.is_empty();
    Some(if is_clean { commit } else { format!("{commit}-modified") })
}

/// What git prints, trimmed; `None` if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

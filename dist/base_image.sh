# For scripts to source: builds of the Dockerfile without a registry. Debian packages and this machine's
# Rust toolchain stand in for the base image, under the name in the Dockerfile. For root; needs buildah and
# mmdebstrap. All images are in target/image.

image_work=$PWD/target/image

# Separate storage, so that the machine's own images are not touched and none is added.
image_storage=(--root "$image_work/storage" --runroot "$image_work/run" --storage-driver overlay)
buildah() { command buildah "${image_storage[@]}" "$@"; }

unmount_images() { umount "$image_work/storage/overlay" 2>/dev/null || true; }

# base_image: prints the name of the base image in the Dockerfile.
base_image() {
  local rust base
  rust=$(sed -n 's/^ARG RUST_VERSION=//p' Dockerfile)
  base=$(sed -n "s/^FROM \(.*\) AS build\$/\1/p" Dockerfile)
  echo "${base/'${RUST_VERSION}'/$rust}"
}

# make_base NAME: creates an image of Debian with a C compiler, and this machine's toolchain in the
# place where the official Rust images have theirs.
make_base() {
  local container root sysroot
  buildah inspect --type image "$1" >/dev/null 2>&1 && return
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  mmdebstrap --quiet --variant=essential --include=gcc,libc6-dev,ca-certificates bookworm "$root"
  sysroot=$(rustc --print sysroot)
  mkdir -p "$root/usr/local/bin" "$root/usr/local/lib/rustlib"
  cp "$sysroot"/bin/{cargo,rustc} "$root/usr/local/bin"
  cp --no-dereference "$sysroot"/lib/*.so* "$root/usr/local/lib"
  cp --recursive "$sysroot"/lib/rustlib/*-unknown-linux-gnu "$root/usr/local/lib/rustlib"
  # The CAs that this machine trusts, so that cargo can reach crates.io from inside the container
  # too.
  cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  buildah umount "$container" >/dev/null
  buildah config --env CARGO_HOME=/usr/local/cargo "$container"
  buildah commit --quiet --rm "$container" "$1" >/dev/null
}

# build_image OPTION...: builds the Dockerfile. Chroot isolation needs no privileges beyond root's, and
# lets the build use this machine's network.
build_image() {
  buildah bud --quiet --pull-never --isolation chroot \
    --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/usr/local/cargo/registry" \
    --build-arg REVISION="$(git rev-parse HEAD)" "$@" . >"$image_work/build.log" 2>&1 || {
    tail -50 "$image_work/build.log" >&2
    echo "error: the image cannot be built" >&2
    return 1
  }
}

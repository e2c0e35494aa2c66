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

# base_recipe: prints a digest of all that the base image is made of. The week is part of it, so that an image of last
# month is not taken for one of today: Debian's packages have been mended since.
base_recipe() {
  { declare -f make_base; rustc --version --verbose; cat /etc/ssl/certs/ca-certificates.crt; date --utc +%G-%V; } |
    sha256sum | cut -d ' ' -f 1
}

# make_base NAME: creates an image of Debian with a C compiler, and this machine's toolchain in the
# place where the official Rust images have theirs. Takes the one that is there if its recipe is the same.
make_base() {
  local container root sysroot recipe
  recipe=$(base_recipe)
  [ "$(buildah inspect --type image --format '{{index .OCIv1.Config.Labels "recipe"}}' "$1" 2>/dev/null)" != "$recipe" ] ||
    return 0
  # With it go the images that were built from it.
  buildah rmi --all --force >/dev/null 2>&1 || true
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  mmdebstrap --quiet --variant=essential --include=gcc,libc6-dev,ca-certificates bookworm "$root"
  sysroot=$(rustc --print sysroot)
  mkdir -p "$root/usr/local/bin" "$root/usr/local/lib/rustlib" "$root/usr/local/cargo"
  cp "$sysroot"/bin/{cargo,rustc} "$root/usr/local/bin"
  cp --no-dereference "$sysroot"/lib/*.so* "$root/usr/local/lib"
  cp --recursive "$sysroot"/lib/rustlib/*-unknown-linux-gnu "$root/usr/local/lib/rustlib"
  # The CAs that this machine trusts, so that cargo can reach crates.io from inside the container too. Only cargo gets
  # them: the image's own are Debian's, and what this machine trusts must not get into them.
  cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/usr/local/cargo/machine.crt"
  buildah umount "$container" >/dev/null
  buildah config --env CARGO_HOME=/usr/local/cargo --env CARGO_HTTP_CAINFO=/usr/local/cargo/machine.crt \
    --label recipe="$recipe" "$container"
  buildah commit --quiet --rm "$container" "$1" >/dev/null
}

# trusts_what_debian_does IMAGE: fails unless the CAs in the image are those in Debian's package, all of them and no other.
trusts_what_debian_does() {
  local container root base base_root result=0
  base=$(buildah from --pull-never "$(base_image)")
  base_root=$(buildah mount "$base")
  container=$(buildah from --pull-never "$1")
  root=$(buildah mount "$container")
  dpkg --root="$base_root" --verify ca-certificates >"$image_work/verified"
  [ ! -s "$image_work/verified" ] || result=1
  diff <(certificates "$base_root"/usr/share/ca-certificates/mozilla/*.crt) \
    <(certificates "$root/etc/ssl/certs/ca-certificates.crt") >"$image_work/cas" || result=1
  [ "$(certificates "$root/etc/ssl/certs/ca-certificates.crt" | wc -l)" -ge 100 ] || result=1
  buildah rm "$container" "$base" >/dev/null
  [ "$result" = 0 ] || echo "error: the CAs in the image are not those in Debian's package" >&2
  return "$result"
}

# certificates FILE...: prints each certificate as one line, sorted.
certificates() { awk '/^-----BEGIN/ {one = ""} {one = one $0} /^-----END/ {print one}' "$@" | sort; }

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

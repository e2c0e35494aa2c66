# The gateway as a container image: the program, the C library that it was linked with, certificates
# to trust, and nothing else. tests/image/run builds and tries it.

ARG RUST_VERSION=1.95.0
FROM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build
# Link-time optimisation saves a tenth of the CPU time of a call and costs minutes of building:
# `--build-arg LTO=off` is for those who only try the image.
ARG LTO=fat
ENV CARGO_PROFILE_RELEASE_LTO=${LTO}
# `--build-arg FEATURES=simulator` adds `simulate` and `demo`, for those who have no Enterprise Manager.
ARG FEATURES=""

# What calls run through, for which the compiler optimises: calls then take a fifth to a third less CPU time.
COPY dist/calls.profdata.gz dist/
RUN gunzip dist/calls.profdata.gz
ENV RUSTFLAGS=-Cprofile-use=/build/dist/calls.profdata

# The dependencies alone, around an empty program: this layer is kept until they change.
COPY Cargo.toml Cargo.lock ./
COPY simulator/Cargo.toml simulator/
COPY dist/pages/Cargo.toml dist/pages/
RUN mkdir src simulator/src dist/pages/src \
    && touch src/lib.rs simulator/src/lib.rs dist/pages/src/main.rs \
    && echo 'fn main() {}' | tee build.rs > src/main.rs \
    && cargo build --release --locked --package replica-session-gateway --no-default-features \
         --features "${FEATURES}" \
    && cargo clean --release --package replica-session-gateway --package simulator \
    && rm -r src build.rs

COPY build.rs ./
COPY proto proto
COPY simulator/src simulator/src
COPY src src
# There is no checkout here that the build could ask for its revision.
ARG REVISION=
RUN SOURCE_REVISION="${REVISION}" cargo build --release --locked --package replica-session-gateway \
         --no-default-features --features "${FEATURES}"
COPY LICENSE ./
COPY dist/notices dist/
RUN dist/notices "${FEATURES}" > target/release/THIRD-PARTY-LICENSES

# A stage of its own, since dist/build puts a program in place of the stage above.
FROM docker.io/library/rust:${RUST_VERSION}-slim-bookworm AS files
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# What the program needs at run time, each file with the record of the package that it is from, so
# that scanners of images know what to look for.
WORKDIR /build
COPY LICENSE ./
COPY --from=build /build/target/release/replica-session-gateway /build/target/release/THIRD-PARTY-LICENSES ./
WORKDIR /image
RUN install -D --target-directory . /build/replica-session-gateway \
    && install -D --mode 644 --target-directory usr/share/doc/replica-session-gateway \
         /build/LICENSE /build/THIRD-PARTY-LICENSES \
    && libraries=$(ldd replica-session-gateway | grep -o '/[^ ]*') \
    && for library in $libraries; do cp --dereference --parents "$library" .; done \
    && install -D --mode 644 --target-directory etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && cp --dereference /etc/os-release etc/ \
    && echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' > etc/passwd \
    && echo 'nonroot:x:65532:' > etc/group \
    && mkdir -p var/lib/dpkg/status.d \
    && for package in ca-certificates libc6 libgcc-s1; do \
         dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package"; \
       done

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="replica-session-gateway" \
      org.opencontainers.image.description="gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=files /image /
# Within a container the loopback defaults would reach nobody. [::] is IPv6 and IPv4, or what there is of them.
ENV GATEWAY_LISTEN=[::]:50051 \
    GATEWAY_ADMIN_LISTEN=[::]:9464 \
    GATEWAY_LOG_FORMAT=json
EXPOSE 50051 9464
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
# Over the admin listener, which has no TLS whatever callers are asked for. Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["/replica-session-gateway", "health", "--readyz"]
ENTRYPOINT ["/replica-session-gateway"]
CMD ["serve"]

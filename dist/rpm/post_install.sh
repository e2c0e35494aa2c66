# As %systemd_post.
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
fi
if [ "$1" -eq 1 ]; then
  systemctl --no-reload preset replica-session-gateway.service || :
  # cargo-generate-rpm has no description of several lines that could say so.
  echo "replica-session-gateway starts when it has been set up: /usr/share/doc/replica-session-gateway/README.md"
fi

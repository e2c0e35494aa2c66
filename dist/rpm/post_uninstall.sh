# As %systemd_postun_with_restart: after an upgrade, a service that runs runs the new program.
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  if [ "$1" -ge 1 ]; then
    systemctl try-restart replica-session-gateway.service || :
  fi
fi

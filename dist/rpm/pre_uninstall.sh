# As %systemd_preun: 0 is a removal, 1 an upgrade.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
  systemctl --no-reload disable --now replica-session-gateway.service || :
fi

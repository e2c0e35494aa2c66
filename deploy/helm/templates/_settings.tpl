{{- /* The settings of the program: a ConfigMap, and variables that follow from other values. */}}

{{- /* What values.yaml calls emConcurrency is GATEWAY_EM_CONCURRENCY. */}}
{{- define "gateway.settings" -}}
GATEWAY_EM_URL: {{ required "enterpriseManager.url is required: the address of Enterprise Manager, such as https://em.example:9398" .Values.enterpriseManager.url | quote }}
GATEWAY_EM_USERNAME: {{ required "enterpriseManager.username is required: an account of Enterprise Manager with the role Portal User" .Values.enterpriseManager.username | quote }}
{{- with .Values.enterpriseManager.pins }}
GATEWAY_EM_PIN_SHA256: {{ join "," . | quote }}
{{- end }}
{{- if .Values.enterpriseManager.allowPlaintext }}
GATEWAY_EM_ALLOW_PLAINTEXT: "true"
{{- end }}
{{- $settings := .Values.settings }}
{{- if eq .Values.mesh "none" }}
{{- /* Clients discover new replicas when they reconnect. */}}
{{- $settings = merge (dict) $settings (dict "maxConnectionAge" "5m") }}
{{- end }}
{{- if .Values.extraEnvFrom }}
{{- /* Other objects follow from these, so no other source may set them. */}}
{{- $settings = merge (dict) $settings (include "gateway.defaults" . | fromJson) }}
{{- end }}
{{- range $name, $value := $settings }}
GATEWAY_{{ snakecase $name | upper }}: {{ ternary $value (int64 $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- with .Values.traces.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "gateway.env" -}}
# IPv6 and IPv4, or what the node has of them.
- name: GATEWAY_LISTEN
  value: "[::]:50051"
- name: GATEWAY_ADMIN_LISTEN
  value: "[::]:9464"
{{- /* The gateway reads this file and the other Secrets' again when they change, so that they need no new pods. */}}
- name: GATEWAY_EM_PASSWORD_FILE
  value: /run/secrets/enterprise-manager/{{ .Values.enterpriseManager.passwordKey }}
{{- with .Values.enterpriseManager.pageTokenKey }}
# All replicas have the same key, so that a list can continue at any of them. Read at the start.
- name: GATEWAY_PAGE_TOKEN_KEY_FILE
  value: /run/secrets/enterprise-manager/{{ . }}
{{- end }}
{{- with .Values.enterpriseManager.pinKey }}
- name: GATEWAY_EM_PIN_FILE
  value: /run/secrets/enterprise-manager/{{ . }}
{{- end }}
{{- with .Values.enterpriseManager.caKey }}
- name: GATEWAY_EM_CA_FILE
  value: /run/secrets/enterprise-manager/{{ . }}
{{- end }}
{{- if include "gateway.tls" . }}
- name: GATEWAY_TLS_CERT_FILE
  value: /run/secrets/tls/tls.crt
- name: GATEWAY_TLS_KEY_FILE
  value: /run/secrets/tls/tls.key
{{- if .Values.tls.clientCertificates }}
- name: GATEWAY_CLIENT_CA_FILE
  value: /run/secrets/tls/ca.crt
{{- end }}
{{- end }}
{{- $identity := include "gateway.identity" . }}
{{- if ne $identity "certificate" }}
- name: GATEWAY_CALLER_IDENTITY
  value: {{ $identity }}
{{- /* Istio's sidecar connects from 127.0.0.6, or from ::6 over IPv6; Linkerd's proxy from the pod's own address. */}}
{{- $proxies := default (eq .Values.mesh "istio" | ternary (list "loopback" "::6") (list "loopback")) .Values.callers.trustedProxies }}
- name: GATEWAY_TRUSTED_PROXIES
  value: {{ join "," $proxies | quote }}
{{- end }}
{{- if and (eq .Values.mesh "none") (not .Values.callers.any) }}
- name: GATEWAY_ALLOW_CALLER
  value: {{ include "gateway.callers" . | fromJsonArray | join "," | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

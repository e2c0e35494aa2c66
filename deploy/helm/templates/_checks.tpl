{{- /* What the schema cannot say: values that contradict each other. Each message says what to change. */}}
{{- define "gateway.checks" -}}
{{- $em := .Values.enterpriseManager }}
{{- $callers := .Values.callers }}
{{- $given := or $callers.serviceAccounts $callers.names }}
{{- if and (hasPrefix "http://" $em.url) (not $em.allowPlaintext) }}
{{- fail "enterpriseManager.url has http://, so anybody on the network can read the password: use https://, or set enterpriseManager.allowPlaintext" }}
{{- end }}
{{- if and $em.caKey (or $em.pins $em.pinKey) }}
{{- fail "enterpriseManager.caKey excludes enterpriseManager.pins and .pinKey: trust either an authority or pins" }}
{{- end }}
{{- if and (ne .Values.mesh "none") (eq (toString .Values.tls.enabled) "true") }}
{{- fail "tls.enabled has to be auto or false in a mesh, whose sidecars do TLS" }}
{{- end }}
{{- if and $given $callers.any }}
{{- fail "callers.any excludes callers.serviceAccounts and callers.names" }}
{{- end }}
{{- if not (or $given $callers.any) }}
{{- fail "who may call? Set callers.serviceAccounts or callers.names, or callers.any: true" }}
{{- end }}
{{- $certificates := and (include "gateway.tls" .) .Values.tls.clientCertificates }}
{{- if and $given (eq .Values.mesh "none") (eq (include "gateway.identity" .) "certificate") (not $certificates) }}
{{- fail "without a mesh and without tls.clientCertificates, callers have no names: set callers.any: true in place of callers.serviceAccounts and callers.names, or callers.identity for the header of your proxy" }}
{{- end }}
{{- if and $callers.trustedProxies (eq (include "gateway.identity" .) "certificate") }}
{{- fail "callers.trustedProxies needs callers.identity: xfcc or l5d-client-id" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas" }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if hasPrefix "GATEWAY_" .name }}
{{- fail (printf "extraEnv must not set %s: README.md says which value does" .name) }}
{{- end }}
{{- end }}
{{- end }}

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
{{- $ofMesh := get (dict "istio" "xfcc" "linkerd" "l5d-client-id") .Values.mesh }}
{{- if and $ofMesh $callers.identity (ne $callers.identity $ofMesh) }}
{{- fail (printf "callers.identity has to be empty with mesh: %s, whose sidecar says who calls with %s" .Values.mesh $ofMesh) }}
{{- end }}
{{- if and (not $ofMesh) (ne (include "gateway.identity" .) "certificate") (not $callers.trustedProxies) (not .Values.extraContainers) }}
{{- fail (printf "callers.identity: %s without a mesh needs callers.trustedProxies: the names in the certificates, or the networks, of the proxies whose header is believed. Without them only a proxy in the pod itself is, as one of extraContainers" $callers.identity) }}
{{- end }}
{{- if not $callers.podLabels }}
{{- fail "callers.podLabels has to have a label: without one, the NetworkPolicy would let in every pod. To change the label, set that of the default to null and add another" }}
{{- end }}
{{- if regexMatch "@|:[^/]*$" .Values.image.repository }}
{{- fail "image.repository has a tag or digest: put it into image.tag or image.digest" }}
{{- end }}
{{- $fullname := include "gateway.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
{{- fail (printf "no Service can be called %s: set fullnameOverride to lower-case letters, digits and hyphens, a letter first" $fullname) }}
{{- end }}
{{- range $name := list "defaultDeadline" "maxDeadline" "watchInterval" "watchIntervalMax" "maxConnectionAge" }}
{{- $value := get $.Values.settings $name }}
{{- if and $value (eq (include "gateway.milliseconds" $value | int64) 0) }}
{{- fail (printf "settings.%s is zero, which is not allowed" $name) }}
{{- end }}
{{- end }}
{{- with .Values.settings.watchHeartbeat }}
{{- $heartbeat := include "gateway.milliseconds" . | int64 }}
{{- if or (lt $heartbeat 1000) (gt $heartbeat 240000) }}
{{- fail (printf "settings.watchHeartbeat: %s is not from 1s to 4m" .) }}
{{- end }}
{{- end }}
{{- range .Values.extraArgs }}
{{- /* Other objects follow from these, or the files that the pod has. */}}
{{- $option := regexFind "^--(listen|admin-listen|tls-(cert|key)-file|client-ca-file|caller-identity|trusted-proxies|allow-caller|em-url|em-username|em-password-file|em-ca-file|em-pin-sha256|em-pin-file|em-allow-plaintext|page-token-key-file|max-deadline|drain-timeout|lame-duck)(=|$)" . }}
{{- if $option }}
{{- fail (printf "extraArgs must not have %s: README.md says which value sets it" (trimSuffix "=" $option)) }}
{{- end }}
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

{{- /* What follows from the values: times, ports, TLS, callers. */}}

{{- /* Milliseconds of a duration such as 1m30s. */}}
{{- define "gateway.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 }}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $sum }}
{{- end }}

{{- /* The same in whole seconds, rounded up. */}}
{{- define "gateway.seconds" -}}
{{- div (add (include "gateway.milliseconds" . | int64) 999) 1000 }}
{{- end }}

{{- /* The program's defaults of the times from which others follow, as JSON. */}}
{{- define "gateway.defaults" -}}
{{- dict "lameDuck" "3s" "drainTimeout" "20s" "maxDeadline" "60s" | toJson }}
{{- end }}

{{- define "gateway.lameDuck" -}}
{{- $default := get (include "gateway.defaults" . | fromJson) "lameDuck" }}
{{- include "gateway.seconds" (default $default .Values.settings.lameDuck) }}
{{- end }}

{{- /* Lame duck, drain, logoff 2 s, last traces 2 s. */}}
{{- define "gateway.stop" -}}
{{- $default := get (include "gateway.defaults" . | fromJson) "drainTimeout" }}
{{- add (include "gateway.lameDuck" .) (include "gateway.seconds" (default $default .Values.settings.drainTimeout)) 4 }}
{{- end }}

{{- /* A little more than --max-deadline, so that the gateway ends a late call, and not the mesh. */}}
{{- define "gateway.routeTimeout" -}}
{{- $default := get (include "gateway.defaults" . | fromJson) "maxDeadline" }}
{{- printf "%ds" (add 1 (include "gateway.seconds" (default $default .Values.settings.maxDeadline))) }}
{{- end }}

{{- define "gateway.emPort" -}}
{{- $url := urlParse .Values.enterpriseManager.url }}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "http" | ternary "80" "443") }}
{{- end }}

{{- define "gateway.collectorPort" -}}
{{- if .Values.traces.endpoint }}
{{- $url := urlParse .Values.traces.endpoint }}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "http" | ternary "80" "443") }}
{{- else }}4317
{{- end }}
{{- end }}

{{- /* "true" if the gateway itself speaks TLS to its callers. */}}
{{- define "gateway.tls" -}}
{{- $enabled := toString .Values.tls.enabled }}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") (eq .Values.mesh "none")) }}true{{ end }}
{{- end }}

{{- /* What says who calls. */}}
{{- define "gateway.identity" -}}
{{- $ofMesh := dict "none" "certificate" "istio" "xfcc" "linkerd" "l5d-client-id" }}
{{- default (get $ofMesh .Values.mesh) .Values.callers.identity }}
{{- end }}

{{- /* Who may call, as JSON: a list of names in the form that the mesh, or else the gateway, compares with. */}}
{{- define "gateway.callers" -}}
{{- $names := .Values.callers.names }}
{{- range .Values.callers.serviceAccounts }}
{{- $path := printf "%s/ns/%s/sa/%s" $.Values.trustDomain .namespace .name }}
{{- if eq $.Values.mesh "istio" }}
{{- $names = append $names $path }}
{{- else if eq $.Values.mesh "linkerd" }}
{{- $authority := printf "identity.%s.%s" $.Values.linkerd.namespace $.Values.trustDomain }}
{{- $names = append $names (printf "%s.%s.serviceaccount.%s" .name .namespace $authority) }}
{{- else }}
{{- $names = append $names (printf "spiffe://%s" $path) }}
{{- end }}
{{- end }}
{{- if .Values.callers.any }}
{{- $names = list "*" }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{- define "gateway.emSecret" -}}
{{- default (printf "%s-enterprise-manager" (include "gateway.fullname" .)) .Values.enterpriseManager.existingSecret }}
{{- end }}

{{- define "gateway.tlsSecret" -}}
{{- default (printf "%s-tls" (include "gateway.fullname" .)) .Values.tls.existingSecret }}
{{- end }}

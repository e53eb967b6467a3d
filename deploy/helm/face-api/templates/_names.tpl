{{- define "face-api.name" -}}{{ printf "%s-face-api" .Release.Name | trunc 52 | trimSuffix "-" }}{{- end }}

{{- define "face-api.selector" -}}
app.kubernetes.io/name: face-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "face-api.labels" -}}
{{ include "face-api.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "face-api.shut" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* The most pods there may be. */}}
{{- define "face-api.pods" -}}
{{ if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicas }}{{ end }}
{{- end }}

{{/* What would lose requests, or never work, is refused with the value to mend. */}}
{{- define "face-api.refusals" -}}
{{- $v := .Values }}
{{- $surge := ternary 0 1 $v.gpu.enabled }}
{{- if eq $v.image.tag "latest" }}{{ fail "image.tag: `latest` is another image tomorrow; name a version" }}{{ end }}
{{- if and $v.gpu.enabled (not (kindIs "invalid" $v.rollingUpdate.maxSurge)) (ne (toString $v.rollingUpdate.maxSurge | trimSuffix "%") "0") }}{{ fail "rollingUpdate.maxSurge: a pod with a card waits for a free card; leave it out, or set 0" }}{{ end }}
{{- if and (eq (toString $v.rollingUpdate.maxSurge | trimSuffix "%") "0") (eq (toString $v.rollingUpdate.maxUnavailable | trimSuffix "%") "0") }}{{ fail "rollingUpdate: with neither surge nor a pod less nothing can be updated" }}{{ end }}
{{- if and $v.autoscaling.enabled (lt (int $v.autoscaling.maxReplicas) (int $v.autoscaling.minReplicas)) }}{{ fail "autoscaling.maxReplicas is less than minReplicas" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) (not $v.secrets.databaseUrl.name) }}{{ fail "secrets.databaseUrl.name: several pods need one key store, PostgreSQL; name the Secret with its address" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) (not $v.secrets.pepper.name) }}{{ fail "secrets.pepper.name: several pods need one pepper, or a key is known to one of them alone; name the Secret" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) $v.data.existingClaim }}{{ fail "data.existingClaim: one claim is for one pod; leave it out for several" }}{{ end }}
{{- if lt (float64 $v.times.grace) (addf $v.times.drainDelay $v.times.stopGrace 30) }}{{ fail "times.grace must be drainDelay + stopGrace + 30 or more: pods would be killed with requests in flight" }}{{ end }}
{{- if le (float64 $v.times.stopGrace) (float64 $v.times.request) }}{{ fail "times.stopGrace must be more than times.request" }}{{ end }}
{{- if and $v.autoscaling.enabled (gt (int (mul 4 $v.autoscaling.requestsInHouse)) (int ($v.settings.max_queue | default 256))) }}{{ fail "autoscaling.requestsInHouse must be a quarter of max_queue or less: else requests are refused before a pod comes" }}{{ end }}
{{- if ne (empty $v.model.url) (empty $v.model.sha256) }}{{ fail "model: url and sha256 belong together" }}{{ end }}
{{- range $name := list "request_timeout" "keep_alive" "drain_delay" "stop_grace" "termination_grace" }}{{ if hasKey $v.settings $name }}{{ fail (printf "settings.%s comes from times" $name) }}{{ end }}{{ end }}
{{- range $name := list "host" "port" "data_dir" "metrics_host" "metrics_port" "database_url" "key_pepper" "redis_url" "trusted_proxies" "model" }}{{ if hasKey $v.settings $name }}{{ fail (printf "settings.%s is the chart's own; there is another value for it" $name) }}{{ end }}{{ end }}
{{- end }}

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

{{/* What the two kinds of pods differ in. front: whole pods, or gateways alone. */}}
{{- define "face-api.front" -}}
{{- $v := .Values }}
{{- $alone := $v.split.enabled }}
name: {{ include "face-api.name" . }}
component: front
role: {{ ternary "gateway" "both" $alone }}
card: {{ and $v.gpu.enabled (not $alone) }}
replicas: {{ $v.replicas }}
workers: {{ printf "%s-workers.%s.svc" (include "face-api.name" .) .Release.Namespace }}
secret: {{- toYaml $v.split.gatewayKey | nindent 2 }}
peers: {{ $v.split.workersPublic | quote }}
secrets:
  DATABASE_URL: {{- toYaml $v.secrets.databaseUrl | nindent 4 }}
  KEY_PEPPER: {{- toYaml $v.secrets.pepper | nindent 4 }}
  REDIS_URL: {{- toYaml $v.secrets.redisUrl | nindent 4 }}
{{ pick $v "autoscaling" "rollingUpdate" "resources" "nodeSelector" "tolerations" | toYaml }}
{{- end }}

{{- define "face-api.workers" -}}
{{- $v := .Values }}
name: {{ include "face-api.name" . }}-workers
component: workers
role: workers
card: {{ $v.gpu.enabled }}
secret: {{- toYaml $v.split.workerKey | nindent 2 }}
peers: {{ $v.split.gatewaysPublic | quote }}
secrets: {}
{{ pick $v.split.workers "replicas" "autoscaling" "rollingUpdate" "resources" "nodeSelector" "tolerations" | toYaml }}
{{- end }}

{{- define "face-api.workerPods" -}}
{{ with .Values.split.workers }}{{ if .autoscaling.enabled }}{{ .autoscaling.maxReplicas }}{{ else }}{{ .replicas }}{{ end }}{{ end }}
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
{{- $carried := ternary $v.split.workers.rollingUpdate $v.rollingUpdate $v.split.enabled }}
{{- if eq $v.image.tag "latest" }}{{ fail "image.tag: `latest` is another image tomorrow; name a version" }}{{ end }}
{{- if and $v.gpu.enabled (not (kindIs "invalid" $carried.maxSurge)) (ne (toString $carried.maxSurge | trimSuffix "%") "0") }}{{ fail "rollingUpdate.maxSurge: a pod with a card waits for a free card; leave it out, or set 0" }}{{ end }}
{{- if and (eq (toString $v.rollingUpdate.maxSurge | trimSuffix "%") "0") (eq (toString $v.rollingUpdate.maxUnavailable | trimSuffix "%") "0") }}{{ fail "rollingUpdate: with neither surge nor a pod less nothing can be updated" }}{{ end }}
{{- if and $v.autoscaling.enabled (lt (int $v.autoscaling.maxReplicas) (int $v.autoscaling.minReplicas)) }}{{ fail "autoscaling.maxReplicas is less than minReplicas" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) (not $v.secrets.databaseUrl.name) }}{{ fail "secrets.databaseUrl.name: several pods need one key store, PostgreSQL; name the Secret with its address" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) (not $v.secrets.pepper.name) }}{{ fail "secrets.pepper.name: several pods need one pepper, or a key is known to one of them alone; name the Secret" }}{{ end }}
{{- if and (gt (int (include "face-api.pods" .)) 1) $v.data.existingClaim }}{{ fail "data.existingClaim: one claim is for one pod; leave it out for several" }}{{ end }}
{{- if lt (float64 $v.times.grace) (addf $v.times.drainDelay $v.times.stopGrace 30) }}{{ fail "times.grace must be drainDelay + stopGrace + 30 or more: pods would be killed with requests in flight" }}{{ end }}
{{- if le (float64 $v.times.stopGrace) (float64 $v.times.request) }}{{ fail "times.stopGrace must be more than times.request" }}{{ end }}
{{- if and $v.autoscaling.enabled (gt (int (mul 4 $v.autoscaling.requestsInHouse)) (int ($v.settings.max_queue | default 256))) }}{{ fail "autoscaling.requestsInHouse must be a quarter of max_queue or less: else requests are refused before a pod comes" }}{{ end }}
{{- if ne (empty $v.model.url) (empty $v.model.sha256) }}{{ fail "model: url and sha256 belong together" }}{{ end }}
{{- if $v.split.enabled }}{{ include "face-api.splitRefusals" . }}
{{- else if or $v.split.gatewayKey.name $v.split.workerKey.name $v.split.workersPublic $v.split.gatewaysPublic }}{{ fail "split: keys are named and split.enabled is false; whole pods need none" }}{{ end }}
{{- range $name := list "request_timeout" "keep_alive" "drain_delay" "stop_grace" "termination_grace" }}{{ if hasKey $v.settings $name }}{{ fail (printf "settings.%s comes from times" $name) }}{{ end }}{{ end }}
{{- range $name := list "host" "port" "data_dir" "metrics_host" "metrics_port" "role" "wire_bind" "wire_hosts" "wire_key" "wire_peers" "database_url" "key_pepper" "redis_url" "trusted_proxies" "model" }}{{ if hasKey $v.settings $name }}{{ fail (printf "settings.%s is the chart's own; there is another value for it" $name) }}{{ end }}{{ end }}
{{- end }}

{{- define "face-api.splitRefusals" -}}
{{- $v := .Values }}
{{- $w := $v.split.workers }}
{{- $make := "`python -m deploy.wire_keys NAME` makes a pair" }}
{{- if not $v.split.gatewayKey.name }}{{ fail (printf "split.gatewayKey.name: name the Secret with the gateways' secret key; %s" $make) }}{{ end }}
{{- if not $v.split.workerKey.name }}{{ fail (printf "split.workerKey.name: name the Secret with the workers' secret key; %s" $make) }}{{ end }}
{{- if not $v.split.workersPublic }}{{ fail "split.workersPublic: name the ConfigMap with the workers' *.pub; gateways speak to no others" }}{{ end }}
{{- if not $v.split.gatewaysPublic }}{{ fail "split.gatewaysPublic: name the ConfigMap with the gateways' *.pub; workers let no others in" }}{{ end }}
{{- if and (eq $v.split.gatewayKey.name $v.split.workerKey.name) (eq $v.split.gatewayKey.key $v.split.workerKey.key) }}{{ fail "split: gatewayKey and workerKey are one; each half needs a key of its own" }}{{ end }}
{{- if eq $v.split.gatewaysPublic $v.split.workersPublic }}{{ fail "split: gatewaysPublic and workersPublic are one ConfigMap; each half would let its own in" }}{{ end }}
{{- if hasKey $v.settings "workers" }}{{ fail "settings.workers: in split mode it is split.workers.perPod" }}{{ end }}
{{- if hasKey $v.settings "transport" }}{{ fail "settings.transport: the halves speak tcp" }}{{ end }}
{{- if and $v.gpu.enabled (gt (int $w.perPod) (int $v.gpu.count)) }}{{ fail "split.workers.perPod is more than gpu.count: a worker has a card of its own" }}{{ end }}
{{- if and (eq (toString $w.rollingUpdate.maxSurge | trimSuffix "%") "0") (eq (toString $w.rollingUpdate.maxUnavailable | trimSuffix "%") "0") }}{{ fail "split.workers.rollingUpdate: with neither surge nor a pod less nothing can be updated" }}{{ end }}
{{- if and $w.autoscaling.enabled (lt (int $w.autoscaling.maxReplicas) (int $w.autoscaling.minReplicas)) }}{{ fail "split.workers.autoscaling.maxReplicas is less than minReplicas" }}{{ end }}
{{- if and $v.gpu.enabled (eq (int (include "face-api.workerPods" .)) 1) }}{{ fail "split.workers.replicas: one pod of workers with a card is updated without another, and nobody answers meanwhile; take 2 or more" }}{{ end }}
{{- end }}

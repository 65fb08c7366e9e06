{{- define "nqgate.name" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "nqgate.selected" -}}
app.kubernetes.io/name: nqgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nqgate.labels" -}}
{{ include "nqgate.selected" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "nqgate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* gateway.toml: what the chart decides, and over it what `settings` says. */ -}}
{{- define "nqgate.configuration" -}}
{{- $s3 := dict "listen" "0.0.0.0:9000" -}}
{{- if .Values.secrets.s3Tls -}}
{{- $_ := set $s3 "tls_certificate" "/run/nqgate/s3.pem" -}}
{{- $_ := set $s3 "tls_key" "/run/nqgate/s3.key" -}}
{{- end -}}
{{- $console := dict "listen" "127.0.0.1:9001" -}}
{{- if .Values.secrets.consoleTls -}}
{{- $console = dict "listen" "0.0.0.0:9001" "tls_certificate" "/run/nqgate/console.pem" "tls_key" "/run/nqgate/console.key" -}}
{{- end -}}
{{- if .Values.consoleUrl -}}
{{- $_ := set $console "public_url" .Values.consoleUrl -}}
{{- end -}}
{{- $upstream := dict "endpoint" .Values.upstream.endpoint "profile" .Values.upstream.profile "region" .Values.upstream.region "access_key_id" .Values.upstream.accessKeyId "secret_access_key_file" "/run/nqgate/upstream-secret" -}}
{{- $keystore := dict "kek_file" "/run/nqgate/kek" "state_file" "/var/lib/nqgate/keystore.state" -}}
{{- if not .Values.secrets.keystoreUrl.name -}}
{{- $_ := set $keystore "url" "sqlite:////var/lib/nqgate/keystore.db" -}}
{{- end -}}
{{- $own := dict "s3" $s3 "console" $console "upstream" $upstream "keystore" $keystore "limits" (dict "spool_dir" "/var/lib/nqgate") "log" (dict "format" "json") -}}
{{- mergeOverwrite $own (deepCopy .Values.settings) | toToml -}}
{{- end -}}

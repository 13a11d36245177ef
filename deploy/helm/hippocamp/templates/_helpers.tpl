{{/* Names of services have 63 letters at most, and one of them ends with -metrics. */}}
{{- define "hippocamp.name" -}}
{{- if contains "hippocamp" .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-hippocamp" .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hippocamp.selector" -}}
app.kubernetes.io/name: hippocamp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hippocamp.labels" -}}
{{ include "hippocamp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hippocamp.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "hippocamp.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end -}}
{{- end -}}

{{- define "hippocamp.name" -}}
{{- if contains "hippocamp" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-hippocamp" .Release.Name | trunc 63 | trimSuffix "-" -}}
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
{{- if .Values.serviceAccount.create }}{{ include "hippocamp.name" . }}{{ else }}default{{ end -}}
{{- end -}}

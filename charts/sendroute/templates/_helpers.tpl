{{- define "sendroute.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The release's full name: the prefix of every object's name. */ -}}
{{- define "sendroute.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "sendroute.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sendroute.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "sendroute.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Takes root and component: operator or relay. They never change: a Deployment's selector is immutable. */ -}}
{{- define "sendroute.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sendroute.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "sendroute.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sendroute.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Comma-separated; empty: all namespaces. */ -}}
{{- define "sendroute.watchNamespaces" -}}
{{- join "," .Values.watchNamespaces }}
{{- end }}

{{- /* Takes root and image. */ -}}
{{- define "sendroute.image" -}}
{{- $reference := printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) }}
{{- if .image.digest }}
{{- printf "%s@%s" $reference .image.digest }}
{{- else }}
{{- $reference }}
{{- end }}
{{- end }}

{{- /* Takes root and secretName. The password is a variable of libpq, never a part of a command. */ -}}
{{- define "sendroute.postgresqlEnv" -}}
{{- $postgresql := .root.Values.store.postgresql }}
- name: SENDROUTE_STORE
  valueFrom:
    secretKeyRef: {name: {{ .secretName }}, key: {{ $postgresql.urlKey }}}
{{- with $postgresql.passwordKey }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $.secretName }}, key: {{ . }}}
{{- end }}
{{- if $postgresql.caKey }}
- name: PGSSLROOTCERT
  value: /etc/sendroute/database/ca.crt
{{- end }}
{{- end }}

{{- define "sendroute.databaseMount" -}}
{{- with .Values.store.postgresql }}
{{- if and .enabled .caKey }}
- {name: database, mountPath: /etc/sendroute/database, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- /* Takes root and secretName. */ -}}
{{- define "sendroute.databaseVolume" -}}
{{- $secretName := .secretName }}
{{- with .root.Values.store.postgresql }}
{{- if and .enabled .caKey }}
- name: database
  secret:
    secretName: {{ $secretName }}
    defaultMode: 0444
    items: [{key: {{ .caKey }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end }}

{{- /* The variables that every command of the operator's pod needs to find its store and its key. */ -}}
{{- define "sendroute.storeEnv" -}}
{{- if .Values.store.postgresql.enabled }}
{{- include "sendroute.postgresqlEnv" (dict "root" . "secretName" .Values.store.postgresql.secretName) }}
{{- else }}
- name: SENDROUTE_STORE
  value: sqlite:////var/lib/sendroute/sendroute.db
{{- end }}
- name: SENDROUTE_KEY_FILE
  value: /etc/sendroute/key/key
{{- end }}

{{- define "sendroute.storeMounts" -}}
- {name: key, mountPath: /etc/sendroute/key, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if not .Values.store.postgresql.enabled }}
- {name: store, mountPath: /var/lib/sendroute}
{{- end }}
{{- with include "sendroute.databaseMount" . }}
{{ . }}
{{- end }}
{{- end }}

{{- define "sendroute.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* Postfix's parameters: the chart's, then the user's. */ -}}
{{- define "sendroute.postfixParameters" -}}
{{- $parameters := dict
  "compatibility_level" "3.6"
  "maillog_file" "/dev/stdout"
  "data_directory" "/var/lib/postfix/data"
  "myhostname" .Values.relay.hostname
  "mynetworks" (join ", " .Values.relay.networks)
  "inet_interfaces" "all"
  "alias_maps" ""
  "alias_database" ""
  "authorized_submit_users" "root"
}}
{{- if .Values.relay.tlsSecretName }}
{{- $_ := set $parameters "smtpd_tls_cert_file" "/etc/sendroute/tls/tls.crt" }}
{{- $_ := set $parameters "smtpd_tls_key_file" "/etc/sendroute/tls/tls.key" }}
{{- $_ := set $parameters "smtpd_tls_security_level" "may" }}
{{- $_ := set $parameters "smtpd_tls_auth_only" "yes" }}
{{- end }}
{{- if .Values.relay.saslSecretName }}
{{- $_ := set $parameters "smtpd_sasl_auth_enable" "yes" }}
{{- end }}
{{- toJson (mergeOverwrite $parameters .Values.relay.settings) }}
{{- end }}

{{- define "sendroute.relayStoreSecret" -}}
{{- .Values.relay.storeSecretName | default .Values.store.postgresql.secretName }}
{{- end }}

{{- define "sendroute.relayEnv" -}}
{{- include "sendroute.postgresqlEnv" (dict "root" . "secretName" (include "sendroute.relayStoreSecret" .)) }}
- name: SENDROUTE_DIR
  value: /var/lib/sendroute-relay
{{- end }}

{{- define "sendroute.relayMounts" -}}
- {name: config, mountPath: /etc/postfix}
- {name: tables, mountPath: /var/lib/sendroute-relay}
- {name: queue, mountPath: /var/spool/postfix}
- {name: data, mountPath: /var/lib/postfix}
{{- end }}

{{- /* Values that contradict each other are refused before anything is rendered. */ -}}
{{- define "sendroute.validate" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.store.postgresql.enabled) }}
{{- fail "replicas: more than one needs store.postgresql.enabled, because SQLite is a file of one pod." }}
{{- end }}
{{- if and .Values.relay.enabled (not .Values.store.postgresql.enabled) }}
{{- fail "relay.enabled needs store.postgresql.enabled, because SQLite is a file of the operator's pod." }}
{{- end }}
{{- if and .Values.relay.enabled (not .Values.relay.hostname) }}
{{- fail "relay.hostname: set the name that Postfix greets with." }}
{{- end }}
{{- if and .Values.platform (not .Values.watchNamespaces) }}
{{- fail "platform needs watchNamespaces. Without it, create the object MailPlatform/default." }}
{{- end }}
{{- end }}

{{- /* Takes root, name and perhaps paramRef: puts a ValidatingAdmissionPolicy into effect. */ -}}
{{- define "sendroute.policyBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "sendroute.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
  {{- with .paramRef }}
  paramRef: {{ toJson . }}
  {{- end }}
{{- end }}

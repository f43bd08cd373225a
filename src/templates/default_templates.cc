// The templates that notifications use when nobody wrote others. The names are
// Alertmanager's, so that files which build on them go on working; the texts are ours.

#include "templates/template_set.h"

#include <string>

namespace templates {

namespace {

constexpr std::string_view kTexts = R"({{ define "__alertmanager" }}Petrel{{ end }}
{{ define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}{{ end }}

{{ define "__subject" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }}{{ if gt (len .CommonLabels) (len .GroupLabels) }} ({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join " " }}{{ end }}){{ end }}{{ end }}
{{ define "__description" }}{{ end }}

{{ define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{ define "__text_alert_list_markdown" }}{{ range . }}
Labels:
{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Annotations:
{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Source: {{ .GeneratorURL }}
{{ end }}{{ end }}

{{ define "__firing_and_resolved" }}{{ if gt (len .Alerts.Firing) 0 }}Alerts Firing:
{{ template "__text_alert_list" .Alerts.Firing }}{{ end }}{{ if gt (len .Alerts.Resolved) 0 }}Alerts Resolved:
{{ template "__text_alert_list" .Alerts.Resolved }}{{ end }}{{ end }}
{{ define "__firing_and_resolved_markdown" }}{{ if gt (len .Alerts.Firing) 0 }}# Alerts Firing:
{{ template "__text_alert_list_markdown" .Alerts.Firing }}{{ end }}{{ if gt (len .Alerts.Resolved) 0 }}# Alerts Resolved:
{{ template "__text_alert_list_markdown" .Alerts.Resolved }}{{ end }}{{ end }}
{{ define "__summaries" }}{{ .CommonAnnotations.SortedPairs.Values | join " " }}
{{ template "__firing_and_resolved" . }}{{ end }}

{{ define "slack.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "slack.default.username" }}{{ template "__alertmanager" . }}{{ end }}
{{ define "slack.default.fallback" }}{{ template "slack.default.title" . }} | {{ template "slack.default.titlelink" . }}{{ end }}
{{ define "slack.default.callbackid" }}{{ end }}
{{ define "slack.default.pretext" }}{{ end }}
{{ define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "slack.default.iconemoji" }}{{ end }}
{{ define "slack.default.iconurl" }}{{ end }}
{{ define "slack.default.text" }}{{ end }}
{{ define "slack.default.footer" }}{{ end }}
{{ define "slack.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end }}
{{ define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end }}
{{ define "pagerduty.default.client" }}{{ template "__alertmanager" . }}{{ end }}
{{ define "pagerduty.default.clientURL" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "pagerduty.default.instances" }}{{ template "__text_alert_list" . }}{{ end }}
{{ define "opsgenie.default.message" }}{{ template "__subject" . }}{{ end }}
{{ define "opsgenie.default.description" }}{{ template "__summaries" . }}{{ end }}
{{ define "opsgenie.default.source" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "wechat.default.message" }}{{ template "__subject" . }}
{{ template "__summaries" . }}AlertmanagerUrl:
{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "wechat.default.to_user" }}{{ end }}
{{ define "wechat.default.to_party" }}{{ end }}
{{ define "wechat.default.to_tag" }}{{ end }}
{{ define "wechat.default.agent_id" }}{{ end }}
{{ define "victorops.default.state_message" }}{{ template "__summaries" . }}{{ end }}
{{ define "victorops.default.entity_display_name" }}{{ template "__subject" . }}{{ end }}
{{ define "victorops.default.monitoring_tool" }}{{ template "__alertmanager" . }}{{ end }}
{{ define "pushover.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "pushover.default.message" }}{{ template "__summaries" . }}{{ end }}
{{ define "pushover.default.url" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "sns.default.subject" }}{{ template "__subject" . }}{{ end }}
{{ define "sns.default.message" }}{{ template "__summaries" . }}{{ end }}
{{ define "telegram.default.message" }}{{ template "__firing_and_resolved" . }}{{ end }}
{{ define "discord.default.content" }}{{ end }}
{{ define "discord.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "discord.default.message" }}{{ template "__firing_and_resolved" . }}{{ end }}
{{ define "webex.default.message" }}{{ template "__summaries" . }}{{ end }}
{{ define "msteams.default.summary" }}{{ template "__subject" . }}{{ end }}
{{ define "msteams.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteams.default.text" }}{{ template "__firing_and_resolved_markdown" . }}{{ end }}
{{ define "msteamsv2.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteamsv2.default.text" }}{{ template "__firing_and_resolved_markdown" . }}{{ end }}
{{ define "jira.default.summary" }}{{ template "__subject" . }}{{ end }}
{{ define "jira.default.description" }}{{ template "__firing_and_resolved_markdown" . }}{{ end }}
{{ define "jira.default.priority" }}{{ end }}
{{ define "rocketchat.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "rocketchat.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "rocketchat.default.alias" }}{{ template "__alertmanager" . }}{{ end }}
{{ define "rocketchat.default.emoji" }}{{ end }}
{{ define "rocketchat.default.iconurl" }}{{ end }}
{{ define "rocketchat.default.text" }}{{ end }}
{{ define "mattermost.default.username" }}{{ template "__alertmanager" . }}{{ end }}
{{ define "mattermost.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "mattermost.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "mattermost.default.fallback" }}{{ template "__subject" . }}{{ end }}
{{ define "mattermost.default.text" }}{{ template "__firing_and_resolved_markdown" . }}{{ end }}

{{ define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
{{ define "email.default.text" }}{{ template "__subject" . }}

{{ if gt (len .Alerts.Firing) 0 }}{{ .Alerts.Firing | len }} firing:

{{ range .Alerts.Firing }}{{ template "__email_alert_text" . }}{{ end }}{{ end }}{{ if gt (len .Alerts.Resolved) 0 }}{{ .Alerts.Resolved | len }} resolved:

{{ range .Alerts.Resolved }}{{ template "__email_alert_text" . }}{{ end }}{{ end }}{{ .ExternalURL }}
{{ end }}
{{ define "__email_alert_text" }}{{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value }}
{{ end }}{{ range .Annotations.SortedPairs }}{{ .Name }}: {{ .Value }}
{{ end }}since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}{{ if not .EndsAt.IsZero }} until {{ .EndsAt.Format "2006-01-02 15:04:05 MST" }}{{ end }}
{{ .GeneratorURL }}

{{ end }}
)";

constexpr std::string_view kHtml = R"(
{{ define "__email_alerts" }}{{ range . }}
<tr><td style="padding:12px 20px;border-top:1px solid #dde3e8">
<table role="presentation" cellpadding="0" cellspacing="0" style="font-size:14px;line-height:20px">
{{ range .Labels.SortedPairs }}<tr><td style="color:#5b6b79;padding-right:12px;vertical-align:top">{{ .Name }}</td><td>{{ .Value }}</td></tr>
{{ end }}</table>
{{ range .Annotations.SortedPairs }}<p style="margin:8px 0 0"><strong>{{ .Name }}</strong>: {{ .Value }}</p>
{{ end }}<p style="margin:8px 0 0;color:#5b6b79;font-size:13px">since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}{{ if not .EndsAt.IsZero }}, ended {{ .EndsAt.Format "2006-01-02 15:04:05 MST" }}{{ end }}{{ if .GeneratorURL }} &middot; <a href="{{ .GeneratorURL }}" style="color:#1f6feb">Source</a>{{ end }}</p>
</td></tr>{{ end }}{{ end }}
{{ define "email.default.html" }}<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ template "__subject" . }}</title></head>
<body style="margin:0;padding:20px;background-color:#f3f5f7;color:#1c262e;font-family:Helvetica,Arial,sans-serif;font-size:14px">
<table role="presentation" align="center" width="640" cellpadding="0" cellspacing="0" style="max-width:640px;width:100%;background-color:#ffffff;border:1px solid #dde3e8">
<tr><td style="padding:16px 20px;color:#ffffff;font-size:16px;font-weight:bold;background-color:{{ if gt (len .Alerts.Firing) 0 }}#c4371b{{ else }}#2a7d3b{{ end }}">
{{ .Alerts | len }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for{{ range .GroupLabels.SortedPairs }} {{ .Name }}={{ .Value }}{{ end }}
</td></tr>
{{ if gt (len .Alerts.Firing) 0 }}<tr><td style="padding:16px 20px 8px;font-weight:bold">[{{ .Alerts.Firing | len }}] Firing</td></tr>{{ template "__email_alerts" .Alerts.Firing }}{{ end }}
{{ if gt (len .Alerts.Resolved) 0 }}<tr><td style="padding:16px 20px 8px;font-weight:bold">[{{ .Alerts.Resolved | len }}] Resolved</td></tr>{{ template "__email_alerts" .Alerts.Resolved }}{{ end }}
<tr><td style="padding:12px 20px;border-top:1px solid #dde3e8;font-size:12px"><a href="{{ .ExternalURL }}" style="color:#5b6b79">Sent by {{ template "__alertmanager" . }}</a></td></tr>
</table>
</body>
</html>
{{ end }}
)";

}  // namespace

std::string_view default_templates() {
  static const std::string kAll = std::string(kTexts) + std::string(kHtml);
  return kAll;
}

}  // namespace templates

"""The fields of each kind of receiver, and what a receiver must say to be one."""

from typing import Any

from alerts.engine.alertmanager.documents import (
    BadConfig,
    Check,
    Kind,
    Reading,
    Values,
    list_of,
    map_of,
    plain_text,
    struct,
)
from alerts.engine.alertmanager.http_fields import at_most_one, canonical, given, http, present, tls
from alerts.engine.alertmanager.quoting import quote
from alerts.engine.alertmanager.scalars import (
    address,
    anything,
    count,
    go_span,
    host_port,
    is_template,
    secret_address,
    span,
    strict_go_span,
    template_address,
    truth,
    whole,
)  # fmt: skip

POST_MESSAGE = "https://slack.com/api/chat.postMessage"
RESPONDERS = ("team", "teams", "user", "escalation", "schedule")
VICTOROPS_FIXED = (
    "routing_key", "message_type", "state_message", "entity_display_name", "monitoring_tool", "entity_id",
    "entity_state",
)  # fmt: skip


def texts(*names: str) -> dict[str, Kind]:
    """Return fields that hold texts."""
    return dict.fromkeys(names, plain_text)


def _kind(fields: dict[str, Kind], check: Check | None = None) -> Kind:
    return struct({"send_resolved": truth, "http_config": http, **fields}, check)


def needs(name: str, said: str) -> Check:
    """Return a check that a field is filled."""

    def check(values: Values) -> None:
        if not values.get(name):
            raise BadConfig(said)

    return check


def _webhook_url(values: Values) -> None:
    if not present(values, "webhook_url") and not values.get("webhook_url_file"):
        raise BadConfig("one of webhook_url or webhook_url_file must be configured")
    _one_webhook_url(values)


def _one_webhook_url(values: Values) -> None:
    if values.get("webhook_url") is not None and values.get("webhook_url_file"):
        raise BadConfig("at most one of webhook_url & webhook_url_file must be configured")


def _url(values: Values) -> None:
    if not given(values, "url", "url_file"):
        raise BadConfig("one of url or url_file must be configured")
    at_most_one(values, "url", "url_file")


def _incidentio(values: Values) -> None:
    _url(values)
    at_most_one(values, "alert_source_token", "alert_source_token_file")
    http_config, tokens = values.get("http_config"), given(values, "alert_source_token", "alert_source_token_file")
    authorized = http_config is not None and _authorized(http_config)
    if authorized and tokens:
        raise BadConfig(
            "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization"
        )
    if http_config is not None and not authorized and not tokens:
        raise BadConfig(
            "at least one of alert_source_token, alert_source_token_file or http_config.authorization "
            "must be configured"
        )


def _authorized(http_config: Values) -> bool:
    return present(http_config, "authorization") + given(http_config, "bearer_token", "bearer_token_file") > 0


def _email(values: Values) -> None:
    if not values.get("to"):
        raise BadConfig("missing to address in email config")
    headers = set()
    for name in values.get("headers") or {}:
        if canonical(name) in headers:
            raise BadConfig(f"duplicate header {quote(canonical(name))} in email config")
        headers.add(canonical(name))
    threading = values.get("threading") or {}
    if threading.get("enabled"):
        for name in ("References", "In-Reply-To"):
            if name in headers:
                raise BadConfig(f"conflicting configuration: threading.enabled conflicts with custom {name} header")
        if threading.get("thread_by_date") not in {"none", "daily"}:
            raise BadConfig("threading.thread_by_date must be either 'none' or 'daily'")


def _jira(values: Values) -> None:
    for name in ("project", "issue_type"):
        if not values.get(name):
            raise BadConfig(f"missing {name} in jira_config")
    if values.get("api_type", "auto") not in {"auto", "cloud", "datacenter"}:
        raise BadConfig("unknown api_type on jira_config, must be auto, cloud or datacenter")


def _jira_field(reading: Reading, node: Any) -> Any:
    if node.id == "scalar":
        return plain_text(reading, node)
    return struct({"template": plain_text, "enable_update": truth})(reading, node)


def _opsgenie(values: Values) -> None:
    at_most_one(values, "api_key", "api_key_file")
    for responder in values.get("responders") or []:
        found = responder or {}
        if not given(found, "id", "username", "name"):
            raise BadConfig("opsGenieConfig responder has to have at least one of id, username or name specified")
        kind = found.get("type") or ""
        if not is_template(kind) and kind.lower() not in RESPONDERS:
            raise BadConfig(
                f"opsGenieConfig responder type does not match valid options ^({'|'.join(RESPONDERS)})$: {kind}"
            )


def _pagerduty(values: Values) -> None:
    if not given(values, "routing_key", "service_key", "routing_key_file", "service_key_file"):
        raise BadConfig("missing service or routing key in PagerDuty config")
    at_most_one(values, "routing_key", "routing_key_file")
    at_most_one(values, "service_key", "service_key_file")


def _pushover(values: Values) -> None:
    for name in ("user_key", "token"):
        if not given(values, name, f"{name}_file"):
            raise BadConfig(f"one of {name} or {name}_file must be configured")
        at_most_one(values, name, f"{name}_file")
    at_most_one(values, "monospace", "html")


def _rocketchat(values: Values) -> None:
    for name in ("token", "token_id"):
        if values.get(name) is not None and values.get(f"{name}_file"):
            raise BadConfig(f"at most one of {name} & {name}_file must be configured")


def _slack(values: Values) -> None:
    at_most_one(values, "api_url", "api_url_file")
    at_most_one(values, "app_token", "app_token_file")
    if given(values, "api_url", "api_url_file") and given(values, "app_token", "app_token_file"):
        raise BadConfig("at most one of api_url/api_url_file & app_token/app_token_file must be configured")
    tokens = given(values, "app_token", "app_token_file")
    if values.get("update_message") and not tokens and values.get("api_url") != POST_MESSAGE:
        raise BadConfig(f"update_message can only be used with bot tokens. api_url must be set to {POST_MESSAGE}")


def _slack_action(values: Values) -> None:
    for name in ("type", "text"):
        if not values.get(name):
            raise BadConfig(f"missing {name} in Slack action configuration")
    if not given(values, "url", "name"):
        raise BadConfig("missing name or url in Slack action configuration")


def _field_of(tool: str) -> Check:
    def check(values: Values) -> None:
        for name in ("title", "value"):
            if not values.get(name):
                raise BadConfig(f"missing {name} in {tool} field configuration")

    return check


def _sns(values: Values) -> None:
    empty = [not values.get(name) for name in ("target_arn", "topic_arn", "phone_number")]
    if sum(empty) % 2:
        raise BadConfig("must provide either a Target ARN, Topic ARN, or Phone Number for SNS config")


def _sigv4(values: Values) -> None:
    if bool(values.get("access_key")) != bool(values.get("secret_key")):
        raise BadConfig(
            "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config"
        )


def _telegram(values: Values) -> None:
    at_most_one(values, "bot_token", "bot_token_file")
    if not given(values, "chat_id", "chat_id_file"):
        raise BadConfig("missing chat_id or chat_id_file on telegram_config")
    at_most_one(values, "chat_id", "chat_id_file")
    if (values.get("parse_mode") or "") not in {"", "Markdown", "MarkdownV2", "HTML"}:
        raise BadConfig("unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string")


def _victorops(values: Values) -> None:
    if not values.get("routing_key"):
        raise BadConfig("missing Routing key in VictorOps config")
    at_most_one(values, "api_key", "api_key_file")
    for name in VICTOROPS_FIXED:
        if name in (values.get("custom_fields") or {}):
            raise BadConfig(
                f"victorOps config contains custom field {name} "
                "which cannot be used as it conflicts with the fixed/static fields"
            )


def _webex(values: Values) -> None:
    if not values.get("room_id"):
        raise BadConfig("missing room_id on webex_config")
    if not _authorized(values.get("http_config") or {}):
        raise BadConfig("missing webex_configs.http_config.authorization")


def _wechat(values: Values) -> None:
    kind = values.get("message_type") or "text"
    if kind not in {"text", "markdown"}:
        raise BadConfig(f"weChat message type {quote(kind)} does not match valid options ^(text|markdown)$")
    at_most_one(values, "api_secret", "api_secret_file")


_attachment_field = {"title": plain_text, "value": plain_text, "short": truth}
_confirm = struct(
    texts("text", "title", "ok_text", "dismiss_text"), needs("text", "missing text in Slack confirmation configuration")
)
_webhook_urls: dict[str, Kind] = {"webhook_url": secret_address, "webhook_url_file": plain_text}
_attachment = (
    "fallback", "color", "pretext", "text", "author_name", "author_link", "author_icon", "title", "title_link",
    "thumb_url", "footer", "footer_icon", "image_url",
)  # fmt: skip
_mattermost_fields = list_of(struct(_attachment_field, _field_of("Mattermost")))

RECEIVERS: dict[str, Kind] = {
    "discord": _kind(_webhook_urls | texts("content", "title", "message", "username", "avatar_url"), _webhook_url),
    "email": struct(
        {
            **texts("to", "from", "hello", "auth_username", "auth_password", "auth_password_file", "auth_secret"),
            **texts("auth_secret_file", "auth_identity", "html", "text"),
            "send_resolved": truth, "smarthost": host_port, "headers": map_of(plain_text), "require_tls": truth,
            "tls_config": tls, "force_implicit_tls": truth,
            "threading": struct({"enabled": truth, "thread_by_date": plain_text}),
        },
        _email,
    ),
    "incidentio": _kind(
        {
            **texts("url_file", "alert_source_token", "alert_source_token_file"),
            "url": address, "max_alerts": count, "timeout": go_span,
        },
        _incidentio,
    ),
    "pagerduty": _kind(
        {
            **texts("service_key", "service_key_file", "routing_key", "routing_key_file", "client", "client_url"),
            **texts("description", "source", "severity", "class", "component", "group"),
            "url": address, "details": map_of(anything), "timeout": go_span,
            "images": list_of(struct(texts("src", "alt", "href"))), "links": list_of(struct(texts("href", "text"))),
        },
        _pagerduty,
    ),
    "slack": _kind(
        {
            **texts("api_url_file", "app_token", "app_token_file", "channel", "username", "color", "title"),
            **texts("title_link", "pretext", "text", "message_text", "footer", "fallback", "callback_id"),
            **texts("icon_emoji", "icon_url", "image_url", "thumb_url"),
            "api_url": secret_address, "app_url": address, "short_fields": truth, "link_names": truth,
            "mrkdwn_in": list_of(plain_text), "update_message": truth, "timeout": go_span,
            "fields": list_of(struct(_attachment_field, _field_of("Slack"))),
            "actions": list_of(
                struct({**texts("type", "text", "url", "style", "name", "value"), "confirm": _confirm}, _slack_action)
            ),
        },
        _slack,
    ),
    "webhook": _kind(
        {
            "url": template_address, "url_file": plain_text, "max_alerts": count, "timeout": go_span,
            "payload": anything,
        },
        _url,
    ),
    "opsgenie": _kind(
        {
            **texts("api_key", "api_key_file", "message", "description", "source", "entity", "actions", "tags", "note"),
            "priority": plain_text, "api_url": address, "details": map_of(plain_text), "update_alerts": truth,
            "responders": list_of(struct(texts("id", "name", "username", "type"))),
        },
        _opsgenie,
    ),
    "wechat": _kind(
        {
            **texts("api_secret", "api_secret_file", "corp_id", "message", "to_user", "to_party", "to_tag", "agent_id"),
            "message_type": plain_text, "api_url": address,
        },
        _wechat,
    ),
    "pushover": _kind(
        {
            **texts("user_key", "user_key_file", "token", "token_file", "title", "message", "url", "url_title"),
            **texts("device", "sound", "priority"),
            "retry": strict_go_span, "expire": strict_go_span, "ttl": strict_go_span, "html": truth, "monospace": truth,
        },
        _pushover,
    ),
    "victorops": _kind(
        {
            **texts("api_key", "api_key_file", "routing_key", "message_type", "state_message", "entity_display_name"),
            "monitoring_tool": plain_text, "api_url": address, "custom_fields": map_of(plain_text),
        },
        _victorops,
    ),
    "sns": _kind(
        {
            **texts("api_url", "topic_arn", "phone_number", "target_arn", "subject", "message"),
            "sigv4": struct(
                {
                    **texts("region", "access_key", "secret_key", "profile", "role_arn", "external_id"),
                    "use_fips_sts_endpoint": truth,
                },
                _sigv4,
            ),
            "attributes": map_of(plain_text), "use_aws_http_client": truth,
        },
        _sns,
    ),
    "telegram": _kind(
        {
            **texts("bot_token", "bot_token_file", "chat_id_file", "message", "parse_mode"),
            "api_url": address, "chat_id": whole, "message_thread_id": whole, "disable_notifications": truth,
        },
        _telegram,
    ),
    "webex": _kind({"api_url": address, **texts("message", "room_id")}, _webex),
    "msteams": _kind(_webhook_urls | texts("title", "summary", "text"), _webhook_url),
    "msteamsv2": _kind(_webhook_urls | texts("title", "text"), _webhook_url),
    "jira": _kind(
        {
            **texts("api_type", "project", "priority", "issue_type", "reopen_transition", "resolve_transition"),
            "wont_fix_resolution": plain_text, "api_url": address, "summary": _jira_field, "description": _jira_field,
            "labels": list_of(plain_text), "reopen_duration": span, "fields": map_of(anything),
        },
        _jira,
    ),
    "rocketchat": _kind(
        {
            **texts("token_id", "token_id_file", "token", "token_file", "channel", "color", "title", "title_link"),
            **texts("text", "emoji", "icon_url", "image_url", "thumb_url"),
            "api_url": address, "short_fields": truth, "link_names": truth,
            "fields": list_of(struct(_attachment_field)),
            "actions": list_of(
                struct({
                    **texts("type", "text", "url", "imageurl", "webviewheightratio", "msg", "msgprocessingtype"),
                    "iswebview": truth, "msginchatwindow": truth,
                })
            ),
        },
        _rocketchat,
    ),
    "mattermost": _kind(
        {
            **_webhook_urls, **texts("channel", "username", "icon_url", "icon_emoji", "type", *_attachment),
            "fields": _mattermost_fields,
            "attachments": list_of(struct({**texts(*_attachment), "fields": _mattermost_fields})),
            "props": struct({"card": plain_text}),
            "priority": struct({
                "priority": plain_text, "requested_ack": truth, "persistent_notifications": truth,
            }),
        },
        _one_webhook_url,
    ),
}  # fmt: skip
# What is sent about resolved alerts where the file does not say.
QUIET = frozenset({"email", "slack", "wechat", "rocketchat"})

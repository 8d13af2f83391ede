"""The global section: its fields, its defaults, and what each receiver takes from it."""

from collections.abc import Callable

from alerts.engine.alertmanager.documents import BadConfig, Kind, Values, struct
from alerts.engine.alertmanager.http_fields import given, http, tls
from alerts.engine.alertmanager.receiver_fields import POST_MESSAGE, texts
from alerts.engine.alertmanager.scalars import address, host_port, secret_address, span, truth

DEFAULTS: Values = {
    "resolve_timeout": 300.0,
    "smtp_hello": "localhost",
    "pagerduty_url": "https://events.pagerduty.com/v2/enqueue",
    "opsgenie_api_url": "https://api.opsgenie.com/",
    "wechat_api_url": "https://qyapi.weixin.qq.com/cgi-bin/",
    "victorops_api_url": "https://alert.victorops.com/integrations/generic/20131114/alert/",
    "telegram_api_url": "https://api.telegram.org",
    "webex_api_url": "https://webexapis.com/v1/messages",
    "rocketchat_api_url": "https://open.rocket.chat/",
    "slack_app_url": POST_MESSAGE,
}
global_section: Kind = struct({
    **texts("smtp_from", "smtp_hello", "smtp_auth_username", "smtp_auth_password", "smtp_auth_password_file"),
    **texts("smtp_auth_secret", "smtp_auth_secret_file", "smtp_auth_identity", "slack_api_url_file", "slack_app_token"),
    **texts("slack_app_token_file", "opsgenie_api_key", "opsgenie_api_key_file", "wechat_api_secret"),
    **texts("wechat_api_secret_file", "wechat_api_corp_id", "victorops_api_key", "victorops_api_key_file"),
    **texts("telegram_bot_token", "telegram_bot_token_file", "rocketchat_token", "rocketchat_token_file"),
    **texts("rocketchat_token_id", "rocketchat_token_id_file", "mattermost_webhook_url_file"),
    "resolve_timeout": span, "http_config": http, "jira_api_url": address, "smtp_smarthost": host_port,
    "smtp_require_tls": truth, "smtp_tls_config": tls, "smtp_force_implicit_tls": truth,
    "slack_api_url": secret_address, "slack_app_url": address, "pagerduty_url": address, "opsgenie_api_url": address,
    "wechat_api_url": address, "victorops_api_url": address, "telegram_api_url": address, "webex_api_url": address,
    "rocketchat_api_url": address, "mattermost_webhook_url": secret_address,
})  # fmt: skip
EXCLUSIVE = (
    "slack_app_token", "slack_api_url", "opsgenie_api_key", "victorops_api_key", "telegram_bot_token",
    "smtp_auth_password", "rocketchat_token", "rocketchat_token_id", "smtp_auth_secret", "wechat_api_secret",
    "mattermost_webhook_url",
)  # fmt: skip
Take = Callable[[Values, Values], None]


def check_global(section: Values) -> None:
    """Raise BadConfig where two fields exclude each other."""
    for name in EXCLUSIVE:
        if section.get(name) and section.get(f"{name}_file"):
            raise BadConfig(f"at most one of {name} & {name}_file must be configured")
        if name == "slack_api_url":
            _check_slack(section)


def _check_slack(section: Values) -> None:
    tokens = given(section, "slack_app_token", "slack_app_token_file")
    webhook = given(section, "slack_api_url", "slack_api_url_file")
    # Older files gave the address of the token's API as the webhook's.
    if tokens and webhook and section.get("slack_api_url") != section.get("slack_app_url"):
        raise BadConfig(
            "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured"
        )


def _inherit(values: Values, section: Values, name: str, from_name: str) -> None:
    if not values.get(name) and section.get(from_name):
        values[name] = section[from_name]


def _pair(values: Values, section: Values, name: str, from_name: str) -> bool:
    """Take a secret or its file from the global section where the receiver has neither; tell whether there is one."""
    if not given(values, name, f"{name}_file"):
        _inherit(values, section, name, from_name)
        _inherit(values, section, f"{name}_file", f"{from_name}_file")
    return given(values, name, f"{name}_file") > 0


def _need(found: object, said: str) -> None:
    if not found:
        raise BadConfig(said)


def _email(values: Values, section: Values) -> None:
    _inherit(values, section, "smarthost", "smtp_smarthost")
    _need(values.get("smarthost"), "no global SMTP smarthost set")
    _inherit(values, section, "from", "smtp_from")
    _need(values.get("from"), "no global SMTP from set")
    for name in ("hello", "auth_username", "auth_identity", "tls_config"):
        _inherit(values, section, name, f"smtp_{name}")
    _pair(values, section, "auth_password", "smtp_auth_password")
    _pair(values, section, "auth_secret", "smtp_auth_secret")


def _slack(values: Values, section: Values) -> None:
    _inherit(values, section, "app_url", "slack_app_url")
    _need(values.get("app_url"), "no global Slack App URL set")
    own = values.get("http_config") or {}
    authorized = own.get("authorization") is not None or given(own, "bearer_token", "bearer_token_file") > 0
    if not authorized and not values.get("api_url"):
        _pair(values, section, "app_token", "slack_app_token")
    _pair(values, section, "api_url", "slack_api_url")
    tokens = given(values, "app_token", "app_token_file")
    if not tokens and not given(values, "api_url", "api_url_file"):
        raise BadConfig("no Slack API URL nor App token set either inline or in a file")
    shared = values.get("http_config") or section.get("http_config") or {}
    if tokens and (shared.get("authorization") or given(shared, "bearer_token", "bearer_token_file")):
        raise BadConfig("http authorization can't be set when using Slack App tokens")


def _pagerduty(values: Values, section: Values) -> None:
    _inherit(values, section, "url", "pagerduty_url")
    _need(values.get("url"), "no global PagerDuty URL set")


def _opsgenie(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "opsgenie_api_url")
    _need(values.get("api_url"), "no global OpsGenie URL set")
    found = _pair(values, section, "api_key", "opsgenie_api_key")
    _need(found, "no global OpsGenie API Key set either inline or in a file")


def _wechat(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "wechat_api_url")
    _need(values.get("api_url"), "no global Wechat URL set")
    found = _pair(values, section, "api_secret", "wechat_api_secret")
    _need(found, "no global Wechat Api Secret set either inline or in a file")
    _inherit(values, section, "corp_id", "wechat_api_corp_id")
    _need(values.get("corp_id"), "no global Wechat CorpID set")


def _victorops(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "victorops_api_url")
    _need(values.get("api_url"), "no global VictorOps URL set")
    _need(_pair(values, section, "api_key", "victorops_api_key"), "no global VictorOps API Key set")


def _telegram(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "telegram_api_url")
    found = _pair(values, section, "bot_token", "telegram_bot_token")
    _need(found, "missing bot_token or bot_token_file on telegram_config")


def _webex(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "webex_api_url")
    _need(values.get("api_url"), "no global Webex URL set")


def _jira(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "jira_api_url")
    _need(values.get("api_url"), "no global Jira Cloud URL set")


def _rocketchat(values: Values, section: Values) -> None:
    _inherit(values, section, "api_url", "rocketchat_api_url")
    for name, shown in (("token_id", "TokenID"), ("token", "Token")):
        for each in (name, f"{name}_file"):
            _inherit(values, section, each, f"rocketchat_{each}")
        found = given(values, name, f"{name}_file")
        _need(found, f"no global Rocketchat {shown} set either inline or in a file")


def _mattermost(values: Values, section: Values) -> None:
    found = _pair(values, section, "webhook_url", "mattermost_webhook_url")
    _need(found, "missing webhook_url or webhook_url_file on mattermost_config")


def _nothing(values: Values, section: Values) -> None:
    _inherit(values, section, "http_config", "http_config")


# In the order they are looked at; the second tells whether an empty entry is one that takes all from `global`.
TAKES: dict[str, tuple[Take, bool]] = {
    "webhook": (_nothing, False),
    "email": (_email, False),
    "slack": (_slack, True),
    "pushover": (_nothing, False),
    "pagerduty": (_pagerduty, False),
    "incidentio": (_nothing, False),
    "opsgenie": (_opsgenie, True),
    "wechat": (_wechat, True),
    "victorops": (_victorops, False),
    "sns": (_nothing, False),
    "telegram": (_telegram, False),
    "discord": (_nothing, False),
    "webex": (_webex, False),
    "msteams": (_nothing, False),
    "msteamsv2": (_nothing, False),
    "jira": (_jira, False),
    "rocketchat": (_rocketchat, True),
    "mattermost": (_mattermost, False),
}

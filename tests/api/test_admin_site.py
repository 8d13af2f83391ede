"""The admin site: the same checks as the API, one row of the trail for each save, rights by role."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts.models import ApiToken, AuditEntry, Team, User
from aivillage_console.lib import clock
from alerts.models import Channel, Policy, Rule, RuleGroup

SECRET = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTE="
HOOK = '{"url": "https://93.184.216.34/hook"}'
ADD = "/admin/alerts/rule/add/"


@pytest.fixture
def group(db: None) -> RuleGroup:
    return RuleGroup.objects.create(name="mine", due_at=clock.now())


def filled(group: RuleGroup, **changes: Any) -> dict[str, Any]:
    form = {"group": str(group.pk), "position": 0, "kind": "promql", "name": "Hot", "expr": "up == 0",
            "severity": "high",
            "spec": "{}", "labels": "{}", "annotations": "{}", "for_seconds": 0, "keep_firing_for_seconds": 0,
            "window_seconds": 300, "cooldown_seconds": 600, "enabled": "on"}  # fmt: skip
    return form | changes


def last_row() -> AuditEntry:
    return AuditEntry.objects.order_by("-id")[0]


def test_an_editor_makes_and_changes_a_rule_with_one_row_each(api: Callable[[str], Client], group: RuleGroup) -> None:
    editor = api("editor")
    assert editor.post(ADD, filled(group), format="multipart").status_code == 302
    rule = Rule.objects.get()
    assert rule.spec == {"expr": "up == 0"}
    changed = filled(group, expr="up == 1")
    assert editor.post(f"/admin/alerts/rule/{rule.pk}/change/", changed, format="multipart").status_code == 302
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["rule.create", "rule.update"]
    row = last_row()
    assert row.before is not None
    assert row.after is not None
    assert (row.before["spec"], row.after["spec"]) == ({"expr": "up == 0"}, {"expr": "up == 1"})


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"expr": "sum("}, "expr", "1:5: parse error: unclosed left parenthesis"),
        ({"expr": ""}, "expr", "missing"),
        ({"kind": "threshold", "spec": '{"nope": 1}'}, "spec", "Unknown keys"),
        ({"labels": '{"1": "x"}'}, "labels", "not a name"),
    ],
)
def test_a_bad_rule_is_refused_beside_its_field(
    api: Callable[[str], Client], group: RuleGroup, change: dict[str, str], field: str, text: str
) -> None:
    answer = api("editor").post(ADD, filled(group, **change), format="multipart")
    assert answer.status_code == 200
    assert text in str(answer.context["adminform"].form.errors[field])
    assert not Rule.objects.exists()


def test_the_link_from_explore_fills_the_query_in(api: Callable[[str], Client], group: RuleGroup) -> None:
    answer = api("editor").get(ADD, {"kind": "promql", "expr": 'rate(x{a="b"}[5m]) > 1'})
    assert answer.context["adminform"].form["expr"].value() == 'rate(x{a="b"}[5m]) > 1'


@pytest.mark.parametrize("role", ["viewer", "responder"])
def test_a_lower_role_is_refused(api: Callable[[str], Client], role: str) -> None:
    paths = ("/admin/", ADD, "/admin/accounts/user/", "/admin/login/", "/admin/alerts/alert/")
    assert {path: api(role).get(path).status_code for path in paths} == dict.fromkeys(paths, 403)


def test_a_stranger_is_sent_to_the_one_sign_in_page(db: None) -> None:
    answer = Client().get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/?next=")


@pytest.mark.parametrize(
    "path", ["accounts/user/", "accounts/apitoken/", "accounts/auditentry/", "alerts/channel/add/"]
)
def test_an_editor_is_kept_from_what_is_an_admins(api: Callable[[str], Client], path: str) -> None:
    assert api("editor").get(f"/admin/{path}").status_code == 403


@pytest.mark.parametrize(
    "name", ["alerts/alert", "alerts/notification", "alerts/rulestate", "metrics/series", "accounts/auditentry"]
)
def test_rows_the_console_writes_are_read_only(api: Callable[[str], Client], name: str) -> None:
    assert api("admin").get(f"/admin/{name}/").status_code == 200
    assert api("admin").post(f"/admin/{name}/add/", {}).status_code == 403


@pytest.mark.parametrize("name", ["django_celery_beat/periodictask", "auth/group", "axes/accessattempt"])
def test_what_would_pass_the_services_by_is_not_there(api: Callable[[str], Client], name: str) -> None:
    assert api("admin").get(f"/admin/{name}/").status_code == 404


def test_a_channel_takes_a_secret_and_never_shows_it(api: Callable[[str], Client], db: None) -> None:
    form = {"name": "hook", "type": "webhook", "config": HOOK, "filters": "[]", "enabled": "on", "secret": SECRET}
    admin = api("admin")
    assert admin.post("/admin/alerts/channel/add/", form, format="multipart").status_code == 302
    channel = Channel.objects.get()
    assert channel.unseal() == SECRET
    for page in ("/admin/alerts/channel/", f"/admin/alerts/channel/{channel.pk}/change/"):
        assert SECRET not in admin.get(page).content.decode()
    assert SECRET not in str(last_row().after)


def test_a_policy_and_its_steps_are_one_change(api: Callable[[str], Client], db: None) -> None:
    channel = Channel.objects.create(name="hook", config={"url": "https://93.184.216.34/hook"})
    form = {"name": "night", "position": 0, "triggers": "[]", "enabled": "on", "steps-TOTAL_FORMS": 2,
            "steps-INITIAL_FORMS": 0, "steps-0-delay_seconds": 600, "steps-0-channels": str(channel.pk),
            "steps-1-delay_seconds": 60, "steps-1-channels": str(channel.pk)}  # fmt: skip
    assert api("editor").post("/admin/alerts/policy/add/", form, format="multipart").status_code == 302
    assert list(Policy.objects.get().steps.values_list("position", "delay_seconds")) == [(0, 60), (1, 600)]
    row = AuditEntry.objects.get()
    assert row.after is not None
    assert (row.action, [step["delay_seconds"] for step in row.after["steps"]]) == ("policy.create", [60, 600])


def test_a_token_is_shown_once(api: Callable[[str], Client], db: None) -> None:
    admin = api("admin")
    form = {"name": "ci", "kind": "service", "scopes": ["read", "query"]}
    page = admin.post("/admin/accounts/apitoken/add/", form, format="multipart", follow=True).content.decode()
    assert "obs_service_" in page
    token = ApiToken.objects.get()
    assert token.scopes == ["query", "read"]
    assert page.count("not shown again") == 1
    assert "not shown again" not in admin.get("/admin/accounts/apitoken/").content.decode()


def test_a_refused_change_of_a_person_says_so_and_nothing_else(api: Callable[[str], Client], db: None) -> None:
    admin = api("admin")
    me = User.objects.get()
    form = {"name": "", "role": "viewer", "time_zone": "UTC"}
    answer = admin.post(f"/admin/accounts/user/{me.pk}/change/", form, format="multipart", follow=True)
    assert "last admin" in str(answer.context["adminform"].form.errors["role"])
    assert "was changed successfully" not in answer.content.decode()
    assert not AuditEntry.objects.exists()


def test_teams_of_a_person_are_in_the_one_row(api: Callable[[str], Client], db: None) -> None:
    team, bob = Team.objects.create(name="night shift"), User.objects.create_user("bob@example.org", None)
    form = {"name": "Bob", "role": "viewer", "time_zone": "UTC", "teams": str(team.pk)}
    assert api("admin").post(f"/admin/accounts/user/{bob.pk}/change/", form, format="multipart").status_code == 302
    row = AuditEntry.objects.get()
    assert row.after is not None
    assert (row.after["teams"], list(bob.teams.all())) == (["night shift"], [team])

"""The import page and its REST doors: who may, what is shown, what is stored."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import AlertSettings, Channel, Rule
from alerts.services.alert_settings import FIELDS
from alerts.services.as_code import Given, Wish, configuration_apply
from alerts.services.configuration import rule_save

pytestmark = pytest.mark.django_db
RULE = "alert_rules:\n- name: hot\n  expr: heat > 80\n  severity: high\n"
HOOK = "channels:\n- {name: hook, type: slack, channel: '#ops', secret: xoxb-very-secret}\n"
API = "/api/console/v1/configuration/"
ME = Actor.system("test")
Person = Callable[[str], Client]


def digest_of(body: str) -> str:
    return body.split('name="digest" value="')[1].split('"', maxsplit=1)[0]


def test_viewers_see_what_was_imported_and_may_not_import(person: Person) -> None:
    configuration_apply(Wish(files=[Given("team.yaml", RULE)]), actor=ME, now=clock.now() - timedelta(hours=1))
    viewer = person("viewer")
    body = viewer.get("/alerts/configuration/").content.decode()
    assert "team.yaml" in body
    assert "need role editor" in body
    assert viewer.post("/alerts/configuration/plan/", {"text": RULE}).status_code == 403
    assert viewer.get("/alerts/configuration/export/").status_code == 403


def test_a_file_is_planned_and_applied(person: Person) -> None:
    editor = person("editor")
    upload = SimpleUploadedFile("team.yaml", RULE.encode(), content_type="application/yaml")
    body = editor.post("/alerts/configuration/plan/", {"file": upload}).content.decode()
    assert "Plan of" in body
    assert "to create" in body
    assert not Rule.objects.exists()
    sent = {"text": RULE.replace("\n", "\r\n"), "name": "team.yaml", "digest": digest_of(body)}
    answer = editor.post("/alerts/configuration/apply/", sent, follow=True)
    assert "team.yaml is applied: 2 created." in answer.content.decode()
    assert Rule.objects.get().spec == {"expr": "heat > 80"}
    assert editor.get("/alerts/configuration/export/").content.decode().endswith(RULE)


def test_mistakes_are_shown_with_their_lines(person: Person) -> None:
    answer = person("editor").post("/alerts/configuration/plan/", {"text": "alert_rules:\n- nam: x\n  expr: up\n"})
    assert answer.status_code == 422
    assert "configuration.yaml:2:3: unknown key &#x27;nam&#x27;: did you mean name?" in answer.content.decode()


def test_a_plan_that_is_no_longer_true_is_shown_anew(person: Person) -> None:
    editor = person("editor")
    body = editor.post("/alerts/configuration/plan/", {"text": RULE}).content.decode()
    configuration_apply(Wish(files=[Given("b.yaml", "groups: [{name: other}]")]), actor=ME, now=clock.now())
    answer = editor.post("/alerts/configuration/apply/", {"text": RULE, "digest": digest_of(body)})
    assert "Nothing was stored: the configuration or the files have changed" in answer.content.decode()
    assert not Rule.objects.exists()


def test_conflicts_are_chosen_one_by_one(person: Person) -> None:
    configuration_apply(Wish(files=[Given("configuration.yaml", RULE)]), actor=ME, now=clock.now())
    rule = Rule.objects.get()
    rule.severity = "low"
    rule_save(rule, actor=ME, now=clock.now())
    editor, changed = person("editor"), RULE.replace("high", "critical")
    body = editor.post("/alerts/configuration/plan/", {"text": changed}).content.decode()
    assert "1 conflict" in body
    of = json.dumps(["alert_rules/hot", "severity"])
    sent = {"text": changed, "digest": digest_of(body), "of-0": of}
    assert "conflicts are undecided" in editor.post("/alerts/configuration/apply/", sent).content.decode()
    editor.post("/alerts/configuration/apply/", {**sent, "choice-0": "file"})
    assert Rule.objects.get().severity == "critical"


def test_only_admins_set_secrets(person: Person) -> None:
    editor, admin = person("editor"), person("admin")
    body = editor.post("/alerts/configuration/plan/", {"text": HOOK}).content.decode()
    assert "Only an admin sets a secret" in body
    assert "xoxb-very-secret" not in body.replace(HOOK.replace("'", "&#x27;"), "")
    assert editor.post("/alerts/configuration/apply/", {"text": HOOK, "digest": digest_of(body)}).status_code == 403
    admin.post("/alerts/configuration/apply/", {"text": HOOK, "digest": digest_of(body)})
    assert Channel.objects.get().unseal() == "xoxb-very-secret"


def test_a_file_that_is_sent_reads_no_environment(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "listed")
    monkeypatch.setenv("OTHER", "unlisted")
    people = {role: person(role) for role in ("editor", "admin")}
    for name, role, found in (("GITHUB_TOKEN", "editor", False), ("GITHUB_TOKEN", "admin", True),
                              ("OTHER", "admin", False), ("SECRET_KEY", "admin", False)):  # fmt: skip
        text = RULE + f"  description: ${{{name}}}\n"
        answer = people[role].post("/alerts/configuration/plan/", {"text": text})
        assert (answer.status_code == 200) is found, (name, role)
        assert (f"${{{name}}} is not set" in answer.content.decode()) is not found


def test_each_changed_rule_is_replayed_in_turn(person: Person) -> None:
    text = RULE + "- name: cold\n  expr: heat < 1\n"
    editor = person("editor")
    first = editor.post("/alerts/configuration/replay/", {"text": text, "rule": "hot", "place": "0"}).content.decode()
    assert 'id="replayed-1"' in first
    assert '"rule": "cold"' in first
    last = editor.post("/alerts/configuration/replay/", {"text": text, "rule": "cold", "place": "1"}).content.decode()
    assert 'id="replayed-2"' in last
    assert "replay-next" not in last
    assert "Stopped here" in editor.post("/alerts/configuration/replay/", {"stop": "1"}).content.decode()


def rest(client: Client, word: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = client.post(f"{API}{word}/", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_rest_plans_applies_and_exports(person: Person) -> None:
    editor = person("editor")
    code, plan = rest(editor, "plan", text=RULE)
    assert (code, plan["counts"]["create"]) == (200, 2)
    assert rest(editor, "plan", text="a: 1")[0] == 422
    assert rest(editor, "plan", text=RULE, typo=1)[0] == 400
    code, done = rest(editor, "apply", text=RULE, digest=plan["digest"])
    assert (code, done["mistakes"]) == (200, [])
    assert rest(editor, "apply", text=RULE, digest=plan["digest"])[0] == 409
    assert rest(editor, "apply", text=HOOK)[0] == 403
    text = RULE + "  description: ${WHO:-nobody}\n"
    assert rest(editor, "apply", text=text, variables={"WHO": "me"})[1]["steps"][0]["changes"] == [
        {"path": "description", "old": "", "new": "me"}
    ]
    assert "description: me" in editor.get(f"{API}export/").content.decode()


def test_the_settings_are_changed_on_the_admin_site_before_anybody_set_one(person: Person) -> None:
    editor, where = person("editor"), "/admin/alerts/alertsettings/1/change/"
    row = AlertSettings.current()
    assert editor.get(where).status_code == 200
    form = {name: getattr(row, name) for name in FIELDS} | {"alert_retention_days": 7}
    assert editor.post(where, form).status_code == 302
    assert AlertSettings.current().alert_retention_days == 7

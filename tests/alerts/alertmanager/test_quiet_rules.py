"""Inhibitions and mute times in the admin site: checked, versioned, audited."""

from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts.models import AuditEntry, User
from alerts.models import Inhibition, MuteTime

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(User.objects.create_user("eve@example.org", None, role="editor"))
    return client


def test_an_inhibition_is_made_changed_and_deleted(editor: Client) -> None:
    fields = {
        "name": "node", "source_matchers": '["a=1"]', "target_matchers": '["b=1"]',
        "equal": '["node"]', "enabled": "on",
    }  # fmt: skip
    assert editor.post("/admin/alerts/inhibition/add/", fields).status_code == 302
    row = Inhibition.objects.get()
    assert editor.post(f"/admin/alerts/inhibition/{row.pk}/change/", {**fields, "name": "host"}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.version) == ("host", 2)
    assert editor.post(f"/admin/alerts/inhibition/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Inhibition.objects.exists()
    verbs = AuditEntry.objects.filter(action__startswith="inhibition.").order_by("id").values_list("action", flat=True)
    assert list(verbs) == ["inhibition.create", "inhibition.update", "inhibition.delete"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"intervals": '[{"weekdays": ["friday:monday"]}]'}, "start day cannot be before end day"),
        ({"intervals": "{}"}, "A list of intervals belongs here"),
        ({"matchers": '["a=~["]'}, "missing closing ]"),
        ({"matchers": '{"a": 1}'}, "A list of matchers belongs here"),
    ],
)
def test_a_bad_mute_time_is_refused_with_the_reason(editor: Client, fields: Any, said: str) -> None:
    good = {"name": "nights", "intervals": '[{"years": ["2001"]}]', "matchers": "[]", "enabled": "on"}
    answer = editor.post("/admin/alerts/mutetime/add/", {**good, **fields})
    assert said in answer.content.decode()
    assert not MuteTime.objects.exists()
    assert editor.post("/admin/alerts/mutetime/add/", good).status_code == 302

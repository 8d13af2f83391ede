"""A person's own page: profile and sessions."""

from typing import Any

from django.test import Client

from aivillage_console.accounts.models import AuditEntry, User


def test_name_and_time_zone_are_changed_and_recorded(person: Any) -> None:
    page = person("viewer")
    assert page.post("/settings/", {"name": "Vera", "time_zone": "Europe/Berlin"}).status_code == 302
    user = User.objects.get()
    assert (user.name, user.time_zone, user.role) == ("Vera", "Europe/Berlin", "viewer")
    assert AuditEntry.objects.get().action == "user.update"


def test_an_unknown_time_zone_is_refused_beside_its_field(person: Any) -> None:
    answer = person("viewer").post("/settings/", {"name": "", "time_zone": "Mars/Base", "role": "admin"})
    assert answer.status_code == 422
    assert "no time zone" in answer.content.decode()
    assert User.objects.get().role == "viewer"


def test_another_session_is_ended_from_here(person: Any) -> None:
    here = person("viewer")
    elsewhere = Client()
    elsewhere.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    assert elsewhere.get("/settings/").status_code == 200
    sessions = here.get("/settings/").context["sessions"]
    assert [session.current for session in sessions] == [True, False]
    assert here.post(f"/settings/sessions/{sessions[1].handle}/end/").status_code == 302
    assert (here.get("/settings/").status_code, elsewhere.get("/settings/").status_code) == (200, 302)


def test_nobody_ends_the_session_of_another_person(person: Any) -> None:
    viewer, editor = person("viewer"), person("editor")
    handle = editor.get("/settings/").context["sessions"][0].handle
    viewer.post(f"/settings/sessions/{handle}/end/")
    assert editor.get("/settings/").status_code == 200

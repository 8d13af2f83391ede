"""The headers that no answer may lack, on every route, refusals included."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.permissions.expected import EXPECTED
from tests.permissions.routes import callable_path

REQUIRED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Nobody's cookie counts at a webhook, which asks for a signature, or at a tool's own address, where the token is in the
# path or in the body; Prometheus' own POSTs here only read, or do nothing.
WITHOUT_EFFECT = ("/hooks/", "/integrations/v1/", "/v2/", "/ping/", "/api/v1/read", "/api/v1/admin/tsdb/")


@pytest.mark.parametrize("caller", ["anonymous", "admin"])
def test_every_answer_carries_the_security_headers(client_of: Callable[..., Client], caller: str) -> None:
    client = client_of(caller)
    for method, path in EXPECTED:
        if path == "/sign-out/":
            continue
        answer = client.generic(method, callable_path(path), data="{}", content_type="application/json")
        for name, value in REQUIRED.items():
            assert answer.headers.get(name) == value, (method, path, name)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "no-store" in answer.headers["Cache-Control"], (method, path)


def test_an_unsafe_request_with_a_cookie_and_no_csrf_token_is_refused(client_of: Callable[..., Client]) -> None:
    client = client_of("admin", enforce_csrf_checks=True)
    for method, path in EXPECTED:
        if method != "GET" and EXPECTED[(method, path)][0] != "00000" and not path.startswith(WITHOUT_EFFECT):
            answer = client.generic(method, callable_path(path), data="{}", content_type="application/json")
            assert answer.status_code == 403, (method, path)

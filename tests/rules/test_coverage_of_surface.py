"""Every URL and every model is named by a test, or exempted here with a reason."""

from django.apps import apps

from tests.permissions.expected import EXPECTED
from tests.permissions.routes import routes
from tests.rules.test_code import TREE, tracked

APPS = ("accounts", "metrics", "alerts", "security", "health", "forge_dashboard")
UNTESTED_URLS: dict[str, str] = {}
UNTESTED_MODELS = {
    "Team": "a name that rules and alerts will point to; nothing reads it yet",
    "Link": "its rows come with the channels that open tickets",
    "SignInLink": "tested through its services in tests/accounts/test_sign_in.py",
    "AuditSeal": "tested through audit_seal and verify_audit in tests/accounts/test_audit.py",
    "NotificationHistory": "filled by one SQL statement of alerts.services.retention",
}


def texts() -> str:
    """Return all tests as one text."""
    own = TREE / "tests/rules/test_coverage_of_surface.py"
    return "\n".join(path.read_text() for path in tracked("tests/*.py") if path != own)


def models() -> list[str]:
    """Return the names of our models."""
    return [model.__name__ for label in APPS for model in apps.get_app_config(label).get_models()]


def test_every_url_is_asked_by_a_test() -> None:
    asked = {path for _, path in EXPECTED}
    tests = texts()
    paths = [path for path, _ in routes() if path not in asked and path not in UNTESTED_URLS]
    assert [path for path in paths if path.partition("<")[0] not in tests] == []


def test_every_model_is_named_by_a_test() -> None:
    tests = texts()
    assert [name for name in models() if name not in UNTESTED_MODELS and name not in tests] == []


def test_no_exemption_is_out_of_date() -> None:
    assert set(UNTESTED_MODELS) <= set(models())
    assert set(UNTESTED_URLS) <= {path for path, _ in routes()}

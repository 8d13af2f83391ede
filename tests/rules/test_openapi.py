"""docs/openapi.yaml is what the code serves."""

from io import StringIO

from django.core.management import call_command

from tests.rules.test_code import TREE


def test_the_openapi_document_is_the_generated_one() -> None:
    made = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=made)
    assert (TREE / "docs/openapi.yaml").read_text().strip() == made.getvalue().strip(), "run `make docs`"

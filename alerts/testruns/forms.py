"""The form of a canary."""

from django import forms

from alerts.engine.testruns.canaries import Expected

EXPECTED = [
    (Expected.XFAIL.value, "xfail: it fails, as marked"), (Expected.SKIP.value, "skip"), (Expected.FAIL.value, "fail"),
    (Expected.COLLECTION_ERROR.value, "collection error"),
]  # fmt: skip
MONO = {"class": "input mono", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}


class CanaryForm(forms.Form):
    """A test, or several, known not to pass."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    path = forms.CharField(
        max_length=500, widget=forms.TextInput(attrs={**MONO, "placeholder": "tests/test_bitnet.py::test_quantise"}),
        help_text="Node id, file, bare name, or a glob with * and ?.",
    )  # fmt: skip
    suite = forms.CharField(required=False, max_length=120, help_text="Empty: whichever suite has such tests.")
    expected_status = forms.ChoiceField(choices=EXPECTED, label="Expected")
    failure_threshold = forms.IntegerField(
        min_value=1, max_value=50, initial=1, label="Failures in a row", help_text="After it had passed."
    )
    reason = forms.CharField(required=False, max_length=2000, widget=forms.TextInput())

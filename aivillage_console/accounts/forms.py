"""What people type to get in."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """E-mail and password; every refusal reads the same, so nobody learns which addresses exist."""

    error_messages = dict.fromkeys(("invalid_login", "inactive"), "E-mail or password is wrong.")

    def clean_username(self) -> Any:
        """Return the address in lower case: one account is throttled once, whatever the spelling."""
        return self.cleaned_data["username"].lower()


class ProfileForm(forms.Form):
    """What a person may change about themselves."""

    name = forms.CharField(max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = forms.CharField(max_length=64, help_text="Europe/Berlin")


class PasswordForm(forms.Form):
    """A new password, twice."""

    password = forms.CharField(
        label="New password",
        min_length=12,
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="New password again",
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any] | None:
        """Refuse two different passwords."""
        cleaned = super().clean()
        if cleaned and cleaned.get("password") != cleaned.get("again"):
            self.add_error("again", "The two passwords differ.")
        return cleaned

"""The admin site's part for test runs and canaries."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.lib import clock
from alerts.models import Canary, TestRun, TestSuite
from alerts.services import configuration
from alerts.services.testruns import canary_save


@admin.register(TestSuite)
class TestSuiteAdmin(ReadOnlyAdmin):
    """Suites at their branches."""

    __test__ = False

    list_display = ("name", "branch", "last_run_at")
    search_fields = ("name", "branch")


@admin.register(TestRun)
class TestRunAdmin(ReadOnlyAdmin):
    """Runs; what came of each test is on their page."""

    __test__ = False

    list_display = ("at", "suite", "success_rate", "total", "failed", "errors", "skipped", "form")
    list_filter = ("form",)
    list_select_related = ("suite",)
    search_fields = ("suite__name", "suite__branch", "commit")


@admin.register(Canary)
class CanaryAdmin(RoleAdmin):
    """Canaries: tests that are known not to pass."""

    list_display = ("name", "suite", "path", "expected_status", "last_status", "last_changed_at")
    list_filter = ("expected_status",)
    search_fields = ("name", "path")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the service."""
        canary_save(obj, actor=actor_of(request), now=clock.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        configuration.configured_delete(obj, actor=actor_of(request), now=clock.now())

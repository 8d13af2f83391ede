"""The admin site's part for backtests and what replay suggests."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin
from alerts.models import BacktestRun, RuleSuggestion


@admin.register(BacktestRun)
class BacktestRunAdmin(ReadOnlyAdmin):
    """Backtests that were ordered; they go by themselves after a week."""

    list_display = ("name", "start_at", "end_at", "state", "done", "created_by", "created_at")
    list_filter = ("state",)
    search_fields = ("name",)

    @admin.display(description="Done")
    def done(self, row: BacktestRun) -> str:
        """Show how far it is."""
        return f"{row.progress:.0%}"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave results out of the list, which may be large."""
        found = super().get_queryset(request)
        return (
            found if request.resolver_match and "object_id" in request.resolver_match.kwargs else found.defer("result")
        )


@admin.register(RuleSuggestion)
class RuleSuggestionAdmin(ReadOnlyAdmin):
    """What would make rules quieter."""

    list_display = ("rule", "days", "at")
    list_select_related = ("rule",)
    search_fields = ("rule__name",)

"""The admin site's part for thresholds that follow the past; they are looked at and never typed in."""

from django.contrib import admin

from aivillage_console.accounts.admin import ReadOnlyAdmin
from alerts.models import DynamicThreshold, ThresholdHistory


@admin.register(DynamicThreshold)
class DynamicThresholdAdmin(ReadOnlyAdmin):
    """When the thresholds of each rule were worked out."""

    list_display = ("rule", "calculated_at", "next_at", "series", "without", "changed", "took_seconds")
    list_select_related = ("rule",)
    search_fields = ("rule__name",)


@admin.register(ThresholdHistory)
class ThresholdHistoryAdmin(ReadOnlyAdmin):
    """The thresholds of series, and from when on they held."""

    list_display = ("at", "rule", "labels", "value", "samples", "why")
    list_select_related = ("rule",)
    search_fields = ("rule__name",)

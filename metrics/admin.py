"""The admin site's part for telemetry: read-only, because only the doors and the compactor write it."""

from django.contrib import admin

from aivillage_console.accounts.admin import ReadOnlyAdmin
from metrics.models import IngestBatch, Metric, PushGroup, RejectedRequest, Series


@admin.register(Metric)
class MetricAdmin(ReadOnlyAdmin):
    """Metrics and what they say about themselves."""

    search_fields = ("name",)


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    """Series, newest first; never counted, there may be a million."""

    ordering = ("-id",)
    list_per_page = 50


@admin.register(PushGroup)
class PushGroupAdmin(ReadOnlyAdmin):
    """Pushed groups and when they were pushed."""

    list_display = ("__str__", "source", "pushed_at", "failed_at")
    list_select_related = ("source",)


admin.site.register(IngestBatch, ReadOnlyAdmin)
admin.site.register(RejectedRequest, ReadOnlyAdmin)

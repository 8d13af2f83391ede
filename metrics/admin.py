"""The admin site's part for telemetry: read-only, because only the doors and the compactor write it."""

from django.contrib import admin

from aivillage_console.accounts.admin import ReadOnlyAdmin
from metrics.models import IngestBatch, Metric, RejectedRequest, Series


@admin.register(Metric)
class MetricAdmin(ReadOnlyAdmin):
    """Metrics and what they say about themselves."""

    search_fields = ("name",)


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    """Series, newest first; never counted, there may be a million."""

    ordering = ("-id",)
    list_per_page = 50


admin.site.register(IngestBatch, ReadOnlyAdmin)
admin.site.register(RejectedRequest, ReadOnlyAdmin)

"""All URLs: each app brings its own; this file only joins them."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from aivillage_console import home, probes
from aivillage_console.accounts.api import router as accounts_router
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from alerts.page_urls import heartbeats, incidents, integrations, silences, testruns
from alerts.urls import ingest
from alerts.views import notifications

handler400 = home.bad_request
handler403 = home.forbidden
handler404 = home.not_found
handler500 = home.broken

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("setup/", home.setup, name="setup"),
    path("setup/token/", home.setup_token, name="setup-token"),
    path("setup/demo/", home.setup_demo, name="setup-demo"),
    path("setup/test/<uuid:channel_id>/", home.setup_test, name="setup-test"),
    path("alerts/", include(("alerts.page_urls", "alerts"))),
    path("notifications/", notifications, name="notifications"),
    path("incidents/", include((incidents, "incidents"))),
    path("integrations/", include((integrations, "integrations"))),
    path("silences/", include((silences, "silences"))),
    path("heartbeats/", include((heartbeats, "heartbeats"))),
    path("test-runs/", include((testruns, "testruns"))),
    path("styleguide/", home.styleguide, name="styleguide"),
    path("security/", include(("security.page_urls", "security"))),
    path("health/", include(("health.page_urls", "health"))),
    path("forge/", include(("forge_dashboard.page_urls", "forge"))),
    path("explore/metrics/", include(("metrics.page_urls", "metrics"))),
    path("-/healthy", probes.healthy, name="healthy"),
    path("-/ready", probes.ready, name="ready"),
    path("-/status", probes.status, name="status"),
    path("admin/", admin.site.urls),
    path("api/console/v1/", include("alerts.api.urls")),
    path("api/console/v1/", include("metrics.api.urls")),
    path("api/console/v1/", include("security.api.urls")),
    path("api/console/v1/", include("health.api.urls")),
    path("api/console/v1/", include("forge_dashboard.api.urls")),
    path("api/console/v1/", include(accounts_router.urls)),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path(
        "api/docs/",
        role_required(Role.VIEWER)(SpectacularSwaggerSplitView.as_view(url_name="api-schema")),
        name="api-docs",
    ),
    path("", include(ingest)),
    path("", include("metrics.urls")),
    path("", include("alerts.urls")),
    path("", include("aivillage_console.accounts.urls")),
]

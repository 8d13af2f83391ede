"""Addresses of the REST API of scraping, below /api/console/v1/."""

from rest_framework.routers import SimpleRouter

from metrics.api.advice import MetricAdviceViewSet
from metrics.api.remote_targets import RemoteTargetViewSet
from metrics.api.views import ScrapePoolViewSet, ScrapeTargetViewSet

router = SimpleRouter()
router.register("scrape-pools", ScrapePoolViewSet, basename="api-scrape-pool")
router.register("scrape-targets", ScrapeTargetViewSet, basename="api-scrape-target")
router.register("remote-targets", RemoteTargetViewSet, basename="api-remote-target")
router.register("metric-advice", MetricAdviceViewSet, basename="api-metric-advice")

urlpatterns = router.urls

"""Addresses of the REST API of Agent Forge, below /api/console/v1/."""

from rest_framework.routers import SimpleRouter

from forge_dashboard.api.views import RunViewSet

router = SimpleRouter()
router.register("runs", RunViewSet, basename="api-run")

urlpatterns = router.urls

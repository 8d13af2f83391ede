"""Addresses of the REST API of Health, below /api/console/v1/."""

from rest_framework.routers import SimpleRouter

from health.api.views import CheckViewSet, ComponentViewSet

router = SimpleRouter()
router.register("components", ComponentViewSet, basename="api-component")
router.register("checks", CheckViewSet, basename="api-check")

urlpatterns = router.urls

"""Addresses of the REST API of Security, below /api/console/v1/."""

from rest_framework.routers import SimpleRouter

from security.api.blocks import AllowViewSet, BlockViewSet
from security.api.events import FindingViewSet, SecurityEventViewSet

router = SimpleRouter()
router.register("security-events", SecurityEventViewSet, basename="api-security-event")
router.register("findings", FindingViewSet, basename="api-finding")
router.register("blocks", BlockViewSet, basename="api-block")
router.register("allow-list", AllowViewSet, basename="api-allow")

urlpatterns = router.urls

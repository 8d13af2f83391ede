"""What can be read of Security: bounded queries, pages by keyset."""

from security.selectors.blocks import (
    BlockList,
    Enforcer,
    Preview,
    active_blocks,
    allow_list,
    allowed_by,
    block_list,
    block_preview,
    blocks_page,
    enforcers,
)
from security.selectors.events import EventsPage, FindingsPage, event_detail, events_page, findings_page
from security.selectors.overview import Overview, overview
from security.selectors.threat import ThreatScore, detector_health, threat_of, threat_scores

__all__ = [
    "BlockList",
    "Enforcer",
    "EventsPage",
    "FindingsPage",
    "Overview",
    "Preview",
    "ThreatScore",
    "active_blocks",
    "allow_list",
    "allowed_by",
    "block_list",
    "block_preview",
    "blocks_page",
    "detector_health",
    "enforcers",
    "event_detail",
    "events_page",
    "findings_page",
    "overview",
    "threat_of",
    "threat_scores",
]

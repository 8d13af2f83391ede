"""Leased rows: work that is claimed, done and finished without ever being lost.

The lease is `due_at` itself: a claim pushes it into the future, so an expired lease is simply due again and the claim
query is also the sweeper. See `docs/decisions/` and reliability section 2.
"""

import uuid

from django.db import models


class Leased(models.Model):
    """Columns every claimable row has."""

    due_at = models.DateTimeField(db_index=False, help_text="When the row may be claimed; a claim moves it ahead.")
    lease_token = models.UUIDField(null=True, blank=True, editable=False, help_text="Fencing token of the last claim.")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        abstract = True

    def new_token(self) -> uuid.UUID:
        """Return a fresh fencing token."""
        return uuid.uuid4()

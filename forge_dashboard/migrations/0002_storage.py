"""How chunks of curves lie on disk."""

from typing import ClassVar

from django.db import migrations

# Chunks grow by appending: compressed, every append would unpack and pack the whole chunk again.
FORWARD = "ALTER TABLE forge_dashboard_curvechunk ALTER COLUMN data SET STORAGE EXTERNAL;"


class Migration(migrations.Migration):
    """Keep the bytes of chunks as they are."""

    dependencies: ClassVar = [("forge_dashboard", "0001_initial")]

    operations: ClassVar = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]

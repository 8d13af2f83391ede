"""An index of the minute blocks alone, so that closed windows of any age are found without a look at every day."""

from django.db import migrations

FORWARD = "CREATE INDEX metrics_groupblock_minutes ON metrics_groupblock (day, group_no) WHERE level = 1"
BACKWARD = "DROP INDEX metrics_groupblock_minutes"


class Migration(migrations.Migration):
    """Comes after the table."""

    dependencies = [("metrics", "0002_blocks")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

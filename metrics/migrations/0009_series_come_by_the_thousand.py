"""What each new series paid for and nobody used: an index of labels (matchers are answered in memory) and two checks."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Drops only; nothing is rewritten."""

    dependencies = [("accounts", "0003_scopes_of_the_wings"), ("metrics", "0008_rollups")]
    operations = [
        migrations.RunSQL(
            "DROP INDEX IF EXISTS metrics_series_labels",
            "CREATE INDEX metrics_series_labels ON metrics_series USING gin (labels jsonb_path_ops)",
        ),
        migrations.AlterField(
            model_name="series",
            name="metric",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="series",
                to="metrics.metric",
            ),
        ),
        migrations.AlterField(
            model_name="series",
            name="source",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="accounts.source",
            ),
        ),
    ]

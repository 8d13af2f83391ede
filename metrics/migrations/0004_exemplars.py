"""Exemplars beside the samples; the small index by time is what retention walks."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    """A table of its own."""

    dependencies = [("metrics", "0003_minute_blocks")]
    operations = [
        migrations.CreateModel(
            name="Exemplar",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "series_id", "at_ms", "digest", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("series_id", models.BigIntegerField()),
                ("at_ms", models.BigIntegerField()),
                ("digest", models.BigIntegerField()),
                ("value", models.FloatField()),
                ("labels", models.JSONField()),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.BrinIndex(fields=["at_ms"], name="metrics_exemplar_times"),
                ]
            },
        ),
    ]

"""What deltas add up to, and pushed groups: three small tables."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Tables of their own."""

    dependencies = [
        ("accounts", "0003_scopes_of_the_wings"),
        ("metrics", "0005_recent_blocks"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeltaTotal",
            fields=[
                ("series_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("last_ms", models.BigIntegerField(default=0)),
                ("value", models.FloatField(default=0.0)),
                ("histogram", models.BinaryField(null=True)),
                ("updated_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="PushGroup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.BinaryField(max_length=16, unique=True)),
                ("labels", models.JSONField()),
                ("pushed_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.source"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PushFamily",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.TextField(db_index=True)),
                ("type", models.CharField(max_length=16)),
                (
                    "series_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("values", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                (
                    "histograms",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BinaryField(null=True), null=True, size=None
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="families", to="metrics.pushgroup"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "push families",
                "constraints": [models.UniqueConstraint(fields=("group", "name"), name="metrics_push_family_once")],
            },
        ),
    ]

"""Series that leave, counts that are kept: nothing is rewritten, the compactor fills in what is older."""

from django.db import migrations, models

# One row that there always is: writers read it with every head block.
FENCE = "INSERT INTO metrics_seriesfence (id, epoch, forgotten_epoch, forgotten_xid, swept_to) VALUES (1, 0, 0, 0, 0)"


class Migration(migrations.Migration):
    """Adds a column without a value and four small tables."""

    dependencies = [("metrics", "0012_portions_on_their_way")]
    operations = [
        migrations.AddField("metric", "series_count", models.IntegerField(editable=False, null=True)),
        migrations.CreateModel(
            name="SeriesFence",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("epoch", models.BigIntegerField(default=0)),
                ("forgotten_epoch", models.BigIntegerField(default=0)),
                ("forgotten_xid", models.BigIntegerField(default=0)),
                ("swept_to", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="LeavingSeries",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("epoch", models.BigIntegerField(db_index=True)),
                ("marked_xid", models.BigIntegerField()),
                ("seen_at", models.DateTimeField()),
                ("labels", models.JSONField()),
                ("source_id", models.UUIDField(null=True)),
                ("gone_xid", models.BigIntegerField(db_index=True, null=True)),
                ("gone_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SourceSeries",
            fields=[
                ("source_id", models.UUIDField(primary_key=True, serialize=False)),
                ("series", models.IntegerField(default=0)),
                ("counted_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="MetricFigures",
            fields=[
                ("metric_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("counted_at", models.DateTimeField()),
                ("new", models.IntegerField(default=0)),
                ("active", models.IntegerField(default=0)),
                ("first_new_id", models.BigIntegerField(null=True)),
                ("blocks", models.BigIntegerField(default=0)),
                ("samples", models.BigIntegerField(default=0)),
                ("data_bytes", models.BigIntegerField(default=0)),
                ("sources", models.JSONField(default=dict)),
                ("days", models.JSONField(default=dict)),
                ("stored_days", models.JSONField(default=dict)),
            ],
            options={"verbose_name_plural": "figures of metrics"},
        ),
        migrations.RunSQL(FENCE, migrations.RunSQL.noop),
    ]

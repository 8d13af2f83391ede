"""Five-minute roll-ups of days that are over."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TABLE metrics_rollupblock (
    day date NOT NULL,
    group_no bigint NOT NULL,
    metric_id bigint NOT NULL,
    of_id bigint NOT NULL,
    samples integer NOT NULL,
    data bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (group_no, day)
);
CREATE INDEX metrics_rollupblock_days ON metrics_rollupblock (day);
"""
BACKWARD = "DROP TABLE metrics_rollupblock"


class Migration(migrations.Migration):
    """A table made by SQL like those of other blocks."""

    dependencies = [("metrics", "0007_scraping")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARD, BACKWARD)],
            state_operations=[
                migrations.CreateModel(
                    name="RollupBlock",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "group_no", "day", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("day", models.DateField()),
                        ("group_no", models.BigIntegerField()),
                        (
                            "metric",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="metrics.metric",
                            ),
                        ),
                        ("of_id", models.BigIntegerField()),
                        ("samples", models.IntegerField()),
                        ("data", models.BinaryField()),
                    ],
                ),
            ],
        ),
    ]

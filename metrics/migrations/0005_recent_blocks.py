"""Blocks that will be packed again have a table of their own, so that a day's table holds only what stays."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TABLE metrics_recentblock (
    day date NOT NULL,
    id bigint NOT NULL DEFAULT nextval('metrics_groupblock_id'),
    metric_id bigint NOT NULL,
    group_no bigint NOT NULL,
    level smallint NOT NULL,
    t_min bigint NOT NULL,
    t_max bigint NOT NULL,
    samples integer NOT NULL,
    data bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX metrics_recentblock_find ON metrics_recentblock (group_no, t_max, t_min);
CREATE INDEX metrics_recentblock_days ON metrics_recentblock (day, group_no, level);
-- Only the last hours are here, so this is quick however large the store is.
INSERT INTO metrics_recentblock (day, id, metric_id, group_no, level, t_min, t_max, samples, data)
    SELECT day, id, metric_id, group_no, level, t_min, t_max, samples, data FROM metrics_groupblock WHERE level = 1;
DELETE FROM metrics_groupblock WHERE level = 1;
DROP INDEX metrics_groupblock_minutes;
"""
BACKWARD = """
CREATE INDEX metrics_groupblock_minutes ON metrics_groupblock (day, group_no) WHERE level = 1;
INSERT INTO metrics_groupblock (day, id, metric_id, group_no, level, t_min, t_max, samples, data)
    SELECT day, id, metric_id, group_no, level, t_min, t_max, samples, data FROM metrics_recentblock;
DROP TABLE metrics_recentblock;
"""


class Migration(migrations.Migration):
    """A table made by SQL like the one it stands beside."""

    dependencies = [("metrics", "0004_exemplars")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARD, BACKWARD)],
            state_operations=[
                migrations.CreateModel(
                    name="RecentBlock",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("day", models.DateField()),
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
                        ("group_no", models.BigIntegerField()),
                        ("level", models.SmallIntegerField()),
                        ("t_min", models.BigIntegerField()),
                        ("t_max", models.BigIntegerField()),
                        ("samples", models.IntegerField()),
                        ("data", models.BinaryField()),
                    ],
                ),
            ],
        ),
    ]

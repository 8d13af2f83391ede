"""What Django cannot say: the partitioned table, storage of blocks, the group sequence and the commit mark of series."""

from django.db import migrations

FORWARD = """
CREATE SEQUENCE metrics_series_group AS bigint MINVALUE 1;
CREATE SEQUENCE metrics_groupblock_id AS bigint;

ALTER TABLE metrics_series ADD COLUMN created_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX metrics_series_created_xid ON metrics_series (created_xid);
CREATE INDEX metrics_series_labels ON metrics_series USING gin (labels jsonb_path_ops);

ALTER TABLE metrics_headblock ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX metrics_headblock_times ON metrics_headblock (t_max, t_min);
ALTER TABLE metrics_headblock SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE TABLE metrics_groupblock (
    day date NOT NULL,
    id bigint NOT NULL DEFAULT nextval('metrics_groupblock_id'),
    metric_id bigint NOT NULL,
    group_no bigint NOT NULL,
    level smallint NOT NULL,
    t_min bigint NOT NULL,
    t_max bigint NOT NULL,
    samples integer NOT NULL,
    data bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);
CREATE INDEX metrics_groupblock_find ON metrics_groupblock (group_no, t_max, t_min);
"""

BACKWARD = """
DROP TABLE metrics_groupblock;
DROP INDEX metrics_headblock_times;
DROP INDEX metrics_series_labels;
ALTER TABLE metrics_series DROP COLUMN created_xid;
DROP SEQUENCE metrics_groupblock_id;
DROP SEQUENCE metrics_series_group;
"""


class Migration(migrations.Migration):
    """Runs after the tables it alters."""

    dependencies = [("metrics", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

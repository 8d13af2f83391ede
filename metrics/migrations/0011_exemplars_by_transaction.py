from django.db import migrations


class Migration(migrations.Migration):
    # Beside those who write exemplars; rows lie in the order they came, so an index of ranges is enough.
    atomic = False
    dependencies = [("metrics", "0010_remote_write")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS metrics_exemplar_xids ON metrics_exemplar"
            " USING brin (created_xid) WITH (autosummarize = on)",
            "DROP INDEX IF EXISTS metrics_exemplar_xids",
        )
    ]

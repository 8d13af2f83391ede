import uuid

from django.db import migrations, models

# Without a value in the rows there are, so that no table is written anew; those are never sent.
SQL = """
ALTER TABLE metrics_headblock ADD COLUMN created_xid bigint;
ALTER TABLE metrics_headblock ALTER COLUMN created_xid SET DEFAULT pg_current_xact_id()::text::bigint;
ALTER TABLE metrics_exemplar ADD COLUMN created_xid bigint;
ALTER TABLE metrics_exemplar ALTER COLUMN created_xid SET DEFAULT pg_current_xact_id()::text::bigint;
"""
BACK = """
ALTER TABLE metrics_headblock DROP COLUMN created_xid;
ALTER TABLE metrics_exemplar DROP COLUMN created_xid;
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0009_series_come_by_the_thousand")]

    operations = [
        migrations.CreateModel(
            name="RemoteTarget",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120, unique=True)),
                ("config", models.JSONField(default=dict, help_text="As an entry of Prometheus' remote_write.")),
                ("secrets_sealed", models.BinaryField(blank=True, null=True)),
                ("enabled", models.BooleanField(default=True)),
                ("cursor_xid", models.BigIntegerField(default=0, editable=False)),
                ("cursor_id", models.BigIntegerField(default=0, editable=False)),
                ("exemplar_xid", models.BigIntegerField(default=0, editable=False)),
                ("sent_samples", models.BigIntegerField(default=0, editable=False)),
                ("failed_samples", models.BigIntegerField(default=0, editable=False)),
                ("dropped_samples", models.BigIntegerField(default=0, editable=False)),
                ("last_error", models.CharField(blank=True, editable=False, max_length=500)),
                ("last_sent_at", models.DateTimeField(editable=False, null=True)),
                ("failing_since", models.DateTimeField(editable=False, null=True)),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="UnsentBlock",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("created_xid", models.BigIntegerField()),
                ("samples", models.IntegerField()),
                ("data", models.BinaryField()),
                ("kept_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["created_xid", "id"], name="metrics_unsent_order")],
            },
        ),
        migrations.RunSQL(SQL, BACK),
    ]

"""What Django cannot say: the append-only trigger, and storage settings of the tables that change all the time."""

from typing import ClassVar

from django.db import migrations

# Retention alone may delete, and says so for its own transaction.
APPEND_ONLY = """
CREATE FUNCTION alerts_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('console.retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'alerts_alertevent is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON alerts_alertevent
    FOR EACH ROW EXECUTE FUNCTION alerts_append_only();
"""
UNDO_APPEND_ONLY = """
DROP TRIGGER append_only ON alerts_alertevent;
DROP FUNCTION alerts_append_only();
"""
STORAGE = "(fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)"
PLAIN = "(fillfactor, autovacuum_vacuum_scale_factor)"
BUSY = ["alerts_notification", "alerts_escalation", "alerts_rulestate", "alerts_alert", "alerts_rulegroup"]


class Migration(migrations.Migration):
    """Triggers and storage."""

    dependencies: ClassVar = [("alerts", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(APPEND_ONLY, UNDO_APPEND_ONLY),
        *(
            migrations.RunSQL(f"ALTER TABLE {table} SET {STORAGE}", f"ALTER TABLE {table} RESET {PLAIN}")
            for table in BUSY
        ),
    ]

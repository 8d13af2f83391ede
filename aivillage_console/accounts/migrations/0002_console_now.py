"""The console's one clock, and the audit trail that only grows."""

from django.db import migrations

# `now()` plus an offset that tests set by `SET console.clock_offset = '90 seconds'` or ALTER DATABASE; a setting that
# was made and reset reads as an empty string, not as NULL.
CONSOLE_NOW = """
CREATE FUNCTION console_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT now() + coalesce(nullif(current_setting('console.clock_offset', true), '')::interval, interval '0')
$$
"""
# Test databases are emptied by TRUNCATE between tests; everywhere else even that is refused.
APPEND_ONLY = """
CREATE FUNCTION accounts_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' AND current_database() LIKE 'test\\_%' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_append_only();
CREATE TRIGGER audit_table_stays BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_append_only();
CREATE TRIGGER seal_rows_stay BEFORE UPDATE OR DELETE ON accounts_auditseal
    FOR EACH ROW EXECUTE FUNCTION accounts_append_only();
CREATE TRIGGER seal_table_stays BEFORE TRUNCATE ON accounts_auditseal
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_append_only()
"""
DROP_APPEND_ONLY = """
DROP TRIGGER audit_rows_stay ON accounts_auditentry;
DROP TRIGGER audit_table_stays ON accounts_auditentry;
DROP TRIGGER seal_rows_stay ON accounts_auditseal;
DROP TRIGGER seal_table_stays ON accounts_auditseal;
DROP FUNCTION accounts_append_only()
"""


class Migration(migrations.Migration):
    """SQL that Django's models cannot say."""

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(CONSOLE_NOW, "DROP FUNCTION console_now()"),
        migrations.RunSQL(APPEND_ONLY, DROP_APPEND_ONLY),
    ]

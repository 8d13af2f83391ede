from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0011_exemplars_by_transaction")]

    operations = [
        migrations.AddField("remotetarget", "pending_xid", models.BigIntegerField(editable=False, null=True)),
        migrations.AddField("remotetarget", "pending_id", models.BigIntegerField(editable=False, null=True)),
    ]

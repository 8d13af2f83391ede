from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

KINDS = ['fire', 'repeat', 'update', 'resolve', 'test', 'summary', 'handover']


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0014_alert_series'),
    ]

    operations = [
        migrations.AddField(
            model_name='silence',
            name='handover_seconds',
            field=models.PositiveIntegerField(default=900, help_text='How long before its end the author hears that alerts still fire; 0: never.'),
        ),
        migrations.AddField(
            model_name='silence',
            name='handover_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When to look whether that must be told; empty: done.', null=True),
        ),
        migrations.AddField(
            model_name='silence',
            name='matched_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When an open alert was last seen that it covers.', null=True),
        ),
        migrations.AddIndex(
            model_name='silence',
            index=models.Index(condition=models.Q(('handover_at__isnull', False)), fields=['handover_at'], name='silence_handover'),
        ),
        migrations.RemoveConstraint(
            model_name='notification',
            name='notification_kind',
        ),
        migrations.AlterField(
            model_name='notification',
            name='kind',
            field=models.CharField(choices=[('fire', 'Fire'), ('repeat', 'Repeat'), ('update', 'Update'), ('resolve', 'Resolve'), ('test', 'Test'), ('summary', 'Summary'), ('handover', 'Handover')], max_length=10),
        ),
        # The rows there are get checked by the next migration, whose lock lets messages be written meanwhile.
        AddConstraintNotValid(
            model_name='notification',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', KINDS)), name='notification_kind'),
        ),
    ]

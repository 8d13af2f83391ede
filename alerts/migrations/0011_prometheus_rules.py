# What rule files of Prometheus say and the console did not know; all defaults are constant, so no row is written again.

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0010_integrations'),
    ]

    operations = [
        migrations.AddField(
            model_name='rule',
            name='alert_name',
            field=models.CharField(blank=True, help_text='What its alerts are called; empty: as the rule. Several rules may share it.', max_length=200),
        ),
        migrations.AddField(
            model_name='rulegroup',
            name='file',
            field=models.CharField(blank=True, editable=False, help_text='The rule file it was imported from.', max_length=200),
        ),
        migrations.AddField(
            model_name='rulegroup',
            name='labels',
            field=models.JSONField(blank=True, default=dict, help_text='What every rule sets, unless it says otherwise.'),
        ),
        migrations.AddField(
            model_name='rulegroup',
            name='limit',
            field=models.PositiveIntegerField(default=0, help_text='Alerts or series one rule may have at once, beyond which it fails; 0 for as many as it has.'),
        ),
        migrations.AddField(
            model_name='rulegroup',
            name='query_offset_seconds',
            field=models.FloatField(default=0, help_text='How far back the rules look, for samples that come late.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(86400)]),
        ),
        migrations.AddField(
            model_name='rulestate',
            name='kept_since_at',
            field=models.DateTimeField(blank=True, help_text='Since when it fires only because it is kept firing.', null=True),
        ),
    ]

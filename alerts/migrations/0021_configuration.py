import django.core.validators
from django.db import migrations, models


def _within(least, most):
    return [django.core.validators.MinValueValidator(least), django.core.validators.MaxValueValidator(most)]


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0020_heartbeats_testruns'),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertSettings',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('evaluation_interval_seconds', models.PositiveIntegerField(default=60, help_text='How often groups are evaluated that have no interval of their own.', validators=_within(1, 86400))),
                ('batch_size', models.PositiveIntegerField(default=100, help_text='How many alerts are decided in one transaction.', validators=_within(1, 1000))),
                ('max_alerts_per_minute', models.PositiveIntegerField(default=50, help_text='More beginnings than this are told in one summary a minute; none is lost.', validators=_within(1, 100000))),
                ('alert_retention_days', models.PositiveIntegerField(default=30, help_text='How long alerts are kept that are over.', validators=_within(1, 3650))),
                ('enable_correlation', models.BooleanField(default=True, help_text='Join alerts into incidents.')),
                ('enable_deduplication', models.BooleanField(default=True, help_text='An alert that fires again soon after its end goes on; off: each firing is a new one.')),
                ('deduplication_window_seconds', models.PositiveIntegerField(default=3600, help_text='How soon after its end.', validators=_within(0, 604800))),
                ('success_rate_threshold', models.FloatField(default=95, help_text='Test runs: percent of tests that pass, below which it is bad.', validators=_within(0, 100))),
                ('performance_degradation_threshold', models.FloatField(default=1.5, help_text='Test runs: times as slow as the runs before.', validators=_within(1, 1000))),
                ('flaky_test_threshold', models.FloatField(default=0.2, help_text='Test runs: share of runs in which a test changes its mind.', validators=_within(0, 1))),
                ('consecutive_failures_threshold', models.PositiveIntegerField(default=3, help_text='Test runs: bad ones in a row.', validators=_within(1, 100))),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name_plural': 'alert settings',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='alertsettings_one')],
            },
        ),
        migrations.CreateModel(
            name='ConfigurationBase',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('section', models.CharField(max_length=30)),
                ('name', models.CharField(max_length=200)),
                ('file', models.CharField(blank=True, help_text='Name of the file.', max_length=200)),
                ('fields', models.JSONField(default=dict, help_text='What the file said; secrets as fingerprints.')),
                ('written', models.JSONField(default=dict, help_text='Which of it stood there as variables, and how.')),
                ('imported_at', models.DateTimeField()),
                ('imported_by', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['section', 'name'],
                'constraints': [models.UniqueConstraint(fields=('section', 'name'), name='configurationbase_once')],
            },
        ),
    ]

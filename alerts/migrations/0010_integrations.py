# Addresses other tools post to, their messages, and the changes they tell of.

import django.core.validators
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_scopes_of_the_wings'),
        ('alerts', '0009_recording'),
    ]

    operations = [
        migrations.CreateModel(
            name='Integration',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120, unique=True)),
                ('tool', models.CharField(choices=[('alertmanager', 'Alertmanager'), ('grafana', 'Grafana'), ('pagerduty', 'PagerDuty Events'), ('opsgenie', 'Opsgenie'), ('oncall', 'OnCall formatted webhook'), ('gitlab', 'GitLab'), ('jenkins', 'Jenkins'), ('registry', 'Image registry'), ('generic', 'Any JSON')], max_length=30)),
                ('makes', models.CharField(choices=[('alerts', 'Alerts'), ('changes', 'Changes')], default='alerts', help_text='Whether any JSON is an alert or a change.', max_length=10)),
                ('token_sha256', models.CharField(editable=False, max_length=64, unique=True)),
                ('token_hint', models.CharField(editable=False, help_text='How the token ends.', max_length=10)),
                ('secret_sealed', models.BinaryField(blank=True, null=True)),
                ('mapping', models.JSONField(blank=True, default=dict, help_text='Where in any JSON what stands; see the how-to.')),
                ('severity', models.CharField(choices=[('critical', 'Critical'), ('high', 'High'), ('medium', 'Medium'), ('low', 'Low')], default='medium', help_text='Where the sender says none.', max_length=10)),
                ('labels', models.JSONField(blank=True, default=dict, help_text='Added to each alert: {"team": "shop"}.')),
                ('silent_after_seconds', models.PositiveIntegerField(blank=True, help_text='Resolve what was not sent again for so long. Empty: it stays until its sender says that it is over.', null=True, validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(2678400)])),
                ('enabled', models.BooleanField(default=True)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('source', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.source')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='InboundMessage',
            fields=[
                ('due_at', models.DateTimeField(help_text='When the row may be claimed; a claim moves it ahead.')),
                ('lease_token', models.UUIDField(blank=True, editable=False, help_text='Fencing token of the last claim.', null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('last_error', models.TextField(blank=True)),
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('request_id', models.UUIDField(default=uuid.uuid4, editable=False, help_text='What its sender was told.', unique=True)),
                ('delivery_id', models.CharField(blank=True, help_text="The sender's own id, where it sends one.", max_length=128)),
                ('event', models.CharField(blank=True, max_length=100)),
                ('key', models.CharField(blank=True, help_text="The key the address or the console's answer named.", max_length=512)),
                ('body', models.BinaryField(default=b'', help_text='As it came; emptied a week after it was dealt with.')),
                ('received_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(blank=True, null=True)),
                ('state', models.CharField(choices=[('due', 'Due'), ('done', 'Done'), ('quarantined', 'Quarantined')], default='due', max_length=12)),
                ('outcome', models.TextField(blank=True, help_text='What came of it, or why nothing did.')),
                ('integration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='alerts.integration')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='InboundKey',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=255)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='inbound_keys', to='alerts.alert')),
                ('integration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='keys', to='alerts.integration')),
            ],
        ),
        migrations.CreateModel(
            name='ChangeEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('key', models.CharField(help_text='The same change told again is the same row.', max_length=255)),
                ('kind', models.CharField(help_text='deploy, build, image, release, tag, change …', max_length=40)),
                ('name', models.CharField(max_length=200)),
                ('status', models.CharField(blank=True, max_length=60)),
                ('at', models.DateTimeField(help_text="When it happened; by the sender's clock, within a week of ours.")),
                ('received_at', models.DateTimeField()),
                ('summary', models.TextField(blank=True)),
                ('url', models.TextField(blank=True)),
                ('labels', models.JSONField(default=dict)),
                ('integration', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='changes', to='alerts.integration')),
            ],
            options={
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.AddConstraint(
            model_name='integration',
            constraint=models.CheckConstraint(condition=models.Q(('severity__in', ['critical', 'high', 'medium', 'low'])), name='integration_severity'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(condition=models.Q(('state', 'due')), fields=['due_at'], name='inboundmessage_due'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(condition=models.Q(('state', 'due')), fields=['integration', 'id'], name='inboundmessage_queue'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(fields=['integration', '-id'], name='inboundmessage_newest'),
        ),
        migrations.AddIndex(
            model_name='inboundmessage',
            index=models.Index(fields=['received_at'], name='inboundmessage_old'),
        ),
        migrations.AddConstraint(
            model_name='inboundmessage',
            constraint=models.UniqueConstraint(condition=models.Q(('delivery_id', ''), _negated=True), fields=('integration', 'delivery_id'), name='inboundmessage_once'),
        ),
        migrations.AddConstraint(
            model_name='inboundmessage',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['due', 'done', 'quarantined'])), name='inboundmessage_state'),
        ),
        migrations.AddConstraint(
            model_name='inboundkey',
            constraint=models.UniqueConstraint(fields=('integration', 'key'), name='inboundkey_once'),
        ),
        migrations.AddIndex(
            model_name='changeevent',
            index=models.Index(fields=['-at', '-id'], name='changeevent_newest'),
        ),
        migrations.AddIndex(
            model_name='changeevent',
            index=models.Index(fields=['received_at'], name='changeevent_old'),
        ),
        migrations.AddConstraint(
            model_name='changeevent',
            constraint=models.UniqueConstraint(fields=('integration', 'key'), name='changeevent_once'),
        ),
    ]

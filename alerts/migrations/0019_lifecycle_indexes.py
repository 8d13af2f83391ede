from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('alerts', '0018_lifecycle'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='alert',
            index=models.Index(condition=models.Q(('wake_at__isnull', False)), fields=['wake_at'], name='alert_wake'),
        ),
        AddIndexConcurrently(
            model_name='alert',
            index=models.Index(condition=models.Q(('state', 'resolved'), _negated=True), fields=['rule', '-fired_at'], name='alert_group'),
        ),
    ]

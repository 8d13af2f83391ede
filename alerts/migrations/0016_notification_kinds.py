from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0015_silences'),
    ]

    operations = [
        ValidateConstraint(model_name='notification', name='notification_kind'),
    ]

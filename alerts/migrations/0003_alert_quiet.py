"""An alert resolved by hand stays silent until its condition has ended once."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column."""

    dependencies: ClassVar = [("alerts", "0002_storage")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="alert",
            name="quiet",
            field=models.BooleanField(
                default=False, help_text="Resolved by hand: silent until its condition ends once."
            ),
        ),
    ]

"""Rule groups can be evaluated before their grid time; rules may be of kinds that apps above answer."""

from typing import ClassVar

from django.db import migrations, models

SPEC = (
    "promql: {expr}; threshold: {metric_path, denominator_path?, condition, threshold}; "
    "other kinds: what the app that answers them takes."
)


class Migration(migrations.Migration):
    """Two columns."""

    dependencies: ClassVar = [("alerts", "0004_rule_kinds")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="rulegroup",
            name="hurry_asked_at",
            field=models.DateTimeField(
                blank=True, editable=False, null=True,
                help_text="When a round off the grid was asked for; empty once done.",
            ),
        ),
        migrations.AddField(
            model_name="rulegroup",
            name="hurry_done_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When a round off the grid was last done.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="rule", name="spec", field=models.JSONField(default=dict, help_text=SPEC)
        ),
    ]  # fmt: skip

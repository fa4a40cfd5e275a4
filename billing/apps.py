# SPDX-License-Identifier: Apache-2.0
"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Models, migrations and operations of the billing store."""

    name = "billing"
    verbose_name = "Billing"
    default_auto_field = "django.db.models.BigAutoField"

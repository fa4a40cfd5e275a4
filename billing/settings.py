# SPDX-License-Identifier: Apache-2.0
"""Django's settings, made from arguments: nothing here reads the environment or a file.

The names in capitals do not depend on the installation; `configure` adds what does. Type checkers load this module
as an ordinary settings module.
"""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from billing_client.secrets.passwords import Passwords

__all__ = ["configure", "passwords"]

INSTALLED_APPS = ["django.contrib.contenttypes", "billing.apps.BillingConfig"]
MIGRATION_MODULES = {"billing": "billing.store.migrations"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False


def configure(dsn: str, *, sealing: Passwords | None = None, connect_timeout: float = 10.0) -> None:
    """Point Django at a store; `dsn` is anything that libpq understands, several hosts included.

    `sealing` seals and opens the passwords of accounts and gateways; None: they are written in clear, as benchmarks do.

    Called again, it turns this process to another store.
    """
    databases = {"default": _database(dsn, connect_timeout)}
    if not settings.configured:
        settings.configure(
            DATABASES=databases,
            INSTALLED_APPS=INSTALLED_APPS,
            MIGRATION_MODULES=MIGRATION_MODULES,
            DEFAULT_AUTO_FIELD=DEFAULT_AUTO_FIELD,
            TIME_ZONE=TIME_ZONE,
            USE_TZ=USE_TZ,
            USE_I18N=USE_I18N,
            PASSWORDS=sealing or Passwords(),
        )
        django.setup()
        return
    from django.db import connections

    settings.PASSWORDS = sealing or Passwords()
    connections["default"].close()
    del connections["default"]
    connections.settings = connections.configure_settings(databases)


def passwords() -> Passwords:
    """What seals and opens passwords of accounts and gateways."""
    found: Passwords = settings.PASSWORDS  # type: ignore[misc]  # given to `configure`, and no name of this module
    return found


def _database(dsn: str, connect_timeout: float) -> dict[str, Any]:
    """A DSN as an entry of Django's DATABASES."""
    options: dict[str, Any] = {key: value for key, value in conninfo_to_dict(dsn).items() if value not in {None, ""}}
    name = options.pop("dbname", "postgres")
    options.setdefault("connect_timeout", round(connect_timeout))
    options.setdefault("application_name", "softswitch-billing")
    return {"ENGINE": "django.db.backends.postgresql", "NAME": name, "OPTIONS": options}

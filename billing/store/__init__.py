# SPDX-License-Identifier: Apache-2.0
"""The schema of the store: tables in `migrations`; functions, views and triggers in `sql`; what brings a store to it.

`sql/DOMAIN/NAME.sql` defines the function or view NAME; `sql/DOMAIN/triggers.sql` the triggers of a domain.
"""

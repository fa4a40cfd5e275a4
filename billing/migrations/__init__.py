# SPDX-License-Identifier: Apache-2.0
"""Migrations; the .sql files beside them hold what Django has no words for."""

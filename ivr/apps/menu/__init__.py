# SPDX-License-Identifier: Apache-2.0
"""Auto attendants that administrators write in YAML."""

# SPDX-License-Identifier: Apache-2.0
"""What would happen: calls that are not made, decided by the code of live ones."""

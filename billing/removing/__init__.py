# SPDX-License-Identifier: Apache-2.0
"""Taking things away that nothing stands against."""

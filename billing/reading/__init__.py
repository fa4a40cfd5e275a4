# SPDX-License-Identifier: Apache-2.0
"""Values as people write them, read with every mistake named. Pure; it knows no table."""

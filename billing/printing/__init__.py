# SPDX-License-Identifier: Apache-2.0
"""What is printed: codes by chance, and files that only their owner may read."""

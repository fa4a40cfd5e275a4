# SPDX-License-Identifier: Apache-2.0
"""What happened: decisions and messages of each call, masked, on their way to the store."""

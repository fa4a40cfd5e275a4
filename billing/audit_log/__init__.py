# SPDX-License-Identifier: Apache-2.0
"""Who acts, and the log of what was done. What is done stands in the actions of each room."""

# SPDX-License-Identifier: Apache-2.0
"""A call, from its INVITE to its end: decided, rung, joined, ended. Not what it costs (`money`), nor where it goes
(`routing`)."""

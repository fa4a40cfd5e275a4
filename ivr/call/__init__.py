# SPDX-License-Identifier: Apache-2.0
"""The verbs of `ivr.verbs`, written once over legs."""

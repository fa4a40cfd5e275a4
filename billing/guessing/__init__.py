# SPDX-License-Identifier: Apache-2.0
"""Who guesses codes and PINs, and the end of their locks."""

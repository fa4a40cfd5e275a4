# SPDX-License-Identifier: Apache-2.0
"""Where a call goes: dial plan, how an account answers, forwards. Decides; sends nothing."""

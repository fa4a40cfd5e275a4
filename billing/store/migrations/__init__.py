# SPDX-License-Identifier: Apache-2.0
"""Tables of the store; what a table is on the disk and what Django cannot say of it is in the last one."""

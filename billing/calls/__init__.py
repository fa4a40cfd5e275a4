# SPDX-License-Identifier: Apache-2.0
"""Live calls and the records of ended ones. The switch writes them by functions of the store (`store/sql/calls`)."""

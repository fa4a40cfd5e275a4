# SPDX-License-Identifier: Apache-2.0
"""The program: command line, configuration, composition and supervision of the processes."""

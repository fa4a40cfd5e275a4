# SPDX-License-Identifier: Apache-2.0
"""How prompts are made: the catalogue of a language, speech engines, and what is done to their sound."""

# SPDX-License-Identifier: Apache-2.0
"""RTP: the relay between two phones (rtpengine's ng protocol), the sessions of the media server, tones and an echo.

`media.app.run` is the process; `media.settings.MediaSettings` is what it is told. `media.sound.tone` and `media.echo`
serve the sample carrier and the tests.
"""

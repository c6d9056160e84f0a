"""Videos: every frame once with its own time, and everything else in the file kept.

`job` makes one video of another; `read` decodes, `colour` turns YUV into RGB and back, `write` encodes, `segments`
keeps what is finished, `mux` puts the result together. PyAV does the codecs and containers, and is imported when it
is needed.
"""

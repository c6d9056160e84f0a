"""Videos: every frame once with its own time, and everything else in the file kept.

`job` makes one video of another. `read` decodes (or `stills` reads a folder of pictures), `colour` turns YUV into RGB
and back, `compute` translates and `stabilise` takes the flicker out, `write` encodes (`codecs` says how), `segments`
keeps what is finished, and `mux` puts the result together with what `others` copies. `apart` makes pictures of a video
in a `folder`, `preview` a look at it. PyAV does the codecs and containers, and is imported when it is needed.
"""

"""Head studies of the tests: synthetic, in few instances, since each one is sent, stored and exported by itself."""

HEAD = {"shape": (32, 48, 44), "spacing_mm": (6.25, 4.75, 4.25)}
TOO_FEW = {**HEAD, "shape": (6, 48, 44)}
"""Nothing that skull_strip works on: it wants 20 slices."""
